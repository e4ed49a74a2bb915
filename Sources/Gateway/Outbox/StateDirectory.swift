import Glibc
import Synchronization

/// The directory that the outbox lies in: owned by one process at a time, with a little room held in reserve.
final class StateDirectory: Sendable {
    let path: String
    /// The process before us wrote so as its last act. Read once, when the directory is taken.
    let wasStoppedCleanly: Bool
    /// Held for the life of the process; the kernel lets go of it at any kind of death.
    private let lock: Mutex<Int32>

    var file: String { path + "/outbox.db" }
    private var ballast: String { path + "/ballast" }
    /// Room for some thousand events (4 KB each, alone) after the disk is full.
    private static let ballastBytes = 4 * 1024 * 1024

    /// Takes the directory.
    /// - Parameter emergency: where to hold the lock when this directory lies on a read-only file system.
    /// - Throws: `OutboxError`: it cannot be written, or another process has it.
    init(_ path: String, orLockIn emergency: String?) throws(OutboxError) {
        self.path = path
        mkdir(path, 0o750)
        var descriptor = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        let words = systemWords()
        // The lock file can be locked without being written.
        if descriptor < 0 { descriptor = open(path + "/lock", O_RDONLY | O_CLOEXEC) }
        if descriptor < 0, let emergency {
            mkdir(emergency, 0o755)
            descriptor = open(emergency + "/outbox.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        }
        guard descriptor >= 0 else {
            throw OutboxError(
                kind: .cannotWrite,
                description: """
                    state directory \(path): \(words). Make it, mount its file system read-write, and give it to the \
                    user that runs larmnod.
                    """)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = readFile("/proc/self/fd/\(descriptor)")?.split(separator: "\n").first.map(String.init)
            close(descriptor)
            throw OutboxError(
                kind: .inUse,
                description: """
                    \(path) is in use by \(holder ?? "another process"). One larmnod at a time owns an outbox: stop the \
                    other first.
                    """)
        }
        lock = Mutex(descriptor)
        Self.sign(descriptor)
        // A directory that has never been used counts as left in order.
        wasStoppedCleanly = access(path + "/clean-stop", F_OK) == 0 || access(path + "/outbox.db", F_OK) != 0
        forgetCleanStop()
    }

    /// From here on an end without a word is none in good order. Tried again as long as the disk refuses.
    func forgetCleanStop() {
        if access(path + "/clean-stop", F_OK) == 0 { unlink(path + "/clean-stop") }
    }

    /// Writes who holds the lock, for the next who asks.
    private static func sign(_ descriptor: Int32) {
        let command = readFile("/proc/self/cmdline")?.split(separator: "\0").joined(separator: " ") ?? "larmnod"
        let note = "process \(getpid()) (\(command.prefix(200)))\n"
        guard ftruncate(descriptor, 0) == 0 else { return }
        _ = note.withCString { write(descriptor, $0, strlen($0)) }
    }

    /// Whether the file system takes writes again.
    var isWritable: Bool {
        mkdir(path, 0o750)
        let probe = path + "/probe"
        let descriptor = open(probe, O_WRONLY | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { return false }
        defer {
            close(descriptor)
            unlink(probe)
        }
        return write(descriptor, probe, 1) == 1 && fsync(descriptor) == 0
    }

    /// Holds the lock in the directory itself, where it had to be held elsewhere before.
    func takeLock() {
        let descriptor = open(path + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { return }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)  // it is ours already, under the same name
            return
        }
        Self.sign(descriptor)
        lock.withLock { held in
            close(held)
            held = descriptor
        }
    }

    func noteCleanStop() {
        let descriptor = open(path + "/clean-stop", O_WRONLY | O_CREAT | O_CLOEXEC, 0o640)
        if descriptor >= 0 { close(descriptor) }
    }

    /// Lets go, for tests that open again in one process.
    func unlock() { _ = lock.withLock { close($0) } }

    /// Reserves room that is given up when the disk is full. A full disk just has none.
    func makeBallast() {
        guard access(ballast, F_OK) != 0 else { return }
        let descriptor = open(ballast, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        // Not while space is short: twice the ballast must be free, or giving it up would help nobody.
        var status = statvfs()
        let free = fstatvfs(descriptor, &status) == 0 ? Int(status.f_bavail) * Int(status.f_frsize) : 0
        if free < 2 * Self.ballastBytes || posix_fallocate(descriptor, 0, off_t(Self.ballastBytes)) != 0 {
            unlink(ballast)
        }
    }

    /// How long the write-ahead log is made beforehand, in steps of one a second.
    private static let logBytes = 4 * 1024 * 1024
    private static let logStep = 512 * 1024

    /// Writes zeros behind the write-ahead log until it is as long as it may become between two checkpoints. SQLite reads
    /// nothing behind the last whole frame. Zeros and not just room: a file system notes the first write to mere room,
    /// and each commit would wait for that note. Only while nobody writes the log.
    func lengthenLog() {
        let descriptor = open(file + "-wal", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, Int(status.st_size) < Self.logBytes else { return }
        let zeros = [UInt8](repeating: 0, count: min(Self.logStep, Self.logBytes - Int(status.st_size)))
        if pwrite(descriptor, zeros, zeros.count, status.st_size) == zeros.count { fdatasync(descriptor) }
    }

    /// What stands in the write-ahead log is durable from here on.
    func syncLog() {
        let descriptor = open(file + "-wal", O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    /// Names of files are as durable as their content from here on.
    func sync() {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    func releaseBallast() { unlink(ballast) }
}

/// What the operating system says of the last refused call.
func systemWords(_ number: Int32 = errno) -> String { String(cString: strerror(number)) }

/// A small text file, or nil. At most 64 KiB.
func readFile(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 65536)
    var used = 0
    while used < bytes.count {
        let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress! + used, $0.count - used) }
        if count < 0 { return nil }
        if count == 0 { break }
        used += count
    }
    return String(decoding: bytes[..<used], as: UTF8.self)
}
