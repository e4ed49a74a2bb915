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

    /// - Throws: `OutboxError` when the disk lets nothing be read or written.
    static func open(_ directory: StateDirectory, boot: Int64, now: Int64) throws -> Opened {
        do {
            if let unfinished = try finish(directory, boot: boot) { return unfinished }
            guard !looksDamaged(directory.file) else {
                return try setAsideAndKeep(directory, boot: boot, now: now, lastKnownID: nil)
            }
            // What a killed process had written and not synced counts from now on, so it must be on the disk from now on.
            directory.syncLog()
            do {
                let store = try Store(file: directory.file, boot: boot)
                return Opened(store: store, waiting: try store.load(), notice: nil)
            } catch let error as DatabaseError where error.isDamage {
                return try setAsideAndKeep(directory, boot: boot, now: now, lastKnownID: nil)
            }
        } catch let error as DatabaseError {
            throw OutboxError(
                kind: error.isFull ? .full : .cannotWrite,
                description: """
                    the outbox cannot be opened: \(error.description). No event is lost, but none can be taken: free \
                    space, or mount the file system read-write.
                    """)
        }
    }

    /// Two kinds of damage that SQLite takes for a new beginning: an empty file, and a log broken further in.
    private static func looksDamaged(_ file: String) -> Bool {
        if fileSize(file) == 0, access(file + "-wal", F_OK) != 0 { return true }
        return WriteAheadLog(file + "-wal")?.isDamaged ?? false
    }

    /// How far beyond the last number those in memory begin. A cut takes them back, the file counts on where it had
    /// stopped, and a receiver would know an equal event under an equal number for a repeat.
    static let leap: ClosedRange<Int64> = 100...999

    /// Opens a copy in memory of a store that can be read but not written.
    static func openCopy(of directory: StateDirectory, at file: String, boot: Int64, now: Int64) throws -> Opened {
        for suffix in ["", "-wal"] { copy(directory.file + suffix, file + suffix) }
        // Where the old numbers cannot be read, these are beyond them.
        let beyond = min(max(1, now / 1000), Store.largestID / 2)
        let first = fileSize(file) ?? 0 > 0 ? 1 : beyond
        do {
            let store = try Store(file: file, boot: boot, firstID: first, isVolatile: true)
            store.skip(to: store.nextID + Int64.random(in: leap))
            return Opened(store: store, waiting: try store.load(), notice: nil)
        } catch let error as DatabaseError where error.isDamage {
            remove(file)
            let store = try Store(file: file, boot: boot, firstID: beyond, isVolatile: true)
            return Opened(
                store: store, waiting: [], notice: .damaged(kept: 0, lost: 0, file: directory.file))
        }
    }

    static func remove(_ file: String) { for suffix in ["", "-wal", "-shm"] { unlink(file + suffix) } }

    /// At most 64 MiB: the copy lies in a small board's memory.
    private static func copy(_ source: String, _ target: String) {
        let from = Glibc.open(source, O_RDONLY | O_CLOEXEC)
        guard from >= 0 else { return }
        defer { close(from) }
        let to = Glibc.open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
        guard to >= 0 else { return }
        defer { close(to) }
        var buffer = [UInt8](repeating: 0, count: 65536)
        var total = 0
        while total < 64 * 1024 * 1024 {
            let count = read(from, &buffer, buffer.count)
            guard count > 0, Glibc.write(to, buffer, count) == count else { return }
            total += count
        }
    }

    /// Moves a damaged store aside and makes a new one of what can be read in it. A note says so until it is done, so
    /// that it is finished after a power cut. No connection to the store may be open.
    /// - Parameter lastKnownID: the last identifier used, where that is known.
    static func setAsideAndKeep(
        _ directory: StateDirectory, boot: Int64, now: Int64, lastKnownID: Int64?
    ) throws -> Opened {
        let aside = freeName(directory.file + ".damaged-\(now / 1000)")
        write(Array(aside.utf8), to: note(directory))
        return try moveAndKeep(aside, directory, boot: boot, lastKnownID: lastKnownID)
    }

    private static func moveAndKeep(
        _ aside: String, _ directory: StateDirectory, boot: Int64, lastKnownID: Int64?
    ) throws -> Opened {
        for suffix in ["", "-wal", "-shm"] where access(aside + suffix, F_OK) != 0 {
            rename(directory.file + suffix, aside + suffix)
        }
        return try keep(from: aside, in: directory, boot: boot, lastKnownID: lastKnownID)
    }

    private static func note(_ directory: StateDirectory) -> String { directory.path + "/salvage" }

    /// Goes on where a power cut ended a salvage. - Returns: nil when there is nothing to go on with.
    private static func finish(_ directory: StateDirectory, boot: Int64) throws -> Opened? {
        guard let aside = readFile(note(directory)) else { return nil }
        let isMoved = access(aside, F_OK) == 0
        let isMade = access(directory.file, F_OK) == 0
        guard aside.hasPrefix(directory.file + ".damaged-"), isMoved != isMade else {
            unlink(note(directory))
            return nil
        }
        return try moveAndKeep(aside, directory, boot: boot, lastKnownID: nil)
    }

    private static func fileSize(_ file: String) -> Int? {
        var status = stat()
        return stat(file, &status) == 0 ? Int(status.st_size) : nil
    }

    private static func write(_ bytes: [UInt8], to file: String) {
        let descriptor = Glibc.open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
            if count <= 0 { return }
            done += count
        }
        fsync(descriptor)
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
        // SQLite is given a copy of the log without its damaged frames; the damaged one stays for whoever looks later.
        if let log = WriteAheadLog(aside + "-wal"), log.isDamaged {
            rename(aside + "-wal", aside + "-wal.as-found")
            unlink(aside + "-shm")
            write(log.repaired(), to: aside + "-wal")
        }
        let (rows, lost) = readable(aside)
        let last = max(rows.last?.id ?? 0, lastKnownID ?? 0)
        // Where the old numbering cannot be known, begin somewhere else than at 1: a receiver remembers recent sequence
        // numbers and would take an equal event under an equal number for a repeat.
        let first = last > 0 ? last + 1 : Int64.random(in: 1...9999)
        let rebuilt = directory.file + ".rebuilt"
        remove(rebuilt)
        let notes = (try? Database(aside)).map { Store.kept(in: $0) } ?? [:]
        let kept = try fill(rebuilt, with: rows, readableAvailability(aside), notes, boot: boot, first)
        guard rename(rebuilt, directory.file) == 0 else {
            throw DatabaseError(code: SQLITE_CANTOPEN, description: "\(rebuilt): \(systemWords())")
        }
        directory.sync()
        unlink(note(directory))
        let store = try Store(file: directory.file, boot: boot, firstID: first)
        return Opened(
            store: store, waiting: try store.load(),
            notice: .damaged(kept: kept, lost: lost + rows.count - kept, file: aside))
    }

    /// - Returns: how many went in.
    private static func fill(
        _ file: String, with rows: [StoredEvent], _ availability: [Availability.Key: Availability.Figures],
        _ notes: [String: [UInt8]], boot: Int64, _ first: Int64
    ) throws -> Int {
        let store = try Store(file: file, boot: boot, firstID: first)
        // In small transactions: one row that will not go in must not take the others with it.
        var kept = 0
        for start in stride(from: 0, to: rows.count, by: 200) {
            try store.transaction { () throws(DatabaseError) in
                for row in rows[start..<min(start + 200, rows.count)] where (try? store.restore(row)) != nil {
                    kept += 1
                }
            }
        }
        try? store.write(availability)
        let ofDrivers = notes.map { Kept(device: $0, bytes: $1) }
        if !ofDrivers.isEmpty { _ = try? store.commit([], marks: [], keeping: ofDrivers, now: 0) }
        // All of it in the one file, which is about to get its name.
        try store.database.checkpoint(mode: SQLITE_CHECKPOINT_TRUNCATE)
        store.database.close()
        for suffix in ["-wal", "-shm"] { unlink(file + suffix) }
        return kept
    }

    private static func readableAvailability(_ file: String) -> [Availability.Key: Availability.Figures] {
        guard let database = try? Database(file) else { return [:] }
        try? database.execute("PRAGMA writable_schema=ON")
        return (try? Store.availability(in: database)) ?? [:]
    }

    /// Every row that can be read, in order, and how many identifiers in between could not.
    private static func readable(_ file: String) -> (rows: [StoredEvent], lost: Int) {
        guard let database = try? Database(file) else { return ([], 0) }
        // As SQLite's own recovery does: without it a file that is shorter than it says is not read at all.
        try? database.execute("PRAGMA writable_schema=ON")
        var rows: [StoredEvent] = []
        // Straight through as far as it goes, then around each damaged place from the other side.
        func read(_ order: String, _ condition: String, _ id: Int64, limit: Int64) -> [StoredEvent] {
            var found: [StoredEvent] = []
            try? database.run(
                "SELECT \(Store.columns) FROM event WHERE id \(condition) ? ORDER BY id \(order) LIMIT ?",
                [.integer(id), .integer(limit)]
            ) { row in
                let event = Store.event(row)
                if event.id < Store.largestID { found.append(event) }
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
