import AlarmProtocol
import Drivers
import Testing

@testable import Gateway

private struct NoDriver: Driver {
    static let name = "none"
    init() {}
    init(_ settings: Settings) throws {}
    func run(_ host: any Host) throws {}
}

@Suite("From what a device says to events (promises 5 and 9)")
struct NormaliserTests {
    private let now = Moment(utc: 1000, uptime: 10, clock: .known)

    private func normaliser() throws -> Normaliser {
        let burglary = try #require(EventKind.named("burglary"))
        let fire = try #require(EventKind.named("fire"))
        let test = try #require(EventKind.named("test"))
        let points = [
            Point(name: "gpio.c.door", account: "4711", kind: burglary, partition: 2, zone: 7, text: "Dörr"),
            Point(name: "gpio.c.smoke", account: "AB12", kind: fire, partition: 0, zone: 3, text: ""),
            Point(name: "gpio.c.weekly", account: "4711", kind: test, partition: 0, zone: 0, text: "Test"),
        ]
        return Normaliser(
            Device(
                name: "gpio.c", driver: NoDriver(), points: points, account: "4711", partition: 9, waitForReceiver: nil)
        )
    }

    private func events(
        _ signals: [Signal], heard: Set<String> = ["gpio.c.door", "gpio.c.smoke"], known: [String: Bool] = [:]
    ) throws -> [NewEvent] {
        try normaliser().events(signals, heard: heard, now: now, known: { known[$0] })
    }

    @Test("Of two readings in one report the second is news, even of a point that nobody has heard of")
    func twoReadingsAtOnce() throws {
        let pair = [Signal(point: "door", .active(false)), Signal(point: "door", .active(true))]
        let alarm = try events(pair, heard: [], known: ["gpio.c.door": false])
        #expect(alarm.map(\.event.text) == ["Dörr"])
        let again = try events(pair, heard: [], known: ["gpio.c.door": true])
        #expect(again.map(\.event.text) == ["Dörr (changed while not watched)", "Dörr"])
        // However long the panel's words are.
        let long = Signal(point: "door", .active(true), text: String(repeating: "Dörr ", count: 40))
        let cut = try events([long], heard: [], known: ["gpio.c.door": false]).map(\.event.text)
        #expect(cut.allSatisfy { $0.hasSuffix("… (changed while not watched)") && $0.count == 128 } && cut.count == 1)
        // That it can be read is no reading of its state.
        let opened = [Signal(point: "door", .healthy), Signal(point: "door", .active(true))]
        let found = try events(opened, heard: [], known: ["gpio.c.door": false])
        #expect(found.map(\.event.text) == ["Dörr (changed while not watched)"])
    }

    @Test("A replay has watched all of it: no change in it came while nobody did")
    func rehearsal() throws {
        var rehearsal = Rehearsal(device: "satel-integra.s", driver: NoDriver(), configured: [])
        let said = Said(.kind(try #require(EventKind.named("burglary"))), zone: 5)
        let told = [true, false, true].flatMap { active in
            rehearsal.events(of: Signal(point: "zone-5", .active(active), text: "Kök", said: said), at: now)
        }
        #expect(told.count == 3 && told.allSatisfy { $0.hasSuffix(": Kök") })
    }

    @Test("A contact's alarm and restore, with the point's own words and numbers")
    func contact() throws {
        let new = try #require(try events([Signal(point: "door", .active(true))]).first)
        #expect(new.active == true)
        #expect(
            new.event
                == Event(
                    account: "4711", point: "gpio.c.door", partition: 2, zone: 7, sia: "BA", contactID: "130",
                    qualifier: .event, urgency: .intrusion, text: "Dörr", occurred: now))
        let back = try #require(
            try events([Signal(point: "door", .active(false))], known: ["gpio.c.door": true]).first)
        #expect(back.event.sia == "BR" && back.event.qualifier == .restore && back.event.urgency == .status)
        #expect(back.active == false)
    }

    @Test("A state that is as it was says nothing, in one report or over several")
    func unchanged() throws {
        #expect(try events([Signal(point: "door", .active(false))]).isEmpty)
        #expect(try events([Signal(point: "door", .active(true))], known: ["gpio.c.door": true]).isEmpty)
        let twice = [Signal(point: "door", .active(true)), Signal(point: "door", .active(true))]
        #expect(try events(twice).count == 1)
        let pulse = [Signal(point: "door", .active(true)), Signal(point: "door", .active(false))]
        #expect(try events(pulse).map(\.event.sia) == ["BA", "BR"])
    }

    @Test("A restart is not an alarm; what changed meanwhile says so")
    func restart() throws {
        #expect(try events([Signal(point: "door", .active(true))], heard: [], known: ["gpio.c.door": true]).isEmpty)
        let changed = try events([Signal(point: "door", .active(true))], heard: [], known: ["gpio.c.door": false])
        #expect(changed.first?.event.text == "Dörr (changed while not watched)")
        let first = try events([Signal(point: "door", .active(true))], heard: [])
        #expect(first.first?.event.text == "Dörr")
        var away = Signal(point: "door", .active(true))
        away.isUnwatched = true
        let back = try events([away], known: ["gpio.c.door": false])
        #expect(back.first?.event.text == "Dörr (changed while not watched)")
        #expect(try events([away], known: ["gpio.c.door": true]).isEmpty)
    }

    @Test("A panel's words beat the configured text; a long one is cut")
    func texts() throws {
        let call = try events([Signal(point: "smoke", .call, text: "BRANDLARM källare")])
        #expect(call.first?.event.text == "BRANDLARM källare" && call.first?.active == nil)
        #expect(call.first?.event.account == "AB12" && call.first?.event.urgency == .fire)
        let long = try events([Signal(point: "smoke", .call, text: String(repeating: "x", count: 500))])
        #expect(long.first?.event.text.count == 128)
        #expect(try events([Signal(point: "smoke", .cleared)]).first?.event.sia == "FR")
    }

    @Test("What is not configured is told all the same, as an alarm of no stated kind")
    func unclassified() throws {
        let new = try #require(try events([Signal(point: "unclassified", .call, text: "?!")]).first)
        #expect(new.event.sia == "UA" && new.event.text == "?!" && new.event.partition == 9)
        #expect(new.event.point == "gpio.c.unclassified")
    }

    @Test("A fault of a point, and of a part of the device, once; its end once")
    func faults() throws {
        let fault = try #require(try events([Signal(point: "door", .fault("open circuit"))]).first)
        #expect(fault.event.point == "gpio.c.door.fault" && fault.event.zone == 7)
        #expect(fault.event.text == "Dörr: open circuit" && fault.active == true)
        #expect(try events([Signal(point: "door", .fault("again"))], known: ["gpio.c.door.fault": true]).isEmpty)
        #expect(try events([Signal(point: "door", .healthy)]).isEmpty)
        let end = try events([Signal(point: "door", .healthy)], known: ["gpio.c.door.fault": true])
        #expect(end.first?.event.qualifier == .restore && end.first?.active == false)
        let unit = try #require(try events([Signal(point: "unit-3", .fault("no answer"))]).first)
        #expect(unit.event.contactID == "333" && unit.event.text == "gpio.c.unit-3: no answer")
    }

    @Test("The end of a kind that has no restore is told, or its next beginning would be old news")
    func withoutRestore() throws {
        let end = try #require(
            try events([Signal(point: "weekly", .active(false))], known: ["gpio.c.weekly": true]).first)
        #expect(end.event.sia == "UR" && end.event.qualifier == .restore && end.active == false)
    }

    @Test("The kinds that the box uses for itself are in the table", arguments: Kinds.names)
    func ownKinds(name: String) { #expect(EventKind.named(name)?.name == name) }
}
