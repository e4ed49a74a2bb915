/// What has come from a line and has not been shown yet, so that whoever watches sees every byte: frames, and what
/// comes before, between and instead of them.
struct ShownBytes: Sendable {
    enum Limit {
        /// Bytes that are kept for a frame; beyond, they are shown as they are.
        static let bytes = 2048
        /// Milliseconds after the last byte of something that has become no frame.
        static let pause: Int64 = 1000
    }

    /// A login was sent: it may come back as an echo, whole, in parts or with errors in it. What is no frame is shown with
    /// stars for digits.
    var hidesDigits = false
    private var waiting: [UInt8] = []
    private var lastCame: Int64 = 0

    /// A byte has come. - Returns: what has to be shown because there is too much of it.
    mutating func came(_ byte: UInt8, at now: Int64) -> Passage? {
        defer {
            waiting.append(byte)
            lastCame = now
        }
        return waiting.count >= Limit.bytes ? takeAll("no frame so far") : nil
    }

    /// When `overdue` has something; nil: nothing waits.
    var deadline: Int64? { isOnlyLineEnds(waiting) ? nil : lastCame + Limit.pause }

    /// What came some time ago and became no frame.
    mutating func overdue(at now: Int64) -> Passage? {
        guard let deadline, now >= deadline else { return nil }
        return takeAll("no frame so far")
    }

    /// The protocol has made something of bytes: what came before them, and they themselves.
    /// - Parameter isFrame: it was a whole and right frame, which holds nothing of what we have sent.
    mutating func passages(of bytes: [UInt8], _ meaning: String, isFrame: Bool = true) -> [Passage] {
        guard !waiting.isEmpty, bytes != waiting else { return [takeAll(meaning, isFrame: isFrame)] }
        if waiting.count > bytes.count, waiting.suffix(bytes.count).elementsEqual(bytes) {
            guard !isOnlyLineEnds(waiting.dropLast(bytes.count)) else { return [takeAll(meaning, isFrame: isFrame)] }
            waiting.removeLast(bytes.count)
            return [takeAll("no frame"), passage(bytes, meaning, isFrame)]
        }
        // Judged late, when what follows has begun to come.
        if !bytes.isEmpty, waiting.starts(with: bytes), !isOnlyLineEnds(waiting.dropFirst(bytes.count)) {
            waiting.removeFirst(bytes.count)
            return [passage(bytes, meaning, isFrame)]
        }
        return [takeAll(meaning, isFrame: isFrame)]
    }

    /// The CR or LF of a line of text is shown with that line or the next, never alone.
    private func isOnlyLineEnds(_ bytes: some Sequence<UInt8>) -> Bool { bytes.allSatisfy { $0 == 0x0D || $0 == 0x0A } }

    private func passage(_ bytes: [UInt8], _ meaning: String, _ isFrame: Bool) -> Passage {
        guard hidesDigits, !isFrame else { return Passage(.received, bytes, meaning) }
        return Passage(.received, bytes.map { (0x30...0x39).contains($0) ? UInt8(ascii: "*") : $0 }, meaning)
    }

    private mutating func takeAll(_ meaning: String, isFrame: Bool = false) -> Passage {
        defer { waiting = [] }
        return passage(waiting, meaning, isFrame)
    }
}
