/// Judges one supervised loop over time: readings in, states out. Pure.
///
/// A state counts when the median of the last three readings has been in it for 300 ms. A loop that goes on changing and
/// stays in no state for so long is unsteady: a fault.
struct LoopJudge: Sendable {
    typealias Instant = ContinuousClock.Instant

    enum Verdict: Sendable, Hashable {
        /// The loop is in this state since then.
        case state(LoopWiring.State, since: Instant)
        /// It changes between states and stays in none; why, in words.
        case unsteady(String)
        /// It is steady (again); told before its state.
        case steady
    }

    /// How long a state must stand to count.
    static let persistence = Duration.milliseconds(300)
    /// A loop that stays in no state for this long is unsteady.
    static let patience = Duration.seconds(2)
    /// It is steady again when it has stayed in one state for this long.
    static let recovery = Duration.seconds(10)

    let wiring: LoopWiring
    /// What was last told; nil before the first.
    private(set) var told: LoopWiring.State?
    private(set) var isUnsteady = false
    /// The last readings, the newest last, at most three.
    private var recent: [(reading: Double, at: Instant)] = []
    /// The state of the median, and since when.
    private var standing: (state: LoopWiring.State, since: Instant)?
    /// When it last began to move; nil when it stands still.
    private var moving: Instant?
    /// The states since then.
    private var between: Set<LoopWiring.State> = []

    init(_ wiring: LoopWiring) { self.wiring = wiring }

    /// What one reading brings: what is news of the loop.
    /// - Parameter reading: a part of the reference; beyond 0 and 1 it counts as those. What is no number is an open loop.
    mutating func take(_ reading: Double, at now: Instant) -> [Verdict] {
        let reading = reading.isNaN ? 1 : max(0, min(1, reading))
        recent.append((reading, now))
        if recent.count > 3 { recent.removeFirst() }
        move(to: wiring.state(at: median, before: standing?.state), at: now)
        guard let standing else { return [] }
        var verdicts: [Verdict] = []
        // The median is late to leave a state, too: only a reading that is in it shows that it still stands.
        let isIn = wiring.state(at: reading, before: standing.state) == standing.state
        if isIn, now - standing.since >= Self.persistence {
            moving = nil
            between = []
            if isUnsteady ? now - standing.since >= Self.recovery : told == nil {
                isUnsteady = false
                verdicts.append(.steady)
            }
            if standing.state != told {
                told = standing.state
                verdicts.append(.state(standing.state, since: standing.since))
            }
        } else if let moving, now - moving >= Self.patience, !isUnsteady {
            isUnsteady = true
            let names = LoopWiring.State.allCases.filter(between.contains).map { "\($0)" }.joined(separator: ", ")
            verdicts.append(
                .unsteady(
                    "the loop jumps between \(names) and stays in none for \(Self.persistence.described): look for a loose "
                        + "connection, moisture or interference"))
        }
        return verdicts
    }

    private var median: Double {
        let sorted = recent.map(\.reading).sorted()
        return recent.count == 3 ? sorted[1] : recent.last?.reading ?? 1
    }

    private mutating func move(to state: LoopWiring.State, at now: Instant) {
        between.insert(state)
        guard state != standing?.state else { return }
        // It began with the oldest of the readings in a row that are in the new state: the median was late to say so.
        let since = recent.reversed().prefix { wiring.state(at: $0.reading, before: state) == state }.last?.at ?? now
        standing = (state, since)
        moving = moving ?? since
    }
}
