import AlarmProtocol
import Testing

@testable import Drivers

/// What technicians need of printed lines beside words: records of several lines, headings, other character sets.
@Suite("Printed records") struct PrinterRecordTests {
    private static func array(_ texts: String...) -> SettingNode.Value {
        .array(texts.map { SerialSupport.node(.string($0)) })
    }

    private static func printed(
        _ lines: [String], _ values: [(String, SettingNode.Value)], points: SerialSupport.Points = []
    ) throws -> [String] {
        var harness = try PrinterTests.link(values, points: points)
        for line in lines { harness.feed(line.unicodeScalars.map { UInt8($0.value & 0xFF) } + [0x0D, 0x0A]) }
        harness.pass(300)
        return harness.signals.map(\.summary)
    }

    @Test("Lines behind a record's first belong to it; those that fill the paper are cut within a word")
    func severalLines() throws {
        let settings: [(String, SettingNode.Value)] = [
            ("first-line", .string("^[0-9]{2}/[0-9]{2} ")), ("width", .integer(24)),
        ]
        let lines = [
            "23/11 14:05 BRANDLARM SE", "KTION 12 KÖK OCH MATSAL", "PLAN 2",
            "23/11 14:06 FEL", "SEKTION 3", "", "23/11 14:07 ÅTERSTÄLLD BRAN", "DLARM SEKTION 12",
        ]
        #expect(
            try Self.printed(lines, settings) == [
                "zone-12 call [fire zone 12] 23/11 14:05 BRANDLARM SEKTION 12 KÖK OCH MATSAL PLAN 2",
                "zone-3 call [fire-trouble zone 3] 23/11 14:06 FEL SEKTION 3",
                "zone-12 cleared [fire zone 12] 23/11 14:07 ÅTERSTÄLLD BRANDLARM SEKTION 12",
            ])
    }

    @Test("An alarm is never taken for the rest of another record; a name with such a word is")
    func alarmWithin() throws {
        let lines = ["1 FEL SEKTION 3", "BRANDLARM SEKTION 4", "2 BRANDLARM SEKTION 5", "Brandcell Öst", "3 Meny"]
        #expect(
            try Self.printed(lines, [("first-line", .string("^[0-9] "))]) == [
                "zone-3 call [fire-trouble zone 3] 1 FEL SEKTION 3", "zone-4 call [fire zone 4] BRANDLARM SEKTION 4",
                "zone-5 call [fire zone 5] 2 BRANDLARM SEKTION 5 Brandcell Öst", "unclassified call 3 Meny",
            ])
    }

    @Test("A page's heading, a form feed and a ruled line between two lines of a record take nothing of it away")
    func pageBreak() throws {
        let settings: [(String, SettingNode.Value)] = [
            ("continuation", .string("    ")), ("ignore", .string("^Sida [0-9]+")),
        ]
        let lines = ["BRANDLARM SEKTION 4", "\u{0C}Sida 12", "    Rum 12", "----------", "    Plan 3"]
        #expect(
            try Self.printed(lines, settings) == [
                "zone-4 call [fire zone 4] BRANDLARM SEKTION 4 Rum 12", "unclassified call Plan 3",
            ])
        #expect(
            try Self.printed(
                ["BRANDLARM SEKTION 4", "Sida 12", "    Rum 12"], settings,
                points: [
                    ("page", [("pattern", .string("^Sida 12$"))])
                ]
            ).count == 2, "what a point takes is no heading")
    }

    @Test("A record that never ends is told in pieces, none of them lost")
    func endlessRecord() throws {
        let lines = ["1 BRANDLARM SEKTION 1"] + (1...40).map { "Rum \($0) och mera" }
        let told = try Self.printed(lines, [("first-line", .string("^[0-9] "))])
        for number in 1...40 { #expect(told.joined(separator: " ").contains("Rum \(number) och")) }
        #expect(told.allSatisfy { $0.utf8.count < 400 })
    }

    @Test("A point may ask what the line says by its words, so that a room's fault is not its fire")
    func says() throws {
        let points: SerialSupport.Points = [
            ("kitchen", [("contains", .string("kök")), ("says", Self.array("fire", "fire-warning"))]),
            ("tests", [("says", .string("manual-test"))]),
            ("seen", [("says", Self.array("acknowledged", "reset"))]),
        ]
        let lines = ["BRANDLARM Kök", "FEL SLINGA 2 Kök", "PROV SEKTION 1", "LARM KVITTERAT", "RESET"]
        #expect(
            try Self.printed(lines, [], points: points) == [
                "kitchen call [fire] BRANDLARM Kök", "panel call [fire-trouble] FEL SLINGA 2 Kök",
                "tests call [manual-test zone 1] PROV SEKTION 1", "seen call [unclassified] LARM KVITTERAT",
                "seen cleared [unclassified] RESET",
            ])
        let wrong = SerialSupport.settings(
            [("port", .string("/dev/x")), ("width", .integer(40)), ("first-line", .string("("))],
            points: [("p", [("says", .string("fires"))])])
        _ = try PrinterDriver(wrong)
        #expect(wrong.problems.all.count == 3)
        #expect(
            wrong.problems.sorted.last?.place.line == 10
                && wrong.problems.sorted.last?.message.contains("fires") == true)
    }

    @Test("Whoever watches is told which point, which words or which pattern took a line")
    func isNamed() throws {
        var harness = try PrinterTests.link(
            [("ignore", .string("^Sida"))], points: [("pump", [("contains", .string("pump"))])])
        harness.feed(Array("Pump 3\rFEL SEKTION 2\rSida 1\rMenyn\r".utf8))
        #expect(
            harness.frames == [
                "point pump: Pump 3", "by its words fire-trouble zone 2: FEL SEKTION 2", "ignored by \"^Sida\": Sida 1",
                "not known: Menyn",
            ])
    }

    @Test("Words in the wrong character set are words, drawn lines are none, and a short line is told")
    func otherCharacterSet() throws {
        var harness = try PrinterTests.link()
        // Code page 437 where Latin-1 is set: "Kök öppen", a double line and a single one.
        harness.feed([0x4B, 0x94, 0x6B, 0x20, 0x94, 0x70, 0x70, 0x65, 0x6E, 0x0D])
        harness.feed(Array(repeating: 0xCD, count: 40) + [0x0D] + Array(repeating: 0xC4, count: 40) + [0x0D])
        harness.feed(Array("L4\r".utf8))
        harness.pass(300)
        #expect(harness.signals.map(\.point) == ["unclassified", "unclassified"])
        #expect(harness.signals.last?.text == "L4" && harness.strange.isEmpty)
    }

    @Test(
        "More of the words",
        arguments: [
            ("FEL BATTERI", "battery", false, 0), ("FAULT: MAINS", "mains-failure", false, 0),
            ("FEL BATTERIRUM", "fire-trouble", false, 0), ("ÅTERSTÄLLD FEL NÄT", "mains-failure", true, 0),
            ("ZONE 4 ENABLED", "fire-bypass", true, 4), ("ZONE 4 DISABLED", "fire-bypass", false, 4),
            ("SEKTION 3 INKOPPLAD", "fire-bypass", true, 3), ("BRANDLARM INKOPPLINGSRUM", "fire", false, 0),
            ("BRANDLARM SEKTION12", "fire", false, 12), ("ALARM Z012 2.1.D4", "fire", false, 12),
            ("BRANDLARM ZON4", "fire", false, 4), ("ALARM 2.1.Z4", "fire", false, 0),
            ("2026-11-23 14:05:33 BRANDLARM SEKT. 7", "fire", false, 7),
        ])
    func words(_ text: String, _ kind: String, _ ends: Bool, _ zone: Int) throws {
        var harness = try PrinterTests.link()
        _ = PrinterTests.printed(text, by: &harness)
        let signal = try #require(harness.signals.first)
        #expect(signal.said?.code == EventKind.named(kind).map { .kind($0) }, "\(signal.summary)")
        #expect((signal.reading == .cleared) == ends && signal.said?.zone == zone)
    }

    @Test("A recording is played to rules that are not its own")
    func otherRules() throws {
        let text = """
            # driver: printer
            # make: unknown
            # model: unknown
            # firmware: unknown
            # line: 9600 8N1
            # provenance: made up
            < 50 75 6D 70 20 33 0D
            = unclassified call Pump 3
            = line healthy
            """
        let head = """
            # driver: printer
            # make: unknown
            # model: unknown
            # firmware: unknown
            # line: 2400 8N1
            # provenance: made up
            # point pump contains = "pump"
            """
        func differences(_ rules: String?) throws -> Int {
            try Replay.run(PrinterDriver.self) { port in
                let recording = try Recording(text, file: "a.txt", port: port)
                return try rules.map { recording.with(settingsOf: try Recording($0, file: "b.txt", port: port)) }
                    ?? recording
            }
        }
        #expect(try differences(nil) == 0)
        #expect(try differences(head) == 1)
    }
}
