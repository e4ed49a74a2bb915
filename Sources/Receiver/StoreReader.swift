import FoundationEssentials
import Glibc

/// A message as the store tells it: what is needed to know its repeat.
public struct StoredMessage: Sendable, Hashable {
    /// The account of the frame's header, upper case.
    public var transmitter: String
    public var sequence: Int
    public var data: [UInt8]
    public var extended: [[UInt8]]
}

/// Reads a store from its beginning to its last whole message.
struct StoreReader {
    /// No line of ours is longer: a frame of 4,105 bytes, every byte escaped, three times over.
    static let lineLimit = 256 * 1024

    let descriptor: Int32
    /// Size of the file.
    let size: Int64
    private(set) var opening = Store.Opening()
    /// Where the last whole message ends.
    private(set) var end: Int64 = 0

    /// The message whose lines are being read, and where its first line begins.
    private var unfinished: (message: StoredMessage, parts: Int, seen: Int, start: Int64)?
    private let decoder = JSONDecoder()

    init(descriptor: Int32, size: Int64) {
        self.descriptor = descriptor
        self.size = size
    }

    /// The fields of a feed line that are read back (docs/feed.md).
    private struct Line: Decodable {
        var type: String
        var transmitter: String
        var sequence: Int
        var data: String?
        var extended: [String]?
        var part: Int
        var parts: Int
    }

    mutating func read(_ path: String, from start: Int64, _ each: (StoredMessage) -> Void) throws(StoreError) {
        var chunk = [UInt8](repeating: 0, count: 1 << 20)
        var line: [UInt8] = []
        var position = start
        // Starting within the file, the first line is only half read and belongs to nobody.
        var skipping = start > 0
        end = start
        while true {
            let count = chunk.withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(position)) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw StoreError("read \(path)", errno: errno, "Check the disk.") }
            if count == 0 { break }
            var rest = chunk[..<count]
            while let newline = rest.firstIndex(of: UInt8(ascii: "\n")) {
                if line.count <= Self.lineLimit { line += rest[..<newline] }
                let lineEnd = position + Int64(newline) + 1
                if !skipping { take(line, endingAt: lineEnd, each) }
                skipping = false
                end = lineEnd
                line.removeAll(keepingCapacity: true)
                rest = rest[(newline + 1)...]
            }
            if line.count <= Self.lineLimit { line += rest }
            position += Int64(count)
        }
        if let unfinished { end = unfinished.start }
        opening.cut = Int(size - end)
    }

    private mutating func take(_ line: [UInt8], endingAt lineEnd: Int64, _ each: (StoredMessage) -> Void) {
        guard line.count <= Self.lineLimit, let entry = try? decoder.decode(Line.self, from: Data(line)),
            entry.type == "event"
        else {
            unfinished = nil
            opening.unreadable += 1
            return
        }
        if entry.part == 1 {
            guard let data = Self.bytes(entry.data ?? "") else {
                opening.unreadable += 1
                return
            }
            let message = StoredMessage(
                transmitter: entry.transmitter, sequence: entry.sequence, data: data,
                extended: (entry.extended ?? []).compactMap(Self.bytes))
            unfinished = (message, entry.parts, 0, end)
        }
        guard var message = unfinished, message.seen + 1 == entry.part else {
            // The beginning lies before what is read.
            unfinished = nil
            return
        }
        message.seen += 1
        if message.seen >= message.parts {
            each(message.message)
            opening.messages += 1
            unfinished = nil
        } else {
            unfinished = message
        }
    }

    /// The bytes that were written as characters of the same number.
    private static func bytes(_ text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        for scalar in text.unicodeScalars {
            guard let byte = UInt8(exactly: scalar.value) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }
}
