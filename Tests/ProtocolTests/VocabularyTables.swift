import Foundation
import Testing

@testable import AlarmProtocol

/// The tables in `data/`, read independently of the generator.
enum Tables {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// The rows of a table by the names of its columns. Knows the quotes of RFC 4180, but no line breaks inside them.
    static func rows(of name: String) throws -> [[String: String]] {
        let text = try String(contentsOf: root.appending(path: "data/\(name)"), encoding: .utf8)
        var lines = text.split(whereSeparator: \.isNewline).map(fields)
        let heads = lines.removeFirst()
        return try lines.map { line in
            try #require(line.count == heads.count, "\(name): \(line)")
            return Dictionary(uniqueKeysWithValues: zip(heads, line))
        }
    }

    private static func fields(_ line: Substring) -> [String] {
        var fields = [""]
        var quoted = false
        for character in line {
            switch character {
            case "\"": quoted.toggle()
            case "," where !quoted: fields.append("")
            default: fields[fields.count - 1].append(character)
            }
        }
        return fields
    }
}

extension Urgency {
    /// The class by its name in `data/kinds.csv`.
    init?(name: String) {
        guard let found = Urgency.allCases.first(where: { "\($0)" == name }) else { return nil }
        self = found
    }
}

extension Qualifier {
    /// The qualifier that "3130" begins with.
    init?(of qualified: String) {
        guard let digit = qualified.first.flatMap({ UInt8(String($0)) }) else { return nil }
        self.init(rawValue: digit)
    }
}
