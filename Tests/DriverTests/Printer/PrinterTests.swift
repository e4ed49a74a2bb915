import AlarmProtocol
import Testing

@testable import Drivers

@Suite("Printer ports") struct PrinterTests {
    enum Arrival: CaseIterable, Sendable { case whole, slowly, afterNoise, twice }

    static let vectors = PanelVectors.read("printer")
    @Test func theVectorsAreThere() { #expect(Self.vectors.count >= 10) }

    static func link(
        _ values: [(String, SettingNode.Value)] = [], points: SerialSupport.Points = []
    ) throws -> PanelHarness<PrinterLink> {
        let settings = SerialSupport.settings([("port", .string("/dev/x"))] + values, points: points)
        let driver = try PrinterDriver(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [])
        return PanelHarness(driver.link())
    }

    static func printed(_ lines: String..., by harness: inout PanelHarness<PrinterLink>) -> [String] {
        let before = harness.signals.count
        for line in lines { harness.feed(line.unicodeScalars.map { UInt8($0.value & 0xFF) } + [0x0D, 0x0A]) }
        harness.pass(300)
        return harness.signals.dropFirst(before).map(\.summary)
    }

    @Test(arguments: vectors, Arrival.allCases)
    func isReported(_ vector: PanelVectors.Vector, _ arrival: Arrival) throws {
        let layout: [(String, SettingNode.Value)] =
            vector.id.hasPrefix("afp") ? [("layout", .string("firesense"))] : []
        for seed in UInt64(1)...(arrival == .afterNoise ? 50 : 1) {
            var harness = try Self.link(layout)
            if arrival == .afterNoise {
                harness.feed(noise(seed))
                // Printers pause between lines; a line of the layout is found even right behind noise.
                if layout.isEmpty { harness.pass(250) }
                #expect(harness.signals.isEmpty, "noise is no event, seed \(seed)")
            }
            let before = harness.signals.count
            harness.feed(vector.bytes, every: arrival == .slowly ? 20 : 0)
            if arrival == .twice { harness.feed(vector.bytes) }
            harness.pass(250)
            let signals = vector.signals ?? []
            let told = harness.signals.dropFirst(before).map(\.summary)
            #expect(told == (arrival == .twice ? signals + signals : signals), "seed \(seed)")
            #expect(harness.sent.isEmpty)
        }
    }

    @Test("A line ends with CR, LF, CRLF, FF, a configured character, its length, or after a pause")
    func framing() throws {
        for end in ["\r", "\n", "\u{0C}", "\r\n\r\n"] {
            var harness = try Self.link()
            harness.feed(Array("BRANDLARM SEKTION 1\(end)FEL SEKTION 2\(end)".utf8))
            #expect(harness.signals.map(\.text) == ["BRANDLARM SEKTION 1", "FEL SEKTION 2"])
        }
        var own = try Self.link([("terminator", .string(";"))])
        own.feed(Array("BRANDLARM\r\nSEKTION 1;".utf8))
        #expect(own.signals.map(\.text) == ["BRANDLARM SEKTION 1"])
        var idle = try Self.link()
        idle.feed(Array("BRANDLARM SEKTION 1".utf8), every: 100)
        #expect(idle.signals.isEmpty)
        idle.pass(200)
        #expect(idle.signals.map(\.text) == ["BRANDLARM SEKTION 1"])
        var long = try Self.link()
        long.feed(Array(("BRANDLARM" + String(repeating: " lang", count: 60) + "\r").utf8))
        #expect(long.signals.count == 2 && long.signals.first?.said?.summary == "fire")
    }

    @Test("A line that begins as configured belongs to the one before")
    func continuation() throws {
        var harness = try Self.link([("continuation", .string("    "))])
        #expect(
            Self.printed("BRANDLARM SEKTION 4", "    Rum 12", "FEL SEKTION 5", by: &harness)
                == [
                    "zone-4 call [fire zone 4] BRANDLARM SEKTION 4 Rum 12",
                    "zone-5 call [fire-trouble zone 5] FEL SEKTION 5",
                ])
    }

    @Test("Swedish letters in every character set")
    func letters() throws {
        let sets: [(String, [UInt8])] = [
            ("latin-1", [0x46, 0xD6, 0x52]), ("cp437", [0x46, 0x99, 0x52]), ("cp850", [0x46, 0x99, 0x52]),
            ("iso646-se", [0x46, 0x5C, 0x52]), ("utf-8", [0x46, 0xC3, 0x96, 0x52]),
        ]
        for (name, start) in sets {
            var harness = try Self.link([("charset", .string(name))])
            harness.feed(start + Array("LARM SEKTION 3\r".utf8))
            #expect(
                harness.signals.map(\.summary) == ["zone-3 call [fire-warning zone 3] FÖRLARM SEKTION 3"], "\(name)")
        }
    }

    @Test(
        "Words say kind and direction separately",
        arguments: [
            ("BRANDLARM BATTERIRUM PLAN 2", "fire", false), ("BRANDLARM SEKTION 4 PROVRUM", "fire", false),
            ("BRANDLARM SEKTION 4 URKOPPLAD", "fire-bypass", false), ("BRANDLARM FEL SLINGA 2", "fire-trouble", false),
            ("LARM SEKTION 12 AVSTÄNGD", "fire-bypass", false), ("SEKTION 3 TILLKOPPLAD", "fire-bypass", true),
            ("NÄTFEL", "mains-failure", false), ("NÄTFEL ÅTER NORMAL", "mains-failure", true),
            ("BATTERY LOW", "battery", false), ("CHARGER FAIL", "power-supply", false),
            ("RING BROKEN", "fire-trouble", false),
            ("NO REPLY 1.2.3", "fire-trouble", false), ("PRE-ALARM ZONE 4", "fire-warning", false),
            ("FÖRLARM SEKTION 1", "fire-warning", false), ("PROV SEKTION 1", "manual-test", false),
            ("INBROTTSLARM SEKTION 1", "burglary", false), ("FIRE DOOR OPEN", "fire", false),
            ("BRANDLARM ÅTERSTÄLLT", "fire", true), ("FIRE ALARM TEST", "manual-test", false),
            ("FIRE ZONE 3 TEST LAB", "fire", false),
        ])
    func words(_ text: String, _ kind: String, _ ends: Bool) throws {
        var harness = try Self.link()
        _ = Self.printed(text, by: &harness)
        let signal = try #require(harness.signals.first)
        #expect(signal.said?.code == EventKind.named(kind).map { .kind($0) }, "\(signal.summary)")
        #expect((signal.reading == .cleared) == ends)
    }

    @Test("In a layout of columns the event column alone counts, and the first kind of the list")
    func columns() throws {
        var harness = try Self.link([("event-columns", .string("1-18"))])
        #expect(
            Self.printed("FAULT             FIRE DOOR RESET ZONE 4", "  ALARM ISOL      FIRE ROOM", by: &harness)
                == [
                    "zone-4 call [fire-trouble zone 4] FAULT FIRE DOOR RESET ZONE 4",
                    "panel call [fire-bypass] ALARM ISOL FIRE ROOM",
                ])
    }

    @Test(
        "Points go first, in the order of the file; what none takes is classified, and what has no words is told as it is"
    )
    func rules() throws {
        var harness = try Self.link(points: [
            (
                "pump",
                [
                    ("pattern", .string(#"^Pump (?<zone>\d+): (?<text>.+)$"#)),
                    ("ends-pattern", .string(#"^Pump (?<zone>\d+): ok$"#)),
                ]
            ),
            ("kitchen", [("contains", .array([SerialSupport.node(.string("kök"))]))]),
        ])
        #expect(
            Self.printed(
                "Pump 3: brand i motor", "Pump 3: ok", "BRANDLARM Kök", "ÅTERSTÄLLD Kök", "BRANDLARM Sal", "Mellanslag",
                by: &harness)
                == [
                    "pump call [fire zone 3] brand i motor", "pump cleared [unclassified zone 3] Pump 3: ok",
                    "kitchen call [fire] BRANDLARM Kök", "kitchen cleared [unclassified] ÅTERSTÄLLD Kök",
                    "panel call [fire] BRANDLARM Sal", "unclassified call Mellanslag",
                ])
    }

    @Test("Without classification every line that no point takes is told as it is")
    func unclassified() throws {
        var harness = try Self.link([("classify", .boolean(false))])
        #expect(Self.printed("BRANDLARM Sal", by: &harness) == ["unclassified call BRANDLARM Sal"])
    }

    @Test(
        "What is configured to be ignored is ignored and counted, but never what a point takes; rules without words are nothing"
    )
    func ignored() throws {
        var harness = try Self.link(
            [("ignore", .array([SerialSupport.node(.string("^Sida [0-9]+")), SerialSupport.node(.string("KÖK"))]))],
            points: [("kitchen", [("contains", .string("BRANDLARM KÖK"))])])
        #expect(
            Self.printed("Sida 12", "------------", "", "BRANDLARM KÖK", "FEL KÖK", by: &harness)
                == ["kitchen call [fire] BRANDLARM KÖK"])
        #expect(harness.frames.contains { $0.hasPrefix("ignored by \"^Sida") })
    }

    @Test(
        "Patterns that could take hours, or cannot be read, are refused with the reason",
        arguments: [
            (#"(a+)+$"#, "hours"), (#"(a|aa)*b"#, "hours"), (#"((ab)*c){3,}"#, "hours"), (#".*x.*y.*z"#, "hours"),
            (#"\w+\w+\w+x"#, "hours"), (#"[\s\S]*a[\s\S]*b[\s\S]*c"#, "hours"), (#".{0,99}.{0,99}.{0,99}x"#, "hours"),
            (#"(a?)*b"#, "hours"), (#"(?:\d|\d\d)+$"#, "hours"), (#"(?:[a-z] ?)+x"#, "hours"),
            (String(repeating: "(", count: 300), "256 characters"),
            (#"(?<room>\d+)"#, "room"), ("(", "cannot be used"), (#"[^a]*[^b]*[^c]*d"#, "hours"),
        ])
    func dangerous(_ pattern: String, _ why: String) throws {
        let settings = SerialSupport.settings(
            [("port", .string("/dev/x"))], points: [("p", [("pattern", .string(pattern))])])
        _ = try PrinterDriver(settings)
        #expect(settings.problems.all.first?.message.contains(why) == true, "\(settings.problems.all)")
    }

    @Test(arguments: [
        #"^:(?<text>ALARM|FAULT) +Z(?<zone>\d{3}) "#, #"SEKT(?:ION)?\.? *(?<zone>\d+) (?<text>.+)$"#, #"a\+b\(c"#,
        "[*+(]x",
        #"(?<area>\d)(?<zone>\d{1,3})"#, #"^(\w+) (\w+) (\w+) (\w+) (?<zone>\d+)$"#,
        #"^.*ALARM.*ZON (?<zone>\d+)"#, #"^.*x.*y.*z"#, #"^\d+/\d+ +\d+:\d+ +(?<text>.+) +(?<zone>\d+)$"#,
        #"(\d\d/)*x"#,
        #"[[:alpha:]]+ [a-f&&b-c]"#, #"\p{L}+ x{2}{"#, "a{,3}]", "(?i:x)(?=y.*)",
    ])
    func harmless(_ pattern: String) { #expect(PrinterPattern.danger(in: pattern) == nil) }

    @Test("Wrong settings are refused, all at once")
    func wrongSettings() throws {
        let settings = SerialSupport.settings(
            [
                ("port", .string("/dev/x")), ("event-columns", .string("18-1")), ("terminator", .string("ab")),
                ("layout", .string("esser")), ("continuation", .string("å")),
            ],
            points: [("all", []), ("late", [("contains", .string("x"))]), ("ends", [("ends-pattern", .string("x"))])])
        _ = try PrinterDriver(settings)
        #expect(settings.problems.all.count == 7, "\(settings.problems.all)")
    }

    @Test("Printer codes are no part of a line; a garbled letter does not lose it")
    func printerCodes() throws {
        var harness = try Self.link()
        harness.feed(
            [0x1B, 0x40, 0x1B, 0x21, 0x10, 0x0E, 0x00] + Array("BRANDLARM".utf8) + [0x14] + Array(" SEKTION 7\r".utf8))
        harness.feed(Array("Bra".utf8) + [0x01] + Array("dlrm i sektion sju\r".utf8))
        #expect(harness.signals.first?.summary == "zone-7 call [fire zone 7] BRANDLARM SEKTION 7")
        #expect(harness.signals.count == 2 && harness.signals.last?.point == "unclassified")
    }

    @Test("Noise of any kind: no trap, no endless line", arguments: UInt64(1)...5)
    func hostile(_ seed: UInt64) throws {
        for layout in ["lines", "firesense"] {
            for charset in PanelCharset.names.map(\.0) {
                var harness = try Self.link(
                    [("layout", .string(layout)), ("charset", .string(charset)), ("continuation", .string(" "))],
                    points: [("p", [("pattern", .string(#"(?<zone>\d+).+$"#))])])
                harness.feed(noise(seed, count: 2000))
                harness.pass(300)
                harness.feed(Array("BRANDLARM X\r".utf8))
                harness.pass(300)
                #expect(harness.signals.last?.said?.summary == "fire")
            }
        }
    }

    @Test("The played printer: a thousand things happen, all are told once and in order")
    func played() throws {
        var panel = PlayedPrinter()
        var harness = try Self.link()
        var numbers = SeededNumbers(11)
        var expected: [String] = []
        let kinds = ["fire", "fire-trouble", "fire-warning", "fire-bypass", "burglary", "tamper"]
        for _ in 0..<1000 {
            let kind = try #require(EventKind.named(kinds.randomElement(using: &numbers) ?? ""))
            let zone = Int.random(in: 1...999, using: &numbers)
            let begins = Bool.random(using: &numbers)
            try panel.happen(PlayedEvent(kind, began: begins, zone: zone, text: "Rum \(zone) å"), at: harness.now)
            expected.append("zone-\(zone) \(begins ? "call" : "cleared") [\(kind.name) zone \(zone)]")
            for case .send(let bytes, _) in panel.tick(at: harness.now) { harness.feed(bytes) }
        }
        #expect(zip(harness.signals.map(\.summary), expected).allSatisfy { $0.hasPrefix($1) })
        #expect(harness.signals.count == expected.count && panel.waiting == 0)
    }
}
