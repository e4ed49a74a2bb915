import Testing

@testable import Drivers

@Suite("Satel's frames, event log and troubles") struct SatelFrameTests {
    static let vectors = PanelVectors.read("satel-integra")

    static func found(_ bytes: [UInt8]) -> [SatelFrameReader.Found] {
        var reader = SatelFrameReader()
        return bytes.flatMap { reader.receive($0) }
    }

    static func bodies(_ bytes: [UInt8]) -> [[UInt8]] {
        found(bytes).compactMap { if case .frame(let body) = $0 { body } else { nil } }
    }

    @Test("Every frame is read and is made again as it was", arguments: vectors.filter { $0.expect == "accept" })
    func framed(_ vector: PanelVectors.Vector) throws {
        let body = try #require(Self.bodies(vector.bytes).last)
        let made = SatelFrame.framed(body)
        #expect(vector.bytes.suffix(made.count) == made[...])
    }

    @Test func whatIsDataMayBeAnything() {
        for seed in UInt64(1)...200 {
            let body = [2] + noise(seed, count: 16).map { $0 % 3 == 0 ? 0xFE : $0 }
            #expect(Self.bodies(SatelFrame.framed(body)) == [body])
        }
    }

    @Test(
        "Noise yields no frame, is told as such in small pieces, and hides no frame behind it",
        arguments: [UInt64](1...50))
    func noisy(_ seed: UInt64) {
        let frame = SatelFrame.framed([0x7F, 0, 0xFE, 0, 0, 0])
        let found = Self.found(noise(seed, count: 5000) + frame + noise(seed + 100) + frame)
        #expect(found.count { if case .frame = $0 { true } else { false } } == 2)
        for case .strange(let bytes, _) in found { #expect(bytes.count <= SatelFrameReader.longest + 2) }
        #expect(Self.bodies([UInt8](repeating: 0xFE, count: 10_000) + [2, 1]).isEmpty)
        #expect(Self.bodies([0xFE, 0xFE] + [UInt8](repeating: 7, count: 100_000)).isEmpty)
    }

    @Test func temperatureAndEventsAreSaid() throws {
        func words(_ id: String) -> String {
            let body = Self.vectors.first { $0.id == id }.flatMap { Self.bodies($0.bytes).last } ?? [0]
            return SatelAnswer.words(body[0], Array(body.dropFirst()))
        }
        #expect(words("satel-a-temp") == "temperature of zone 1: 20.0 °C")
        #expect(SatelAnswer.words(0x7D, [0, 0, 0]) == "temperature of zone 256: -55.0 °C")
        #expect(SatelAnswer.words(0x7D, [0, 0, 109]) == "temperature of zone 256: -0.5 °C")
        #expect(words("satel-a-event-fire-restore") == "event 110 restore source 15 partition 2 at 23 Nov 01:01")
        #expect(words("satel-a-event-end") == "end of the event log")
        #expect(words("satel-a-new") == "new data: 02, 14, 1A")
        #expect(words("satel-a-zones") == "zones violated: 3, 14, 128")
    }

    static func event(_ code: Int, restore: Bool = false, partition: Int = 1, source: Int, high: Bool = false)
        -> SatelEvent?
    {
        SatelEvent(
            [
                0xB5, 0x17, 0xB2, 0xD0, UInt8((partition - 1) << 3 | (restore ? 4 : 0) | code >> 8), UInt8(code & 0xFF),
                UInt8(source), high ? 1 : 0,
            ][...])
    }

    @Test func everyCodeHasAMeaning() throws {
        for code in 0...1023 {
            for source in [0, 5, 129, 255] {
                let event = try #require(Self.event(code, source: source))
                if case .told(let said) = event.meaning { #expect(said.codes(began: true) != nil, "\(code)") }
            }
        }
        #expect(Self.event(110, source: 5, high: true)?.meaning == .zoneAlarm(zone: 133, contactID: "110"))
        #expect(Self.event(401, restore: true, source: 12)?.meaning == .arming(true, "401"))
        #expect(Self.event(199, source: 5)?.meaning == .unknown)
        #expect(
            Self.event(120, source: 193)?.meaning == .told(Said(.contactID("120", .event), partition: 1, zone: 193)))
        #expect(SatelEvent([0xC0, 0, 0, 0, 0, 0, 0, 0][...]) == nil)
        #expect(SatelEvent([0xFF][...]) == nil)
    }

    @Test("No trouble reaches beyond its answer, has two names or no code, and every bit has its own name")
    func troubles() {
        var names: Set<String> = []
        for trouble in SatelTrouble.all {
            let length = SatelCommand.lengths(trouble.command).first ?? 0
            #expect(trouble.byte * 8 + trouble.bit + trouble.count <= length * 8)
            for index in 0..<trouble.count {
                #expect(names.insert(trouble.point(index)).inserted, "\(trouble.point(index))")
                #expect(trouble.said(index, active: true).codes(began: true) != nil)
                #expect(trouble.said(index, active: false).codes(began: false)?.qualifier == .restore)
            }
            #expect(trouble.states([]) == Array(repeating: false, count: trouble.count))
        }
        #expect(names.count > 1500)
    }
}
