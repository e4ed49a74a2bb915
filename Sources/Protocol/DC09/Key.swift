import CryptoExtras

/// An AES key of 128, 192 or 256 bits. Never shows itself: not in a description, not in a dump.
///
/// How a key is written must be said, because 32 characters are an AES-128 key when read as hexadecimal digits and an
/// AES-256 key when read as text, and both readings are in use (DC-09 reference 10).
public struct Key: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    let symmetric: SymmetricKey

    /// From 32, 48 or 64 hexadecimal digits in either case.
    public init(hex digits: String) throws(KeyError) {
        guard let bytes = digits.utf8.hexBytes, [16, 24, 32].contains(bytes.count) else {
            throw KeyError(
                "a key in hexadecimal form has 32, 48 or 64 digits 0-9 A-F and nothing else, found "
                    + "\(digits.utf8.count) characters\(digits.utf8.hexBytes == nil ? " that are not all such digits" : "")"
            )
        }
        symmetric = SymmetricKey(data: bytes)
    }

    /// From 16, 24 or 32 printable ASCII characters, which are the key's bytes.
    public init(text: String) throws(KeyError) {
        let bytes = Array(text.utf8)
        guard [16, 24, 32].contains(bytes.count), bytes.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
            throw KeyError("a key in text form has 16, 24 or 32 printable ASCII characters, found \(text.count)")
        }
        symmetric = SymmetricKey(data: bytes)
    }

    /// "AES-128 key"
    public var description: String { "AES-\(symmetric.bitCount) key" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: []) }

    /// Keys are compared in constant time.
    public static func == (a: Key, b: Key) -> Bool { a.symmetric == b.symmetric }
    public func hash(into hasher: inout Hasher) { hasher.combine(symmetric.bitCount) }
}

/// A key that cannot be one: says what was expected, never what was found.
public struct KeyError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
    init(_ description: String) { self.description = description }
}
