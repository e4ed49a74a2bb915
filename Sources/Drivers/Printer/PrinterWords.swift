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

    private struct Kind {
        var name: String
        var words: [[UInt8]]
        init(_ name: String, _ words: String) {
            self.name = name
            self.words = words.split(separator: "|").map { Array($0.utf8) }
        }
    }

    private static let acknowledged = "acknowledged"
    private static let restores = Kind(
        "", "ÅTERSTÄLL|ATERSTALL|RESTORE|RESET|CLEARED|SELF CLR|DE-ISOLATE|TILLKOPPL|ÅTER NORMAL|ÅTERGÅ|AVHJÄLPT")

    /// First to last, as they go before each other in an event column.
    private static let kinds = [
        Kind(
            "fire-bypass",
            "AVSTÄNGD|AVSTÄNGT|AVSTANGD|FRÅNKOPPL|FRANKOPPL|URKOPPL|TILLKOPPL|ISOL|DISABLE"),
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
    private static let alarmWords: Set<String> = ["BRANDLARM", "BRAND", "FIRE", "ALARM", "LARM", "ALARMS"]

    /// Nil: none of the words stands in it.
    init?(_ line: PrinterLine) {
        let text = (line.event ?? line.text).uppercased()
        let bytes = Array(text.utf8)
        ends = Self.restores.words.contains { position(of: $0, in: bytes) != nil }
        let found = line.event == nil ? Self.first(in: bytes, text) : Self.ranked(in: bytes)
        guard found != nil || ends else { return nil }
        isAcknowledgement = found == Self.acknowledged
        kind = isAcknowledgement ? nil : found
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
        return best.name == "fire" ? lesser(text) ?? best.name : best.name
    }

    /// What an alarm's line says instead, beyond doubt.
    private static func lesser(_ text: String) -> String? {
        let words = text.split { !$0.isLetter && $0 != "-" }.map(String.init)
        if let state = states.first(where: { words.contains($0.word) }) { return state.kind }
        guard let alarm = words.firstIndex(where: { alarmWords.contains($0) }) else { return nil }
        guard let next = words[alarm...].first(where: { !alarmWords.contains($0) }) else { return nil }
        return kinds.dropLast().first { $0.words.contains(Array(next.utf8)) }?.name
    }

    /// The zone's number behind the word for it: "SEKTION 12", "ZONE 3".
    static func zone(in text: String) -> Int? {
        let words = text.uppercased().split { !$0.isLetter && !$0.isNumber }
        for (word, next) in zip(words, words.dropFirst())
        where ["SEKTION", "SEKT", "SEK", "ZON", "ZONE"].contains(word) {
            if next.utf8.count <= 4, next.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let zone = Int(next) {
                return zone
            }
        }
        return nil
    }
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
