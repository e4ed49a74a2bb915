/// A JSON value to be written (RFC 8259). Objects keep their order, so that a feed line reads the way it was thought.
indirect enum JSON: Sendable, Hashable {
    case null
    case boolean(Bool)
    case integer(Int)
    case string(String)
    /// Bytes as characters of the same number (Latin-1): how a frame, which has no character set, is kept exactly.
    case bytes([UInt8])
    case array([JSON])
    case object([Member])

    struct Member: Sendable, Hashable {
        var name: String
        var value: JSON
        init(_ name: String, _ value: JSON) {
            self.name = name
            self.value = value
        }
    }

    /// A text, or null where there is none.
    static func text(_ text: String?) -> JSON { text.map(JSON.string) ?? .null }
    static func number(_ number: Int?) -> JSON { number.map(JSON.integer) ?? .null }

    func write(to output: inout [UInt8]) {
        switch self {
        case .null: output += "null".utf8
        case .boolean(let flag): output += (flag ? "true" : "false").utf8
        case .integer(let number): output += String(number).utf8
        case .string(let text): Self.quote(text.unicodeScalars, to: &output)
        case .bytes(let bytes): Self.quote(bytes.lazy.map { Unicode.Scalar($0) }, to: &output, escapingFrom: 0x7F)
        case .array(let items):
            output.append(UInt8(ascii: "["))
            for (index, item) in items.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                item.write(to: &output)
            }
            output.append(UInt8(ascii: "]"))
        case .object(let members):
            output.append(UInt8(ascii: "{"))
            for (index, member) in members.enumerated() {
                if index > 0 { output.append(UInt8(ascii: ",")) }
                Self.quote(member.name.unicodeScalars, to: &output)
                output.append(UInt8(ascii: ":"))
                member.value.write(to: &output)
            }
            output.append(UInt8(ascii: "}"))
        }
    }

    /// Controls and U+007F–U+009F are escaped, so that a line can be shown on any terminal without moving its cursor;
    /// so are the two line separators that some readers split lines at.
    /// - Parameter escapingFrom: what is escaped besides, so that bytes are not mistaken for letters.
    private static func quote(
        _ text: some Sequence<Unicode.Scalar>, to output: inout [UInt8], escapingFrom limit: UInt32 = .max
    ) {
        output.append(UInt8(ascii: "\""))
        for scalar in text {
            switch scalar.value {
            case 0x22: output += "\\\"".utf8
            case 0x5C: output += "\\\\".utf8
            case 0x0A: output += "\\n".utf8
            case 0x0D: output += "\\r".utf8
            case 0..<0x20, 0x7F...0x9F, 0x2028, 0x2029, limit...:
                let digits = String(scalar.value, radix: 16, uppercase: true)
                output += "\\u".utf8
                output += repeatElement(UInt8(ascii: "0"), count: 4 - digits.utf8.count)
                output += digits.utf8
            default: output += String(scalar).utf8
            }
        }
        output.append(UInt8(ascii: "\""))
    }
}
