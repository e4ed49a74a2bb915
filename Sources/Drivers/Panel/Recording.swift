/// What a serial panel and a driver said to each other, and what the driver made of it: a text file as
/// Tests/DriverTests/Recordings/README.md tells.
public struct Recording: Sendable {
    public enum Step: Sendable, Hashable {
        /// The panel says this.
        case received([UInt8])
        /// The driver has answered exactly this.
        case sent([UInt8])
        case pass(milliseconds: Int64)
        /// The driver has reported this next, as `Signal.summary` writes it.
        case reported(String)
        /// The line was lost or closed, and is opened anew: the driver begins again.
        case opened
    }

    /// What is wrong, and in which line.
    public struct Wrong: Error, Sendable, Equatable, CustomStringConvertible {
        public var description: String
        public init(description: String) { self.description = description }
    }

    /// What the head must say, if only "unknown".
    public static let headKeys = ["make", "model", "firmware", "line", "provenance"]
    /// Bytes of a file. A week of link tests takes 5 MB.
    public static let mostBytes = 16 * 1024 * 1024

    /// Milliseconds between two things that pass.
    static let longestPause: Int64 = 31 * 24 * 3600 * 1000

    public let file: String
    public private(set) var head: [String: String] = [:]
    /// Beside `port` and `line`. A key with dots is one of a table in the device's table.
    public private(set) var settings: [(key: String, value: SettingNode.Value)] = []
    public private(set) var points: [(name: String, conditions: [(key: String, value: SettingNode.Value)])] = []
    public private(set) var steps: [(step: Step, line: Int)] = []

    /// - Parameter port: what stands for "PORT" in the reports.
    public init(_ text: String, file: String, port: String) throws(Wrong) {
        self.file = file
        // Some editors begin a text with a byte order mark.
        let text = text.hasPrefix("\u{FEFF}") ? text.dropFirst() : text[...]
        for (index, line) in text.split(
            omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" }
        ).enumerated() {
            do throws(Wrong) {
                try read(trimmed(line), port, index + 1)
            } catch {
                throw Wrong(description: "\(file):\(index + 1): \(error): \(line.prefix(120))")
            }
        }
        for key in Self.headKeys where head[key] == nil {
            throw Wrong(description: "\(file): the head does not say \(key): expected a line \"# \(key): …\"")
        }
    }

    /// The driver's name: from the head, or the longest that the file's name begins with.
    public func kind(among kinds: [any Driver.Type]) -> (any Driver.Type)? {
        if let name = head["driver"] { return kinds.first { $0.name == name } }
        let name = file.split(separator: "/").last.map(String.init) ?? file
        return kinds.filter { name.hasPrefix("\($0.name)-") }.max { $0.name.count < $1.name.count }
    }

    /// The device's table, as a site file would have it.
    public func table(of kind: String, port: String) -> Settings {
        let place = Place(file: file, line: 1, column: 1)
        var entries = [("port", SettingNode.Value.string(port))]
        if let line = head["line"], SerialLine(line) != nil { entries.append(("line", .string(line))) }
        var table = TableMaker(place: place)
        for (key, value) in entries + settings.map({ ($0.key, $0.value) }) {
            table.put(value, at: key.split(separator: ".").map(String.init))
        }
        for point in points {
            table.put(.table([]), at: ["point", point.name])
            for condition in point.conditions { table.put(condition.value, at: ["point", point.name, condition.key]) }
        }
        return Settings(table.node, path: "device.\(kind).recording", problems: Problems())
    }

    /// The same said to a device that is set otherwise.
    /// - Parameter other: a head, with the driver's settings and points.
    public func with(settingsOf other: Recording) -> Recording {
        var changed = self
        (changed.settings, changed.points) = (other.settings, other.points)
        changed.head["line"] = other.head["line"] ?? head["line"]
        return changed
    }

    private mutating func read(_ line: String, _ port: String, _ number: Int) throws(Wrong) {
        if line.isEmpty || line.hasPrefix("//") { return }
        let rest = trimmed(line.dropFirst())
        switch line.prefix(1) {
        case "#": try readHead(rest)
        case "<": steps.append((.received(try Self.bytes(rest)), number))
        case ">": steps.append((.sent(try Self.bytes(rest)), number))
        case "+":
            guard rest.hasSuffix("ms"), let milliseconds = Int64(rest.dropLast(2)),
                (0...Self.longestPause).contains(milliseconds)
            else { throw Wrong(description: "expected a time of at most 31 days, as +250ms") }
            steps.append((.pass(milliseconds: milliseconds), number))
        case "=":
            let words = rest.split(separator: " ")
            guard words.count >= 2, ["call", "cleared", "fault", "healthy", "active"].contains(words[1]) else {
                throw Wrong(description: "expected POINT call, cleared, fault, healthy or active")
            }
            // Elsewhere it is a word of the panel's: a gate is a "port" in Swedish.
            steps.append((.reported(words[1] == "fault" ? replaced(rest, "PORT", with: port) : rest), number))
        case "!":
            guard rest == "opened" else { throw Wrong(description: "expected ! opened") }
            steps.append((.opened, number))
        default: throw Wrong(description: "expected #, <, >, +, =, ! opened or //")
        }
    }

    private mutating func readHead(_ line: String) throws(Wrong) {
        let (first, rest) = divided(line, at: " ")
        switch first {
        case "setting": settings.append(try Self.value(rest))
        case "point":
            let (name, condition) = divided(rest, at: " ")
            guard !name.isEmpty else { throw Wrong(description: "expected a point's name") }
            let index = points.firstIndex { $0.name == name } ?? points.count
            if index == points.count { points.append((name, [])) }
            if !condition.isEmpty { points[index].conditions.append(try Self.value(condition)) }
        default:
            guard line.contains(":") else { return }
            let (key, value) = divided(line, at: ":")
            if head[key] == nil { head[key] = value }
        }
    }

    private static func bytes(_ hex: String) throws(Wrong) -> [UInt8] {
        guard let bytes = bytes(hexadecimal: hex), !bytes.isEmpty else {
            throw Wrong(description: "expected pairs of digits, found \(hex.prefix(60))")
        }
        return bytes
    }

    /// "01 31 02", blanks or none; nil for anything else.
    public static func bytes(hexadecimal text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        var high: UInt8?
        for character in text.utf8 where character != UInt8(ascii: " ") && character != UInt8(ascii: "\t") {
            guard let digit = Character(Unicode.Scalar(character)).hexDigitValue.map(UInt8.init) else { return nil }
            if let first = high {
                bytes.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return high == nil ? bytes : nil
    }

    private static func value(_ text: String) throws(Wrong) -> (key: String, value: SettingNode.Value) {
        let (key, value) = divided(text, at: "=")
        guard text.contains("="), !key.isEmpty else { throw Wrong(description: "expected KEY = VALUE") }
        if let read = SettingNode.Value(recorded: value) { return (key, read) }
        // A station's address and a called address are texts, digits or not.
        if key.hasPrefix("address") || key == "control-station" { return (key, .string(value)) }
        if value == "true" || value == "false" { return (key, .boolean(value == "true")) }
        return (key, Int64(value).map { .integer($0) } ?? .string(value))
    }
}

extension SettingNode.Value {
    /// As recordings write it so that it is read again as the same; nil for a table, and for what no setting takes.
    var recorded: String? {
        switch self {
        case .string(let text): quoted(text)
        case .integer(let number): "\(number)"
        case .boolean(let flag): "\(flag)"
        case .array(let items):
            items.allSatisfy({ if case .string = $0.value { true } else { false } })
                ? "[\(items.compactMap(\.value.recorded).joined(separator: ", "))]" : nil
        case .number, .table, .other: nil
        }
    }

    /// A text in quotes, or a list of such; nil for anything else.
    fileprivate init?(recorded text: String) {
        let isList = text.hasPrefix("[") && text.hasSuffix("]")
        guard isList || text.hasPrefix("\"") else { return nil }
        var texts: [String] = []
        var rest = isList ? text.dropFirst().dropLast() : text[...]
        while let first = rest.first {
            if first == " " || first == "," {
                rest = rest.dropFirst()
                continue
            }
            guard first == "\"", let item = Self.takeQuoted(&rest) else { return nil }
            texts.append(item)
        }
        if !isList, texts.count != 1 { return nil }
        let place = Place(file: "", line: 1, column: 1)
        self = isList ? .array(texts.map { SettingNode(.string($0), at: place) }) : .string(texts[0])
    }

    /// A backslash says that the next character is only itself.
    private static func takeQuoted(_ rest: inout Substring) -> String? {
        var text = ""
        var isEscaped = false
        rest = rest.dropFirst()
        while let character = rest.popFirst() {
            if isEscaped {
                text.append(character)
                isEscaped = false
            } else if character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                return text
            } else {
                text.append(character)
            }
        }
        return nil
    }

    private func quoted(_ text: String) -> String {
        "\"" + text.map { $0 == "\"" || $0 == "\\" ? "\\\($0)" : String($0) }.joined() + "\""
    }
}

/// Puts values into tables within tables.
private struct TableMaker {
    let place: Place
    private(set) var node: SettingNode

    init(place: Place) {
        self.place = place
        node = SettingNode(.table([]), at: place)
    }

    mutating func put(_ value: SettingNode.Value, at path: [String]) { node = put(value, at: path[...], in: node) }

    private func put(_ value: SettingNode.Value, at path: ArraySlice<String>, in node: SettingNode) -> SettingNode {
        guard let key = path.first else { return SettingNode(value, at: place) }
        var entries: [SettingNode.Entry] = []
        if case .table(let known) = node.value { entries = known }
        if let index = entries.firstIndex(where: { $0.key == key }) {
            entries[index].node = put(value, at: path.dropFirst(), in: entries[index].node)
        } else {
            let empty = SettingNode(.table([]), at: place)
            entries.append(.init(key: key, node: put(value, at: path.dropFirst(), in: empty)))
        }
        return SettingNode(.table(entries), at: place)
    }
}

private func trimmed(_ text: some StringProtocol) -> String {
    let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" || $0 == "\r" }
    let end = text.lastIndex { !isBlank($0) }
    guard let start = text.firstIndex(where: { !isBlank($0) }), let end else { return "" }
    return String(text[start...end])
}

/// What stands before the first mark, and after it.
private func divided(_ text: String, at mark: Character) -> (String, String) {
    guard let place = text.firstIndex(of: mark) else { return (trimmed(text), "") }
    return (trimmed(text[..<place]), trimmed(text[text.index(after: place)...]))
}

private func replaced(_ text: String, _ word: String, with other: String) -> String {
    var result = ""
    var rest = text[...]
    while !rest.isEmpty {
        if rest.hasPrefix(word) {
            result += other
            rest = rest.dropFirst(word.count)
        } else if let character = rest.popFirst() {
            result.append(character)
        }
    }
    return result
}
