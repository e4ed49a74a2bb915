/// How a panel prints its lines.
enum PrinterLayout: String, Sendable, CaseIterable {
    /// Any: words, wherever they stand.
    case lines
    /// Firesense AFP-2800 and XLS: `:EVENT Zzzz POINT LABEL DD/MM hh:mm;`, with the event in 18 columns.
    case firesense
}

/// One printed line, decoded.
struct PrinterLine: Sendable, Hashable {
    /// Longest line in bytes. Of a longer one the rest is a line of its own.
    static let longest = 256
    /// A line of fewer bytes must be whole to be words, and says little.
    static let short = 16

    /// With single blanks.
    var text: String
    /// Where the layout has columns: what happened, without labels. Nil: it may stand anywhere.
    var event: String?
    /// Where the layout tells it.
    var zone: Int?
    /// Looks like words, and not like noise.
    var isText: Bool
    /// One character again and again: a line across the paper.
    var isRule: Bool
    /// How far it reaches across the paper.
    var cells: Int

    init(_ bytes: [UInt8], _ charset: PanelCharset, _ layout: PrinterLayout, columns: ClosedRange<Int>?) {
        let printed = Self.withoutPrinterCodes(bytes)
        var decoded = charset.text(printed)
        // Columns count from the first cell of the paper, blank or not.
        decoded = String(repeating: " ", count: printed.prefix { $0 == 0x20 }.count) + decoded
        isText = Self.looksLikeText(
            decoded, controls: printed.count { $0 < 0x20 }, foreign: printed.count(where: Self.swedish.contains))
        isRule = Self.isRule(printed)
        cells = decoded.count
        text = decoded.split(whereSeparator: \.isWhitespace).joined(separator: " ")
        if layout == .firesense, let found = Self.firesense(Array(decoded)) {
            (event, zone, text) = found
        } else if let columns {
            event = String(decoded.dropFirst(columns.lowerBound - 1).prefix(columns.count))
        }
    }

    /// No letter and no digit: blank, or ruled.
    var isEmpty: Bool { isRule || !text.contains { $0.isLetter || $0.isNumber } }

    /// In another character set a drawn line may look like letters: "ÄÄÄÄÄÄ".
    private static func isRule(_ printed: [UInt8]) -> Bool {
        let marks = printed.filter { $0 > 0x20 }
        guard marks.count >= 3, let first = marks.first, marks.allSatisfy({ $0 == first }) else { return false }
        return first >= 0x80 || !Character(UnicodeScalar(first)).isLetter && !Character(UnicodeScalar(first)).isNumber
    }

    /// The event stands between the colon and the zone, whatever noise is before; the semicolon may be missing.
    private static func firesense(_ line: [Character]) -> (String?, Int?, String)? {
        var colon: Int?
        for (at, character) in line.enumerated() {
            if character == ":" { colon = at }
            guard character == "Z", let start = colon, at > start + 1, line[at - 1] == " ", at + 3 < line.count,
                at - start <= 24, let zone = Int(String(line[(at + 1)...(at + 3)])), zone >= 0
            else { continue }
            let text = String(line[(start + 1)...]).split(whereSeparator: \.isWhitespace).joined(separator: " ")
            return (String(line[(start + 1)..<at]), zone, text.hasSuffix(";") ? String(text.dropLast()) : text)
        }
        return nil
    }

    /// What tells a printer how to print, and fills the line: ESC and its letter, wide and narrow, bell, NUL.
    private static func withoutPrinterCodes(_ bytes: [UInt8]) -> [UInt8] {
        var printed: [UInt8] = []
        var skips = 0
        for byte in bytes {
            if skips == 1 {
                skips = 0
            } else if skips == 2, Self.isCommand(byte) {
                // ESC ! n, ESC - n, ESC W n and others have one byte more.
                skips = Self.withParameter.contains(byte) ? 1 : 0
            } else if byte == 0x1B {
                skips = 2
            } else {
                skips = 0
                if !Self.printerCodes.contains(byte) { printed.append(byte == 0x09 ? 0x20 : byte) }
            }
        }
        return printed
    }

    private static func isCommand(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x40...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || byte == 0x21 || byte == 0x2D
    }

    private static let printerCodes: Set<UInt8> = [0x00, 0x07, 0x0E, 0x0F, 0x11, 0x12, 0x13, 0x14, 0x18, 0x7F]
    private static let withParameter = Set("!-WSpkxtRQlUaG3AJ".utf8)
    private static let letters = Set("åäöÅÄÖéÉüÜæøÆØ§°".unicodeScalars)

    /// The Swedish letters beyond ASCII in Latin-1, in code page 437 or 850, and in UTF-8: with the wrong `charset` a line of
    /// words is a line of words.
    private static let swedish: Set<UInt8> = [
        0xE5, 0xE4, 0xF6, 0xC5, 0xC4, 0xD6, 0x86, 0x84, 0x94, 0x8F, 0x8E, 0x99, 0xC3, 0xA5, 0xA4, 0xB6, 0x85, 0x96,
    ]

    /// Most of it is ASCII or northern letters, and there is a word or number in it.
    /// - Parameter foreign: how many bytes are Swedish letters in some character set.
    private static func looksLikeText(_ text: String, controls: Int, foreign: Int) -> Bool {
        let scalars = text.unicodeScalars.filter { $0 != " " }
        let good = scalars.count { ("!"..."~").contains($0) }
        let northern = scalars.count(where: letters.contains)
        let words = scalars.count { $0.properties.isAlphabetic || ("0"..."9").contains($0) }
        let bad = max(0, scalars.count - good - max(northern, foreign)) + controls
        return words >= 2 && (scalars.count < short ? bad == 0 : bad * 8 <= scalars.count)
    }
}
