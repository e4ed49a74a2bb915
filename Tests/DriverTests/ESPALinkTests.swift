import Testing

@testable import Drivers

/// The link alone: bytes and times in, outcomes out.
@Suite struct ESPALinkTests {
    private typealias Outcome = ESPALink.Outcome
    private static let select: [UInt8] = [0x31, 0x05, 0x32, 0x05]

    /// Feeds bytes, all at one time, and gives the outcomes.
    private static func feed(_ link: inout ESPALink, _ bytes: [UInt8], at now: Int64 = 0) -> [Outcome] {
        bytes.compactMap { link.receive($0, at: now) }
    }

    private static func selected(lenient: Bool = false) -> ESPALink {
        var link = ESPALink(addresses: [0x32], lenient: lenient)
        #expect(feed(&link, select) == [.overheard, .selected])
        return link
    }

    @Test func aPollFollowsEOTAndASelectFollowsTheSelfPoll() {
        var link = ESPALink(addresses: [0x32])
        #expect(Self.feed(&link, [0x04, 0x32, 0x05]) == [.polled])
        #expect(Self.feed(&link, [0x31, 0x05, 0x04, 0x32, 0x05]) == [.overheard, .polled])
        #expect(Self.feed(&link, [0x04, 0x31, 0x05, 0x32, 0x05]) == [.overheard, .selected])
        #expect(Self.feed(&link, [0x32, 0x05]) == [.selected], "selected again: the answer was lost")
        #expect(Self.feed(&link, [0x04, 0x33, 0x05]) == [.overheard])
        #expect(Self.feed(&link, [0x05, 0x41, 0x05]) == [], "no address before ENQ")
    }

    @Test(arguments: [(Int64(500), true), (2500, true), (2501, false), (60_000, false)])
    func theSelfPollHoldsForAWhile(_ pause: Int64, _ selects: Bool) {
        var link = ESPALink(addresses: [0x32])
        #expect(Self.feed(&link, [0x31, 0x05]) == [.overheard])
        #expect(Self.feed(&link, [0x32, 0x05], at: pause) == [selects ? .selected : .polled])
    }

    @Test func lenientTakesEveryEnquiryForASelect() {
        var link = ESPALink(addresses: [0x32, 0x38], lenient: true)
        #expect(Self.feed(&link, [0x04, 0x32, 0x05]) == [.selected])
        #expect(Self.feed(&link, [0x04, 0x38, 0x05]) == [.selected])
        #expect(Self.feed(&link, [0x04, 0x33, 0x05]) == [.overheard])
    }

    /// The checksum is taken by position, whatever its value: here every one of the 256, control characters included.
    @Test func theChecksumMayHaveAnyValue() {
        for wanted in UInt8.min...UInt8.max {
            let start = Array("1\u{02}1\u{1F}".utf8)
            // Two letters whose exclusive or makes up what is missing; both are harmless in an address.
            let missing = wanted ^ start.reduce(0x03, ^)
            guard
                let pair = (0x20...0xFF).lazy.map({ [UInt8($0), UInt8($0) ^ missing] }).first(where: { $0[1] >= 0x20 })
            else {
                Issue.record("no pair for \(wanted)")
                continue
            }
            let body = start + pair
            let frame = SerialSupport.framed(body)
            #expect(frame.last == wanted)
            var link = Self.selected()
            #expect(Self.feed(&link, frame) == [.block(body, again: false)])
            link.remember(body, at: 0)
            link.acknowledged(at: 0)
            #expect(
                Self.feed(&link, [0x04, 0x32, 0x05]) == [.polled], "checksum \(wanted) was taken for something else")
        }
    }

    @Test func aBlockIsOnlyTakenWhenSelected() {
        let frame = SerialSupport.block([(1, "999")])
        var link = ESPALink(addresses: [0x32])
        #expect(Self.feed(&link, frame) == [])
        #expect(
            Self.feed(&link, [0x31, 0x05, 0x33, 0x05] + frame) == [.overheard, .overheard], "another was selected")
        link = Self.selected()
        #expect(Self.feed(&link, [0x04] + frame) == [], "the selection ended")
        link = Self.selected()
        #expect(Self.feed(&link, frame, at: 15_001) == [], "the selection is too old")
        link = Self.selected()
        #expect(Self.feed(&link, frame, at: 15_000).count == 1)
    }

    @Test func aBlockThatBreaksOffIsForgotten() {
        let body = Array("1\u{02}1\u{1F}999".utf8)
        let frame = SerialSupport.framed(body)
        for cut in 1..<frame.count {
            // EOT in the middle: the repeat is taken without a new select.
            var link = Self.selected()
            if frame[cut - 1] != 0x03 {
                #expect(Self.feed(&link, Array(frame[..<cut]) + [0x04]) == [])
                #expect(Self.feed(&link, frame) == [.block(body, again: false)], "cut at \(cut)")
            }
            // A new SOH, and a pause.
            link = Self.selected()
            if frame[cut - 1] != 0x03 {
                #expect(Self.feed(&link, Array(frame[..<cut]) + frame) == [.block(body, again: false)], "cut at \(cut)")
            }
            link = Self.selected()
            #expect(Self.feed(&link, Array(frame[..<cut])) == [])
            #expect(Self.feed(&link, frame, at: 3001) == [.block(body, again: false)], "pause at \(cut)")
            // A new select.
            link = Self.selected()
            #expect(Self.feed(&link, Array(frame[..<cut])) == [])
            #expect(Self.feed(&link, Self.select + frame).suffix(2) == [.selected, .block(body, again: false)])
        }
    }

    @Test func everyBrokenBitIsNoticed() {
        let frame = SerialSupport.block([(1, "999"), (2, "Brand"), (6, "1")])
        for index in frame.indices.dropFirst() {
            for bit in 0..<8 {
                var broken = frame
                broken[index] ^= 1 << bit
                var link = Self.selected()
                let outcomes = Self.feed(&link, broken)
                #expect(
                    !outcomes.contains { if case .block = $0 { true } else { false } },
                    "byte \(index) bit \(bit) passed")
            }
        }
    }

    @Test func aRepeatIsKnownWithinItsSelection() {
        let first = SerialSupport.block([(1, "999")])
        let body = Array(first.dropFirst().dropLast(2))
        let second = SerialSupport.block([(1, "998")])
        let other = Array(second.dropFirst().dropLast(2))
        var link = Self.selected()
        #expect(Self.feed(&link, first) == [.block(body, again: false)])
        #expect(Self.feed(&link, first) == [.block(body, again: false)], "it was not stored: refused, say")
        link.remember(body, at: 0)
        link.acknowledged(at: 0)
        #expect(Self.feed(&link, first) == [.block(body, again: true)])
        #expect(Self.feed(&link, second) == [.block(other, again: false)])
        link.remember(other, at: 0)
        link.acknowledged(at: 0)
        #expect(Self.feed(&link, first) == [.block(body, again: false)], "another came between")
        #expect(
            Self.feed(&link, [0x04] + Self.select + second) == [.overheard, .selected, .block(other, again: false)])
    }

    @Test func aBlockThatWasNotAnsweredIsKnownLaterToo() {
        let frame = SerialSupport.block([(1, "999")])
        let body = Array(frame.dropFirst().dropLast(2))
        var link = Self.selected()
        #expect(Self.feed(&link, frame) == [.block(body, again: false)])
        link.remember(body, at: 0)
        let next = [0x04] + Self.select + frame
        #expect(Self.feed(&link, next, at: 59_000).last == .block(body, again: true))
        link.acknowledged(at: 59_000)
        #expect(Self.feed(&link, next, at: 59_500).last == .block(body, again: false), "answered: a new call")
        link.remember(body, at: 59_500)
        #expect(Self.feed(&link, next, at: 119_501).last == .block(body, again: false), "too long ago")
    }

    @Test("A panel that ends the selection long after our ACK has not heard it, and tries the call anew")
    func lostInBothTries() {
        let frame = SerialSupport.block([(1, "999")])
        let body = Array(frame.dropFirst().dropLast(2))
        var link = Self.selected()
        #expect(Self.feed(&link, frame) == [.block(body, again: false)])
        link.remember(body, at: 0)
        link.acknowledged(at: 10)
        #expect(Self.feed(&link, frame, at: 2000) == [.block(body, again: true)])
        link.acknowledged(at: 2010)
        // Both ACKs were lost: it ends after its own time, and selects us again.
        #expect(Self.feed(&link, [0x04], at: 4000) == [])
        #expect(Self.feed(&link, Self.select + frame, at: 14_000).last == .block(body, again: true))
        link.acknowledged(at: 14_010)
        // Heard at last: an end that comes at once, and the same call is a new one.
        #expect(Self.feed(&link, [0x04], at: 14_200) == [])
        #expect(Self.feed(&link, Self.select + frame, at: 20_000).last == .block(body, again: false))
        link.remember(body, at: 20_000)
        link.acknowledged(at: 20_010)
        #expect(Self.feed(&link, [0x04], at: 22_000) == [])
        #expect(Self.feed(&link, Self.select + frame, at: 38_000).last == .block(body, again: false), "much later")
    }

    @Test("Where a block's checksum is lost, the next try is read whole, at once or after a pause")
    func lostChecksum() {
        let frame = SerialSupport.block([(1, "999"), (2, "Brand")])
        let body = Array(frame.dropFirst().dropLast(2))
        for (pause, outcomes) in [(Int64(0), 2), (1500, 1)] {
            var link = Self.selected()
            #expect(Self.feed(&link, Array(frame.dropLast())) == [])
            let heard = Self.feed(&link, frame, at: pause)
            #expect(heard.count == outcomes && heard.last == .block(body, again: false))
        }
    }

    @Test func aBlockBeyondTheLimitIsDroppedAndTheNextTaken() {
        let header = Array("1\u{02}2\u{1F}".utf8)
        let largest = header + Array(repeating: 0x41, count: ESPALink.Limit.block - header.count)
        var link = Self.selected()
        #expect(Self.feed(&link, SerialSupport.framed(largest)) == [.block(largest, again: false)])
        #expect(Self.feed(&link, SerialSupport.framed(largest + [0x41])) == [])
        #expect(Self.feed(&link, SerialSupport.framed(largest)) == [.block(largest, again: false)])
    }

    @Test func afterAnyNoiseASelectWorks() {
        for seed in UInt64(1)...500 {
            var random = SeededNumbers(seed)
            var link = ESPALink(addresses: [0x32])
            let letters: [UInt8] = [0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x15, 0x1E, 0x1F, 0x31, 0x32, 0x33, 0x41]
            let noise = (0..<Int.random(in: 0...1500, using: &random)).map { _ in
                seed % 2 == 0 ? letters.randomElement(using: &random) ?? 0 : UInt8.random(in: 0...255, using: &random)
            }
            _ = Self.feed(&link, noise)
            let frame = SerialSupport.block([(1, "999")])
            let outcomes = Self.feed(&link, Self.select + frame)
            #expect(outcomes.suffix(2) == [.selected, .block(Array(frame.dropFirst().dropLast(2)), again: false)])
        }
    }
}
