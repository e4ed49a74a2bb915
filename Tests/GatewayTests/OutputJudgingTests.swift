import AlarmProtocol
import Testing

@testable import Gateway

@Suite("What each output shows (promise 5)")
struct OutputJudgingTests {
    struct Case: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var change: @Sendable (inout SiteCondition) -> Void
        /// Which of these are on: transmission fault (f), trouble (t), received smoke (r), test mode (m), point door (p).
        var on: String
        init(_ name: String, on: String, _ change: @escaping @Sendable (inout SiteCondition) -> Void) {
            testDescription = name
            self.change = change
            self.on = on
        }
    }

    static let cases = [
        Case("all well", on: "f") { _ in },
        Case("no path has been tried yet", on: "") { $0.pathsWork = [nil, nil] },
        Case("one path works, the other has not been tried", on: "f") { $0.pathsWork = [true, nil] },
        Case("one path is down", on: "ft") { $0.pathsWork = [false, true] },
        Case("every path is down", on: "t") { $0.pathsWork = [false, false] },
        Case("one path is down, the other has not been tried", on: "t") { $0.pathsWork = [nil, false] },
        Case("nothing can be stored", on: "t") { $0.storeTakesNothing = true },
        Case("a fire is not acknowledged in time", on: "t") { $0.isOverdue = true },
        Case("a thread hangs", on: "t") { $0.isHanging = true },
        Case("a device is lost", on: "ft") { $0.hasTrouble = true },
        Case("test mode", on: "ftm") { $0.isTesting = true },
        Case("the fire is received", on: "fr") { $0.receivedPoints = ["gpio.c.smoke"] },
        Case("another point's alarm is received", on: "f") { $0.receivedPoints = ["gpio.c.heat"] },
        Case("the door is open", on: "fp") { $0.activePoints = ["gpio.c.door", "gpio.c.smoke"] },
        Case("everything at once", on: "trmp") {
            $0 = SiteCondition(
                pathsWork: [false], storeTakesNothing: true, isOverdue: true, isHanging: true, isTesting: true,
                hasTrouble: true, activePoints: ["gpio.c.door"], receivedPoints: ["gpio.c.smoke"])
        },
    ]

    @Test("On and off", arguments: cases)
    func table(example: Case) {
        var condition = SiteCondition(pathsWork: [true, true])
        example.change(&condition)
        let showings: [(Character, Output.Showing)] = [
            ("f", .transmissionFault), ("t", .trouble), ("r", .received("gpio.c.smoke")), ("m", .testMode),
            ("p", .point("gpio.c.door")),
        ]
        #expect(String(showings.filter { condition.isOn($0.1) }.map(\.0)) == example.on)
    }

    @Test(
        "Which of the remembered states are troubles",
        arguments: [
            ("path.fibre", true), ("path.gone", false), ("larmnod.disk", true), ("larmnod.test-mode", true),
            ("gpio.c.smoke", false), ("gpio.c.smoke.fault", true), ("gpio.c.smoke.overdue", true),
            ("gpio.c.fault", true), ("gpio.c.unit-3.fault", true), ("gpio.c.removed", false),
            ("gpio.other.smoke.fault", false), ("gpio.cellar.fault", false), ("nothing", false),
        ])
    func troubles(name: String, isTrouble: Bool) throws {
        #expect(TroubleNames(try outputSite()).isTrouble(name) == isTrouble)
    }
}

/// A site with a fire and a door on one device, and all kinds of outputs on another.
func outputSite(limit: Duration? = .seconds(100), directory: String = "/nowhere") throws -> Site {
    let fire = try #require(EventKind.named("fire"))
    let burglary = try #require(EventKind.named("burglary"))
    let points = [
        Point(
            name: "gpio.c.smoke", account: "4712", kind: fire, partition: 2, zone: 7, text: "Rök vind",
            receivedWithin: limit),
        Point(name: "gpio.c.door", account: "4711", kind: burglary, partition: 0, zone: 1, text: ""),
    ]
    let outputs: [Output] = [
        Output(name: "gpio.r.relay", shows: .transmissionFault), Output(name: "gpio.r.lamp", shows: .trouble),
        Output(name: "gpio.r.received", shows: .received("gpio.c.smoke")),
        Output(name: "gpio.r.test", shows: .testMode), Output(name: "gpio.r.door", shows: .point("gpio.c.door")),
        Output(name: "gpio.r.door-received", shows: .received("gpio.c.door")),
    ]
    return Site(
        name: "S", account: "4711", clockIsTrusted: true, stateDirectory: directory, controlSocket: directory + "/c",
        operators: nil, limits: Limits(),
        paths: [testPath("fibre", to: "a", port: 1), testPath("mobile", to: "b", port: 1)],
        devices: [
            Device(name: "gpio.c", driver: Idle(), points: points, account: "4711", partition: 0),
            Device(name: "gpio.r", driver: Idle(), points: [], account: "4711", partition: 0, outputs: outputs),
        ])
}
