import AlarmProtocol

/// The paper's end of a panel's printer port: lines in, events out. Nothing is answered; nothing is dropped.
public struct PrinterLink: PanelLink {
    struct Paper: Sendable {
        var charset = PanelCharset.latin1
        var layout = PrinterLayout.lines
        /// Columns of the event, from 1. Nil: it may stand anywhere.
        var columns: ClosedRange<Int>?
        /// Ends a line instead of CR, LF and FF.
        var terminator: UInt8?
        /// A line that begins so belongs to the one before.
        var continuation: [UInt8] = []
        /// What a record's first line is like; the lines after it belong to it.
        var firstLine: PrinterPattern?
        /// Of the paper, in characters: a line that fills it breaks off in the middle of a word.
        var width: Int?

        var joins: Bool { firstLine != nil || !continuation.isEmpty }
        /// Milliseconds after the last byte in which a line without an end is taken as one.
        var flush: Int64 = 200
        var classifies = true
        var rules: [PrinterRule] = []
        var ignored: [PrinterPattern] = []
    }

    private let paper: Paper
    private var line: [UInt8] = []
    /// A line that may go on in the next, and how far the last of it reached across the paper.
    private var held: [UInt8] = []
    private var heldCells = 0
    private var lastByte: Int64 = 0
    private var ignoredLines = 0
    /// The last line was noise, and no pause has been since: a short one without known words is noise as well.
    private var isNoisy = false

    init(_ paper: Paper = Paper()) { self.paper = paper }

    public var deadline: Int64? { line.isEmpty && held.isEmpty ? nil : lastByte + paper.flush }

    public mutating func tick(at now: Int64) -> [PanelStep] {
        guard let due = deadline, now >= due else { return [] }
        return ended() + release()
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PanelStep] {
        if now - lastByte >= paper.flush { isNoisy = false }
        lastByte = now
        if isEnd(byte) { return ended() }
        line.append(byte)
        return line.count >= PrinterLine.longest ? cut() : []
    }

    /// A long line is told as far as it goes. Of noise the last is kept: a line may stand behind it.
    private mutating func cut() -> [PanelStep] {
        let half = Array(line.prefix(PrinterLine.longest / 2))
        let start = read(half)
        guard !start.isText, PrinterWords(start) == nil else { return ended() }
        line.removeFirst(half.count)
        return noise(half)
    }

    private mutating func noise(_ bytes: [UInt8]) -> [PanelStep] {
        isNoisy = true
        return [.strange(bytes, why: "no words: noise, or another character set")]
    }

    private func isEnd(_ byte: UInt8) -> Bool {
        let isBreak = byte == 0x0D || byte == 0x0A || byte == 0x0C
        if let terminator = paper.terminator { return byte == terminator }
        return isBreak || (paper.layout == .firesense && byte == 0x3B)
    }

    /// The line that was being printed is whole.
    private mutating func ended() -> [PanelStep] {
        // With a terminator of its own, breaks are blanks within a line.
        let whole = line.map { $0 == 0x0D || $0 == 0x0A || $0 == 0x0C ? 0x20 : $0 }
        line = []
        return paper.joins ? join(whole) : judge(whole)
    }

    /// Lines of one record become one; what stands on the paper between them, as a page's heading, does not end it.
    private mutating func join(_ whole: [UInt8]) -> [PanelStep] {
        guard whole.contains(where: { $0 > 0x20 }) else { return [] }
        let line = read(whole)
        let words = PrinterWords(line)
        if line.isEmpty { return release() + judge(whole) }
        if paper.rules.allSatisfy({ $0.take(line, words) == nil }) {
            if let steps = ignored(line, whole) { return steps }
            if !line.isText, words == nil { return noise(whole) }
        }
        let goesOn = !paper.continuation.isEmpty && whole.starts(with: paper.continuation)
        let isNext = goesOn || paper.firstLine.map { $0.find(in: line.text) == nil && !isAlarmOfItsOwn(words) } ?? false
        if isNext, !held.isEmpty, held.count + whole.count < PrinterLine.longest {
            let isCut = paper.width.map { heldCells >= $0 } ?? false
            let rest = goesOn ? whole.dropFirst(paper.continuation.count) : whole[...]
            held += (isCut ? [] : [0x20]) + rest
            heldCells = line.cells
            return []
        }
        let before = release()
        held = whole
        heldCells = line.cells
        return before
    }

    /// Behind a line that has said something, an alarm is never taken for the rest of it.
    private func isAlarmOfItsOwn(_ words: PrinterWords?) -> Bool {
        words?.isPlainAlarm ?? false && PrinterWords(read(held)) != nil
    }

    private func read(_ bytes: [UInt8]) -> PrinterLine {
        PrinterLine(bytes, paper.charset, paper.layout, columns: paper.columns)
    }

    private mutating func release() -> [PanelStep] {
        defer { held = [] }
        return held.isEmpty ? [] : judge(held, isRecord: true)
    }

    /// - Parameter isRecord: its lines have been judged already by what is to be ignored.
    private mutating func judge(_ bytes: [UInt8], isRecord: Bool = false) -> [PanelStep] {
        let line = read(bytes)
        let words = PrinterWords(line)
        guard !line.isEmpty else {
            if line.text.isEmpty { return [] }
            return line.isRule || line.text.allSatisfy(\.isASCII)
                ? [.frame(bytes, says: "nothing but a rule")] : noise(bytes)
        }
        let isText = line.isText && !(isNoisy && bytes.count < PrinterLine.short)
        let taken = paper.rules.lazy.compactMap { rule in rule.take(line, words).map { (rule, $0) } }.first
        // Noise may fit a rule that takes everything.
        guard isText || words != nil || taken.map({ !$0.0.contains.isEmpty }) ?? false else { return noise(bytes) }
        isNoisy = false
        if let (rule, taken) = taken { return told(rule, taken, line, words, bytes) }
        return (isRecord ? nil : ignored(line, bytes)) ?? classified(line, words, bytes)
    }

    /// Nil: none of what is configured to be ignored.
    private mutating func ignored(_ line: PrinterLine, _ bytes: [UInt8]) -> [PanelStep]? {
        guard let pattern = paper.ignored.first(where: { $0.find(in: line.text) != nil }) else { return nil }
        ignoredLines += 1
        return [
            .frame(bytes, says: "ignored by \"\(pattern.source)\": \(line.text)"),
            .log(.notice, "\(ignoredLines) lines ignored since the line was opened; the last: \(line.text)"),
        ]
    }

    private func told(
        _ rule: PrinterRule, _ taken: PrinterRule.Taken, _ line: PrinterLine, _ words: PrinterWords?, _ bytes: [UInt8]
    ) -> [PanelStep] {
        let ends = taken.ends ?? (paper.classifies && words?.ends ?? false)
        let zone = taken.found.zone ?? line.zone ?? PrinterWords.zone(in: line.text) ?? 0
        let said = Said(kind: words?.kind ?? "unclassified", partition: taken.found.area, zone: zone)
        let signal = Signal(
            point: rule.point, ends ? .cleared : .call, text: taken.found.text ?? line.text, said: said)
        return [
            .frame(bytes, says: "point \(rule.point)\(ends ? ", its end" : ""): \(line.text)"),
            .report([signal], accept: nil),
        ]
    }

    private func classified(_ line: PrinterLine, _ words: PrinterWords?, _ bytes: [UInt8]) -> [PanelStep] {
        guard paper.classifies, let words else {
            return [
                .frame(bytes, says: "not known: \(line.text)"),
                .report([Signal(point: "unclassified", .call, text: line.text)], accept: nil),
            ]
        }
        let zone = line.zone ?? PrinterWords.zone(in: line.text) ?? 0
        guard let kind = words.kind else {
            // The trade has no code for "acknowledged", and none for the end of nobody knows what: an untyped restore.
            let name = words.isAcknowledgement ? "acknowledged" : "reset"
            let signal = Signal(point: name, .cleared, text: line.text, said: Said(kind: "unclassified"))
            return [.frame(bytes, says: "by its words \(name): \(line.text)"), .report([signal], accept: nil)]
        }
        let said = Said(kind: kind, zone: zone)
        let signal = Signal(point: said.pointName, words.ends ? .cleared : .call, text: line.text, said: said)
        return [
            .frame(bytes, says: "by its words \(said.summary)\(words.ends ? ", its end" : ""): \(line.text)"),
            .report([signal], accept: nil),
        ]
    }
}
