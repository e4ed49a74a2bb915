import AlarmProtocol

/// What one message of an alarm receiver says, read from its text without the frame around it.
///
/// Sources: Sur-Gard MLR2 and System I–III manuals (Basic, SIA, Contact ID, heartbeat); Bosch D6600 manual (D6500 mode);
/// Honeywell MX8000 manual (685). They differ in blanks and in where the account stands, so the reader goes by what cannot
/// be mistaken: ` 18` before a Contact ID event, `[#` before a SIA block, `@` in a heartbeat.
enum ReceiverReport: Sendable, Hashable {
    /// The receiver's link test.
    case heartbeat
    /// What happened, in order, and the words that came with it.
    case events([Said], text: String)

    /// Nil: no message that is known.
    init?(_ text: String, _ format: ReceiverFormat) {
        let bytes = Array(text.utf8)
        let report =
            switch format {
            case .ademco685: Self.line685(text)
            case .surGard: Self.heartbeat(bytes) ?? Self.basic(bytes) ?? Self.sia1(bytes)
            case .d6500: Self.heartbeat(bytes)
            }
        guard let report = report ?? (format == .ademco685 ? nil : Self.contactID(bytes, format)) ?? Self.block(text)
        else { return nil }
        self = report
    }

    /// `1RRL`, blanks, `@`, blanks; digits of a line with one or three of them, or `000`.
    private static func heartbeat(_ bytes: [UInt8]) -> ReceiverReport? {
        guard let at = bytes.firstIndex(of: UInt8(ascii: "@")), bytes[(at + 1)...].allSatisfy({ $0 == space }) else {
            return nil
        }
        let head = bytes[..<at].prefix { $0 != space }
        guard (4...6).contains(head.count), head.first == UInt8(ascii: "1"), head.allSatisfy(isHexadecimal),
            bytes[head.count..<at].allSatisfy({ $0 == space }), at - head.count >= 5
        else { return nil }
        return .heartbeat
    }

    /// `5RRL 18AAAAQXYZGGCCC` (Sur-Gard), `aRRL AAAA18QXYZGGCCC` (D6500): the account is behind the 18 or before it. Blanks
    /// stand where the maker of the receiver would have them.
    private static func contactID(_ bytes: [UInt8], _ format: ReceiverFormat) -> ReceiverReport? {
        let first = bytes.prefix { $0 != space }
        let rest = bytes.dropFirst(first.count).filter { $0 != space }
        guard (4...6).contains(first.count), isType(first), rest.count >= 9 + 2 + 3 else { return nil }
        // Nine characters from the end: Q, three of event, two of partition, three of zone.
        guard let said = said(Array(rest.suffix(9))) else { return nil }
        let head = rest.dropLast(9)
        let behind = head.starts(with: "18".utf8) ? account(head.dropFirst(2)) : nil
        let before = head.suffix(2).elementsEqual("18".utf8) ? account(head.dropLast(2)) : nil
        // An account may begin or end with 18 itself: the format decides.
        guard let account = format == .d6500 ? before ?? behind : behind ?? before else { return nil }
        return .events([said(account)], text: "")
    }

    private static func account(_ digits: some Collection<UInt8>) -> String? {
        guard (3...6).contains(digits.count), digits.allSatisfy({ isHexadecimal($0) || (97...102).contains($0) }) else {
            return nil
        }
        return String(decoding: Array(digits), as: UTF8.self)
    }

    /// The type digit, two of the receiver, one or three of the line; in D6500 mode a letter and `RRL`.
    private static func isType(_ head: ArraySlice<UInt8>) -> Bool {
        guard let kind = head.first, kind == UInt8(ascii: "5") || (97...122).contains(kind) else { return false }
        return head.count != 5 && head.dropFirst().allSatisfy(isAlphanumeric)
    }

    /// `QXYZGGCCC`
    private static func said(_ event: [UInt8]) -> ((String) -> Said)? {
        guard let qualifier = qualifier(event[0]), event[1...3].allSatisfy(isHexadecimal),
            let partition = number(event[4...5]), let zone = number(event[6...8])
        else { return nil }
        let code = String(decoding: event[1...3], as: UTF8.self)
        return { Said(.contactID(code, qualifier), account: $0, partition: partition, zone: zone) }
    }

    /// E new or opening, R restore or closing, P still so; some receivers pass the digits of SIA DC-05 on.
    private static func qualifier(_ byte: UInt8) -> Qualifier? {
        switch byte {
        case UInt8(ascii: "E"), UInt8(ascii: "1"): .event
        case UInt8(ascii: "R"), UInt8(ascii: "3"): .restore
        case UInt8(ascii: "P"), UInt8(ascii: "S"), UInt8(ascii: "6"): .status
        default: nil
        }
    }

    /// `11 1234 18 E130 01 C005`: six words; the last tells zone (C) or user (U). `11 1234 3 1` is an event of the 4x2 format,
    /// whose digits mean what the installer made them mean. A link test ends in `@`.
    private static func line685(_ text: String) -> ReceiverReport? {
        let words = text.split(separator: " ").map { Array($0.utf8) }
        guard let line = words.first, (2...4).contains(line.count), line.allSatisfy(isHexadecimal) else { return nil }
        if words.count <= 3, words.last == [UInt8(ascii: "@")] { return .heartbeat }
        guard words.count > 1, let account = account(words[1]) else { return nil }
        if words.count == 4, words[2...].allSatisfy({ (1...2).contains($0.count) && $0.allSatisfy(isHexadecimal) }) {
            let digits = words[2...].map { String(decoding: $0, as: UTF8.self) }
            let said = Said(kind: "unclassified", zone: number(words[3]) ?? 0)
            return .events(
                [Said(said.code, account: account, zone: said.zone)], text: "4x2 event \(digits[0]) zone \(digits[1])")
        }
        guard words.count == 6, words[2].elementsEqual("18".utf8), words[3].count == 4, words[4].count == 2,
            words[5].count == 4, words[5][0] == UInt8(ascii: "C") || words[5][0] == UInt8(ascii: "U"),
            let said = said(words[3] + words[4] + words[5].dropFirst())
        else { return nil }
        return .events([said(account)], text: "")
    }

    /// `S01002[#1234|Nti11:46/ri01/BA05/FA06]`, with `|A` and a text behind the codes where there is one.
    private static func block(_ text: String) -> ReceiverReport? {
        guard text.first == "S", text.last == "]", let open = text.firstIndex(of: "["),
            (3...6).contains(text[..<open].dropFirst().count),
            text[..<open].dropFirst().utf8.allSatisfy(isAlphanumeric),
            let block = SIABlock(String(text[text.index(after: open)...].dropLast())), !block.events.isEmpty
        else { return nil }
        let parts = [block.text, block.remarks()]
        return .events(block.events, text: parts.filter { !$0.isEmpty }.joined(separator: " "))
    }

    /// `3RRL` or `3RRLLL`, blanks, six columns of account, two of code, four of zone.
    private static func sia1(_ bytes: [UInt8]) -> ReceiverReport? {
        let head = bytes.prefix { $0 != space }
        guard head.count == 4 || head.count == 6, head.first == UInt8(ascii: "3"), head.allSatisfy(isHexadecimal),
            bytes.count >= head.count + 1 + 12
        else { return nil }
        let columns = Array(bytes.suffix(12))
        guard bytes.dropLast(12).dropFirst(head.count).allSatisfy({ $0 == space }),
            columns[6...7].allSatisfy({ (65...90).contains($0) }),
            let account = account(columns[..<6].filter { $0 != space }),
            let zone = number(columns[8...].filter { $0 != space })
        else { return nil }
        let code = String(decoding: columns[6...7], as: UTF8.self)
        return .events([Said(.sia(code), account: account, zone: zone)], text: "")
    }

    /// `1RRLssssssAAAAsXGYYY`: a class of event, group (or a blank) and zone.
    private static func basic(_ bytes: [UInt8]) -> ReceiverReport? {
        var words = bytes.split(separator: space).map { Array($0) }
        var group: Int?
        if words.count == 4, words[2].count == 1 {
            words[2] += words.removeLast()
        } else if words.count == 3, words[2].count == 5 {
            group = number([words[2].remove(at: 1)])
        }
        guard words.count == 3, words[0].count == 4 || words[0].count == 6, words[0].first == UInt8(ascii: "1"),
            words[0].allSatisfy(isHexadecimal), let account = account(words[1]),
            let letter = words[2].first, let code = basicCode(letter), (1...3).contains(words[2].count - 1),
            let zone = number(words[2].dropFirst())
        else { return nil }
        return .events([Said(code, account: account, partition: group, zone: zone)], text: "")
    }

    private static func basicCode(_ letter: UInt8) -> Said.Code? {
        switch Character(UnicodeScalar(letter)) {
        case "0": .sia("RP")
        case "1": .sia("FA")
        case "2": .sia("PA")
        case "3": .sia("BA")
        case "4", "C": .sia("CL")
        case "5", "O": .sia("OP")
        case "6": .sia("YX")
        case "7": .sia("MA")
        case "8": .sia("UX")
        case "9", "R": .sia("UR")
        case "A": .sia("UA")
        case "B": .sia("UB")
        case "F": .sia("BC")
        case "H": .sia("UU")
        case "T": .sia("UT")
        case "Z": .sia("UA")
        default: nil
        }
    }

    // MARK: Characters

    private static let space = UInt8(ascii: " ")

    private static func isHexadecimal(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...70).contains(byte)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool { (48...57).contains(byte) || (65...90).contains(byte) }

    /// A number in decimal digits; 0 for none at all.
    private static func number(_ digits: some Collection<UInt8>) -> Int? {
        guard digits.count <= 6, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1) - 48 }
    }
}
