import Glibc

/// The directory that the outbox lies in: owned by one process at a time, with a little room held in reserve.
public struct StateDirectory: Sendable {
    let path: String
    /// Held for the life of the process; the kernel lets go of it at any kind of death.
    private let lock: Int32

    /// The process before us wrote so as its last act. Read once, when the directory is taken.
    let wasStoppedCleanly: Bool

    var file: String { path + "/outbox.db" }
    private var ballast: String { path + "/ballast" }
    /// Room for some thousand events (4 KB each, alone) after the disk is full.
    private static let ballastBytes = 4 * 1024 * 1024

    /// Takes the directory. - Throws: `OutboxError`: it is missing, cannot be written, or another process has it.
    init(_ path: String) throws(OutboxError) {
        self.path = path
        if mkdir(path, 0o750) != 0, errno != EEXIST {
            throw OutboxError(
                kind: .cannotWrite,
                description: "state directory \(path): \(systemWords()). Make it and give it to the user that runs larmnod.")
        }
        let name = path + "/lock"
        let descriptor = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else {
            throw OutboxError(
                kind: .cannotWrite,
                description: """
                    \(name): \(systemWords()). The outbox must lie where it can be written: mount the file system \
                    read-write and give the directory to the user that runs larmnod.
                    """)
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let holder = readFile(name)?.split(separator: "\n").first.map(String.init) ?? "another process"
            close(descriptor)
            throw OutboxError(
                kind: .inUse,
                description: "\(path) is in use by \(holder). One larmnod at a time owns an outbox: stop the other first.")
        }
        lock = descriptor
        // A directory that has never been used counts as left in order.
        wasStoppedCleanly = access(path + "/clean-stop", F_OK) == 0 || access(path + "/outbox.db", F_OK) != 0
        unlink(path + "/clean-stop")
        let command = readFile("/proc/self/cmdline")?.split(separator: "\0").joined(separator: " ") ?? "larmnod"
        let note = "process \(getpid()) (\(command.prefix(200)))\n"
        ftruncate(descriptor, 0)
        _ = note.withCString { write(descriptor, $0, strlen($0)) }
    }

    func noteCleanStop() {
        let descriptor = open(path + "/clean-stop", O_WRONLY | O_CREAT | O_CLOEXEC, 0o640)
        if descriptor >= 0 { close(descriptor) }
    }

    /// Lets go, for tests that open again in one process.
    func unlock() { close(lock) }

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
