/// The faults of paths and their ends: kept for two years and longer, whatever else the site's log may hold, and found
/// without reading all of it (EN 50136-1-1, fault records: at least two years, open to inspection).
///
/// They are kept by number and not by age: of a row that was written while the clock was unknown or wrong, nobody can say
/// how old it is. docs/decisions/0038-path-faults-kept.md.
extension Store {
    /// The newest so many are kept: 27 a day for two years. Older ones are like any other event of the log.
    static let faultLimit = 20_000
    /// How many batches `trim` reads in one go where it finds nothing to delete.
    static let trimReach = 8

    struct KeptFaults {
        /// The oldest of them.
        var from: Int64
        var count: Int64
    }

    /// As SQL says it: the points that `BoxTrouble` calls "path.NAME". Word for word the condition of the index.
    static let isPathFault = "point >= 'path.' AND point < 'path/'"

    /// An index of these rows alone: storing any other event does not touch it. Where it cannot be made now, for want of
    /// room, it is at the next start; all works without it, but slower.
    static func indexFaults(_ database: Database) throws(DatabaseError) {
        do throws(DatabaseError) {
            try database.execute("CREATE INDEX IF NOT EXISTS path_fault ON event (id) WHERE \(isPathFault)")
        } catch {
            if error.isDamage { throw error }
        }
    }

    func faults() throws(DatabaseError) -> KeptFaults {
        if let keptFaults { return keptFaults }
        let from =
            try database.number(
                "SELECT id FROM event WHERE \(Self.isPathFault) ORDER BY id DESC LIMIT 1 OFFSET ?",
                [.integer(Int64(Self.faultLimit) - 1)]) ?? 0
        let count =
            try database.number("SELECT count(*) FROM event WHERE \(Self.isPathFault) AND id >= ?", [.integer(from)])
            ?? 0
        let kept = KeptFaults(from: from, count: count)
        keptFaults = kept
        return kept
    }
}

extension Outbox {
    /// The newest faults of paths and their ends, oldest of them first.
    public func latestFaults(_ limit: Int) -> [StoredEvent] {
        (try? events("WHERE \(Store.isPathFault) ORDER BY id DESC LIMIT ?", [.integer(Int64(limit))]))?.suffix(limit)
            ?? []
    }
}

extension StoredEvent {
    /// It is a path's fault or its end.
    var isPathFault: Bool { Self.isPathFault(event.point) }
    static func isPathFault(_ point: String) -> Bool { point.utf8.starts(with: "path.".utf8) }
}
