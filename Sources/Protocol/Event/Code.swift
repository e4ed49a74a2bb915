/// One row of the trade's tables: a code, and what it is known to mean.
///
/// Source: SIA DC-03 and SIA DC-05 as gathered in `data/event-codes.csv`; the urgency is this project's own.
/// `docs/events.md` shows all of them.
public struct Code: Sendable, Hashable {
    public enum Scheme: Sendable {
        /// Two capital letters, SIA DC-03. The code itself says whether something began or ended.
        case sia
        /// Three digits, 0–9 and B–F, SIA DC-05. Whether something began or ended is in the qualifier.
        case contactID
    }

    public let scheme: Scheme
    public let code: String
    public let meaning: String
    /// What it is about, in the table's words: "fire", "system trouble".
    public let category: String
    /// What sort of code it is, in the table's words: "alarm", "restore", "trouble", "bypass", "test".
    public let kind: String
    /// What the number sent beside the code means: "zone", "user", "area", "door", "none"; empty where nobody says.
    public let address: String
    /// The code that says a user cancelled it.
    public let cancel: String?
    /// How soon somebody must act when this is new.
    public let urgency: Urgency
    /// Where the code is from: "standard", "vendor", "legacy", "reserved", "user-assigned".
    public let status: String
    /// True where the trade's tables have no equivalent in the other scheme and this project chose the nearest.
    public let counterpartIsNearest: Bool

    private let pairs: String
    private let new: String
    private let restore: String

    /// Reads a row of the generated table: twelve fields between bars. Nil if it is not one; the tests read them all.
    init?(_ scheme: Scheme, row: String) {
        let fields = row.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == 12, let urgency = UInt8(fields[10]).flatMap(Urgency.init(rawValue:)) else { return nil }
        self.scheme = scheme
        code = fields[0]
        meaning = fields[1]
        category = fields[2]
        kind = fields[3]
        address = fields[4]
        pairs = fields[5]
        cancel = fields[6].isEmpty ? nil : fields[6]
        new = fields[7]
        restore = fields[8]
        counterpartIsNearest = fields[9] == "nearest"
        self.urgency = urgency
        status = fields[11]
    }

    /// The codes of the same scheme at the other end of the condition: `BA` gives `BH` and `BR`, `BR` gives `BA` and
    /// `BT`. In Contact ID it is the same code with the other qualifier, or nothing where no restore is sent.
    public var restores: [String] {
        switch scheme {
        case .sia: pairs.split(separator: ";").map(String.init)
        case .contactID: pairs.isEmpty ? [] : [code]
        }
    }

    /// What a Contact ID code means with qualifier 3: "armed/closed". Nil for SIA and where no restore is sent.
    public var restoreMeaning: String? { scheme == .contactID && !pairs.isEmpty ? pairs : nil }

    /// A code of the other scheme that says the same, or the nearest there is.
    public struct Counterpart: Sendable, Hashable {
        public let code: String
        /// Belongs to the Contact ID side of the pair, whichever side that is.
        public let qualifier: Qualifier
    }

    /// What a new event of this code is in the other scheme.
    public var counterpart: Counterpart {
        switch scheme {
        case .sia: Counterpart(code: String(new.dropFirst()), qualifier: new.hasPrefix("3") ? .restore : .event)
        case .contactID: Counterpart(code: new, qualifier: .event)
        }
    }

    /// What this Contact ID code with qualifier 3 is in SIA. Nil for SIA, whose restores are codes of their own.
    public var restoreCounterpart: Counterpart? {
        scheme == .contactID ? Counterpart(code: restore.isEmpty ? new : restore, qualifier: .restore) : nil
    }
}

/// The codes of SIA DC-03 and Contact ID, and the way from one to the other.
public enum Vocabulary {
    /// One thing that happened, said in both schemes: what an event needs.
    public typealias Saying = (sia: String, contactID: String, qualifier: Qualifier, urgency: Urgency)

    /// Every code, SIA first, each scheme in the order of its codes.
    public static var all: [Code] {
        SIACodeTable.rows.compactMap { Code(.sia, row: $0) }
            + ContactIDCodeTable.rows.compactMap { Code(.contactID, row: $0) }
    }

    /// The SIA code of these two capital letters, if the table has it.
    public static func sia(_ code: String) -> Code? { find(code, in: SIACodeTable.rows, of: .sia) }

    /// The Contact ID event of these three digits, if the table has it.
    public static func contactID(_ code: String) -> Code? { find(code, in: ContactIDCodeTable.rows, of: .contactID) }

    /// Says in both schemes what a SIA code says. The SIA code stays as it came.
    ///
    /// A code that is not in the table counts as its family's plain alarm, so that a maker's own `HV` is a hold-up; one
    /// of no family counts as an alarm that is not defined, `UX`. Nil only when it is not two capital letters.
    public static func codes(sia code: String) -> Saying? {
        guard code.utf8.count == 2, let family = code.utf8.first,
            code.utf8.allSatisfy({ (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) })
        else { return nil }
        let plain = zoneTypes.utf8.contains(family) ? "\(code.prefix(1))A" : "UX"
        guard let known = sia(code) ?? sia(plain) else { return nil }
        return (code, known.counterpart.code, known.counterpart.qualifier, known.urgency)
    }

    /// Says in both schemes what a Contact ID event and its qualifier say. The event stays as it came.
    ///
    /// A restore and a status report have urgency `.status`. An event that is not in the table counts as the plain one
    /// of its group (SIA DC-05: 1 alarm, 2 supervisory, 3 trouble, 4 opening and access, 5 bypass, 6 test). Nil only
    /// when it is not three digits 0–9 or B–F.
    public static func codes(contactID event: String, _ qualifier: Qualifier) -> Saying? {
        let digits = Array(event.utf8)
        guard digits.count == 3, digits.allSatisfy({ "0123456789BCDEF".utf8.contains($0) }) else { return nil }
        guard let known = contactID(event) ?? contactID(plainEvent(of: event)) else { return nil }
        guard qualifier == .restore, let restore = known.restoreCounterpart else {
            return (known.counterpart.code, event, qualifier, qualifier == .event ? known.urgency : .status)
        }
        return (ending(restore.code), event, .restore, .status)
    }

    /// The tables give some events the same SIA code with either qualifier (3454 is `CI`, not armed in time, as 1454
    /// is). What ended must not be told as begun: the code's own restore then, or that of an untyped zone.
    private static func ending(_ code: String) -> String {
        guard let known = sia(code), known.urgency != .status else { return code }
        return known.restores.first { ["restore", "unbypass"].contains(sia($0)?.kind) } ?? "UR"
    }

    /// The first letters that are a type of zone in SIA DC-03: with `A` behind it, each is that zone's alarm.
    private static let zoneTypes = "BFGHKMPQSTUWZ"

    /// The plain event of the group that an unlisted one is numbered in.
    private static func plainEvent(of event: String) -> String {
        switch event.prefix(2) {
        case "10", "11", "12", "13", "14", "15": return "\(event.prefix(2))0"
        default: break
        }
        switch event.prefix(1) {
        case "1": return "150"
        case "2", "3": return "\(event.prefix(1))00"
        // Not 400: nothing is to be called armed or disarmed by a guess.
        case "4", "6": return "605"
        case "5": return "570"
        // Numbers that makers and users give out among themselves: it may well be an alarm.
        default: return "750"
        }
    }

    /// The row whose first field is the code. Only that row is read, so that nothing is built when the program starts.
    private static func find(_ code: String, in rows: [String], of scheme: Code.Scheme) -> Code? {
        let start = code + "|"
        let found = rows.lowerBound(comesBefore: { $0 < start }).flatMap { Code(scheme, row: $0) }
        // The bytes must agree, because Swift takes the Kelvin sign for a K, and a frame does not.
        return found.flatMap { $0.code.utf8.elementsEqual(code.utf8) ? $0 : nil }
    }
}

extension Array {
    /// The first element that does not come before what is sought, by binary search in an array sorted that way.
    func lowerBound(comesBefore: (Element) -> Bool) -> Element? {
        var low = 0
        var high = count
        while low < high {
            let middle = low + (high - low) / 2
            if comesBefore(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low < count ? self[low] : nil
    }
}
