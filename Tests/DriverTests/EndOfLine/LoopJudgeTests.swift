import AlarmProtocol
import Testing

@testable import Drivers

private typealias State = LoopWiring.State

/// Wirings by ohms of the whole loop: pull-up, normal, alarm, masked (nil: an open loop; -1: there is no such state).
private func wiring(_ pullUp: Int, _ normal: Int?, _ alarm: Int?, masked: Int? = -1) throws -> LoopWiring {
    try LoopWiring(
        normal: LoopWiring.ratio(ohms: normal, pullUp: pullUp), alarm: LoopWiring.ratio(ohms: alarm, pullUp: pullUp),
        masked: masked == -1 ? nil : LoopWiring.ratio(ohms: masked, pullUp: pullUp))
}

private let start = ContinuousClock.now

/// Takes one reading every 100 ms.
private struct Feed {
    var judge: LoopJudge
    var time = 0
    var states: [State] = []
    var words: [String] = []

    init(_ wiring: LoopWiring) { judge = LoopJudge(wiring) }

    mutating func take(_ reading: Double, times: Int = 1, every step: Int = 100) {
        for _ in 0..<times {
            for verdict in judge.take(reading, at: start + .milliseconds(time)) {
                switch verdict {
                case .state(let state, _): states.append(state)
                case .unsteady(let why): words.append(why)
                case .steady: words.append("steady")
                }
            }
            time += step
        }
    }
}

@Suite struct LoopWiringTests {
    /// The readings that the usual wirings give, by Ohm's law.
    @Test func everyWiringReadsItsStates() throws {
        let cases: [(LoopWiring, [(Double, State)])] = [
            (try wiring(1000, 0, nil), [(0, .normal), (0.45, .normal), (0.55, .alarm), (1, .alarm)]),
            (try wiring(1000, nil, 0), [(0, .alarm), (0.45, .alarm), (0.55, .normal), (1, .normal)]),
            (try wiring(2200, 2200, nil), [(0, .short), (0.5, .normal), (1, .alarm)]),
            (try wiring(2200, 2200, 0), [(0, .alarm), (0.5, .normal), (1, .open)]),
            (
                try wiring(1000, 1000, 2000),
                [
                    (0, .short), (0.19, .short), (0.21, .normal), (0.5, .normal), (0.57, .normal), (0.6, .alarm),
                    (0.6667, .alarm), (0.82, .alarm), (0.84, .open), (1, .open),
                ]
            ),
            (try wiring(4700, 4700, 9400), [(0, .short), (0.5, .normal), (0.6667, .alarm), (1, .open)]),
            (
                try wiring(4700, 4700, 9400, masked: 26_700),
                [(0, .short), (0.5, .normal), (0.6667, .alarm), (0.8503, .masked), (1, .open)]
            ),
            (try wiring(1000, 4700, 427), [(0, .short), (0.2992, .alarm), (0.8246, .normal), (1, .open)]),
            // An alarm that lowers the resistance: the contact bridges half of the loop.
            (try wiring(5000, 10_000, 5000), [(0, .short), (0.5, .alarm), (0.6667, .normal), (1, .open)]),
        ]
        for (wiring, readings) in cases {
            for (reading, state) in readings { #expect(wiring.state(at: reading) == state, "\(reading) of \(wiring)") }
        }
    }

    @Test func resistorsAreReadAsPrinted() {
        let codes: [(String, Int?)] = [
            ("470", 470), ("4k7", 4700), ("22k", 22_000), ("1M", 1_000_000), ("0", 0), ("2k2", 2200), ("5K6", 5600),
            ("1k05", 1050), ("", nil), ("k", nil), ("4k7k", nil), ("-1", nil), ("4k-7", nil), ("99999999999999", nil),
            ("4,7k", nil), ("9223372M", 9_223_372_000_000), ("1k2345", nil),
        ]
        for (code, ohms) in codes { #expect(SupervisedLoop.resistance(code) == ohms, "\(code)") }
    }

    @Test func statesThatReadAlikeAreRefused() {
        #expect(throws: LoopWiring.TooNear.self) { try LoopWiring(normal: 0.5, alarm: 0.55) }
        #expect(throws: LoopWiring.TooNear.self) { try LoopWiring(normal: 0, alarm: 0) }
        #expect(throws: LoopWiring.TooNear.self) { try LoopWiring(normal: 0.05, alarm: 0.5) }
        #expect(throws: LoopWiring.TooNear.self) { try LoopWiring(normal: 0.5, alarm: 0.7, masked: 0.95) }
        #expect(throws: LoopWiring.TooNear.self) { try LoopWiring(normal: .nan, alarm: 0.5) }
    }
}

@Suite struct LoopJudgeTests {
    /// From a short to a cut and back, in steps of a thousandth: each state once, in order.
    @Test func aSweepCrossesExactlyTheStates() throws {
        let cases: [(LoopWiring, [State])] = [
            (try wiring(1000, 0, nil), [.normal, .alarm]),
            (try wiring(2200, 2200, nil), [.short, .normal, .alarm]),
            (try wiring(1000, 1000, 2000), [.short, .normal, .alarm, .open]),
            (try wiring(4700, 4700, 9400, masked: 26_700), [.short, .normal, .alarm, .masked, .open]),
            (try wiring(1000, 4700, 427), [.short, .alarm, .normal, .open]),
        ]
        for (wiring, order) in cases {
            var feed = Feed(wiring)
            for step in 0...1000 { feed.take(Double(step) / 1000) }
            #expect(feed.states == order)
            for step in (0..<1000).reversed() { feed.take(Double(step) / 1000) }
            #expect(feed.states == order + order.reversed().dropFirst())
            #expect(feed.words == ["steady"])
        }
    }

    /// Up and down the borders are 6 % apart.
    @Test func bordersAreCrossedWithHysteresis() throws {
        let wiring = try wiring(1000, 1000, 2000)
        #expect(wiring.state(at: 0.61, before: .normal) == .normal)
        #expect(wiring.state(at: 0.614, before: .normal) == .alarm)
        #expect(wiring.state(at: 0.556, before: .alarm) == .alarm)
        #expect(wiring.state(at: 0.552, before: .alarm) == .normal)
        // A state far off is not held by its hysteresis.
        #expect(wiring.state(at: 0.84, before: .normal) == .open)
    }

    /// Noise of 2.9 % to either side of a border, from 50 seeds, never changes the state.
    @Test(arguments: 0..<50) func noiseAtABorderDoesNotChatter(seed: UInt64) throws {
        let wiring = try wiring(4700, 4700, 9400, masked: 26_700)
        var random = SplitMix(seed)
        for border in wiring.borders {
            for first in [border - 0.029, border + 0.029] {
                var feed = Feed(wiring)
                feed.take(first, times: 6)
                for _ in 0..<500 { feed.take(border + (random.unit() - 0.5) * 0.058) }
                #expect(feed.states == [wiring.state(at: first)] && feed.words == ["steady"])
            }
        }
    }

    @Test func aSpikeOfOneReadingIsNothing() throws {
        var feed = Feed(try wiring(1000, 1000, 2000))
        for _ in 0..<50 {
            feed.take(0.5, times: 9)
            feed.take(1)
        }
        #expect(feed.states == [.normal] && feed.words == ["steady"])
    }

    @Test func aStateCountsAfter300Milliseconds() throws {
        for (times, states) in [(2, [State.normal]), (3, [.normal]), (4, [.normal, .alarm, .normal])] {
            var feed = Feed(try wiring(1000, 1000, 2000))
            feed.take(0.5, times: 10)
            feed.take(0.6667, times: times)
            feed.take(0.5, times: 10)
            #expect(feed.states == states, "\(times) readings")
        }
    }

    /// A cut loop passes the alarm's band while its filter charges.
    @Test func whatIsOnlyPassedIsNotTold() throws {
        var feed = Feed(try wiring(1000, 1000, 2000))
        feed.take(0.5, times: 10)
        feed.take(0.6667, times: 2)
        feed.take(1, times: 10)
        #expect(feed.states == [.normal, .open])
    }

    @Test func itIsSaidSinceWhen() throws {
        var judge = LoopJudge(try wiring(1000, 1000, 2000))
        for time in 0..<10 { _ = judge.take(0.5, at: start + .milliseconds(time * 100)) }
        var told: [LoopJudge.Verdict] = []
        for time in 10..<20 { told += judge.take(0.6667, at: start + .milliseconds(time * 100)) }
        #expect(told == [.state(.alarm, since: start + .milliseconds(1000))])
    }

    @Test func whatJumpsBetweenStatesIsAFault() throws {
        var feed = Feed(try wiring(1000, 1000, 2000))
        feed.take(0.5, times: 10)
        for _ in 0..<20 {
            feed.take(1, times: 2)
            feed.take(0, times: 2)
        }
        #expect(feed.states == [.normal])
        #expect(feed.words.count == 2 && feed.words[1].contains("jumps between short, normal, open"), "\(feed.words)")
        // Its state is told as soon as it has one, its steadiness after 10 s.
        feed.take(0.5, times: 50)
        #expect(feed.words.count == 2)
        feed.take(0.6667, times: 50)
        #expect(feed.states == [.normal, .alarm] && feed.words.count == 2)
        feed.take(0.6667, times: 60)
        #expect(feed.words.last == "steady" && feed.words.count == 3)
    }

    /// At two readings a second, two that agree are enough, and one is not.
    @Test func slowReadings() throws {
        var feed = Feed(try wiring(1000, 1000, 2000))
        feed.take(0.5, times: 3, every: 500)
        feed.take(0.6667, every: 500)
        #expect(feed.states == [.normal])
        feed.take(0.6667, every: 500)
        #expect(feed.states == [.normal, .alarm])
    }

    @Test func whatIsNoReadingHarmsNothing() throws {
        for reading in [-Double.infinity, -5, 5, .infinity, .nan] {
            var feed = Feed(try wiring(1000, 1000, 2000))
            feed.take(reading, times: 10)
            #expect(feed.states == [reading < 0 ? .short : .open])
        }
    }

    /// Whatever is read: the same state is not told twice, and once the loop stands still its state is what was told last.
    @Test(arguments: 0..<50) func theFinalStateIsAlwaysTold(seed: UInt64) throws {
        let wiring = try wiring(4700, 4700, 9400, masked: 26_700)
        var random = SplitMix(seed)
        var feed = Feed(wiring)
        for _ in 0..<300 { feed.take(random.unit(), times: Int(random.unit() * 6), every: Int(random.unit() * 500)) }
        let level = wiring.levels[Int(random.unit() * 5)]
        feed.take(level.ratio, times: 200)
        #expect(feed.states.last == level.state && feed.judge.told == level.state && !feed.judge.isUnsteady)
        #expect(!zip(feed.states, feed.states.dropFirst()).contains { $0 == $1 })
    }
}

/// Numbers from a seed (SplitMix64).
private struct SplitMix {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }

    /// From 0 to just below 1.
    mutating func unit() -> Double {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return Double((mixed ^ (mixed >> 31)) >> 11) / Double(1 << 53)
    }
}
