import Glibc
import Synchronization

/// What keeps the store from being opened, read or written.
public struct StoreError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String

    init(_ description: String) { self.description = description }

    /// - Parameter call: what was tried, and on what: "write to /var/lib/feed.jsonl".
    init(_ call: String, errno code: Int32, _ remedy: String) {
        description = "Cannot \(call): \(String(cString: strerror(code))). \(remedy)"
    }
}

/// The feed on disk: one JSON object a line, only ever appended to, synced before anything is acknowledged.
///
/// A crash or a full disk can leave no half line behind for long: what a failed append wrote is cut away at once, and
/// what a power cut left of a line, or of a message of several lines, is cut away at the next start. Nothing of the kind
/// had been acknowledged, so the transmitter sends it again.
public final class Store: Sendable {
    /// What was found when the store was opened.
    public struct Opening: Sendable, Hashable {
        public var messages = 0
        /// Bytes cut from the end: a line, or a message, that was never finished.
        public var cut = 0
        /// Whole lines that are not feed lines. They are left alone.
        public var unreadable = 0
    }

    /// How much of the end of a long store is read for the window of repeats: some 300,000 messages.
    static let readLimit: Int64 = 256 * 1024 * 1024

    public let path: String
    public let opening: Opening

    private struct File {
        let descriptor: Int32
        /// Bytes known to be whole lines, and synced.
        var size: Int64
        /// A failed append may have left something behind `size`.
        var dirty = false
    }
    private let file: Mutex<File>

    /// Opens or creates the store, for this process alone, and reads it back.
    /// - Parameter each: called for every message in the store, the oldest first.
    public init(path: String, each: (StoredMessage) -> Void) throws(StoreError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            throw StoreError("open \(path)", errno: errno, "Expected a file that this user may write to.")
        }
        do {
            let (opening, size) = try Self.prepare(descriptor, path, each)
            self.path = path
            self.opening = opening
            file = Mutex(File(descriptor: descriptor, size: size))
        } catch {
            close(descriptor)
            throw error
        }
    }

    deinit {
        let descriptor = file.withLock { $0.descriptor }
        close(descriptor)
    }

    /// Appends whole lines in one write and syncs them. Blocks while the disk works; after an error nothing of it is
    /// kept, and the next append may be tried.
    func append(_ lines: [UInt8]) throws(StoreError) {
        let failure = file.withLock { file -> StoreError? in
            if file.dirty {
                guard ftruncate(file.descriptor, off_t(file.size)) == 0 else {
                    return StoreError("cut \(path) back to its last whole line", errno: errno, "Check the disk.")
                }
                file.dirty = false
            }
            if let code = Self.write(lines, to: file.descriptor) ?? (fdatasync(file.descriptor) == 0 ? nil : errno) {
                file.dirty = ftruncate(file.descriptor, off_t(file.size)) != 0
                return StoreError(
                    "write to \(path)", errno: code,
                    "Nothing is acknowledged until it can be; free space or mend the disk.")
            }
            file.size += Int64(lines.count)
            return nil
        }
        if let failure { throw failure }
    }

    /// - Returns: the error's number, or nil when every byte was written.
    static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32? {
        bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let rest = UnsafeRawBufferPointer(rebasing: buffer.dropFirst(done))
                let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
                if count >= 0 { done += count } else if errno != EINTR { return errno }
            }
            return nil
        }
    }

    private static func prepare(
        _ descriptor: Int32, _ path: String, _ each: (StoredMessage) -> Void
    ) throws(StoreError) -> (Opening, Int64) {
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw StoreError("\(path) is not a regular file. Expected a file that can be appended to and synced.")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw StoreError("\(path) is in use by another receiver. Stop it, or name another file.")
        }
        var reader = StoreReader(descriptor: descriptor, size: Int64(status.st_size))
        try reader.read(path, from: max(0, Int64(status.st_size) - readLimit), each)
        if reader.opening.cut > 0, ftruncate(descriptor, off_t(reader.end)) != 0 {
            throw StoreError("cut the unfinished end off \(path)", errno: errno, "Check the disk.")
        }
        // The file's name must outlast a power cut as well as its content.
        guard fsync(descriptor) == 0, syncDirectory(of: path) else {
            throw StoreError("sync \(path)", errno: errno, "Expected a disk that can keep what it is given.")
        }
        return (reader.opening, reader.end)
    }

    private static func syncDirectory(of path: String) -> Bool {
        let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return fsync(descriptor) == 0
    }
}
