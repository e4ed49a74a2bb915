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
            #expect(harness.sent.dropFirst(before.1).map { hexadecimal($0) } == vector.answers ?? [])
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
                "keybus healthy", "area-1 active true [arming area 1]",
                "battery active true [battery] The panel's battery",
            ])
        harness.pass(3000)
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
        #expect(stay.signals.map(\.summary) == ["area-1 active true [partial-arming area 1]"])
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
        #expect(harness.signals.map(\.point) == ["keybus", "smoke", "smoke", "smoke"])
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
