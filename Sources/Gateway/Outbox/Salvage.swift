import AlarmProtocol
import CSQLite
import Glibc

/// Opening the store, come what may: a damaged file is set aside under a name that tells when, every row that can still
/// be read goes into a new one, and the damage is told.
enum Salvage {
    struct Opened {
        var store: Store
        var waiting: [(id: Int64, point: String, urgency: Urgency)]
        var notice: Outbox.Notice?
    }

    static func open(_ directory: StateDirectory, boot: Int64, now: Int64) throws -> Opened {
        do {
            let store = try Store(file: directory.file, boot: boot)
            return Opened(store: store, waiting: try store.load(), notice: nil)
        } catch let error as DatabaseError where error.isDamage {
            return try setAsideAndKeep(directory, boot: boot, now: now, lastKnownID: nil)
        } catch let error as DatabaseError {
            throw OutboxError(
                kind: error.isFull ? .full : .cannotWrite,
                description: """
                    the outbox cannot be opened: \(error.description). No event is lost, but none can be taken: free \
                    space, or mount the file system read-write.
                    """)
        }
    }

    /// - Parameter lastKnownID: the last identifier used, where that is known.
    static func setAsideAndKeep(
        _ directory: StateDirectory, boot: Int64, now: Int64, lastKnownID: Int64?
    ) throws -> Opened {
        let aside = freeName(directory.file + ".damaged-\(now / 1000)")
        for suffix in ["", "-wal", "-shm"] { rename(directory.file + suffix, aside + suffix) }
        return try keep(from: aside, in: directory, boot: boot, lastKnownID: lastKnownID)
    }

    /// The same for a store in use: its connection is closed before the files are moved.
    static func setAsideAndKeep(
        _ directory: StateDirectory, boot: Int64, now: Int64, lastKnownID: Int64?, old: inout Store
    ) throws -> Opened {
        let aside = freeName(directory.file + ".damaged-\(now / 1000)")
        for suffix in ["", "-wal", "-shm"] { rename(directory.file + suffix, aside + suffix) }
        let opened = try keep(from: aside, in: directory, boot: boot, lastKnownID: lastKnownID)
        old = opened.store
        return opened
    }

    private static func freeName(_ name: String) -> String {
        var candidate = name
        var number = 1
        while access(candidate, F_OK) == 0 {
            number += 1
            candidate = "\(name).\(number)"
        }
        return candidate
    }

    private static func keep(
        from aside: String, in directory: StateDirectory, boot: Int64, lastKnownID: Int64?
    ) throws -> Opened {
        let (rows, lost) = readable(aside)
        let last = max(rows.last?.id ?? 0, lastKnownID ?? 0)
        // Where the old numbering cannot be known, begin somewhere else than at 1: a receiver remembers recent sequence
        // numbers and would take an equal event under an equal number for a repeat.
        let first = last > 0 ? last + 1 : Int64.random(in: 1...9999)
        let store = try Store(file: directory.file, boot: boot, firstID: first)
        // In small transactions: one row that will not go in must not take the others with it.
        var kept = 0
        for start in stride(from: 0, to: rows.count, by: 200) {
            try store.transaction { () throws(DatabaseError) in
                for row in rows[start..<min(start + 200, rows.count)] where (try? store.restore(row)) != nil { kept += 1 }
            }
        }
        let again = try Store(file: directory.file, boot: boot, firstID: first)
        let waiting = try again.load()
        return Opened(
            store: again, waiting: waiting,
            notice: .damaged(kept: kept, lost: lost + rows.count - kept, file: aside))
    }

    /// Every row that can be read, in order, and how many identifiers in between could not.
    private static func readable(_ file: String) -> (rows: [StoredEvent], lost: Int) {
        guard let database = try? Database(file) else { return ([], 0) }
        var rows: [StoredEvent] = []
        // Straight through as far as it goes, then around each damaged place from the other side.
        func read(_ order: String, _ condition: String, _ id: Int64, limit: Int64) -> [StoredEvent] {
            var found: [StoredEvent] = []
            try? database.run(
                "SELECT \(Store.columns) FROM event WHERE id \(condition) ? ORDER BY id \(order) LIMIT ?",
                [.integer(id), .integer(limit)]
            ) { row in
                if let event = Store.event(row) { found.append(event) }
                return true
            }
            return found
        }
        let most: Int64 = 1_000_000
        rows = read("ASC", ">", 0, limit: most)
        var low = rows.last?.id ?? 0
        let end = read("DESC", ">", low, limit: most)
        let high = end.last?.id ?? 0
        var lost = 0
        if high > low {
            // Between the two lies the damage: look at each identifier, as long as that is a sensible number.
            var middle: [StoredEvent] = []
            for id in stride(from: low + 1, to: min(high, low + 100_000), by: 1) {
                let one = read("ASC", "=", id, limit: 1)
                if one.isEmpty { lost += 1 }
                middle += one
            }
            rows += middle + end.reversed()
            low = high
        }
        // A file that gave nothing, or ended in damage: what came after cannot be counted.
        return (rows, lost)
    }
}
