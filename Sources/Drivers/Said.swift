import AlarmProtocol

/// What a panel said of a point in the trade's own codes: enough for an event, so that nobody need configure the point.
///
/// Where the point is configured all the same, its kind and what it sets of account, partition and zone go first.
public struct Said: Sendable, Hashable {
    public enum Code: Sendable, Hashable {
        /// For lasting states and for panels with words of their own: says both the beginning and the end.
        case kind(EventKind)
        /// Two capital letters of SIA DC-03, which themselves say whether something began or ended.
        case sia(String)
        /// Three digits of SIA DC-05 and their qualifier.
        case contactID(String, Qualifier)
    }

    public var code: Code
    /// 3 to 16 hexadecimal digits; nil: the device's own.
    public var account: String?
    /// 0–99; nil: the device's own.
    public var partition: Int?
    /// Zone, or user where the code's address is a user: 0–9999. 0 means none.
    public var zone: Int

    /// An account, partition or zone that no event can hold is left out; the driver's text keeps what the panel sent.
    public init(_ code: Code, account: String? = nil, partition: Int? = nil, zone: Int = 0) {
        self.code = code
        let digits = account?.uppercased()
        self.account = digits.flatMap { Self.isAccount($0) ? $0 : nil }
        self.partition = partition.flatMap { (0...99).contains($0) ? $0 : nil }
        self.zone = (0...9999).contains(zone) ? zone : 0
    }

    private static func isAccount(_ text: String) -> Bool {
        (3...16).contains(text.utf8.count) && text.utf8.allSatisfy { "0123456789ABCDEF".utf8.contains($0) }
    }

    /// How it is said in both schemes; nil where the code is none (not two letters, not three digits), or is the end of a
    /// kind that has none.
    public func codes(began: Bool) -> Vocabulary.Saying? {
        switch code {
        case .kind(let kind): kind.codes(began: began)
        case .sia(let letters): Vocabulary.codes(sia: letters)
        case .contactID(let digits, let qualifier): Vocabulary.codes(contactID: digits, qualifier)
        }
    }

    /// Whether it says that something ended: a restore, an unbypass, the end of a test.
    public var isEnd: Bool {
        switch code {
        case .kind: false
        case .sia(let letters): ["restore", "unbypass"].contains(Vocabulary.sia(letters)?.kind)
        case .contactID(_, let qualifier): qualifier == .restore && !isArming
        }
    }

    /// The name of a point for it, where none is configured: what one part of the site says stays in order. Arming and
    /// disarming belong to the area, whoever does it.
    public var pointName: String {
        let of = account.map { "\($0)-" } ?? ""
        if isArming { return "\(of)area-\(partition ?? 0)" }
        guard zone > 0 else { return "\(of)panel" }
        return address == "user" ? "\(of)user-\(zone)" : "\(of)zone-\(zone)"
    }

    /// The code is in the trade's tables.
    public var isKnown: Bool {
        switch code {
        case .kind: true
        case .sia(let letters): Vocabulary.sia(letters) != nil
        case .contactID(let digits, _): Vocabulary.contactID(digits) != nil
        }
    }

    /// For the technician who watches: "FA zone 5 of 1234".
    public var summary: String {
        let word =
            switch code {
            case .kind(let kind): kind.name
            case .sia(let letters): letters
            case .contactID(let digits, let qualifier): "\(qualifier.rawValue)\(digits)"
            }
        let number = zone > 0 ? " \(address == "user" ? "user" : "zone") \(zone)" : ""
        return word + number + (partition.map { $0 > 0 ? " area \($0)" : "" } ?? "")
            + (account.map { " of \($0)" } ?? "")
    }

    private var isArming: Bool { category == "open-close" || category == "open/close" }

    private var category: String? {
        switch code {
        case .kind(let kind): Vocabulary.sia(kind.sia)?.category
        case .sia(let letters): Vocabulary.sia(letters)?.category
        case .contactID(let digits, _): Vocabulary.contactID(digits)?.category
        }
    }

    private var address: String? {
        switch code {
        case .kind(let kind): kind.address.rawValue
        case .sia(let letters): Vocabulary.sia(letters)?.address
        case .contactID(let digits, _): Vocabulary.contactID(digits)?.address
        }
    }
}

extension Signal {
    /// What a panel said once, as the event itself or, for a code that says that something ended, as its end.
    /// - Parameter point: the configured point that takes it; nil: a name made of zone or area.
    public init(saying said: Said, point: String? = nil, text: String, occurred: Moment? = nil) {
        self.init(
            point: point ?? said.pointName, said.isEnd ? .cleared : .call, text: text, occurred: occurred, said: said)
    }
}
