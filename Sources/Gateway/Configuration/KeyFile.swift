import AlarmProtocol

/// A receiver's key, in a file of its own so that the site file can be shown to anybody.
///
/// The file has one line: `hex:` and 32, 48 or 64 hexadecimal digits, or `text:` and 16, 24 or 32 characters. The form
/// is said and never guessed, since 32 hexadecimal digits are also a valid text key, and centres mean either.
enum KeyFile {
    static let form = "one line, hex: and 32, 48 or 64 hexadecimal digits, or text: and 16, 24 or 32 characters"
    private static let mostBytes = 256

    /// - Parameter name: as `SecretFile` takes it.
    /// - Returns: the key, or what is wrong, in words that show no key.
    static func read(_ name: String, beside siteFile: String) -> Result<Key, TextFile.Failure> {
        SecretFile.named(name, beside: siteFile).flatMap { file in
            file.read("key file", limit: mostBytes).flatMap { bytes in
                if let key = key(in: bytes) { return .success(key) }
                return .failure(
                    TextFile.Failure(reason: "\(file.words("key file")) does not hold a key: expected \(form)"))
            }
        }
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
