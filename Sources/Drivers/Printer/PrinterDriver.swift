/// A panel's printer port: its lines by configured rules, and by the words in them.
public struct PrinterDriver: PanelDriver {
    public typealias Link = PrinterLink
    public typealias Played = PlayedPrinter

    public static let name = "printer"
    public static let panel = "Printer ports: Firesense, Notifier, Esser and others"
    public static let lifeSign = "no line"

    public let serial: SerialSettings
    public let silence: Duration?
    let paper: PrinterLink.Paper

    public init(_ settings: Settings) throws {
        serial = SerialSettings(settings, defaultLine: PlayedPrinter.line, offersXONXOFF: true)
        silence = Self.silence(settings, default: .zero)
        var paper = PrinterLink.Paper()
        paper.charset = settings.choice("charset", of: PanelCharset.names, default: .latin1)
        paper.layout = settings.choice(
            "layout", of: PrinterLayout.allCases.map { ($0.rawValue, $0) }, default: .lines)
        paper.columns = Self.columns(settings)
        paper.terminator = Self.terminator(settings)
        if settings.has("continuation") {
            paper.continuation = Array(settings.string("continuation", limit: 16).utf8)
            if !paper.continuation.allSatisfy({ (0x20...0x7E).contains($0) }) {
                settings.refuse("continuation", "expected blanks or ASCII characters, as \"    \"")
            }
        }
        paper.firstLine = PrinterRule.pattern(settings, "first-line")
        if settings.has("width") {
            paper.width = settings.integer("width", in: 16...PrinterLine.longest)
            if paper.firstLine == nil, paper.continuation.isEmpty {
                settings.refuse(
                    "width", "it says how lines are joined: say with first-line or continuation which of them are")
            }
        }
        paper.flush =
            settings.duration("flush", in: .milliseconds(50) ... .seconds(10), default: .milliseconds(200)).milliseconds
        paper.classifies = settings.boolean("classify", default: true)
        if settings.has("ignore") {
            paper.ignored = settings.strings("ignore").compactMap { PrinterRule.pattern($0, settings, "ignore") }
        }
        paper.rules = Self.rules(settings)
        self.paper = paper
    }

    public func link() -> PrinterLink { PrinterLink(paper) }

    /// `event-columns = "1-18"`, counted from 1.
    private static func columns(_ settings: Settings) -> ClosedRange<Int>? {
        guard let text = settings.optionalString("event-columns", expected: "columns as \"1-18\"") else { return nil }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard ends.count == 2, let first = ends[0], let last = ends[1], first >= 1, first <= last,
            last <= PrinterLine.longest
        else {
            settings.refuse(
                "event-columns", "expected columns from 1 to \(PrinterLine.longest) as \"1-18\", found \"\(text)\"")
            return nil
        }
        return first...last
    }

    private static func terminator(_ settings: Settings) -> UInt8? {
        guard let text = settings.optionalString("terminator", expected: "one character, as \";\"") else { return nil }
        guard text.utf8.count == 1, let byte = text.utf8.first, byte < 0x7F, byte != 0x20 else {
            settings.refuse("terminator", "expected one ASCII character, as \";\", found \"\(text.prefix(40))\"")
            return nil
        }
        return byte
    }

    private static func rules(_ settings: Settings) -> [PrinterRule] {
        var rules: [PrinterRule] = []
        for table in settings.points {
            let rule = PrinterRule(table)
            if let first = rules.first(where: \.takesEverything) {
                settings.problems.add(
                    table.place,
                    "\(table.path): no line can reach it: \"\(first.point)\", earlier in the file, has no condition and "
                        + "takes every line; move \"\(first.point)\" to the end")
            }
            rules.append(rule)
        }
        return rules
    }
}
