import AlarmProtocol

/// What waits for a centre that does not count: copies, in memory, of events that the outbox has. What becomes of them is
/// compared and touches nothing there; nothing is read from the disk for it. An empty one serves an uplink that only
/// polls. Its limit is the comparison's. Used on the uplink's loop.
final class ShadowQueue: EventSource {
    private let clock: @Sendable () -> Moment
    private let told: (Outcome) -> Void
    private var waiting = Waiting()
    /// The new centre has agreed to a rate for what is late, too.
    private var ages = Ages()
    private var events: [Int64: Event] = [:]
    private var wake: (@Sendable () -> Void)?

    enum Outcome {
        case acknowledged(Int64, at: Int64)
        case refused(Int64)
        /// It could not be sent.
        case lost(Int64)
    }

    init(clock: @escaping @Sendable () -> Moment, told: @escaping (Outcome) -> Void) {
        self.clock = clock
        self.told = told
    }

    func add(_ arrivals: [Outbox.Arrival]) {
        for arrival in arrivals {
            waiting.add(arrival.id, point: arrival.event.point, urgency: arrival.event.urgency)
            events[arrival.id] = arrival.event
        }
        if let last = arrivals.last { ages.note(last.id, at: clock().uptime) }
        wake?()
    }

    func onStored(_ handler: @escaping @Sendable () -> Void) { wake = handler }

    func take(
        for receiver: String, over path: String, leftOver: Bool, moreUrgentThan limit: Urgency?, withoutLate: Bool
    ) -> Waiting.Taken? {
        if let from = ages.liveFrom(at: clock().uptime) { waiting.noteLate(before: from) }
        return leftOver
            ? waiting.takeLeftOver(for: receiver, over: path, moreUrgentThan: limit)
            : waiting.take(for: receiver, over: path, moreUrgentThan: limit, withoutLate: withoutLate)
    }

    func worth(of id: Int64, for receiver: String, over path: String) -> Urgency? {
        waiting.worth(of: id, for: receiver, over: path)
    }

    func read(_ id: Int64) throws(DatabaseError) -> StoredEvent? { event(id) }

    func event(_ id: Int64) -> StoredEvent? {
        events[id].map {
            StoredEvent(
                id: id, event: $0, state: .waiting, active: nil, stored: 0, boot: 0, sent: nil, path: nil, tries: 0,
                ended: nil, reason: nil)
        }
    }

    func isLate(_ id: Int64) -> Bool { waiting.isLate(id) }

    func release(_ id: Int64) { waiting.release(id) }

    func acknowledge(_ id: Int64, sent: Int64, path: String, tries: Int) {
        forget(id)
        told(.acknowledged(id, at: clock().uptime))
    }

    /// One receiver is all that there is: refused by it is refused.
    func refuse(_ id: Int64, by receiver: String, of all: Set<String>, isStillSent: Bool) -> Bool {
        forget(id)
        told(.refused(id))
        return false
    }

    func park(_ id: Int64, reason: String, tries: Int) {
        forget(id)
        told(.lost(id))
    }

    private func forget(_ id: Int64) {
        waiting.remove(id)
        events[id] = nil
    }

    func isWaiting(_ id: Int64) -> Bool { waiting.contains(id) }
    var waitingCount: Int { waiting.count }
    var mostUrgentWaiting: Urgency? { waiting.mostUrgent }
}
