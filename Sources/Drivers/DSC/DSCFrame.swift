/// One message of an IT-100: a command of three digits, its data, and the sum of both as two hexadecimal digits.
///
/// DSC IT-100 developer's guide: `ccc data CS CR LF`.
struct DSCFrame: Sendable, Hashable {
    var command: String
    /// As it came; what it holds depends on the command.
    var data: [UInt8]

    init(_ command: String, _ data: String = "") { self.init(command, Array(data.utf8)) }

    private init(_ command: String, _ data: [UInt8]) {
        self.command = command
        self.data = data
    }

    /// Reads a line without its end. Nil: it is none, or its sum is wrong.
    init?(_ line: some Collection<UInt8>) {
        let bytes = Array(line)
        guard Self.looksLikeOne(bytes), Self.isSum(bytes.suffix(2), of: bytes.dropLast(2)) else { return nil }
        command = String(decoding: bytes.prefix(3), as: UTF8.self)
        data = Array(bytes.dropFirst(3).dropLast(2))
    }

    /// Three digits and more: room for a sum.
    private static func looksLikeOne(_ bytes: [UInt8]) -> Bool {
        bytes.count >= 5 && bytes.prefix(3).allSatisfy { (0x30...0x39).contains($0) }
    }

    /// The frame in a line, behind what is left of noise or of another; and where it begins.
    ///
    /// Where the line is text only, it was a message with an error, or one that was cut off and runs into the next. A tail
    /// of it is taken for a message only where that is one that is known, with data as they should be.
    static func find(_ line: [UInt8]) -> (start: Int, frame: DSCFrame)? {
        if let frame = DSCFrame(line) ?? stamped(line[...]) { return (0, frame) }
        let isText = line.allSatisfy { (0x20...0x7E).contains($0) }
        for start in line.indices.dropFirst() {
            guard let frame = DSCFrame(line[start...]) ?? stamped(line[start...]) else { continue }
            if !isText || frame.data.count <= 5 && frame.isNumber && DSCReport(frame).isSaid { return (start, frame) }
        }
        return nil
    }

    /// Behind the time of day, which a module puts before its messages where that has been switched on (command 050):
    /// `12:34:56 6011003` and the sum, of the message or of all.
    private static func stamped(_ line: ArraySlice<UInt8>) -> DSCFrame? {
        let stamp = Array(line.prefix(9))
        guard line.count >= 14, stamp[2] == 0x3A, stamp[5] == 0x3A, stamp[8] == 0x20,
            [0, 1, 3, 4, 6, 7].allSatisfy({ (0x30...0x39).contains(stamp[$0]) })
        else { return nil }
        let message = Array(line.dropFirst(9))
        if let frame = DSCFrame(message) { return frame }
        guard looksLikeOne(message), isSum(line.suffix(2), of: line.dropLast(2)) else { return nil }
        return DSCFrame(String(decoding: message.prefix(3), as: UTF8.self), Array(message.dropFirst(3).dropLast(2)))
    }

    var bytes: [UInt8] {
        let body = Array(command.utf8) + data
        return body + Self.sum(body) + [0x0D, 0x0A]
    }

    private var isNumber: Bool { data.allSatisfy { (0x30...0x39).contains($0) } }

    /// The number in the data's digits there; nil: there are none.
    func number(_ range: Range<Int>) -> Int? {
        guard data.count >= range.upperBound else { return nil }
        let digits = data[range]
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }

    /// The guide has capital letters; small ones are as right.
    private static func isSum(_ digits: some Collection<UInt8>, of bytes: some Sequence<UInt8>) -> Bool {
        sum(bytes).elementsEqual(digits.map { (0x61...0x66).contains($0) ? $0 - 0x20 : $0 })
    }

    private static func sum(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        let sum = bytes.reduce(UInt8(0)) { $0 &+ $1 }
        let digits = Array("0123456789ABCDEF".utf8)
        return [digits[Int(sum >> 4)], digits[Int(sum & 15)]]
    }
}
