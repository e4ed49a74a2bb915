import AlarmProtocol
import Glibc

/// A receiver's key, in a file of its own so that the site file can be shown to anybody.
///
/// The file has one line: `hex:` and 32, 48 or 64 hexadecimal digits, or `text:` and 16, 24 or 32 characters. The form
/// is said and never guessed, since 32 hexadecimal digits are also a valid text key, and centres mean either.
enum KeyFile {
    static let form = "one line, hex: and 32, 48 or 64 hexadecimal digits, or text: and 16, 24 or 32 characters"
    private static let mostBytes = 256

    /// - Returns: the key, or what is wrong, in words that show neither the key nor the file's name where no such file
    ///   exists: the name may then be a key written in the wrong place.
    static func read(_ path: String) -> Result<Key, TextFile.Failure> {
        let bytes: [UInt8]
        switch TextFile.read(path, limit: mostBytes, mode: { objection(to: $0, path: path) }) {
        case .success(let content): bytes = content
        case .failure(let failure):
            let known = access(path, F_OK) == 0
            return .failure(
                TextFile.Failure(
                    reason: known
                        ? "the key file \(path) \(failure.reason)"
                        : "there is no such key file: expected its name, seen from the site file; the key itself is "
                            + "never written here"))
        }
        guard let key = key(in: bytes) else {
            return .failure(TextFile.Failure(reason: "the key file \(path) does not hold a key: expected \(form)"))
        }
        return .success(key)
    }

    /// Whoever can read the key can forge alarms and their absence; whoever can write it can silence the site.
    static func objection(to status: stat, path: String) -> String? {
        let mode = status.st_mode & 0o777
        if mode & 0o077 != 0 {
            return "is open to other users (mode 0\(String(mode, radix: 8))), expected 0600: chmod 600 \(path)"
        }
        let user = geteuid()
        if status.st_uid != 0 && status.st_uid != user {
            return "belongs to user \(status.st_uid), expected root or the user that reads it (\(user)): chown it"
        }
        return nil
    }

    private static func key(in bytes: [UInt8]) -> Key? {
        var line = bytes[...]
        if line.last == UInt8(ascii: "\n") { line = line.dropLast() }
        if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
        guard !line.contains(where: { $0 < 0x20 || $0 == 0x7F }), let text = String(validating: line, as: UTF8.self)
        else { return nil }
        if text.hasPrefix("hex:") { return try? Key(hex: String(text.dropFirst(4))) }
        if text.hasPrefix("text:") { return try? Key(text: String(text.dropFirst(5))) }
        return nil
    }
}
