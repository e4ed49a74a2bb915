import Testing

@testable import AlarmProtocol

/// What comes in the place of a reply has a name, and an encrypted one is known again however it was dressed up.
@Suite struct DC09StrangeReplyTests {
    private static let header = Header(sequence: 101, receiver: "1", line: "0", account: "12AB")
    private static let sent = Timestamp(utc: 1_795_435_200_000)
    private static let keys = [try? Key(text: "0123456789ABCDEF"), try? Key(text: "another key here")].compactMap { $0 }

    private func kind(_ frame: [UInt8], encrypted: Bool, keys: [Key] = Self.keys) -> StrangeReply? {
        let judged = ReplyExpectation(header: Self.header, encrypted: encrypted, sent: Self.sent)
            .judge(frame, keys: keys)
        guard case .ignored(let kind, let why) = judged.verdict, !why.isEmpty else { return nil }
        return kind
    }

    @Test(
        arguments: [
            ("\"ACK\"0102R1L0#12AB[]", .otherSequence), ("\"DUH\"0102R1L0#12AB[]", .otherSequence),
            ("\"RSP\"0000R1L0#12AB[]", .otherSequence), ("\"ACK\"0101R2L0#12AB[]", .otherAccount),
            ("\"ACK\"0101R1L1#12AB[]", .otherAccount), ("\"ACK\"0101R1L0#12AC[]", .otherAccount),
            ("\"DUH\"0101R1L0#012AB[]", .otherAccount), ("\"NULL\"0101R1L0#12AB[]", .notAReply),
            ("\"SIA-DCS\"0101R1L0#12AB[#12AB|NBA]", .notAReply), ("\"FOO\"0101R1L0#12AB[]", .notAReply),
            ("\"ACK\"101R1L0#12AB[]", .notAReply), ("\"ACK\"0101R1L0#12AB", .notAReply), ("", .garbage),
        ] as [(String, StrangeReply)])
    func hasAName(_ content: String, _ expected: StrangeReply) {
        let frame = Envelope.frame(around: Array(content.utf8))
        #expect(kind(frame, encrypted: false) == expected)
        #expect(kind(frame, encrypted: true) == expected)
    }

    @Test func cannotBeReadOrIsNotUnderOurKey() throws {
        var damaged = Reply.acknowledge(Self.header)
        damaged[12] ^= 1
        #expect(kind(damaged, encrypted: true) == .garbage)
        #expect(kind(Reply.acknowledge(Self.header), encrypted: true) == .plainToEncrypted)
        let third = try Key(text: "one nobody has!!")
        let other = try Reply.acknowledge(Self.header, key: third, time: Self.sent)
        #expect(kind(other, encrypted: true) == .otherKey)
        #expect(kind(other, encrypted: true, keys: []) == .otherKey)
        #expect(kind(try Reply.acknowledge(Self.header, key: third, time: Self.sent), encrypted: false) == .otherKey)
    }

    @Test func underAnotherOfOurKeysAcknowledgesNothing() throws {
        let frame = try Reply.acknowledge(Self.header, key: Self.keys[1], time: Self.sent)
        let judged = ReplyExpectation(header: Self.header, encrypted: true, sent: Self.sent)
            .judge(frame, keys: Self.keys)
        #expect(judged.keyIndex == 1)
        #expect(kind(frame, encrypted: true) == .otherKey)
        #expect(kind(frame, encrypted: true, keys: Self.keys.reversed()) == nil)
    }

    /// With no integrity in DC-09, a recorded ACK can be made to look like another: another number, another hour, more
    /// behind it. It is known again all the same.
    @Test(arguments: [11, 27, 43]) func aDressedUpAcknowledgementHasTheSameSeal(_ pad: Int) throws {
        let content = [UInt8](repeating: UInt8(ascii: "p"), count: pad) + Array("]_".utf8) + Self.sent.bytes
        let cipher = try #require(Cipher.encrypt(content, with: Self.keys[0]))
        func seal(_ cipher: [UInt8], _ sequence: Int = 101) throws -> ReplySeal? {
            var header = Self.header
            header.sequence = sequence
            var body = Array("\"*ACK\"".utf8)
            header.append(to: &body)
            for byte in cipher { body.appendHex(byte) }
            return ReplyExpectation(header: header, encrypted: true)
                .judge(Envelope.frame(around: body), keys: Self.keys).seal
        }
        let plain = try #require(try seal(cipher))
        #expect(plain.time == Self.sent)
        #expect(try seal(cipher, 4711)?.tail == plain.tail)
        #expect(try seal(cipher + [UInt8](repeating: 7, count: 32), 9)?.tail == plain.tail)
        guard pad > 11 else { return }
        // The hour, by the block before it, which is pad and goes to ruin unseen.
        var changed = cipher
        let hour = pad + 3
        changed[hour - 16] ^= 1
        let other = try seal(changed)
        #expect(other == nil || other?.tail == plain.tail)
        if let other { #expect(other.time != plain.time) }
        // What ends the time cannot be changed so.
        changed = cipher
        changed[content.count - 17] ^= 1
        #expect(try seal(changed)?.tail != plain.tail)
    }
}
