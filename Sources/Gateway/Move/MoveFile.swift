import FoundationEssentials
import Glibc

/// Where a centre's move is kept: a small file in the state directory, replaced whole and synced, with a sum over what it
/// says, so that a damaged one is known.
struct MoveFile: Sendable {
    let directory: String
    var path: String { directory + "/centre-move" }

    private static let mostBytes = 16 * 1024
    private static let heading = "larmnod centre-move 1 "

    enum Content: Sendable {
        case none
        case record(CentreMove.Record)
        /// Damaged or not readable, in words that follow the file's name.
        case unusable(String, isDamaged: Bool)
    }

    func read() -> Content {
        let bytes: [UInt8]
        switch TextFile.read(path, limit: Self.mostBytes) {
        case .success(let content): bytes = content
        case .failure(let failure): return failure.isMissing ? .none : .unusable(failure.reason, isDamaged: false)
        }
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
            return .unusable("is damaged", isDamaged: true)
        }
        let body = bytes[(end + 1)...]
        guard String(decoding: bytes[..<end], as: UTF8.self) == Self.heading + Self.sum(body) else {
            return .unusable("is damaged", isDamaged: true)
        }
        guard let record = try? JSONDecoder().decode(CentreMove.Record.self, from: Data(body)) else {
            return .unusable("is of another version of larmnod", isDamaged: true)
        }
        return .record(record)
    }

    /// Durable when it returns. - Throws: `ControlRefusal`, and what was kept before still is.
    func write(_ record: CentreMove.Record) throws(ControlRefusal) {
        guard let body = try? Array(JSONEncoder().encode(record)) else {
            throw ControlRefusal("the move cannot be written")
        }
        let bytes = Array((Self.heading + Self.sum(body[...]) + "\n").utf8) + body
        guard bytes.count <= Self.mostBytes else {
            throw ControlRefusal("the new settings are longer than can be kept (\(Self.mostBytes) bytes)")
        }
        let draft = path + ".new"
        unlink(draft)
        let descriptor = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw refusal() }
        let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        guard written == bytes.count, fsync(descriptor) == 0, rename(draft, path) == 0 else {
            let refusal = refusal()
            close(descriptor)
            unlink(draft)
            throw refusal
        }
        close(descriptor)
        syncNames()
    }

    /// Forgets the move, durably. - Throws: `ControlRefusal` where the disk takes no change.
    func remove() throws(ControlRefusal) {
        guard unlink(path) == 0 || errno == ENOENT else { throw refusal() }
        syncNames()
    }

    /// Keeps a file that cannot be used for whoever wants to see it, out of the next start's way.
    func setAside() {
        rename(path, path + ".damaged")
        syncNames()
    }

    private func refusal() -> ControlRefusal {
        ControlRefusal(
            "\(path) cannot be written: \(systemWords()). Nothing was changed; see to the disk and try again.")
    }

    private func syncNames() {
        let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    /// FNV-1a, 64 bits (draft-eastlake-fnv): against damage, not against forgery.
    private static func sum(_ bytes: ArraySlice<UInt8>) -> String {
        String(bytes.reduce(UInt64(0xCBF2_9CE4_8422_2325)) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }, radix: 16)
    }
}
