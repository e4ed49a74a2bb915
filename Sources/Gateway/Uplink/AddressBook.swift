import Glibc
import Logging
import NIOCore

/// The addresses that the receivers' names had when they were last found, kept on disk for the day when the name servers
/// are down. Lives on the uplink's event loop; a thread of its own writes.
///
/// The file, `addresses` in the state directory, has a heading and a line for each receiver: its name, its port and its
/// addresses. What in it is not so is left out, whoever wrote it.
final class AddressBook {
    static let heading = "larmnod addresses 1"
    /// Names: paths, and as many that were configured before. Addresses of a name. Bytes of the file.
    static let mostNames = 32
    static let mostAddresses = 16
    static let mostBytes = 32 * 1024
    /// A name whose addresses go round at each look-up does not wear out the card: at most one write in so long.
    static let writeInterval: Int64 = 600_000

    private let file: String
    private var entries: [Entry]
    /// When it was written last, by the clock that never steps.
    private var writtenAt: Int64?
    private let uptime: () -> Int64
    private let logger = Logger(label: "addresses")

    struct Entry: Equatable, Sendable {
        var host: String
        var port: Int
        /// In digits, those that the system prefers first.
        var addresses: [String]
    }

    init(
        directory: String,
        uptime: @escaping () -> Int64 = { Int64((ContinuousClock.now - AddressBook.began).milliseconds) }
    ) {
        file = directory + "/addresses"
        self.uptime = uptime
        entries = []
        switch TextFile.read(file, limit: Self.mostBytes) {
        case .success(let bytes):
            let (read, odd) = Self.read(bytes)
            entries = read
            if let odd { logger.warning("\(file): \(odd) is left out; the names are looked up again") }
        case .failure(let failure):
            if !failure.isMissing { logger.warning("\(file) \(failure.reason): it is not used") }
        }
    }

    private static let began = ContinuousClock.now

    /// The addresses that this name had, at best some; empty where nothing is known.
    func addresses(of host: String, port: Int) -> [SocketAddress] {
        entries.first { $0.host == host && $0.port == port }?.addresses
            .compactMap { try? SocketAddress(ipAddress: $0, port: port) } ?? []
    }

    /// What a look-up has found: from now on these, and no others.
    func note(_ found: [SocketAddress], for host: String, port: Int) {
        let addresses = found.compactMap(Self.digits).prefix(Self.mostAddresses)
        guard !addresses.isEmpty, Self.isHost(host) else { return }
        let entry = Entry(host: host, port: port, addresses: Array(addresses))
        let old = entries.firstIndex { $0.host == host && $0.port == port }
        // Their order goes round with many name servers, and is no change.
        if let old, entries[old].addresses.sorted() == entry.addresses.sorted() {
            entries[old] = entry
            return writePending()
        }
        if let old { entries.remove(at: old) }
        entries.insert(entry, at: 0)
        entries = Array(entries.prefix(Self.mostNames))
        isChanged = true
        writePending()
    }

    private var isChanged = false

    private func writePending() {
        let now = uptime()
        guard isChanged, writtenAt.map({ now - $0 >= Self.writeInterval }) ?? true else { return }
        isChanged = false
        writtenAt = now
        let (file, text) = (file, Self.text(entries))
        // A disk that hangs holds up this thread and no alarm. What cannot be written is known as long as we run.
        let logger = logger
        do {
            try WorkerThread("addresses") {
                if let why = replaceFile(file, with: text) { logger.warning("\(file) is not written: \(why)") }
            }.detach()
        } catch { isChanged = true }
    }

    static func text(_ entries: [Entry]) -> String {
        ([heading] + entries.map { "\($0.host) \($0.port) \($0.addresses.joined(separator: " "))" })
            .joined(separator: "\n") + "\n"
    }

    /// - Returns: what is in order, and what was not, in words.
    static func read(_ bytes: [UInt8]) -> (entries: [Entry], odd: String?) {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard let first = lines.first, first.elementsEqual(heading.utf8) else {
            return ([], "a content that is not \"\(heading)\"")
        }
        var entries: [Entry] = []
        var odd: String?
        for (number, line) in lines.enumerated().dropFirst() where !line.isEmpty {
            guard entries.count < mostNames else {
                odd = "what follows line \(number)"
                break
            }
            if let entry = entry(line) { entries.append(entry) } else { odd = odd ?? "line \(number + 1)" }
        }
        return (entries, odd)
    }

    private static func entry(_ line: ArraySlice<UInt8>) -> Entry? {
        guard let text = String(validating: line, as: UTF8.self) else { return nil }
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard words.count >= 3, words.count <= 2 + mostAddresses, isHost(words[0]), let port = Int(words[1]),
            (1...65535).contains(port),
            words[2...].allSatisfy({ (try? SocketAddress(ipAddress: $0, port: port)) != nil })
        else { return nil }
        return Entry(host: words[0], port: port, addresses: Array(words[2...]))
    }

    private static func isHost(_ text: String) -> Bool {
        (1...253).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
    }

    private static func digits(_ address: SocketAddress) -> String? {
        // An address of one interface only ("fe80::1%eth0") means nothing after the next start.
        guard let text = address.ipAddress, !text.contains("%"), !text.lowercased().hasPrefix("fe80:") else {
            return nil
        }
        return text
    }
}

/// Puts a new content in a file's place: after a power cut there is the old one or the new one, whole.
/// - Returns: why not, in words.
func replaceFile(_ file: String, with text: String) -> String? {
    let draft = file + ".new"
    let descriptor = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o640)
    guard descriptor >= 0 else { return systemWords() }
    let bytes = Array(text.utf8)
    let isWritten = write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
    let why = systemWords()
    close(descriptor)
    guard isWritten, rename(draft, file) == 0 else {
        let reason = isWritten ? systemWords() : why
        unlink(draft)
        return reason
    }
    return nil
}
