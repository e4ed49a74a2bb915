import AlarmProtocol
import Dispatch
import Synchronization

/// Events not yet acknowledged, on disk, and behind them the site's log. The only hand-over between the synchronous half
/// of the daemon (devices) and the asynchronous one (uplink).
///
/// Three locks, never held together except writer → queue:
/// - `writer`: the file. Held during a sync. What arrives meanwhile collects in `arrivals` and shares the next sync.
/// - `queue`: what waits, in memory. Held for microseconds; the uplink never waits for the disk.
/// - `reader`: a second connection, for reading one event at a time beside a running sync.
public final class Outbox: Sendable {
    public let limits: Limits
    let directory: StateDirectory
    private let clock: @Sendable () -> Moment
    private let arrivals = Mutex<[Batch]>([])
    private let writer: Mutex<Writer>
    private let reader: Mutex<Database?>
    private let queue: Mutex<Queue>

    private struct Writer {
        var store: Store
        var trimCursor: Int64 = 0
        var rows: Int64?
        var sinceSnapshot = 0
        var sinceCheckpoint = 0
        /// Why nothing could be stored the last time, until something could.
        var trouble: OutboxError?
    }

    private struct Queue {
        var waiting = Waiting()
        var marks: [Mark] = []
        var waiters: [Waiter] = []
        var onStored: (@Sendable () -> Void)?
        var notices: [Notice] = []
        var parked = 0
        var fillingReported = false

        /// - Returns: whom to tell that all they waited for is acknowledged.
        mutating func noteEnded(_ mark: Mark) -> [DispatchSemaphore] {
            guard !waiters.isEmpty, mark.state == .acknowledged else { return [] }
            var done: [DispatchSemaphore] = []
            for index in waiters.indices { waiters[index].ids.remove(mark.id) }
            waiters.removeAll { waiter in
                if waiter.ids.isEmpty { done.append(waiter.done) }
                return waiter.ids.isEmpty
            }
            return done
        }
    }

    private struct Waiter {
        var ids: Set<Int64>
        var done: DispatchSemaphore
    }

    /// One `append`, waiting for its group's sync.
    private final class Batch: Sendable {
        let events: [NewEvent]
        let result = Mutex<Result<[Int64], OutboxError>?>(nil)
        init(_ events: [NewEvent]) { self.events = events }
    }

    /// What the outbox found out about itself; becomes an event (promise 5).
    public enum Notice: Sendable, Equatable {
        /// The file was damaged and set aside: kept events, events known to be lost, where the old file lies.
        case damaged(kept: Int, lost: Int, file: String)
        case filling(percent: Int)
        case drained
        case cannotWrite(String)
        case canWriteAgain
    }

    /// Opens the outbox in a directory, or makes one; sets a damaged one aside and keeps what can be read.
    /// - Throws: `OutboxError`: another process owns it; the directory cannot be used.
    public init(directory path: String, limits: Limits = Limits(), clock: @escaping @Sendable () -> Moment) throws {
        self.limits = limits
        self.clock = clock
        directory = try StateDirectory(path)
        let opened = try Salvage.open(directory, boot: Self.bootNumber(), now: clock().utc)
        var first = Queue()
        for entry in opened.waiting { first.waiting.add(entry.id, point: entry.point, urgency: entry.urgency) }
        first.parked = Int((try? opened.store.database.number("SELECT count(*) FROM event WHERE state = 2")) ?? 0)
        first.notices = opened.notice.map { [$0] } ?? []
        queue = Mutex(first)
        reader = Mutex(try? Database(directory.file, .readOnly))
        writer = Mutex(Writer(store: opened.store))
        directory.makeBallast()
    }

    /// A number for this boot of the board, so that monotonic times are only compared within one.
    static func bootNumber() -> Int64 {
        let text = readFile("/proc/sys/kernel/random/boot_id") ?? ""
        return Int64(text.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 })
    }

    /// Called, on any thread, after events were stored.
    public func onStored(_ handler: @escaping @Sendable () -> Void) { queue.withLock { $0.onStored = handler } }

    /// The last stored state of every point that has one, for telling a change from a restart (promise 9).
    public func lastStates() -> [String: Bool] { writer.withLock { $0.store.states.mapValues(\.active) } }

    // MARK: In

    /// Stores events in one transaction; they are durable when it returns. Blocks for a sync; several threads' events
    /// share one.
    /// - Throws: `OutboxError` when nothing was stored: no room among the waiting (the last tenth is kept for fire and
    ///   danger), or the disk refuses.
    @discardableResult
    public func append(_ events: [NewEvent]) throws(OutboxError) -> [Int64] {
        guard !events.isEmpty else { return [] }
        try admit(events)
        let batch = Batch(events)
        arrivals.withLock { $0.append(batch) }
        writer.withLock { writer in
            // Whoever held the lock before us may have stored ours too.
            guard batch.result.withLock({ $0 == nil }) else { return }
            let group = arrivals.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
            commit(group, &writer)
        }
        return try batch.result.withLock { result throws(OutboxError) in
            guard let result else { throw OutboxError(kind: .cannotWrite, description: "\(directory.file): not stored") }
            return try result.get()
        }
    }

    private func admit(_ events: [NewEvent]) throws(OutboxError) {
        let urgent = events.allSatisfy { $0.event.urgency <= .danger }
        let room = urgent ? limits.waitingEvents : limits.waitingEvents / 10 * 9
        let count = queue.withLock { $0.waiting.count }
        guard count + events.count <= room else {
            throw OutboxError(
                kind: .full,
                description: """
                    \(count) events wait and the limit is \(limits.waitingEvents) (limits.waiting-events; the last tenth \
                    is kept for fire and danger): nothing more is taken until the centre has acknowledged some
                    """)
        }
    }

    private func commit(_ group: [Batch], _ writer: inout Writer) {
        let events = group.flatMap(\.events)
        let marks = takeMarks(limit: 64)
        do {
            let ids = try store(events, marks, &writer)
            settle(group, ids)
            let wake = queue.withLock { queue in
                for (id, new) in zip(ids, events) {
                    queue.waiting.add(
                        id, point: new.event.point, urgency: new.event.urgency, pinnedTo: new.onlyOver)
                }
                noteFilling(&queue)
                return queue.onStored
            }
            if writer.trouble != nil {
                writer.trouble = nil
                notice(.canWriteAgain)
            }
            wake?()
        } catch {
            queue.withLock { $0.marks.insert(contentsOf: marks, at: 0) }
            if writer.trouble == nil { notice(.cannotWrite(error.description)) }
            writer.trouble = error
            for batch in group { batch.result.withLock { $0 = .failure(error) } }
        }
    }

    private func settle(_ group: [Batch], _ ids: [Int64]) {
        var next = 0
        for batch in group {
            let own = Array(ids[next..<next + batch.events.count])
            next += batch.events.count
            batch.result.withLock { $0 = .success(own) }
        }
    }

    /// One commit, with the two mends that need nobody: room made on a full disk, a damaged file set aside.
    private func store(
        _ events: [NewEvent], _ marks: [Mark], _ writer: inout Writer
    ) throws(OutboxError) -> [Int64] {
        if writer.store.isUnsafe { writer.store.restoreFullSynchronisation() }
        guard !writer.store.isUnsafe else {
            throw OutboxError(kind: .unsafe, description: "\(directory.file): full synchronisation cannot be switched on")
        }
        do {
            let ids = try attempt(events, marks, &writer)
            writer.sinceSnapshot += events.count
            writer.sinceCheckpoint += events.count
            if let rows = writer.rows { writer.rows = rows + Int64(events.count) }
            return ids
        } catch {
            throw OutboxError(
                kind: error.isFull ? .full : error.isDamage ? .damaged : .cannotWrite,
                description: "the event could not be stored: \(error.description)")
        }
    }

    private func attempt(
        _ events: [NewEvent], _ marks: [Mark], _ writer: inout Writer
    ) throws(DatabaseError) -> [Int64] {
        let now = clock().utc
        do {
            return try writer.store.commit(events, marks: marks, now: now)
        } catch where error.isFull {
            directory.releaseBallast()
            _ = try? writer.store.trim(after: &writer.trimCursor)
            return try writer.store.commit(events, marks: marks, now: now)
        } catch where error.isDamage {
            try replaceDamaged(&writer)
            return try writer.store.commit(events, marks: [], now: now)
        }
    }

    /// The file turned out to be damaged while in use.
    private func replaceDamaged(_ writer: inout Writer) throws(DatabaseError) {
        reader.withLock { $0 = nil }
        let lastID = writer.store.nextID - 1
        do {
            let opened = try Salvage.setAsideAndKeep(
                directory, boot: writer.store.boot, now: clock().utc, lastKnownID: lastID, old: &writer.store)
            let kept = Set(opened.waiting.map(\.id))
            queue.withLock { queue in
                // What waits in memory and is not in the new file cannot be sent any more.
                for id in queue.waiting.all where !kept.contains(id) { queue.waiting.remove(id) }
                if let notice = opened.notice { queue.notices.append(notice) }
            }
        } catch let error as DatabaseError {
            throw error
        } catch {
            throw DatabaseError(code: 0, description: "\(error)")
        }
        reader.withLock { $0 = try? Database(directory.file, .readOnly) }
    }

    // MARK: Out. Called by the uplink: never blocks on a sync.

    /// The next event to send to a receiver over a path, by the rules of promise 3, marked as being sent.
    /// - Parameter leftOver: only one that no path before this one can carry.
    func take(for receiver: String, over path: String, leftOver: Bool = false) -> Waiting.Taken? {
        queue.withLock {
            leftOver
                ? $0.waiting.takeLeftOver(for: receiver, over: path) : $0.waiting.take(for: receiver, over: path)
        }
    }

    /// Not delivered this time.
    func release(_ id: Int64) { queue.withLock { $0.waiting.release(id) } }

    /// Reads one event. Nil when it cannot be read: the file is damaged there.
    public func event(_ id: Int64) -> StoredEvent? { events("WHERE id = ?", [.integer(id)]).first }

    /// A receiver said ACK.
    func acknowledge(_ id: Int64, sent: Int64, path: String, tries: Int) {
        end(
            Mark(
                id: id, state: .acknowledged, sent: sent, path: path, tries: tries, ended: clock().utc,
                reason: nil))
    }

    /// A receiver has refused it for good. - Returns: all receivers that have.
    func refuse(_ id: Int64, by receiver: String) -> Set<String> {
        queue.withLock { $0.waiting.refuse(id, by: receiver) }
    }

    /// Every receiver has refused it: kept, not sent, never in the way.
    func park(_ id: Int64, reason: String, tries: Int) {
        queue.withLock { $0.parked += 1 }
        end(Mark(id: id, state: .parked, sent: nil, path: nil, tries: tries, ended: clock().utc, reason: reason))
    }

    /// A named person gives up a waiting or parked event. - Returns: false when there is no such event.
    public func discard(_ id: Int64, by person: String, why: String) -> Bool {
        guard let stored = event(id), stored.state == .waiting || stored.state == .parked else { return false }
        if stored.state == .parked { queue.withLock { $0.parked -= 1 } }
        end(
            Mark(
                id: id, state: .discarded, sent: stored.sent, path: stored.path, tries: stored.tries,
                ended: clock().utc, reason: "discarded by \(person): \(why)"))
        return true
    }

    private func end(_ mark: Mark) {
        let done = queue.withLock { queue in
            queue.waiting.remove(mark.id)
            queue.marks.append(mark)
            noteFilling(&queue)
            return queue.noteEnded(mark)
        }
        for semaphore in done { semaphore.signal() }
    }

    /// Waits until all of the events are acknowledged, or the time has passed. - Returns: whether they are.
    public func waitUntilAcknowledged(_ ids: [Int64], atMost limit: Duration) -> Bool {
        let done = DispatchSemaphore(value: 0)
        let isOver = queue.withLock { queue in
            let open = Set(ids.filter { queue.waiting.contains($0) })
            if !open.isEmpty { queue.waiters.append(Waiter(ids: open, done: done)) }
            return open.isEmpty
        }
        if isOver { return true }
        let result = done.wait(timeout: .now() + .milliseconds(Int(limit.milliseconds)))
        return result == .success
    }

    // MARK: Looking

    public struct Summary: Sendable {
        public var waiting = 0
        public var mostUrgent: Urgency?
        public var oldest: Int64?
        public var parked = 0
        public var trouble: String?
    }

    public func summary() -> Summary {
        var summary = queue.withLock { queue in
            Summary(
                waiting: queue.waiting.count, mostUrgent: queue.waiting.mostUrgent, oldest: queue.waiting.oldest,
                parked: queue.parked)
        }
        summary.trouble = writer.withLock { $0.trouble?.description }
        return summary
    }

    var mostUrgentWaiting: Urgency? { queue.withLock { $0.waiting.mostUrgent } }
    public var waitingCount: Int { queue.withLock { $0.waiting.count } }

    /// Events after an identifier, oldest first; those whose outcome is not written yet are shown with it.
    public func list(after id: Int64, limit: Int, unsentOnly: Bool = false) -> [StoredEvent] {
        let filter = unsentOnly ? "AND state IN (0, 2)" : ""
        return events("WHERE id > ? \(filter) ORDER BY id LIMIT ?", [.integer(id), .integer(Int64(limit))])
            .filter { !unsentOnly || $0.state == .waiting || $0.state == .parked }
    }

    /// The newest events, oldest of them first.
    public func latest(_ limit: Int, unsentOnly: Bool = false) -> [StoredEvent] {
        let filter = unsentOnly ? "WHERE state IN (0, 2)" : ""
        return events("\(filter) ORDER BY id DESC LIMIT ?", [.integer(Int64(limit))]).reversed()
            .filter { !unsentOnly || $0.state == .waiting || $0.state == .parked }
    }

    private func events(_ condition: String, _ values: [Database.Value]) -> [StoredEvent] {
        let pending = queue.withLock { queue in
            Dictionary(queue.marks.map { ($0.id, $0) }, uniquingKeysWith: { _, last in last })
        }
        return reader.withLock { reader in
            if reader == nil { reader = try? Database(directory.file, .readOnly) }
            var events: [StoredEvent] = []
            do {
                try reader?.run("SELECT \(Store.columns) FROM event \(condition)", values) { row in
                    if let event = Store.event(row) { events.append(event) }
                    return true
                }
            } catch { reader = nil }
            return events.map { event in pending[event.id].map { event.with($0) } ?? event }
        }
    }

    // MARK: Keeping house

    /// What the outbox has noticed since the last call.
    public func takeNotices() -> [Notice] {
        queue.withLock { queue in
            defer { queue.notices = [] }
            return queue.notices
        }
    }

    private func notice(_ notice: Notice) { queue.withLock { $0.notices.append(notice) } }

    private func noteFilling(_ queue: inout Queue) {
        let percent = queue.waiting.count * 100 / max(1, limits.waitingEvents)
        if percent >= 50, !queue.fillingReported {
            queue.fillingReported = true
            queue.notices.append(.filling(percent: percent))
        } else if percent < 25, queue.fillingReported {
            queue.fillingReported = false
            queue.notices.append(.drained)
        }
    }

    private func takeMarks(limit: Int) -> [Mark] {
        queue.withLock { queue in
            let taken = Array(queue.marks.prefix(limit))
            queue.marks.removeFirst(taken.count)
            return taken
        }
    }

    /// Writes marks, takes a snapshot, moves the write-ahead log into the file, trims the site's log. Called about once
    /// a second by the daemon's housekeeping thread, and at the end with `closing`.
    public func keepHouse(closing: Bool = false) {
        writer.withLock { writer in
            do throws(DatabaseError) {
                try writeMarks(&writer)
                if writer.sinceSnapshot >= 2000 || closing {
                    try writer.store.snapshot(oldestWaiting: queue.withLock { $0.waiting.oldest })
                    writer.sinceSnapshot = 0
                }
                if writer.sinceCheckpoint >= 500 || closing {
                    try writer.store.database.checkpoint()
                    writer.sinceCheckpoint = 0
                }
                try trim(&writer)
            } catch {
                if error.isDamage { try? replaceDamaged(&writer) }
            }
        }
        directory.makeBallast()
    }

    private func writeMarks(_ writer: inout Writer) throws(DatabaseError) {
        while true {
            let marks = takeMarks(limit: 500)
            if marks.isEmpty { return }
            do { try writer.store.commit(marks: marks) } catch {
                queue.withLock { $0.marks.insert(contentsOf: marks, at: 0) }
                throw error
            }
            writer.sinceCheckpoint += marks.count
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
        let kept = Int64(limits.logEvents + queue.withLock { $0.waiting.count + $0.parked })
        let bytes = try writer.store.bytesInUse()
        guard rows > kept || bytes > Int64(limits.storeBytes) else { return }
        writer.rows = rows - Int64(try writer.store.trim(after: &writer.trimCursor))
    }
}

extension StoredEvent {
    fileprivate func with(_ mark: Mark) -> StoredEvent {
        var event = self
        event.state = mark.state
        event.sent = mark.sent
        event.path = mark.path
        event.tries = mark.tries
        event.ended = mark.ended
        event.reason = mark.reason
        return event
    }
}
