import AlarmProtocol

/// One line of the feed: one thing that happened, in the words of the alarm trade. docs/feed.md tells every field.
public struct FeedRecord: Sendable, Hashable {
    /// The version of the feed's form. Fields may be added under the same number; one that changes meaning raises it.
    public static let version = 1

    public enum Kind: String, Sendable, Hashable {
        case event
        /// A link test, shown on request and never stored.
        case poll
    }

    /// How a frame came.
    public struct Path: Sendable, Hashable {
        public enum Transport: String, Sendable, Hashable { case tcp, udp, tls }
        public var transport: Transport
        /// "192.0.2.1:7700", "[2001:db8::1]:7700"
        public var remote: String
    }

    /// How much is known of the time of occurrence.
    public enum Clock: String, Sendable, Hashable {
        /// The transmitter said when it happened, in an H block.
        case known
        /// It only said when it sent the message.
        case sending
        /// It said no time at all.
        case unknown
    }

    public var kind: Kind
    /// Milliseconds since 1970-01-01 00:00 UTC, by our clock.
    public var received: Int64
    public var path: Path
    public var message: Message
    /// The whole frame as it came. A message of several events has it on its first line only, or a small frame could
    /// fill a disk.
    public var frame: [UInt8]?
    /// False when the account is not listed, and was heard all the same.
    public var isAccountKnown: Bool
    /// Which of the message's events this is, from 1, and how many there are.
    public var part: Int
    public var parts: Int

    /// Whose event it is: the account in the data, or the transmitter's where the data name none. Upper case.
    public var account: String
    /// The code in both schemes: as sent in its own, the equivalent in the other. Nil where there is none.
    public var sia: String?
    public var contactID: String?
    /// What the tables say of the code; nil where they do not know it.
    public var meaning: String?
    public var category: String?
    /// The sort of code, in the tables' words: "alarm", "restore", "trouble". "unknown" where they do not know it.
    public var codeKind: String?
    public var qualifier: Qualifier?
    public var urgency: Urgency?
    public var partition: Int?
    public var zone: Int?
    public var user: Int?
    /// The number beside the code as it was written, and what the tables say that it is: "zone", "user", "door".
    public var address: String?
    public var addressIs: String?
    public var text: String?
    /// Milliseconds since 1970-01-01 00:00 UTC, as the transmitter says.
    public var occurred: Int64?
    public var clock: Clock

    /// What a judged frame puts in the feed: a record for each event of a new message, one for a link test, none for a
    /// repeat or for what was not taken.
    static func records(of judgement: Judgement, frame: [UInt8], received: Int64, path: Path) -> [FeedRecord] {
        guard let message = judgement.message, judgement.verdict == .event || judgement.verdict == .poll else {
            return []
        }
        let sent = message.timestamp?.utc
        let blank = FeedRecord(
            kind: judgement.verdict == .poll ? .poll : .event, received: received, path: path, message: message,
            frame: frame, isAccountKnown: judgement.isAccountKnown, part: 1, parts: max(1, judgement.reports.count),
            account: message.header.account.uppercased(), occurred: sent, clock: sent == nil ? .unknown : .sending)
        if judgement.reports.isEmpty { return [blank] }
        return judgement.reports.enumerated().map { index, report in
            var record = blank
            record.part = index + 1
            if index > 0 { record.frame = nil }
            record.tell(report)
            return record
        }
    }

    private mutating func tell(_ report: Report) {
        account = report.account
        text = report.text.isEmpty ? nil : report.text
        partition = Self.number(report.partition)
        if let time = report.occurred { (occurred, clock) = (time.utc, .known) }
        codeKind = "unknown"
        // What cannot be read may be an alarm, and is as urgent as one that is not defined.
        urgency = Vocabulary.codes(sia: "UX")?.urgency
        switch report.token {
        case .siaDCS where !report.code.isEmpty: tell(sia: report.code)
        case .admCID: tell(contactID: report.code, report.qualifier ?? .event)
        default: break
        }
        guard !report.address.isEmpty else { return }
        address = report.address
        switch addressIs {
        case "user": user = Self.number(report.address)
        case "area": partition = Self.number(report.address) ?? partition
        default: zone = Self.number(report.address)
        }
    }

    private mutating func tell(sia code: String) {
        sia = code
        urgency = Vocabulary.codes(sia: code)?.urgency ?? urgency
        guard let known = Vocabulary.sia(code) else { return }
        describe(known)
        contactID = known.counterpart.code
        qualifier = known.counterpart.qualifier
    }

    private mutating func tell(contactID event: String, _ said: Qualifier) {
        contactID = event
        qualifier = said
        let codes = Vocabulary.codes(contactID: event, said)
        urgency = codes?.urgency ?? urgency
        guard let known = Vocabulary.contactID(event) else { return }
        describe(known)
        sia = codes?.sia
        if said == .restore {
            if let restored = known.restoreMeaning { meaning = "\(known.meaning): \(restored)" }
            // Contact ID has one code for both ends of a condition; its SIA equivalent knows which end this is.
            codeKind = sia.flatMap { Vocabulary.sia($0) }?.kind ?? codeKind
        }
    }

    private mutating func describe(_ code: Code) {
        meaning = code.meaning
        category = code.category.isEmpty ? nil : code.category
        codeKind = code.kind.isEmpty ? "unknown" : code.kind
        addressIs = code.address.isEmpty ? nil : code.address
    }

    /// The number that decimal digits write; nil for anything else, for hexadecimal ones are not told from decimal ones
    /// by looking at them.
    private static func number(_ digits: String) -> Int? {
        digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(digits) : nil
    }
}
