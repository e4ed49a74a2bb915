/// `>`, a body, its checksum, CR: how an ID3000 frames what it says to a host.
enum ID3000Frame {
    /// Which checksum stands behind the body. The panel's port is set to one of the two.
    enum Checksum: String, Sendable, CaseIterable {
        /// Half duplex: CRC-16/XMODEM of the body, four hexadecimal digits.
        case crc16 = "crc-16"
        /// Full duplex: the body's bytes added up, the low eight bits, two hexadecimal digits.
        case sum8 = "sum-8"

        var digits: Int { self == .crc16 ? 4 : 2 }

        func of(_ body: some Sequence<UInt8>) -> [UInt8] {
            let value = self == .crc16 ? Self.crc(body) : body.reduce(UInt16(0)) { ($0 + UInt16($1)) & 0xFF }
            let text = String(value, radix: 16, uppercase: true)
            return Array((String(repeating: "0", count: digits - text.count) + text).utf8)
        }

        /// Polynomial 0x1021, from zero, highest bit first.
        private static func crc(_ bytes: some Sequence<UInt8>) -> UInt16 {
            bytes.reduce(0) { crc, byte in
                (0..<8).reduce(crc ^ UInt16(byte) << 8) { crc, _ in crc & 0x8000 == 0 ? crc << 1 : crc << 1 ^ 0x1021 }
            }
        }
    }

    static let start = UInt8(ascii: ">")
    static let end = UInt8(ascii: "\r")
    /// What we say has no checksum.
    static let acknowledge = Array(">IACK\r".utf8)
    static let poll = Array(">IQS\r".utf8)
    /// Longest frame in bytes between `>` and CR.
    static let longest = 256

    static func bytes(_ body: some Collection<UInt8>, _ checksum: Checksum) -> [UInt8] {
        [start] + body + checksum.of(body) + [end]
    }

    /// The body of what stood between `>` and CR, where that ends in a right checksum of this kind.
    static func body(_ content: ArraySlice<UInt8>, _ checksum: Checksum) -> [UInt8]? {
        let body = content.dropLast(checksum.digits)
        guard body.count >= 2, body.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        let found = content.suffix(checksum.digits).map { (97...102).contains($0) ? $0 - 32 : $0 }
        return found == checksum.of(body) ? Array(body) : nil
    }
}
