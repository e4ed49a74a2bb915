import AlarmProtocol
import Dispatch
import Glibc
import Synchronization

/// Events not yet acknowledged, on disk, and behind them the site's log. The only hand-over between the synchronous half
/// of the daemon (devices) and the asynchronous one (uplink).
///
/// Three locks, never held together except writer → queue:
/// - `writer`: the file. Held during a sync. What arrives meanwhile collects in `arrivals` and shares the next sync.
/// - `queue`: what waits, in memory. Held for microseconds; the uplink never waits for the disk.
/// - `reader`: a second connection, for reading one event at a time beside a running sync.
///
/// Where the disk takes nothing any more (full, read-only, failing), events go through a store in memory instead, so that
/// alarms and the disk's own trouble still reach the centre. Such an event counts as taken only when a receiver has
/// acknowledged it: `append` waits for that, and withdraws it and throws where it does not come (promise 1 in spirit).
public final class Outbox: Sendable {
    public let limits: Limits
    let directory: StateDirectory
    private let clock: @Sendable () -> Moment
    private let arrivals = Mutex<[Batch]>([])
    private let writer: Mutex<Writer>
    private let reader: Mutex<Readers>
    /// Where the store in memory lies: a file in a directory that is lost at a power cut.
    private let emergencyFile: String?
    private let queue: Mutex<Queue>

    private struct Writer {
        var store: Store
        var trimCursor: Int64 = 0
        var rows: Int64?
        var sinceSnapshot = 0
        /// How many appends the last commit carried.
        var lastGroup = 0
        var sinceCheckpoint = 0
        /// Why the disk takes nothing, until it does again.
        var trouble: OutboxError?
        /// The first identifier that lies in memory; nil while the disk works.
        var volatileFrom: Int64?
        /// When the disk was last tried, in milliseconds of uptime.
        var triedDisk: Int64 = 0
    }

    private struct Readers {
        var disk: Database?
        var emergency: Database?
    }

    private struct Queue {
        var waiting = Waiting()
        var marks: [Mark] = []
        var waiters: [Waiter] = []
        var onStored: (@Sendable () -> Void)?
        var notices: [Notice] = []
        var parked = 0
        var fillingReported = false
        /// A read has met damage: the next `keepHouse` sets the file aside.
        var metDamage = false

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
        /// The identifiers; and why they lie in memory only, where they do.
        let result = Mutex<Result<([Int64], OutboxError?), OutboxError>?>(nil)
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
    /// - Parameter emergency: a directory in memory (tmpfs), for when the disk takes nothing; nil for none.
    public init(
        directory path: String, emergency: String? = nil, limits: Limits = Limits(),
        clock: @escaping @Sendable () -> Moment
    ) throws {
        self.limits = limits
        self.clock = clock
        directory = try StateDirectory(path, orLockIn: emergency)
        emergencyFile = emergency.map { $0 + "/outbox-in-memory.db" }
        if let emergencyFile { Salvage.remove(emergencyFile) }
        let opened: Salvage.Opened
        var trouble: OutboxError?
        do {
            opened = try Salvage.open(directory, boot: Self.bootNumber(), now: clock().utc)
        } catch let error as OutboxError where error.kind == .cannotWrite || error.kind == .full {
            guard let emergencyFile else { throw error }
            opened = try Salvage.openCopy(of: directory, at: emergencyFile, boot: Self.bootNumber())
            trouble = error
        }
        var first = Queue()
        for entry in opened.waiting { first.waiting.add(entry.id, point: entry.point, urgency: entry.urgency) }
        first.parked = Int((try? opened.store.database.number("SELECT count(*) FROM event WHERE state = 2")) ?? 0)
        first.notices = opened.notice.map { [$0] } ?? []
        if let trouble { first.notices.append(.cannotWrite(trouble.description)) }
        queue = Mutex(first)
        reader = Mutex(Readers())
        var writer = Writer(store: opened.store)
        if let trouble {
            writer.trouble = trouble
            writer.volatileFrom = opened.store.nextID
        }
        self.writer = Mutex(writer)
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
            // Where several came together the last time, the others of that group are about to come again: half a
            // millisecond for them saves a sync each.
            if writer.lastGroup > 1 { usleep(500) }
            let group = arrivals.withLock { waiting in
                defer { waiting = [] }
                return waiting
            }
            writer.lastGroup = group.count
            commit(group, &writer)
        }
        let (ids, onlyInMemory) = try batch.result.withLock { result throws(OutboxError) in
            guard let result else {
                throw OutboxError(kind: .cannotWrite, description: "\(directory.file): not stored")
            }
            return try result.get()
        }
        if let why = onlyInMemory { try awaitReceiver(ids, why) }
        return ids
    }

    /// How long an event that lies only in memory waits for a receiver's ACK before it is given back.
    private static let memoryPatience = Duration.seconds(5)

    private func awaitReceiver(_ ids: [Int64], _ why: OutboxError) throws(OutboxError) {
        guard !waitUntilAcknowledged(ids, atMost: Self.memoryPatience) else { return }
        queue.withLock { queue in for id in ids { queue.waiting.remove(id) } }
        throw OutboxError(
            kind: why.kind,
            description: "\(why.description); and no receiver acknowledged it within \(Self.memoryPatience.described)")
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
        let marks = takeMarks(limit: 64, writer.volatileFrom)
        do {
            let ids = try store(events, marks, &writer)
            settle(group, ids, writer.volatileFrom == nil ? nil : writer.trouble)
            let wake = queue.withLock { queue in
                for (id, new) in zip(ids, events) {
                    queue.waiting.add(
                        id, point: new.event.point, urgency: new.event.urgency, pinnedTo: new.onlyOver)
                }
                noteFilling(&queue)
                return queue.onStored
            }
            wake?()
        } catch {
            queue.withLock { $0.marks.insert(contentsOf: marks, at: 0) }
            for batch in group { batch.result.withLock { $0 = .failure(error) } }
        }
    }

    private func settle(_ group: [Batch], _ ids: [Int64], _ onlyInMemory: OutboxError?) {
        var next = 0
        for batch in group {
            let own = Array(ids[next..<next + batch.events.count])
            next += batch.events.count
            batch.result.withLock { $0 = .success((own, onlyInMemory)) }
        }
    }

    /// One commit, with the mends that need nobody: room made on a full disk, a damaged file set aside, memory used
    /// where the disk refuses.
    private func store(
        _ events: [NewEvent], _ marks: [Mark], _ writer: inout Writer
    ) throws(OutboxError) -> [Int64] {
        do throws(DatabaseError) {
            let ids = try attempt(events, marks, &writer)
            writer.sinceSnapshot += events.count
            writer.sinceCheckpoint += events.count
            if let rows = writer.rows { writer.rows = rows + Int64(events.count) }
            return ids
        } catch {
            let refusal = OutboxError(
                kind: error.isFull ? .full : error.isDamage ? .damaged : .cannotWrite,
                description: "the event could not be stored: \(error.description)")
            guard writer.volatileFrom == nil, goIntoMemory(&writer, refusal) else { throw refusal }
            queue.withLock { $0.marks.insert(contentsOf: marks, at: 0) }
            do { return try writer.store.commit(events, marks: [], now: clock().utc) } catch { throw refusal }
        }
    }

    /// The disk refuses: from now on a store in memory takes the events. - Returns: false where there is none.
    private func goIntoMemory(_ writer: inout Writer, _ why: OutboxError) -> Bool {
        guard let emergencyFile else { return false }
        Salvage.remove(emergencyFile)
        let next = writer.store.nextID
        guard let store = try? Store(file: emergencyFile, boot: writer.store.boot, firstID: next) else { return false }
        store.adoptStates(of: writer.store)
        writer.volatileFrom = next
        writer.triedDisk = clock().uptime
        writer.trouble = why
        writer.store = store
        notice(.cannotWrite(why.description))
        return true
    }

    /// Tries the disk again, now and then. What lies in memory has been acknowledged or given back, so nothing moves.
    private func returnToDisk(_ writer: inout Writer) {
        guard let from = writer.volatileFrom, clock().uptime - writer.triedDisk >= 5000 else { return }
        writer.triedDisk = clock().uptime
        guard directory.isWritable, let store = try? Store(file: directory.file, boot: writer.store.boot) else {
            return
        }
        store.skip(to: writer.store.nextID)
        store.adoptStates(of: writer.store)
        let marks = queue.withLock { $0.marks.filter { $0.id < from } }
        // A commit that is synced is the proof that the disk takes events again.
        guard (try? store.commit([], marks: marks, now: clock().utc)) != nil else { return }
        queue.withLock { queue in queue.marks.removeAll { $0.id < from } }
        writer.store = store
        writer.volatileFrom = nil
        writer.trouble = nil
        writer.rows = nil
        directory.takeLock()
        notice(.canWriteAgain)
    }

    private func attempt(
        _ events: [NewEvent], _ marks: [Mark], _ writer: inout Writer
    ) throws(DatabaseError) -> [Int64] {
        let now = clock().utc
        do {
            return try writer.store.commit(events, marks: marks, now: now)
        } catch  where error.isFull {
            directory.releaseBallast()
            _ = try? writer.store.trim(after: &writer.trimCursor)
            return try writer.store.commit(events, marks: marks, now: now)
        } catch  where error.isDamage {
            try replaceDamaged(&writer)
            return try writer.store.commit(events, marks: [], now: now)
        }
    }

    /// The file turned out to be damaged while in use.
    private func replaceDamaged(_ writer: inout Writer) throws(DatabaseError) {
        reader.withLock { $0.disk = nil }
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
    }

    // MARK: Out. Called by the uplink: never blocks on a sync.

    /// The next event to send to a receiver over a path, by the rules of promise 3, marked as being sent.
    /// - Parameters:
    ///   - leftOver: only one that no path before this one can carry.
    ///   - limit: only one more urgent than this.
    func take(
        for receiver: String, over path: String, leftOver: Bool = false, moreUrgentThan limit: Urgency? = nil
    ) -> Waiting.Taken? {
        queue.withLock {
            leftOver
                ? $0.waiting.takeLeftOver(for: receiver, over: path, moreUrgentThan: limit)
                : $0.waiting.take(for: receiver, over: path, moreUrgentThan: limit)
        }
    }

    /// What an event on its way is worth by now; nil where it may not be sent to this receiver over this path.
    func worth(of id: Int64, for receiver: String, over path: String) -> Urgency? {
        queue.withLock { $0.waiting.worth(of: id, for: receiver, over: path) }
    }

    /// Not delivered this time.
    func release(_ id: Int64) { queue.withLock { $0.waiting.release(id) } }

    /// Reads one event; nil when there is no such event, or it cannot be read.
    public func event(_ id: Int64) -> StoredEvent? { try? read(id) }

    /// Reads one event for sending. - Returns: nil when there is no such event.
    /// - Throws: when it cannot be read now. Damage is seen to by the next `keepHouse`.
    func read(_ id: Int64) throws(DatabaseError) -> StoredEvent? {
        try events("WHERE id = ?", [.integer(id)]).first
    }

    /// A receiver said ACK.
    func acknowledge(_ id: Int64, sent: Int64, path: String, tries: Int) {
        end(
            Mark(
                id: id, state: .acknowledged, sent: sent, path: path, tries: tries, ended: clock().utc,
                reason: nil))
    }

    /// A receiver has refused it for good.
    /// - Parameters:
    ///   - all: the receivers that there are.
    ///   - isStillSent: a copy of it is on its way over another path.
    /// - Returns: whether nobody is left to try.
    func refuse(_ id: Int64, by receiver: String, of all: Set<String>, isStillSent: Bool) -> Bool {
        queue.withLock { queue in
            let refusals = queue.waiting.refuse(id, by: receiver, isStillSent: isStillSent)
            guard !refusals.isEmpty else { return false }
            return queue.waiting.isPinned(id) || refusals.isSuperset(of: all)
        }
    }

    /// Whether it has still to be delivered.
    func isWaiting(_ id: Int64) -> Bool { queue.withLock { $0.waiting.contains(id) } }

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
        if done.wait(timeout: .now() + .milliseconds(Int(limit.milliseconds))) == .success { return true }
        queue.withLock { queue in queue.waiters.removeAll { $0.done === done } }
        return false
    }

    // MARK: Looking

    public struct Summary: Sendable {
        public var waiting = 0
        public var mostUrgent: Urgency?
        public var oldest: Int64?
        public var parked = 0
        /// More than a quarter of the room is taken.
        public var isFilling = false
        public var trouble: String?
    }

    public func summary() -> Summary {
        var summary = queue.withLock { queue in
            Summary(
                waiting: queue.waiting.count, mostUrgent: queue.waiting.mostUrgent, oldest: queue.waiting.oldest,
                parked: queue.parked, isFilling: queue.waiting.count * 4 >= limits.waitingEvents)
        }
        summary.trouble = writer.withLock { $0.trouble?.description }
        return summary
    }

    var mostUrgentWaiting: Urgency? { queue.withLock { $0.waiting.mostUrgent } }
    public var waitingCount: Int { queue.withLock { $0.waiting.count } }

    /// Events after an identifier, oldest first; those whose outcome is not written yet are shown with it.
    public func list(after id: Int64, limit: Int, unsentOnly: Bool = false) -> [StoredEvent] {
        let filter = unsentOnly ? "AND state IN (0, 2)" : ""
        let found = try? events("WHERE id > ? \(filter) ORDER BY id LIMIT ?", [.integer(id), .integer(Int64(limit))])
        return (found ?? []).filter { !unsentOnly || $0.state == .waiting || $0.state == .parked }
    }

    /// The newest events, oldest of them first.
    public func latest(_ limit: Int, unsentOnly: Bool = false) -> [StoredEvent] {
        let filter = unsentOnly ? "WHERE state IN (0, 2)" : ""
        let found = try? events("\(filter) ORDER BY id DESC LIMIT ?", [.integer(Int64(limit))])
        return (found ?? []).reversed().filter { !unsentOnly || $0.state == .waiting || $0.state == .parked }
    }

    private func events(_ condition: String, _ values: [Database.Value]) throws(DatabaseError) -> [StoredEvent] {
        let pending = queue.withLock { queue in
            Dictionary(queue.marks.map { ($0.id, $0) }, uniquingKeysWith: { _, last in last })
        }
        let found = try reader.withLock { (readers: inout Readers) throws(DatabaseError) -> [StoredEvent] in
            var events = try read(directory.file, &readers.disk, condition, values)
            if let emergencyFile, access(emergencyFile, F_OK) == 0 {
                let known = Set(events.map(\.id))
                let more = (try? read(emergencyFile, &readers.emergency, condition, values)) ?? []
                events += more.filter { !known.contains($0.id) }
            }
            return events
        }
        return found.map { event in pending[event.id].map { event.with($0) } ?? event }
    }

    private func read(
        _ file: String, _ database: inout Database?, _ condition: String, _ values: [Database.Value]
    ) throws(DatabaseError) -> [StoredEvent] {
        var events: [StoredEvent] = []
        do throws(DatabaseError) {
            if database == nil { database = try Database(file, .readOnly) }
            try database?.run("SELECT \(Store.columns) FROM event \(condition)", values) { row in
                if let event = Store.event(row) { events.append(event) }
                return true
            }
        } catch {
            database = nil
            if error.isDamage { queue.withLock { $0.metDamage = true } }
            throw error
        }
        return events
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

    /// Marks that can be written now: those of events on a disk that takes nothing wait until it does.
    private func takeMarks(limit: Int, _ volatileFrom: Int64?) -> [Mark] {
        queue.withLock { queue in
            guard let volatileFrom else {
                let taken = Array(queue.marks.prefix(limit))
                queue.marks.removeFirst(taken.count)
                return taken
            }
            let taken = Array(queue.marks.filter { $0.id >= volatileFrom }.prefix(limit))
            let ids = Set(taken.map(\.id))
            queue.marks.removeAll { ids.contains($0.id) }
            return taken
        }
    }

    /// Writes marks, takes a snapshot, moves the write-ahead log into the file, trims the site's log. Called about once
    /// a second by the daemon's housekeeping thread, and at the end with `closing`.
    public func keepHouse(closing: Bool = false) {
        writer.withLock { writer in
            returnToDisk(&writer)
            let metDamage = queue.withLock { queue in
                defer { queue.metDamage = false }
                return queue.metDamage
            }
            if metDamage, writer.volatileFrom == nil { try? replaceDamaged(&writer) }
            do throws(DatabaseError) {
                try writeMarks(&writer)
                guard writer.volatileFrom == nil else { return }
                if writer.sinceSnapshot >= 2000 || closing {
                    try writer.store.snapshot(oldestWaiting: queue.withLock { $0.waiting.oldest })
                    writer.sinceSnapshot = 0
                }
                if writer.sinceCheckpoint >= 500 || closing {
                    try writer.store.database.checkpoint()
                    writer.sinceCheckpoint = 0
                }
                try trim(&writer)
                directory.lengthenLog()
            } catch {
                if error.isDamage { try? replaceDamaged(&writer) }
            }
        }
        directory.makeBallast()
    }

    private func writeMarks(_ writer: inout Writer) throws(DatabaseError) {
        while true {
            let marks = takeMarks(limit: 500, writer.volatileFrom)
            if marks.isEmpty { return }
            do { _ = try writer.store.commit([], marks: marks, now: 0) } catch {
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
