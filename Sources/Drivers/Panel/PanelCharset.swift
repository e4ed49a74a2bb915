/// How a panel writes letters beyond ASCII. Seven-bit panels write national letters as ISO 646 has them; eight-bit panels
/// send whatever their maker's computer used.
enum PanelCharset: Sendable, CaseIterable {
    case latin1
    case iso646se
    case cp850
    case cp437
    case utf8

    static let names: [(String, PanelCharset)] = [
        ("latin-1", .latin1), ("iso646-se", .iso646se), ("cp850", .cp850), ("cp437", .cp437), ("utf-8", .utf8),
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
        case .latin1 where byte < 0x80 || byte >= 0xA0, .cp850 where byte < 0x80, .cp437 where byte < 0x80:
            Unicode.Scalar(byte)
        case .cp850: Self.page850[Int(byte) - 0x80]
        case .cp437: Self.page437[Int(byte) - 0x80]
        case .latin1, .iso646se, .utf8: "\u{FFFD}"
        }
    }

    /// SEN 85 02 00 annex C (ISO 646-SE2).
    private static let swedish: [UInt8: Unicode.Scalar] = [
        0x40: "É", 0x5B: "Ä", 0x5C: "Ö", 0x5D: "Å", 0x5E: "Ü", 0x60: "é", 0x7B: "ä", 0x7C: "ö", 0x7D: "å", 0x7E: "ü",
    ]

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
