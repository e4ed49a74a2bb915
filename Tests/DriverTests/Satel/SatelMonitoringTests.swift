import AlarmProtocol
import Foundation
import Testing

@testable import Drivers

@Suite("Satel, function 1") struct SatelMonitoringTests {
    enum Arrival: CaseIterable, Sendable { case whole, slowly, afterNoise, twice }

    static let vectors = PanelVectors.read("satel-monitoring")
    @Test func theVectorsAreThere() { #expect(Self.vectors.count >= 12) }

    static func opened(points: [SatelEventPoint] = []) -> PanelHarness<SatelMonitoringLink> {
        var harness = PanelHarness(SatelMonitoringLink(points: points))
        harness.open()
        return harness
    }

    @Test(arguments: vectors.filter { $0.direction == "panel->gateway" }, Arrival.allCases)
    func isConfirmedAndReported(_ vector: PanelVectors.Vector, _ arrival: Arrival) {
        for seed in UInt64(1)...(arrival == .afterNoise ? 50 : 1) {
            var harness = Self.opened()
            if arrival == .afterNoise {
                harness.feed(noise(seed))
                #expect(harness.signals.isEmpty, "noise is no event")
            }
            let before = (harness.signals.count, harness.sent.count)
            harness.feed(vector.bytes, every: arrival == .slowly ? 20 : 0)
            #expect(harness.signals.dropFirst(before.0).map(\.summary) == vector.signals ?? [])
            #expect(harness.sent.dropFirst(before.1).map { hexadecimal($0) } == vector.answers ?? [])
            guard arrival == .twice, vector.expect == "accept" else { continue }
            harness.pass(1400)
            harness.feed(vector.bytes)
            #expect(harness.signals.map(\.summary) == vector.signals ?? [], "a repeat is joined")
            let confirmations = harness.sent.filter { $0.first == 0x2B }
            #expect(confirmations.map { hexadecimal($0) } == (vector.answers ?? []) + (vector.answers ?? []))
        }
    }

    @Test("It asks at once and every second and a half, and what it sends is as the vectors have it")
    func asks() {
        var harness = Self.opened()
        harness.pass(6000)
        #expect(harness.sent == Array(repeating: [0x3F, 0x0D], count: 5))
        for vector in Self.vectors where vector.id == "satel-f1-query" { #expect(vector.bytes == [0x3F, 0x0D]) }
        harness.refuses = true
        harness.feed(Array("EC=a,1,1234,1,130,01,005\r".utf8))
        #expect(harness.sent.last == Self.vectors.first { $0.id == "satel-f1-refuse" }?.bytes)
        harness.refuses = false
        harness.feed(Array("EC=a,1,1234,1,130,01,005\r".utf8))
        #expect(harness.sent.last == Array("+a\r".utf8) && harness.signals.count == 1)
    }

    @Test("Joined are marker and event alike, within 75 s; the next marker or a later time is another event")
    func repeats() {
        var harness = Self.opened()
        harness.feed(Array("EC=b,1,1234,1,130,01,005\r".utf8))
        harness.pass(70_000)
        harness.feed(Array("EC=b,1,1234,1,130,01,005\r".utf8))
        #expect(harness.signals.count == 1)
        harness.feed(Array("EC=c,1,1234,1,130,01,005\r".utf8))
        #expect(harness.signals.count == 2)
        harness.pass(80_000)
        harness.feed(Array("EC=c,1,1234,1,130,01,005\r".utf8))
        #expect(harness.signals.count == 3)
    }

    @Test("What was stored before a crash, and is said again after it, is confirmed and not told again")
    func crash() {
        let event = Array("EC=b,1,1234,1,110,01,005\r".utf8)
        func again(_ said: String, keeping kept: [UInt8]) -> PanelHarness<SatelMonitoringLink> {
            var harness = PanelHarness(SatelMonitoringLink())
            harness.kept = kept
            harness.open()
            harness.feed(Array(said.utf8))
            return harness
        }
        let joined = again("EC=b,1,1234,1,110,01,005\r", keeping: event.dropLast())
        #expect(joined.signals.isEmpty && joined.sent == [[0x3F, 0x0D], Array("+b\r".utf8)])
        #expect(again("EC=c,1,1234,1,110,01,005\r", keeping: event.dropLast()).signals.count == 1)
        for seed in UInt64(1)...200 {
            #expect(again("EC=b,1,1234,1,110,01,005\r", keeping: noise(seed, count: Int(seed % 90))).signals.count == 1)
        }
    }

    @Test("Our DTR falls when we end; the module's own is watched as configured")
    func modemLines() throws {
        let line = try PseudoTerminal()
        func serial(_ values: [(String, SettingNode.Value)]) throws -> SerialSettings {
            let settings = SerialSupport.settings([("port", .string(line.path))] + values)
            let serial = try SatelMonitoringDriver(settings).serial
            settings.refuseUnread()
            #expect(settings.problems.all == [])
            return serial
        }
        #expect(try serial([]).dsr == .onceUp && serial([("dsr", .boolean(true))]).dsr == .required)
        #expect(try serial([("dsr", .boolean(false))]).dsr == nil)
        for (settings, hangsUp) in [
            (try serial([]), true), (SerialSettings(path: line.path, line: try serial([]).line), false),
        ] {
            let port = try SerialPort(settings)
            var got = termios()
            #expect(tcgetattr(port.descriptor, &got) == 0 && (got.c_cflag & tcflag_t(HUPCL) != 0) == hangsUp)
        }
    }

    @Test("What cannot be read is not confirmed; said again it is told as it is, once")
    func unknown() {
        var harness = Self.opened()
        harness.feed(Array("EC=d,1,1234,1,9Z9,01,005\r".utf8))
        #expect(harness.sent.count == 1 && harness.signals.isEmpty)
        for _ in 1...3 { harness.feed(Array("EC=d,1,1234,1,9Z9,01,005\r".utf8)) }
        #expect(harness.signals.map(\.summary) == ["unclassified call EC=d,1,1234,1,9Z9,01,005"])
        #expect(harness.sent.last == Array("+d\r".utf8))
        harness.feed(Array("ER=17\rER=17\rER=17\r".utf8))
        #expect(harness.signals.last?.summary == "unclassified call ER=17" && harness.signals.count == 2)
    }

    @Test("A code of no table is told in its family, with the panel's words")
    func ownCode() {
        var harness = Self.opened()
        harness.feed(Array("EC=e,1,1234,1,189,01,005\r".utf8))
        #expect(harness.signals.last?.text == "[EC=e,1,1234,1,189,01,005]")
        #expect(harness.sent.last == Array("+e\r".utf8))
    }

    @Test("4/2 events become what the installer made of them")
    func fourTwo() throws {
        let settings = SerialSupport.settings(
            [("port", .string("/dev/x"))],
            points: [
                ("fire", [("event-code", .string("31")), ("restore-code", .string("b1"))]),
                ("sprinkler", [("codes", .string("130")), ("zones", .string("5"))]),
            ])
        let driver = try SatelMonitoringDriver(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [])
        var harness = PanelHarness(driver.link())
        harness.feed(Array("EN=c,2,1234,31\rEN=d,2,1234,B1\rEN=e,1,1234,32\rEC=f,1,1234,1,130,01,005\r".utf8))
        #expect(
            harness.signals.map(\.summary) == [
                "fire call", "fire cleared", "1234-code-32 call [unclassified of 1234] 4/2 event 32 of 1234",
                "sprinkler call [1130 zone 5 area 1 of 1234]",
            ])
    }

    @Test func wrongSettingsAreRefused() throws {
        let settings = SerialSupport.settings(
            [("port", .string("/dev/x"))],
            points: [("a", [("event-code", .string("3G1"))]), ("b", [("codes", .string("nonsense"))])])
        _ = try SatelMonitoringDriver(settings)
        #expect(settings.problems.all.count == 2)
        #expect(settings.problems.all.first?.message.contains("two hexadecimal digits") == true)
    }

    @Test("A thousand events arrive once and in order, though a fifth of all messages is lost")
    func played() throws {
        var line = PlayedLine(SatelMonitoringLink(), PlayedSatelMonitoring(), seed: 7)
        line.loss = 20
        line.open()
        var expected: [String] = []
        var numbers = SeededNumbers(3)
        let kinds = try ["fire", "burglary", "hold-up", "mains-failure", "arming"].map {
            try #require(EventKind.named($0))
        }
        for _ in 1...1000 {
            let kind = kinds.randomElement(using: &numbers) ?? kinds[0]
            let event = PlayedEvent(
                kind, began: Bool.random(using: &numbers), partition: 1, zone: Int.random(in: 1...99, using: &numbers))
            try line.happen(event)
            let codes = try #require(kind.codes(began: event.began))
            expected.append("[\(codes.qualifier.rawValue)\(codes.contactID)")
            line.pass(Int64.random(in: 0...4000, using: &numbers))
        }
        line.pass(600_000)
        #expect(line.panel.waiting == 0)
        #expect(line.taken.count == 1000)
        #expect(line.signals.map { "[" + ($0.summary.split(separator: "[").last?.prefix(4) ?? "") } == expected)
    }

    @Test("The played panel gives up an event after 75 s, misses its monitoring device after 32 s, and says both")
    func playedTroubles() throws {
        var line = PlayedLine(SatelMonitoringLink(), PlayedSatelMonitoring())
        line.open()
        line.isCut = true
        line.pass(40_000)
        #expect(line.troubles == ["no monitoring device: nobody has asked for 32 s"])
        line.isCut = false
        line.harness.refuses = true
        try line.happen(PlayedEvent(try #require(EventKind.named("fire")), zone: 3))
        line.pass(4000)
        #expect(line.troubles.last == "the event was refused: it is said again later" && line.signals.isEmpty)
        line.harness.refuses = false
        line.pass(10_000)
        #expect(line.signals.count == 1 && line.panel.waiting == 0)
        #expect(throws: CannotPlay.self) {
            try line.panel.happen(PlayedEvent(try #require(EventKind.named("test")), began: false), at: 0)
        }
    }

    @Test("Whatever bytes come, it stays bounded and does not fall", arguments: [UInt64](1...20))
    func hostile(_ seed: UInt64) {
        var harness = Self.opened()
        var numbers = SeededNumbers(seed)
        let pieces = [
            "EC=", "EN=", "a,", "1,", "1234,", "130,", "01,", "005", "\r", "OK\r", "=", ",", "\u{0}", "+", "?",
        ]
        for _ in 1...3000 {
            let piece = pieces.randomElement(using: &numbers) ?? ""
            harness.feed(Bool.random(using: &numbers) ? Array(piece.utf8) : noise(numbers.next(), count: 3))
        }
        harness.feed(Array(repeating: 0x45, count: 100_000))
        harness.feed(Array("\rEC=q,1,1234,1,110,01,015\r".utf8))
        #expect(harness.signals.last?.summary == "1234-zone-15 call [1110 zone 15 area 1 of 1234]")
        #expect(harness.strange.allSatisfy { $0.count <= SatelMonitoringLink.longest + 1 })
    }
}
