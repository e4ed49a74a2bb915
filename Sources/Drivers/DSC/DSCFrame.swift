/// One message of an IT-100: a command of three digits, its data, and the sum of both as two hexadecimal digits.
///
/// DSC IT-100 developer's guide: `ccc data CS CR LF`.
struct DSCFrame: Sendable, Hashable {
    var command: String
    /// As it came; what it holds depends on the command.
    var data: [UInt8]

    init(_ command: String, _ data: String = "") {
        self.command = command
        self.data = Array(data.utf8)
    }

    /// Reads a line without its end. Nil: it is none, or its sum is wrong.
    init?(_ line: some Collection<UInt8>) {
        let bytes = Array(line)
        guard Self.looksLikeOne(bytes), bytes.suffix(2).elementsEqual(Self.sum(bytes.dropLast(2))) else { return nil }
        command = String(decoding: bytes.prefix(3), as: UTF8.self)
        data = Array(bytes.dropFirst(3).dropLast(2))
    }

    /// Three digits, anything, two hexadecimal digits.
    static func looksLikeOne(_ bytes: [UInt8]) -> Bool {
        bytes.count >= 5 && bytes.prefix(3).allSatisfy { (0x30...0x39).contains($0) }
            && bytes.suffix(2).allSatisfy { (0x30...0x39).contains($0) || (0x41...0x46).contains($0) }
    }

    /// The frame in a line, behind what is left of noise or of another; and where it begins.
    static func find(_ line: [UInt8]) -> (start: Int, frame: DSCFrame)? {
        if let frame = DSCFrame(line) { return (0, frame) }
        // A line of text only was a message with an error, whose tail must not be taken for another.
        guard line.contains(where: { !(0x20...0x7E).contains($0) }) else { return nil }
        for start in line.indices.dropFirst() {
            if let frame = DSCFrame(line[start...]) { return (start, frame) }
        }
        return nil
    }

    var bytes: [UInt8] {
        let body = Array(command.utf8) + data
        return body + Self.sum(body) + [0x0D, 0x0A]
    }

    /// The number in the data's digits there; nil: there are none.
    func number(_ range: Range<Int>) -> Int? {
        guard data.count >= range.upperBound else { return nil }
        let digits = data[range]
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    private static func sum(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let sum = bytes.reduce(UInt8(0)) { $0 &+ $1 }
        let digits = Array("0123456789ABCDEF".utf8)
        return [digits[Int(sum >> 4)], digits[Int(sum & 15)]]
    }
}
