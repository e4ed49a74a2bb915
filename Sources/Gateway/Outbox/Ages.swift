/// Which events are late: stored so long ago that an outage must lie between. Remembers once a second how far the numbers
/// had come.
struct Ages: Sendable {
    /// After so long, in milliseconds, a waiting event is late. Well above what a working path needs, fail-over included.
    static let lateAfter: Int64 = 30_000
    private static let grain: Int64 = 1000

    /// (uptime, the last number stored by then), oldest first: at most one a grain.
    private var steps: [(at: Int64, last: Int64)] = []

    mutating func note(_ id: Int64, at now: Int64) {
        if let last = steps.last, now - last.at < Self.grain {
            steps[steps.count - 1].last = id
        } else {
            steps.append((now, id))
        }
    }

    /// The first event that is not late by now; nil where that has not changed.
    mutating func liveFrom(at now: Int64) -> Int64? {
        guard let first = steps.first, now - first.at >= Self.lateAfter else { return nil }
        var from: Int64?
        while let step = steps.first, now - step.at >= Self.lateAfter {
            from = step.last + 1
            steps.removeFirst()
        }
        return from
    }
}
