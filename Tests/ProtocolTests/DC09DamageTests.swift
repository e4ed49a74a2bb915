import Testing

@testable import AlarmProtocol

/// Damaged and hostile frames: an error or the same message, never another one, and never a trap.
@Suite struct DC09DamageTests {
    private func read(_ bytes: [UInt8], key: Key?) -> [Message] {
        var decoder = StreamDecoder()
        decoder.append(bytes)
        var messages: [Message] = []
        while let result = decoder.next() {
            if let message = try? Envelope.parse(result.get()).opened(with: key) { messages.append(message) }
        }
        return messages
    }

    @Test(arguments: ["P003", "P004", "T011", "R006"]) func oneWrongByteIsNeverAnotherMessage(_ id: String)
        throws
    {
        let vector = Vector[id]
        let original = try #require(read(vector.bytes, key: vector.key).first)
        for index in vector.bytes.indices {
            for value in UInt8.min...UInt8.max {
                var bytes = vector.bytes
                bytes[index] = value
                // A digit of the checksum may be written in either case.
                for message in read(bytes, key: vector.key) { #expect(message == original) }
            }
        }
    }

    @Test(arguments: Vector.accepted) func aPartIsNothing(_ vector: Vector) {
        guard vector.bytes.count < 1000, vector.bytes.last == 0x0D else { return }
        for count in 0..<vector.bytes.count {
            #expect(read(Array(vector.bytes.prefix(count)), key: vector.key) == [])
        }
    }

    @Test func aMissingOrDoubledByteIsNoFrame() throws {
        let bytes = Vector["P003"].bytes
        for index in 1..<bytes.count - 1 {
            var shorter = bytes
            var longer = bytes
            shorter.remove(at: index)
            longer.insert(bytes[index], at: index)
            #expect(read(shorter, key: nil) == [])
            #expect(read(longer, key: nil) == [])
        }
    }

    /// With the checksum made right again anything may be read, so the grammar must take whatever comes.
    @Test(arguments: UInt64(1)...20) func garbledContentNeverTraps(_ seed: UInt64) throws {
        var random = Seeded(seed)
        for _ in 0..<300 {
            let vector = try #require(Vector.forReceiver.randomElement(using: &random))
            var content = Array(vector.bytes.dropFirst(9).dropLast().prefix(500))
            for _ in 0..<Int.random(in: 1...4, using: &random) where !content.isEmpty {
                let index = Int.random(in: content.indices, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: content[index] = Self.telling.randomElement(using: &random) ?? 0
                case 1: content.remove(at: index)
                default: content.insert(UInt8.random(in: 0...255, using: &random), at: index)
                }
            }
            let frame = Envelope.frame(around: content)
            guard let envelope = try? Envelope.parse(frame) else { continue }
            guard let message = try? envelope.opened(with: vector.key) else { continue }
            #expect(!message.data.contains(UInt8(ascii: "[")))
            #expect(message.header.account.isHexadecimal(3...16) || message.token == .nak)
            _ = try? Report.reports(of: message)
            _ = ReplyExpectation(header: message.header, encrypted: false).judge(frame, key: vector.key)
        }
    }

    private static let telling = Array("[]|^/*#\"_RLA0aN\u{0}\n\r".utf8)

    @Test func aWrongKeyIsSilence() throws {
        let wrong = try Key(hex: "00000000000000000000000000000000")
        for vector in Vector.accepted {
            let envelope = try Envelope.parse(StreamDecoder.frame(inDatagram: vector.bytes).get())
            guard envelope.isEncrypted else { continue }
            let error = #expect(throws: FrameError.self) { try envelope.opened(with: wrong) }
            #expect(error?.answer == .silence)
        }
    }

    @Test func whatIsWrongIsSaidWithWhatWasExpected() throws {
        let texts = [
            "N001": "DC-09 frame: the checksum says FC79, the bytes make FC78",
            "N005": "DC-09 frame: the length says 35 bytes, found 36",
            "N030": "DC-09 frame 115 of account 12G4: expected # and 3 to 16 hexadecimal digits",
            "N055": "DC-09 frame 155 of account 1234: encrypted, and there is no key for it",
        ]
        for (id, text) in texts {
            let error = #expect(throws: FrameError.self) { try Envelope.parse(Vector[id].bytes).opened(with: nil) }
            #expect(error?.description == text)
        }
    }
}
