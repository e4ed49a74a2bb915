/// How a text is written for a receiver. The protocol carries no marker: what is sent is agreed with the centre, and
/// what comes is tried as UTF-8 first and taken for Windows-1252 else (DC-09 reference 8).
public enum CharacterSet: Sendable, Hashable, CaseIterable {
    /// What the text blocks were meant for.
    case windows1252
    /// What the newest editions allow as well.
    case utf8
    /// For receivers that stumble over anything else.
    case ascii

    /// A text that may stand in a frame: brackets, bars, carets and control characters are replaced (DC-09 reference
    /// 7.1), and what the set does not have becomes its nearest ASCII letters, or "?".
    /// - Parameter limit: bytes at most; cut between characters.
    public func encode(_ text: String, limit: Int = .max) -> [UInt8] {
        var bytes: [UInt8] = []
        for character in text {
            let more = encode(character)
            if more.count > limit - bytes.count { break }
            bytes.append(contentsOf: more)
        }
        return bytes
    }

    /// The text of some bytes of a frame. Control characters become blanks, so that it can be shown anywhere.
    public static func decode(_ bytes: some Collection<UInt8>) -> String {
        let text = String(validating: bytes, as: UTF8.self) ?? windows1252(bytes)
        guard text.unicodeScalars.contains(where: \.isControl) else { return text }
        var shown = String.UnicodeScalarView()
        for scalar in text.unicodeScalars { shown.append(scalar.isControl ? " " : scalar) }
        return String(shown)
    }

    private func encode(_ character: Character) -> [UInt8] {
        if let ascii = character.asciiValue { return [Self.replaced(ascii)] }
        switch self {
        case .utf8:
            return character.unicodeScalars.contains(where: \.isControl) ? [UInt8(ascii: " ")] : Array(character.utf8)
        case .windows1252:
            if let byte = Self.windows1252Bytes[character] { return [byte] }
        case .ascii: break
        }
        return Array((Self.nearestASCII[character] ?? "?").utf8)
    }

    private static func replaced(_ ascii: UInt8) -> UInt8 {
        switch ascii {
        case UInt8(ascii: "["): UInt8(ascii: "(")
        case UInt8(ascii: "]"): UInt8(ascii: ")")
        case UInt8(ascii: "|"): UInt8(ascii: "/")
        case UInt8(ascii: "^"): UInt8(ascii: "'")
        case 0..<0x20, 0x7F: UInt8(ascii: " ")
        default: ascii
        }
    }

    // MARK: Windows-1252

    private static func windows1252(_ bytes: some Collection<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        for byte in bytes {
            text.append((0x80..<0xA0).contains(byte) ? windows1252Middle[Int(byte) - 0x80] : Unicode.Scalar(byte))
        }
        return String(text)
    }

    /// 80 to 9F. Five of them mean nothing.
    private static let windows1252Middle: [Unicode.Scalar] = [
        "€", "\u{FFFD}", "‚", "ƒ", "„", "…", "†", "‡", "ˆ", "‰", "Š", "‹", "Œ", "\u{FFFD}", "Ž", "\u{FFFD}",
        "\u{FFFD}", "‘", "’", "“", "”", "•", "–", "—", "˜", "™", "š", "›", "œ", "\u{FFFD}", "ž", "Ÿ",
    ]

    /// A character equals its decomposed form, so "a" with a ring above finds "å".
    private static let windows1252Bytes: [Character: UInt8] = {
        var table: [Character: UInt8] = [:]
        for byte in UInt8(0x80)...0xFF {
            let scalar = byte < 0xA0 ? windows1252Middle[Int(byte) - 0x80] : Unicode.Scalar(byte)
            if scalar != "\u{FFFD}" { table[Character(scalar)] = byte }
        }
        return table
    }()

    /// Letters of the European alphabets and the signs of a text processor, each with what it is nearest to.
    private static let nearestASCII: [Character: String] = {
        var table: [Character: String] = [
            "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "ß": "ss", "Þ": "Th", "þ": "th", "€": "EUR", "…": "...",
            "™": "TM", "©": "(c)", "®": "(r)", "½": "1/2", "¼": "1/4", "¾": "3/4", "±": "+/-", "№": "No", "Ĳ": "IJ",
            "ĳ": "ij", "ﬁ": "fi", "ﬂ": "fl",
        ]
        let alike: [(String, String)] = [
            ("A", "ÀÁÂÃÄÅĀĂĄ"), ("a", "àáâãäåāăąª"), ("C", "ÇĆĈĊČ"), ("c", "çćĉċč¢"), ("D", "ÐĎĐ"), ("d", "ðďđ"),
            ("E", "ÈÉÊËĒĔĖĘĚ"), ("e", "èéêëēĕėęě"), ("f", "ƒ"), ("G", "ĜĞĠĢ"), ("g", "ĝğġģ"), ("H", "ĤĦ"),
            ("h", "ĥħ"), ("I", "ÌÍÎÏĨĪĬĮİ"), ("i", "ìíîïĩīĭįı"), ("J", "Ĵ"), ("j", "ĵ"), ("K", "Ķ"), ("k", "ķĸ"),
            ("L", "ĹĻĽĿŁ£"), ("l", "ĺļľŀł"), ("N", "ÑŃŅŇŊ"), ("n", "ñńņňŋ"), ("O", "ÒÓÔÕÖØŌŎŐ"),
            ("o", "òóôõöøōŏőº°"), ("R", "ŔŖŘ"), ("r", "ŕŗř"), ("S", "ŚŜŞŠȘ"), ("s", "śŝşšș§"), ("T", "ŢŤŦȚ"),
            ("t", "ţťŧț"), ("U", "ÙÚÛÜŨŪŬŮŰŲ"), ("u", "ùúûüũūŭůűųµ"), ("W", "Ŵ"), ("w", "ŵ"), ("Y", "ÝŶŸ¥"),
            ("y", "ýÿŷ"), ("Z", "ŹŻŽ"), ("z", "źżž"), ("'", "‘’‚‛′´`ˈ"), ("\"", "“”„‟″«»"), ("-", "–—‐‑‒−"),
            ("<", "‹"), (">", "›"), ("*", "•·×"), ("1", "¹"), ("2", "²"), ("3", "³"), ("/", "¦"), ("!", "¡"),
            (" ", "\u{A0}\u{2009}\u{202F}"), ("~", "˜"), ("+", "†‡"), (":", "÷"),
        ]
        for (ascii, characters) in alike {
            for character in characters { table[character] = ascii }
        }
        return table
    }()
}

extension Unicode.Scalar {
    /// C0, delete and C1.
    fileprivate var isControl: Bool { value < 0x20 || (0x7F..<0xA0).contains(value) }
}
