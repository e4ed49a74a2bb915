/// A configured point: which printed lines are about it.
struct PrinterRule: Sendable {
    var point: String
    /// Any of these words stands in the line, or in its event column; in capitals. Empty: any.
    var contains: [[UInt8]] = []
    /// The line's own words say one of these (`PrinterWords.names`). Empty: whatever they say.
    var says: Set<String> = []
    var pattern: PrinterPattern?
    /// Its end. Nil: the words of the line tell.
    var endsPattern: PrinterPattern?

    init(_ settings: Settings) {
        point = settings.name
        if settings.has("contains") {
            let words = settings.strings("contains").map { Array(Self.oneSpaced($0).uppercased().utf8) }
            if words.isEmpty || words.contains([]) {
                settings.refuse("contains", "expected words that the line contains, found an empty one")
            }
            contains = words
        }
        if settings.has("says") {
            let names = settings.strings("says")
            for name in names where !PrinterWords.names.contains(name) {
                settings.refuse(
                    "says", "expected some of \(PrinterWords.names.joined(separator: ", ")), found \"\(name)\"")
            }
            says = Set(names)
        }
        pattern = Self.pattern(settings, "pattern")
        endsPattern = Self.pattern(settings, "ends-pattern")
        if contains.isEmpty, says.isEmpty, pattern == nil, endsPattern != nil {
            settings.refuse(
                "ends-pattern", "the point needs contains, says or pattern as well: else it takes every line")
        }
    }

    static func pattern(_ settings: Settings, _ key: String) -> PrinterPattern? {
        settings.optionalString(key, expected: "a regular expression in quotes").flatMap { pattern($0, settings, key) }
    }

    static func pattern(_ source: String, _ settings: Settings, _ key: String) -> PrinterPattern? {
        do { return try PrinterPattern(source) } catch {
            settings.refuse(key, "\"\(source)\" cannot be used as a regular expression: \(error)")
            return nil
        }
    }

    var takesEverything: Bool { contains.isEmpty && says.isEmpty && pattern == nil && endsPattern == nil }

    struct Taken: Sendable, Hashable {
        var found: PrinterPattern.Found
        /// nil: the rule does not say.
        var ends: Bool?
    }

    /// Whether it takes the line, and what it reads in it.
    /// - Parameter words: what the line says by its words, if anything.
    func take(_ line: PrinterLine, _ words: PrinterWords?) -> Taken? {
        if let endsPattern, let found = endsPattern.find(in: line.text) { return Taken(found: found, ends: true) }
        guard says.isEmpty || words.map({ says.contains($0.name) }) ?? false else { return nil }
        if !contains.isEmpty {
            let bytes = Array(Self.oneSpaced(line.event ?? line.text).uppercased().utf8)
            guard contains.contains(where: { position(of: $0, in: bytes) != nil }) else { return nil }
        }
        guard let pattern else { return Taken(found: .init(), ends: endsPattern == nil ? nil : false) }
        return pattern.find(in: line.text).map { Taken(found: $0, ends: endsPattern == nil ? nil : false) }
    }

    private static func oneSpaced(_ text: String) -> String {
        text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }
}
