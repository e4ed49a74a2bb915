/// A table of the configuration: hands out typed values, notes what was read, and refuses what was not.
///
/// A wrong or missing value is noted in `problems` and a harmless value is returned, so that one pass over the file
/// finds every error. A configuration with any problem never takes effect, so the harmless value is never used.
/// Used only while a configuration is read, on one thread.
public final class Settings {
    /// The table's full name: "device.gpio.cabinet.point.front-door".
    public let path: String
    /// Where the table begins.
    public let place: Place
    public let problems: Problems

    private let entries: [SettingNode.Entry]
    private let nodes: [String: SettingNode]
    private var known: Set<String> = []
    private var secrets: Set<String> = []
    private var children: [String: Settings] = [:]

    public init(_ node: SettingNode, path: String, problems: Problems) {
        self.path = path
        self.place = node.place
        self.problems = problems
        if case .table(let entries) = node.value { self.entries = entries } else { self.entries = [] }
        nodes = Dictionary(entries.map { ($0.key, $0.node) }) { first, _ in first }
    }

    /// The table's own name: the last part of its path.
    public var name: String { path.split(separator: ".").last.map(String.init) ?? path }

    /// The names in the table, in the order of the file.
    public var keys: [String] { entries.map(\.key) }

    /// True when the key stands in the table. Counts as knowing the key, not as reading it.
    public func has(_ key: String) -> Bool {
        known.insert(key)
        return nodes[key] != nil
    }

    /// Where the key's value stands, or the table's beginning where the key is missing.
    public func place(of key: String) -> Place { nodes[key]?.place ?? place }

    /// Notes a problem with a key's value: `settings.refuse("bits", "expected 7 or 8, found 9")`.
    public func refuse(_ key: String, _ message: String) {
        problems.add(place(of: key), "\(path.isEmpty ? key : "\(path).\(key)"): \(message)")
    }

    private func value(_ key: String) -> SettingNode.Value? {
        known.insert(key)
        return nodes[key]?.value
    }

    private func missing(_ key: String, _ expected: String) {
        problems.add(place, "\(path): \(key) is missing, expected \(expected)")
    }

    private func wrong(_ key: String, _ expected: String, _ found: SettingNode.Value) {
        refuse(key, "expected \(expected), found \(found.described)")
    }

    // MARK: Typed values. Each has a form with a default and, where a default makes no sense, a required form.

    /// A text of 1 to `limit` characters.
    public func string(
        _ key: String, default fallback: String? = nil, expected: String = "a text in quotes", limit: Int = 256
    )
        -> String
    {
        guard let value = value(key) else {
            if let fallback { return fallback }
            missing(key, expected)
            return ""
        }
        guard case .string(let text) = value else {
            wrong(key, expected, value)
            return ""
        }
        if text.isEmpty || text.count > limit {
            refuse(key, "expected \(expected), 1 to \(limit) characters, found \(text.count)")
        }
        return text
    }

    /// As `string`, but nil where the key is missing.
    public func optionalString(_ key: String, expected: String = "a text in quotes") -> String? {
        has(key) ? string(key, expected: expected) : nil
    }

    /// A text that no message may show, such as a code; nil where the key is missing or the text is not as expected.
    public func secret(_ key: String, expected: String, where isRight: (String) -> Bool) -> String? {
        secrets.insert(key)
        guard let value = value(key) else { return nil }
        guard case .string(let text) = value, isRight(text) else {
            refuse(key, "expected \(expected); what was found is not shown")
            return nil
        }
        return text
    }

    public func integer(_ key: String, in range: ClosedRange<Int>, default fallback: Int? = nil) -> Int {
        let expected = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard let value = value(key) else {
            if fallback == nil { missing(key, expected) }
            return fallback ?? range.lowerBound
        }
        guard case .integer(let number) = value, let number = Int(exactly: number), range.contains(number) else {
            wrong(key, expected, value)
            return fallback ?? range.lowerBound
        }
        return number
    }

    /// What may be said by name or by number: `line = "GPIO17"` or `line = 17`.
    public enum NameOrNumber: Sendable, Hashable {
        case name(String)
        case number(Int)
    }

    /// A name in quotes, or a whole number in the range.
    public func nameOrNumber(_ key: String, in range: ClosedRange<Int>) -> NameOrNumber {
        if case .integer = value(key) { return .number(integer(key, in: range)) }
        return .name(
            string(key, expected: "a name in quotes, or a whole number from \(range.lowerBound) to \(range.upperBound)")
        )
    }

    public func boolean(_ key: String, default fallback: Bool) -> Bool {
        guard let value = value(key) else { return fallback }
        guard case .boolean(let flag) = value else {
            wrong(key, "true or false", value)
            return fallback
        }
        return flag
    }

    /// A length of time: "250ms", "60s", "5min", "24h".
    public func duration(_ key: String, in range: ClosedRange<Duration>, default fallback: Duration? = nil) -> Duration
    {
        let expected =
            "a time from \(range.lowerBound.described) to \(range.upperBound.described), as \"250ms\", \"60s\", \"5min\" or \"24h\""
        guard let value = value(key) else {
            if fallback == nil { missing(key, expected) }
            return fallback ?? range.lowerBound
        }
        guard case .string(let text) = value, let duration = Duration(described: text), range.contains(duration) else {
            wrong(key, expected, value)
            return fallback ?? range.lowerBound
        }
        return duration
    }

    /// One of a few words.
    public func choice<Choice>(_ key: String, of choices: [(String, Choice)], default fallback: Choice? = nil) -> Choice
    {
        let words = choices.map { "\"\($0.0)\"" }.joined(separator: ", ")
        guard let value = value(key) else {
            if let fallback { return fallback }
            missing(key, "one of \(words)")
            return choices[0].1
        }
        guard case .string(let word) = value else {
            wrong(key, "one of \(words)", value)
            return choices[0].1
        }
        guard let choice = choices.first(where: { $0.0 == word }) else {
            refuse(key, "expected one of \(words), found \"\(word)\"\(nearest(to: word, among: choices.map(\.0)))")
            return choices[0].1
        }
        return choice.1
    }

    /// A list of texts; a single text counts as a list of one.
    public func strings(_ key: String, default fallback: [String]? = nil) -> [String] {
        guard let value = value(key) else {
            if fallback == nil { missing(key, "a list of texts") }
            return fallback ?? []
        }
        switch value {
        case .string(let text): return [text]
        case .array(let items):
            return items.compactMap { item in
                if case .string(let text) = item.value { return text }
                problems.add(item.place, "\(path).\(key): expected a text in quotes, found \(item.value.described)")
                return nil
            }
        default:
            wrong(key, "a list of texts", value)
            return fallback ?? []
        }
    }

    /// A table within this one, or nil where it is missing.
    public func table(_ key: String) -> Settings? {
        if let child = children[key] { return child }
        guard let value = value(key) else { return nil }
        guard case .table = value, let node = nodes[key] else {
            wrong(key, "a table [\(path.isEmpty ? key : path + "." + key)]", value)
            return nil
        }
        let child = Settings(node, path: path.isEmpty ? key : "\(path).\(key)", problems: problems)
        children[key] = child
        return child
    }

    /// The tables `[PATH.key.NAME]`, in the order of the file.
    public func tables(_ key: String) -> [Settings] {
        guard let table = table(key) else { return [] }
        return table.keys.compactMap { table.table($0) }
    }

    /// The device's points, `[device.KIND.NAME.point.POINT]`, in the order of the file. Kind, zone, partition and text
    /// are read by the gateway; the driver reads where the point is found on the device.
    public var points: [Settings] { tables("point") }

    /// The device's outputs, `[device.KIND.NAME.output.OUTPUT]`, in the order of the file. What an output shows is read by
    /// the gateway; the driver reads where it is found on the device. A driver that never asks has none: they are refused.
    public var outputs: [Settings] { tables("output") }

    /// Somebody has asked for the key.
    public func isKnown(_ key: String) -> Bool { known.contains(key) }

    /// It was read as a secret.
    public func isSecret(_ key: String) -> Bool { secrets.contains(key) }

    /// Refuses every key, here and below, that nobody has asked for. Called once, after everybody has read.
    public func refuseUnread() {
        for entry in entries where !known.contains(entry.key) {
            let full = path.isEmpty ? entry.key : "\(path).\(entry.key)"
            let hint = nearest(to: entry.key, among: known.sorted())
            let names = known.isEmpty ? "" : "; known here: \(known.sorted().joined(separator: ", "))"
            problems.add(entry.node.place, "\(full): no such setting\(hint.isEmpty ? names : hint)")
        }
        for child in children.values { child.refuseUnread() }
    }
}

/// All that is wrong in one configuration. Used only while it is read, on one thread.
public final class Problems {
    public private(set) var all: [Problem] = []
    private var seen: Set<Problem> = []
    public init() {}

    public func add(_ place: Place, _ message: String) {
        let problem = Problem(place, message)
        if seen.insert(problem).inserted { all.append(problem) }
    }

    /// In the order of the file.
    public var sorted: [Problem] { all.sorted { ($0.place, $0.message) < ($1.place, $1.message) } }
}

/// `, did you mean "burglary"?` where a known word is near enough, else nothing.
public func nearest(to word: String, among known: [String]) -> String {
    let limit = max(1, word.count / 3)
    // A word that is longer or shorter by more cannot be near: no need to compare it letter by letter.
    let best = known.filter { abs($0.count - word.count) <= limit }.map { ($0, editDistance($0, word)) }.min {
        $0.1 < $1.1
    }
    guard let (name, distance) = best, distance <= limit else { return "" }
    return ", did you mean \"\(name)\"?"
}

/// How many letters to add, drop, change or swap with a neighbour to turn one word into the other.
func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a.lowercased())
    let b = Array(b.lowercased())
    var before: [Int] = []
    var row = Array(0...b.count)
    for i in a.indices {
        var next = [i + 1] + Array(repeating: 0, count: b.count)
        for j in b.indices {
            next[j + 1] = min(row[j + 1] + 1, next[j] + 1, row[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { next[j + 1] = min(next[j + 1], before[j - 1] + 1) }
        }
        before = row
        row = next
    }
    return row[b.count]
}

extension SettingNode.Value {
    /// The value as an error shows it. A long text is cut.
    public var described: String {
        switch self {
        case .string(let text): "\"\(text.count > 40 ? text.prefix(40) + "…" : text[...])\""
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        case .boolean(let flag): "\(flag)"
        case .array: "a list"
        case .table: "a table"
        case .other(let name): name
        }
    }
}

extension Duration {
    /// "250ms", "60s", "5min", "24h": a whole number and its unit, without a blank.
    public init?(described text: String) {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        guard !digits.isEmpty, digits.count <= 9, let number = Int64(digits) else { return nil }
        switch text.dropFirst(digits.count) {
        case "ms": self = .milliseconds(number)
        case "s": self = .seconds(number)
        case "min": self = .seconds(number * 60)
        case "h": self = .seconds(number * 3600)
        default: return nil
        }
    }

    /// The shortest of the forms that `init(described:)` reads.
    public var described: String {
        let milliseconds = self.milliseconds
        if milliseconds % 3_600_000 == 0, milliseconds > 0 { return "\(milliseconds / 3_600_000)h" }
        if milliseconds % 60_000 == 0, milliseconds > 0 { return "\(milliseconds / 60_000)min" }
        if milliseconds % 1000 == 0 { return "\(milliseconds / 1000)s" }
        return "\(milliseconds)ms"
    }

    public var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
