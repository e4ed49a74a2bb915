import AlarmProtocol

/// How available the paths were: noted by the uplink, kept beside the events, told to whoever asks.
extension Outbox {
    struct AvailabilityBook {
        var months = Availability()
        /// When the store was last written, in milliseconds of uptime, and whether a path has changed since.
        var writtenAt: Int64 = 0
        var hasChanged = false
    }

    /// At most so much of it is lost at a crash, in milliseconds: it counts as not watched.
    static let availabilityPeriod: Int64 = 600_000
    /// A path that comes and goes has it written no more often than this.
    static let availabilityPause: Int64 = 10_000

    /// Notes how the paths are. Never waits for the disk.
    func observe(_ facts: [Availability.Fact], at now: Moment) {
        book.withLock { if $0.months.observe(facts, at: now) { $0.hasChanged = true } }
    }

    /// By month; or only one month.
    public func availability(only month: Month? = nil) -> [AvailabilityMonth] {
        let now = clock()
        let months = book.withLock(\.months)
        // The moment since the last look is not unwatched: the next look covers it.
        let unseen = now.uptime - (months.last?.uptime ?? 0)
        let until = (0...Availability.longestGap).contains(unseen) ? now.utc - unseen : now.utc
        return months.report(now: now.clock == .unknown ? nil : until, only: month)
    }

    /// Called by `keepHouse`, which holds the writer.
    func writeAvailability(_ writer: inout Writer, closing: Bool) throws(DatabaseError) {
        let now = clock().uptime
        let isDue = book.withLock { book in
            let age = now - book.writtenAt
            guard closing || age >= Self.availabilityPeriod || (book.hasChanged && age >= Self.availabilityPause) else {
                return false
            }
            book.writtenAt = now
            book.hasChanged = false
            return true
        }
        guard isDue else { return }
        let store = writer.store
        if store.writtenAvailability == nil {
            let stored = try Store.availability(in: store.database)
            book.withLock { $0.months.adopt(stored) }
            store.writtenAvailability = stored
        }
        try store.write(book.withLock(\.months).withAllCounted().rows)
    }
}

extension Store {
    /// Changes what differs from what was written before. No sync where nothing does.
    func write(_ rows: [Availability.Key: Availability.Figures]) throws(DatabaseError) {
        let known = writtenAvailability ?? [:]
        let changed = rows.filter { known[$0.key] != $0.value }
        let gone = known.keys.filter { rows[$0] == nil }
        guard !changed.isEmpty || !gone.isEmpty else { return }
        try transaction { () throws(DatabaseError) in
            try database.execute(
                """
                CREATE TABLE IF NOT EXISTS availability (month INTEGER NOT NULL, path TEXT NOT NULL,
                    works INTEGER NOT NULL, down INTEGER NOT NULL, faults INTEGER NOT NULL, longest INTEGER NOT NULL,
                    since INTEGER NOT NULL, PRIMARY KEY (month, path)) WITHOUT ROWID
                """)
            for (key, figures) in changed {
                try database.run(
                    "INSERT OR REPLACE INTO availability VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        .integer(Int64(key.month.number)), .text(key.path), .integer(figures.works),
                        .integer(figures.down), .integer(Int64(figures.faults)), .integer(figures.longest),
                        .integer(figures.from),
                    ])
            }
            for key in gone {
                try database.run(
                    "DELETE FROM availability WHERE month = ? AND path = ?",
                    [.integer(Int64(key.month.number)), .text(key.path)])
            }
        }
        writtenAvailability = rows
    }

    /// What a store has of it; nothing where it is older than that. What makes no sense is left out.
    static func availability(
        in database: Database
    ) throws(DatabaseError) -> [Availability.Key: Availability.Figures] {
        var rows: [Availability.Key: Availability.Figures] = [:]
        guard try database.number("SELECT count(*) FROM sqlite_master WHERE name = 'availability'") == 1 else {
            return rows
        }
        let sensible = 0...Int64(1 << 53)
        try database.run(
            "SELECT month, path, works, down, faults, longest, since FROM availability ORDER BY month DESC LIMIT ?",
            [.integer(Int64(Availability.rowsKept))]
        ) { row in
            let path = row.text(1)
            let month = Month(number: Int(clamping: row.integer(0)))
            let numbers = (2...6).map { row.integer(Int32($0)) }
            guard month.number == row.integer(0), path == Availability.whole || isName(path),
                numbers.allSatisfy(sensible.contains)
            else { return true }
            rows[Availability.Key(month: month, path: path)] = Availability.Figures(
                works: numbers[0], down: numbers[1], faults: Int(clamping: numbers[2]), longest: numbers[3],
                from: numbers[4])
            return true
        }
        return rows
    }
}
