import Testing

@testable import AlarmProtocol

@Suite struct DC09WritingTests {
    @Test(arguments: UInt64(1)...200) func whatIsWrittenIsReadAgain(_ seed: UInt64) throws {
        var random = Seeded(seed)
        func text(_ count: ClosedRange<Int>, _ alphabet: [UInt8]) -> [UInt8] {
            (0..<Int.random(in: count, using: &random)).map { _ in alphabet.randomElement(using: &random) ?? 0 }
        }
        let hex = Array("0123456789ABCDEFabcdef".utf8)
        let any = (UInt8(0x20)...0xFF).filter { ![0x5B, 0x5D, 0x7F].contains($0) }
        let keys = [nil, 32, 48, 64].map { $0.map { text($0...$0, hex).ascii } }
        let key = try keys.randomElement(using: &random)?.map { try Key(hex: $0) }
        let header = Header(
            sequence: Int.random(in: 0...9999, using: &random),
            receiver: Bool.random(using: &random) ? text(1...6, hex).ascii : nil, line: text(1...6, hex).ascii,
            account: text(3...16, hex).ascii)
        let message = Message(
            token: .siaDCS, header: header, data: text(0...300, any),
            extended: (0..<Int.random(in: 0...4, using: &random)).map { _ in ExtendedBlock(.text, text(0...60, any)) },
            timestamp: Timestamp(utc: Int64.random(in: 0...4_000_000_000_000, using: &random)), wasEncrypted: key != nil
        )
        var counts: [Int] = []
        let frame = try message.frame(key: key) { count in
            counts.append(count)
            return Message.randomPad(count)
        }
        #expect(try Envelope.parse(frame).opened(with: key) == message)
        #expect(frame.count <= Envelope.largestFrame)
        if key != nil {
            #expect((16...31).contains(try #require(counts.first)))
            #expect(frame.dropLast().last != UInt8(ascii: "]"))
        }
    }

    /// The published example of encryption, its pad being thirteen times "p".
    @Test func encryptsAsPublished() throws {
        let key = try Key(hex: "0123456789ABCDEF0123456789ABCDEF")
        let plain = Array("ppppppppppppp|12345A|NFA129]_13:14:15,02-15-2006".utf8)
        let cipher = [
            "209c9d400b655df7a26aecb6a887e7ee", "6ed8103217079aae7cbd9dd7551e9682", "3263460f7ef0514864897ae9789534f1",
        ].joined()
        #expect(Cipher.encrypt(plain, with: key) == cipher.utf8.hexBytes)
        let content = Array("\"*SIA-DCS\"9876R579BDFL789ABC#12345A[\(cipher)".utf8)
        let frame = Envelope.frame(around: content)
        #expect(frame.prefix(9).elementsEqual("\nD9760084".utf8))
        let message = try Envelope.parse(frame).opened(with: key)
        #expect(message.data.ascii == "12345A|NFA129")
        #expect(message.timestamp?.text == "13:14:15,02-15-2006")
    }

    @Test func theChecksumIsTheOneOfTheStandard() {
        #expect(Checksum.of("123456789".utf8) == 0xBB3D)
        #expect(Checksum.of([]) == 0)
    }

    @Test func twoFramesOfOneMessageDiffer() throws {
        let message = Message(
            token: .siaDCS, header: Header(sequence: 1, account: "4711"), data: Array("#4711|NBA1".utf8),
            timestamp: Timestamp(utc: 0))
        let key = try Key(text: "0123456789ABCDEF")
        #expect(try message.frame(key: key) != message.frame(key: key))
    }

    @Test(arguments: [
        (Header(sequence: -1, account: "4711"), "sequence number -1"),
        (Header(sequence: 10_000, account: "4711"), "sequence number 10000"),
        (Header(sequence: 1, receiver: "", account: "4711"), "receiver number"),
        (Header(sequence: 1, receiver: "1234567", account: "4711"), "receiver number"),
        (Header(sequence: 1, line: "G", account: "4711"), "line"),
        (Header(sequence: 1, line: "", account: "4711"), "line"),
        (Header(sequence: 1, account: "47"), "account"), (Header(sequence: 1, account: "47é1"), "account"),
        (Header(sequence: 1, account: "12345678901234567"), "account"),
    ]) func aBadHeaderIsNotSent(_ header: Header, _ what: String) {
        let error = #expect(throws: FrameError.self) { try Message(token: .null, header: header).frame() }
        #expect(error?.description.contains(what) == true)
    }

    @Test func whatDoesNotBelongInAFrameIsNotSent() throws {
        let header = Header(sequence: 1, account: "4711")
        let key = try Key(text: "0123456789ABCDEF")
        func refused(_ message: Message, _ key: Key? = nil, pad: (Int) -> [UInt8] = Message.randomPad) -> Bool {
            do throws(FrameError) {
                _ = try message.frame(key: key, pad: pad)
                return false
            } catch {
                if case .unsendable = error.reason { return true } else { return error.reason == .tooLong }
            }
        }
        for byte: UInt8 in [0, 0x0A, 0x0D, 0x1F, 0x5B, 0x5D, 0x7F] {
            #expect(refused(Message(token: .siaDCS, header: header, data: [0x41, byte])))
            #expect(refused(Message(token: .null, header: header, extended: [ExtendedBlock(.text, [byte])])))
            #expect(
                refused(Message(token: .null, header: header, extended: [ExtendedBlock(.init(rawValue: byte), [])])))
        }
        #expect(refused(Message(token: Token(rawValue: "FOO"), header: header)))
        #expect(refused(Message(token: .null, header: header), key))
        let timed = Message(token: .null, header: header, timestamp: Timestamp(utc: 0))
        #expect(!refused(timed, key))
        #expect(refused(timed, key) { Array(repeating: UInt8(ascii: "|"), count: $0) })
        #expect(refused(timed, key) { Array(repeating: UInt8(ascii: "a"), count: $0 - 1) })
        let full = Message(token: .siaDCS, header: header, data: Array(repeating: 0x41, count: 4072))
        #expect(try full.frame().count == Envelope.largestFrame - 1)
        var over = full
        over.data += [0x41, 0x41]
        #expect(refused(over))
    }
}
