import Testing

@testable import AlarmProtocol

@Suite struct DC09ReplyTests {
    private let header = Header(sequence: 101, receiver: "1", line: "0", account: "12AB")

    private func verdict(
        _ content: String, to header: Header? = nil, encrypted: Bool = false, key: Key? = nil
    ) -> ReplyVerdict {
        ReplyExpectation(header: header ?? self.header, encrypted: encrypted)
            .judge(Envelope.frame(around: Array(content.utf8)), key: key)
    }

    private func isIgnored(_ verdict: ReplyVerdict) -> Bool {
        if case .ignored(_, let why) = verdict { !why.isEmpty } else { false }
    }

    @Test(arguments: [
        "\"ACK\"0101R1L0#12AB[]", "\"ACK\"0101R1L0#12ab[]", "\"ACK\"0101R1L0#12AB[]_12:00:00,11-23-2026",
        "\"ACK\"0101NoneL0#12AB[]", "\"ACK\"0101R1L0#12AB[]_99:99:99,99-99-9999", "\"ACK\"0101R1L0#12AB[][Kabcd]",
    ]) func isAcknowledged(_ content: String) { #expect(verdict(content) == .acknowledged) }

    @Test(arguments: [
        "\"ACK\"0102R1L0#12AB[]", "\"ACK\"0101R2L0#12AB[]", "\"ACK\"0101L0#12AB[]", "\"ACK\"0101R1L1#12AB[]",
        "\"ACK\"0101R1L0#12AC[]", "\"ACK\"0101R1L0#012AB[]", "\"ACK\"0102NoneL0#12AB[]", "\"ACK\"0101R1L0#12AB",
        "\"ack\"0101R1L0#12AB[]",
        "\"ACK\"101R1L0#12AB[]", "\"DUH\"0102R1L0#12AB[]", "\"RSP\"0102R1L0#12AB[]", "\"NULL\"0101R1L0#12AB[]",
        "\"*ACK\"0101R1L0#12AB[00]", "\"SIA-DCS\"0101R1L0#12AB[#12AB|NBA]", "\"FOO\"0101R1L0#12AB[]", "",
    ]) func isIgnored(_ content: String) { #expect(isIgnored(verdict(content))) }

    @Test func aReceiverThatWasNotAskedForMayCallItselfZero() {
        let header = Header(sequence: 101, account: "12AB")
        #expect(verdict("\"ACK\"0101R0L0#12AB[]", to: header) == .acknowledged)
        #expect(isIgnored(verdict("\"ACK\"0101R1L0#12AB[]", to: header)))
    }

    @Test(arguments: [
        "0000R0L0A0[]", "0000R0L0#0[]", "0000L0#000[]", "0000L0R0A0[]", "0000R1L0A0[]", "0101R1L0#12AB[]", "0000[]",
        "[]",
    ]) func everyFormOfNAKIsOne(_ address: String) {
        let time = Timestamp("12:00:00,11-23-2026")
        #expect(verdict("\"NAK\"\(address)_12:00:00,11-23-2026") == .clock(time))
        #expect(verdict("\"NAK\"\(address)_12:00:00,11-23-2026", encrypted: true) == .clock(time))
        #expect(verdict("\"NAK\"\(address)") == .clock(nil))
        #expect(verdict("\"NAK\"\(address)_25:00:00,11-23-2026") == .clock(nil))
    }

    @Test func refusalAndResponseAreNotDelivery() {
        #expect(verdict("\"DUH\"0101R1L0#12AB[]", encrypted: true) == .refused)
        #expect(verdict("\"RSP\"0101R1L0#12AB[][Kabcd]") == .response)
    }

    @Test func anEncryptedMessageWantsAnEncryptedAcknowledgementOfNow() throws {
        let key = try Key(text: "0123456789ABCDEF")
        let sent = Timestamp(utc: 1_795_435_200_000)
        func judged(_ message: Message, _ sealing: Key? = nil, plain: Bool = false) throws -> ReplyVerdict {
            let frame = try message.frame(key: plain ? nil : sealing ?? key)
            return ReplyExpectation(header: header, encrypted: true, sent: sent).judge(frame, key: key)
        }
        var ack = Message(token: .ack, header: header, timestamp: sent)
        #expect(try judged(ack) == .acknowledged)
        #expect(isIgnored(try judged(ack, plain: true)))
        #expect(isIgnored(try judged(ack, Key(text: "another key here"))))
        for (seconds, good) in [(-20, true), (-21, false), (599, true), (600, true), (601, false)] as [(Int64, Bool)] {
            ack.timestamp = Timestamp(utc: sent.utc + seconds * 1000)
            #expect(try judged(ack) == (good ? .acknowledged : .clock(ack.timestamp)))
        }
        let without = try #require(Cipher.encrypt(Array("abcdefghijklmno]".utf8), with: key))
        let digits = without.map {
            String($0, radix: 16).count == 1 ? "0\(String($0, radix: 16))" : String($0, radix: 16)
        }
        #expect(isIgnored(verdict("\"*ACK\"0101R1L0#12AB[\(digits.joined())", encrypted: true, key: key)))
    }

    @Test func aReceiverSaysBackWhatItHeard() throws {
        let header = Header(sequence: 42, receiver: "00a", line: "0f", account: "00ab")
        #expect(try Envelope.parse(Reply.acknowledge(header)).header == header)
        #expect(try Envelope.parse(Reply.refuse(header)).token == .duh)
        let time = Timestamp(utc: 1_795_435_200_000)
        #expect(Reply.correctTime(time) == Vector["R006"].bytes)
        let key = try Key(text: "0123456789ABCDEF")
        let message = try Envelope.parse(Reply.acknowledge(header, key: key, time: time)).opened(with: key)
        #expect(message == Message(token: .ack, header: header, timestamp: time, wasEncrypted: true))
    }
}
