import AlarmProtocol
import Testing

@testable import Gateway

@Suite("Encrypted replies that were used before")
struct ReplyMemoryTests {
    static let noon: Int64 = 1_795_435_200_000

    /// A receiver with a clock and a pad, as far as its replies go.
    struct Centre {
        var ahead: Int64 = 0
        var padVaries = true
        private var count = 0
        init(ahead: Int64 = 0, padVaries: Bool = true) {
            self.ahead = ahead
            self.padVaries = padVaries
        }

        mutating func reply(at now: Int64) -> ReplySeal {
            count += 1
            let time = Timestamp(utc: ReplyMemoryTests.noon + ahead + now)
            let pad =
                padVaries ? [UInt8(truncatingIfNeeded: count), UInt8(truncatingIfNeeded: count >> 8)] : [112, 112]
            // As pysiaalarm has it: the pad is cut to what is needed, which differs between events and link tests.
            let length = padVaries || count % 3 > 0 ? 2 : 1
            return ReplySeal(time: time, tail: pad.prefix(length) + time.bytes, pad: Array(pad.prefix(length)))
        }
    }

    private func look(
        _ memory: inout ReplyMemory, _ seal: ReplySeal, _ now: Int64, trip: Int64 = 50, isOfNow: Bool = true
    ) -> ReplyMemory.Finding {
        memory.look(seal, isOfNow: isOfNow, sentAt: now - trip, now: now)
    }

    @Test(
        "An honest receiver is believed: any pad, many replies a second, a clock that runs away by ten seconds a day",
        arguments: [true, false], [-10, 0, 10] as [Int64])
    func honest(padVaries: Bool, perDay: Int64) {
        var memory = ReplyMemory(timeout: 5000)
        var centre = Centre(ahead: 120_000, padVaries: padVaries)
        var now: Int64 = 1000
        for number in 0..<3000 {
            now += number % 10 == 0 ? 60_000 : 100
            centre.ahead += number % 10 == 0 ? perDay * 1000 * 60 / 86_400 : 0
            #expect(look(&memory, centre.reply(at: now - 20), now) == .fresh)
        }
    }

    @Test("The same bytes later are a replay, however late, with a pad that varies or one that does not")
    func replay() {
        for padVaries in [true, false] {
            var memory = ReplyMemory(timeout: 5000)
            var centre = Centre(padVaries: padVaries)
            let old = centre.reply(at: 1000)
            #expect(look(&memory, old, 1000) == .fresh)
            #expect(look(&memory, old, 3000) == .replayed, "\(padVaries)")
            #expect(look(&memory, centre.reply(at: 4000), 4000) == .fresh)
            let finding = look(&memory, old, 5000)
            // With a constant pad nothing but the time is left, and it has some slack.
            #expect(finding == (padVaries ? .replayed : .fresh))
            #expect(look(&memory, centre.reply(at: 60_000), 60_000) == .fresh)
            // Without a varying pad, the time tells.
            #expect(look(&memory, old, 60_100) != .fresh)
        }
    }

    @Test("With a constant pad, two messages in one second have one reply; a reply of the second before has not")
    func sameSecond() {
        var memory = ReplyMemory(timeout: 5000)
        var centre = Centre(padVaries: false)
        for second: Int64 in 1...3 { #expect(look(&memory, centre.reply(at: second * 1000), second * 1000) == .fresh) }
        let seal = centre.reply(at: 10_000)
        #expect(look(&memory, seal, 10_050) == .fresh)
        // Sent within the second, and answered late.
        #expect(memory.look(seal, isOfNow: true, sentAt: 10_900, now: 14_000) == .fresh)
        #expect(memory.look(seal, isOfNow: true, sentAt: 11_600, now: 11_650) == .replayed)
    }

    @Test(
        "A clock that is set back costs one reply: the next that differs and agrees is believed",
        arguments: [-60_000, -3_600_000, -86_400_000 * 365] as [Int64], [true, false])
    func setBack(step: Int64, padVaries: Bool) {
        var memory = ReplyMemory(timeout: 5000)
        var centre = Centre(padVaries: padVaries)
        var now: Int64 = 1000
        for _ in 0..<100 {
            now += 500
            #expect(look(&memory, centre.reply(at: now), now) == .fresh)
        }
        centre.ahead = step
        now += 1000
        guard case .wentBack(let by) = look(&memory, centre.reply(at: now), now) else {
            Issue.record("a step back by \(step) is not noticed")
            return
        }
        #expect(abs(by + step) < 2000)
        now += 2000
        guard case .steppedBack = look(&memory, centre.reply(at: now), now) else {
            Issue.record("a step back by \(step) makes the path deaf")
            return
        }
        for _ in 0..<200 {
            now += 1100
            #expect(look(&memory, centre.reply(at: now), now) == .fresh)
        }
    }

    @Test("A clock that is set forward, by anything, costs nothing; nor does being set right again cost more than one")
    func setForward() {
        var memory = ReplyMemory(timeout: 5000)
        var centre = Centre()
        #expect(look(&memory, centre.reply(at: 1000), 1000) == .fresh)
        centre.ahead = 86_400_000 * 1000
        #expect(look(&memory, centre.reply(at: 9000), 9000) == .fresh)
        centre.ahead = 0
        #expect(look(&memory, centre.reply(at: 20_000), 20_000) != .fresh)
        #expect(look(&memory, centre.reply(at: 20_600), 20_600) != .replayed)
        #expect(look(&memory, centre.reply(at: 30_600), 30_600) == .fresh)
    }

    @Test("One old reply over and over is never believed; nor are two recorded a minute apart, played at once")
    func oldOnes() {
        var memory = ReplyMemory(timeout: 5000)
        var centre = Centre()
        let recorded = (0..<4).map { centre.reply(at: -10_000_000 + Int64($0) * 60_000) }
        #expect(look(&memory, centre.reply(at: 1000), 1000) == .fresh)
        var findings: [ReplyMemory.Finding] = []
        for number in 0..<8 { findings.append(look(&memory, recorded[0], 2000 + Int64(number) * 700)) }
        #expect(findings.dropFirst().allSatisfy { $0 == .replayed })
        for (number, seal) in recorded.dropFirst().enumerated() {
            let finding = look(&memory, seal, 9000 + Int64(number) * 100)
            if case .wentBack = finding { continue }
            Issue.record("\(finding)")
        }
    }

    @Test("The first reply after a start, off in time, is not believed twice")
    func first() {
        var memory = ReplyMemory(timeout: 5000)
        var centre = Centre(ahead: -7_200_000)
        let old = centre.reply(at: 1000)
        #expect(look(&memory, old, 1000, isOfNow: false) == .fresh)
        #expect(look(&memory, old, 1100) == .replayed)
        #expect(look(&memory, centre.reply(at: 2200), 2200) == .fresh)
    }

    @Test("Old replies within the slack, one after the other, do not move what the clock is held against")
    func ratchet() {
        var memory = ReplyMemory(timeout: 5000)
        var centre = Centre(padVaries: false)
        let recorded = (0..<100).map { centre.reply(at: Int64($0) * 20_000) }
        #expect(look(&memory, centre.reply(at: 2_000_000), 2_000_000) == .fresh)
        var fresh = 0
        for (number, seal) in recorded.reversed().enumerated() {
            fresh += look(&memory, seal, 2_001_000 + Int64(number)) == .fresh ? 1 : 0
        }
        #expect(fresh <= 1)
    }

    @Test("What is remembered has a limit, and the oldest goes first")
    func limit() {
        var memory = ReplyMemory(timeout: 5000)
        var centre = Centre()
        var replies: [ReplySeal] = []
        for number in 0...ReplyMemory.remembered {
            let now = 1000 + Int64(number) * 1000
            replies.append(centre.reply(at: now))
            #expect(look(&memory, replies[number], now) == .fresh)
        }
        let now = 2000 + Int64(ReplyMemory.remembered) * 1000
        #expect(look(&memory, replies[1], now) == .replayed)
        guard case .wentBack = look(&memory, replies[0], now) else {
            Issue.record("the time of what has been forgotten is not looked at")
            return
        }
    }
}
