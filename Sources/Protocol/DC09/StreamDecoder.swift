/// Cuts a stream of bytes into frames, wherever the reads happened to split or join them.
///
/// Everything up to a line feed is dropped; a frame ends at a carriage return; another line feed begins anew, so that a
/// frame that was cut off does not take the next one with it. After `next()` has said nil, no more than one frame's
/// bytes are kept, whatever the peer sends.
public struct StreamDecoder: Sendable {
    private var bytes: [UInt8] = []
    /// How many of `bytes` have been looked at without finding an end.
    private var scanned = 0
    private var head = 0

    /// Bytes that belonged to no frame, so far.
    public private(set) var dropped = 0

    public init() {}

    /// Takes what was read. Call `next()` until it says nil, then append again.
    public mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    /// A frame has begun and not ended: what a time-out is for.
    public var isInFrame: Bool { head < bytes.count }

    /// Forgets a frame that has begun.
    public mutating func reset() {
        dropped += bytes.count - head
        forget()
    }

    /// The next whole frame, line feed to carriage return, or what was dropped in its stead: a frame that began and had
    /// no end (`.noEnd`), or that was longer than a frame can be (`.tooLong`). Nil when more must be read.
    public mutating func next() -> Result<[UInt8], FrameError>? {
        while let start = bytes[head...].firstIndex(of: UInt8(ascii: "\n")) {
            skip(to: start)
            var index = max(scanned, start + 1)
            while index < bytes.count, bytes[index] != UInt8(ascii: "\r"), bytes[index] != UInt8(ascii: "\n"),
                index - start < Envelope.largestFrame
            {
                index += 1
            }
            guard index - start < Envelope.largestFrame else {
                skip(to: index)
                return .failure(FrameError(.tooLong))
            }
            guard index < bytes.count else {
                scanned = index
                compact()
                return nil
            }
            if bytes[index] == UInt8(ascii: "\r") {
                let frame = Array(bytes[start...index])
                head = index + 1
                return .success(frame)
            }
            // A line feed right after a line feed is only the end of somebody's line.
            let wasEmpty = bytes[(start + 1)..<index].allSatisfy { $0 == 0 }
            skip(to: index)
            if !wasEmpty { return .failure(FrameError(.noEnd)) }
        }
        dropped += bytes.count - head
        forget()
        return nil
    }

    /// The frame in a datagram: the first, whatever stands around it.
    public static func frame(inDatagram datagram: some Sequence<UInt8>) -> Result<[UInt8], FrameError> {
        var decoder = StreamDecoder()
        decoder.append(datagram)
        return decoder.next() ?? .failure(FrameError(decoder.isInFrame ? .noEnd : .noStart))
    }

    private mutating func skip(to index: Int) {
        dropped += index - head
        head = index
        scanned = max(scanned, head)
    }

    private mutating func compact() {
        bytes.removeFirst(head)
        scanned -= head
        head = 0
    }

    private mutating func forget() {
        bytes.removeAll(keepingCapacity: bytes.capacity <= 2 * Envelope.largestFrame)
        head = 0
        scanned = 0
    }
}
