import CryptoExtras

/// AES in CBC mode with an initialisation vector of zeros, as DC-09 has it (DC-09 reference 10). It hides; it does not
/// prove who spoke: there is no authentication in the protocol, and the random first block stands in for a vector.
enum Cipher {
    /// Bytes.
    static let block = 16

    /// Nil unless the text is a whole number of blocks.
    static func encrypt(_ plain: [UInt8], with key: Key) -> [UInt8]? {
        guard plain.count % block == 0, let vector = try? AES._CBC.IV(ivBytes: zeros) else { return nil }
        return (try? AES._CBC.encrypt(plain, using: key.symmetric, iv: vector, noPadding: true)).map { [UInt8]($0) }
    }

    /// Nil unless the text is a whole number of blocks.
    static func decrypt(_ cipher: [UInt8], with key: Key) -> [UInt8]? {
        guard cipher.count % block == 0, let vector = try? AES._CBC.IV(ivBytes: zeros) else { return nil }
        return (try? AES._CBC.decrypt(cipher, using: key.symmetric, iv: vector, noPadding: true)).map { [UInt8]($0) }
    }

    private static let zeros = [UInt8](repeating: 0, count: block)
}
