import AlarmProtocol

/// Times that are worked out later (promise 11): an event of a boot in which the clock was not known at first is dated
/// by the uptime, once the clock is known.
///
/// When the board was started, by the wall clock, is called its epoch. It is read once in a boot and kept in the store:
/// read anew after a restart of the daemon it could differ by a second, and an event that is sent again with another
/// time is a new one to its receiver. A later step of the clock does not change it.
extension Outbox {
    /// Called about once a second. Events are dated only by an epoch that is kept, so that they are dated alike for ever.
    func keepEpoch(_ writer: inout Writer) {
        let now = clock()
        guard !writer.keepsEpoch, now.clock == .known else { return }
        let epoch = reader.withLock { $0.epochs[boot] } ?? now.utc - now.uptime
        // A disk that takes nothing loses it with a restart, and the times of what waits differ: better than no times.
        if writer.volatileFrom == nil { writer.keepsEpoch = (try? writer.store.keep(epoch, of: boot)) != nil }
        reader.withLock { $0.epochs[boot] = epoch }
    }

    /// How long ago an event happened, in milliseconds, whatever the wall clock has done meanwhile. Of one from an
    /// earlier boot whose clock was known only as well as that.
    func age(of stored: StoredEvent, at now: Moment) -> Int64 {
        if stored.boot == boot { return max(0, now.uptime - stored.event.occurred.uptime) }
        // Since before the board was started, whatever the clock was then.
        return max(now.uptime, now.utc - stored.stored)
    }
}

extension StoredEvent {
    /// With its time worked out by the uptime, where the clock was not known when it happened and was later in the same
    /// boot.
    /// - Parameter epochs: of the boots whose clock was known, in milliseconds since 1970 UTC.
    func dated(by epochs: [Int64: Int64]) -> StoredEvent {
        guard event.occurred.clock == .unknown, let epoch = epochs[boot],
            (0...Self.longestUptime).contains(event.occurred.uptime)
        else { return self }
        var dated = self
        dated.event.occurred = Moment(
            utc: epoch + event.occurred.uptime, uptime: event.occurred.uptime, clock: .corrected)
        return dated
    }

    /// A hundred years: what claims more comes from a damaged row.
    private static let longestUptime: Int64 = 100 * 366 * 86_400_000
}

extension Store {
    /// Boots whose epoch is kept: an event that has waited longer than that is told without its time.
    private static let epochLimit = 32
    private static let epochName = "epoch "

    /// Keeps when a boot began, and forgets the oldest beyond the limit. Durable when it returns.
    func keep(_ epoch: Int64, of boot: Int64) throws(DatabaseError) {
        try transaction { () throws(DatabaseError) in
            try database.run(
                "INSERT OR REPLACE INTO number VALUES (?, ?)", [.text(Self.epochName + "\(boot)"), .integer(epoch)])
            try database.run(
                """
                DELETE FROM number WHERE name LIKE 'epoch %' AND name <> ? AND name NOT IN \
                (SELECT name FROM number WHERE name LIKE 'epoch %' ORDER BY value DESC LIMIT ?)
                """, [.text(Self.epochName + "\(boot)"), .integer(Int64(Self.epochLimit))])
        }
    }

    /// When the boots began whose clock was known. Nothing where it cannot be read: times stay unknown then.
    func epochs() -> [Int64: Int64] {
        var epochs: [Int64: Int64] = [:]
        try? database.run("SELECT name, value FROM number WHERE name LIKE 'epoch %'") { row in
            if let boot = Int64(row.text(0).dropFirst(Self.epochName.count)) {
                epochs[boot] = Self.time(row.integer(1))
            }
            return true
        }
        return epochs
    }
}
