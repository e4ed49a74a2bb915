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
}
