import AlarmProtocol

/// What a receiver makes of a frame: whether to take it, and what to answer. Pure: the clock's reading goes in, nothing
/// is stored or sent. The steps are those of DC-09 reference 13.
public struct Judge: Sendable {
    private let accounts: Accounts
    private var window: DuplicateWindow
    private let pad: @Sendable (Int) -> [UInt8]

    /// - Parameters:
    ///   - window: what was heard before.
    ///   - pad: makes so many letters and digits for an encrypted answer, different every time.
    public init(
        accounts: Accounts, window: DuplicateWindow = DuplicateWindow(),
        pad: @escaping @Sendable (Int) -> [UInt8] = { Message.randomPad($0) }
    ) {
        self.accounts = accounts
        self.window = window
        self.pad = pad
    }

    /// Judges one whole frame, line feed to carriage return. A message that is taken counts as heard from here on; if it
    /// cannot be stored, `forget` takes that back.
    /// - Parameter utc: our clock, milliseconds since 1970-01-01 00:00 UTC.
    public mutating func judge(_ frame: [UInt8], at utc: Int64) -> Judgement {
        do {
            return try judgeReadable(try Envelope.parse(frame), at: utc)
        } catch {
            switch error.answer {
            case .silence: return Judgement(.ignored, reason: "\(error)")
            case .refuse(let header): return refusal(header, "\(error)")
            }
        }
    }

    mutating func forget(_ mark: DuplicateWindow.Mark, of account: String) { window.remove(mark, of: account) }

    private mutating func judgeReadable(_ envelope: Envelope, at utc: Int64) throws(FrameError) -> Judgement {
        let header = envelope.header
        // An answer is not answered, or two receivers might talk for ever. RSP is refused below: no exchange is agreed.
        if envelope.token.isReply, envelope.token != .rsp {
            return Judgement(.ignored, reason: "\(envelope.token) is what a receiver says, not a transmitter")
        }

        let standing = accounts.standing(of: header.account)
        var keys: [Key] = []
        switch standing {
        case .plain: break
        case .unknown(let refused):
            if refused { return refusal(header, "account \(header.account) is not one of ours") }
        case .encrypted(let agreed):
            guard envelope.isEncrypted else {
                return refusal(header, "account \(header.account) has a key, and this is not encrypted")
            }
            keys = agreed
        }

        let (message, key) = try Self.open(envelope, keys)
        if message.wasEncrypted, !TimeWindow.accepts(message.timestamp, now: utc) {
            let time = message.timestamp.map { "its clock says \($0)" } ?? "encrypted, and without a time"
            return Judgement(
                .wrongTime, reply: Reply.correctTime(Timestamp(utc: utc)), message: message,
                reason: "account \(header.account): \(time), ours \(Timestamp(utc: utc))")
        }
        guard message.token.isLinkTest || message.token.isPayload else {
            return refusal(header, "account \(header.account): \(message.token) is no message that is taken here")
        }
        if message.extended.contains(where: { $0.kind == .key }) {
            return refusal(header, "account \(header.account): a key block, and no exchange of keys is agreed")
        }

        var judgement = Judgement(.poll, message: message, key: key, pad: pad)
        if case .unknown = standing { judgement.isAccountKnown = false }
        judgement.reply = try judgement.acknowledgement(at: utc)
        if message.token.isLinkTest { return judgement }

        judgement.reports = try Report.reports(of: message)
        judgement.verdict = .event
        guard let mark = DuplicateWindow.Mark(message) else { return judgement }
        let account = header.account.uppercased()
        if window.contains(mark, of: account) {
            judgement.verdict = .repeated
            judgement.reports = []
        } else {
            window.insert(mark, of: account)
            judgement.mark = (mark, of: account)
        }
        return judgement
    }

    /// With the key that gives a message with a time, as every encrypted one has; else as far as the first key goes.
    private static func open(_ envelope: Envelope, _ keys: [Key]) throws(FrameError) -> (Message, Key?) {
        for key in keys where keys.count > 1 {
            if let message = try? envelope.opened(with: key), message.timestamp != nil { return (message, key) }
        }
        return (try envelope.opened(with: keys.first), keys.first)
    }

    private func refusal(_ header: Header, _ reason: String) -> Judgement {
        Judgement(.refused, reply: Reply.refuse(header), reason: reason)
    }
}

/// What was made of one frame.
public struct Judgement: Sendable {
    public enum Verdict: Sendable, Hashable, CaseIterable {
        /// A message that was not heard before: to be stored, then answered and handed on.
        case event
        /// A message that was heard before: to be answered again once the first is stored, not handed on.
        case repeated
        /// A link test: to be answered.
        case poll
        /// Answered DUH: well received, cannot be taken.
        case refused
        /// Answered NAK: encrypted, and its time is not near ours.
        case wrongTime
        /// Not answered: nobody can tell who said what.
        case ignored

        var words: String {
            switch self {
            case .event: "taken"
            case .repeated: "repeat"
            case .poll: "link test"
            case .refused: "answered DUH"
            case .wrongTime: "answered NAK"
            case .ignored: "not answered"
            }
        }
    }

    public internal(set) var verdict: Verdict
    /// The answer, byte for byte; nil: say nothing.
    public internal(set) var reply: [UInt8]?
    /// The message, where it could be read.
    public internal(set) var message: Message?
    /// What a new message tells: one report for each event in it.
    public internal(set) var reports: [Report] = []
    /// False when the account is not listed, and was heard all the same.
    public internal(set) var isAccountKnown = true
    /// Why it was not taken, for people.
    public internal(set) var reason: String?

    /// What the message is known by, if it is new.
    var mark: (DuplicateWindow.Mark, of: String)?
    private let key: Key?
    private let pad: @Sendable (Int) -> [UInt8]

    init(
        _ verdict: Verdict, reply: [UInt8]? = nil, message: Message? = nil, reason: String? = nil, key: Key? = nil,
        pad: @escaping @Sendable (Int) -> [UInt8] = { Message.randomPad($0) }
    ) {
        self.verdict = verdict
        self.reply = reply
        self.message = message
        self.reason = reason
        self.key = key
        self.pad = pad
    }

    /// ACK, encrypted where the message was.
    func acknowledgement(at utc: Int64, sequence: Int? = nil) throws(FrameError) -> [UInt8]? {
        guard let message else { return nil }
        var header = message.header
        header.sequence = sequence ?? header.sequence
        guard message.wasEncrypted, let key else { return Reply.acknowledge(header) }
        return try Reply.acknowledge(header, key: key, time: Timestamp(utc: utc), pad: pad)
    }

    /// The same answer under the next number, for trying a transmitter.
    func wronglyNumberedReply(at utc: Int64) -> [UInt8]? {
        guard reply != nil, let sequence = message?.header.sequence else { return nil }
        return try? acknowledgement(at: utc, sequence: sequence % 9_999 + 1)
    }
}

extension DuplicateWindow.Mark {
    init?(_ message: Message) {
        self.init(
            sequence: message.header.sequence, data: message.data,
            extended: message.extended.map { [$0.kind.rawValue] + $0.value })
    }

    init?(_ stored: StoredMessage) {
        self.init(sequence: stored.sequence, data: stored.data, extended: stored.extended)
    }
}
