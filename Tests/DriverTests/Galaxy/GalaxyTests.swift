import AlarmProtocol
import Testing

@testable import Drivers

@Suite("Galaxy's SIA line") struct GalaxyTests {
    enum Arrival: CaseIterable, Sendable { case whole, slowly, verySlowly, afterNoise, twice }

    /// A kilobyte of noise, of 50 kinds.
    static let afterNoise = (UInt64(1)...50).map { seed in
        var harness = PanelHarness(GalaxyLink())
        harness.feed(noise(seed))
        return harness
    }

    static let vectors = PanelVectors.read("galaxy")
    @Test func theVectorsAreThere() { #expect(Self.vectors.count >= 15) }

    @Test(arguments: vectors, Arrival.allCases)
    func isAnsweredAndReported(_ vector: PanelVectors.Vector, _ arrival: Arrival) {
        // What only a frame in its place can be is not believed amid noise.
        let likely = GalaxyBlock.isLikely(vector.bytes[...]) || vector.expect != "accept"
        if arrival == .afterNoise || arrival == .verySlowly, !likely { return }
        for seed in UInt64(1)...(arrival == .afterNoise ? 50 : 1) {
            var harness = arrival == .afterNoise ? Self.afterNoise[Int(seed) - 1] : PanelHarness(GalaxyLink())
            #expect(harness.signals.isEmpty, "noise is no event")
            let before = (harness.signals.count, harness.sent.count)
            harness.feed(vector.bytes, every: arrival == .slowly ? 20 : arrival == .verySlowly ? 170 : 0)
            harness.pass(4000)
            let answers = vector.answers ?? []
            #expect(harness.signals.dropFirst(before.0).map(\.summary) == vector.signals ?? [])
            #expect(harness.sent.dropFirst(before.1).map { hexadecimal($0) } == answers, "seed \(seed)")
            guard arrival == .twice else { continue }
            harness.pass(4000)
            harness.feed(vector.bytes)
            harness.pass(4000)
            #expect(harness.signals.map(\.summary) == vector.signals ?? [], "a repeat is joined")
            #expect(harness.sent.map { hexadecimal($0) } == answers + answers, "and acknowledged again")
        }
    }

    static func block(_ code: Character, _ text: String = "") -> [UInt8] {
        GalaxyBlock(code, PanelCharset.cp850.bytes(text)).bytes
    }
    static let inbrott = "+INBROTT        IR Sovrum Ö"

    @Test("Each block is acknowledged; the event goes once, with the words of the display")
    func levelThree() {
        var harness = PanelHarness(GalaxyLink())
        for bytes in [
            Self.block("#", "012345"), Self.block("N", "ti11:46/BA1011"), Self.block("A", Self.inbrott),
            Self.block("0"),
        ] {
            harness.feed(bytes)
            harness.pass(50)
        }
        #expect(
            harness.log.filter { !$0.hasPrefix("frame") } == [
                "sent 40 38 87", "kept", "sent 40 38 87",
                "reported 012345-zone-1011 call [BA zone 1011 of 012345] INBROTT / IR Sovrum Ö", "sent 40 38 87",
                "sent 40 38 87",
            ])
        harness.pass(10_000)
        #expect(harness.signals.count == 1 && harness.kept == [])
    }

    @Test("Without words it goes at the end of data, or when the wait is over")
    func levelTwo() {
        var harness = PanelHarness(GalaxyLink())
        harness.feed(Self.block("#", "012345") + Self.block("N", "ti11:46/BA1011"))
        #expect(harness.signals.isEmpty && !harness.kept.isEmpty, "it is on disk, for its words")
        harness.feed(Self.block("0"))
        #expect(harness.signals.map(\.summary) == ["012345-zone-1011 call [BA zone 1011 of 012345]"])
        harness.feed(Self.block("N", "ti11:47/BR1011"))
        harness.pass(2999)
        #expect(harness.signals.count == 1)
        harness.pass(1)
        #expect(harness.signals.count == 2)
        harness.feed(Self.block("N", "ti11:48/BA1012"))
        harness.feed(Self.block("N", "ti11:48/BA1013"))
        harness.feed(Self.block("A", "+INBROTT"))
        #expect(harness.signals.dropFirst(2).map(\.summary).count == 2)
        #expect(harness.signals.last?.text == "INBROTT")
    }

    @Test("A panel that says its level is below 3 is not waited for, nor where the table says so")
    func noWait() {
        var harness = PanelHarness(GalaxyLink())
        harness.feed(Self.block("@", "AL2") + Self.block("N", "ti11:46/BA1011"))
        #expect(harness.signals.count == 1 && !harness.log.contains("kept"))
        var other = PanelHarness(GalaxyLink(GalaxyLink.Manner(wordsWithin: 0)))
        other.feed(Self.block("N", "ti11:46/BA1011"))
        #expect(other.signals.count == 1)
        other.feed(Self.block("A", Self.inbrott))
        #expect(other.signals.map(\.point) == ["zone-1011", "zone-1011"])
        #expect(other.signals.map(\.text) == ["", "INBROTT / IR Sovrum Ö"], "late words are told with the event again")
        other.feed(Self.block("A", Self.inbrott))
        #expect(other.signals.count == 2)
    }

    @Test("What was kept when we died is told after the start, and the panel's repeat is joined")
    func died() {
        var first = PanelHarness(GalaxyLink())
        first.feed(Self.block("#", "012345") + Self.block("N", "ti11:46/FA1011"))
        var second = PanelHarness(GalaxyLink())
        second.kept = first.kept
        second.open()
        #expect(
            second.signals.map(\.summary) == [
                "012345-zone-1011 call [FA zone 1011 of 012345] (at 11:46 by the panel's clock)"
            ])
        #expect(second.kept == [])
        second.feed(Self.block("#", "012345") + Self.block("N", "ti11:46/FA1011") + Self.block("0"))
        #expect(second.signals.count == 1)
        var third = PanelHarness(GalaxyLink())
        third.kept = [1, 2, 3]
        third.open()
        #expect(third.signals.map(\.point) == ["unclassified"], "what cannot be read is told as it is")
    }

    @Test("Where nothing can be kept it is told at once; where nothing can be stored it is refused and said again")
    func notStored() {
        var harness = PanelHarness(GalaxyLink())
        harness.keepsNothing = true
        harness.feed(Self.block("N", "ti11:46/FA1011"))
        #expect(harness.signals.count == 1 && harness.sent.last == [0x40, 0x38, 0x87])
        harness.keepsNothing = false
        harness.refuses = true
        harness.feed(Self.block("N", "ti11:47/FA1012"))
        #expect(harness.sent.last == [0x40, 0x39, 0x86] && harness.signals.count == 1)
        harness.refuses = false
        harness.feed(Self.block("N", "ti11:47/FA1012") + Self.block("0"))
        #expect(harness.signals.count == 2)
        harness.feed(Self.block("N", "ti11:48/FA1013"))
        harness.refuses = true
        harness.feed(Self.block("A", "+BRAND"))
        #expect(harness.sent.last == [0x40, 0x39, 0x86] && harness.signals.count == 2)
        harness.refuses = false
        harness.feed(Self.block("A", "+BRAND"))
        #expect(harness.signals.last?.text == "BRAND" && harness.signals.count == 3)
    }

    @Test("Words that could not be stored are taken when they come late, and nothing is told twice without need")
    func wordsRefused() {
        var harness = PanelHarness(GalaxyLink())
        harness.feed(Self.block("N", "ti11:48/FA1013"))
        harness.refuses = true
        harness.feed(Self.block("A", "+BRAND"))
        harness.refuses = false
        harness.pass(4000)
        #expect(harness.signals.map(\.text) == [""])
        harness.feed(Self.block("A", "+BRAND"))
        #expect(harness.signals.map(\.text) == ["", "BRAND"])
        harness.feed(Self.block("A", "+BRAND") + Self.block("0"))
        #expect(harness.signals.count == 2)
        // An end of data that was taken for the inside of a block, found by silence when the wait is over as well.
        var late = PanelHarness(GalaxyLink(GalaxyLink.Manner(wordsWithin: 200)))
        late.feed(Self.block("N", "ti11:48/FA1013"))
        late.feed([0x7F, 0x4E] + Self.block("0") + [0x20])
        late.pass(5000)
        #expect(late.signals.count == 1)
    }

    @Test("A fire waits a second for its words, counted from its acknowledgement, and longer where they are coming")
    func urgent() {
        var harness = PanelHarness(GalaxyLink())
        harness.feed(Self.block("N", "ti11:46/FA1011"))
        harness.pass(999)
        #expect(harness.signals.isEmpty)
        harness.pass(1)
        #expect(harness.signals.map(\.point) == ["zone-1011"])
        harness.feed(Self.block("N", "ti11:47/HA1012"))
        harness.pass(990)
        // At 300 bit/s.
        harness.feed(Self.block("A", Self.inbrott), every: 34)
        #expect(harness.signals.dropFirst().map(\.text) == ["INBROTT / IR Sovrum Ö"])
        harness.feed(Self.block("N", "ti11:48/FA1013"))
        for _ in 0..<100 {
            harness.feed([0x4E])
            harness.pass(50)
        }
        #expect(harness.signals.count == 3, "noise without an end does not hold it back")
    }

    @Test("A crash between the commit and the acknowledgement doubles nothing, nor makes an alarm of the words")
    func diedBeforeTheAnswer() {
        let blocks = [
            Self.block("#", "012345"), Self.block("N", "ti11:46/BA1011"), Self.block("A", Self.inbrott),
            Self.block("0"),
        ]
        var first = PanelHarness(GalaxyLink())
        for bytes in blocks[..<2] { first.feed(bytes) }
        first.diesBeforeAnswer = true
        first.feed(blocks[2])
        #expect(first.signals.count == 1 && !first.kept.isEmpty)
        // The panel says the last block again, or all of them.
        for again in [blocks[2...], blocks[...]] {
            var second = PanelHarness(GalaxyLink())
            second.kept = first.kept
            second.open()
            for bytes in again { second.feed(bytes) }
            #expect(second.signals.isEmpty && second.sent.count == again.count)
            second.feed(Self.block("N", "ti11:47/BA1012") + Self.block("0"))
            #expect(second.signals.map(\.point) == ["012345-zone-1012"], "the account is known")
        }
    }

    @Test("An event told without its words is told with them when the panel says it again")
    func wordsLater() {
        var harness = PanelHarness(GalaxyLink())
        let start = Self.block("#", "1234") + Self.block("N", "ti11:46/FA1011")
        harness.feed(start)
        harness.pass(5000)
        harness.feed(start + Self.block("A", "+BRAND") + Self.block("0"))
        #expect(harness.signals.map(\.text) == ["", "BRAND"])
        harness.feed(start + Self.block("A", "+BRAND") + Self.block("0"))
        #expect(harness.signals.count == 2)
    }

    @Test("A display's own letters do not hide the words, nor stop the panel")
    func ownLetters() {
        var harness = PanelHarness(GalaxyLink())
        harness.feed(Self.block("N", "ti11:46/FA1011"))
        harness.feed(GalaxyBlock("A", Array("+BRAND          K".utf8) + [0x01, 0x7F] + Array("k".utf8)).bytes)
        #expect(harness.signals.map(\.text) == ["BRAND / K  k"])
        #expect(harness.sent.count == 2)
    }

    @Test("What an event has no place for stands in its text")
    func details() {
        for (text, told) in [
            ("da11-23/ri123/BA1011", "(date 11-23, area 123)"), ("ph5551234/xx/BA1011", "(ph 5551234, xx )"),
            ("BA1A", "(number 1A)"), ("BA12345", "(number 12345)"),
        ] {
            var harness = PanelHarness(GalaxyLink(GalaxyLink.Manner(wordsWithin: 0)))
            harness.feed(Self.block("N", text))
            #expect(harness.signals.map(\.text) == [told])
        }
        var harness = PanelHarness(GalaxyLink(GalaxyLink.Manner(wordsWithin: 0)))
        harness.feed(Self.block("#", "12") + Self.block("N", "BA1011"))
        #expect(harness.signals.map(\.text) == ["(account 12)"])
        #expect(SIABlock("#1234|NFA01^BRAND^|NBA02^INBROTT^")?.text == "BRAND / INBROTT")
    }

    @Test("A stop tells what waits for its words")
    func stopped() throws {
        let line = try PseudoTerminal()
        let settings = SerialSupport.settings([("port", .string(line.path))])
        let host = ScriptHost(line, [.send(Self.block("N", "ti11:46/FA1011")), .expect([0x40, 0x38, 0x87])])
        try GalaxyDriver(settings).run(host)
        #expect(host.signals.filter { $0.reading == .call }.map(\.point) == ["zone-1011"])
        #expect(host.kept == [])
        // Killed instead: what the next run finds.
        let again = ScriptHost(try PseudoTerminal(), [.pass(milliseconds: 1000)])
        try again.keep(GalaxyEvent(account: "1234", isOld: false, data: Array("FA1011".utf8), .cp850).kept(.waits))
        let other = SerialSupport.settings([("port", .string(again.line.path))])
        try GalaxyDriver(other).run(again)
        #expect(again.signals.map(\.summary) == ["1234-zone-1011 call [FA zone 1011 of 1234] (happened earlier)"])
        #expect(again.kept == [])
    }

    @Test("What was kept is told even if the line is gone")
    func withoutLine() throws {
        let host = ScriptHost(try PseudoTerminal(), [])
        try host.keep(GalaxyEvent(account: "1234", isOld: false, data: Array("FA1011".utf8), .cp850).kept(.waits))
        let settings = SerialSupport.settings([("port", .string("/dev/serial/by-id/pulled-out"))])
        let driver = try GalaxyDriver(settings)
        for _ in 0..<2 { #expect(throws: DeviceError.self) { try driver.run(host) } }
        #expect(host.signals.map(\.summary) == ["1234-zone-1011 call [FA zone 1011 of 1234] (happened earlier)"])
        #expect(host.kept == [])
    }

    @Test("A sequence said again is joined; the same zone after its restore has happened again")
    func repeats() {
        var harness = PanelHarness(GalaxyLink())
        let one = Self.block("N", "ti11:46/BA1011") + Self.block("A", "+ETT")
        let two = Self.block("N", "ti11:46/BR1011") + Self.block("A", "-ETT")
        harness.feed(Self.block("#", "1234") + one + two)
        // The acknowledgement of the last words was lost: all of it comes again, alarm and restore.
        harness.pass(2000)
        harness.feed(Self.block("#", "1234") + one + two + Self.block("0"))
        #expect(harness.signals.count == 2)
        // Within the same minute the zone is in alarm once more.
        harness.feed(Self.block("#", "1234") + one + Self.block("0"))
        #expect(harness.signals.count == 3)
        // That sequence once more is a repeat, of another account it is not, and after a minute it is not.
        harness.feed(Self.block("#", "1234") + one + Self.block("0"))
        #expect(harness.signals.count == 3)
        harness.feed(Self.block("#", "5678") + one + Self.block("0"))
        #expect(harness.signals.count == 4)
        harness.pass(61_000)
        harness.feed(Self.block("#", "5678") + one + Self.block("0"))
        #expect(harness.signals.count == 5)
    }

    @Test("Answers with a host's header, the device's own account, and points")
    func manner() throws {
        let settings = SerialSupport.settings(
            [("port", .string("/dev/x")), ("host-bit", .boolean(true)), ("accounts", .string("own"))],
            points: [("sprinkler", [("codes", .string("FA")), ("zones", .string("1000-1099"))])])
        let driver = try GalaxyDriver(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [] && driver.silence == nil)
        var harness = PanelHarness(driver.link())
        harness.feed(Self.block("#", "1234") + Self.block("N", "FA1011") + Self.block("0"))
        #expect(harness.sent.allSatisfy { $0 == [0x80, 0x38, 0x47] } && harness.sent.count == 3)
        #expect(harness.signals.map(\.summary) == ["sprinkler call [FA zone 1011]"])
    }

    @Test("The login is sent every 3 s, not amid a sequence, and nowhere shown")
    func login() throws {
        let settings = SerialSupport.settings([("port", .string("/dev/x")), ("login", .string("543210"))])
        let driver = try GalaxyDriver(settings)
        #expect(settings.problems.all == [] && driver.silence == .seconds(30))
        var harness = PanelHarness(driver.link())
        harness.open()
        let login = try SerialSupport.bytes("C83F3534333231302A3112")
        #expect(harness.sent == [login])
        harness.feed(login)
        harness.feed(login.dropLast() + [0x13])
        harness.pass(300)
        #expect(harness.frames.isEmpty, "an echo is no sign of the panel's life")
        #expect(harness.strange.flatMap(\.self).allSatisfy { !(48...57).contains($0) })
        harness.pass(9000)
        #expect(harness.sent.filter { $0 == login }.count == 4)
        #expect(!harness.log.joined().contains("543210"))
        for wrong in [SettingNode.Value.integer(543_210), .string("54321x")] {
            let settings = SerialSupport.settings([("port", .string("/dev/x")), ("login", wrong)])
            _ = try GalaxyDriver(settings)
            #expect(settings.problems.all.count == 1 && !"\(settings.problems.all)".contains("54321"))
        }
        let line = try PseudoTerminal()
        let device = SerialSupport.settings([("port", .string(line.path)), ("login", .string("543210"))])
        let host = ScriptHost(line, [.expect(login), .pass(milliseconds: 3000), .expect(login)])
        try GalaxyDriver(device).run(host)
        #expect(host.traced.map(\.meaning) == ["login", "login"] && host.traced.allSatisfy(\.bytes.isEmpty))
    }

    @Test("Hostile bytes make no trap and no endless work, and a right block behind them is found")
    func hostile() {
        for seed in UInt64(1)...200 {
            var random = SeededNumbers(seed)
            var harness = PanelHarness(GalaxyLink())
            for _ in 0..<60 {
                let code = Character(UnicodeScalar("#NOA089@?CX1267&zé".utf8.randomElement(using: &random) ?? 0x23))
                var bytes = GalaxyBlock(
                    code,
                    (0..<Int.random(in: 0...63, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) },
                    wantsAnswer: Bool.random(using: &random), isFromHost: Bool.random(using: &random)
                ).bytes
                if Bool.random(using: &random) { bytes = Array(bytes.prefix(Int.random(in: 0...66, using: &random))) }
                harness.feed(bytes, every: Int64.random(in: 0...3, using: &random))
                if Bool.random(using: &random) { harness.pass(Int64.random(in: 0...5000, using: &random)) }
            }
            harness.pass(10_000)
            let before = harness.signals.count
            harness.feed(Self.block("N", "ti11:46/FA1011") + Self.block("0"))
            harness.pass(10_000)
            #expect(harness.signals.count == before + 1, "seed \(seed)")
        }
    }

    @Test("A played panel's events arrive once and in order, over a line that loses and garbles", arguments: 1...5)
    func played(_ seed: UInt64) throws {
        var play = PanelPlay<GalaxyLink, PlayedGalaxy> { GalaxyLink() }
        nonisolated(unsafe) var numbers = SeededNumbers(seed)
        play.fate = { _ in
            let number = Int.random(in: 0..<100, using: &numbers)
            return seed == 1 ? .arrives : number < 3 ? .isLost : number < 6 ? .isGarbled : .arrives
        }
        play.open()
        let kinds = ["fire", "burglary", "tamper", "panic"].compactMap { EventKind.named($0) }
        var expected: [Int] = []
        for number in 1...1000 {
            let kind = kinds[number % kinds.count]
            try play.happen(PlayedEvent(kind, began: number % 3 > 0, zone: number, text: "Rum \(number)"))
            expected.append(number)
            if number % 5 == 0 { play.pass(20_000) }
        }
        play.pass(3_600_000)
        #expect(play.panel.waiting == 0 && play.taken.count == 1000)
        var seen: [Int] = []
        for signal in play.signals { if let zone = signal.said?.zone, seen.last != zone { seen.append(zone) } }
        #expect(seen == expected, "each, in order")
        // One whose words were late is told again with them.
        let twice = Dictionary(grouping: play.signals, by: { $0.said?.zone ?? 0 }).values.filter { $0.count > 1 }
        #expect(twice.allSatisfy { $0.count == 2 && $0[0].text.isEmpty && !$0[1].text.isEmpty })
        if seed == 1 { #expect(twice.isEmpty && play.signals.allSatisfy { $0.text.contains("Rum") }) }
    }

    @Test("Whichever answer we die at, the event is told", arguments: 1...4)
    func dies(_ answers: Int) throws {
        var play = PanelPlay<GalaxyLink, PlayedGalaxy> { GalaxyLink() }
        play.diesAfterAnswers = answers
        play.open()
        let fire = try #require(EventKind.named("fire"))
        for zone in 1...3 { try play.happen(PlayedEvent(fire, zone: zone, text: "Kök")) }
        play.pass(60_000)
        #expect(Set(play.signals.compactMap(\.said?.zone)) == [1, 2, 3])
        #expect(play.panel.waiting == 0)
    }
}
