import AlarmProtocol
import Testing

@testable import Drivers

@Suite("Notifier ID3000's host port") struct ID3000Tests {
    enum Arrival: CaseIterable, Sendable { case whole, slowly, afterNoise, twice }

    static let vectors = PanelVectors.read("id3000")
    @Test func theVectorsAreThere() { #expect(Self.vectors.count >= 12) }

    /// A link that does not poll while a vector is tried.
    static func link(_ checksum: ID3000Frame.Checksum? = nil, _ points: [ID3000Point] = []) -> ID3000Link {
        ID3000Link(ID3000Link.Manner(checksum: checksum, points: points))
    }

    static func frame(_ body: String, _ checksum: ID3000Frame.Checksum = .crc16) -> [UInt8] {
        ID3000Frame.bytes(PanelCharset.latin1.bytes(body), checksum)
    }

    @Test(arguments: vectors, Arrival.allCases)
    func isAnsweredAndReported(_ vector: PanelVectors.Vector, _ arrival: Arrival) {
        for seed in UInt64(1)...(arrival == .afterNoise ? 50 : 1) {
            var harness = PanelHarness(Self.link())
            if arrival == .afterNoise {
                harness.feed(noise(seed))
                #expect(harness.signals.isEmpty, "noise is no event")
            }
            let before = (harness.signals.count, harness.sent.count)
            harness.feed(vector.bytes, every: arrival == .slowly ? 20 : 0)
            let answers = vector.answers ?? []
            #expect(harness.signals.dropFirst(before.0).map(\.summary) == vector.signals ?? [])
            #expect(harness.sent.dropFirst(before.1).map { hexadecimal($0) } == answers, "seed \(seed)")
            guard arrival == .twice else { continue }
            harness.now += 4000
            harness.feed(vector.bytes)
            #expect(harness.signals.map(\.summary) == vector.signals ?? [], "a repeat is joined")
            #expect(harness.sent.map { hexadecimal($0) } == answers + answers, "and acknowledged again")
        }
    }

    @Test("It is polled, but not in the midst of a frame")
    func polls() {
        var harness = PanelHarness(Self.link())
        harness.open()
        #expect(harness.sent == [ID3000Frame.poll])
        harness.pass(9990)
        let event = Self.frame("IE0113720830150000012")
        harness.feed(event.prefix(10), every: 1)
        harness.pass(500)
        #expect(harness.sent.count == 1)
        harness.feed(event.dropFirst(10))
        #expect(harness.sent.last == ID3000Frame.acknowledge)
        harness.pass(1000)
        #expect(harness.sent.filter { $0 == ID3000Frame.poll }.count == 2)
    }

    @Test("Where a CRC is used, eight bits are not believed until the panel insists")
    func checksums() {
        var harness = PanelHarness(Self.link())
        harness.feed(Self.frame("IS0001C000000000000"))
        let weak = Self.frame("IE0113720830150000012", .sum8)
        harness.feed(weak)
        #expect(harness.signals.isEmpty && harness.strange == [weak])
        harness.feed(weak)
        #expect(harness.signals.count == 1)
        var strict = PanelHarness(Self.link(.crc16))
        strict.feed(weak + weak)
        #expect(strict.signals.isEmpty && strict.sent.isEmpty)
        var full = PanelHarness(Self.link(.sum8))
        full.feed(Self.frame("IE0113720830150000012"))
        #expect(full.signals.isEmpty)
        full.feed(weak)
        #expect(full.signals.count == 1)
    }

    @Test("Nothing is acknowledged that is not stored; the panel says it again")
    func notStored() {
        var harness = PanelHarness(Self.link())
        harness.refuses = true
        let event = Self.frame("IE0113720830150000012")
        harness.feed(event)
        #expect(harness.sent.isEmpty)
        harness.refuses = false
        harness.feed(event)
        #expect(harness.sent == [ID3000Frame.acknowledge] && harness.signals.count == 1)
    }

    @Test("A point says what a code of the panel is")
    func points() throws {
        let settings = SerialSupport.settings(
            [("port", .string("/dev/x"))],
            points: [
                (
                    "fire-cellar",
                    [("codes", .string("206")), ("restore-codes", .string("207")), ("zones", .string("1-20000"))]
                )
            ])
        let driver = try ID3000Driver(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [])
        var harness = PanelHarness(driver.link())
        harness.feed(Self.frame("IE0120620830150100005S045\"Rum 12\""))
        harness.feed(Self.frame("IE0120720830160100005S045\"Rum 12\""))
        harness.feed(Self.frame("IE0120620830170120001"))
        #expect(
            harness.signals.map(\.summary) == [
                "fire-cellar call [fire-unclassified zone 5] Rum 12 (event 206, node 1, loop 1, zone 5, sensor 45)",
                "fire-cellar cleared [fire-unclassified zone 5] Rum 12 (event 207, node 1, loop 1, zone 5, sensor 45)",
                "unclassified call [fire-unclassified] Not known, may be a fire: IE0120620830170120001",
            ])
        for (key, value, words) in [
            ("codes", "20", "three digits"), ("zones", "7-5", "expected zones"),
            ("restore-codes", "ab1", "three digits"),
        ] {
            var point: [(String, SettingNode.Value)] = [("codes", .string("206"))].filter { $0.0 != key }
            point.append((key, .string(value)))
            let wrong = SerialSupport.settings([("port", .string("/dev/x"))], points: [("p", point)])
            _ = try ID3000Driver(wrong)
            #expect(wrong.problems.all.contains { $0.message.contains(words) })
        }
        let quick = SerialSupport.settings([("port", .string("/dev/x")), ("silence", .string("5s"))])
        _ = try ID3000Driver(quick)
        #expect(quick.problems.all.count == 1)
    }

    @Test("Hostile bytes make no trap, and a right frame behind them is found")
    func hostile() {
        for seed in UInt64(1)...200 {
            var random = SeededNumbers(seed)
            var harness = PanelHarness(Self.link())
            for _ in 0..<40 {
                let letters = Array(">>IES0123456789SM\"\r\n \u{7F}".utf8) + [0, 0xFF]
                let body = (0..<Int.random(in: 0...300, using: &random)).map { _ in
                    letters.randomElement(using: &random) ?? 0
                }
                harness.feed(Bool.random(using: &random) ? body : ID3000Frame.bytes(Array("IE".utf8) + body, .sum8))
            }
            let before = harness.signals.count
            harness.feed(Self.frame("IE0113720830150000012"))
            #expect(harness.signals.count == before + 1, "seed \(seed)")
        }
    }

    @Test("A played panel's events arrive once and in order, over a line that loses and garbles", arguments: 1...4)
    func played(_ seed: UInt64) throws {
        var play = PanelPlay<ID3000Link, PlayedID3000> { Self.link() }
        nonisolated(unsafe) var numbers = SeededNumbers(seed)
        play.fate = { _ in
            let number = Int.random(in: 0..<100, using: &numbers)
            return seed == 1 ? .arrives : number < 5 ? .isLost : number < 10 ? .isGarbled : .arrives
        }
        play.open()
        let bypass = try #require(EventKind.named("fire-bypass"))
        for number in 1...1000 {
            let text = number % 2 == 0 ? "Rum \(number)" : ""
            try play.happen(PlayedEvent(bypass, began: number % 3 > 0, zone: number, text: text))
            if number % 7 == 0 { play.pass(5000) }
        }
        play.pass(3_600_000)
        #expect(play.panel.waiting == 0 && play.taken.count == 1000)
        #expect(play.signals.compactMap(\.said?.zone) == Array(1...1000))
    }

    @Test("What nobody knows may be a fire, and goes as early as one; a point without codes says what it is")
    func notKnown() throws {
        let kind = try #require(EventKind.named("fire-unclassified"))
        #expect(kind.urgency == .fire)
        let settings = SerialSupport.settings(
            [("port", .string("/dev/x"))],
            points: [("rest", []), ("fire", [("codes", .string("206"))])])
        let driver = try ID3000Driver(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [])
        var harness = PanelHarness(driver.link())
        for body in ["IACK", "IE0120620830150000012", "IE0113720830160000012", "IE0130120830170000012", "IXYZ"] {
            harness.feed(Self.frame(body))
        }
        #expect(harness.signals.map(\.point) == ["fire", "node-1-zone-12", "rest", "rest"])
        for name in ["line", "acknowledgement"] {
            let wrong = SerialSupport.settings([("port", .string("/dev/x"))], points: [(name, [])])
            _ = try ID3000Driver(wrong)
            #expect(wrong.problems.all.first?.message.contains("the driver itself uses the name") == true)
        }
    }

    @Test("An event that is said again and again is one event, and its panel does not hear us")
    func deaf() {
        var harness = PanelHarness(Self.link())
        harness.open()
        harness.feed(Self.frame("IS0001C000000000000"))
        let event = Self.frame("IE0120620830150000012")
        for _ in 0..<100 {
            harness.feed(event)
            harness.pass(4000)
        }
        let faults = harness.signals.filter { if case .fault = $0.reading { true } else { false } }
        #expect(faults.map(\.point) == ["acknowledgement"])
        #expect(harness.signals.count { $0.reading == .call } == 1, "for minutes")
        harness.feed(Self.frame("IS0001C000000000000"))
        #expect(harness.signals.last?.reading != .healthy)
        harness.feed(Self.frame("IE0120720830160000012"))
        harness.feed(Self.frame("IS0001C000000000000"))
        #expect(harness.signals.last?.summary == "acknowledgement healthy")
    }

    @Test("What is played arrives, with or without points; what no fire panel says is refused")
    func rehearsal() throws {
        var play = PanelPlay<ID3000Link, PlayedID3000> { Self.link() }
        play.open()
        let names = ["fire", "fire-smoke", "fire-warning", "fire-trouble", "mains-failure", "battery", "sprinkler"]
        for name in names {
            let kind = try #require(EventKind.named(name))
            try play.happen(PlayedEvent(kind, zone: 12, text: "Kök"))
            try play.happen(PlayedEvent(kind, began: false, zone: 12, text: "Kök"))
        }
        play.pass(600_000)
        let events = play.signals.filter { $0.reading == .call }
        #expect(events.count == 2 * names.count && play.panel.waiting == 0)
        #expect(events.allSatisfy { $0.said?.zone == 12 && $0.text.contains("Kök") })
        var panel = PlayedID3000()
        let burglary = try #require(EventKind.named("burglary"))
        #expect(throws: CannotPlay.self) { try panel.happen(PlayedEvent(burglary, zone: 1), at: 0) }
    }
}
