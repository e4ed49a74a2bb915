import Glibc

/// What the housekeeping thread does for the outbox about once a second.
extension Outbox {
    /// What the outbox has noticed since the last call.
    public func takeNotices() -> [Notice] {
        queue.withLock { queue in
            defer { queue.notices = [] }
            return queue.notices
        }
    }

    func noteFilling(_ queue: inout Queue) {
        let percent = queue.unsent * 100 / max(1, limits.waitingEvents)
        if percent >= 50, !queue.fillingReported {
            queue.fillingReported = true
            queue.notices.append(.filling(percent: percent))
        } else if percent < 25, queue.fillingReported {
            queue.fillingReported = false
            queue.notices.append(.drained)
        }
    }

    /// Marks to be written, of the events for which `isMeant`. They stay until they are: meanwhile readers go by them.
    func pendingMarks(_ limit: Int, whose isMeant: (Int64) -> Bool) -> [Mark] {
        queue.withLock { queue in
            var found: [Mark] = []
            for mark in queue.marks {
                if found.count >= limit { break }
                if isMeant(mark.id) { found.append(mark) }
            }
            return found
        }
    }

    /// Drops the first so many of them, now that they are written. Others may have come meanwhile, but only behind.
    func forgetMarks(_ count: Int, whose isMeant: (Int64) -> Bool) {
        guard count > 0 else { return }
        queue.withLock { queue in
            var left = count
            queue.marks.removeAll { mark in
                guard left > 0, isMeant(mark.id) else { return false }
                left -= 1
                return true
            }
        }
    }

    /// Writes marks, takes a snapshot, moves the write-ahead log into the file, trims the site's log. Called about once
    /// a second by the daemon's housekeeping thread, and at the end with `closing`.
    public func keepHouse(closing: Bool = false) {
        // An alarm never waits for more than one small batch of marks, however many there are.
        for _ in 0..<(closing ? 10_000 : 100) {
            guard closing || marksAreDue, writeSomeMarks() else { break }
            // The lock is not fair: whoever waits for it needs a moment to get it.
            usleep(1000)
        }
        rereadUnreadable()
        writer.withLock { writer in
            returnToDisk(&writer)
            keepEpoch(&writer)
            let metDamage = queue.withLock { queue in
                defer { queue.metDamage = false }
                return queue.metDamage
            }
            if metDamage, writer.volatileFrom == nil { try? replaceDamaged(&writer) }
            do throws(DatabaseError) {
                guard writer.volatileFrom == nil else { return }
                if writer.sinceSnapshot >= 2000 || closing {
                    // An event whose mark is not written yet waits, as far as the file knows.
                    let oldest = queue.withLock { ([$0.waiting.oldest] + $0.marks.map(\.id)).compactMap { $0 }.min() }
                    try writer.store.snapshot(oldestWaiting: oldest)
                    writer.sinceSnapshot = 0
                }
                if writer.sinceCheckpoint >= 500 || closing {
                    try writer.store.database.checkpoint()
                    writer.sinceCheckpoint = 0
                }
                try writeAvailability(&writer, closing: closing)
                try trim(&writer)
                directory.lengthenLog()
            } catch {
                if error.isDamage { try? replaceDamaged(&writer) }
            }
        }
        directory.makeBallast()
        directory.forgetCleanStop()
    }

    /// A few marks are left for the next event to take along, which saves a sync; lost in a crash, they cost repeats.
    private var marksAreDue: Bool {
        let now = clock().uptime
        return queue.withLock { queue in
            guard !queue.marks.isEmpty else { return false }
            return queue.marks.count >= Self.fewMarks || now - queue.marksSince >= Self.markAge
        }
    }

    /// So many marks, or one so old in milliseconds, are written without waiting for an event.
    private static let fewMarks = 64
    private static let markAge: Int64 = 10_000

    /// Writes all marks that there are. Blocks for syncs.
    func writeMarks() {
        for _ in 0..<10_000 { guard writeSomeMarks() else { return } }
    }

    /// - Returns: whether there may be more.
    private func writeSomeMarks() -> Bool {
        writer.withLock { writer in
            let marks = pendingMarks(200, whose: writer.holds)
            let forgotten = writer.volatileFrom == nil ? queue.withLock(\.forgotten) : []
            guard !marks.isEmpty || !forgotten.isEmpty else { return false }
            let kept = forgotten.map { Kept(device: $0, bytes: []) }
            do throws(DatabaseError) { _ = try writer.store.commit([], marks: marks, keeping: kept, now: 0) } catch {
                // Any other failure is met again, and judged, by whoever stores the next event.
                if error.isDamage { queue.withLock { $0.metDamage = true } }
                return false
            }
            forgetMarks(marks.count, whose: writer.holds)
            queue.withLock { $0.forgotten.subtract(forgotten) }
            writer.sinceCheckpoint += marks.count
            return marks.count == 200
        }
    }

    private func trim(_ writer: inout Writer) throws(DatabaseError) {
        let rows: Int64
        if let known = writer.rows {
            rows = known
        } else {
            rows = try writer.store.database.number("SELECT count(*) FROM event") ?? 0
        }
        writer.rows = rows
        let kept = Int64(limits.logEvents + queue.withLock { $0.unsent })
        let bytes = try writer.store.bytesInUse()
        guard rows > kept || bytes > Int64(limits.storeBytes) else { return }
        // Faults of paths are kept beyond what the log may have.
        let faults = try writer.store.faults().count
        guard rows > kept + faults || bytes > Int64(limits.storeBytes) else { return }
        writer.rows = rows - Int64(try writer.store.trim(after: &writer.trimCursor))
    }
}
