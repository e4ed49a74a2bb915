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
    /// Not the reply to this message: of what kind, and why. Keep waiting.
    case ignored(StrangeReply, String)
}

/// What kind of frame came in the place of a reply. Each is ignored, and counted under its name.
public enum StrangeReply: String, Sendable, Hashable, CaseIterable {
    /// An ACK in clear to an encrypted message: anybody could have made it.
    case plainToEncrypted
    /// To another sequence number than what was sent.
    case otherSequence
    /// To another account, line or receiver number.
    case otherAccount
    /// An encrypted ACK that our key does not open to an acknowledgement with a time.
    case otherKey
    /// An acknowledgement that has been used before.
    case replayed
    /// An acknowledgement with a time before that of an earlier one: an old one, or the receiver's clock was set back.
    case timeWentBack
    /// A whole frame that is no reply, or none that acknowledges.
    case notAReply
    /// No whole frame: a wrong checksum or length, or no DC-09 at all.
    case garbage
}

/// What an encrypted ACK is known by. Sequence number and account stand in clear around it, and nothing binds them to
/// it (DC-09 reference 10), so they are no part of it.
public struct ReplySeal: Sendable, Hashable {
    /// The receiver's time.
    public var time: Timestamp
    /// The encrypted block that the time ends in, and the one before it. Whoever has no key can change what a block of
    /// CBC text says only by changing the block before it, which ruins that one; so neither of these two can be changed
    /// without ruining the time. What is before and behind them can.
    public var tail: [UInt8]
    /// What stands before the first bracket, decrypted: the pad, with a bar behind it where the receiver puts one.
    public var pad: [UInt8]

    public init(time: Timestamp, tail: [UInt8], pad: [UInt8]) {
        self.time = time
        self.tail = tail
        self.pad = pad
    }

    /// Nil where the key does not open it to a message with a time.
    init?(_ envelope: Envelope, _ key: Key) {
        guard let cipher = envelope.body.hexBytes, !cipher.isEmpty, let plain = Cipher.decrypt(cipher, with: key),
            let time = (try? Message(content: plain, of: envelope))?.timestamp
        else { return nil }
        let written = [UInt8(ascii: "_")] + time.bytes
        guard let start = plain.indices.first(where: { plain[$0...].starts(with: written) }) else { return nil }
        let last = (start + written.count - 1) / Cipher.block
        self.init(
            time: time, tail: Array(cipher[max(0, last - 1) * Cipher.block..<(last + 1) * Cipher.block]),
            pad: Array(plain.prefix { $0 != UInt8(ascii: "]") }))
    }
}

/// A verdict, and what it was found by.
public struct JudgedReply: Sendable, Hashable {
    public var verdict: ReplyVerdict
    /// The reply's header, where there was one.
    public var header: Header?
    /// For an encrypted ACK that opened.
    public var seal: ReplySeal?
    /// Which of the keys opened it.
    public var keyIndex: Int?
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
        judge(frame, keys: key.map { [$0] } ?? []).verdict
    }

    /// - Parameters:
    ///   - frame: one whole frame, as `StreamDecoder` makes them.
    ///   - keys: the key that the message was encrypted with, then others that the receiver may have. A reply under one
    ///     of these is not an acknowledgement: some receivers acknowledge what they cannot decrypt (DC-09 reference 12).
    public func judge(_ frame: [UInt8], keys: [Key]) -> JudgedReply {
        let envelope: Envelope
        do throws(FrameError) { envelope = try Envelope.parse(frame) } catch {
            // A frame whose checksum is right was meant as one.
            let kind: StrangeReply = error.answer == .silence ? .garbage : .notAReply
            return JudgedReply(verdict: .ignored(kind, error.description), header: error.header)
        }
        var judged = JudgedReply(verdict: .refused, header: envelope.header)
        switch envelope.token {
        case .nak:
            // Whoever it is addressed to and whatever surrounds it, only the time counts.
            judged.verdict = .clock(envelope.isEncrypted ? nil : Self.time(of: envelope))
        case .duh: judged.verdict = mismatch(envelope.header) ?? .refused
        case .rsp: judged.verdict = mismatch(envelope.header) ?? .response
        case .ack:
            if let mismatch = mismatch(envelope.header) {
                judged.verdict = mismatch
            } else {
                judgeAcknowledgement(envelope, keys, &judged)
            }
        default: judged.verdict = .ignored(.notAReply, "\(envelope.token) is not a reply")
        }
        return judged
    }

    private func judgeAcknowledgement(_ envelope: Envelope, _ keys: [Key], _ judged: inout JudgedReply) {
        guard encrypted else {
            do throws(FrameError) {
                guard !envelope.isEncrypted else {
                    judged.verdict = .ignored(.otherKey, "an encrypted ACK to a plain message")
                    return
                }
                _ = try envelope.opened(with: nil)
                judged.verdict = .acknowledged
            } catch { judged.verdict = .ignored(.notAReply, error.description) }
            return
        }
        guard envelope.isEncrypted else {
            judged.verdict = .ignored(.plainToEncrypted, "a plain ACK to an encrypted message")
            return
        }
        // With another key there is nonsense, which has a time once in a billion years.
        for (index, key) in keys.enumerated() {
            guard let seal = ReplySeal(envelope, key) else { continue }
            let time = seal.time
            judged.keyIndex = index
            judged.seal = seal
            let isOfNow = sent.map { (-TimeWindow.ahead...600_000).contains(time.utc - $0.utc) } ?? true
            judged.verdict = isOfNow ? .acknowledged : .clock(time)
            if index > 0 { judged.verdict = .ignored(.otherKey, "an ACK under another of our keys") }
            return
        }
        judged.verdict = .ignored(.otherKey, "an encrypted ACK that our key does not open to one with a time")
    }

    /// Why a reply with this header belongs to another message; nil when it belongs to this one.
    private func mismatch(_ other: Header) -> ReplyVerdict? {
        if other.sequence != header.sequence {
            return .ignored(.otherSequence, "the reply to \(other.sequence), expected \(header.sequence)")
        }
        // A receiver that writes None for R looks its reply up by sequence number alone (DC-09 reference 12).
        if other.receiver == HeaderScanner.none { return nil }
        func another(_ why: String) -> ReplyVerdict { .ignored(.otherAccount, why) }
        if !Self.same(other.receiver ?? "0", header.receiver ?? "0") {
            return another("the reply of another receiver number")
        }
        if !Self.same(other.line, header.line) { return another("the reply to another line") }
        if !Self.same(other.account, header.account) { return another("the reply to account \(other.account)") }
        return nil
    }

    private static func same(_ a: String, _ b: String) -> Bool { a == b || a.uppercased() == b.uppercased() }

    /// The time after the brackets, if there is one.
    private static func time(of envelope: Envelope) -> Timestamp? {
        guard let mark = envelope.body.lastIndex(of: UInt8(ascii: "_")) else { return nil }
        return Timestamp(envelope.body[(mark + 1)...].prefix(Timestamp.length))
    }
}
