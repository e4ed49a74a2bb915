/// Leaves out what comes back of our own sending on a line of two wires, where the converter hears itself.
///
/// Not every converter does, and a panel may answer with the very bytes that it was sent. So nothing is left out before
/// two sendings in a row have come back whole and at once, nor any more when one does not.
struct EchoFilter: Sendable {
    private enum Limit {
        /// Sendings in a row that came back, before it is certain.
        static let certain = 2
        /// How long after the last bit an echo may come, in milliseconds: USB adapters hand on late.
        static let late: Int64 = 100
        /// Bytes that are waited for.
        static let awaited = 2048
    }

    private var awaited: [UInt8] = []
    private var come = 0
    private var until: Int64 = .min
    private var inARow = 0
    private let line: SerialLine

    init(_ line: SerialLine) { self.line = line }

    var isCertain: Bool { inARow >= Limit.certain }

    mutating func sent(_ bytes: [UInt8], at now: Int64) {
        expire(now)
        awaited += bytes
        if awaited.count > Limit.awaited { forget() }
        until = now + Limit.late + Int64(awaited.count) * 12_000 / Int64(line.speed)
    }

    /// What the other end said of it.
    mutating func others(in bytes: [UInt8], at now: Int64) -> [UInt8] {
        expire(now)
        var others: [UInt8] = []
        for byte in bytes {
            guard come < awaited.count else {
                others.append(byte)
                continue
            }
            guard byte == awaited[come] else {
                // It was no echo: what was held back belongs to the other end.
                if isCertain { others += awaited[..<come] }
                others.append(byte)
                forget()
                continue
            }
            if !isCertain { others.append(byte) }
            come += 1
            if come == awaited.count {
                inARow = min(inARow + 1, Limit.certain)
                (awaited, come) = ([], 0)
            }
        }
        return others
    }

    private mutating func expire(_ now: Int64) { if !awaited.isEmpty, now > until { forget() } }

    private mutating func forget() { (awaited, come, inARow) = ([], 0, 0) }
}
