import AlarmProtocol

/// What a printed line says by its words, in Swedish or English: kind and direction separately.
///
/// Where the layout has an event column, its words alone count, and the first kind of the list that is found is meant.
/// Where words stand anywhere, a room's name may hold one ("BRANDLARM BATTERIRUM"), so the first word of the line decides;
/// an alarm is taken for something less only where that stands right behind it ("BRANDLARM FEL") or cannot be a name
/// ("BRANDLARM SEKTION 4 URKOPPLAD").
struct PrinterWords: Sendable, Hashable {
    /// nil: it ends or returns something, nobody says what.
    var kind: String?
    var ends: Bool
    /// Somebody at the panel has seen it: no event of its own kind in the trade.
    var isAcknowledgement = false
    /// A fire alarm that begins, in a word of its own and not in a name, as "Branddörr".
    private(set) var isPlainAlarm = false

    private struct Kind {
        var name: String
        var words: [[UInt8]]
        init(_ name: String, _ words: String) {
            self.name = name
            self.words = words.split(separator: "|").map { Array($0.utf8) }
        }
    }

    /// What `says` calls it.
    var name: String { isAcknowledgement ? Self.acknowledged : kind ?? Self.reset }
    static let names = kinds.map(\.name) + [reset]

    private static let acknowledged = "acknowledged"
    private static let reset = "reset"
    private static let restores = Kind(
        "", "ÅTERSTÄLL|ATERSTALL|RESTORE|RESET|CLEARED|SELF CLR|DE-ISOLATE|TILLKOPPL|ÅTER NORMAL|ÅTERGÅ|AVHJÄLPT")

    /// First to last, as they go before each other in an event column.
    private static let kinds = [
        Kind(
            "fire-bypass",
            "AVSTÄNGD|AVSTÄNGT|AVSTANGD|FRÅNKOPPL|FRANKOPPL|URKOPPL|TILLKOPPL|INKOPPLAD|INKOPPLAT|ISOL|DISABLE|ENABLED"),
        Kind("mains-failure", "NÄT|MAINS"), Kind("battery", "BATTERI|BATTERY"), Kind("power-supply", "CHARGER"),
        Kind("fire-trouble", "FEL|FAULT|FAIL|AVBROTT|KORTSLUT|NO REPLY|BROKEN"),
        Kind("fire-warning", "FÖRLARM|FORLARM|PRE-ALARM|PREALARM|PRE ALARM"),
        Kind("manual-test", "TEST|PROV"),
        Kind(acknowledged, "KVITT|ACKD|ACKNOWL"),
        Kind("burglary", "INBROTT|INTRUDER|BURGLAR"), Kind("hold-up", "ÖVERFALL|HOLD-UP"),
        Kind("tamper", "SABOTAGE|TAMPER"),
        Kind("fire", "BRANDLARM|BRAND|FIRE|ALARM|LARM"),
    ]
    /// Whole words that no room is named with.
    private static let states: [(word: String, kind: String)] =
        ["AVSTÄNGD", "AVSTÄNGT", "FRÅNKOPPLAD", "FRÅNKOPPLAT", "URKOPPLAD", "URKOPPLAT", "ISOLATED", "DISABLED"]
        .map { ($0, "fire-bypass") }
        + ["KVITTERAD", "KVITTERAT", "ACKNOWLEDGED", "ACKD"].map { ($0, acknowledged) }
    /// Whole words for an end that others begin with.
    private static let wholeRestores: Set<String> = ["INKOPPLAD", "INKOPPLAT", "ENABLED"]
    /// Of the power supply, right behind a word for a fault: "FEL BATTERI", "FAULT MAINS".
    private static let supplies = kinds.filter { ["mains-failure", "battery", "power-supply"].contains($0.name) }
    private static let alarmWords: Set<String> = ["BRANDLARM", "BRAND", "FIRE", "ALARM", "LARM", "ALARMS"]

    /// Nil: none of the words stands in it.
    init?(_ line: PrinterLine) {
        let text = (line.event ?? line.text).uppercased()
        let bytes = Array(text.utf8)
        ends =
            Self.restores.words.contains { position(of: $0, in: bytes) != nil }
            || !Self.wholeRestores.isDisjoint(with: Self.words(text))
        let found = line.event == nil ? Self.first(in: bytes, text) : Self.ranked(in: bytes)
        guard found != nil || ends else { return nil }
        isAcknowledgement = found == Self.acknowledged
        kind = isAcknowledgement ? nil : found
        isPlainAlarm = kind == "fire" && !ends && !Self.alarmWords.isDisjoint(with: Self.words(text))
    }

    private static func ranked(in bytes: [UInt8]) -> String? {
        kinds.first { kind in kind.words.contains { position(of: $0, in: bytes) != nil } }?.name
    }

    /// The kind of the word that stands first, and of several there the one of the longer word.
    private static func first(in bytes: [UInt8], _ text: String) -> String? {
        var best: (name: String, at: Int, length: Int)?
        for kind in kinds {
            for word in kind.words {
                guard let at = position(of: word, in: bytes) else { continue }
                if let known = best, (known.at, -known.length) <= (at, -word.count) { continue }
                best = (kind.name, at, word.count)
            }
        }
        guard let best else { return nil }
        switch best.name {
        case "fire": return lesser(text) ?? best.name
        case "fire-trouble": return supply(text) ?? best.name
        default: return best.name
        }
    }

    private static func words(_ text: String) -> [String] {
        text.split { !$0.isLetter && $0 != "-" }.map(String.init)
    }

    /// Which supply has the fault, where that is said next; a room may be called after one.
    private static func supply(_ text: String) -> String? {
        let words = words(text)
        let faults = kinds.first { $0.name == "fire-trouble" }?.words ?? []
        let place = words.firstIndex { word in faults.contains { position(of: $0, in: Array(word.utf8)) != nil } }
        guard let place, place + 1 < words.count, !words[place + 1].hasSuffix("RUM"),
            !words[place + 1].hasSuffix("ROOM")
        else { return nil }
        let next = Array(words[place + 1].utf8)
        return supplies.first { $0.words.contains { next.starts(with: $0) } }?.name
    }

    /// What an alarm's line says instead, beyond doubt.
    private static func lesser(_ text: String) -> String? {
        let words = words(text)
        if let state = states.first(where: { words.contains($0.word) }) { return state.kind }
        guard let alarm = words.firstIndex(where: { alarmWords.contains($0) }) else { return nil }
        guard let next = words[alarm...].first(where: { !alarmWords.contains($0) }) else { return nil }
        return kinds.dropLast().first { $0.words.contains(Array(next.utf8)) }?.name
    }

    /// The zone's number behind the word for it: "SEKTION 12", "ZONE 3", "ZON12", "Z012".
    static func zone(in text: String) -> Int? {
        let words = text.uppercased().split { !$0.isLetter && !$0.isNumber }
        for (index, word) in words.enumerated() {
            let name = word.prefix { $0.isLetter }
            let isShort = name == "Z" && word.utf8.count == 4
            guard isShort || zoneWords.contains(name) else { continue }
            let digits = name.endIndex < word.endIndex ? word[name.endIndex...] : words.dropFirst(index + 1).first ?? ""
            if (1...4).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
                return Int(digits)
            }
        }
        return nil
    }
    private static let zoneWords: Set<Substring> = ["SEKTION", "SEKT", "SEK", "ZON", "ZONE"]
}

/// Where a word stands in a text; nil: nowhere. Both in UTF-8 and in capitals; a line has at most 256 characters.
func position(of word: [UInt8], in text: [UInt8]) -> Int? {
    guard let first = word.first, word.count <= text.count else { return nil }
    var start = 0
    while start <= text.count - word.count {
        var matched = text[start] == first ? 1 : 0
        while matched > 0, matched < word.count, text[start + matched] == word[matched] { matched += 1 }
        if matched == word.count { return start }
        start += 1
    }
    return nil
}
