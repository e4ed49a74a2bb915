import AlarmProtocol
import Dispatch
import Glibc
import Synchronization

/// Events not yet acknowledged, on disk, and behind them the site's log. The only hand-over between the synchronous half
/// of the daemon (devices) and the asynchronous one (uplink).
///
/// Three locks, always taken in this order where more than one is held:
/// - `writer`: the file. Held during a sync. What arrives meanwhile collects in `arrivals` and shares the next sync.
/// - `reader`: a second connection, for reading one event at a time beside a running sync.
/// - `queue`: what waits, in memory. Held for microseconds; the uplink never waits for the disk.
///
/// Where the disk takes nothing any more (full, read-only, failing), events go through a store in memory instead, so that
/// alarms and the disk's own trouble still reach the centre. Such an event counts as taken only when a receiver has
/// acknowledged it: `append` waits for that, and withdraws it and throws where it does not come (promise 1 in spirit).
public final class Outbox: Sendable {
    public let limits: Limits
    let directory: StateDirectory
    /// This boot of the board: monotonic times are only compared within one.
    let boot = Outbox.bootNumber()
    let clock: @Sendable () -> Moment
    private let arrivals = Mutex<[Batch]>([])
    let writer: Mutex<Writer>
    let reader: Mutex<Readers>
    /// Where the store in memory lies: a file in a directory that is lost at a power cut.
    let emergencyFile: String?
    let queue: Mutex<Queue>
    /// How available the paths were. A lock of its own, held for microseconds, inside `writer` or alone.
    let book: Mutex<AvailabilityBook>

    struct Writer {
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
        /// This boot's epoch is in the store, or need not be yet.
        var keepsEpoch = false
        /// When the disk was last tried, in milliseconds of uptime.
        var triedDisk: Int64 = 0

        /// The newest events, for the case that the file proves to be damaged after it has taken them.
        private(set) var newest: [(id: Int64, event: NewEvent)] = []
        private static let newestLimit = 500

        mutating func remember(_ events: some Sequence<(Int64, NewEvent)>) {
            newest += events.map { (id: $0.0, event: $0.1) }
            // Cut now and then rather than each time.
            if newest.count > 2 * Self.newestLimit { newest.removeFirst(newest.count - Self.newestLimit) }
        }

        /// Whether an event lies where writing goes now.
        var holds: @Sendable (Int64) -> Bool {
            guard let volatileFrom else { return { _ in true } }
            return { $0 >= volatileFrom }
        }
    }

    struct Readers {
        var disk: Database?
        var emergency: Database?
        /// Events read before they are asked for. What waits does not change; what no longer waits is not asked for.
        var ahead: [Int64: StoredEvent] = [:]
        /// When each boot began, by the wall clock in milliseconds, of those whose clock was known.
        var epochs: [Int64: Int64] = [:]
    }

    struct Queue {
        var waiting = Waiting()
        /// Since when each waits, roughly.
        var ages = Ages()
        var marks: [Mark] = []
        /// Since when marks wait to be written, in milliseconds of uptime.
        var marksSince: Int64 = 0
        var waiters: [Waiter] = []
        var onStored: (@Sendable () -> Void)?
        var onEnded: (@Sendable (Int64, StoredEvent.State) -> Void)?
        var follower: (@Sendable ([Arrival]) -> Void)?
        var notices: [Notice] = []
        var parked: Set<Int64> = []
        /// What may not be deleted: a centre that refuses everything must not fill the disk either.
        var unsent: Int { waiting.count + parked.count }
        var fillingReported = false
        /// Why the disk takes nothing, for `summary`.
        var trouble: String?
        /// What is kept for each device, as its driver knows it: also while the disk gives and takes nothing.
        var kept: [String: [UInt8]] = [:]
        /// Devices whose kept bytes the disk still has to forget: the next commit takes them away.
        var forgotten: Set<String> = []
        /// A read has met damage: the next `keepHouse` sets the file aside.
        var metDamage = false
        /// Reads in a row that the disk refused.
        var failedReads = 0
        /// Events that the disk did not give when they were to be sent: how often each, in a row.
        var unreadable: [Int64: Int] = [:]
        /// Why, once that was told, and when those set aside are tried again, in milliseconds of uptime.
        var readTrouble: String?
        var rereadAt: Int64 = 0

        /// - Parameter isWritten: it is on disk; else the disk has to forget what it has.
        mutating func note(_ new: Kept, isWritten: Bool) {
            kept[new.device] = new.bytes.isEmpty ? nil : new.bytes
            if isWritten { forgotten.remove(new.device) } else { forgotten.insert(new.device) }
        }

        /// Tells those who wait for it.
        mutating func noteEnded(_ mark: Mark) {
            if mark.state == .parked { parked.insert(mark.id) } else { parked.remove(mark.id) }
            guard !waiters.isEmpty else { return }
            for index in waiters.indices where waiters[index].ids.remove(mark.id) != nil {
                if mark.state != .acknowledged { waiters[index].end.isRefused.store(true, ordering: .relaxed) }
            }
            waiters.removeAll { waiter in
                let isOver = waiter.ids.isEmpty || waiter.end.isRefused.load(ordering: .relaxed)
                if isOver { waiter.end.isReached.signal() }
                return isOver
            }
        }
    }

    struct Waiter {
        var ids: Set<Int64>
        let end: End

        final class End: Sendable {
            let isReached = DispatchSemaphore(value: 0)
            /// One of them was parked or discarded.
            let isRefused = Atomic(false)
        }
    }

    /// One `append`, waiting for its group's sync.
    private final class Batch: Sendable {
        let events: [NewEvent]
        let kept: Kept?
        /// The identifiers; and why they lie in memory only, where they do.
        let result = Mutex<Result<([Int64], OutboxError?), OutboxError>?>(nil)
        init(_ events: [NewEvent], _ kept: Kept?) {
            self.events = events
            self.kept = kept
        }
    }

    /// What the outbox found out about itself; becomes an event (promise 5).
    public enum Notice: Sendable, Equatable {
        /// The file was damaged and set aside: kept events, events known to be lost, where the old file lies.
        case damaged(kept: Int, lost: Int, file: String)
        case filling(percent: Int)
        case drained
        case cannotWrite(String)
        case canWriteAgain
        /// Waiting events that the disk does not give: they are set aside and tried again.
        case cannotRead(String)
        case canReadAgain
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
            opened = try Salvage.open(directory, boot: boot, now: clock().utc)
        } catch let error as OutboxError where error.kind == .cannotWrite || error.kind == .full {
            guard let emergencyFile else { throw error }
            opened = try Salvage.openCopy(of: directory, at: emergencyFile, boot: boot, now: clock().utc)
            trouble = error
        }
        var first = Queue()
        for entry in opened.waiting { first.waiting.add(entry.id, point: entry.point, urgency: entry.urgency) }
        // What has waited over a restart is late, however short it was.
        first.waiting.noteLate(before: opened.store.nextID)
        first.parked = (try? opened.store.parked()) ?? []
        first.notices = opened.notice.map { [$0] } ?? []
        if let trouble { first.notices.append(.cannotWrite(trouble.description)) }
        first.trouble = trouble?.description
        first.kept = opened.store.kept()
        queue = Mutex(first)
        reader = Mutex(Readers(epochs: opened.store.epochs()))
        let months = Availability((try? Store.availability(in: opened.store.database)) ?? [:])
        book = Mutex(AvailabilityBook(months: months, writtenAt: clock().uptime))
        var writer = Writer(store: opened.store)
        if let trouble {
            writer.trouble = trouble
            writer.volatileFrom = opened.store.nextID
        }
        self.writer = Mutex(writer)
        directory.makeBallast()
    }

    /// A number for this boot of the board.
    private static func bootNumber() -> Int64 {
        let text = readFile("/proc/sys/kernel/random/boot_id") ?? ""
        return Int64(text.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 })
    }

    /// Called, on any thread, after events were stored.
    public func onStored(_ handler: @escaping @Sendable () -> Void) { queue.withLock { $0.onStored = handler } }

    /// Called, on any thread, when an event is acknowledged, parked or discarded.
    public func onEnded(_ handler: @escaping @Sendable (Int64, StoredEvent.State) -> Void) {
        queue.withLock { $0.onEnded = handler }
    }

    /// An event that was just stored, and may go over any path.
    struct Arrival: Sendable {
        var id: Int64
        var event: Event
    }

    /// Told of what is stored, on any thread, before anybody can take it. Nil: nobody is told.
    func follow(_ follower: (@Sendable ([Arrival]) -> Void)?) { queue.withLock { $0.follower = follower } }

    /// The last stored state of every point that has one, for telling a change from a restart (promise 9).
    public func lastStates() -> [String: Bool] { writer.withLock { $0.store.states.mapValues(\.active) } }

    // MARK: In

    /// Stores events in one transaction; they are durable when it returns. Blocks for a sync; several threads' events
    /// share one.
    /// - Throws: `OutboxError` when nothing was stored: no room among the waiting (the last tenth is kept for fire and
    ///   danger), or the disk refuses.
    @discardableResult
    public func append(_ events: [NewEvent]) throws(OutboxError) -> [Int64] { try append(events, keeping: nil) }

    /// - Parameter kept: what a device's driver keeps, in the same transaction.
    @discardableResult
    func append(_ events: [NewEvent], keeping kept: Kept?) throws(OutboxError) -> [Int64] {
        guard !events.isEmpty else { return [] }
        try admit(events)
        let batch = Batch(events, kept)
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
        if let why = onlyInMemory {
            try awaitReceiver(ids, why)
            writer.withLock { $0.store.remember(events, ids) }
            // What was kept is told; what is to be kept now outlives no crash until the disk is back.
            if let kept { queue.withLock { $0.note(kept, isWritten: false) } }
        }
        return ids
    }

    private func admit(_ events: [NewEvent]) throws(OutboxError) {
        let urgent = events.allSatisfy { $0.event.urgency <= .danger }
        let room = urgent ? limits.waitingEvents : limits.waitingEvents / 10 * 9
        let count = queue.withLock { $0.unsent }
        guard count + events.count <= room else {
            throw OutboxError(
                kind: .full,
                description: """
                    \(count) events wait or are parked and the limit is \(limits.waitingEvents) (limits.waiting-events; the last tenth \
                    is kept for fire and danger): nothing more is taken until the centre has acknowledged some
                    """)
        }
    }

    private func commit(_ group: [Batch], _ writer: inout Writer) {
        let events = group.flatMap(\.events)
        let marks = pendingMarks(64, whose: writer.holds)
        let forgotten = queue.withLock(\.forgotten)
        let kept = forgotten.map { Kept(device: $0, bytes: []) } + group.compactMap(\.kept)
        do {
            let ids = try store(events, marks, kept, &writer)
            if writer.volatileFrom == nil {
                queue.withLock { queue in
                    queue.forgotten.subtract(forgotten)
                    for kept in group.compactMap(\.kept) { queue.note(kept, isWritten: true) }
                }
            }
            writer.remember(zip(ids, events))
            settle(group, ids, writer.volatileFrom == nil ? nil : writer.trouble)
            let now = clock().uptime
            if let follower = queue.withLock({ $0.follower }) {
                follower(
                    zip(ids, events).filter { $0.1.onlyOver == nil }.map {
                        Arrival(id: $0, event: $1.event)
                    })
            }
            let wake = queue.withLock { queue in
                for (id, new) in zip(ids, events) {
                    queue.waiting.add(
                        id, point: new.event.point, urgency: new.event.urgency, pinnedTo: new.onlyOver)
                }
                if let last = ids.last { queue.ages.note(last, at: now) }
                noteFilling(&queue)
                return queue.onStored
            }
            wake?()
        } catch {
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
        _ events: [NewEvent], _ marks: [Mark], _ kept: [Kept], _ writer: inout Writer
    ) throws(OutboxError) -> [Int64] {
        do throws(DatabaseError) {
            let ids = try attempt(events, marks, kept, &writer)
            forgetMarks(marks.count, whose: writer.holds)
            writer.sinceSnapshot += events.count
            writer.sinceCheckpoint += events.count
            if let rows = writer.rows { writer.rows = rows + Int64(events.count) }
            return ids
        } catch {
            let refusal = OutboxError(
                kind: error.isFull ? .full : error.isDamage ? .damaged : .cannotWrite,
                description: "the event could not be stored: \(error.description)")
            guard writer.volatileFrom == nil, goIntoMemory(&writer, refusal) else { throw refusal }
            do { return try writer.store.commit(events, marks: [], now: clock().utc) } catch { throw refusal }
        }
    }

    private func attempt(
        _ events: [NewEvent], _ marks: [Mark], _ kept: [Kept], _ writer: inout Writer
    ) throws(DatabaseError) -> [Int64] {
        let now = clock().utc
        do {
            return try writer.store.commit(events, marks: marks, keeping: kept, now: now)
        } catch  where error.isFull {
            directory.releaseBallast()
            _ = try? writer.store.trim(after: &writer.trimCursor)
            return try writer.store.commit(events, marks: marks, keeping: kept, now: now)
        } catch  where error.isDamage && writer.volatileFrom == nil {
            try replaceDamaged(&writer)
            return try writer.store.commit(events, marks: marks, keeping: kept, now: now)
        }
    }

}
