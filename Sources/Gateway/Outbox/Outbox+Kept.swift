import Drivers

/// A few bytes for each device, on disk until the device's driver replaces them: what a panel wanted acknowledged before
/// it had said all of it.
extension Outbox {
    /// More than one block of any panel.
    static let keptLimit = 512

    /// Keeps them; durable when it returns. None: forgets them.
    /// - Throws: `OutboxError` when they are not kept: too many, or the disk takes nothing, and what lies in memory only
    ///   would not outlive a crash.
    func keep(_ bytes: [UInt8], of device: String) throws(OutboxError) {
        try Self.check(bytes)
        try writer.withLock { writer throws(OutboxError) in
            guard writer.volatileFrom == nil else {
                throw writer.trouble ?? OutboxError(kind: .cannotWrite, description: "the store is in memory only")
            }
            do throws(DatabaseError) { try writer.store.keep(bytes, of: device) } catch {
                throw OutboxError(kind: error.isFull ? .full : .cannotWrite, description: error.description)
            }
            writer.kept[device] = bytes.isEmpty ? nil : bytes
            writer.toldInMemory.remove(device)
        }
    }

    /// Known also while the disk gives and takes nothing.
    func kept(of device: String) -> [UInt8] { allKept()[device] ?? [] }
    func allKept() -> [String: [UInt8]] { writer.withLock(\.kept) }
}

extension Outbox.Writer {
    /// A receiver has taken, from memory, what told of the device's kept bytes.
    mutating func toldFromMemory(_ device: String) {
        kept[device] = nil
        // The disk may have come back while the receiver was waited for.
        if volatileFrom != nil || (try? store.keep([], of: device)) == nil { toldInMemory.insert(device) }
    }
}

extension Store {
    /// The table is made when it is first needed, so that a store without it stays as it is.
    func keep(_ bytes: [UInt8], of device: String) throws(DatabaseError) {
        try transaction { () throws(DatabaseError) in try write(kept: bytes, of: device) }
    }

    func write(kept bytes: [UInt8], of device: String) throws(DatabaseError) {
        try database.execute("CREATE TABLE IF NOT EXISTS kept (device TEXT PRIMARY KEY, bytes TEXT NOT NULL)")
        if bytes.isEmpty {
            try database.run("DELETE FROM kept WHERE device = ?", [.text(device)])
        } else {
            try database.run(
                "INSERT OR REPLACE INTO kept VALUES (?, ?)", [.text(device), .text(Self.digits(bytes))])
        }
    }

    /// What is kept, by device; what cannot be read is not there.
    func kept() -> [String: [UInt8]] { Self.kept(in: database) }

    static func kept(in database: Database) -> [String: [UInt8]] {
        var kept: [String: [UInt8]] = [:]
        try? database.run("SELECT device, bytes FROM kept") { row in
            kept[row.text(0)] = bytes(row.text(1))
            return true
        }
        return kept
    }

    private static func digits(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func bytes(_ digits: String) -> [UInt8] {
        let text = Array(digits.utf8)
        return stride(from: 0, to: text.count - text.count % 2, by: 2).compactMap {
            UInt8(String(decoding: text[$0...$0 + 1], as: UTF8.self), radix: 16)
        }
    }
}
