import Drivers

/// A few bytes for each device that tell its repeats from news after a crash: stored with its last report. A table of their
/// own, because nobody is to be told of them, and they are worth nothing without their driver.
extension Outbox {
    public struct Memory: Sendable, Hashable {
        /// Its full name.
        public var device: String
        public var bytes: [UInt8]

        public init(device: String, bytes: [UInt8]) { (self.device, self.bytes) = (device, bytes) }
    }

    static func check(_ bytes: [UInt8]) throws(OutboxError) {
        guard bytes.count <= keptLimit else {
            throw OutboxError(kind: .cannotWrite, description: "\(bytes.count) bytes; \(keptLimit) may be kept")
        }
    }

    /// Where a report has no news. Without it something is told twice after a crash: no reason to hold a reading back.
    func remember(_ memory: Memory) {
        guard memory.bytes.count <= Self.keptLimit else { return }
        writer.withLock { writer in
            guard writer.volatileFrom == nil else { return }
            let store = writer.store
            try? store.transaction { () throws(DatabaseError) in try store.write(memory) }
        }
    }

    func memory(of device: String) -> [UInt8] {
        writer.withLock { $0.volatileFrom == nil ? $0.store.memory(of: device) : [] }
    }
}

extension Store {
    /// Within a transaction. The table is made when it is first needed, so that a store without it stays as it is.
    func write(_ memory: Outbox.Memory) throws(DatabaseError) {
        try database.execute("CREATE TABLE IF NOT EXISTS memory (device TEXT PRIMARY KEY, bytes TEXT NOT NULL)")
        let digits = memory.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
        try database.run("INSERT OR REPLACE INTO memory VALUES (?, ?)", [.text(memory.device), .text(digits)])
    }

    /// What cannot be read is not there.
    func memory(of device: String) -> [UInt8] {
        var digits = ""
        try? database.run("SELECT bytes FROM memory WHERE device = ?", [.text(device)]) { row in
            digits = row.text(0)
            return true
        }
        let text = Array(digits.utf8)
        return stride(from: 0, to: text.count - text.count % 2, by: 2).compactMap {
            UInt8(String(decoding: text[$0...$0 + 1], as: UTF8.self), radix: 16)
        }
    }
}
