import Synchronization

/// A regular expression of the configuration, over one line.
///
/// Swift's expressions try every way to fit, so a careless one can take hours for a line of 256 characters. Those are
/// refused (`PatternCost`). What is left takes at most the third power of the line's length.
final class PrinterPattern: Sendable {
    struct Refused: Error, CustomStringConvertible {
        var description: String
    }

    /// Named groups that a pattern may have: `(?<zone>\d+)`.
    static let groups = ["zone", "area", "text"]
    /// Of an expression, in characters.
    static let longest = 256

    /// What a line gave to the named groups.
    struct Found: Sendable, Hashable {
        var zone: Int?
        var area: Int?
        var text: String?
    }

    let source: String
    /// Compiled expressions belong to one thread at a time.
    private let expression: Mutex<Regex<AnyRegexOutput>>

    init(_ source: String) throws {
        if let why = Self.danger(in: source) { throw Refused(description: why) }
        let expression = try Regex(source).ignoresCase()
        _ = try expression.firstMatch(in: "")
        self.source = source
        self.expression = Mutex(expression)
    }

    /// What it finds in a line; nil: it does not fit.
    func find(in line: String) -> Found? {
        expression.withLock { expression in
            guard let match = (try? expression.firstMatch(in: line)) ?? nil else { return nil }
            func group(_ name: String) -> String? {
                source.contains("(?<\(name)>") ? match[name]?.substring.map(String.init) : nil
            }
            return Found(
                zone: group("zone").flatMap { Int($0) }, area: group("area").flatMap { Int($0) }, text: group("text"))
        }
    }

    /// Why a pattern may take too long, or has a group that means nothing here; nil: it is well.
    static func danger(in source: String) -> String? {
        guard source.count <= longest else { return "it has more than \(longest) characters" }
        let cost = PatternCost(source)
        if let name = cost.names.first(where: { !groups.contains($0) }) {
            return "the named group \"\(name)\" means nothing here: use \(groups.joined(separator: ", "))"
        }
        if cost.nests { return "a repeated group must not itself repeat or choose: it could take hours for one line" }
        guard cost.shared > PatternCost.most else { return nil }
        return
            "too many parts of it repeat without limit and could take each other's characters, as \".*\" and \".*\": it "
            + "could take hours for one line; begin it with ^, or say what stands between them (\"[0-9]+ \")"
    }
}
