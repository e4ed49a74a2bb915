/// What a transmitter makes of a frame that came while it waited for a reply.
public enum ReplyVerdict: Sendable, Hashable {
    /// The receiver has the message.
    case acknowledged
    /// The receiver cannot accept the message's time, or acknowledges at another. With the receiver's time, where it could be read: send again by
    /// that clock, with the same sequence number. Nobody has signed it, so never set the board's clock by it.
    case clock(Timestamp?)
    /// The receiver cannot process the message. The same bytes would be refused again.
    case refused
    /// A message response, with whatever it carries. Not an acknowledgement; a key in it is not to be used.
    case response
    /// Not the reply to this message, and why: keep waiting.
    case ignored(String)
}

/// What was sent, and so which reply belongs to it (DC-09 reference 14).
///
/// Forgiving where real receivers differ: NAK in all its forms; `None` or 0 for an R that was not sent; letters in
/// either case; a time in a plain ACK. Not forgiving where an event could be lost: another sequence number, line or
/// account, or a plain ACK where everything is encrypted, is not the reply.
public struct ReplyExpectation: Sendable, Hashable {
    public var header: Header
    /// The message went out encrypted: only an encrypted ACK can be its acknowledgement, since anybody could make a
    /// plain one. DUH and NAK always come in clear.
    public var encrypted: Bool
    /// When the message was sent, by the receiver's clock. Where given, an encrypted ACK must have a time from
    /// `TimeWindow.ahead` before to ten minutes after it. Another one may have been recorded when the sequence number
    /// was last in use and acknowledges nothing; or the clocks are apart and the receiver does not mind, so it counts
    /// as a NAK: sent again by its clock, the message gets an ACK that can be believed.
    public var sent: Timestamp?

    public init(header: Header, encrypted: Bool, sent: Timestamp? = nil) {
        self.header = header
        self.encrypted = encrypted
        self.sent = sent
    }

    /// - Parameters:
    ///   - frame: one whole frame, as `StreamDecoder` makes them.
    ///   - key: the key that the message was encrypted with.
    public func judge(_ frame: [UInt8], key: Key?) -> ReplyVerdict {
        do throws(FrameError) {
            let envelope = try Envelope.parse(frame)
            switch envelope.token {
            case .nak:
                // Whoever it is addressed to and whatever surrounds it, only the time counts.
                return .clock(envelope.isEncrypted ? nil : Self.time(of: envelope))
            case .duh:
                return mismatch(envelope.header).map { .ignored($0) } ?? .refused
            case .rsp:
                return mismatch(envelope.header).map { .ignored($0) } ?? .response
            case .ack:
                if let why = mismatch(envelope.header) { return .ignored(why) }
                return try judgeAcknowledgement(envelope, key)
            default:
                return .ignored("\(envelope.token) is not a reply")
            }
        } catch {
            return .ignored(error.description)
        }
    }

    private func judgeAcknowledgement(_ envelope: Envelope, _ key: Key?) throws(FrameError) -> ReplyVerdict {
        guard envelope.isEncrypted == encrypted else {
            return .ignored(encrypted ? "a plain ACK to an encrypted message" : "an encrypted ACK to a plain message")
        }
        let message = try envelope.opened(with: key)
        guard encrypted else { return .acknowledged }
        guard let time = message.timestamp else { return .ignored("an encrypted ACK without a time") }
        if let sent, !(-TimeWindow.ahead...600_000).contains(time.utc - sent.utc) {
            return .clock(time)
        }
        return .acknowledged
    }

    /// Why a reply with this header belongs to another message; nil when it belongs to this one.
    private func mismatch(_ other: Header) -> String? {
        if other.sequence != header.sequence { return "the reply to \(other.sequence), expected \(header.sequence)" }
        // A receiver that writes None for R looks its reply up by sequence number alone (DC-09 reference 12).
        if other.receiver == HeaderScanner.none { return nil }
        if !Self.same(other.receiver ?? "0", header.receiver ?? "0") { return "the reply of another receiver number" }
        if !Self.same(other.line, header.line) { return "the reply to another line" }
        if !Self.same(other.account, header.account) { return "the reply to account \(other.account)" }
        return nil
    }

    private static func same(_ a: String, _ b: String) -> Bool { a == b || a.uppercased() == b.uppercased() }

    /// The time after the brackets, if there is one.
    private static func time(of envelope: Envelope) -> Timestamp? {
        guard let mark = envelope.body.lastIndex(of: UInt8(ascii: "_")) else { return nil }
        return Timestamp(envelope.body[(mark + 1)...].prefix(Timestamp.length))
    }
}
