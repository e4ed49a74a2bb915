/// Whose turn it is on the bus, and how long its reply is waited for. Pure.
///
/// A unit that answers is asked each interval. One that has failed is asked apart, after a round of the others, when there
/// is the most time until one of them is due; one that has failed three times in a row is dead, and asked more and more
/// seldom. So any number of dead units delays a living one by one failed read, and that is kept so short that the living
/// one's readings come less than two intervals apart, where the line's speed and what is known of the silent unit's own
/// slowness allow it.
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
    /// A silent unit gets its whole timeout at least this often: it may have been replaced by a slower one.
    static let wholeTryEvery: Duration = .seconds(300)
    /// And every fourth time while it has never answered: nothing is known of it.
    static let wholeTryOf = 4

    /// How far apart a silent unit may push the others' readings: one and a half intervals. The other half of the second
    /// interval is for what the box itself takes: the commit of the fault, above all, on a slow card.
    static func farthestApart(_ interval: Duration) -> Duration { interval * 3 / 2 }

    private struct Unit {
        let number: Int
        /// The most that may be waited for its reply.
        let timeout: Duration
        var due: Instant
        /// When its last good poll began.
        var polled: Instant?
        var failures = 0
        var tries = 0
        var pause = BusSchedule.firstPause
        var busySince: Instant?
        /// It has answered since the bus was opened, and is not dead.
        var isWell = false
        /// The longest that a reply of it has taken; nil: it has never answered.
        var slowest: Duration?
        /// Something came of it after its time was up: it is slow, not dead.
        var isLate = false
        var wholeTry: Instant?

        var isDead: Bool { failures >= BusSchedule.patience }
        var isFailing: Bool { failures > 0 }
    }

    private var units: [Unit]
    private let interval: Duration
    /// What any reply needs: the frames' own time, and some for the unit to think.
    private let shortest: Duration
    /// Polls of the others since a failing unit became due.
    private var passedOver = 0

    init(
        units: [Int], interval: Duration, timeout: (Int) -> Duration = { _ in .zero }, shortest: Duration = .zero,
        at now: Instant
    ) {
        self.units = units.map { Unit(number: $0, timeout: timeout($0), due: now) }
        self.interval = interval
        self.shortest = shortest
    }

    /// True when no unit is left that answers.
    var isAllDead: Bool { units.allSatisfy(\.isDead) }

    mutating func next(at now: Instant) -> Step {
        let living = units.indices.filter { !units[$0].isFailing }.min { units[$0].due < units[$1].due }
        let failing = units.indices.filter { units[$0].isFailing }.min { units[$0].due < units[$1].due }
        let round = units.count { !$0.isFailing }
        let isPassedOver = failing.map { units[$0].due <= now } ?? false
        if let failing, isPassedOver, passedOver >= round,
            needed(units[failing], at: now) <= allowed(units[failing], at: now) || passedOver >= 2 * round
        {
            passedOver = 0
            return .poll(unit: units[failing].number)
        }
        if let living, units[living].due <= now {
            if isPassedOver { passedOver += 1 }
            return .poll(unit: units[living].number)
        }
        // A failing unit whose turn has come waits for the living, whose turn is never far.
        let candidates = [living, living == nil || !isPassedOver ? failing : nil].compactMap { $0 }.map {
            units[$0].due
        }
        return .wait(until: candidates.min() ?? now + interval)
    }

    /// How long the reply of a unit that is asked now is waited for.
    mutating func patience(_ number: Int, at now: Instant) -> Duration {
        guard let index = index(of: number) else { return .zero }
        let patience = min(units[index].timeout, max(needed(units[index], at: now), allowed(units[index], at: now)))
        units[index].tries += 1
        if patience == units[index].timeout { units[index].wholeTry = now }
        return patience
    }

    /// What a unit must be given at least.
    private func needed(_ unit: Unit, at now: Instant) -> Duration {
        if unit.isLate { return unit.timeout }
        guard let slowest = unit.slowest else {
            return unit.tries % Self.wholeTryOf == 0 ? unit.timeout : min(unit.timeout, shortest)
        }
        if unit.isFailing, let whole = unit.wholeTry ?? unit.polled, now - whole >= Self.wholeTryEvery {
            return unit.timeout
        }
        return min(unit.timeout, max(shortest, slowest * 2 + .milliseconds(20)))
    }

    /// What it may take without pushing another's readings too far apart.
    private func allowed(_ unit: Unit, at now: Instant) -> Duration {
        let others = units.filter { !$0.isFailing && $0.isWell && $0.number != unit.number }
        guard let first = others.compactMap(\.polled).min() else { return unit.timeout }
        return max(.zero, first + Self.farthestApart(interval) - now)
    }

    /// A unit's reply came after this time.
    mutating func took(_ number: Int, _ time: Duration) {
        guard let index = index(of: number) else { return }
        units[index].slowest = max(units[index].slowest ?? .zero, time)
    }

    /// Something came of the unit after its time was up.
    mutating func wasLate(_ number: Int) {
        if let index = index(of: number) { units[index].isLate = true }
    }

    /// The unit answered a poll that was begun at `start`. True when that is news: the first time, or after a failure
    /// that was told.
    mutating func answered(_ number: Int, from start: Instant, at now: Instant) -> Bool {
        guard let index = index(of: number) else { return false }
        let isNews = !units[index].isWell
        units[index].due = max(start + interval, now)
        units[index].polled = start
        units[index].failures = 0
        units[index].pause = Self.firstPause
        units[index].busySince = nil
        units[index].isWell = true
        units[index].isLate = false
        units[index].wholeTry = nil
        return isNews
    }

    /// The unit did not answer, or not what was asked. True when it has just become dead. It is not asked again before its
    /// late reply, if there is one, must have come.
    mutating func failed(_ number: Int, at now: Instant) -> Bool {
        guard let index = index(of: number) else { return false }
        units[index].failures = min(units[index].failures + 1, Self.patience + 1)
        let soonest = now + max(interval, units[index].timeout)
        guard units[index].isDead else {
            units[index].due = soonest
            return false
        }
        units[index].due = max(soonest, now + units[index].pause)
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

    /// It does not fail (a unit that says "busy" for a while does not).
    func isPatient(_ number: Int) -> Bool { index(of: number).map { !units[$0].isFailing } ?? true }

    /// Nothing was asked of the unit, or it is to be asked again: its turn comes at this time.
    mutating func postpone(_ number: Int, to time: Instant) {
        if let index = index(of: number) { units[index].due = time }
    }

    /// There is something to write to these units: the living of them come next.
    mutating func hurry(_ numbers: Set<Int>, at now: Instant) {
        for index in units.indices where numbers.contains(units[index].number) && !units[index].isFailing {
            units[index].due = min(units[index].due, now)
        }
    }

    /// The unit has not failed so often that it counts as dead.
    func isAlive(_ number: Int) -> Bool { index(of: number).map { !units[$0].isDead } ?? false }

    private func index(of number: Int) -> Int? { units.firstIndex { $0.number == number } }
}
