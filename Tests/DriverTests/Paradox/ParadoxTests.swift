import AlarmProtocol
import Testing

@testable import Drivers

@Suite("Paradox PRT3") struct ParadoxTests {
    enum Arrival: CaseIterable, Sendable { case whole, slowly, afterNoise, twice }

    static let vectors = PanelVectors.read("prt3")
    @Test func theVectorsAreThere() { #expect(Self.vectors.count >= 15) }

    static func line(_ text: String) -> [UInt8] { Array(text.utf8) + [0x0D] }

    @Test(arguments: vectors, Arrival.allCases)
    func isReported(_ vector: PanelVectors.Vector, _ arrival: Arrival) {
        for seed in UInt64(1)...(arrival == .afterNoise ? 50 : 1) {
            var harness = PanelHarness(ParadoxLink())
            if arrival == .afterNoise {
                harness.feed(noise(seed))
                #expect(harness.signals.isEmpty, "noise is no event")
                // What has no form cannot be told from the noise before it.
                if ["prt3-no-form", "prt3-small-letters"].contains(vector.id) { harness.feed([0x0D]) }
            }
            let before = harness.signals.count
            harness.feed(vector.bytes, every: arrival == .slowly ? 20 : 0)
            #expect(harness.signals.dropFirst(before).map(\.summary) == vector.signals ?? [], "seed \(seed)")
            #expect(harness.sent.map { hexadecimal($0) } == vector.answers ?? [])
            guard arrival == .twice else { continue }
            let once = DSCTests.begun(harness.signals)
            let told = harness.signals.count
            harness.feed(vector.bytes)
            let calls = harness.signals.dropFirst(told).count { $0.reading == .call }
            #expect(DSCTests.begun(harness.signals) == once + calls, "a state that is told twice is told once")
        }
    }

    @Test("After opening: areas, zones, then labels, one question at a time; what is told then has its label")
    func questions() {
        var harness = PanelHarness(ParadoxLink(ParadoxLink.Size(areas: 1, zones: 2, users: 1)))
        harness.open()
        #expect(harness.sent == [Self.line("RA001")])
        let answers = [
            "RA001DOOOOOO", "RZ001COOOO", "RZ002OAOOO", "AL001Skolan          ", "ZL001Entr\u{E9}           ",
            "ZL002K\u{F6}k             ", "UL001Vaktm\u{E4}stare     ",
        ]
        for answer in answers { harness.feed(Array(answer.unicodeScalars.map { UInt8($0.value) }) + [0x0D]) }
        #expect(harness.sent.count == 7 && harness.link.deadline == harness.now + 30_000)
        #expect(harness.signals.contains { $0.summary.hasPrefix("zone-2 active true") })
        harness.feed(Self.line("G024N002A001"))
        #expect(harness.signals.last?.summary == "zone-2 active true [burglary zone 2 area 1] Kök")
        harness.feed(Self.line("G010N001A001"))
        #expect(harness.signals.last?.text == "Vaktmästare")
        harness.pass(30_000)
        #expect(harness.sent.last == Self.line("RA001"))
    }

    @Test("A dead module is only polled, and asked for everything when it answers again")
    func dead() {
        var harness = PanelHarness(ParadoxLink(ParadoxLink.Size(areas: 2, zones: 40, users: 100)))
        harness.open()
        harness.pass(120_000)
        #expect(harness.sent.count <= 8)
        harness.feed(Self.line("RA001DOOOOOO"))
        harness.pass(1)
        let before = harness.sent.count
        harness.pass(30_000)
        harness.feed(Self.line("RA001DOOOOOO"))
        #expect(harness.sent.count > before)
        #expect(harness.sent.contains(Self.line("RA002")))
    }

    @Test("When the module hears its panel again, the states are read again")
    func combus() {
        var harness = PanelHarness(ParadoxLink(ParadoxLink.Size(areas: 1, zones: 1, users: 0)))
        harness.open()
        for answer in ["RA001DOOOOOO", "RZ001COOOO", "AL001&fail", "ZL001&fail"] { harness.feed(Self.line(answer)) }
        let before = harness.sent.count
        harness.feed(Self.line("COMM&fail"))
        #expect(harness.signals.last?.point == "combus")
        harness.feed(Self.line("COMM&ok"))
        #expect(harness.sent.count == before + 1 && harness.sent.last == Self.line("RA001"))
        harness.feed(Self.line("RA001DOOOOOO"))
        harness.feed(Self.line("RZ001COAOO"))
        #expect(harness.sent.last == Self.line("RZ001"))
    }

    /// Opened, with its questions answered.
    static func settled(zones: Int = 2) -> PanelHarness<ParadoxLink> {
        var harness = PanelHarness(ParadoxLink(ParadoxLink.Size(areas: 1, zones: zones, users: 0)))
        harness.open()
        var answered = 0
        while answered < harness.sent.count {
            let question = String(decoding: harness.sent[answered].dropLast(), as: UTF8.self)
            answered += 1
            harness.feed(
                line(question + (question.hasPrefix("RA") ? "DOOOOOO" : question.hasPrefix("RZ") ? "COOOO" : "&fail")))
        }
        return harness
    }

    static func questions(_ harness: PanelHarness<ParadoxLink>, from start: Int) -> [String] {
        harness.sent.dropFirst(start).map { String(decoding: $0.dropLast(), as: UTF8.self) }
    }

    @Test("A garbled fire is found: the area is asked for, and where it is in alarm its zones")
    func garbledFire() {
        var harness = Self.settled()
        let before = harness.sent.count
        harness.feed(Array("G025N0".utf8) + [0x01] + Self.line("2A001"))
        #expect(Self.questions(harness, from: before) == ["RA001"])
        harness.feed(Self.line("RA001DOOOOAO"))
        harness.feed(Self.line("RZ001COOOO"))
        harness.feed(Self.line("RZ002OAFOO"))
        #expect(Self.questions(harness, from: before) == ["RA001", "RZ001", "RZ002"])
        #expect(harness.signals.contains { $0.summary == "zone-2-fire active true [fire zone 2]" })
        #expect(harness.signals.contains { $0.point == "area-1-alarm" && $0.reading == .active(true) })
    }

    @Test("Zones are asked for where an area's alarm was told by no event, and only there")
    func unexplained() {
        var harness = Self.settled()
        harness.pass(30_000)
        var before = harness.sent.count
        harness.feed(Self.line("RA001DOOOOAO"))
        #expect(Self.questions(harness, from: before).first == "RZ001")
        harness = Self.settled()
        harness.feed(Self.line("G024N001A001"))
        harness.pass(30_000)
        before = harness.sent.count
        harness.feed(Self.line("RA001DOOOOAO"))
        #expect(harness.sent.count == before)
    }

    @Test("A module that cannot tell area 1 does not hear its panel, though it said so before we listened")
    func notSeen() {
        var harness = PanelHarness(ParadoxLink(ParadoxLink.Size(areas: 1, zones: 0, users: 0)))
        harness.open()
        harness.feed(Self.line("RA001&fail"))
        #expect(harness.sent.last == Self.line("RA001"))
        harness.feed(Self.line("RA001&fail"))
        let faults = harness.signals.filter { if case .fault = $0.reading { true } else { false } }
        #expect(faults.map(\.point) == ["combus"])
        harness.pass(30_000)
        harness.feed(Self.line("RA001DOOOOOO"))
        #expect(harness.signals.contains { $0.summary == "combus healthy" })
    }

    @Test("A module that speaks and does not answer does not hear us")
    func deaf() {
        var harness = Self.settled()
        harness.feed(Self.line("G001N001A001"))
        harness.pass(70_000)
        #expect(!harness.signals.contains { $0.point == "polls" && $0.reading != .healthy }, "the line tells silence")
        harness = Self.settled()
        harness.pass(31_000)
        harness.feed(Self.line("G001N001A001"))
        harness.pass(60_000)
        let faults = harness.signals.filter { if case .fault = $0.reading { true } else { false } }
        #expect(faults.map(\.point) == ["polls"])
        harness.feed(Self.line("RA001DOOOOOO"))
        #expect(harness.signals.contains { $0.summary == "polls healthy" })
    }

    @Test("A module that has been started anew is asked for its areas")
    func startedAnew() {
        var harness = Self.settled()
        harness.feed(Self.line("COMM&ok"))
        #expect(harness.sent.last == Self.line("RA001"))
        harness.feed(Self.line("RA001DOOOOAO"))
        #expect(harness.sent.last == Self.line("RZ001") && harness.signals.last?.isUnwatched == true)
    }

    @Test("A day without an answer, and back: what differs is told once, and that nobody watched")
    func awayForADay() {
        var harness = Self.settled()
        harness.feed(Self.line("G025N002A001"))
        harness.pass(86_400_000)
        let before = harness.signals.count
        harness.feed(Self.line("RA001AOOOOOO"))
        var answered = harness.sent.count - 1
        while answered < harness.sent.count, harness.sent.count < 10_000 {
            let question = String(decoding: harness.sent[answered].dropLast(), as: UTF8.self)
            answered += 1
            harness.feed(
                Self.line(
                    question + (question.hasPrefix("RA") ? "AOOOOOO" : question.hasPrefix("RZ") ? "COOOO" : "&fail")))
        }
        let told = harness.signals.dropFirst(before).filter {
            ["area-1", "zone-2-fire"].contains($0.point) && ($0.reading == .active($0.point == "area-1"))
        }
        #expect(told.count == 2 && told.allSatisfy { $0.isUnwatched })
        harness.feed(Self.line("G024N001A001"))
        #expect(harness.signals.last?.isUnwatched == false)
    }

    @Test("A point cannot have the name of a part of the device", arguments: ["line", "combus", "polls"])
    func partsAreRefused(_ name: String) throws {
        let settings = SerialSupport.settings(
            [("port", .string("/dev/x"))], points: [(name, [("codes", .string("BA"))])])
        _ = try ParadoxDriver(settings)
        #expect(settings.problems.all.map(\.message).first?.contains("the driver itself uses the name") == true)
    }

    @Test("A zone that is told sound is no longer tampered with")
    func sound() {
        var harness = PanelHarness(ParadoxLink())
        harness.feed(Self.line("G002N005A001"))
        harness.feed(Self.line("G000N005A001"))
        #expect(harness.signals.last?.summary == "zone-5-tamper active false [tamper zone 5 area 1]")
        let count = harness.signals.count
        harness.feed(Self.line("G000N005A001"))
        #expect(harness.signals.count == count)
    }

    @Test("Every group and number: nothing traps, and every code is one of the vocabulary")
    func everyGroup() {
        for group in 0...80 {
            for number in [0, 1, 2, 3, 4, 5, 8, 9, 10, 12, 192, 999] {
                for area in [0, 1, 8, 999] {
                    let report = ParadoxReport(group: group, number: number, area: area)
                    switch report {
                    case .state(_, let said, _, _), .once(let said, _), .armed(_, let said):
                        #expect(said.isKnown && said.codes(began: true) != nil)
                        if case .kind(let kind) = said.code, kind.name == "unclassified" { #expect(group == 30) }
                    default: break
                    }
                }
            }
        }
    }

    @Test("Noise of any kind: no trap, no endless line", arguments: UInt64(1)...20)
    func hostile(_ seed: UInt64) {
        var harness = PanelHarness(ParadoxLink(ParadoxLink.Size(areas: 8, zones: 192, users: 999)))
        harness.open()
        harness.feed(noise(seed, count: 20_000))
        harness.feed(Self.line("G025N012A001"))
        #expect(harness.signals.last?.said?.summary == "fire zone 12 area 1")
    }

    @Test("The played panel: a thousand things happen, all are told once and in order")
    func played() throws {
        var panel = PlayedParadox()
        var harness = PanelHarness(ParadoxLink(ParadoxLink.Size(areas: 1, zones: 60, users: 5)))
        var heard = 0
        func answer(_ panel: inout PlayedParadox, _ harness: inout PanelHarness<ParadoxLink>) {
            while heard < harness.sent.count {
                let bytes = harness.sent[heard]
                heard += 1
                for byte in bytes {
                    for case .send(let reply, _) in panel.receive(byte, at: harness.now) { harness.feed(reply) }
                }
            }
        }
        harness.open()
        answer(&panel, &harness)
        let kinds = try ["burglary", "fire"].map { try #require(EventKind.named($0)) }
        var numbers = SeededNumbers(7)
        var expected: [String] = []
        var standing: Set<String> = []
        var known: [String: Bool] = [:]
        for _ in 0..<1000 {
            let zone = Int.random(in: 1...60, using: &numbers)
            let kind = kinds[zone % 2]
            let name = "zone-\(zone)\(kind.name == "fire" ? "-fire" : "")"
            let begins = standing.insert(name).inserted
            if !begins { standing.remove(name) }
            expected.append("\(name) \(begins)")
            try panel.happen(PlayedEvent(kind, began: begins, partition: 1, zone: zone), at: harness.now)
            for case .send(let bytes, _) in panel.tick(at: harness.now) { harness.feed(bytes) }
            harness.pass(Int64.random(in: 100...9000, using: &numbers))
            answer(&panel, &harness)
        }
        let told = harness.signals.compactMap { signal -> String? in
            guard case .active(let active) = signal.reading, signal.said?.zone ?? 0 > 0,
                known.updateValue(active, forKey: signal.point) ?? false != active
            else { return nil }
            return "\(signal.point) \(active)"
        }
        #expect(told == expected)
    }
}
