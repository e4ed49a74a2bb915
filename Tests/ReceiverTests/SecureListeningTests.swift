import Foundation
import Testing

@testable import Receiver

/// The receiver over TLS, with `openssl s_client` as the transmitter.
@Suite("A receiver over TLS")
struct SecureListeningTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        var root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        for _ in 0..<2 { root.deleteLastPathComponent() }
        try Self.run(root.appendingPathComponent("Peers/certificates.sh").path, [scratch.path, "127.0.0.1"])
    }

    @discardableResult
    private static func run(_ program: String, _ arguments: [String]) throws -> Int32 {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        try process.run()
        process.waitUntilExit()
        return process.terminationStatus
    }

    private func certificate(
        _ name: String = "server", key: String? = nil, clientAuthority: String? = nil
    ) throws -> ListeningCertificate {
        try ListeningCertificate(
            certificate: scratch.file("\(name).pem"), key: scratch.file("\(key ?? name).key"),
            clientAuthority: clientAuthority.map { scratch.file("\($0).pem") })
    }

    /// Sends a frame over TLS. - Returns: the frame that came back, or nothing where the connection ended first.
    private func exchange(_ frame: [UInt8], port: Int, _ options: [String] = []) throws -> [UInt8] {
        let process = Process()
        let (input, output) = (Pipe(), Pipe())
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments =
            ["s_client", "-connect", "127.0.0.1:\(port)", "-CAfile", scratch.file("ca.pem")]
            + ["-verify_return_error", "-quiet"] + options
        process.standardInput = input
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        try? input.fileHandleForWriting.write(contentsOf: frame)
        // It stays as long as the connection does, and this process may have taught it to ignore gentler signals.
        let number = process.processIdentifier
        let limit = DispatchWorkItem { kill(number, SIGKILL) }
        DispatchQueue.global().asyncAfter(deadline: .now() + 30, execute: limit)
        var answer: [UInt8] = []
        while !answer.contains(0x0D) {
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { break }
            answer += more
        }
        limit.cancel()
        kill(number, SIGKILL)
        process.waitUntilExit()
        return answer
    }

    @Test("A frame over TLS is acknowledged over TLS, and the feed says how it came; there is no UDP")
    func acknowledged() async throws {
        let certificate = try certificate()
        try await Centre.with(showsPolls: true, tls: certificate) { centre in
            let answer = try exchange(poll(account: "4711"), port: centre.port)
            #expect(String(decoding: answer, as: UTF8.self).contains("\"ACK\""))
            #expect(centre.feed.map(\.path.transport) == [.tls])
            let udp = try Wire(port: centre.port, udp: true)
            try udp.send(poll(account: "4711"))
            #expect(udp.receiveSome(within: 500)?.isEmpty ?? true)
        }
    }

    @Test("Where a certificate is asked for, none and a stranger's are refused; what comes in clear is not read")
    func refused() async throws {
        let certificate = try certificate(clientAuthority: "ca")
        try await Centre.with(showsPolls: true, tls: certificate) { centre in
            func own(_ name: String) -> [String] {
                ["-cert", scratch.file("\(name).pem"), "-key", scratch.file("\(name).key")]
            }
            let frame = try poll(account: "4711")
            #expect(try exchange(frame, port: centre.port).isEmpty)
            #expect(try exchange(frame, port: centre.port, own("client-stranger")).isEmpty)
            let wire = try Wire(port: centre.port)
            _ = try wire.exchange(frame, within: 500)
            #expect(centre.feed.isEmpty)
            #expect(centre.words.contains { $0.contains("TLS was not set up") })
            #expect(try !exchange(frame, port: centre.port, own("client")).isEmpty)
            #expect(centre.feed.count == 1)
        }
    }

    @Test("A connection that never sets up TLS is closed")
    func stalled() async throws {
        var limits = ReceiverOptions.Limits()
        limits.frameTime = .milliseconds(300)
        let certificate = try certificate()
        try await Centre.with(limits: limits, tls: certificate) { centre in
            let wire = try Wire(port: centre.port)
            #expect(wire.receiveSome(within: 5_000) == [])
        }
    }

    @Test("Files that cannot be used are refused, and no key is shown")
    func files() throws {
        let secret = try #require(
            String(decoding: scratch.read("server.key"), as: UTF8.self).split(separator: "\n").dropFirst().first)
        func refusal(_ body: () throws -> ListeningCertificate) -> String {
            do {
                _ = try body()
                return "accepted"
            } catch { return "\(error)" }
        }
        let open = try scratch.write(
            "open.key", String(decoding: scratch.read("server.key"), as: UTF8.self), mode: 0o644)
        _ = try scratch.write("empty.pem", "")
        _ = try scratch.write("empty.key", "")
        #expect(refusal { try certificate() } == "accepted")
        #expect(refusal { try certificate("server", key: "client") }.contains("Does the key belong to it?"))
        #expect(refusal { try certificate("server", key: "open") }.contains("chmod 600 \(open)"))
        #expect(refusal { try certificate("server", key: "locked") }.contains("without a passphrase"))
        #expect(refusal { try certificate("server", key: "empty") }.contains("expected a key in PEM form"))
        #expect(refusal { try certificate("empty", key: "server") }.contains("expected certificates in PEM form"))
        #expect(refusal { try certificate(clientAuthority: "nobody") }.contains("nobody.pem"))
        let swapped = refusal {
            try ListeningCertificate(certificate: scratch.file("server.key"), key: scratch.file("server.key"))
        }
        #expect(swapped.contains("expected certificates in PEM form") && !swapped.contains(secret))
    }
}
