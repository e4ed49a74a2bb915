import Synchronization

/// What a bus's readings leave behind: what pulses are counted from, kept while the bus is opened anew; and how each unit
/// does, for `larmnod bus`.
final class ModbusMemory: Sendable, Hashable {
    struct State {
        /// By point. Only of readings whose report is on disk.
        var watches: [String: PulseWatch] = [:]
        var units: [Int: UnitFigures] = [:]
        /// How often the bus has been opened.
        var openings = 0
    }

    private let state = Mutex(State())

    func with<Result: Sendable>(_ body: (inout State) -> Result) -> Result { state.withLock { body(&$0) } }

    static func == (a: ModbusMemory, b: ModbusMemory) -> Bool { a === b }
    func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

/// How one unit has done since larmnod started.
struct UnitFigures: Sendable, Hashable {
    /// Good polls and failed ones.
    var polls = 0
    var failures = 0
    /// How long a good poll took: all its requests, from the first to the end of the last reply.
    var last: Duration = .zero
    var longest: Duration = .zero
    var sum: Duration = .zero
    /// From the beginning of one good poll to the next, at most; not counted over a time in which the unit was in fault.
    var longestGap: Duration = .zero
    var lastStart: ContinuousClock.Instant?
    /// Why the last poll failed; nil when it did not.
    var trouble: String?
    var isDead = false

    var mean: Duration { polls > 0 ? sum / polls : .zero }

    mutating func answered(from start: ContinuousClock.Instant, at end: ContinuousClock.Instant) {
        polls += 1
        last = end - start
        sum += last
        longest = max(longest, last)
        if let lastStart { longestGap = max(longestGap, start - lastStart) }
        lastStart = start
        trouble = nil
        isDead = false
    }

    mutating func failed(_ why: String, isDead: Bool) {
        failures += 1
        trouble = why
        self.isDead = isDead
        lastStart = isDead ? nil : lastStart
    }
}
