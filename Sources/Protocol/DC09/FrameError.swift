/// Why a frame cannot be read, or cannot be made.
public struct FrameError: Error, Sendable, Hashable, CustomStringConvertible {
    public enum Reason: Sendable, Hashable {
        // The frame itself: what a line, a network or another protocol does to it.
        /// No line feed where a frame begins.
        case noStart
        /// No carriage return where a frame ends.
        case noEnd
        /// A line feed or carriage return within the frame.
        case lineBreakInside
        /// Fewer bytes than the smallest frame.
        case tooShort(Int)
        /// More bytes than a frame can have.
        case tooLong
        /// The checksum is not four hexadecimal digits.
        case checksumDigits
        /// The length is not a zero and three hexadecimal digits.
        case lengthDigits
        case wrongLength(stated: Int, found: Int)
        case wrongChecksum(stated: Int, found: Int)

        // The header.
        case token
        case sequence
        case receiver
        case line
        case account
        /// No opening bracket after the account.
        case noData

        // What is in the brackets.
        case noClosingBracket
        /// An opening bracket inside data.
        case bracketInside
        /// Something after the brackets that is neither a block nor a time.
        case trailingBytes
        /// Encrypted, and there is no key for it.
        case noKey
        /// Encrypted data that are not hexadecimal digits.
        case cipherDigits
        /// Encrypted data that are not whole blocks of 16 bytes; how many bytes.
        case cipherLength(Int)
        /// Decrypted to nonsense: another key, or damaged on purpose.
        case undecipherable

        /// An ACK, NAK or DUH, sent to a receiver. Not answered: two receivers would answer each other for ever.
        case misdirected
        /// The event's own grammar: what was expected, at which byte of the data.
        case payload(expected: String, offset: Int)
        /// We were asked to send what may not be sent.
        case unsendable(String)
    }

    /// What a receiver does with such a frame (DC-09 reference 13).
    public enum Answer: Sendable, Hashable {
        /// Says nothing: who knows what it was, or who sent it.
        case silence
        /// Says DUH: received in good order, cannot be processed.
        case refuse(Header)
    }

    public var reason: Reason
    /// What of the header could be read, where there was enough of it to address an answer.
    public var header: Header?

    public init(_ reason: Reason, header: Header? = nil) {
        self.reason = reason
        self.header = header
    }

    public var answer: Answer {
        switch reason {
        case .noStart, .noEnd, .lineBreakInside, .tooShort, .tooLong, .checksumDigits, .lengthDigits, .wrongLength,
            .wrongChecksum, .undecipherable, .misdirected, .unsendable:
            .silence
        case .token, .sequence, .receiver, .line, .account, .noData, .noClosingBracket, .bracketInside, .trailingBytes,
            .noKey, .cipherDigits, .cipherLength, .payload:
            header.map { .refuse($0) } ?? .silence
        }
    }

    public var description: String {
        guard let header else { return "DC-09 frame: \(reason.words)" }
        return "DC-09 frame \(header.sequence) of account \(header.account): \(reason.words)"
    }
}

extension FrameError.Reason {
    var words: String {
        switch self {
        case .noStart: "expected a line feed first"
        case .noEnd: "expected a carriage return last"
        case .lineBreakInside: "a line feed or carriage return within"
        case .tooShort(let count): "\(count) bytes, fewer than a frame can have"
        case .tooLong: "more than \(Envelope.largestFrame) bytes"
        case .checksumDigits: "expected four hexadecimal digits of checksum"
        case .lengthDigits: "expected a length of 0 and three hexadecimal digits"
        case .wrongLength(let stated, let found): "the length says \(stated) bytes, found \(found)"
        case .wrongChecksum(let stated, let found):
            "the checksum says \(String(stated, radix: 16, uppercase: true)), "
                + "the bytes make \(String(found, radix: 16, uppercase: true))"
        case .token: "expected a token of 1 to 16 characters in quotation marks"
        case .sequence: "expected a sequence number of four decimal digits"
        case .receiver: "expected R and 1 to 6 hexadecimal digits"
        case .line: "expected L and 1 to 6 hexadecimal digits"
        case .account: "expected # and 3 to 16 hexadecimal digits"
        case .noData: "expected [ after the account"
        case .noClosingBracket: "expected ] after the data"
        case .bracketInside: "an opening bracket inside brackets"
        case .trailingBytes: "something after the data that is neither a block nor a time"
        case .noKey: "encrypted, and there is no key for it"
        case .cipherDigits: "encrypted data that are not pairs of hexadecimal digits"
        case .cipherLength(let count): "\(count) encrypted bytes, expected a multiple of 16"
        case .undecipherable: "decrypts to nonsense: another key, or damaged"
        case .misdirected: "a reply, where a message was expected"
        case .payload(let expected, let offset): "expected \(expected) at byte \(offset + 1) of the data"
        case .unsendable(let why): "cannot be sent: \(why)"
        }
    }
}
