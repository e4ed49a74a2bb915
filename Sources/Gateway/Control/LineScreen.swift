import Drivers

/// What passes on a device's line, for a person: at most 80 columns, readable on a console of 9600 bit/s.
///
/// The time, who speaks (`<` the device, `>` this side), the bytes in hexadecimal, and beside them what they mean:
///
///     12:31:05.123 < 31 30 31 31 20 20 20 20  link test
///                    20 20 20 20 20 20 20 40
///     12:31:05.131 > 06                       accepted
///     12:31:05.131 =                          1234-zone-5 call [1130 zone 5]
public struct LineScreen: Sendable {
    private enum Layout {
        static let width = 80
        /// Columns before the bytes, bytes on one row, and columns before the meaning.
        static let bytes = 15
        static let bytesOnRow = 8
        static let meaning = bytes + bytesOnRow * 3
        /// Rows of one passage, unless all bytes are asked for.
        static let rows = 4
        /// Passages that are known again when they repeat, and milliseconds after which repeats are told of.
        static let known = 128
        static let repeatTime: Int64 = 10_000
    }

    /// Every byte, sixteen on a row with its letters, under what it means.
    private let isHexadecimal: Bool
    /// Every passage, however often it repeats.
    private let showsAll: Bool
    /// Several devices are watched: each line says which.
    private let namesDevices: Bool
    private var known: [WatchedLine] = []
    /// Who spoke last, where it was something new.
    private var lastNew: WatchedLine.What?
    private var repeats = 0
    private var repeatsSince: Int64 = 0

    public init(hexadecimal: Bool = false, all: Bool = false, namesDevices: Bool = false) {
        isHexadecimal = hexadecimal
        showsAll = all
        self.namesDevices = namesDevices
    }

    /// The rows for one thing that was seen. A passage that is as one before is only counted: a bus that is polled ten
    /// times a second would fill any screen.
    public mutating func rows(_ line: WatchedLine) -> [String] {
        if !showsAll, line.what == .received || line.what == .sent, line.bytes != nil {
            var passage = line
            (passage.at, passage.uptime, passage.text) = (0, 0, nil)
            // The answer to something new is shown with it.
            let isKnown = known.contains(passage)
            let isAnswer = lastNew.map { $0 != line.what } ?? false
            lastNew = isKnown ? nil : line.what
            if isKnown, !isAnswer {
                if repeats == 0 { repeatsSince = line.uptime }
                repeats += 1
                return line.uptime - repeatsSince >= Layout.repeatTime ? takeRepeats() : []
            }
            if !isKnown { known.append(passage) }
            if known.count > Layout.known { known.removeFirst() }
        }
        return takeRepeats() + shown(line)
    }

    /// What is left to be told of repeats.
    public mutating func takeRepeats() -> [String] {
        guard repeats > 0 else { return [] }
        defer { repeats = 0 }
        return [blank(Layout.bytes) + "… \(repeats) as before"]
    }

    private func shown(_ line: WatchedLine) -> [String] {
        let device = namesDevices && !line.device.isEmpty ? "\(line.device): " : ""
        let text = (device + (line.text ?? "")).printable
        let time = String(StatusScreen.utc(line.at, withMilliseconds: true).suffix(12))
        let begin = "\(time) \(mark(line.what)) "
        switch line.what {
        case .received, .sent, .signal: return passage(begin, line.bytes ?? "", text)
        case .event: return passage(begin, "", line.event.map { "event \($0): \(text)" } ?? "event: \(text)")
        case .watching: return words(begin, "\(device)watched from now on (\((line.text ?? "").printable))")
        case .opening: return words(begin, "\(device)is opened")
        case .lost: return words(begin, "LOST \(text)")
        case .notStored: return words(begin, "NOT STORED \(text)")
        case .missed:
            return words(begin, "\(line.count ?? 0) more were not shown: this screen or line is too slow for them")
        case .log, .differs: return words(begin, text)
        }
    }

    private func mark(_ what: WatchedLine.What) -> String {
        switch what {
        case .received: "<"
        case .sent: ">"
        case .signal: "="
        case .event: "*"
        case .lost, .notStored, .missed, .differs: "!"
        case .watching, .opening, .log: "-"
        }
    }

    private func words(_ begin: String, _ text: String) -> [String] {
        let rows = folded(text, to: Layout.width - Layout.bytes)
        return rows.enumerated().map { ($0.offset == 0 ? begin : blank(Layout.bytes)) + $0.element }
    }

    private func passage(_ begin: String, _ bytes: String, _ text: String) -> [String] {
        if isHexadecimal, !bytes.isEmpty { return words(begin, text) + dump(bytes) }
        var hex = grouped(bytes, Layout.bytesOnRow)
        var meaning = folded(text, to: Layout.width - Layout.meaning)
        if hex.count > Layout.rows {
            let left = (bytes.utf8.count + 1) / 3 - (Layout.rows - 1) * Layout.bytesOnRow
            hex = hex.prefix(Layout.rows - 1) + ["… \(left) more (--hex)"]
        }
        if meaning.count > Layout.rows * 2 { meaning = meaning.prefix(Layout.rows * 2 - 1) + ["…"] }
        return (0..<max(hex.count, meaning.count, 1)).map { row in
            let left = (row == 0 ? begin : blank(Layout.bytes)) + (row < hex.count ? hex[row] : "")
            guard row < meaning.count else { return left }
            return left + blank(Layout.meaning - left.columns) + meaning[row]
        }
    }

    /// Sixteen bytes on a row, and their letters.
    private func dump(_ bytes: String) -> [String] {
        let values = Recording.bytes(hexadecimal: bytes) ?? []
        return grouped(bytes, 16).enumerated().map { row, hex in
            let letters = values.dropFirst(row * 16).prefix(16).map {
                (0x20...0x7E).contains($0) ? Character(Unicode.Scalar($0)) : "·"
            }
            return blank(Layout.bytes) + hex + blank(48 - hex.utf8.count) + String(letters)
        }
    }

    private func grouped(_ bytes: String, _ count: Int) -> [String] {
        let pairs = bytes.split(separator: " ")
        return stride(from: 0, to: pairs.count, by: count).map {
            pairs[$0..<min($0 + count, pairs.count)].joined(separator: " ")
        }
    }

    /// In rows of at most so many columns, parted at blanks where there are any.
    private func folded(_ text: String, to width: Int) -> [String] {
        var rows: [String] = []
        var row = ""
        var columns = 0
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            for (index, piece) in pieces(String(word), of: width).enumerated() {
                let gap = index == 0 && !row.isEmpty ? 1 : 0
                if columns + gap + piece.columns > width {
                    rows.append(row)
                    (row, columns) = ("", 0)
                } else if gap == 1 {
                    row += " "
                    columns += 1
                }
                row += piece
                columns += piece.columns
            }
        }
        return row.isEmpty ? rows : rows + [row]
    }

    private func pieces(_ word: String, of width: Int) -> [String] {
        guard word.columns > width else { return [word] }
        var pieces = [""]
        var columns = 0
        for character in word {
            let wide = String(character).columns
            if columns + wide > width {
                pieces.append("")
                columns = 0
            }
            pieces[pieces.count - 1].append(character)
            columns += wide
        }
        return pieces
    }

    private func blank(_ count: Int) -> String { String(repeating: " ", count: max(0, count)) }
}
