/// Whether a receiver takes our time: a trouble that lasts, told when it begins and when it ends. Pure; times are
/// milliseconds of a clock that never steps.
struct ClockFault: Sendable, Equatable {
    /// A link test that is acknowledged ends the trouble only so long after the last rejection: a receiver may take the
    /// time of link tests and not that of events.
    static let doubt: Int64 = 300_000

    private(set) var isTold = false
    private var lastRejection: Int64 = 0

    /// Time and again it is not taken. - Returns: whether that is news.
    mutating func rejected(_ now: Int64) -> Bool {
        lastRejection = now
        defer { isTold = true }
        return !isTold
    }

    /// A message with our time was acknowledged. - Returns: whether the trouble ends with it.
    mutating func taken(withEvent: Bool, _ now: Int64) -> Bool {
        guard isTold, withEvent || now - lastRejection >= Self.doubt else { return false }
        isTold = false
        return true
    }
}
