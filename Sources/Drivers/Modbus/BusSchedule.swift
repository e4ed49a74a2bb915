/// Whose turn it is on the bus. Pure.
///
/// A unit that answers is asked each interval. One that has failed three times in a row is dead: it is asked more and
/// more seldom, and at most once for each round of the living, so that any number of dead units delays a living one by
/// one failed read.
struct BusSchedule: Sendable {
    typealias Instant = ContinuousClock.Instant

    enum Step: Sendable, Hashable {
        case poll(unit: Int)
        case wait(until: Instant)
    }

    /// Failures in a row that make a unit dead.
    static let patience = 3
    static let firstPause: Duration = .seconds(1)
    static let longestPause: Duration = .seconds(60)
    /// How long a unit may say "busy" before it counts as failing, and how long it is left alone each time.
    static let busyPatience: Duration = .seconds(30)
    static let busyPause: Duration = .seconds(1)

    private struct Unit {
        let number: Int
        var due: Instant
        var failures = 0
        var pause = BusSchedule.firstPause
        var busySince: Instant?
        /// It has answered since the bus was opened, and is not dead.
        var isWell = false

        var isDead: Bool { failures >= BusSchedule.patience }
    }

    private var units: [Unit]
    private let interval: Duration
    /// Polls of living units since a dead one was last asked.
    private var livingPolls = 0

    init(units: [Int], interval: Duration, at now: Instant) {
        self.units = units.map { Unit(number: $0, due: now) }
        self.interval = interval
    }

    /// True when no unit is left that answers.
    var isAllDead: Bool { units.allSatisfy(\.isDead) }

    mutating func next(at now: Instant) -> Step {
        let living = units.indices.filter { !units[$0].isDead }.min { units[$0].due < units[$1].due }
        let dead = units.indices.filter { units[$0].isDead }.min { units[$0].due < units[$1].due }
        let round = units.count { !$0.isDead }
        if let dead, units[dead].due <= now, livingPolls >= round {
            livingPolls = 0
            return .poll(unit: units[dead].number)
        }
        if let living, units[living].due <= now {
            livingPolls = min(livingPolls + 1, round)
            return .poll(unit: units[living].number)
        }
        // A dead unit whose turn has not come waits for the living, whose turn is never far.
        let candidates = [living, livingPolls >= round ? dead : nil].compactMap { $0 }.map { units[$0].due }
        return .wait(until: candidates.min() ?? now + interval)
    }

    /// The unit answered a poll that was begun at `start`. True when that is news: the first time, or after a failure
    /// that was told.
    mutating func answered(_ number: Int, from start: Instant, at now: Instant) -> Bool {
        guard let index = index(of: number) else { return false }
        let isNews = !units[index].isWell
        units[index] = Unit(number: number, due: max(start + interval, now), isWell: true)
        return isNews
    }

    /// The unit did not answer, or not what was asked. True when it has just become dead.
    mutating func failed(_ number: Int, at now: Instant) -> Bool {
        guard let index = index(of: number) else { return false }
        units[index].failures = min(units[index].failures + 1, Self.patience + 1)
        guard units[index].isDead else {
            units[index].due = now + interval
            return false
        }
        units[index].due = now + units[index].pause
        units[index].pause = min(units[index].pause * 2, Self.longestPause)
        units[index].isWell = false
        return units[index].failures == Self.patience
    }

    /// The unit said that it is busy (exceptions 5 and 6). True when it has been so for too long and has just become dead.
    mutating func busy(_ number: Int, at now: Instant) -> Bool {
        guard let index = index(of: number) else { return false }
        let since = units[index].busySince ?? now
        units[index].busySince = since
        if now - since >= Self.busyPatience { return failed(number, at: now) }
        units[index].due = now + Self.busyPause
        return false
    }

    /// Nothing was asked of the unit, or it is to be asked again: its turn comes at this time.
    mutating func postpone(_ number: Int, to time: Instant) {
        if let index = index(of: number) { units[index].due = time }
    }

    /// There is something to write to these units: the living of them come next.
    mutating func hurry(_ numbers: Set<Int>, at now: Instant) {
        for index in units.indices where numbers.contains(units[index].number) && !units[index].isDead {
            units[index].due = min(units[index].due, now)
        }
    }

    /// The unit has not failed so often that it counts as dead.
    func isAlive(_ number: Int) -> Bool { index(of: number).map { !units[$0].isDead } ?? false }

    private func index(of number: Int) -> Int? { units.firstIndex { $0.number == number } }
}
