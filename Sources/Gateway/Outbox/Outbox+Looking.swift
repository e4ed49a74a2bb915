import AlarmProtocol
import Glibc

/// Reading events back: for sending, and for whoever asks.
extension Outbox {
    /// Reads one event; nil when there is no such event, or it cannot be read.
    public func event(_ id: Int64) -> StoredEvent? {
        (try? events("WHERE id = ?", [.integer(id)]))?.first
    }

    /// Reads one waiting event for sending, and some that follow it: a backlog is mostly sent in its order.
    /// - Returns: nil when there is no such event.
    /// - Throws: when it cannot be read now. Damage is seen to by the next `keepHouse`.
    func read(_ id: Int64) throws(DatabaseError) -> StoredEvent? {
        let (found, epochs) = reader.withLock { readers -> (StoredEvent?, [Int64: Int64]) in
            if let known = readers.ahead.removeValue(forKey: id) { return (known, readers.epochs) }
            // Where the others cannot be read, this one may be, by itself.
            let some =
                (try? Self.read(
                    directory.file, &readers.disk, "WHERE id >= ? ORDER BY id LIMIT ?",
                    [.integer(id), .integer(Self.readAhead)])) ?? []
            readers.ahead = Dictionary(
                some.filter { $0.state == .waiting }.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
            return (readers.ahead.removeValue(forKey: id), readers.epochs)
        }
        // What is not on the disk, or no longer waits, is looked for with all that is known.
        guard let found else {
            do throws(DatabaseError) {
                let found = try events("WHERE id = ?", [.integer(id)]).first
                noteReadable(id)
                return found
            } catch {
                noteUnreadable(id, error, at: clock().uptime)
                throw error
            }
        }
        return found.dated(by: epochs)
    }

    /// So often in a row, half a second apart, an event that is to be sent may not be readable before others go past it.
    private static let unreadableLimit = 3

    /// Whether the disk did not give it lately, so that others go past it.
    func isSetAside(_ id: Int64) -> Bool { queue.withLock { $0.waiting.isSetAside(id) } }

    private func noteReadable(_ id: Int64) {
        queue.withLock { queue in
            // Where one can be read again, the others may be.
            if queue.unreadable.removeValue(forKey: id) != nil { _ = queue.waiting.retryUnreadable() }
        }
    }

    private func noteUnreadable(_ id: Int64, _ error: DatabaseError, at now: Int64) {
        queue.withLock { queue in
            queue.unreadable[id, default: 0] += 1
            // Once the disk is known not to give them, what lies in memory does not wait for each in turn.
            guard queue.readTrouble != nil || queue.unreadable[id, default: 0] >= Self.unreadableLimit else { return }
            queue.waiting.setAside(id)
            queue.rereadAt = now + Self.rereadInterval
            guard queue.readTrouble == nil else { return }
            let event = "event \(StoredEvent.sequence(of: id))"
            queue.readTrouble = "\(event) cannot be read from the disk: \(error.description)"
            queue.notices.append(.cannotRead(queue.readTrouble ?? ""))
        }
    }

    /// How long an event that the disk does not give is left alone, in milliseconds.
    private static let rereadInterval: Int64 = 10_000

    /// What could not be read is tried again, one at a time; once nothing of it is left, that is told.
    func rereadUnreadable() {
        let now = clock().uptime
        let wake = queue.withLock { queue -> (@Sendable () -> Void)? in
            guard queue.readTrouble != nil else { return nil }
            queue.unreadable = queue.unreadable.filter { queue.waiting.contains($0.key) }
            if queue.unreadable.isEmpty {
                queue.readTrouble = nil
                queue.notices.append(.canReadAgain)
            }
            guard now >= queue.rereadAt, queue.waiting.retryUnreadable(atMost: 1) > 0 else { return nil }
            return queue.onStored
        }
        wake?()
    }

    /// How many events are read at a time.
    private static let readAhead: Int64 = 32

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
        queue.withLock { queue in
            Summary(
                waiting: queue.waiting.count, mostUrgent: queue.waiting.mostUrgent, oldest: queue.waiting.oldest,
                parked: queue.parked.count, isFilling: queue.unsent * 4 >= limits.waitingEvents,
                trouble: queue.trouble ?? queue.readTrouble)
        }
    }

    /// Neither the disk nor the room among the waiting takes another event.
    var takesNothing: Bool { queue.withLock { $0.trouble != nil || $0.unsent >= limits.waitingEvents } }

    /// The events that every receiver has refused.
    var parkedEvents: [Int64] { queue.withLock { $0.parked.sorted() } }
    var hasParked: Bool { queue.withLock { !$0.parked.isEmpty } }

    /// The event that said the last state of every point that has one.
    func lastEvents() -> [String: Int64] { writer.withLock { $0.store.states.mapValues(\.id) } }

    var mostUrgentWaiting: Urgency? { queue.withLock { $0.waiting.mostUrgent } }
    public var waitingCount: Int { queue.withLock { $0.waiting.count } }

    /// Events after an identifier, oldest first; those whose outcome is not written yet are shown with it.
    public func list(after id: Int64, limit: Int, unsentOnly: Bool = false) -> [StoredEvent] {
        let filter = unsentOnly ? "AND state IN (0, 2)" : ""
        let found = try? events("WHERE id > ? \(filter) ORDER BY id LIMIT ?", [.integer(id), .integer(Int64(limit))])
        return Array((found ?? []).filter { !unsentOnly || $0.state.isUnsent }.prefix(limit))
    }

    /// The newest events, oldest of them first.
    public func latest(_ limit: Int, unsentOnly: Bool = false) -> [StoredEvent] {
        let filter = unsentOnly ? "WHERE state IN (0, 2)" : ""
        let found = try? events("\(filter) ORDER BY id DESC LIMIT ?", [.integer(Int64(limit))])
        return (found ?? []).filter { !unsentOnly || $0.state.isUnsent }.suffix(limit)
    }

    /// Those of the given events whose wait has ended.
    func ended(among ids: Set<Int64>) -> [Int64] {
        queue.withLock { queue in ids.filter { !queue.waiting.contains($0) } }.sorted()
    }

    /// In the order of their identifiers, whatever the condition's.
    func events(_ condition: String, _ values: [Database.Value]) throws(DatabaseError) -> [StoredEvent] {
        let pending = queue.withLock { queue in
            Dictionary(queue.marks.map { ($0.id, $0) }, uniquingKeysWith: { _, last in last })
        }
        let (found, epochs) = try reader.withLock {
            (readers: inout Readers) throws(DatabaseError) -> ([StoredEvent], [Int64: Int64]) in
            var events: [StoredEvent] = []
            var refusal: DatabaseError?
            do throws(DatabaseError) { events = try Self.read(directory.file, &readers.disk, condition, values) } catch
            {
                refusal = error
            }
            noteRead(refusal)
            if let emergencyFile, access(emergencyFile, F_OK) == 0 {
                let known = Set(events.map(\.id))
                let more = (try? Self.read(emergencyFile, &readers.emergency, condition, values)) ?? []
                events += more.filter { !known.contains($0.id) }
            }
            // What lies in memory is read however badly the disk is.
            if let refusal, events.isEmpty { throw refusal }
            return (events, readers.epochs)
        }
        return found.map { event in
            let event = pending[event.id].map { event.with($0) } ?? event
            return event.dated(by: epochs)
        }.sorted { $0.id < $1.id }
    }

    /// How many reads in a row the disk may refuse before the file counts as damaged.
    private static let readLimit = 20

    private func noteRead(_ error: DatabaseError?) {
        queue.withLock { queue in
            guard let error else {
                queue.failedReads = 0
                return
            }
            if error.isUnreadable { queue.failedReads += 1 }
            if error.isDamage || queue.failedReads >= Self.readLimit { queue.metDamage = true }
        }
    }

    private static func read(
        _ file: String, _ database: inout Database?, _ condition: String, _ values: [Database.Value]
    ) throws(DatabaseError) -> [StoredEvent] {
        var events: [StoredEvent] = []
        do throws(DatabaseError) {
            if database == nil { database = try Database(file, .readOnly) }
            try database?.run("SELECT \(Store.columns) FROM event \(condition)", values) { row in
                events.append(Store.event(row))
                return true
            }
        } catch {
            database = nil
            throw error
        }
        return events
    }
}

extension StoredEvent {
    /// With the end of its wait, which may not be written yet.
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
