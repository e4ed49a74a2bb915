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
        guard
            let report = Self.heartbeat(bytes) ?? (format == .ademco685 ? Self.line685(text) : Self.contactID(bytes))
                ?? Self.block(text) ?? (format == .surGard ? Self.basic(bytes) ?? Self.sia1(bytes) : nil)
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

    /// `5RRL 18AAAAQXYZGGCCC` (Sur-Gard), `aRRL AAAA18QXYZGGCCC` (D6500): the account is before or behind the 18.
    private static func contactID(_ bytes: [UInt8]) -> ReceiverReport? {
        // Nine characters from the end: Q, three of event, two of partition, three of zone.
        let blanks = bytes.reversed().prefix { $0 == space }.count
        let text = Array(bytes.dropLast(blanks))
        guard text.count >= 9 + 8 else { return nil }
        let event = Array(text[(text.count - 9)...])
        var head = Array(text[..<(text.count - 9)])
        guard let said = said(event) else { return nil }
        let first = head.prefix { $0 != space }
        guard (4...6).contains(first.count), isType(first) else { return nil }
        head = Array(head[first.count...].drop { $0 == space })
        let account: ArraySlice<UInt8>
        if head.starts(with: "18".utf8), head.count >= 2 + 3, head.count <= 2 + 6 {
            account = head[2...]
        } else if head.count >= 3 + 2, head.count <= 6 + 2, head.suffix(2).elementsEqual("18".utf8) {
            account = head.dropLast(2)
        } else {
            return nil
        }
        guard account.allSatisfy(isHexadecimal) else { return nil }
        return .events([said(String(decoding: account, as: UTF8.self))], text: "")
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

    /// `11 1234 18 E130 01 C005`: six words; the last tells zone (C) or user (U).
    private static func line685(_ text: String) -> ReceiverReport? {
        let words = text.split(separator: " ").map { Array($0.utf8) }
        guard words.count == 6, (2...4).contains(words[0].count), words[0].allSatisfy(isHexadecimal),
            (3...6).contains(words[1].count), words[1].allSatisfy(isHexadecimal), words[2].elementsEqual("18".utf8),
            words[3].count == 4, words[4].count == 2, words[5].count == 4,
            words[5][0] == UInt8(ascii: "C") || words[5][0] == UInt8(ascii: "U"),
            let said = said(words[3] + words[4] + words[5].dropFirst())
        else { return nil }
        return .events([said(String(decoding: words[1], as: UTF8.self))], text: "")
    }

    /// `S01002[#1234|Nti11:46/ri01/BA05/FA06]`, with `|A` and a text behind the codes where there is one.
    private static func block(_ text: String) -> ReceiverReport? {
        guard text.first == "S", text.last == "]", let open = text.firstIndex(of: "["),
            (3...6).contains(text[..<open].dropFirst().count),
            text[..<open].dropFirst().utf8.allSatisfy(isAlphanumeric),
            let block = SIABlock(String(text[text.index(after: open)...].dropLast())), !block.events.isEmpty
        else { return nil }
        return .events(block.events, text: block.text)
    }

    /// `3RRL`, four blanks, six columns of account, two of code, four of zone.
    private static func sia1(_ bytes: [UInt8]) -> ReceiverReport? {
        guard bytes.count == 20, bytes[0] == UInt8(ascii: "3"), bytes[1...3].allSatisfy(isHexadecimal),
            bytes[4...7].allSatisfy({ $0 == space }), bytes[14...15].allSatisfy({ (65...90).contains($0) }),
            let zone = number(bytes[16...].filter { $0 != space })
        else { return nil }
        let account = bytes[8...13].filter { $0 != space }
        guard (3...6).contains(account.count), account.allSatisfy(isHexadecimal) else { return nil }
        let code = String(decoding: bytes[14...15], as: UTF8.self)
        return .events([Said(.sia(code), account: String(decoding: account, as: UTF8.self), zone: zone)], text: "")
    }

    /// `1RRLssssssAAAAsXGYYY`: a class of event, group and zone.
    private static func basic(_ bytes: [UInt8]) -> ReceiverReport? {
        let words = bytes.split(separator: space).map { Array($0) }
        guard words.count == 3, words[0].count == 4 || words[0].count == 6, words[0].first == UInt8(ascii: "1"),
            words[0].allSatisfy(isHexadecimal), (3...6).contains(words[1].count), words[1].allSatisfy(isHexadecimal),
            let letter = words[2].first, let code = basicCode(letter), (1...4).contains(words[2].count - 1),
            words[2].dropFirst().allSatisfy({ (48...57).contains($0) })
        else { return nil }
        let group = words[2].count == 5 ? number(words[2][1...1]) : nil
        let zone = number(words[2].dropFirst(words[2].count == 5 ? 2 : 1)) ?? 0
        return .events(
            [Said(code, account: String(decoding: words[1], as: UTF8.self), partition: group, zone: zone)], text: "")
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
