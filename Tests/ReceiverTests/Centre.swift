import Foundation
import Synchronization
import Testing

@testable import Receiver

/// A receiver in this process, on a port of its own, whose feed and words are kept.
final class Centre: Sendable {
    let service: ReceiverService
    private let kept: Kept

    final class Kept: Sendable {
        let records = Mutex<[[FeedRecord]]>([])
        let words = Mutex<[String]>([])
        let gate = Mutex<Bool>(true)
        let isBroken = Mutex<Bool>(false)
    }
    struct BrokenFeed: Error {}

    var port: Int { service.port }
    /// What was handed on, in order.
    var feed: [FeedRecord] { kept.records.withLock { $0.flatMap { $0 } } }
    /// How many commits it took.
    var commits: Int { kept.records.withLock { $0.count } }
    var words: [String] { kept.words.withLock { $0 } }

    static func start(
        _ entries: [Accounts.Entry] = [], store: String? = nil, port: Int = 0, showsPolls: Bool = false,
        misbehaving words: String? = nil, limits: ReceiverOptions.Limits = .init(), tls: ListeningCertificate? = nil
    ) async throws -> Centre {
        var options = ReceiverOptions(accounts: try Accounts(entries))
        options.port = port
        options.store = store
        options.showsPolls = showsPolls
        options.misbehaviour = try words.flatMap { try Misbehaviour.parse($0) }
        options.limits = limits
        options.tls = tls
        let kept = Kept()
        let service = try await ReceiverService.start(
            options,
            feed: { records in
                // A reader that is slow, for as long as the gate is shut.
                while !kept.gate.withLock({ $0 }) { usleep(1_000) }
                if kept.isBroken.withLock({ $0 }) { throw BrokenFeed() }
                kept.records.withLock { $0.append(records) }
            },
            log: { words in kept.words.withLock { $0.append(words) } })
        return Centre(service, kept)
    }

    private init(_ service: ReceiverService, _ kept: Kept) {
        self.service = service
        self.kept = kept
    }

    func openGate(_ isOpen: Bool) { kept.gate.withLock { $0 = isOpen } }
    func breakFeed(_ isBroken: Bool) { kept.isBroken.withLock { $0 = isBroken } }
    func misbehave(_ words: String) throws { service.misbehave(try Misbehaviour.parse(words)) }
    func stop() async throws { try await service.stop() }

    /// Runs with a receiver, and stops it whatever happens.
    static func with(
        _ entries: [Accounts.Entry] = [], store: String? = nil, showsPolls: Bool = false,
        misbehaving words: String? = nil, limits: ReceiverOptions.Limits = .init(), tls: ListeningCertificate? = nil,
        _ body: (Centre) async throws -> Void
    ) async throws {
        let centre = try await start(
            entries, store: store, showsPolls: showsPolls, misbehaving: words, limits: limits, tls: tls)
        do {
            try await body(centre)
        } catch {
            centre.openGate(true)
            try await centre.stop()
            throw error
        }
        centre.openGate(true)
        try await centre.stop()
    }
}

/// A directory that is gone after the test.
final class Scratch {
    let path: String
    init() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "receiver-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { "\(path)/\(name)" }
    func write(_ name: String, _ text: String, mode: Int = 0o600) throws -> String {
        try Data(text.utf8).write(to: URL(filePath: file(name)))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file(name))
        return file(name)
    }
    func read(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: file(name)))) }
}
