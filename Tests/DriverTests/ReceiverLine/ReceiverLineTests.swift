import AlarmProtocol
import Testing

@testable import Drivers

@Suite("Alarm receivers' computer ports") struct ReceiverLineTests {
    enum Arrival: CaseIterable, Sendable { case whole, slowly, afterNoise, twice }

    static func format(of vector: PanelVectors.Vector) -> ReceiverFormat {
        vector.id.hasPrefix("ademco") ? .ademco685 : vector.id.hasPrefix("d6500") ? .d6500 : .surGard
    }

    static let vectors = PanelVectors.read("receiver-line")
    @Test func theVectorsAreThere() { #expect(Self.vectors.count >= 10) }

    @Test(arguments: vectors, Arrival.allCases)
    func isAnsweredAndReported(_ vector: PanelVectors.Vector, _ arrival: Arrival) {
        for seed in UInt64(1)...(arrival == .afterNoise ? 50 : 1) {
            var harness = PanelHarness(ReceiverLink(Self.format(of: vector)))
            if arrival == .afterNoise {
                harness.feed(noise(seed))
                #expect(harness.signals.isEmpty, "noise is no event")
            }
            let before = (harness.signals.count, harness.sent.count)
            harness.feed(vector.bytes, every: arrival == .slowly ? 20 : 0)
            let answers = vector.answers ?? ["06"]
            #expect(harness.signals.dropFirst(before.0).map(\.summary) == vector.signals ?? [])
            #expect(harness.sent.dropFirst(before.1).map { hexadecimal($0) } == answers)
            guard arrival == .twice else { continue }
            harness.pass(4000)
            harness.feed(vector.bytes)
            #expect(harness.signals.map(\.summary) == vector.signals ?? [], "a repeat is joined")
            #expect(harness.sent.map { hexadecimal($0) } == answers + answers, "and acknowledged again")
        }
    }

    @Test("The same message after the time of a repeat, or after another, has happened again")
    func again() {
        var harness = PanelHarness(ReceiverLink(.surGard))
        let alarm = Array("5011 181234E13001005\u{14}".utf8)
        harness.feed(alarm)
        harness.pass(11_000)
        harness.feed(alarm)
        #expect(harness.signals.count == 2)
        harness.feed(Array("5011 181234R13001005\u{14}".utf8))
        harness.feed(alarm)
        #expect(harness.signals.count == 4)
    }

    @Test("A garbled message is refused once, and is read when it comes again; one that is not known is told as it is")
    func refused() {
        var harness = PanelHarness(ReceiverLink(.surGard))
        harness.feed(Array("5011 18123?E13001005\u{14}".utf8))
        #expect(harness.sent == [[0x15]] && harness.signals.isEmpty)
        harness.feed(Array("5011 181234E13001005\u{14}".utf8))
        #expect(harness.sent.last == [0x06] && harness.signals.count == 1)
        let telim = Array("T011 77 A1234 ZZ\u{14}".utf8)
        harness.feed(telim)
        #expect(harness.sent.last == [0x15])
        harness.feed(telim)
        #expect(harness.sent.last == [0x06])
        #expect(harness.signals.last?.summary == "unclassified call T011 77 A1234 ZZ")
    }

    @Test("What cannot be stored is refused, and stored when it comes again")
    func notStored() {
        var harness = PanelHarness(ReceiverLink(.surGard))
        harness.refuses = true
        harness.feed(Array("5011 181234E11001005\u{14}".utf8))
        #expect(harness.sent == [[0x15]])
        harness.refuses = false
        harness.feed(Array("5011 181234E11001005\u{14}".utf8))
        #expect(harness.sent.last == [0x06] && harness.signals.count == 1)
    }

    @Test("A message is read wherever its maker puts blanks; the format decides where the account stands")
    func tolerant() {
        let alarm = "zone-5 call [1130 zone 5 area 1 of"
        for (format, text, account) in [
            (ReceiverFormat.d6500, "a011 184518E13001005", "1845"), (.d6500, " a011 123418E13001005", "1234"),
            (.d6500, "a011 1234 18 E130 01 005", "1234"), (.d6500, "aA1W 181234E13001005", "1234"),
            (.d6500, "a011 181818E13001005", "1818"), (.surGard, "5011 181845E13001005", "1845"),
            (.surGard, "5011 18 1234 E130 01 005", "1234"), (.surGard, "501002 1812AB56E13001005", "12AB56"),
            (.surGard, "5011 1812abE13001005", "12AB"), (.surGard, "5011 181218E13001005 ", "1218"),
            (.ademco685, "11 18ab 18 E130 01 C005", "18AB"),
        ] {
            var harness = PanelHarness(ReceiverLink(format))
            harness.feed((format == .ademco685 ? [0x0A] : []) + Array(text.utf8) + [format.end])
            #expect(harness.signals.map(\.summary) == ["\(account)-\(alarm) \(account)]"], "\(text)")
            #expect(harness.sent == [[0x06]] && harness.strange.isEmpty, "\(text)")
        }
    }

    @Test(
        "Basic, SIA and 4x2 forms",
        arguments: [
            ("sur-gard", "1011      1234 1 005", "1234-zone-5 call [FA zone 5 of 1234]"),
            ("sur-gard", "101002    123456 A2017", "123456-zone-17 call [UA zone 17 area 2 of 123456]"),
            ("sur-gard", "1011      1234 R 005", "1234-zone-5 cleared [UR zone 5 of 1234]"),
            ("sur-gard", "3011    001234FA0012", "001234-zone-12 call [FA zone 12 of 001234]"),
            ("sur-gard", "3011      1234BR0007", "1234-zone-7 cleared [BR zone 7 of 1234]"),
            ("sur-gard", "301002  001234FA0012", "001234-zone-12 call [FA zone 12 of 001234]"),
            ("sur-gard", "5011 181234E12101001", "1234-user-1 call [1121 user 1 area 1 of 1234]"),
            ("d6500", "S01002[#1234|NFA01]", "1234-zone-1 call [FA zone 1 of 1234]"),
            ("ademco-685", "11 1234 3 1", "1234-zone-1 call [unclassified zone 1 of 1234] 4x2 event 3 zone 1"),
        ])
    func forms(_ format: String, _ text: String, _ told: String) throws {
        let format = try #require(ReceiverFormat(rawValue: format))
        var harness = PanelHarness(ReceiverLink(format))
        harness.feed(Array(text.utf8) + [format.end])
        #expect(harness.signals.map(\.summary) == [told])
        #expect(harness.sent == [[0x06]])
    }

    @Test("Of a 685 receiver the computer asks for a sign of life; what comes is one")
    func linkTest685() {
        var harness = PanelHarness(ReceiverLink(.ademco685))
        harness.open()
        harness.feed([0x0D])
        harness.pass(29_999)
        #expect(harness.sent.isEmpty && harness.frames.isEmpty)
        harness.pass(1)
        #expect(harness.sent == [[0x0D]])
        harness.feed([0x06])
        harness.feed([0x0D])
        #expect(harness.frames == ["answer to our link test"])
        harness.pass(20_000)
        harness.feed(Array("\n00 OKAY @\r".utf8))
        #expect(harness.frames.last == "link test" && harness.sent.last == [0x06] && harness.signals.isEmpty)
        harness.pass(29_999)
        #expect(harness.sent.count == 2)
        harness.pass(1)
        #expect(harness.sent.count == 3)
        var other = PanelHarness(ReceiverLink(.d6500))
        other.open()
        other.pass(100_000)
        #expect(other.sent.isEmpty)
    }

    @Test("Swedish words in a SIA block, in whatever code page the transmitter has")
    func words() {
        for (charset, bytes) in [
            (PanelCharset.cp850, [UInt8]([0x99, 0x8F, 0x84])), (.latin1, [0xD6, 0xC5, 0xE4]),
            (.utf8, Array("ÖÅä".utf8)),
            (.iso646se, Array("\\]{".utf8)),
        ] {
            var harness = PanelHarness(ReceiverLink(.surGard, ReceiverLink.Manner(charset: charset)))
            harness.feed(Array("S01002[#1234|NFA01|AKök ".utf8.filter { $0 < 0x80 }) + bytes + Array("]\u{14}".utf8))
            #expect(harness.signals.map(\.text) == ["Kk ÖÅä"], "\(charset)")
        }
    }

    @Test("A line with wrong parity is never an alarm, however often it says the same")
    func wrongParity() {
        // 7E1 read as 8N1: the eighth bit makes the number of ones even.
        let even = { (text: String) in text.utf8.map { $0.nonzeroBitCount % 2 == 0 ? $0 : $0 | 0x80 } }
        for text in ["1011           @    ", "5011 181234E13001005", "S01002[#1234|NBA01]", "3003 183033E33003003"] {
            var harness = PanelHarness(ReceiverLink(.surGard))
            for _ in 0..<20 { harness.feed(even(text) + [0x14], every: 10) }
            #expect(harness.signals.isEmpty && harness.frames.isEmpty && !harness.sent.isEmpty, "\(text)")
        }
    }

    @Test("What was refused long ago is garbled again, not unknown")
    func refusedLongAgo() {
        var harness = PanelHarness(ReceiverLink(.surGard))
        let garbled = Array("5011 18123?E13001005\u{14}".utf8)
        harness.feed(garbled)
        harness.pass(61_000)
        harness.feed(garbled)
        #expect(harness.signals.isEmpty && harness.sent == [[0x15], [0x15]])
    }

    @Test("A code of no table is told with the receiver's words")
    func unknownCode() {
        var harness = PanelHarness(ReceiverLink(.surGard))
        harness.feed(Array("5011 181234E99901005\u{14}".utf8))
        harness.feed(Array("S01002[#1234|NQZ7]\u{14}".utf8))
        #expect(harness.signals.last?.text.contains("NQZ7") == true)
    }
}
