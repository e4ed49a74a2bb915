import Testing

@testable import AlarmProtocol

/// Every recorded frame, read, answered and judged as it is said to be.
@Suite struct DC09VectorTests {
    @Test(arguments: Vector.accepted) func isReadAsItIs(_ vector: Vector) throws {
        let frame = try StreamDecoder.frame(inDatagram: vector.bytes).get()
        let envelope = try Envelope.parse(frame)
        let message = try envelope.opened(with: vector.key)
        let decoded = vector.decoded
        guard let token = decoded.token else {
            // The recorded reader wanted a frame without anything around it; the frame itself is vector N014's.
            #expect(frame == (try StreamDecoder.frame(inDatagram: Vector["N014"].bytes).get()))
            return
        }
        #expect(message.token.rawValue == token)
        #expect(message.wasEncrypted == decoded.encrypted)
        #expect(message.header.sequence == decoded.seq.flatMap { Int($0) })
        #expect(message.header.receiver == decoded.receiver)
        #expect(message.header.line == decoded.prefix)
        #expect(message.header.account == decoded.account)
        #expect(message.data.latin1 == decoded.data)
        #expect(message.timestamp?.text == decoded.timestamp)
        #expect(
            message.extended.map { ([$0.kind.rawValue] + $0.value).latin1 } == decoded.xdata?.filter { !$0.isEmpty })
        if let sia = decoded.sia {
            let payload = try SIAPayload.parse(message.data)
            #expect(payload.account == sia.account)
            #expect(payload.blocks.map { ([$0.function] + $0.content).latin1 } == sia.blocks)
        }
        if let contactID = decoded.cid {
            let payload = try ContactIDPayload.parse(message.data)
            #expect(payload.account == contactID.account)
            #expect("\(payload.qualifier.rawValue)" == contactID.qualifier)
            #expect(payload.event == contactID.event)
            #expect(payload.partition == contactID.partition)
            #expect(payload.zoneOrUser == contactID.zoneOrUser)
        }
        if let plain = decoded.plaintextLatin1, let key = vector.key {
            let cipher = try #require(envelope.body.hexBytes)
            #expect(Cipher.decrypt(cipher, with: key) == [UInt8](latin1: plain))
        }
    }

    @Test(arguments: Vector.forReceiver) func isAnsweredAsItShould(_ vector: Vector) throws {
        let reply = answer(to: vector.bytes, key: vector.key, clock: vector.clock)
        // The word in quotation marks: a refusal may repeat a header that is itself no good.
        #expect(reply?.latin1.split(separator: "\"").dropFirst().first.map { String($0) } == vector.expect.replyToken)
        if let raw = vector.expect.replyRaw { #expect(reply?.latin1 == raw) }
        if let reply, vector.expect.replyToken == "*ACK" {
            let message = try Envelope.parse(reply).opened(with: vector.key)
            #expect(message.data.isEmpty)
            #expect(message.timestamp?.utc == vector.clock)
            #expect(message.header == (try Envelope.parse(vector.bytes)).header)
        }
    }

    /// A refusal says who it is for, as far as that could be read.
    @Test(arguments: [
        ("T040", Header(sequence: 0, account: "1234")), ("N026", Header(sequence: 111, account: "1234")),
        ("N027", Header(sequence: 112, account: "1234")),
        ("N029", Header(sequence: 114, account: "12345678901234567")),
        ("N030", Header(sequence: 115, account: "12G4")),
        ("N031", Header(sequence: 116, receiver: "1234567", account: "1234")),
        ("N033", Header(sequence: 0, account: "1234")),
    ]) func isRefusedByName(_ id: String, _ header: Header) {
        #expect(answer(to: Vector[id].bytes, key: nil, clock: 0) == Reply.refuse(header))
    }

    @Test(arguments: Vector.forTransmitter) func isJudgedAsAReply(_ vector: Vector) throws {
        let action = vector.expect.action.replacing(/^transmitter(: | treats as )/, with: "")
        var header = (try? Envelope.parse(vector.bytes))?.header ?? Header(sequence: 101, account: "1234")
        if header.sequence == 0 || vector.id == "R012" { header = Header(sequence: 101, account: "1234") }
        let encrypted = vector.decoded.encrypted == true || vector.id == "R013"
        let expectation = ReplyExpectation(header: header, encrypted: encrypted)
        let verdict = expectation.judge(vector.bytes, key: vector.key)
        let clock = ReplyVerdict.clock(Timestamp("12:00:00,11-23-2026"))
        let expectations: [(action: String, verdict: ReplyVerdict?)] = [
            ("delivered", .acknowledged), ("tolerate", .acknowledged), ("rejected", clock), ("same as R006", clock),
            ("received but not processed", .refused), ("refuse key change", .response), ("ignore", nil), ("not ", nil),
        ]
        let expected = try #require(expectations.first { action.hasPrefix($0.action) })
        if let wanted = expected.verdict {
            #expect(verdict == wanted)
        } else if case .ignored(_, let why) = verdict {
            #expect(!why.isEmpty)
        } else {
            Issue.record("expected to be ignored, found \(verdict)")
        }
    }

    /// Written again, an accepted message in clear is the same frame, but for what is not written that way.
    @Test(arguments: Vector.accepted.filter { $0.key == nil }) func isWrittenAsItWas(_ vector: Vector) throws {
        let frame = try StreamDecoder.frame(inDatagram: vector.bytes).get()
        let message = try Envelope.parse(frame).opened(with: nil)
        let written = try message.frame()
        #expect(try Envelope.parse(written).opened(with: nil) == message)
        let hasEmptyBlock = vector.id == "G049"
        #expect((written == frame) == !hasEmptyBlock)
    }

    /// What a receiver answers, by the procedure of DC-09 reference 13; it knows every account, and this key for it.
    private func answer(to bytes: [UInt8], key: Key?, clock: Int64) -> [UInt8]? {
        let time = Timestamp(utc: clock)
        do throws(FrameError) {
            let envelope = try Envelope.parse(StreamDecoder.frame(inDatagram: bytes).get())
            if key != nil, !envelope.isEncrypted { return Reply.refuse(envelope.header) }
            let message = try envelope.opened(with: key)
            if message.wasEncrypted, !TimeWindow.accepts(message.timestamp, now: clock) {
                return Reply.correctTime(time)
            }
            _ = try Report.reports(of: message)
            guard message.wasEncrypted, let key else { return Reply.acknowledge(message.header) }
            return try Reply.acknowledge(message.header, key: key, time: time)
        } catch {
            switch error.answer {
            case .silence: return nil
            case .refuse(let header): return Reply.refuse(header)
            }
        }
    }
}
