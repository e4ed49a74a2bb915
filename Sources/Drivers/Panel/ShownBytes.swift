/// What has come from a line and has not been shown yet, so that whoever watches sees every byte: frames, and what
/// comes before, between and instead of them.
struct ShownBytes: Sendable {
    enum Limit {
        /// Bytes that are kept for a frame; beyond, they are shown as they are.
        static let bytes = 2048
        /// Milliseconds after the last byte of something that has become no frame.
        static let pause: Int64 = 1000
    }

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
    var deadline: Int64? { waiting.isEmpty ? nil : lastCame + Limit.pause }

    /// What came some time ago and became no frame.
    mutating func overdue(at now: Int64) -> Passage? {
        guard let deadline, now >= deadline else { return nil }
        return takeAll("no frame so far")
    }

    /// The protocol has made something of bytes: what came before them, and they themselves.
    /// - Parameter bytes: nil: of all that waits.
    mutating func passages(of bytes: [UInt8]?, _ meaning: String) -> [Passage] {
        guard let bytes, !waiting.isEmpty, bytes != waiting else { return [takeAll(meaning)] }
        if waiting.count > bytes.count, waiting.suffix(bytes.count).elementsEqual(bytes) {
            waiting.removeLast(bytes.count)
            return [takeAll("no frame"), Passage(.received, bytes, meaning)]
        }
        // Judged late, when what follows has begun to come.
        if !bytes.isEmpty, waiting.starts(with: bytes) {
            waiting.removeFirst(bytes.count)
            return [Passage(.received, bytes, meaning)]
        }
        return [takeAll(meaning)]
    }

    private mutating func takeAll(_ meaning: String) -> Passage {
        defer { waiting = [] }
        return Passage(.received, waiting, meaning)
    }
}
