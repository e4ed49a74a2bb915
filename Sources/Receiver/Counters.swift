/// What has happened since the receiver was started.
public struct Counters: Sendable, Hashable {
    /// Whole frames, of any kind.
    public var frames = 0
    /// Messages taken, kept and handed on.
    public var events = 0
    /// Repeats of such messages: acknowledged again, not handed on again.
    public var repeats = 0
    /// Link tests.
    public var polls = 0
    /// Answered DUH.
    public var refused = 0
    /// Answered NAK.
    public var wrongTime = 0
    /// Not answered because nobody could tell what it was.
    public var ignored = 0
    /// Not answered because it could not be kept.
    public var failed = 0
    /// Answered badly on purpose.
    public var misbehaved = 0
    /// TCP connections closed because they were silent, or silent longest when there were too many.
    public var closed = 0

    public init() {}
}

/// Words for people, at most so many in ten seconds, so that a hostile sender fills no log.
struct Voice {
    static let limit = 50

    private let log: @Sendable (String) -> Void
    private var windowStart: Int64 = 0
    private var said = 0

    init(_ log: @escaping @Sendable (String) -> Void) { self.log = log }

    mutating func say(_ words: String, at utc: Int64) {
        if utc - windowStart >= 10_000 || utc < windowStart {
            if said > Self.limit { log("\(said - Self.limit) more lines were not shown.") }
            windowStart = utc
            said = 0
        }
        said += 1
        if said <= Self.limit { log(words) }
    }
}
