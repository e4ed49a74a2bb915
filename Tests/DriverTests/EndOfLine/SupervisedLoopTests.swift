import AlarmProtocol
import Testing

@testable import Drivers

private typealias Entries = [(String, SettingNode.Value)]

/// A point's table with this `end-of-line`.
private func point(_ loop: Entries, _ more: Entries = [], fullScale: Int? = nil) -> (SupervisedLoop?, [String]) {
    let (settings, problems) = table("device.modbus.bus.point.door", [("end-of-line", tableValue(loop))] + more)
    let made = SupervisedLoop(settings, fullScale: fullScale)
    settings.refuseUnread()
    return (made, problems.sorted.map(\.message))
}

private let double: Entries = [
    ("full-scale", .integer(4000)), ("pull-up", .string("1k")), ("normal", .integer(1000)), ("alarm", .string("2k")),
]

@Suite struct SupervisedLoopTests {
    /// What each of these counts, standing for a second, makes of the point.
    private func said(_ loop: SupervisedLoop, _ counts: [Int]) -> [String] {
        var loop = loop
        var time = ContinuousClock.now
        var all: [String] = []
        for count in counts {
            for _ in 0..<10 {
                let moment = Moment(utc: 1_000_000, uptime: 1_000_000, clock: .known)
                all += loop.take(count, at: time, moment: moment).map(\.summary)
                time += .milliseconds(100)
            }
        }
        return all
    }

    @Test func everyStateIsSaid() throws {
        let (made, problems) = point(
            double, [("kind", .string("burglary")), ("zone", .integer(7)), ("text", .string("Huvudentré"))])
        #expect(problems == [])
        #expect(
            said(try #require(made), [2000, 2667, 4000, 2000, 0]) == [
                "door healthy",
                "door-tamper active false [tamper zone 7] Huvudentré", "door active false",
                "door-tamper active false [tamper zone 7] Huvudentré", "door active true",
                "door-tamper active true [tamper zone 7] Huvudentré: \(LoopWiring.State.open.words)",
                "door-tamper active false [tamper zone 7] Huvudentré", "door active false",
                "door-tamper active true [tamper zone 7] Huvudentré: \(LoopWiring.State.short.words)",
            ])
    }

    @Test func aFireLoopIsInTroubleNotTamperedWith() throws {
        let fire: Entries = [
            ("full-scale", .integer(4095)), ("pull-up", .integer(1000)), ("normal", .string("4k7")),
            ("alarm", .integer(427)),
        ]
        let (made, problems) = point(fire, [("kind", .string("fire-smoke")), ("text", .string("Slinga 1"))])
        #expect(problems == [])
        let words = said(try #require(made), [3376, 1225, 0])
        #expect(words.contains("door active true"))
        #expect(words.last?.hasPrefix("door-tamper active true [fire-trouble] Slinga 1: ") == true, "\(words)")
    }

    @Test func aMaskedDetectorIsSaidByItself() throws {
        let learned: Entries = [
            ("full-scale", .integer(1000)), ("normal", .integer(502)), ("alarm", .integer(663)),
            ("masked", .integer(848)),
        ]
        let (made, problems) = point(learned)
        #expect(problems == [])
        let words = said(try #require(made), [500, 850, 500])
        #expect(words.filter { $0.hasPrefix("door-masked active true [detector-tamper]") }.count == 1, "\(words)")
        #expect(!words.contains("door active true") && !words.contains { $0.hasPrefix("door-tamper active true") })
    }

    /// After a pause everything is said again: the host knows what is news.
    @Test func afterAPauseTheStateIsSaidAgain() throws {
        var loop = try #require(point(double).0)
        let before = said(loop, [2000])
        loop.pause()
        #expect(loop.state == nil && said(loop, [2000]) == before)
    }

    @Test func whatIsWrongIsTold() {
        let cases: [(Entries, String)] = [
            ([], "full-scale is missing"),
            ([("full-scale", .integer(4000)), ("normal", .integer(2000))], "alarm is missing"),
            ([("full-scale", .integer(4000)), ("alarm", .string("open"))], "normal is missing"),
            (
                [("full-scale", .integer(4000)), ("normal", .integer(2000)), ("alarm", .integer(2200))],
                "normal (50 % of the reference) and alarm (55 % of the reference) are nearer than 8 %"
            ),
            (
                [("full-scale", .integer(4000)), ("normal", .string("1k")), ("alarm", .string("open"))],
                "for ohms give pull-up"
            ),
            (
                [
                    ("full-scale", .integer(4000)), ("pull-up", .integer(0)), ("normal", .integer(1)),
                    ("alarm", .string("open")),
                ],
                "expected a resistor"
            ),
            (double + [("resistors", .integer(2))], "no such setting"),
            (
                [
                    ("full-scale", .integer(4000)), ("pull-up", .string("1 kohm")), ("normal", .integer(1000)),
                    ("alarm", .string("open")),
                ], "expected ohms, as 4700 or \"4k7\""
            ),
        ]
        for (loop, words) in cases {
            let (_, problems) = point(loop)
            #expect(problems.contains { $0.contains(words) }, "\(words): \(problems)")
        }
        let (_, known) = point(double, fullScale: 10_000)
        #expect(known.contains { $0.contains("full-scale: no such setting") }, "\(known)")
    }

    @Test func aPointCannotHaveTheNameOfAnothersTamper() {
        let (settings, problems) = table(
            "device.iio.adc",
            [points([("door", [("end-of-line", tableValue(double))]), ("door-tamper", []), ("hatch-tamper", [])])])
        SupervisedLoop.refuseNames(settings.points)
        #expect(problems.all.count == 1 && problems.all[0].message.contains("door-tamper: the supervised loop door"))
    }
}
