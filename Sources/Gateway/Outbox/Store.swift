import AlarmProtocol

/// The outbox's file: schema, statements, retention. One thread at a time; `Outbox` sees to that.
///
/// There is no index but the identifier, so that storing an event dirties one page; what would need an index is kept in
/// memory and rebuilt at start from the rows since the last snapshot.
final class Store {
    let database: Database
    let boot: Int64
    private(set) var nextID: Int64
    /// The last stored state of every point that has one, and the row that says so. Such rows outlive retention.
    private(set) var states: [String: (active: Bool, id: Int64)] = [:]

    /// How available the paths were, as the file has it; nil until it was looked at.
    var writtenAvailability: [Availability.Key: Availability.Figures]?
    /// The faults of paths that are kept whatever the log's limits; nil until they are asked for.
    var keptFaults: KeptFaults?

    /// It lies in memory: what is stored counts only once a receiver has it, and so do the states that it tells of.
    private let isVolatile: Bool

    /// No identifier of ours is ever greater: one that is, or is not positive, is damage.
    static let largestID: Int64 = 1 << 53

    /// Opens or creates.
    /// - Parameters:
    ///   - firstID: where a new file begins to count.
    ///   - isVolatile: it lies in memory; states are remembered only by `remember`.
    init(file: String, boot: Int64, firstID: Int64 = 1, isVolatile: Bool = false) throws {
        self.isVolatile = isVolatile
        database = try Database(file)
        self.boot = boot
        // One event fills a quarter of such a page, and a commit writes whole pages. Only a new file takes the size.
        try database.execute("PRAGMA page_size=1024")
        database.keepLog()
        try database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0")
        try database.execute("PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY")
        guard try database.text("PRAGMA journal_mode") == "wal", try database.number("PRAGMA synchronous") == 2 else {
            throw OutboxError(
                kind: .unsafe,
                description: """
                    \(file): the file system does not let SQLite keep a write-ahead log with full synchronisation, so a \
                    stored event could be lost at a power cut. Put the state directory on a local file system (ext4, f2fs).
                    """)
        }
        try Self.createTables(database)
        let last = try database.number("SELECT max(id) FROM event") ?? 0
        let first = try database.number("SELECT min(id) FROM event") ?? 1
        let reserved = try database.number("SELECT value FROM number WHERE name = 'first-id'") ?? 1
        guard first > 0, last < Self.largestID, reserved < Self.largestID else {
            throw DatabaseError.damage("\(file): numbers of events run from \(first) to \(max(last, reserved))")
        }
        nextID = max(last + 1, reserved, firstID)
        if last == 0, firstID > 1 { try set("first-id", firstID) }
    }

    private static func createTables(_ database: Database) throws {
        let version = try database.number("PRAGMA user_version") ?? 0
        guard version <= 1 else {
            throw OutboxError(
                kind: .unsafe,
                description: """
                    \(database.file) was written by a newer larmnod (store version \(version), this one knows 1). \
                    Install that version again, or move the file away with its events unsent.
                    """)
        }
        guard version == 0 else { return try indexFaults(database) }
        try database.execute(
            """
            BEGIN;
            CREATE TABLE IF NOT EXISTS event (
                id INTEGER PRIMARY KEY, state INTEGER NOT NULL, active INTEGER,
                account TEXT NOT NULL, point TEXT NOT NULL, partition INTEGER NOT NULL, zone INTEGER NOT NULL,
                sia TEXT NOT NULL, contact_id TEXT NOT NULL, qualifier INTEGER NOT NULL, urgency INTEGER NOT NULL,
                text TEXT NOT NULL, occurred INTEGER NOT NULL, uptime INTEGER NOT NULL, clock INTEGER NOT NULL,
                boot INTEGER NOT NULL, stored INTEGER NOT NULL,
                sent INTEGER, path TEXT, tries INTEGER, ended INTEGER, reason TEXT);
            CREATE INDEX IF NOT EXISTS parked ON event (id) WHERE state = 2;
            CREATE TABLE IF NOT EXISTS last_state (point TEXT PRIMARY KEY, active INTEGER NOT NULL, id INTEGER NOT NULL)
                WITHOUT ROWID;
            CREATE TABLE IF NOT EXISTS number (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
            PRAGMA user_version = 1;
            COMMIT;
            """)
        try indexFaults(database)
    }

    private func set(_ name: String, _ value: Int64) throws(DatabaseError) {
        try database.run("INSERT OR REPLACE INTO number VALUES (?, ?)", [.text(name), .integer(value)])
    }

    static let columns = """
        id, state, active, account, point, partition, zone, sia, contact_id, qualifier, urgency, text, occurred, uptime, \
        clock, boot, stored, sent, path, tries, ended, reason
        """

    /// A row as an event. Where a column makes no sense, as in a damaged file, it is read as whatever gets the event
    /// looked at: it waits, and it is urgent.
    static func event(_ row: borrowing Database.Row) -> StoredEvent {
        let clock = UInt8(exactly: row.integer(14)).flatMap(ClockQuality.init(rawValue:)) ?? .unknown
        let event = Event(
            account: row.text(3), point: row.text(4), partition: Int(clamping: row.integer(5)),
            zone: Int(clamping: row.integer(6)), sia: row.text(7), contactID: row.text(8),
            qualifier: UInt8(exactly: row.integer(9)).flatMap(Qualifier.init(rawValue:)) ?? .event,
            urgency: urgency(row.integer(10)), text: row.text(11),
            occurred: Moment(utc: time(row.integer(12)), uptime: time(row.integer(13)), clock: clock))
        return StoredEvent(
            id: row.integer(0), event: event, state: state(row.integer(1)),
            active: row.optionalInteger(2).map { $0 != 0 }, stored: time(row.integer(16)), boot: row.integer(15),
            sent: row.optionalInteger(17).map(time), path: row.optionalText(18),
            tries: Int(clamping: row.optionalInteger(19) ?? 0), ended: row.optionalInteger(20).map(time),
            reason: row.optionalText(21))
    }

    private static func state(_ number: Int64) -> StoredEvent.State { StoredEvent.State(rawValue: number) ?? .waiting }
    private static func urgency(_ number: Int64) -> Urgency {
        UInt8(exactly: number).flatMap(Urgency.init(rawValue:)) ?? .fire
    }
    /// Milliseconds that can be added and subtracted without a thought.
    static func time(_ number: Int64) -> Int64 { min(max(number, -1 << 53), 1 << 53) }

    /// Takes over what another store, still open, knew of the points.
    func adoptStates(of other: Store) { states.merge(other.states) { $0.id > $1.id ? $0 : $1 } }

    /// Leaves out the numbers before this one.
    func skip(to id: Int64) { nextID = max(nextID, id) }

    /// Goes on where another store, still open, stopped: its numbers and states are on disk when it returns.
    func goOn(after other: Store, oldestWaiting: Int64?) throws(DatabaseError) {
        skip(to: other.nextID)
        adoptStates(of: other)
        try set("first-id", nextID)
        try snapshot(oldestWaiting: oldestWaiting)
    }

    /// What waits, in order, and the last states: from the snapshot and the rows after it.
    func load() throws(DatabaseError) -> [(id: Int64, point: String, urgency: Urgency)] {
        states = [:]
        try database.run("SELECT point, active, id FROM last_state") { row in
            states[row.text(0)] = (row.integer(1) != 0, row.integer(2))
            return true
        }
        var from = try database.number("SELECT value FROM number WHERE name = 'scan-from'") ?? 0
        // A place beyond the last event was never written by us.
        if from > nextID { from = 0 }
        var waiting: [(id: Int64, point: String, urgency: Urgency)] = []
        try database.run(
            "SELECT id, state, active, point, urgency FROM event WHERE id >= ? ORDER BY id", [.integer(from)]
        ) { row in
            let id = row.integer(0)
            let point = row.text(3)
            if let active = row.optionalInteger(2), id > states[point]?.id ?? 0 { states[point] = (active != 0, id) }
            if Self.state(row.integer(1)) == .waiting { waiting.append((id, point, Self.urgency(row.integer(4)))) }
            return true
        }
        return waiting
    }

    /// The events that every receiver has refused.
    func parked() throws(DatabaseError) -> Set<Int64> {
        var parked: Set<Int64> = []
        try database.run("SELECT id FROM event WHERE state = 2") { row in
            parked.insert(row.integer(0))
            return true
        }
        return parked
    }

    /// Writes and syncs a row, whatever it says. - Throws: when the disk still takes nothing.
    func prove(_ now: Int64) throws(DatabaseError) {
        try transaction { () throws(DatabaseError) in try set("disk-tried", now) }
    }

    /// Stores events and marks in one transaction; durable when it returns.
    /// - Returns: the events' identifiers, in order.
    func commit(
        _ events: [NewEvent], marks: [Mark], keeping kept: [Kept] = [], now: Int64
    ) throws(DatabaseError) -> [Int64] {
        let ids = events.indices.map { nextID + Int64($0) }
        try transaction { () throws(DatabaseError) in
            for (id, new) in zip(ids, events) { try insert(new, id: id, now: now) }
            for mark in marks { try write(mark) }
            // What lies in memory outlives no crash.
            if !isVolatile { for note in kept { try write(note) } }
        }
        if !isVolatile { remember(events, ids) }
        nextID += Int64(events.count)
        return ids
    }

    /// Takes the states that events tell of for the last ones.
    func remember(_ events: [NewEvent], _ ids: [Int64]) {
        for (id, new) in zip(ids, events) {
            if let active = new.active { states[new.event.point] = (active, id) }
        }
    }

    func transaction(_ body: () throws(DatabaseError) -> Void) throws(DatabaseError) {
        try database.execute("BEGIN IMMEDIATE")
        do {
            try body()
            try database.execute("COMMIT")
        } catch {
            try? database.execute("ROLLBACK")
            throw error
        }
    }

    private func insert(_ new: NewEvent, id: Int64, now: Int64) throws(DatabaseError) {
        let event = new.event
        try database.run(
            """
            INSERT INTO event (id, state, active, account, point, partition, zone, sia, contact_id, qualifier, urgency, \
            text, occurred, uptime, clock, boot, stored) VALUES (?,0,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
            """,
            [
                .integer(id), new.active.map { .integer($0 ? 1 : 0) } ?? .null,
                .text(event.account), .text(event.point), .integer(Int64(event.partition)), .integer(Int64(event.zone)),
                .text(event.sia), .text(event.contactID), .integer(Int64(event.qualifier.rawValue)),
                .integer(Int64(event.urgency.rawValue)), .text(event.text), .integer(event.occurred.utc),
                .integer(event.occurred.uptime), .integer(Int64(event.occurred.clock.rawValue)), .integer(boot),
                .integer(now),
            ])
    }

    private func write(_ mark: Mark) throws(DatabaseError) {
        try database.run(
            "UPDATE event SET state=?, sent=?, path=?, tries=?, ended=?, reason=? WHERE id=?",
            [
                .integer(mark.state.rawValue), mark.sent.map { .integer($0) } ?? .null,
                mark.path.map { .text($0) } ?? .null, .integer(Int64(mark.tries)), .integer(mark.ended),
                mark.reason.map { .text($0) } ?? .null, .integer(mark.id),
            ])
    }

    /// Puts back a row that was read from a damaged file, identifier and life included.
    func restore(_ stored: StoredEvent) throws(DatabaseError) {
        try insert(NewEvent(stored.event, active: stored.active), id: stored.id, now: stored.stored)
        try database.run(
            "UPDATE event SET boot = ? WHERE id = ?", [.integer(stored.boot), .integer(stored.id)])
        guard stored.state != .waiting else { return }
        try write(
            Mark(
                id: stored.id, state: stored.state, sent: stored.sent, path: stored.path, tries: stored.tries,
                ended: stored.ended ?? 0, reason: stored.reason))
    }

    /// Stores again, under its old identifier, an event that a damaged file had taken.
    func store(_ new: NewEvent, under id: Int64, at now: Int64) throws(DatabaseError) {
        try transaction { () throws(DatabaseError) in try insert(new, id: id, now: now) }
        if let active = new.active, id > states[new.event.point]?.id ?? 0 { states[new.event.point] = (active, id) }
        nextID = max(nextID, id + 1)
    }

    /// Remembers the last states and where a start must begin to read: cheap, and only needed now and then.
    func snapshot(oldestWaiting: Int64?) throws(DatabaseError) {
        try transaction { () throws(DatabaseError) in
            for (point, state) in states {
                try database.run(
                    "INSERT OR REPLACE INTO last_state VALUES (?, ?, ?)",
                    [.text(point), .integer(state.active ? 1 : 0), .integer(state.id)])
            }
            try set("scan-from", min(oldestWaiting ?? nextID, nextID))
        }
    }

    /// Deletes the oldest delivered events beyond the limits, at most `batch` in one go. Never one that waits or is
    /// parked, never a point's last state, never a path's fault among the newest `faultLimit` of them, never the newest
    /// event (its identifier must not come again).
    /// - Returns: how many went.
    func trim(after cursor: inout Int64, batch: Int = 500) throws(DatabaseError) -> Int {
        if cursor == 0 { keptFaults = nil }
        let faultsFrom = try faults().from
        var doomed: [Int64] = []
        // Where all that is met must stay, a little further.
        for _ in 0..<Self.trimReach {
            var seen = cursor
            try database.run(
                "SELECT id, state, point FROM event WHERE id > ? AND id < ? ORDER BY id LIMIT ?",
                [.integer(cursor), .integer(nextID - 1), .integer(Int64(batch))]
            ) { row in
                seen = row.integer(0)
                let point = row.text(2)
                let ended = row.integer(1) == 1 || row.integer(1) == 3
                let isKeptFault = seen >= faultsFrom && StoredEvent.isPathFault(point)
                if ended, !isKeptFault, states[point]?.id != seen { doomed.append(seen) }
                return true
            }
            // Nothing left in front of us: begin again from the oldest next time.
            cursor = seen == cursor ? 0 : seen
            if !doomed.isEmpty || cursor == 0 { break }
        }
        guard !doomed.isEmpty else { return 0 }
        try transaction { () throws(DatabaseError) in
            for id in doomed { try database.run("DELETE FROM event WHERE id = ?", [.integer(id)]) }
        }
        return doomed.count
    }

    /// Bytes in use in the file, free pages not counted.
    func bytesInUse() throws(DatabaseError) -> Int64 {
        let pages = try database.number("PRAGMA page_count") ?? 0
        let free = try database.number("PRAGMA freelist_count") ?? 0
        return (pages - free) * (try database.number("PRAGMA page_size") ?? 4096)
    }
}
