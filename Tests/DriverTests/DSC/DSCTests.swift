import AlarmProtocol
import Testing

@testable import Drivers

@Suite("DSC IT-100") struct DSCTests {
    enum Arrival: CaseIterable, Sendable { case whole, slowly, afterNoise, twice }

    static let vectors = PanelVectors.read("it-100")
    @Test func theVectorsAreThere() { #expect(Self.vectors.count >= 15) }

    static func message(_ command: String, _ data: String = "") -> [UInt8] { DSCFrame(command, data).bytes }

    /// The link, opened, with its status told and over.
    static func settled(_ points: PanelPoints = PanelPoints()) -> PanelHarness<DSCLink> {
        var harness = PanelHarness(DSCLink(points))
        harness.open()
        harness.feed(message("500", "001"))
        harness.pass(3000)
        return harness
    }

    @Test(arguments: vectors, Arrival.allCases)
    func isReported(_ vector: PanelVectors.Vector, _ arrival: Arrival) {
        for seed in UInt64(1)...(arrival == .afterNoise ? 50 : 1) {
            var harness = PanelHarness(DSCLink())
            if arrival == .afterNoise {
                harness.feed(noise(seed))
                #expect(harness.signals.isEmpty, "noise is no event")
            }
            // A garbled message has no end that noise could not have: only a right one is found behind it.
            if arrival == .afterNoise, vector.expect == "drop" { continue }
            let before = (harness.signals.count, harness.sent.count)
            harness.feed(vector.bytes, every: arrival == .slowly ? 20 : 0)
            harness.pass(1500)
            #expect(harness.signals.dropFirst(before.0).map(\.summary) == vector.signals ?? [], "seed \(seed)")
            // Noise may have asked for the status just before.
            if arrival != .afterNoise {
                #expect(harness.sent.dropFirst(before.1).map { hexadecimal($0) } == vector.answers ?? [])
            }
            guard arrival == .twice else { continue }
            harness.feed(vector.bytes)
            harness.pass(1500)
            let again = harness.signals.dropFirst(vector.signals?.count ?? 0)
            #expect(!again.contains { $0.reading == .active(false) && !(vector.signals ?? []).contains($0.summary) })
            #expect(
                Self.begun(Array(harness.signals)) == Self.begun(Array(harness.signals.prefix(again.startIndex)))
                    + again.count { $0.reading == .call }, "a state that is told twice is told once")
        }
    }

    /// How many events the host makes of beginnings.
    static func begun(_ signals: [Signal]) -> Int {
        var known: [String: Bool] = [:]
        return signals.reduce(0) { count, signal in
            guard case .active(let active) = signal.reading else { return count + (signal.reading == .call ? 1 : 0) }
            defer { known[signal.point] = active }
            return count + (active && known[signal.point] != true ? 1 : 0)
        }
    }

    @Test("The status is asked for after opening; what it tells is compared, not told as news")
    func status() {
        var harness = PanelHarness(DSCLink())
        harness.open()
        #expect(harness.sent == [Self.message("001")])
        harness.feed(Self.message("500", "001") + Self.message("610", "001") + Self.message("652", "10"))
        harness.feed(Self.message("800"))
        #expect(
            harness.signals.map(\.summary) == [
                "polls healthy", "keybus healthy", "area-1 active true [arming area 1]",
                "battery active true [battery] The panel's battery",
            ])
        harness.pass(3000)
        // No area is in alarm: neither is a zone that is closed, nor has a key's alarm not ended.
        #expect(
            harness.signals.dropFirst(4).map(\.point) == [
                "zone-1", "fire-key", "auxiliary-key", "panic-key", "auxiliary-input",
            ])
        #expect(harness.signals.dropFirst(4).allSatisfy { $0.reading == .active(false) && !$0.isUnwatched })
        harness.feed(Self.message("601", "1003"))
        #expect(harness.signals.suffix(2).map(\.reading) == [.active(false), .active(true)])
    }

    @Test("A second alarm is told even where the end of the first was lost")
    func lostRestore() {
        var harness = Self.settled()
        harness.feed(Self.message("601", "1003"))
        harness.pass(60_000)
        harness.feed(Self.message("601", "1003"))
        #expect(Self.begun(harness.signals) == 2)
    }

    @Test("A poll every 30 s; an unanswered one again after 5 s; the status anew when answers come again")
    func polls() {
        var harness = Self.settled()
        harness.pass(27_000)
        #expect(harness.sent.last == Self.message("000") && harness.sent.count == 2)
        harness.feed(Self.message("500", "000"))
        harness.pass(30_000)
        #expect(harness.sent.count == 3)
        harness.pass(10_000)
        #expect(harness.sent.count == 5)
        harness.feed(Self.message("500", "000"))
        harness.pass(1)
        #expect(harness.sent.last == Self.message("001"))
    }

    @Test("Arming has its user, whichever is said first")
    func arming() {
        for order in [["652", "700"], ["700", "652"]] {
            var harness = Self.settled()
            for command in order { harness.feed(Self.message(command, command == "652" ? "10" : "10040")) }
            harness.pass(2000)
            #expect(harness.signals.first { $0.point == "area-1" }?.said?.zone == 40)
            #expect(Self.begun(harness.signals) == 1)
        }
        var stay = Self.settled()
        stay.feed(Self.message("652", "11"))
        stay.pass(2000)
        #expect(stay.signals.map(\.summary) == ["polls healthy", "area-1 active true [partial-arming area 1]"])
    }

    @Test("Points: a zone by its code, and a zone's contact")
    func points() throws {
        let settings = SerialSupport.settings(
            [("port", .string("/dev/x"))],
            points: [
                ("smoke", [("codes", .string("BA")), ("zones", .string("5-6"))]),
                ("gate", [("told", .string("open")), ("zones", .string("7"))]),
            ])
        let driver = try DSCDriver(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [])
        var harness = Self.settled(driver.points)
        for zone in ["005", "006"] { harness.feed(Self.message("601", "1\(zone)")) }
        #expect(harness.signals.map(\.point) == ["polls", "keybus", "smoke", "smoke", "smoke"])
        #expect(Self.begun(harness.signals) == 2, "a second zone of the point is told too")
        harness.feed(Self.message("602", "1005"))
        #expect(harness.signals.last?.reading == .call, "the point is active while one of its zones is")
        harness.feed(Self.message("602", "1006"))
        #expect(harness.signals.last?.reading == .active(false))
        harness.feed(Self.message("609", "007"))
        #expect(harness.signals.last?.point == "gate" && harness.signals.last?.reading == .active(true))
        harness.feed(Self.message("609", "008"))
        #expect(harness.signals.last?.point == "gate")
    }

    @Test("Hours without an answer, and back: what differs is told once, and that nobody watched; then nothing more")
    func awayForHours() {
        var harness = Self.settled()
        harness.feed(Self.message("601", "1003") + Self.message("621") + Self.message("652", "10"))
        harness.pass(2000)
        harness.pass(3 * 3_600_000)
        harness.feed(Self.message("500", "000"))
        let before = harness.signals.count
        for _ in 0..<2 {
            harness.pass(4000)
            #expect(harness.sent.last == Self.message("001"))
            harness.feed(Self.message("500", "001") + Self.message("609", "002") + Self.message("610", "003"))
            harness.feed(Self.message("651", "1") + Self.message("802"))
            harness.pass(3000)
            harness.feed([0x3F, 0x0D])
        }
        let told = harness.signals.dropFirst(before)
        var known = ["zone-3": true, "fire-key": true, "area-1": true]
        let changes = told.filter { signal in
            guard case .active(let active) = signal.reading else { return false }
            return known.updateValue(active, forKey: signal.point) ?? false != active
        }
        #expect(Set(changes.map(\.point)) == ["zone-3", "fire-key", "area-1", "mains"] && changes.count == 4)
        #expect(changes.allSatisfy { $0.isUnwatched })
        #expect(!told.contains { $0.point == "zone-2" }, "an open zone may still be in alarm")
    }

    @Test("After a restart everything that stands is read as a state, alarms too")
    func restarted() {
        var harness = PanelHarness(DSCLink())
        harness.open()
        let states = [("500", "001"), ("601", "1003"), ("621", ""), ("609", "003"), ("652", "11"), ("654", "1")]
        for (command, data) in states { harness.feed(Self.message(command, data)) }
        harness.pass(5000)
        #expect(!harness.signals.contains { $0.reading == .active(false) })
        #expect(
            harness.signals.map(\.point) == ["polls", "keybus", "zone-3", "fire-key", "area-1", "area-1-alarm"])
    }

    @Test("What comes after a garbled message is news until the module says that it answers")
    func garbled() {
        var harness = Self.settled()
        harness.feed(Self.message("601", "1003"))
        harness.pass(20_000)
        harness.feed(Array("6021?03".utf8) + [0x0D])
        #expect(harness.sent.last == Self.message("001"))
        harness.feed(Self.message("601", "1003"))
        #expect(harness.signals.suffix(2).map(\.reading) == [.active(false), .active(true)])
    }

    @Test("A module that speaks and does not answer polls does not hear us")
    func deaf() {
        var harness = Self.settled()
        harness.pass(27_500)
        harness.feed(Self.message("609", "001"))
        harness.pass(4000)
        #expect(!harness.signals.contains { $0.point == "polls" && $0.reading != .healthy })
        harness.pass(6000)
        let faults = harness.signals.filter { if case .fault = $0.reading { true } else { false } }
        #expect(faults.map(\.point) == ["polls"])
        harness.pass(60_000)
        harness.feed(Self.message("500", "000"))
        #expect(harness.signals.last?.summary == "polls healthy")
        var silent = Self.settled()
        silent.pass(120_000)
        #expect(!silent.signals.contains { $0.point == "polls" && $0.reading != .healthy }, "the line tells silence")
    }

    @Test("A module that has been started anew is asked for the status; who only says that it answers is no news")
    func startedAnew() {
        var harness = Self.settled()
        harness.pass(20_000)
        harness.feed(Self.message("908", "0101"))
        #expect(harness.sent.last == Self.message("001"))
        harness.pass(20_000)
        harness.feed(Self.message("601", "1003"))
        harness.pass(11_000)
        harness.feed(Self.message("500", "001") + Self.message("601", "1003"))
        #expect(harness.signals.suffix(2).map(\.reading) == [.active(false), .active(true)])
    }

    @Test("When the module hears its panel again, the status is asked for")
    func keybus() {
        var harness = Self.settled()
        harness.feed(Self.message("896"))
        harness.pass(8000)
        harness.feed(Self.message("897"))
        #expect(harness.signals.last?.summary == "keybus healthy" && harness.sent.last == Self.message("001"))
        harness.feed(Self.message("500", "001") + Self.message("802"))
        #expect(harness.signals.last?.point == "mains" && harness.signals.last?.isUnwatched == true)
    }

    @Test(
        "Zones with fire detectors are told as fire, their faults as fire trouble; where nobody said which, it is said")
    func fireZones() throws {
        func driver(_ more: [(String, SettingNode.Value)]) throws -> (DSCDriver, Settings) {
            let settings = SerialSupport.settings([("port", .string("/dev/x"))] + more)
            let driver = try DSCDriver(settings)
            settings.refuseUnread()
            return (driver, settings)
        }
        let (fire, settings) = try driver([("fire-zones", .string("5-8"))])
        #expect(settings.problems.all == [] && fire.notices == [])
        var harness = PanelHarness(fire.link())
        for (command, data) in [("601", "1005"), ("602", "1005"), ("605", "006"), ("601", "1004")] {
            harness.feed(Self.message(command, data))
        }
        #expect(
            harness.signals.filter { $0.reading == .active(true) }.map(\.summary) == [
                "zone-5 active true [fire zone 5 area 1]", "zone-6-fault active true [fire-trouble zone 6]",
                "zone-4 active true [burglary zone 4 area 1]",
            ])
        let unsaid = try driver([]).0
        #expect(unsaid.notices.first?.contains("fire-zones") == true)
        let without = try driver([("fire-zones", .array([]))]).0
        #expect(without.notices == [])
        let wrong = try driver([("fire-zones", .string("8-5"))]).1
        #expect(wrong.problems.all.first?.message.contains("fire-zones") == true)
    }

    @Test("A point cannot have the name of a part of the device", arguments: ["line", "keybus", "polls"])
    func partsAreRefused(_ name: String) throws {
        let settings = SerialSupport.settings(
            [("port", .string("/dev/x"))], points: [(name, [("codes", .string("BA"))])])
        _ = try DSCDriver(settings)
        #expect(settings.problems.all.map(\.message).first?.contains("the driver itself uses the name") == true)
    }

    @Test func wrongPointsAreRefused() throws {
        let settings = SerialSupport.settings(
            [("port", .string("/dev/x"))], points: [("gate", [("told", .string("open"))])])
        _ = try DSCDriver(settings)
        #expect(settings.problems.all.count == 1)
    }

    @Test("Every command and its data, short, long and odd: nothing traps, and every kind is one of the vocabulary")
    func everyCommand() {
        for number in 0...999 {
            let command = String(repeating: "0", count: 3 - String(number).count) + String(number)
            for data in ["", "1", "10", "1003", "10040", "999999", "ABC", "\u{1}\u{2}\u{3}\u{4}"] {
                var harness = Self.settled()
                harness.feed(Self.message(command, data))
                harness.pass(1500)
                for signal in harness.signals {
                    if case .kind(let kind)? = signal.said?.code { #expect(kind.name != "") }
                }
            }
        }
        let names = [
            "burglary", "tamper", "burglary-trouble", "detector-battery", "trouble", "fire", "medical", "panic",
            "fire-smoke", "battery", "mains-failure", "siren-fault", "line-trouble", "fire-trouble", "duress",
            "wrong-code",
            "arming-failed", "communication-failure", "arming", "partial-arming", "technical",
        ]
        for name in names { #expect(EventKind.named(name) != nil, "\(name)") }
    }

    @Test("Noise of any kind: no trap, no endless line", arguments: UInt64(1)...20)
    func hostile(_ seed: UInt64) {
        var harness = Self.settled()
        harness.feed(noise(seed, count: 20_000))
        harness.feed([0x0D] + Self.message("621"))
        #expect(harness.signals.last?.said?.summary == "fire")
    }

    @Test("The played panel: a thousand things happen, all are told once and in order")
    func played() throws {
        let burglary = try #require(EventKind.named("burglary"))
        var panel = PlayedDSC()
        var harness = PanelHarness(DSCLink())
        var now = harness.now
        var heard = 0
        func answer(_ panel: inout PlayedDSC, _ harness: inout PanelHarness<DSCLink>) {
            while heard < harness.sent.count {
                let bytes = harness.sent[heard]
                heard += 1
                for byte in bytes {
                    for case .send(let reply, _) in panel.receive(byte, at: now) { harness.feed(reply) }
                }
            }
        }
        harness.open()
        answer(&panel, &harness)
        harness.pass(3000)
        var numbers = SeededNumbers(4)
        var expected: [String] = []
        var standing: Set<Int> = []
        let start = harness.signals.count
        for _ in 0..<1000 {
            let zone = Int.random(in: 1...64, using: &numbers)
            let begins = standing.insert(zone).inserted
            if !begins { standing.remove(zone) }
            expected.append("zone-\(zone) \(begins)")
            try panel.happen(PlayedEvent(burglary, began: begins, partition: 1, zone: zone), at: now)
            for case .send(let bytes, _) in panel.tick(at: now) { harness.feed(bytes) }
            harness.pass(Int64.random(in: 100...4000, using: &numbers))
            now = harness.now
            answer(&panel, &harness)
        }
        var known: [String: Bool] = [:]
        let told = harness.signals.dropFirst(start).compactMap { signal -> String? in
            guard case .active(let active) = signal.reading, signal.said?.zone ?? 0 > 0,
                known.updateValue(active, forKey: signal.point) ?? false != active
            else { return nil }
            return "\(signal.point) \(active)"
        }
        #expect(told == expected)
        #expect(panel.waiting == 0)
    }
}
