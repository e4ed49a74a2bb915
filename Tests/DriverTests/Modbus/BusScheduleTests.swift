import Testing

@testable import Drivers

@Suite struct BusScheduleTests {
    private let start = ContinuousClock.now
    private func at(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }

    @Test func theLivingAreAskedInTurnAtTheirInterval() {
        var schedule = BusSchedule(units: [1, 2], interval: .milliseconds(250), at: start)
        #expect(schedule.next(at: at(0)) == .poll(unit: 1))
        #expect(schedule.answered(1, from: at(0), at: at(10)) == true)
        #expect(schedule.next(at: at(10)) == .poll(unit: 2))
        #expect(schedule.answered(2, from: at(10), at: at(20)) == true)
        #expect(schedule.next(at: at(20)) == .wait(until: at(250)))
        #expect(schedule.next(at: at(250)) == .poll(unit: 1))
        #expect(schedule.answered(1, from: at(250), at: at(260)) == false)
    }

    @Test func threeFailuresAreToldOnceAndBackOff() {
        var schedule = BusSchedule(units: [1], interval: .milliseconds(250), at: start)
        var now = 0
        var told: [Int] = []
        var pauses: [Int] = []
        for attempt in 1...12 {
            while case .wait(let until) = schedule.next(at: at(now)) {
                let pause = Int((until - at(now)).milliseconds)
                pauses.append(pause)
                now += pause
            }
            if schedule.failed(1, at: at(now)) { told.append(attempt) }
        }
        #expect(told == [3])
        #expect(pauses == [250, 250, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000])
        #expect(schedule.isAllDead)
        #expect(schedule.answered(1, from: at(now), at: at(now)) == true)
        #expect(!schedule.isAllDead)
    }

    /// Nine dead units and a living one: between two polls of the living one there is at most one of a dead.
    @Test func deadUnitsDelayALivingOneByOneReadAtMost() {
        var schedule = BusSchedule(units: Array(1...10), interval: .milliseconds(250), at: start)
        var now = 0
        var deadInARow = 0
        var isSettled = false
        var livingPolls = 0
        var deadPolls: Set<Int> = []
        while now < 120_000 {
            switch schedule.next(at: at(now)) {
            case .wait(let until): now += max(1, Int((until - at(now)).milliseconds))
            case .poll(unit: 5):
                #expect(!isSettled || deadInARow <= 1)
                deadInARow = 0
                livingPolls += 1
                _ = schedule.answered(5, from: at(now), at: at(now + 20))
                now += 20
            case .poll(let unit):
                deadInARow += 1
                if isSettled { deadPolls.insert(unit) }
                _ = schedule.failed(unit, at: at(now + 1000))
                now += 1000
                isSettled = isSettled || now > 40_000
            }
        }
        #expect(livingPolls > 200)
        #expect(deadPolls == [1, 2, 3, 4, 6, 7, 8, 9, 10])
    }

    @Test func busyIsPatientForThirtySeconds() {
        var schedule = BusSchedule(units: [1], interval: .milliseconds(250), at: start)
        for second in 0..<30 { #expect(schedule.busy(1, at: at(second * 1000)) == false) }
        #expect(!schedule.isAllDead)
        #expect(schedule.busy(1, at: at(30_000)) == false)
        #expect(schedule.busy(1, at: at(31_000)) == false)
        #expect(schedule.busy(1, at: at(32_000)) == true)
        #expect(schedule.isAllDead)
    }

    @Test func anAnswerEndsTheCount() {
        var schedule = BusSchedule(units: [1], interval: .milliseconds(250), at: start)
        for _ in 0..<5 {
            #expect(schedule.failed(1, at: at(0)) == false)
            #expect(schedule.failed(1, at: at(0)) == false)
            _ = schedule.answered(1, from: at(0), at: at(0))
        }
        #expect(!schedule.isAllDead)
    }

    @Test func aUnitThatIsNotThereHarmsNothing() {
        var schedule = BusSchedule(units: [1], interval: .milliseconds(250), at: start)
        #expect(schedule.failed(9, at: at(0)) == false)
        #expect(schedule.busy(9, at: at(0)) == false)
        #expect(schedule.answered(9, from: at(0), at: at(0)) == false)
        #expect(schedule.next(at: at(0)) == .poll(unit: 1))
    }

    /// What the living see of a bus in virtual time: their longest gap after `since`, and the shortest.
    private func gaps(
        units: Int, dead: Set<Int>, reply: Int, interval: Int, timeout: Int, from death: Int, until end: Int,
        known: Bool = true
    ) -> (longest: Int, shortest: Int, deadTries: Int) {
        var schedule = BusSchedule(
            units: Array(1...units), interval: .milliseconds(interval), timeout: { _ in .milliseconds(timeout) },
            shortest: .milliseconds(80), at: start)
        var now = 0
        var last: [Int: Int] = [:]
        var (longest, shortest, deadTries) = (0, Int.max, 0)
        while now < end {
            switch schedule.next(at: at(now)) {
            case .wait(let until): now += max(1, Int((until - at(now)).milliseconds))
            case .poll(let unit):
                let patience = Int(schedule.patience(unit, at: at(now)).milliseconds)
                if dead.contains(unit), !known || now >= death {
                    deadTries += 1
                    now += patience
                    _ = schedule.failed(unit, at: at(now))
                } else {
                    if now >= death, let before = last[unit] {
                        longest = max(longest, now - before)
                        shortest = min(shortest, now - before)
                    }
                    last[unit] = now
                    schedule.took(unit, .milliseconds(reply))
                    now += reply
                    _ = schedule.answered(unit, from: at(now - reply), at: at(now))
                }
            }
        }
        return (longest, shortest, deadTries)
    }

    /// One dead unit of four for 60 s: the others are read at less than twice their interval, and not more often after.
    @Test(arguments: [(250, 500), (250, 1000), (500, 500), (1000, 500), (1000, 1000), (200, 200), (250, 100)])
    func oneDeadOfFourHardlyDelaysTheOthers(interval: Int, timeout: Int) {
        for death in stride(from: 5000, to: 5000 + interval, by: 37) {
            let seen = gaps(
                units: 4, dead: [3], reply: 15, interval: interval, timeout: timeout, from: death, until: death + 60_000
            )
            // Half an interval is left for what the box itself takes, where replies do not need it.
            let most = max(interval * 3 / 2, interval + 80) + 3 * 15
            #expect(seen.longest <= min(most, interval * 2 - 1), "\(interval) \(timeout) \(death)")
            // No burst: what was late is not made up for by reading at once again.
            #expect(seen.shortest > 0 && seen.shortest >= interval - 2 * timeout)
            #expect((7...12).contains(seen.deadTries))
        }
    }

    @Test func threeDeadOfFourHardlyDelayTheLast() {
        // They fail in one row, once; after that only one of them is asked between two readings of the last.
        let seen = gaps(
            units: 4, dead: [1, 2, 4], reply: 15, interval: 250, timeout: 500, from: 5000, until: 65_000)
        #expect(seen.longest < 750)
        // A unit that was never heard gets its whole timeout every fourth time.
        let unknown = gaps(
            units: 4, dead: [2], reply: 15, interval: 250, timeout: 500, from: 5000, until: 65_000, known: false)
        #expect(unknown.longest <= 250 + 500 + 4 * 15)
    }

    @Test func aSlowUnitGetsItsTime() {
        var schedule = BusSchedule(
            units: [1, 2], interval: .milliseconds(250), timeout: { _ in .milliseconds(800) },
            shortest: .milliseconds(80),
            at: start)
        // Before anything is known of it.
        #expect(schedule.patience(1, at: at(0)) == .milliseconds(800))
        schedule.took(1, .milliseconds(20))
        _ = schedule.answered(1, from: at(0), at: at(20))
        schedule.took(2, .milliseconds(300))
        _ = schedule.answered(2, from: at(20), at: at(320))
        // Known to be slow.
        #expect(schedule.patience(2, at: at(330)) == .milliseconds(620))
        // Not known to be slow: what the other can spare.
        #expect(schedule.patience(1, at: at(330)) < .milliseconds(250))
        _ = schedule.failed(1, at: at(500))
        // Something came of it after all.
        schedule.wasLate(1)
        #expect(schedule.patience(1, at: at(600)) == .milliseconds(800))
        // Alone on its bus, it keeps nobody waiting.
        var alone = BusSchedule(
            units: [1], interval: .milliseconds(250), timeout: { _ in .milliseconds(800) }, at: start)
        schedule.took(1, .milliseconds(20))
        _ = alone.answered(1, from: at(0), at: at(20))
        #expect(alone.patience(1, at: at(250)) == .milliseconds(800))
    }

    /// A unit that has been away for long may come back slower: now and then it gets its whole timeout.
    @Test func aDeadUnitGetsItsWholeTimeNowAndThen() {
        var schedule = BusSchedule(
            units: [1, 2], interval: .milliseconds(250), timeout: { _ in .milliseconds(800) },
            shortest: .milliseconds(80),
            at: start)
        for unit in [1, 2] {
            schedule.took(unit, .milliseconds(20))
            _ = schedule.answered(unit, from: at(0), at: at(20))
        }
        _ = schedule.failed(2, at: at(500))
        #expect(schedule.patience(2, at: at(1000)) < .milliseconds(500))
        #expect(schedule.patience(2, at: at(301_000)) == .milliseconds(800))
        #expect(schedule.patience(2, at: at(361_000)) < .milliseconds(500))
    }
}
