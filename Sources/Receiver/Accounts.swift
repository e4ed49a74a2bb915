import AlarmProtocol
import Glibc

/// Who may speak to this receiver, and with which key.
public struct Accounts: Sendable {
    /// What becomes of an account that is not listed.
    public enum Unknown: String, Sendable, CaseIterable {
        /// It is answered DUH, and nothing is kept.
        case refuse
        /// Its plain messages are kept and acknowledged; the feed says that the account is not known.
        case accept
    }

    /// Whether an account is listed, and how it must speak.
    enum Standing: Sendable, Hashable {
        case plain
        /// Under any of these keys: more than one while its transmitter goes over to a new one.
        case encrypted([Key])
        /// Not listed; `refused` says whether it is heard all the same.
        case unknown(refused: Bool)
    }

    /// The keys of each account; none: it speaks plain.
    private var keys: [String: [Key]] = [:]
    private let unknown: Unknown
    private let anyone: Bool

    /// Keys of one account: each is tried for each of its messages.
    public static let mostKeys = 4

    /// - Parameter entries: none means that any account is welcome, in plain. An account is listed once, or once with
    ///   each of its keys.
    public init(_ entries: [Entry] = [], unknown: Unknown = .refuse) throws(AccountError) {
        for entry in entries {
            guard let known = keys[entry.account] else {
                keys[entry.account] = entry.key.map { [$0] } ?? []
                continue
            }
            guard let key = entry.key, !known.isEmpty, !known.contains(key) else {
                throw AccountError(
                    "account \(entry.account) is listed twice. Keep one of them, or give each another key.")
            }
            guard known.count < Self.mostKeys else {
                throw AccountError("account \(entry.account) has more than \(Self.mostKeys) keys. Keep those in use.")
            }
            keys[entry.account] = known + [key]
        }
        anyone = entries.isEmpty
        self.unknown = unknown
    }

    /// - Parameter account: as in the frame; letters in either case (DC-09 reference 6: compared as text, leading zeros
    ///   count).
    func standing(of account: String) -> Standing {
        if anyone { return .plain }
        guard let keys = keys[account.uppercased()] else { return .unknown(refused: unknown == .refuse) }
        return keys.isEmpty ? .plain : .encrypted(keys)
    }

    /// One listed account.
    public struct Entry: Sendable {
        /// 3–16 hexadecimal digits, upper case.
        public let account: String
        /// Nil: it speaks plain.
        public let key: Key?

        /// - Throws: where the account is none.
        public init(account: String, key: Key? = nil) throws(AccountError) {
            guard (3...16).contains(account.utf8.count), account.utf8.allSatisfy(\.isHexadecimalDigit) else {
                throw AccountError("account \"\(account)\": expected 3 to 16 hexadecimal digits, as 4711.")
            }
            self.account = account.uppercased()
            self.key = key
        }

        /// From a command line: `4711`, or `4711=centre.key`.
        public init(argument: String) throws(AccountError) {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            try self.init(
                account: String(parts[0]), key: parts.count == 2 ? try KeyFile.read(String(parts[1])) : nil)
        }
    }

    /// Reads a list: `ACCOUNT` or `ACCOUNT KEYFILE` a line; blank lines and lines that begin with `#` say nothing. A key
    /// file is looked for beside the list.
    public static func read(list path: String) throws(AccountError) -> [Entry] {
        let text = try SmallFile.read(path, what: "list of accounts", limit: 4 * 1024 * 1024)
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
        var entries: [Entry] = []
        for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
            let words = line.split(maxSplits: 1, whereSeparator: \.isWhitespace)
            guard let account = words.first, !account.hasPrefix("#") else { continue }
            do {
                var key: Key?
                if words.count == 2 {
                    var name = words[1].drop(while: \.isWhitespace)
                    while name.last?.isWhitespace == true { name.removeLast() }
                    key = try KeyFile.read(name.hasPrefix("/") ? String(name) : folder + name)
                }
                entries.append(try Entry(account: String(account), key: key))
            } catch {
                throw AccountError("\(path):\(number + 1): \(error)")
            }
        }
        guard !entries.isEmpty else {
            throw AccountError("\(path): no account in it. Expected lines of ACCOUNT or ACCOUNT KEYFILE.")
        }
        return entries
    }
}

/// What is wrong with an account, a list of them, or a key file. Never shows a key.
public struct AccountError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String
    init(_ description: String) { self.description = description }
}

/// A file with one key on one line: `hex:` and 32, 48 or 64 digits, or `text:` and 16, 24 or 32 characters.
enum KeyFile {
    static func read(_ path: String) throws(AccountError) -> Key {
        let text = try SmallFile.read(path, what: "key file", limit: 1_024, secret: true)
        let lines = text.split(whereSeparator: \.isNewline)
        guard lines.count == 1, let colon = lines[0].firstIndex(of: ":") else { throw malformed(path) }
        let value = String(lines[0][lines[0].index(after: colon)...])
        do {
            switch lines[0][..<colon] {
            case "hex": return try Key(hex: value)
            case "text": return try Key(text: value)
            default: throw malformed(path)
            }
        } catch let error as KeyError {
            throw AccountError("key file \(path): \(error)")
        } catch {
            throw malformed(path)
        }
    }

    private static func malformed(_ path: String) -> AccountError {
        AccountError("key file \(path): expected one line, hex: or text: and the key.")
    }
}

enum SmallFile {
    /// - Parameter secret: refuses a file that others than its owner may read.
    static func read(_ path: String, what: String, limit: Int, secret: Bool = false) throws(AccountError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            // A name that is nobody's may be a key that was written in its place.
            throw secret && errno == ENOENT
                ? AccountError(
                    "there is no such \(what). Expected the file's name; the key itself is never written here.")
                : AccountError("\(what) \(path): \(String(cString: strerror(errno))).")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw AccountError("\(what) \(path): expected a regular file.")
        }
        guard !secret || status.st_mode & 0o077 == 0 else {
            throw AccountError(
                "\(what) \(path): others than its owner may read it. Expected mode 0600: chmod 600 \(path)")
        }
        var bytes = [UInt8](repeating: 0, count: limit + 1)
        var length = 0
        while length <= limit {
            let count = bytes.withUnsafeMutableBytes { buffer in
                let rest = UnsafeMutableRawBufferPointer(rebasing: buffer.dropFirst(length))
                return Glibc.read(descriptor, rest.baseAddress, rest.count)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw AccountError("\(what) \(path): \(String(cString: strerror(errno))).") }
            if count == 0 { break }
            length += count
        }
        guard length <= limit else { throw AccountError("\(what) \(path): longer than \(limit) bytes.") }
        return String(decoding: bytes[..<length], as: UTF8.self)
    }
}

extension UInt8 {
    var isHexadecimalDigit: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "F"),
            UInt8(ascii: "a")...UInt8(ascii: "f"):
            true
        default: false
        }
    }
}
