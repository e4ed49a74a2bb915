import Synchronization

/// A regular expression of the configuration, over one line.
///
/// Swift's expressions try every way to fit, so a careless one can take hours for a line of 256 characters. Those are
/// refused: a repeated group must not itself repeat or choose, and few parts may repeat without limit. What is left takes
/// at most a low power of the line's length.
final class PrinterPattern: Sendable {
    struct Refused: Error, CustomStringConvertible {
        var description: String
    }

    /// Named groups that a pattern may have: `(?<zone>\d+)`.
    static let groups = ["zone", "area", "text"]
    /// Unlimited repeats in one pattern, and those of "any character" among them.
    static let repeats = 8
    static let wideRepeats = 2

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
        var scan = PatternScan(Array(source))
        scan.run()
        if let name = scan.names.first(where: { !groups.contains($0) }) {
            return "the named group \"\(name)\" means nothing here: use \(groups.joined(separator: ", "))"
        }
        if scan.nests { return "a repeated group must not itself repeat or choose: it could take hours for one line" }
        if scan.repeats > repeats || scan.wide > wideRepeats {
            return
                "it has \(scan.repeats) parts that repeat without limit, \(scan.wide) of them any character; at most "
                + "\(repeats) and \(wideRepeats) are allowed, for more could take hours for one line"
        }
        return nil
    }
}

/// Counts what repeats in a regular expression.
private struct PatternScan {
    let text: [Character]
    var repeats = 0
    var wide = 0
    var nests = false
    var names: [String] = []
    private var at = 0
    /// For each open group, whether something in it repeats or chooses.
    private var open: [Bool] = [false]
    /// Of the part that ends here: whether it is any character, or a group in which something repeats.
    private var part = (isWide: false, isLoose: false)

    init(_ text: [Character]) { self.text = text }

    mutating func run() {
        while at < text.count {
            let character = text[at]
            at += 1
            switch character {
            case "\\":
                let letter: Character = at < text.count ? text[at] : " "
                part = ("SDWNX".contains(letter), false)
                at += 1
            case "[":
                skipClass()
            case "(":
                open.append(false)
                readName()
                part = (false, false)
            case ")":
                let isLoose = open.count > 1 ? open.removeLast() : false
                if isLoose { open[open.count - 1] = true }
                part = (false, isLoose)
            case "|":
                open[open.count - 1] = true
                part = (false, false)
            case "*", "+": repeated(withoutLimit: true)
            case "{": readCount()
            case "?": break
            default: part = (character == ".", false)
            }
        }
    }

    private mutating func repeated(withoutLimit: Bool) {
        // The + of "a*+" and the like only says how greedily.
        if at >= 2, "*+?}".contains(text[at - 2]), withoutLimit, at < 3 || text[at - 3] != "\\" { return }
        if part.isLoose { nests = true }
        open[open.count - 1] = true
        guard withoutLimit else { return }
        repeats += 1
        if part.isWide { wide += 1 }
    }

    private mutating func skipClass() {
        let isNegated = at < text.count && text[at] == "^"
        if isNegated { at += 1 }
        if at < text.count, text[at] == "]" { at += 1 }
        while at < text.count, text[at] != "]" { at += text[at] == "\\" ? 2 : 1 }
        at += 1
        part = (isNegated, false)
    }

    private mutating func readName() {
        guard at + 1 < text.count, text[at] == "?" else { return }
        if text[at + 1] == "<", let end = text[at...].firstIndex(of: ">"), at + 2 < text.count,
            text[at + 2] != "=", text[at + 2] != "!"
        {
            names.append(String(text[(at + 2)..<max(at + 2, end)]))
            at = end + 1
        } else {
            at += 1
        }
    }

    private mutating func readCount() {
        guard let end = text[at...].firstIndex(of: "}") else { return }
        let count = String(text[at..<end])
        at = end + 1
        let isMany = count != "0" && count != "1" && count != "0,1"
        if isMany { repeated(withoutLimit: count.hasSuffix(",")) }
    }
}
