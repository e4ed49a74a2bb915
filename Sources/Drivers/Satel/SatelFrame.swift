/// The frames of function 2: `FE FE command data… checksum FE 0D` (Satel, "INT-RS short technical description",
/// 2014-04-02, function 2).
enum SatelFrame {
    static let mark: UInt8 = 0xFE
    static let end: UInt8 = 0x0D
    /// Stands behind an FE that is data.
    static let stuffing: UInt8 = 0xF0

    static func checksum(_ body: some Sequence<UInt8>) -> UInt16 {
        var sum: UInt16 = 0x147A
        for byte in body {
            sum = (sum << 1 | sum >> 15) ^ 0xFFFF
            sum = sum &+ (sum >> 8) &+ UInt16(byte)
        }
        return sum
    }

    /// Command and data as they are sent.
    static func framed(_ body: [UInt8]) -> [UInt8] {
        let sum = checksum(body)
        var bytes: [UInt8] = [mark, mark]
        for byte in body + [UInt8(sum >> 8), UInt8(sum & 0xFF)] {
            bytes.append(byte)
            if byte == mark { bytes.append(stuffing) }
        }
        return bytes + [mark, end]
    }
}

/// Finds frames among bytes. Bounded: what is longer than any frame is given up.
struct SatelFrameReader: Sendable {
    enum Found: Sendable, Hashable {
        /// Command and data, checked.
        case frame([UInt8])
        case strange([UInt8], why: String)
    }

    /// Of command, data and checksum: the longest answer has 63 bytes.
    static let longest = 96
    /// So many bytes between frames are told at a time.
    static let mostNoise = 64

    /// What came since the last frame and is none.
    private var noise: [UInt8] = []
    /// Command, data and checksum so far; nil: no frame has begun.
    private var body: [UInt8]?
    /// The byte before was FE.
    private var isMarked = false

    mutating func receive(_ byte: UInt8) -> [Found] {
        guard body != nil else { return seek(byte) }
        if isMarked {
            isMarked = false
            return marked(byte)
        }
        if byte == SatelFrame.mark {
            // More of them before the command change nothing.
            isMarked = body?.isEmpty == false
            return []
        }
        return append(byte)
    }

    private mutating func seek(_ byte: UInt8) -> [Found] {
        if isMarked, byte == SatelFrame.mark {
            isMarked = false
            body = []
            noise.removeLast()
            return drain("no frame")
        }
        isMarked = byte == SatelFrame.mark
        noise.append(byte)
        // A mark at the end may belong to the next frame.
        return noise.count >= Self.mostNoise && !isMarked ? drain("no frame") : []
    }

    private mutating func marked(_ byte: UInt8) -> [Found] {
        switch byte {
        case SatelFrame.stuffing: return append(SatelFrame.mark)
        case SatelFrame.end: return finish()
        case SatelFrame.mark:
            noise = body ?? []
            body = []
            return drain("a new frame began in the middle of it")
        default:
            // Neither of these: the rest cannot be trusted, wait for a new beginning.
            noise = (body ?? []) + [SatelFrame.mark, byte]
            body = nil
            return drain("FE with something that may not follow it")
        }
    }

    private mutating func append(_ byte: UInt8) -> [Found] {
        body?.append(byte)
        guard let count = body?.count, count > Self.longest else { return [] }
        noise = body ?? []
        body = nil
        return drain("longer than any frame")
    }

    private mutating func finish() -> [Found] {
        let bytes = body ?? []
        body = nil
        noise = bytes
        guard bytes.count >= 3 else { return drain("too short") }
        let content = Array(bytes.dropLast(2))
        let sum = UInt16(bytes[bytes.count - 2]) << 8 | UInt16(bytes[bytes.count - 1])
        guard SatelFrame.checksum(content) == sum else { return drain("wrong checksum") }
        noise = []
        return [.frame(content)]
    }

    private mutating func drain(_ why: String) -> [Found] {
        defer { noise = [] }
        return noise.isEmpty ? [] : [.strange(noise, why: why)]
    }
}
