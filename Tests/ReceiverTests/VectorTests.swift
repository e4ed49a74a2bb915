import AlarmProtocol
import Foundation
import Testing

@testable import Receiver

/// Every frame of the vectors that a receiver can get, judged as the vectors say.
@Suite struct VectorTests {
    struct Vector: Decodable, Sendable, CustomTestStringConvertible {
        struct Expectation: Decodable, Sendable {
            var action: String
            var replyToken: String?
            var replyRaw: String?
        }
        struct Decoded: Decodable, Sendable {
            struct ContactID: Decodable, Sendable {
                var qualifier: String
                var event: String
                var partition: String
                var zoneOrUser: String
            }
            var token: String?
            var seq: String?
            var account: String?
            var data: String?
            var cid: ContactID?
        }
        var id: String
        var title: String
        var rawHex: String?
        var keyHex: String?
        var receiverClockUtc: String
        var decoded: Decoded
        var expect: Expectation

        var testDescription: String { "\(id) \(title)" }
        var isForReceiver: Bool { !expect.action.hasPrefix("transmitter") }
        var bytes: [UInt8] {
            // N041 is described, not listed: 64 KiB without an end.
            guard let rawHex else { return [0x0A] + [UInt8](repeating: 0x41, count: 65_536) }
            let digits = Array(rawHex.utf8)
            return stride(from: 0, to: digits.count - 1, by: 2).compactMap {
                UInt8(String(decoding: digits[$0...($0 + 1)], as: UTF8.self), radix: 16)
            }
        }
        var clock: Int64 {
            get throws {
                let date = try Date(receiverClockUtc, strategy: .iso8601)
                return Int64(date.timeIntervalSince1970 * 1_000)
            }
        }
    }

    private struct File: Decodable { var vectors: [Vector] }

    static let all: [Vector] = {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let file = folder.appending(path: "ProtocolTests/Vectors/dc09-vectors.json")
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let data = try? Data(contentsOf: file), let read = try? decoder.decode(File.self, from: data) else {
            return []
        }
        return read.vectors
    }()

    @Test func allAreThere() {
        #expect(Self.all.count == 142)
        #expect(Self.all.filter(\.isForReceiver).count == 126)
    }

    /// As a stream brings them: the decoder finds the frame, the judge judges it.
    @Test(arguments: all.filter(\.isForReceiver)) func judgesAsTheVectorSays(_ vector: Vector) throws {
        let key = try vector.keyHex.map { try Key(hex: $0) }
        var judge = try Judge(vector.accounts(with: key).map { try Accounts.Entry(account: $0, key: key) })
        var decoder = StreamDecoder()
        decoder.append(vector.bytes)
        var frames: [[UInt8]] = []
        while let next = decoder.next() { if case .success(let frame) = next { frames.append(frame) } }
        #expect(frames.count <= 1)

        if vector.expect.action.contains("duplicate"), let frame = frames.first {
            #expect(judge.judge(frame, at: try vector.clock).verdict == .event)
        }
        let judgement = try frames.first.map { judge.judge($0, at: try vector.clock) }
        #expect(token(of: judgement?.reply) == vector.expect.replyToken)
        if let raw = vector.expect.replyRaw {
            #expect(judgement?.reply.map { String(decoding: $0, as: UTF8.self) } == raw)
        }
        if vector.expect.action == "accept" {
            let judgement = try #require(judgement)
            try check(judgement, against: vector, key)
        } else if vector.expect.action.contains("duplicate") {
            #expect(judgement?.verdict == .repeated)
        } else {
            #expect(judgement == nil || [.refused, .wrongTime, .ignored].contains(judgement?.verdict))
            #expect(judgement?.reports.isEmpty ?? true)
        }
    }

    private func check(_ judgement: Judgement, against vector: Vector, _ key: Key?) throws {
        // The vectors' own decoder stumbles over some that a receiver is to take (N013, N015).
        guard vector.decoded.token != nil else {
            #expect(judgement.verdict == .event)
            return
        }
        let isPoll = ["NULL", "XNM"].contains(vector.decoded.token)
        #expect(judgement.verdict == (isPoll ? .poll : .event))
        #expect(judgement.message?.token.rawValue == vector.decoded.token)
        #expect(judgement.message?.header.account == vector.decoded.account)
        #expect(judgement.message?.header.sequence == vector.decoded.seq.flatMap { Int($0) })
        #expect(judgement.reports.isEmpty == isPoll)
        if let expected = vector.decoded.cid {
            let records = FeedRecord.records(
                of: judgement, frame: vector.bytes, received: try vector.clock, path: .test)
            let record = try #require(records.first)
            #expect(records.count == 1)
            #expect(record.contactID == expected.event)
            #expect(record.qualifier.map { "\($0.rawValue)" } == expected.qualifier)
            #expect((record.partition ?? 0) == Int(expected.partition))
            #expect((record.zone ?? record.user ?? 0) == Int(expected.zoneOrUser))
        }
        if vector.expect.replyToken == "*ACK" {
            // No fixed bytes, for the pad is random: the same header in clear, nothing but our time inside.
            let reply = try Envelope.parse(try #require(judgement.reply))
            let answer = try reply.opened(with: key)
            #expect(answer.header == judgement.message?.header)
            #expect(answer.data.isEmpty && answer.extended.isEmpty)
            #expect(answer.timestamp?.utc == (try vector.clock))
        }
    }

    /// The same as datagrams, where the frame is all there is.
    @Test(arguments: all.filter(\.isForReceiver)) func takesDatagrams(_ vector: Vector) throws {
        let key = try vector.keyHex.map { try Key(hex: $0) }
        var judge = try Judge(vector.accounts(with: key).map { try Accounts.Entry(account: $0, key: key) })
        let judgement = try? StreamDecoder.frame(inDatagram: vector.bytes).get()
        let reply = try judgement.flatMap { judge.judge($0, at: try vector.clock).reply }
        #expect(token(of: reply) == vector.expect.replyToken)
    }
}

extension VectorTests.Vector {
    /// The accounts that the receiver must have for the vector: the frame's, where it has a key.
    func accounts(with key: Key?) -> [String] {
        guard key != nil else { return [] }
        let text = String(decoding: bytes.filter { $0 < 0x80 }, as: UTF8.self)
        guard let hash = text.firstIndex(of: "#") else { return [] }
        return [String(text[text.index(after: hash)...].prefix { $0.isHexDigit })]
    }
}
