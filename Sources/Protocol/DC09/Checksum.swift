/// CRC-16/ARC over a frame's body: polynomial 0x8005 with the least significant bit first, start 0 (DC-09 reference 3).
/// "123456789" makes BB3D.
enum Checksum {
    static func of(_ bytes: some Sequence<UInt8>) -> UInt16 {
        var crc: UInt16 = 0
        for byte in bytes { crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] }
        return crc
    }

    /// What each byte does to the checksum. Computed, because the table printed in old papers has a wrong entry.
    private static let table: [UInt16] = (0..<256).map { (byte: UInt16) in
        (0..<8).reduce(byte) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xA001 : crc >> 1 }
    }
}
