import CTOML
import Drivers

/// The one place that knows how a configuration file is written down.
enum TOML {
    /// The longest file that is read. A thousand points take 200 KB.
    static let mostBytes = 512 * 1024

    /// The document's tables and values, in the order of the file and with their places; nil, with the reason in
    /// `problems`, where it is no document at all.
    static func tree(of bytes: [UInt8], file: String, problems: Problems) -> SettingNode? {
        var error = ctoml_error()
        let parsed = bytes.withUnsafeBytes { buffer in
            ctoml_parse(buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count, &error)
        }
        guard let document = parsed else {
            let message = withUnsafeBytes(of: &error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            problems.add(
                Place(file: file, line: Int(error.line), column: Int(error.column)),
                "not valid TOML: \(message)\(hint(for: message)); the file was read no further, correct this first")
            return nil
        }
        defer { ctoml_free(document) }

        var count = 0
        let nodes = ctoml_nodes(document, &count)
        var reader = TreeReader(nodes: UnsafeBufferPointer(start: nodes, count: count), file: file, problems: problems)
        return reader.next()
    }

    /// What is nearly always behind some errors that the parser tells in its own terms.
    private static func hint(for message: String) -> String {
        if message.contains("unescaped control characters") { return " (is a closing quote missing?)" }
        if message.contains("leading zeroes") { return " (an account is written in quotes, as \"0471\")" }
        if message.contains("parsing boolean") || message.contains("could not determine value type") {
            return " (a text is written in quotes)"
        }
        return ""
    }
}

/// Walks the flat list that the parser gives: each node is followed by those that stand in it. How deep they nest is
/// bounded by the parser.
private struct TreeReader {
    let nodes: UnsafeBufferPointer<ctoml_node>
    let file: String
    let problems: Problems
    private var position = 0

    init(nodes: UnsafeBufferPointer<ctoml_node>, file: String, problems: Problems) {
        self.nodes = nodes
        self.file = file
        self.problems = problems
    }

    mutating func next() -> SettingNode? {
        guard position < nodes.count else { return nil }
        let node = nodes[position]
        position += 1
        let place = Place(file: file, line: Int(node.line), column: Int(node.column))
        let value: SettingNode.Value
        switch node.kind {
        case CTOML_TABLE:
            value = .table(
                (0..<node.children).compactMap { _ in
                    guard position < nodes.count else { return nil }
                    let key = text(nodes[position].key, at: place)
                    return next().map { SettingNode.Entry(key: key, node: $0) }
                })
        case CTOML_ARRAY: value = .array((0..<node.children).compactMap { _ in next() })
        case CTOML_STRING: value = .string(text(node.string, at: place))
        case CTOML_INTEGER: value = .integer(node.integer)
        case CTOML_NUMBER: value = .number(node.number)
        case CTOML_BOOLEAN: value = .boolean(node.boolean)
        case CTOML_DATE: value = .other("a date")
        case CTOML_TIME: value = .other("a time of day")
        default: value = .other("a date and time")
        }
        return SettingNode(value, at: place)
    }

    /// No setting takes a control character: it would cut a file's name short or steer the terminal of who reads it.
    private func text(_ text: ctoml_text, at place: Place) -> String {
        guard let bytes = text.bytes, text.count > 0 else { return "" }
        let buffer = UnsafeRawBufferPointer(start: bytes, count: text.count)
        let string = String(decoding: buffer, as: UTF8.self)
        if let control = string.unicodeScalars.first(where: { $0.properties.generalCategory == .control }) {
            problems.add(place, "a text or name here has the control character U+\(hex(control.value)): take it out")
        }
        return string
    }
}
