/// Whether a new centre that counts does acknowledge, as long as the old one is there to go back to. Pure: times are
/// milliseconds of a clock that never steps.
///
/// Where both are silent the network is at fault, and going back would help nobody: only the time in which the old centre
/// answers counts. What waits from before that time is a backlog; it is measured by whether it moves at all, everything
/// newer by its own age.
struct Watch: Sendable {
    private struct Waiting: Sendable {
        var id: Int64
        var stored: Int64
    }

    /// Waiting events followed at a time: the oldest, and the newest.
    static let limit = 10_000
    /// How many of them are looked at in one go.
    private static let glance = 200

    private var waiting: [Waiting] = []
    private var began: Int64 = 0
    private(set) var oldAnswersSince: Int64?
    private(set) var newSilentSince: Int64?
    private var lastAcknowledged: Int64?
    private var hasRefused = false
    private var oldestLive: Int64?
    private var oldestLate: Int64?

    mutating func begin(_ now: Int64) {
        began = now
        newSilentSince = now
    }

    mutating func stored(_ id: Int64, at time: Int64) {
        // The oldest stays, as the witness of a backlog that does not move.
        if waiting.count >= Self.limit { waiting.remove(at: 1) }
        waiting.append(Waiting(id: id, stored: time))
    }

    /// What waits when it begins, oldest first.
    mutating func stored(_ ids: [Int64], at time: Int64) {
        for id in ids.prefix(1) + ids.dropFirst().suffix(Self.limit - 1) { stored(id, at: time) }
    }

    /// The new centre has acknowledged something.
    mutating func acknowledged(at now: Int64) { lastAcknowledged = now }

    /// Nobody is left who would take an event: the new centre has refused it for good.
    mutating func refused() { hasRefused = true }

    /// Now and then.
    /// - Parameters:
    ///   - oldAnswers: it has answered a link test lately.
    ///   - newAnswers: at least one path to it works.
    mutating func look(oldAnswers: Bool, newAnswers: Bool, _ now: Int64, isWaiting: (Int64) -> Bool) {
        oldAnswersSince = oldAnswers ? oldAnswersSince ?? now : nil
        newSilentSince = newAnswers ? nil : newSilentSince ?? now
        let gone = waiting.prefix { !isWaiting($0.id) }.count
        waiting.removeFirst(gone)
        oldestLive = nil
        oldestLate = nil
        guard let since = oldAnswersSince else { return }
        // They are in the order of their storing.
        let live = waiting.firstIndex { $0.stored >= since } ?? waiting.count
        oldestLate = live > 0 ? waiting[0].stored : nil
        let delivered = waiting[live...].prefix(Self.glance).prefix { !isWaiting($0.id) }.count
        waiting.removeSubrange(live..<live + delivered)
        if live < waiting.count, delivered < Self.glance { oldestLive = waiting[live].stored }
    }

    /// Why the old centre should come back; nil as long as it should not.
    func fault(within limit: Int64, _ now: Int64) -> String? {
        guard let since = oldAnswersSince else { return nil }
        let span = StatusScreen.span(limit / 1000)
        if hasRefused { return "the new centre has refused an event for good, and the old one answers" }
        if let silent = newSilentSince, now - max(silent, since) > limit {
            return "no path to the new centre has worked for \(span), and the old one answers"
        }
        if let stored = oldestLive, now - stored > limit {
            return "the new centre has left an event unacknowledged for \(span), and the old one answers"
        }
        if oldestLate != nil, now - max(since, lastAcknowledged ?? began) > limit {
            return "the new centre has acknowledged nothing of what waits for \(span), and the old one answers"
        }
        return nil
    }
}
