import AlarmProtocol
import Crypto
import NIOSSL

/// A certificate as far as we judge it ourselves: which one it is, and when it is valid (RFC 5280 section 4.1). Its
/// dates are read here and not by the TLS library, which ends the program over a date that makes no sense.
struct Certificate: Sendable, Hashable {
    /// The whole certificate, in DER.
    let bytes: [UInt8]
    /// Its first and last moment, in milliseconds since 1970-01-01 00:00 UTC.
    let validFrom: Int64
    let validUntil: Int64

    enum Age: Sendable, Hashable { case notYet, good, expiring, expired }

    /// So long before its end a certificate is told of, in milliseconds: 30 days.
    static let warning: Int64 = 30 * 86_400_000

    /// - Returns: nil for anything but a certificate with dates that exist.
    init?(_ bytes: [UInt8]) {
        var outer = DER(bytes[...])
        var whole = DER(outer.take(DER.sequence))
        var body = DER(whole.take(DER.sequence))
        // Version (may be left out), serial number, algorithm, issuer; then the validity.
        if body.nextTag == DER.version { body.skip() }
        for _ in 0..<3 { body.skip() }
        var validity = DER(body.take(DER.sequence))
        guard let from = validity.takeTime(), let until = validity.takeTime() else { return nil }
        self.bytes = bytes
        validFrom = from
        validUntil = until
    }

    init?(_ certificate: NIOSSLCertificate) {
        guard let bytes = try? certificate.toDERBytes() else { return nil }
        self.init(bytes)
    }

    func age(at utc: Int64) -> Age {
        if utc > validUntil { return .expired }
        if utc < validFrom { return .notYet }
        return validUntil - utc < Self.warning ? .expiring : .good
    }

    /// SHA-256 of the certificate, as `openssl x509 -fingerprint -sha256` writes it.
    var fingerprint: String { SHA256.hash(data: bytes).map { Self.two($0) }.joined(separator: ":") }

    /// Its first eight bytes: enough to compare by eye, short enough for an event's text.
    var shortFingerprint: String { fingerprint.prefix(23) + "…" }

    /// "2026-11-23", in UTC.
    var lastDay: String { Self.day(validUntil) }
    var firstDay: String { Self.day(validFrom) }

    static func day(_ utc: Int64) -> String { String(StatusScreen.utc(utc).prefix { $0 != " " }) }

    private static func two(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
    }
}

/// As much of DER (X.690) as leads to a certificate's dates. What is malformed reads as nothing.
private struct DER {
    static let sequence: UInt8 = 0x30
    static let version: UInt8 = 0xA0
    private static let utcTime: UInt8 = 0x17
    private static let generalizedTime: UInt8 = 0x18

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>?) { rest = bytes ?? [] }

    var nextTag: UInt8? { rest.first }

    mutating func skip() { _ = next() }

    /// The content of the next value, where it has this tag.
    mutating func take(_ tag: UInt8) -> ArraySlice<UInt8>? {
        guard nextTag == tag else { return nil }
        return next()?.content
    }

    private mutating func next() -> (tag: UInt8, content: ArraySlice<UInt8>)? {
        guard let tag = rest.popFirst(), let first = rest.popFirst() else { return nil }
        var length = Int(first)
        if first >= 0x80 {
            // Four bytes of length are more than any certificate has.
            guard (0x81...0x84).contains(first) else { return nil }
            length = 0
            for _ in 0x80..<first {
                guard let byte = rest.popFirst() else { return nil }
                length = length << 8 | Int(byte)
            }
        }
        guard length <= rest.count else { return nil }
        defer { rest = rest.dropFirst(length) }
        return (tag, rest.prefix(length))
    }

    /// `YYMMDDhhmmssZ` until 2049, `YYYYMMDDhhmmssZ` (RFC 5280 section 4.1.2.5), in milliseconds.
    mutating func takeTime() -> Int64? {
        guard let (tag, content) = next() else { return nil }
        var digits = Array(content)
        guard digits.popLast() == UInt8(ascii: "Z") else { return nil }
        if tag == Self.utcTime, digits.count == 12 {
            digits = Array((digits[0] >= UInt8(ascii: "5") ? "19" : "20").utf8) + digits
        }
        guard tag == Self.utcTime || tag == Self.generalizedTime, digits.count == 14 else { return nil }
        let words = digits.map { Character(Unicode.Scalar($0)) }
        func part(_ range: Range<Int>) -> String { String(words[range]) }
        return Timestamp(
            "\(part(8..<10)):\(part(10..<12)):\(part(12..<14)),\(part(4..<6))-\(part(6..<8))-\(part(0..<4))")?.utc
    }
}
