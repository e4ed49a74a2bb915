import Drivers

/// A few bytes of a device, on disk until its driver replaces them.
struct Kept: Sendable, Hashable {
    var device: String
    /// Empty: what was kept is forgotten.
    var bytes: [UInt8]
    /// An event that is stored has told of them: by them the panel's repeat is known. Else the panel was told "received" for
    /// them, and they are still to be told.
    var isTold: Bool

    init(device: String, bytes: [UInt8] = [], isTold: Bool = false) {
        (self.device, self.bytes, self.isTold) = (device, bytes, isTold)
    }
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
        if bytes.isEmpty {
            _ = queue.withLock { $0.forgotten.insert(device) }
            return
        }
        let kept = Kept(device: device, bytes: bytes)
        try writer.withLock { writer throws(OutboxError) in
            guard writer.volatileFrom == nil else {
                throw writer.trouble ?? OutboxError(kind: .cannotWrite, description: "the store is in memory only")
            }
            do throws(DatabaseError) { _ = try writer.store.commit([], marks: [], keeping: [kept], now: 0) } catch {
                throw OutboxError(kind: error.isFull ? .full : .cannotWrite, description: error.description)
            }
            _ = queue.withLock { $0.forgotten.remove(device) }
            writer.kept[device] = kept
            writer.toldInMemory.remove(device)
        }
    }

    /// Known also while the disk gives and takes nothing.
    func kept(of device: String) -> [UInt8] { present[device]?.bytes ?? [] }

    /// What no event has told of yet, by device.
    func untold() -> [String: [UInt8]] { present.filter { !$0.value.isTold }.mapValues(\.bytes) }

    private var present: [String: Kept] {
        writer.withLock { writer in
            let forgotten = queue.withLock(\.forgotten)
            return writer.kept.filter { !forgotten.contains($0.key) }
        }
    }
}

extension Outbox.Writer {
    /// A receiver has taken, from memory, what told of the device's kept bytes.
    mutating func toldFromMemory(_ device: String) {
        kept[device] = nil
        // The disk may have come back while the receiver was waited for.
        let isForgotten =
            volatileFrom == nil && (try? store.commit([], marks: [], keeping: [Kept(device: device)], now: 0)) != nil
        if !isForgotten { toldInMemory.insert(device) }
    }
}

extension Store {
    /// Before the digits of bytes that an event has told of.
    private static let told = "-"

    /// Within a transaction. The table is made when it is first needed, so that a store without it stays as it is.
    func write(_ kept: Kept) throws(DatabaseError) {
        try database.execute("CREATE TABLE IF NOT EXISTS kept (device TEXT PRIMARY KEY, bytes TEXT NOT NULL)")
        if kept.bytes.isEmpty {
            try database.run("DELETE FROM kept WHERE device = ?", [.text(kept.device)])
        } else {
            let digits = (kept.isTold ? Self.told : "") + Self.digits(kept.bytes)
            try database.run("INSERT OR REPLACE INTO kept VALUES (?, ?)", [.text(kept.device), .text(digits)])
        }
    }

    /// What is kept, by device; what cannot be read is not there.
    func kept() -> [String: Kept] { Self.kept(in: database) }

    static func kept(in database: Database) -> [String: Kept] {
        var kept: [String: Kept] = [:]
        try? database.run("SELECT device, bytes FROM kept") { row in
            let (device, digits) = (row.text(0), row.text(1))
            let isTold = digits.hasPrefix(told)
            kept[device] = Kept(
                device: device, bytes: bytes(isTold ? String(digits.dropFirst()) : digits), isTold: isTold)
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
