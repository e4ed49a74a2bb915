import Glibc

/// SQLite's write-ahead log, looked at before SQLite does. SQLite silently ignores everything from the first frame whose
/// checksum fails: right for the torn end that a power cut leaves, but a silent loss where the damage lies further in.
/// (Format: sqlite.org/fileformat2.html, section 4.)
struct WriteAheadLog {
    private static let headerSize = 32
    private static let frameHeaderSize = 24

    private let bytes: [UInt8]
    private let pageSize: Int
    private let isBigEndian: Bool
    private let salts: ArraySlice<UInt8>
    private let headerIsSound: Bool
    /// Where frames begin that belong to this log and are whole.
    private let sound: [Int]
    /// It does not end in a torn transaction but is damaged further in.
    let isDamaged: Bool

    /// Nil when there is no log, or an empty one.
    init?(_ file: String) {
        guard let bytes = Self.read(file), bytes.count > Self.headerSize + Self.frameHeaderSize else { return nil }
        self.bytes = bytes
        let magic = Self.number(bytes, 0)
        // A header that is damaged leaves the page size to be asked of the file itself.
        let told = Int(Self.number(bytes, 8))
        let isPlausible = (512...65536).contains(told) && told & (told - 1) == 0
        let order = magic & 1 == 1
        let sum = Self.checksum(bytes[0..<24], (0, 0), order)
        headerIsSound =
            magic & ~1 == 0x377F_0682 && isPlausible && sum == (Self.number(bytes, 24), Self.number(bytes, 28))
        let size = headerIsSound ? told : Self.pageSize(ofStore: String(file.dropLast("-wal".count)))
        pageSize = size
        guard bytes.count >= Self.headerSize + Self.frameHeaderSize + size else { return nil }
        let frames = Array(
            stride(from: Self.headerSize, through: bytes.count - Self.frameHeaderSize - size, by: 24 + size))

        // A damaged header has lost the salts and the byte order: the frames repeat the one, and are sound in the other.
        let salts = headerIsSound ? bytes[16..<24] : Self.commonSalts(bytes, frames)
        self.salts = salts
        let orders = headerIsSound ? [order] : [false, true]
        let surveys = orders.map { ($0, Self.survey(bytes, frames, size, salts, $0)) }
        let best = surveys.max { $0.1.sound.count < $1.1.sound.count } ?? (order, Survey())
        isBigEndian = best.0
        sound = best.1.sound
        // Each transaction is synced before the next begins, so a power cut tears only the last one, and what follows
        // the tear can hold its one commit mark at most. A log with a broken header is worth nothing to SQLite.
        isDamaged = (!headerIsSound && !sound.isEmpty) || best.1.commitsAfterBreak > 1
    }

    private struct Survey {
        var sound: [Int] = []
        var commitsAfterBreak = 0
    }

    /// Which frames are whole.
    private static func survey(
        _ bytes: [UInt8], _ frames: [Int], _ size: Int, _ salts: ArraySlice<UInt8>, _ isBigEndian: Bool
    ) -> Survey {
        var survey = Survey()
        var seed = (number(bytes, 24), number(bytes, 28))
        var isBroken = false
        // Frames of an earlier round of the log, with other salts, may lie behind ours; a damaged one lies between.
        let last = frames.last { bytes[$0 + 8..<$0 + 16] == salts && number(bytes, $0) != 0 } ?? -1
        for at in frames where at <= last {
            let stored = (number(bytes, at + 16), number(bytes, at + 20))
            let head = checksum(bytes[at..<at + 8], seed, isBigEndian)
            let start = at + frameHeaderSize
            let isSound =
                checksum(bytes[start..<start + size], head, isBigEndian) == stored
                && bytes[at + 8..<at + 16] == salts && number(bytes, at) != 0
            // The frame after a damaged one is judged by what the damaged one says its sum was.
            seed = stored
            if isSound { survey.sound.append(at) } else { isBroken = true }
            if isBroken, isSound, number(bytes, at + 4) != 0 { survey.commitsAfterBreak += 1 }
        }
        return survey
    }

    /// The salts that most of the first frames share.
    private static func commonSalts(_ bytes: [UInt8], _ frames: [Int]) -> ArraySlice<UInt8> {
        let first = frames.prefix(16).filter { number(bytes, $0) != 0 }
        let counts = Dictionary(grouping: first) { Array(bytes[$0 + 8..<$0 + 16]) }
        return counts.max { $0.value.count < $1.value.count }?.key[...] ?? bytes[16..<24]
    }

    /// The same log without its damaged frames, so that SQLite reads what follows them. Later frames hold whole, newer
    /// images of their pages, so little is lost with one.
    func repaired() -> [UInt8] {
        var result: [UInt8] = []
        func append(_ number: UInt32) { withUnsafeBytes(of: number.bigEndian) { result += $0 } }
        append(isBigEndian ? 0x377F_0683 : 0x377F_0682)
        append(3_007_000)
        append(UInt32(pageSize))
        append(0)
        result += salts
        var sum = Self.checksum(result[0..<24], (0, 0), isBigEndian)
        append(sum.0)
        append(sum.1)
        for (index, at) in sound.enumerated() {
            let start = result.count
            result += bytes[at..<at + 4]
            // The last frame must end a transaction, or SQLite would not see it.
            var size = Self.number(bytes, at + 4)
            if size == 0, index == sound.count - 1 {
                size = sound.map { Self.number(bytes, $0) }.max() ?? 1
            }
            append(size)
            result += salts
            sum = Self.checksum(result[start..<start + 8], sum, isBigEndian)
            sum = Self.checksum(bytes[at + 24..<at + 24 + pageSize], sum, isBigEndian)
            append(sum.0)
            append(sum.1)
            result += bytes[at + 24..<at + 24 + pageSize]
        }
        return result
    }

    /// From the header of the store's file; 1024, as ours are made, where that cannot be read either.
    private static func pageSize(ofStore file: String) -> Int {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return 1024 }
        defer { close(descriptor) }
        var header = [UInt8](repeating: 0, count: 18)
        guard Glibc.read(descriptor, &header, 18) == 18 else { return 1024 }
        let size = Int(header[16]) << 8 | Int(header[17])
        return (512...32768).contains(size) && size & (size - 1) == 0 ? size : 1024
    }

    private static func number(_ bytes: [UInt8], _ at: Int) -> UInt32 {
        bytes[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// SQLite's running sum over pairs of 32-bit words, in the byte order that the magic number names.
    private static func checksum(
        _ bytes: ArraySlice<UInt8>, _ seed: (UInt32, UInt32), _ isBigEndian: Bool
    ) -> (UInt32, UInt32) {
        bytes.withUnsafeBytes { raw in
            var (a, b) = seed
            for offset in stride(from: 0, to: raw.count & ~7, by: 8) {
                let first = raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
                let second = raw.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
                a = a &+ (isBigEndian ? UInt32(bigEndian: first) : UInt32(littleEndian: first)) &+ b
                b = b &+ (isBigEndian ? UInt32(bigEndian: second) : UInt32(littleEndian: second)) &+ a
            }
            return (a, b)
        }
    }

    /// At most 256 MiB: a log of ours is moved into the file long before.
    private static func read(_ file: String) -> [UInt8]? {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_size > 0, status.st_size < 256 << 20 else { return nil }
        return [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
            count = 0
            while count < buffer.count {
                let more = Glibc.read(descriptor, buffer.baseAddress! + count, buffer.count - count)
                if more <= 0 { return }
                count += more
            }
        }
    }
}
