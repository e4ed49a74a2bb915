import AlarmProtocol

/// What an uplink sends from: the outbox, or what stands in its place where nothing counts.
protocol EventSource: AnyObject {
    /// Called, on any thread, after events were stored.
    func onStored(_ handler: @escaping @Sendable () -> Void)
    func take(
        for receiver: String, over path: String, leftOver: Bool, moreUrgentThan limit: Urgency?, withoutLate: Bool
    ) -> Waiting.Taken?
    func worth(of id: Int64, for receiver: String, over path: String) -> Urgency?
    func read(_ id: Int64) throws(DatabaseError) -> StoredEvent?
    func event(_ id: Int64) -> StoredEvent?
    /// It could not be read lately, so that others go past it.
    func isSetAside(_ id: Int64) -> Bool
    /// It comes from before an outage.
    func isLate(_ id: Int64) -> Bool
    func release(_ id: Int64)
    func acknowledge(_ id: Int64, sent: Int64, path: String, tries: Int)
    /// - Returns: whether nobody is left to try.
    func refuse(_ id: Int64, by receiver: String, of all: Set<String>, isStillSent: Bool) -> Bool
    func park(_ id: Int64, reason: String, tries: Int)
    func isWaiting(_ id: Int64) -> Bool
    var waitingCount: Int { get }
    var mostUrgentWaiting: Urgency? { get }
    /// How every path is, told often; for the availability of what counts.
    func observe(_ facts: [Availability.Fact], at now: Moment)
}

extension EventSource {
    func observe(_ facts: [Availability.Fact], at now: Moment) {}
}

extension Outbox: EventSource {}

extension EventSource {
    /// What is sent from a copy is not set aside.
    func isSetAside(_ id: Int64) -> Bool { false }
}
