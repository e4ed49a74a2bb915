import Drivers

/// A few bytes for each device, on disk until the device's driver replaces them: what a panel wanted acknowledged before
/// it had said all of it, or by what its repeat is known.
struct Kept: Sendable, Hashable {
    var device: String
    /// Empty: what was kept is forgotten.
    var bytes: [UInt8]
}

extension Outbox {
    /// More than one block of any panel.
    static let keptLimit = 4096

    /// Keeps them; durable when it returns. None: they are forgotten with the next commit, which saves a sync.
    /// - Throws: `OutboxError` when they are not kept: too many, or the disk takes nothing, and what lies in memory only
    ///   would not outlive a crash.
    func keep(_ bytes: [UInt8], of device: String) throws(OutboxError) {
        guard bytes.count <= Self.keptLimit else {
            throw OutboxError(kind: .cannotWrite, description: "\(bytes.count) bytes; \(Self.keptLimit) may be kept")
        }
        let kept = Kept(device: device, bytes: bytes)
        if bytes.isEmpty { return queue.withLock { $0.note(kept, isWritten: false) } }
        try writer.withLock { writer throws(OutboxError) in
            guard writer.volatileFrom == nil else {
                throw writer.trouble ?? OutboxError(kind: .cannotWrite, description: "the store is in memory only")
            }
            do throws(DatabaseError) { _ = try writer.store.commit([], marks: [], keeping: [kept], now: 0) } catch {
                throw OutboxError(kind: error.isFull ? .full : .cannotWrite, description: error.description)
            }
            queue.withLock { $0.note(kept, isWritten: true) }
        }
    }

    func kept(of device: String) -> [UInt8] { allKept()[device] ?? [] }
    func allKept() -> [String: [UInt8]] { queue.withLock(\.kept) }
}

extension Store {
    /// Within a transaction. The table is made when it is first needed, so that a store without it stays as it is.
    func write(_ kept: Kept) throws(DatabaseError) {
        try database.execute("CREATE TABLE IF NOT EXISTS kept (device TEXT PRIMARY KEY, bytes TEXT NOT NULL)")
        if kept.bytes.isEmpty {
            try database.run("DELETE FROM kept WHERE device = ?", [.text(kept.device)])
        } else {
            try database.run(
                "INSERT OR REPLACE INTO kept VALUES (?, ?)", [.text(kept.device), .text(Self.digits(kept.bytes))])
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
