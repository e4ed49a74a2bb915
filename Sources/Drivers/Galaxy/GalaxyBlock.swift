/// One block of the Galaxy's SIA protocol: a header, a code, up to 63 bytes of data, and their parity.
///
/// The header's low six bits are the length of the data; 0x40 asks for an acknowledgement, 0x80 says that the block comes
/// from the host's end. The parity is 0xFF with every byte before it taken away by exclusive or.
struct GalaxyBlock: Sendable, Hashable {
    var code: UInt8
    var data: [UInt8]
    var wantsAnswer = true
    var isFromHost = false

    /// Bytes of the longest block.
    static let longest = 66
    /// Header, code and parity.
    static let overhead = 3
    /// Every code that a panel or a host is known to use.
    static let codes = Set("#NOA089@?CX1267&".utf8)

    var bytes: [UInt8] {
        let header = UInt8(data.count & 0x3F) | (wantsAnswer ? 0x40 : 0) | (isFromHost ? 0x80 : 0)
        let body = [header, code] + data
        return body + [Self.parity(body[...])]
    }

    init(_ code: Character, _ data: [UInt8] = [], wantsAnswer: Bool = true, isFromHost: Bool = false) {
        self.code = code.asciiValue ?? 0x3F
        self.data = Array(data.prefix(63))
        self.wantsAnswer = wantsAnswer
        self.isFromHost = isFromHost
    }

    /// Nil unless the bytes are exactly one block with the right length and parity.
    init?(_ bytes: ArraySlice<UInt8>) {
        guard let header = bytes.first, bytes.count == Self.size(header), let last = bytes.last,
            Self.parity(bytes.dropLast()) == last
        else { return nil }
        code = bytes[bytes.startIndex + 1]
        data = Array(bytes.dropFirst(2).dropLast())
        wantsAnswer = header & 0x40 != 0
        isFromHost = header & 0x80 != 0
    }

    static func size(_ header: UInt8) -> Int { Int(header & 0x3F) + overhead }
    static func parity(_ bytes: ArraySlice<UInt8>) -> UInt8 { bytes.reduce(0xFF) { $0 ^ $1 } }

    /// Whether bytes could be the beginning of a block, or the whole of one but for the parity.
    static func mayBegin(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let header = bytes.first else { return true }
        guard bytes.count > 1 else { return true }
        let code = bytes[bytes.startIndex + 1]
        guard codes.contains(code) || (header & 0x80 == 0 && (0x21...0x7E).contains(code)) else { return false }
        // The display may have letters of its own making anywhere.
        if header & 0xC0 == 0x40, code == UInt8(ascii: "A") || code == UInt8(ascii: "X") { return true }
        let data = bytes.dropFirst(2).prefix(size(header) - overhead)
        return data.allSatisfy { $0 >= 0x20 && ($0 != 0x7F) }
    }

    /// Whether what the block says fits its code so well that it is believed where it stands amid noise, and that a block
    /// whose parity alone is wrong is taken for a garbled one.
    static func isLikely(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let header = bytes.first, header & 0xC0 == 0x40, bytes.count == size(header) else { return false }
        let data = bytes.dropFirst(2).dropLast()
        switch bytes[bytes.startIndex + 1] {
        case UInt8(ascii: "#"):
            return (3...16).contains(data.count) && data.allSatisfy { (48...57).contains($0) || (65...70).contains($0) }
        case UInt8(ascii: "N"), UInt8(ascii: "O"):
            return isEvent(data)
        case UInt8(ascii: "A"), UInt8(ascii: "@"):
            return data.count >= 3 && data.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        case UInt8(ascii: "0"): return data.isEmpty
        default: return false
        }
    }
}

extension GalaxyBlock {
    /// Printable, and beginning with a modifier (two small letters) or a code (two capitals, then no letter).
    private static func isEvent(_ data: ArraySlice<UInt8>) -> Bool {
        let head = data.prefix(3)
        guard head.count >= 2, data.allSatisfy({ (0x20...0x7E).contains($0) }) else { return false }
        let letters = head.prefix(2)
        return letters.allSatisfy { (97...122).contains($0) }
            || letters.allSatisfy { (65...90).contains($0) } && head.dropFirst(2).allSatisfy { $0 < 65 || $0 == 0x5E }
    }
}

/// Finds blocks in what comes over the line. Pure; times in milliseconds.
///
/// A block has no mark of its beginning. After silence, and after a right block, the next byte is taken for a header and
/// that block is waited for; nothing inside it is looked at. Once bytes have not fitted, every place is a possible beginning,
/// and a right and likely block is found the moment it ends.
struct GalaxyFramer: Sendable {
    enum Time {
        /// So long without a byte, and what follows is a new block (the panel's own rule after an error).
        static let silence: Int64 = 200
        /// So old may the beginning of a block be whose rest comes late.
        static let patience: Int64 = 3000
    }
    /// Of bytes that fit nothing, so many are looked at.
    private static let window = 4 * GalaxyBlock.longest

    enum Found: Sendable, Hashable {
        /// A right block; what stood before it, if anything.
        case block(GalaxyBlock, [UInt8], before: [UInt8])
        /// Bytes that were none. `isGarbled`: they were to be one.
        case noise([UInt8], isGarbled: Bool)
    }

    private var bytes: [UInt8] = []
    /// The first byte is a header, as far as is known.
    private var isInStep = true
    /// A block was as long as its header said, and its parity was wrong.
    private var isGarbled = false
    /// The beginning of a block is kept over silence.
    private var isWaiting = false
    private var began: Int64 = 0
    private var last: Int64 = 0

    var isEmpty: Bool { bytes.isEmpty }
    /// When silence ends what has come.
    var deadline: Int64? { bytes.isEmpty ? nil : isWaiting ? began + Time.patience : last + Time.silence }

    mutating func receive(_ byte: UInt8, at now: Int64) -> [Found] {
        var found = bytes.isEmpty || now - last < Time.silence ? [] : silence(at: now)
        if bytes.isEmpty { began = now }
        bytes.append(byte)
        last = now
        isWaiting = false
        if isInStep {
            let isComplete = bytes.first.map { bytes.count == GalaxyBlock.size($0) } ?? false
            let mayBegin = GalaxyBlock.mayBegin(bytes[...])
            if isComplete, mayBegin, let block = GalaxyBlock(bytes[...]) { return found + [take(block, from: 0)] }
            guard isComplete || !mayBegin else { return found }
            isGarbled = isComplete && mayBegin && isExpected
            isInStep = false
        }
        if let inner = blockAtEnd(bytes.count) { return found + [take(inner.block, from: inner.start)] }
        if bytes.count > Self.window {
            found.append(.noise(Array(bytes.prefix(Self.window / 2)), isGarbled: false))
            bytes.removeFirst(Self.window / 2)
            isGarbled = false
        }
        return found
    }

    /// Nothing has come for a while.
    mutating func silence(at now: Int64) -> [Found] {
        guard !bytes.isEmpty else { return [] }
        // A block that was taken for the inside of another, which noise had begun.
        for end in bytes.indices.dropFirst(GalaxyBlock.overhead - 1) {
            guard let inner = blockAtEnd(end + 1) else { continue }
            bytes = Array(bytes[...end])
            return [take(inner.block, from: inner.start)]
        }
        let isBeginning = bytes.first.map { bytes.count < GalaxyBlock.size($0) } ?? false
        if isBeginning, GalaxyBlock.mayBegin(bytes[...]), now - began < Time.patience {
            isInStep = false
            isWaiting = true
            return []
        }
        let isGarbled = isGarbled || bytes.indices.contains { GalaxyBlock.isLikely(bytes[$0...]) }
        defer { clear() }
        return [.noise(bytes, isGarbled: isGarbled)]
    }

    /// A block that panels send and that wants an answer: only then is it asked for again.
    private var isExpected: Bool { bytes[0] & 0xC0 == 0x40 && GalaxyBlock.codes.contains(bytes[1]) }

    private func blockAtEnd(_ end: Int) -> (start: Int, block: GalaxyBlock)? {
        for start in max(0, end - GalaxyBlock.longest)..<max(0, end - GalaxyBlock.overhead + 1) {
            guard Int(bytes[start] & 0x3F) + GalaxyBlock.overhead == end - start,
                GalaxyBlock.isLikely(bytes[start..<end]), let block = GalaxyBlock(bytes[start..<end])
            else { continue }
            return (start, block)
        }
        return nil
    }

    private mutating func take(_ block: GalaxyBlock, from start: Int) -> Found {
        defer { clear() }
        return .block(block, Array(bytes[start...]), before: Array(bytes[..<start]))
    }

    private mutating func clear() {
        bytes = []
        isInStep = true
        isGarbled = false
        isWaiting = false
    }
}
