/// A frame whose length and checksum are right and whose header reads: what can be known without a key.
///
/// `LF crc 0LLL "id" seq [Rrcvr] Lline #account [data] blocks _time CR` (DC-09 reference 3).
public struct Envelope: Sendable, Hashable {
    /// Without the star that marks encryption.
    public var token: Token
    public var isEncrypted: Bool
    public var header: Header
    /// All that stands after the data's opening bracket: in clear, or as hexadecimal digits of what is encrypted.
    public var body: [UInt8]

    /// What 0LLL can say, and the ten bytes around it.
    public static let largestFrame = 4095 + framing
    /// Line feed, checksum, length, carriage return.
    static let framing = 10

    /// Reads one whole frame, line feed to carriage return.
    /// - Throws: `FrameError`, with as much of the header as could be read, so that a refusal can be addressed.
    public static func parse(_ frame: [UInt8]) throws(FrameError) -> Envelope {
        let content = try content(of: frame)
        var scanner = HeaderScanner(content)
        let (word, fault) = scanner.token()
        let isEncrypted = word.first == UInt8(ascii: "*")
        let token = Token(rawValue: (isEncrypted ? word.dropFirst() : word).ascii)
        let (header, body) = try scanner.header(isReply: token.isReply, isNAK: token == .nak, tokenFault: fault)
        return Envelope(token: token, isEncrypted: isEncrypted, header: header, body: Array(body))
    }

    /// Checks all that is around the content (from the token's quotation mark to the last byte before the carriage
    /// return), and returns the content.
    private static func content(of frame: [UInt8]) throws(FrameError) -> ArraySlice<UInt8> {
        guard frame.first == UInt8(ascii: "\n") else { throw FrameError(.noStart) }
        guard frame.last == UInt8(ascii: "\r") else { throw FrameError(.noEnd) }
        guard frame.count > framing else { throw FrameError(.tooShort(frame.count)) }
        guard frame.count <= largestFrame else { throw FrameError(.tooLong) }
        guard let stated = frame[1..<5].hexNumber else { throw FrameError(.checksumDigits) }
        guard frame[5] == UInt8(ascii: "0"), let length = frame[5..<9].hexNumber else {
            throw FrameError(.lengthDigits)
        }
        let content = frame[9..<frame.count - 1]
        guard length == content.count else { throw FrameError(.wrongLength(stated: length, found: content.count)) }
        let found = Int(Checksum.of(content))
        guard stated == found else { throw FrameError(.wrongChecksum(stated: stated, found: found)) }
        guard !content.contains(where: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) else {
            throw FrameError(.lineBreakInside)
        }
        return content
    }

    /// Puts the line feed, checksum, length and carriage return around a content. The caller has checked its size.
    static func frame(around content: [UInt8]) -> [UInt8] {
        let crc = Checksum.of(content)
        var frame: [UInt8] = []
        frame.reserveCapacity(content.count + framing)
        frame.append(UInt8(ascii: "\n"))
        frame.appendHex(UInt8(crc >> 8))
        frame.appendHex(UInt8(crc & 0xFF))
        frame.appendHex(UInt8(truncatingIfNeeded: content.count >> 8))
        frame.appendHex(UInt8(truncatingIfNeeded: content.count))
        frame.append(contentsOf: content)
        frame.append(UInt8(ascii: "\r"))
        return frame
    }

    /// Decrypts where needed, and reads data, blocks and time.
    /// - Parameter key: the account's key; not used for a message in clear. Whether an account with a key may speak in
    ///   clear is the caller's to judge.
    public func opened(with key: Key?) throws(FrameError) -> Message {
        var content = body
        if isEncrypted {
            guard let key else { throw FrameError(.noKey, header: header) }
            guard let cipher = body.hexBytes else { throw FrameError(.cipherDigits, header: header) }
            guard !cipher.isEmpty, cipher.count % Cipher.block == 0, let plain = Cipher.decrypt(cipher, with: key)
            else {
                throw FrameError(.cipherLength(cipher.count), header: header)
            }
            content = plain
        }
        return try Message(content: content, of: self)
    }
}
