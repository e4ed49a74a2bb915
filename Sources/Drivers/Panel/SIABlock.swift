import AlarmProtocol

/// What stands between the brackets of a SIA message, or in an event block of a panel: `#1234|Nti11:46/ri01/BA05/FA06`.
///
/// SIA DC-03 as Galaxy panels, alarm receivers and transmitters write it: an account before a bar, `N` or `O` (new or
/// old) where the sender says so, then fields between strokes, each a modifier in small letters with its value, or a code
/// in two capitals with its zone or user. Modifiers hold for the codes behind them.
struct SIABlock: Sendable, Hashable {
    var events: [Said]
    /// What the panel says in words; empty for none.
    var text: String
    /// "11:46" by the panel's clock; nil where it says none.
    var time: String?
    /// The sender says that it happened before, and could not be told then.
    var isOld = false
    /// What the modifiers say besides and an event has no place for: "module 010", "value 1440".
    var details: [String] = []

    /// - Parameter account: what the message has been about so far, where it does not say itself.
    /// Nil: not written so, or without one code.
    init?(_ content: String, account: String? = nil) {
        var account = account
        var events: [Said] = []
        var text = ""
        self.events = []
        self.text = ""
        for part in content.split(separator: "|", omittingEmptySubsequences: true) {
            if part.first == "#" {
                account = String(part.dropFirst())
            } else if part.first == "A", !events.isEmpty {
                text = Self.joined(text, part.dropFirst())
            } else {
                let (fields, words) = Self.splitText(part)
                text = Self.joined(text, words[...])
                guard let read = readFields(fields, account: account) else { return nil }
                events += read
            }
        }
        guard !events.isEmpty else { return nil }
        self.events = events
        self.text = text
    }

    /// What belongs into an event's text besides its words, in parentheses; empty for nothing.
    /// - Parameter isOld: it happened before, also where the block does not say so.
    func remarks(isOld: Bool = false) -> String {
        var remarks = details
        if isOld || self.isOld { remarks.append(time.map { "at \($0) by the panel's clock" } ?? "happened earlier") }
        return remarks.isEmpty ? "" : "(\(remarks.joined(separator: ", ")))"
    }

    /// Each event of a message may have words of its own.
    private static func joined(_ text: String, _ more: Substring) -> String {
        text.isEmpty ? String(more) : more.isEmpty ? text : "\(text) / \(more)"
    }

    /// Words in carets or in `*"…"NM` behind the codes.
    private static func splitText(_ part: Substring) -> (fields: Substring, words: String) {
        guard let mark = part.firstIndex(where: { $0 == "^" || $0 == "*" }) else { return (part, "") }
        let words = part[mark...].dropFirst().filter { $0 != "^" && $0 != "\"" && $0 != "'" }
        return (part[..<mark], words.hasSuffix("NM") ? String(words.dropLast(2)) : String(words))
    }

    private mutating func readFields(_ text: Substring, account: String?) -> [Said]? {
        var rest = text
        // `NBA` and `NFA` begin with a mark; `N` alone before a modifier as well. No code begins with N or O and two more.
        if let first = rest.first, first == "N" || first == "O",
            rest.dropFirst().prefix(2).allSatisfy({ $0.isASCII && $0.isLetter }), rest.dropFirst().count >= 2,
            !rest.dropFirst(2).prefix(1).allSatisfy(\.isNumber)
        {
            isOld = first == "O"
            rest = rest.dropFirst()
        }
        var events: [Said] = []
        var area: Int?
        var user: Int?
        for field in rest.split(separator: "/", omittingEmptySubsequences: true) {
            let letters = field.prefix(2)
            let value = field.dropFirst(2)
            guard letters.utf8.count == 2, letters.allSatisfy({ $0.isASCII && $0.isLetter }) else { return nil }
            if letters.allSatisfy(\.isLowercase) {
                switch letters {
                case "ti": time = String(value)
                case "ri":
                    area = Int(value)
                    if area.map({ !(0...99).contains($0) }) ?? true { details.append("area \(value)") }
                case "id":
                    user = Int(value)
                    if user == nil { details.append("user \(value)") }
                case "pi": details.append("module \(value)")
                case "va": details.append("value \(value)")
                case "da": details.append("date \(value)")
                default: details.append("\(letters) \(value)")
                }
                continue
            }
            guard letters.allSatisfy(\.isUppercase), value.utf8.count <= 6,
                value.allSatisfy({ $0.isASCII && $0.isHexDigit })
            else { return nil }
            // What is no decimal number is never told as another zone.
            let zone = Int(value) ?? 0
            if zone > 9999 || Int(value) == nil, !value.isEmpty { details.append("number \(value)") }
            let isOfUser = zone == 0 && user ?? 0 > 0
            let code = Self.code(String(letters), isOfUser: isOfUser)
            if let user, user > 0, !isOfUser || !Self.namesUser(code) { details.append("user \(user)") }
            let number = isOfUser && Self.namesUser(code) ? user ?? 0 : zone
            events.append(Said(code, account: account, partition: area, zone: number))
        }
        if let account, !account.isEmpty, events.first?.account == nil { details.append("account \(account)") }
        return events
    }

    /// A hold-up of a user without a zone is a code entered under duress.
    private static func code(_ letters: String, isOfUser: Bool) -> Said.Code {
        if isOfUser, letters == "HA", let duress = EventKind.named("duress") { return .kind(duress) }
        return isOfUser && letters == "HR" ? .contactID("121", .restore) : .sia(letters)
    }

    /// Whether the number behind the code, where a user is the only one there is, is that user's.
    private static func namesUser(_ code: Said.Code) -> Bool {
        guard case .sia(let letters) = code, let known = Vocabulary.sia(letters) else { return true }
        return known.address == "user" || known.category == "open-close"
    }
}
