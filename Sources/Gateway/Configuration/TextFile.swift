import Glibc

/// Reads the small files that a configuration is made of, and trusts none of them: a device, a pipe that never ends
/// and a file of any size are refused without waiting.
enum TextFile {
    /// Why a file could not be used, in words that follow its name.
    struct Failure: Error {
        var reason: String
        /// The file does not exist: the search may go on elsewhere.
        var isMissing = false
    }

    static func read(_ path: String, limit: Int, mode check: (stat) -> String? = { _ in nil }) -> Result<
        [UInt8], Failure
    > {
        guard !path.isEmpty, !path.utf8.contains(0) else { return .failure(Failure(reason: "is not a file's name")) }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else {
            let reason = errno
            return .failure(
                Failure(
                    reason: "cannot be opened: \(String(cString: strerror(reason)))",
                    isMissing: reason == ENOENT || reason == ENOTDIR))
        }
        defer { close(descriptor) }

        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return .failure(Failure(reason: "cannot be examined")) }
        guard status.st_mode & S_IFMT == S_IFREG else { return .failure(Failure(reason: "is not a plain file")) }
        if let objection = check(status) { return .failure(Failure(reason: objection)) }

        // One byte more than the limit tells that there is more, whatever the file's size says.
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var count = 0
        while count < bytes.count {
            let start = count
            let more = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress! + start, $0.count - start)
            }
            if more < 0 && errno == EINTR { continue }
            guard more >= 0 else {
                return .failure(Failure(reason: "cannot be read: \(String(cString: strerror(errno)))"))
            }
            if more == 0 { break }
            count += more
        }
        guard count <= limit else { return .failure(Failure(reason: "is longer than \(limit) bytes")) }
        return .success(Array(bytes[..<count]))
    }

    /// `name` as seen from the directory that `file` lies in.
    static func path(_ name: String, beside file: String) -> String {
        guard !name.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return name }
        return file[...slash] + name
    }
}
