import AlarmProtocol
import Testing

@testable import Gateway

@Suite("Frames in the place of replies: counted, and told")
struct StrangeRepliesTests {
    @Test(
        "What no accident brings is told with the first; the rest with the third in ten minutes",
        arguments: StrangeReply.allCases)
    func told(_ kind: StrangeReply) {
        var strange = StrangeReplies()
        let wanted = kind.isNoAccident ? 1 : 3
        for number in 1...5 {
            let remark = strange.note(kind, "why", now: Int64(number) * 60_000)
            #expect((remark.news != nil) == (number == wanted))
            if case .began(let words) = remark.news { #expect(words.hasPrefix("\(wanted) \(kind.words)")) }
        }
        #expect(strange.counts == [kind: 5])
        #expect(strange.isTold)
    }

    @Test("One every five minutes is no more than an accident")
    func seldom() {
        var strange = StrangeReplies()
        for number in 1...20 {
            #expect(strange.note(.garbage, "why", now: Int64(number) * 300_001).news == nil)
        }
    }

    @Test("The end is told after an hour without, with the total; a flood is one event an hour at most")
    func end() {
        var strange = StrangeReplies()
        var news: [StrangeReplies.News] = []
        var lines = 0
        for number in 0..<100_000 {
            let remark = strange.note(number % 2 == 0 ? .otherKey : .replayed, "why", now: Int64(number) * 10)
            lines += remark.isLogged ? 1 : 0
            remark.news.map { news.append($0) }
        }
        let last: Int64 = 99_999 * 10
        #expect(lines == 2 * (1 + Int(last / StrangeReplies.logInterval)))
        #expect(strange.settle(now: last + StrangeReplies.quiet - 1) == nil)
        strange.settle(now: last + StrangeReplies.quiet).map { news.append($0) }
        #expect(strange.settle(now: last + 10 * StrangeReplies.quiet) == nil)
        #expect(news.count == 2)
        #expect(
            news.last
                == .ended("no strange reply for an hour; in all 100000: 50000 under another key, 50000 used before"))
        #expect(!strange.isTold)
        // The next episode counts from nothing.
        _ = strange.note(.replayed, "why", now: last * 100)
        #expect(
            strange.settle(now: last * 100 + StrangeReplies.quiet)
                == .ended("no strange reply for an hour; in all 1: 1 used before"))
    }

    @Test("What was told before a restart ends after it")
    func restart() {
        var strange = StrangeReplies(isTold: true, now: 5000)
        #expect(strange.note(.replayed, "why", now: 6000).news == nil)
        #expect(strange.settle(now: 6000 + StrangeReplies.quiet) != nil)
        strange = StrangeReplies(isTold: true, now: 5000)
        #expect(strange.settle(now: 5000 + StrangeReplies.quiet) == .ended("no strange reply for an hour; in all 0"))
    }

    @Test("Late replies, and datagrams that come twice, are counted apart, and not for ever")
    func late() {
        var strange = StrangeReplies()
        let header = Header(sequence: 7, account: "4711")
        let frame = Reply.acknowledge(header)
        strange.sent(7, now: 1000)
        func isLate(_ kind: StrangeReply, _ frame: [UInt8], _ header: Header?, udp: Bool, _ now: Int64) -> Bool {
            strange.isLate(kind, frame, header: header, isDatagram: udp, now: now)
        }
        #expect(isLate(.otherSequence, frame, header, udp: false, 100_000))
        #expect(!isLate(.otherSequence, frame, Header(sequence: 8, account: "4711"), udp: true, 100_000))
        #expect(!isLate(.otherSequence, frame, header, udp: true, 1001 + StrangeReplies.lateness))
        // The number being right makes no other fault late.
        #expect(!isLate(.plainToEncrypted, frame, header, udp: true, 1001))
        strange.answered(frame, to: 7, now: 2000)
        // Answered: again only over UDP, and only for a while.
        #expect(!isLate(.otherSequence, frame, header, udp: false, 3000))
        #expect(!isLate(.otherSequence, frame, header, udp: true, 2001 + StrangeReplies.repetition))
        #expect(isLate(.replayed, frame, header, udp: true, 3000))
        #expect(!isLate(.replayed, frame, header, udp: false, 3000))
        #expect(!isLate(.replayed, frame, header, udp: true, 2001 + StrangeReplies.repetition))
        #expect(strange.lateOrRepeated == 2 && strange.counts.isEmpty)
    }

    @Test("Every kind has a key that status prints, and words that an event's text holds")
    func words() {
        var strange = StrangeReplies()
        for kind in StrangeReply.allCases { _ = strange.note(kind, String(repeating: "x", count: 500), now: 0) }
        let trouble = BoxTrouble.strangeReplies(path: "fibre", began: true, text: "\(strange.counts)")
        let event = trouble.event(account: "4711", now: TestClock().now) { _ in nil }
        #expect(event?.event.text.count ?? 0 <= 128)
        #expect(event?.event.point == "path.fibre.replies" && event?.active == true)
        #expect(event?.event.urgency == .trouble)
    }
}

@Suite("What a path makes of a frame")
struct PathTrustTests {
    private let new = try? Key(text: "the newer key 16"), old = try? Key(text: "the older key 16")
    private let noon: Int64 = 1_795_435_200_000

    private func trust(_ transport: PathSettings.Transport = .tcp, oldWasInUse: Bool = false) -> PathTrust {
        var settings = testPath("fibre", to: "a", port: 1, transport, key: new, timeout: .seconds(5))
        settings.oldKey = old
        return PathTrust(settings, now: 0) { $0 == "path.fibre.key" ? oldWasInUse : nil }
    }

    private func message(
        _ trust: inout PathTrust, _ sequence: Int, at now: Int64, use: KeyRing.Use? = nil
    ) -> PathTrust.Sent {
        let use = use ?? trust.nextUse(isLinkTest: sequence == 0, mayTry: true, now: now)
        let sent = PathTrust.Sent(
            expectation: ReplyExpectation(
                header: Header(sequence: sequence, account: "4711"), encrypted: true, sent: Timestamp(utc: noon + now)),
            use: use, at: now)
        trust.sent(sent)
        return sent
    }

    private func ack(_ sent: PathTrust.Sent, _ key: Key?, at now: Int64) throws -> [UInt8] {
        try Reply.acknowledge(
            sent.expectation.header, key: try #require(key), time: Timestamp(utc: noon + now))
    }

    @Test("Refused under one key, it goes again under the other; refused under both, it is refused")
    func refused() {
        var trust = trust()
        var said = PathTrust.Said()
        let first = message(&trust, 17, at: 0)
        let duh = Reply.refuse(first.expectation.header)
        guard case .sendAgain(let use) = trust.judge(duh, after: first, now: 10, &said) else {
            Issue.record("refused after one key")
            return
        }
        #expect(use.turn == .old)
        let second = message(&trust, 17, at: 20, use: use)
        #expect(trust.judge(duh, after: second, now: 30, &said) == .reply(.refused))
        #expect(said.troubles.isEmpty)
    }

    @Test("An ACK under the other key delivers nothing: the message goes again under that key")
    func acknowledgedUnread() throws {
        var trust = trust()
        var said = PathTrust.Said()
        let first = message(&trust, 17, at: 0)
        guard case .sendAgain(let use) = trust.judge(try ack(first, old, at: 10), after: first, now: 10, &said) else {
            Issue.record("it counts as delivered, or is not sent again")
            return
        }
        let second = message(&trust, 17, at: 20, use: use)
        #expect(trust.judge(try ack(second, old, at: 30), after: second, now: 30, &said) == .reply(.acknowledged))
        #expect(said.troubles == [.oldKey(path: "fibre", inUse: true)])
        #expect(trust.strange.counts.isEmpty)
    }

    @Test("A trial of the new key ends with whatever is not its ACK, and costs nothing")
    func trial() throws {
        var said = PathTrust.Said()
        for answer in 0..<4 {
            var trust = trust(oldWasInUse: true)
            let sent = message(&trust, 0, at: 0)
            #expect(sent.use.isTrial)
            let frame: [UInt8] =
                switch answer {
                case 0: Reply.refuse(sent.expectation.header)
                case 1: Reply.correctTime(Timestamp(utc: noon))
                case 2: try ack(sent, old, at: 10)
                default: try ack(sent, new, at: 10)
                }
            let outcome = trust.judge(frame, after: sent, now: 10, &said)
            #expect(outcome == (answer < 3 ? .endTrial : .reply(.acknowledged)))
            #expect(trust.ring.current == (answer < 3 ? .old : .new))
        }
        #expect(said.troubles == [.oldKey(path: "fibre", inUse: false)])
    }

    @Test("A recorded ACK acknowledges neither the next link test nor an event under a number that is put on it")
    func replays() throws {
        var trust = trust()
        var said = PathTrust.Said()
        let poll = message(&trust, 0, at: 0)
        let recorded = try ack(poll, new, at: 10)
        #expect(trust.judge(recorded, after: poll, now: 10, &said) == .reply(.acknowledged))
        let next = message(&trust, 0, at: 5000)
        #expect(trust.judge(recorded, after: next, now: 5010, &said) == .ignore)
        let event = message(&trust, 42, at: 9000)
        let body = String(decoding: recorded[9..<recorded.count - 1], as: UTF8.self)
        let dressed = "\"*ACK\"0042L0#4711[" + body.drop { $0 != "[" }.dropFirst()
        var decoder = StreamDecoder()
        decoder.append(frame(around: dressed))
        let forged = try #require(try decoder.next()?.get())
        #expect(trust.judge(forged, after: event, now: 9010, &said) == .ignore)
        #expect(trust.strange.counts == [.replayed: 2])
        #expect(said.troubles.count == 1)
        #expect(trust.judge(try ack(event, new, at: 9020), after: event, now: 9020, &said) == .reply(.acknowledged))
    }

    private func frame(around body: String) -> [UInt8] {
        var crc: UInt16 = 0
        for byte in body.utf8 {
            crc ^= UInt16(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xA001 : crc >> 1 }
        }
        func digits(_ number: Int) -> String {
            let text = String(number, radix: 16, uppercase: true)
            return String(repeating: "0", count: 4 - text.count) + text
        }
        return Array("\n\(digits(Int(crc)))\(digits(body.utf8.count))\(body)\r".utf8)
    }

    @Test("Nobody asked: late answers are counted apart, anything else as what it is")
    func unasked() throws {
        var trust = trust(.udp)
        var said = PathTrust.Said()
        let poll = message(&trust, 0, at: 0)
        let answer = try ack(poll, new, at: 10)
        #expect(trust.judge(answer, after: poll, now: 10, &said) == .reply(.acknowledged))
        for _ in 0..<3 { #expect(trust.judge(answer, after: nil, now: 20, &said) == .ignore) }
        #expect(trust.judge(Reply.correctTime(Timestamp(utc: noon)), after: nil, now: 30, &said) == .ignore)
        #expect(trust.strange.counts.isEmpty && trust.strange.lateOrRepeated == 4)
        let other = Reply.acknowledge(Header(sequence: 99, account: "4711"))
        #expect(trust.judge(other, after: nil, now: 40, &said) == .ignore)
        #expect(trust.judge(Array("\nnonsense\r".utf8), after: nil, now: 50, &said) == .ignore)
        #expect(trust.strange.counts == [.otherSequence: 1, .garbage: 1])
        #expect(said.troubles.isEmpty)
    }
}
