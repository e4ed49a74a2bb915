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

    @Test("A code of no table is told with the receiver's words")
    func unknownCode() {
        var harness = PanelHarness(ReceiverLink(.surGard))
        harness.feed(Array("5011 181234E99901005\u{14}".utf8))
        harness.feed(Array("S01002[#1234|NQZ7]\u{14}".utf8))
        #expect(harness.signals.last?.text.contains("NQZ7") == true)
    }
}
