import AlarmProtocol

/// One line of an APR-PRT3 in ASCII mode, without its CR.
///
/// Source: Paradox PRT3 "ASCII Protocol Programming Instructions".
enum ParadoxLine: Sendable, Hashable {
    /// `G024N005A001`.
    case event(group: Int, number: Int, area: Int)
    /// `RA001` and seven flags: armed, memory, trouble, not ready, programming, alarm, strobe.
    case area(Int, flags: String)
    /// `RZ005` and five flags: contact, alarm, fire, supervision, battery.
    case zone(Int, flags: String)
    /// `ZL001`, `AL001`, `UL001` and sixteen characters.
    case label(String, Int, String)
    /// `RZ200&fail`: a question or command was carried out, or not.
    case echo(String, ok: Bool)
    /// `COMM&ok`, `COMM&fail`: the module sees its panel, or not.
    case comm(Bool)
    /// `PGM01ON`: a virtual output.
    case output

    init?(_ line: some Collection<UInt8>) {
        let bytes = Array(line)
        // 0x80 and above only in a label.
        guard bytes.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        let text = String(String.UnicodeScalarView(bytes.map { UnicodeScalar($0) }))
        switch (bytes.prefix(2), bytes.count) {
        case ([0x43, 0x4F], 7) where text == "COMM&ok": self = .comm(true)
        case ([0x43, 0x4F], 9) where text == "COMM&fail": self = .comm(false)
        case ([0x50, 0x47], 7...8) where text.hasPrefix("PGM"):
            guard Self.number(bytes, 3..<5) != nil, text.hasSuffix("ON") || text.hasSuffix("OFF") else { return nil }
            self = .output
        default:
            guard let read = Self.event(bytes) ?? Self.answer(bytes, text) else { return nil }
            self = read
        }
    }

    private static func event(_ bytes: [UInt8]) -> ParadoxLine? {
        guard bytes.count == 12, bytes[0] == 0x47, bytes[4] == 0x4E, bytes[8] == 0x41,
            let group = number(bytes, 1..<4), let index = number(bytes, 5..<8), let area = number(bytes, 9..<12)
        else { return nil }
        return .event(group: group, number: index, area: area)
    }

    private static func answer(_ bytes: [UInt8], _ text: String) -> ParadoxLine? {
        let word = String(text.prefix(2))
        guard word.allSatisfy({ $0.isASCII && $0.isUppercase }), let number = number(bytes, 2..<5) else { return nil }
        let rest = text.dropFirst(5)
        if rest == "&ok" || rest == "&fail" { return .echo(String(text.prefix(5)), ok: rest == "&ok") }
        switch (word, bytes.count) {
        case ("RA", 12) where isFlags(rest): return .area(number, flags: String(rest))
        case ("RZ", 10) where isFlags(rest): return .zone(number, flags: String(rest))
        case ("ZL", 21), ("AL", 21), ("UL", 21):
            let words = rest.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            return .label(word, number, words)
        default: return nil
        }
    }

    private static func isFlags(_ text: Substring) -> Bool { text.allSatisfy { $0.isASCII && $0.isUppercase } }

    private static func number(_ bytes: [UInt8], _ range: Range<Int>) -> Int? {
        guard bytes.count >= range.upperBound else { return nil }
        let digits = bytes[range]
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    /// The line behind what is left of noise; and where it begins.
    static func find(_ bytes: [UInt8]) -> (start: Int, line: ParadoxLine)? {
        for start in bytes.indices {
            if let line = ParadoxLine(bytes[start...]) { return (start, line) }
        }
        return nil
    }
}

/// What one event of the module means.
enum ParadoxReport: Sendable, Hashable {
    /// A lasting state, told at both ends: its name, what it is, whether it begins, in words.
    case state(String, Said, Bool, String)
    case once(Said, String)
    /// A zone's contact. Closed or open, it is not tampered with and its loop is sound.
    case contact(zone: Int, open: Bool)
    case armed(Bool, Said)
    /// An area's state has changed: ask for it.
    case ask
    /// An area is in fire alarm, says its state. Its end only the answer to a question tells.
    case areaFire
    /// Nothing for the centre.
    case quiet(String)
    case unknown

    init(group: Int, number: Int, area: Int) {
        let area: Int? = area > 0 ? area : nil
        self =
            Self.zone(group, number, area) ?? Self.arming(group, number, area) ?? Self.system(group, number, area)
            ?? Self.rest(group, number, area)
    }

    private static func zone(_ group: Int, _ zone: Int, _ area: Int?) -> ParadoxReport? {
        func state(_ kind: String, _ suffix: String, _ began: Bool) -> ParadoxReport {
            .state("zone-\(zone)\(suffix)", Said(kind: kind, partition: area, zone: zone), began, "")
        }
        switch group {
        case 0, 1: return .contact(zone: zone, open: group == 1)
        case 2, 33: return state("tamper", "-tamper", true)
        case 34: return state("tamper", "-tamper", false)
        case 3: return state("fire-trouble", "-loop", true)
        case 24, 26: return state("burglary", "", group == 24)
        case 25, 27: return state("fire", "-fire", group == 25)
        case 41, 43: return state("detector-battery", "-battery", group == 41)
        case 42, 44: return state("detector-lost", "-supervision", group == 42)
        case 51, 53:
            return .state(
                "door-\(zone)-held", Said(kind: "door-held", partition: area, zone: zone), group == 51, "Door left open"
            )
        case 52, 54:
            return .state(
                "door-\(zone)", Said(kind: "door-forced", partition: area, zone: zone), group == 52, "Door forced")
        case 23, 32, 56:
            let words = group == 23 ? "Zone bypassed" : group == 32 ? "Zone shut down" : "Zone left out at arming"
            // Of a fire zone as of any.
            return .once(Said(kind: "point-inhibited", partition: area, zone: zone), words)
        default: return nil
        }
    }

    private static func arming(_ group: Int, _ user: Int, _ area: Int?) -> ParadoxReport? {
        switch group {
        case 9, 10: return .armed(true, Said(kind: "arming", partition: area, zone: user))
        // By a key switch or by itself: the number is nobody's code.
        case 11, 12: return .armed(true, Said(kind: "arming", partition: area))
        case 13, 14, 16, 17: return .armed(false, Said(kind: "arming", partition: area, zone: user))
        case 15, 18, 22: return .armed(false, Said(kind: "arming", partition: area))
        case 19, 20: return .once(Said(kind: "burglary-cancel", partition: area, zone: user), "Alarm cancelled")
        case 21: return .once(Said(kind: "burglary-cancel", partition: area), "Alarm cancelled by key switch")
        case 28: return .once(Said(.sia("OK"), partition: area, zone: user), "Disarmed early")
        case 29: return .once(Said(.sia("OJ"), partition: area, zone: user), "Disarmed late")
        case 46: return .once(Said(.sia("CK"), partition: area, zone: user), "Armed early")
        case 47: return .once(Said(.sia("CJ"), partition: area, zone: user), "Armed late")
        case 31: return .once(Said(kind: "duress", partition: area, zone: user), "Duress code used")
        default: return nil
        }
    }

    private static let specialAlarms: [Int: (kind: String, words: String)] = [
        0: ("panic", "Emergency panic"), 1: ("medical", "Medical panic"), 2: ("fire", "Fire panic"),
        3: ("burglary", "Alarm shortly after arming"), 4: ("duress", "Police code"),
        5: ("point-inhibited", "Zones shut down"), 8: ("line-trouble", "Telephone line alarm"),
        9: ("communication-failure", "The panel could not reach its alarm centre"), 10: ("tamper", "Module tamper"),
    ]
    private static let troubles: [Int: (kind: String, words: String)] = [
        0: ("line-trouble", "Telephone line"), 1: ("mains-failure", "The panel's mains"),
        2: ("battery", "The panel's battery"), 3: ("over-current", "Auxiliary supply"),
        4: ("over-current", "Bell circuit"), 5: ("siren-fault", "Bell disconnected"), 6: ("trouble", "Clock lost"),
        7: ("fire-trouble", "Fire loop"), 8: ("communication-failure", "Telephone number 1"),
        9: ("communication-failure", "Telephone number 2"), 12: ("radio-jamming", "Radio jamming"),
    ]
    private static let moduleTroubles: [Int: (kind: String, words: String)] = [
        0: ("device-lost", "Module lost on the combus"), 1: ("expansion-tamper", "Module tamper"),
        2: ("trouble", "Module memory"), 3: ("line-trouble", "Module's telephone line"),
        4: ("communication-failure", "Module cannot communicate"), 5: ("trouble", "Printer"),
        6: ("mains-failure", "Module's mains"), 7: ("battery", "Module's battery"),
        8: ("power-supply", "Module's supply"),
    ]

    private static func system(_ group: Int, _ number: Int, _ area: Int?) -> ParadoxReport? {
        switch group {
        case 30:
            guard let form = specialAlarms[number] else {
                return .once(Said(kind: "unclassified", partition: area), "Special alarm \(number)")
            }
            return .once(Said(kind: form.kind, partition: area), form.words)
        case 35:
            return number == 0
                ? .once(Said(kind: "wrong-code", partition: area), "Keypad locked: too many wrong codes")
                : .once(Said(kind: "tamper", partition: area), "Special tamper \(number)")
        case 36, 37:
            let form = troubles[number] ?? ("trouble", "Trouble \(number)")
            return .state("trouble-\(number)", Said(kind: form.kind, partition: area), group == 36, form.words)
        case 38, 39:
            let form = moduleTroubles[number] ?? ("trouble", "Module trouble \(number)")
            return .state("module-trouble-\(number)", Said(kind: form.kind, partition: area), group == 38, form.words)
        case 40:
            return .once(Said(kind: "communication-failure"), "The panel could not reach telephone number \(number)")
        case 45: return special(number)
        case 59: return .once(Said(kind: "expansion-tamper"), "Module removed from the combus")
        default: return nil
        }
    }

    private static func special(_ number: Int) -> ParadoxReport? {
        switch number {
        case 0: .once(Said(kind: "power-up"), "The panel was without power")
        case 1: .once(Said(kind: "restart"), "The panel restarted by itself")
        case 2: .once(Said(kind: "test"), "Test report")
        case 4, 5: .state("remote-programming", Said(kind: "remote-programming"), number == 4, "")
        case 6, 7: .state("local-programming", Said(kind: "local-programming"), number == 6, "")
        default: nil
        }
    }

    private static func rest(_ group: Int, _ number: Int, _ area: Int?) -> ParadoxReport {
        switch group {
        case 64 where number == 7: .areaFire
        // With 8 a zone whose reporting is delayed is in alarm, which its area's state tells.
        case 8: .ask
        case 64...66 where number < 8: .ask
        case 45 where number == 3: .quiet("listening-in wanted")
        case 4...7, 48...50, 55, 57, 58, 62, 63: .quiet("group \(group), number \(number)")
        default: .unknown
        }
    }
}
