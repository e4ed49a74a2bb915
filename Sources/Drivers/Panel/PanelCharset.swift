/// How a panel writes letters beyond ASCII. Seven-bit panels write national letters as ISO 646 has them; eight-bit panels
/// send whatever their maker's computer used.
enum PanelCharset: Sendable, CaseIterable {
    case latin1
    case latin9
    case windows1252
    case iso646se
    case cp850
    case cp437
    case cp865
    case utf8

    /// What a table calls them; `latin-1` and `latin-9` are ISO 8859-1 and -15.
    static let names: [(String, PanelCharset)] = [
        ("latin-1", .latin1), ("latin-9", .latin9), ("windows-1252", .windows1252), ("iso646-se", .iso646se),
        ("cp850", .cp850), ("cp437", .cp437), ("cp865", .cp865), ("utf-8", .utf8),
    ]

    /// The text, without blanks around it. Control and invisible characters become blanks; what the character set does
    /// not know becomes U+FFFD.
    func text(_ bytes: [UInt8]) -> String {
        let raw =
            switch self {
            case .utf8: String(decoding: bytes, as: UTF8.self)
            default: String(String.UnicodeScalarView(bytes.map(scalar)))
            }
        var scalars = String.UnicodeScalarView()
        for scalar in raw.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator: scalars.append(" ")
            default: scalars.append(scalar)
            }
        }
        return trimmed(String(scalars))
    }

    /// The same the other way, for played panels; what the character set does not have becomes a question mark.
    func bytes(_ text: String) -> [UInt8] {
        if self == .utf8 { return Array(text.utf8) }
        return text.unicodeScalars.map { scalar in
            if scalar.isASCII, self.scalar(UInt8(scalar.value)) == scalar { return UInt8(scalar.value) }
            return (UInt8(0)...255).first { self.scalar($0) == scalar } ?? UInt8(ascii: "?")
        }
    }

    private func scalar(_ byte: UInt8) -> Unicode.Scalar {
        switch self {
        case .iso646se where byte < 0x80: Self.swedish[byte] ?? Unicode.Scalar(byte)
        case _ where byte < 0x80: Unicode.Scalar(byte)
        case .cp850: Self.page850[Int(byte) - 0x80]
        case .cp437: Self.page437[Int(byte) - 0x80]
        case .cp865: Self.nordic[byte] ?? Self.page437[Int(byte) - 0x80]
        case .windows1252 where byte < 0xA0: Self.page1252[Int(byte) - 0x80]
        case .latin9 where byte >= 0xA0: Self.euro[byte] ?? Unicode.Scalar(byte)
        case .latin1 where byte >= 0xA0, .windows1252: Unicode.Scalar(byte)
        case .latin1, .latin9, .iso646se, .utf8: "\u{FFFD}"
        }
    }

    /// Where ISO 8859-15 is not 8859-1.
    private static let euro: [UInt8: Unicode.Scalar] = [
        0xA4: "€", 0xA6: "Š", 0xA8: "š", 0xB4: "Ž", 0xB8: "ž", 0xBC: "Œ", 0xBD: "œ", 0xBE: "Ÿ",
    ]

    /// Where code page 865 (Nordic) is not 437.
    private static let nordic: [UInt8: Unicode.Scalar] = [0x9B: "ø", 0x9D: "Ø", 0xAF: "¤"]

    /// SEN 85 02 00 annex C (ISO 646-SE2).
    private static let swedish: [UInt8: Unicode.Scalar] = [
        0x40: "É", 0x5B: "Ä", 0x5C: "Ö", 0x5D: "Å", 0x5E: "Ü", 0x60: "é", 0x7B: "ä", 0x7C: "ö", 0x7D: "å", 0x7E: "ü",
    ]

    /// 0x80 to 0x9F of Windows-1252; five of them mean nothing.
    private static let page1252 = Array("€�‚ƒ„…†‡ˆ‰Š‹Œ�Ž��‘’“”•–—˜™š›œ�žŸ".unicodeScalars)

    /// The upper halves of two IBM code pages, which agree on the Swedish letters.
    private static let page850 = Array(
        ("ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐"
            + "└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{AD}±‗¾¶§÷¸°¨·¹³²■\u{A0}").unicodeScalars)
    private static let page437 = Array(
        ("ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
            + "└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{A0}").unicodeScalars)
}

private func trimmed(_ text: String) -> String {
    guard let first = text.firstIndex(where: { !$0.isWhitespace }),
        let last = text.lastIndex(where: { !$0.isWhitespace })
    else { return "" }
    return String(text[first...last])
}
