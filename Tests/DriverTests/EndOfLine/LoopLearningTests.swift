import Testing

@testable import Drivers

/// Learns a loop as a person would, a reading each 150 ms.
private final class Session {
    var learning: LoopLearning
    var time: Int64 = 1000
    var refusals: [String] = []

    init(_ facts: LoopFacts) { learning = LoopLearning(facts) }

    /// Shows a state until it settles. - Returns: whether it was taken.
    @discardableResult
    func show(_ state: LoopLearning.State, _ readings: (Int) -> Double) -> Bool {
        learning.begin()
        for number in 0..<1000 {
            time += 150
            switch learning.take(readings(number), at: time) {
            case .settling: continue
            case .settled(let count, _):
                guard let refusal = learning.accept(count, as: state) else { return true }
                refusals.append(refusal)
            case .unsteady(let why): refusals.append(why)
            }
            return false
        }
        return false
    }

    @discardableResult
    func show(_ state: LoopLearning.State, _ count: Int) -> Bool { show(state) { _ in Double(count) } }
}

/// A loop as a point's `end-of-line` describes it.
private func facts(_ entries: [(String, SettingNode.Value)], fullScale: Int? = nil) throws -> LoopFacts {
    let (settings, problems) = table("device.iio.loops.point.door", [("end-of-line", tableValue(entries))])
    let loop = SupervisedLoop(settings, fullScale: fullScale)
    settings.refuseUnread()
    try #require(problems.all.isEmpty, "\(problems.all)")
    return try #require(loop).facts
}

private let double: [(String, SettingNode.Value)] = [
    ("pull-up", .string("1k")), ("normal", .string("1k")), ("alarm", .string("2k")),
]

@Suite struct LoopLearningTests {
    @Test func aDoubleLoopIsLearnedAndReadsBackAsItWasLearned() throws {
        let session = Session(try facts(double, fullScale: 10_000))
        #expect(session.learning.states == [.open, .short, .normal, .alarm])
        for (state, count) in [(LoopLearning.State.open, 9700), (.short, 30), (.normal, 5010), (.alarm, 6630)] {
            let taken = session.show(state) { Double(count + [0, 3, 0, -3, 0][$0 % 5]) }
            #expect(taken, "\(state): \(session.refusals)")
        }
        let lines = try session.learning.lines()
        #expect(
            lines == [
                "end-of-line = { normal = 5010, alarm = 6630, short = 30, open = 9700 }",
                "# borders in counts: short | 2022 | normal | 5820 | alarm | 8165 | open",
                "# a state changes 300 counts past a border, and counts when it has stood for 300ms",
            ])
        let again = try facts(
            [
                ("normal", .integer(5010)), ("alarm", .integer(6630)), ("short", .integer(30)),
                ("open", .integer(9700)),
            ], fullScale: 10_000)
        #expect(again.short == 30 && again.open == 9700 && again.normal == 5010 && !again.isInOhms)
        // What is learned can be learned anew, and what is left out then stays.
        #expect(try LoopLearning(again).lines() == lines)
    }

    @Test func whereTheDeviceDoesNotKnowItTheOpenLoopIsTheFullScale() throws {
        let session = Session(try facts([("full-scale", .integer(32_767))] + double))
        session.show(.open, 10_020)
        session.show(.short, 0)
        session.show(.normal, 5000)
        #expect(session.show(.alarm, 6690) && session.refusals == [])
        #expect(try session.learning.lines()[0] == "end-of-line = { full-scale = 10020, normal = 5000, alarm = 6690 }")
        // A state that could not be shown is worked out from its resistors and from what the open loop reads.
        let half = Session(try facts([("full-scale", .integer(32_767))] + double))
        half.show(.open, 9000)
        half.show(.normal, 4510)
        #expect(try half.learning.lines()[0] == "end-of-line = { full-scale = 9000, normal = 4510, alarm = 6000 }")
    }

    @Test func aStateThatIsAnEndOfTheLoopIsShownAsThat() throws {
        let single = try facts([
            ("full-scale", .integer(4095)), ("pull-up", .string("2k2")), ("normal", .string("2k2")),
            ("alarm", .string("open")),
        ])
        let session = Session(single)
        #expect(session.learning.states == [.open, .short, .normal])
        #expect(session.learning.request(.open).contains("For this loop that is alarm"))
        session.show(.open, 4080)
        session.show(.short, 12)
        #expect(session.show(.normal, 2050))
        #expect(
            try session.learning.lines()[0]
                == "end-of-line = { full-scale = 4080, normal = 2050, alarm = \"open\", short = 12 }")
        let masked = try facts(double + [("masked", .string("6k"))], fullScale: 10_000)
        #expect(LoopLearning(masked).states == [.open, .short, .normal, .alarm, .masked])
    }

    @Test func statesThatLieTooNearAreRefusedByNameDistanceAndWhatToDo() throws {
        let session = Session(try facts(double, fullScale: 10_000))
        session.show(.open, 9990)
        session.show(.short, 10)
        session.show(.normal, 5000)
        #expect(!session.show(.alarm, 5400))
        let words = try #require(session.refusals.first)
        #expect(words.contains("alarm reads 5400 and normal 5000, of 10000: 4 % apart, and 8 % are needed"), "\(words)")
        #expect(words.contains("type normal to show that again") && words.contains("fit others"))
        // It is not kept: shown rightly, it is taken.
        #expect(session.show(.alarm, 6670))
        #expect(try session.learning.lines()[0].contains("alarm = 6670"))
        // A reading beyond the ends, and ends the wrong way round.
        let wrong = Session(try facts(double, fullScale: 10_000))
        wrong.show(.open, 5000)
        wrong.show(.short, 10)
        #expect(!wrong.show(.normal, 7000) && wrong.refusals.last?.contains("more than an open loop (5000)") == true)
        #expect(wrong.show(.open, 9990) && wrong.show(.normal, 5000))
        #expect(!wrong.show(.short, 9100) && !wrong.show(.open, 4))
        #expect(wrong.refusals.last?.contains("nothing feeds the loop") == true)
        // What was not shown may lie too near as well.
        let skipped = Session(try facts(double, fullScale: 10_000))
        skipped.show(.normal, 6400)
        #expect(throws: LoopLearning.TooNear.self) { try skipped.learning.lines() }
    }

    @Test func onlyWhatStandsStillIsTaken() throws {
        let session = Session(try facts(double, fullScale: 10_000))
        #expect(!session.show(.normal) { $0 % 2 == 0 ? 5000 : 5300 })
        #expect(session.refusals.last?.contains("readings lie 300 counts apart, and may lie 200") == true)
        // On its way it is waited for.
        #expect(session.show(.normal) { min(5000, 100 * Double($0)) })
        #expect(try session.learning.lines()[0].contains("normal = 5000"))
        // Read too seldom.
        var seldom = LoopLearning(try facts(double, fullScale: 10_000))
        var last: LoopLearning.Settling?
        for second in 0..<20 { last = seldom.take(5000, at: Int64(second) * 1500) }
        guard case .unsteady(let why)? = last else { return #expect(Bool(false), "\(String(describing: last))") }
        #expect(why.contains("read too seldom"))
        // Nothing traps, whatever is read.
        var odd = LoopLearning(try facts(double, fullScale: 10_000))
        for (count, at) in [(Double.nan, Int64(5)), (.infinity, 6), (-.infinity, 7), (1e300, .max / 2), (-1, 0)] {
            _ = odd.take(count, at: at)
        }
    }

    /// A learned loop is judged by its own ends.
    @Test func learnedEndsMoveTheBorders() throws {
        let wiring = try LoopWiring(normal: 0.5, alarm: 0.66, short: 0.1, open: 0.85)
        for (reading, state) in [
            (0.0, LoopWiring.State.short), (0.25, .short), (0.27, .normal), (0.57, .normal), (0.6, .alarm),
            (0.75, .alarm),
            (0.76, .open), (1, .open),
        ] { #expect(wiring.state(at: reading) == state, "\(reading)") }
        #expect(throws: LoopWiring.TooNear.self) { try LoopWiring(normal: 0.5, alarm: 0.66, open: 0.7) }
        let cases: [([(String, SettingNode.Value)], String)] = [
            (double + [("short", .integer(3))], "does not go with pull-up"),
            (
                [
                    ("normal", .integer(500)), ("alarm", .integer(700)), ("short", .integer(900)),
                    ("open", .integer(100)),
                ],
                "expected more than short, 900, found 100"
            ),
            ([("normal", .integer(980)), ("alarm", .integer(300)), ("open", .integer(900))], "from 0 to 900"),
        ]
        for (entries, words) in cases {
            let (settings, problems) = table("device.iio.x.point.p", [("end-of-line", tableValue(entries))])
            _ = SupervisedLoop(settings, fullScale: 1000)
            #expect(problems.all.contains { $0.message.contains(words) }, "\(words): \(problems.all)")
        }
    }
}
