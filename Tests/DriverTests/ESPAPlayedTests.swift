import AlarmProtocol
import Testing

@testable import Drivers

/// The played control station against the driver's own half, over a line that loses and garbles.
@Suite("A played ESPA panel") struct ESPAPlayedTests {
    /// Both ends and the line between them, with one clock.
    private struct Rehearsal {
        var panel = PlayedControlStation()
        var pager: ESPAPager
        var now: Int64 = 1_000_000
        var stored: [String] = []
        var taken: [String] = []
        var troubles: [String] = []
        /// Judges what passes to the panel, and to us: nil loses it.
        var answers: ([UInt8]) -> [UInt8]? = { $0 }
        var calls: ([UInt8]) -> [UInt8]? = { $0 }
        var refusals = 0

        init() throws { pager = try SerialSupport.driver(port: "/dev/ttyS9").link() }

        mutating func play(_ steps: [PlayedStep]) {
            for step in steps {
                switch step {
                case .send(let bytes, _): for byte in calls(bytes) ?? [] { perform(pager.receive(byte, at: now)) }
                case .taken(let words): taken.append(words)
                case .trouble(let why): troubles.append(why)
                case .heard: break
                }
            }
        }

        mutating func perform(_ steps: [PanelStep]) {
            for step in steps {
                switch step {
                case .send(let bytes, _): answer(bytes)
                case .report(let signals, let accept, let refuse, _):
                    if refusals > 0, !signals.isEmpty {
                        refusals -= 1
                        answer(refuse ?? [])
                        continue
                    }
                    stored += signals.map(\.text)
                    perform(pager.stored(answered: accept != nil, at: now))
                    answer(accept ?? [])
                default: break
                }
            }
        }

        private mutating func answer(_ bytes: [UInt8]) {
            now += 5
            for byte in answers(bytes) ?? [] { play(panel.receive(byte, at: now)) }
        }

        mutating func open() { play(panel.opened(at: now)) }

        mutating func pass(_ milliseconds: Int64) {
            let end = now + milliseconds
            while let due = [panel.deadline, pager.deadline].compactMap(\.self).min(), due <= end {
                now = max(now, due)
                perform(pager.tick(at: now))
                play(panel.tick(at: now))
            }
            now = max(now, end)
        }
    }

    private static func event(_ number: Int) throws -> PlayedEvent {
        PlayedEvent(try #require(EventKind.named("fire")), began: number % 3 != 2, zone: number, text: "Källare")
    }

    private static func words(_ number: Int) -> String {
        "FIRE\(number % 3 == 2 ? " RESET" : "") zone \(number) Källare"
    }

    @Test func everyCallArrivesOnceAndInOrder() throws {
        var random = SeededNumbers(11)
        var site = try Rehearsal()
        site.open()
        for number in 1...1000 {
            try site.panel.happen(Self.event(number), at: site.now)
            site.pass(Int64.random(in: 0...9000, using: &random))
        }
        site.pass(3_600_000)
        #expect(site.stored == (1...1000).map { Self.words($0) })
        #expect(site.taken.count == 1000 && site.panel.waiting == 0 && site.troubles.isEmpty)
    }

    @Test("An ACK that is lost, a block that is garbled, a report that is refused: once, by the second try")
    func once() throws {
        var site = try Rehearsal()
        site.open()
        var acknowledgements = 0
        site.answers = { bytes in
            guard bytes == [0x06] else { return bytes }
            acknowledgements += 1
            return acknowledgements % 3 == 2 ? nil : bytes  // The block's, not the select's.
        }
        for number in 1...30 {
            try site.panel.happen(Self.event(number), at: site.now)
            site.pass(30_000)
        }
        #expect(site.stored == (1...30).map { Self.words($0) })
        site.answers = { $0 }
        var blocks = 0
        site.calls = { bytes in
            guard bytes.first == 0x01 else { return bytes }
            blocks += 1
            return blocks % 2 == 1 ? bytes.dropLast() + [bytes[bytes.count - 1] ^ 1] : bytes
        }
        try site.panel.happen(Self.event(31), at: site.now)
        site.pass(30_000)
        site.calls = { $0 }
        site.refusals = 1
        try site.panel.happen(Self.event(32), at: site.now)
        site.pass(30_000)
        #expect(site.stored == (1...32).map { Self.words($0) })
        #expect(site.taken.count == 32 && site.panel.waiting == 0)
    }

    @Test("A line that is dead for an hour loses nothing, and the panel tells it")
    func silence() throws {
        var site = try Rehearsal()
        site.open()
        site.calls = { _ in nil }
        for number in 1...5 {
            try site.panel.happen(Self.event(number), at: site.now)
            site.pass(720_000)
        }
        #expect(site.stored.isEmpty && site.panel.waiting == 5 && !site.troubles.isEmpty)
        site.calls = { $0 }
        site.pass(60_000)
        #expect(site.stored == (1...5).map { Self.words($0) })
        #expect(site.panel.waiting == 0)
    }

    @Test func aPollThatIsAnsweredIsFollowedByPolls() throws {
        var site = try Rehearsal()
        site.open()
        site.pass(60_000)
        #expect(site.stored.isEmpty && site.troubles.isEmpty)
        var polls = 0
        site.calls = { bytes in
            if bytes == [0x04, 0x32, 0x05] { polls += 1 }
            return bytes
        }
        site.pass(50_000)
        #expect(polls == 10)
    }

    @Test("What passes is told whole: frames with their bytes, strays apart")
    func whatPasses() throws {
        var harness = PanelHarness(try SerialSupport.driver(port: "/dev/ttyS9").link())
        harness.feed([0x55, 0xAA, 0x04, 0x32, 0x05])
        #expect(harness.strange == [[0x55, 0xAA]] && harness.frames == ["poll"])
        // Another station's call is no noise.
        harness.feed([0x04, 0x31, 0x05, 0x33, 0x05, 0x06] + SerialSupport.block([(1, "7")]) + [0x06, 0x04])
        harness.feed([0x04, 0x32, 0x05])
        #expect(harness.strange.count == 1)
        harness.feed([0x41, 0x42])
        harness.pass(10_000)
        #expect(harness.strange.last == [0x41, 0x42])
        harness.feed(Array(repeating: 0x55, count: 20_000))
        #expect(harness.strange.count == 4, "kept to a limit")
    }
}
