import Foundation
import Testing

@testable import AlarmProtocol

/// One frame of Vectors/dc09-vectors.json: its bytes, what is in it, and what is to be made of it.
struct Vector: Decodable, Sendable, CustomTestStringConvertible {
    struct SIA: Decodable { let account: String?, blocks: [String] }
    struct ContactID: Decodable { let account, qualifier, event, partition, zoneOrUser: String }
    struct Decoded: Decodable {
        let token: String?
        let encrypted: Bool?
        let seq, receiver, prefix, account, data, timestamp, plaintextLatin1: String?
        let xdata: [String]?
        let sia: SIA?
        let cid: ContactID?
    }
    struct Expectation: Decodable { let action: String, replyToken: String?, replyRaw: String? }

    let id, title: String
    let rawHex: String?
    let keyHex: String?
    let receiverClockUtc: String
    let decoded: Decoded
    let expect: Expectation

    /// The bytes on the wire. One vector has none, being a mebibyte without an end.
    var bytes: [UInt8] {
        guard let rawHex else { return [0x0A] + [UInt8](repeating: UInt8(ascii: "A"), count: 1 << 20) }
        return rawHex.utf8.hexBytes ?? []
    }
    var key: Key? { keyHex.flatMap { try? Key(hex: $0) } }
    /// The receiver's clock, in milliseconds.
    var clock: Int64 {
        let time = try? Date.ISO8601FormatStyle().parse(receiverClockUtc)
        return Int64((time ?? .distantPast).timeIntervalSince1970 * 1000)
    }
    var isAccepted: Bool { expect.action.hasPrefix("accept") }
    var isForTransmitter: Bool { expect.action.hasPrefix("transmitter") }
    var testDescription: String { "\(id) \(title)" }

    private struct File: Decodable {
        struct Meta: Decodable { let count: Int }
        let meta: Meta
        let vectors: [Vector]
    }

    static let all: [Vector] = {
        let url = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Vectors/dc09-vectors.json")
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let file = try decoder.decode(File.self, from: Data(contentsOf: url))
            precondition(file.vectors.count == file.meta.count, "\(url.path): not all vectors are there")
            return file.vectors
        } catch {
            preconditionFailure("\(url.path): \(error)")
        }
    }()
    static let accepted = all.filter(\.isAccepted)
    static let forReceiver = all.filter { !$0.isForTransmitter }
    static let forTransmitter = all.filter(\.isForTransmitter)

    static subscript(id: String) -> Vector {
        guard let vector = all.first(where: { $0.id == id }) else { preconditionFailure("no vector \(id)") }
        return vector
    }
}

extension [UInt8] {
    /// Each byte as the character of the same number: how the vectors write bytes.
    var latin1: String { String(String.UnicodeScalarView(map { Unicode.Scalar($0) })) }
    init(latin1: String) { self = latin1.unicodeScalars.map { UInt8($0.value) } }
}

/// A generator that makes the same numbers in every run (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
