import AlarmProtocol
import Foundation
import NIOSSL
import Receiver
import Testing

@testable import Gateway

@Suite("A path over TLS")
struct SecureTransportTests {
    let files: TestCertificates
    let scratch = Scratch()
    init() throws { files = try TestCertificates() }

    /// What a receiver shows and asks for, what a path expects of it, and what comes of it: nil where events arrive.
    struct Meeting: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var shows = "server"
        var clientAuthority: String?
        var host = "127.0.0.1"
        var settings: String
        var refusal: String?
    }

    static let client = "client-certificate = \"client.pem\"\nclient-key = \"client.key\""

    static let meetings: [Meeting] = [
        Meeting(testDescription: "pinned", settings: "certificate = \"server.pem\""),
        Meeting(testDescription: "one of two pinned", shows: "renewed", settings: "certificate = \"both.pem\""),
        Meeting(
            testDescription: "pinned, whatever its name", shows: "elsewhere",
            settings: "certificate = \"elsewhere.pem\""),
        Meeting(testDescription: "pinned, issued by itself", shows: "alone", settings: "certificate = \"alone.pem\""),
        Meeting(testDescription: "authority, address", settings: "authority = \"ca.pem\""),
        Meeting(testDescription: "authority, name", host: "localhost", settings: "authority = \"ca.pem\""),
        Meeting(
            testDescription: "authority, another name",
            settings: "authority = \"ca.pem\"\nserver-name = \"LARM.example.se\""),
        Meeting(testDescription: "RSA", shows: "old-style", settings: "authority = \"ca.pem\""),
        Meeting(
            testDescription: "our certificate", clientAuthority: "ca", settings: "authority = \"ca.pem\"\n\(client)"),
        Meeting(testDescription: "ours, not asked for", settings: "certificate = \"server.pem\"\n\(client)"),
        Meeting(
            testDescription: "another than pinned", shows: "renewed", settings: "certificate = \"server.pem\"",
            refusal: "the receiver's certificate is not the pinned one: SHA-256 "),
        Meeting(
            testDescription: "the authority pinned in the receiver's place", settings: "certificate = \"ca.pem\"",
            refusal: "is not the pinned one"),
        Meeting(
            testDescription: "another authority's", shows: "stranger", settings: "authority = \"ca.pem\"",
            refusal: "is not issued by the authority in ca.pem"),
        Meeting(
            testDescription: "another host's", shows: "elsewhere", settings: "authority = \"ca.pem\"",
            refusal: "the receiver's certificate is for larm.example.org, expected 127.0.0.1"),
        Meeting(
            testDescription: "address in the place of a name", host: "localhost",
            settings: "authority = \"ca.pem\"\nserver-name = \"larm.example.net\"",
            refusal: "expected larm.example.net"),
        Meeting(
            testDescription: "no name", shows: "nameless", settings: "authority = \"ca.pem\"",
            refusal: "no subject alternative name"),
        Meeting(
            testDescription: "expired", shows: "expired", settings: "authority = \"ca.pem\"",
            refusal: "the receiver's certificate expired on "),
        Meeting(
            testDescription: "pinned and expired", shows: "expired", settings: "certificate = \"expired.pem\"",
            refusal: "the receiver's certificate expired on "),
        Meeting(
            testDescription: "ours is missing", clientAuthority: "ca", settings: "authority = \"ca.pem\"",
            refusal: "client-certificate"),
        Meeting(
            testDescription: "ours is of another authority", clientAuthority: "other-ca",
            settings: "authority = \"ca.pem\"\n\(client)", refusal: "client-certificate"),
    ]

    @Test("The right receiver gets events, every other is refused in words and gets nothing", arguments: meetings)
    func meeting(_ meeting: Meeting) async throws {
        let centre = try await TestCentre(
            tls: files.listening(meeting.shows, clientAuthority: meeting.clientAuthority))
        let site = try files.read(
            "transport = \"tls\"\n\(meeting.settings)", host: meeting.host, port: centre.service.port)
        let box = try Box(scratch.path, site.paths)
        try box.outbox.append([NewEvent(sample("p", text: "over TLS"))])
        if let refusal = meeting.refusal {
            let isSaid = try await comesTrue { try await box.paths()[0].why?.contains(refusal) ?? false }
            let said = try await box.paths()[0].why ?? "nothing"
            #expect(isSaid, "\(said)")
            #expect(said.hasPrefix("\(meeting.host):\(centre.service.port)"))
            #expect(centre.events.isEmpty && box.outbox.waitingCount == 1)
        } else {
            #expect(await comesTrue { box.outbox.waitingCount == 0 })
            #expect(centre.texts == ["over TLS"])
            #expect(centre.events.map(\.path.transport) == [.tls])
            #expect(site.paths[0].tls?.presented == (try files.certificate(meeting.shows)))
        }
        try await box.stop()
        try await centre.service.stop()
    }

    @Test("A receiver in clear is never spoken to in clear")
    func plain() async throws {
        let centre = try await TestCentre()
        let site = try files.read("transport = \"tls\"\ncertificate = \"server.pem\"", port: centre.service.port)
        let box = try Box(scratch.path, site.paths)
        try box.outbox.append([NewEvent(sample("p", .fire, text: "over TLS"))])
        let isSaid = try await comesTrue { try await box.paths()[0].why?.contains("TLS is not set up") ?? false }
        #expect(isSaid)
        let counters = try await centre.service.counters()
        #expect(counters.events == 0 && counters.polls == 0)
        #expect(box.outbox.waitingCount == 1)
        try await box.stop()
        try await centre.service.stop()
    }

    @Test("A connection that has ended is made anew, and events of a backlog go over one")
    func backlog() async throws {
        let centre = try await TestCentre(misbehaving: "close:every=10", tls: files.listening())
        let site = try files.read("transport = \"tls\"\ncertificate = \"server.pem\"", port: centre.service.port)
        let box = try Box(scratch.path, site.paths)
        for number in 0..<50 { try box.outbox.append([NewEvent(sample("p", text: "\(number)"))]) }
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        #expect(centre.texts == (0..<50).map { "\($0)" })
        try await box.stop()
        try await centre.service.stop()
    }

    @Test("Garbage without end over TLS ends the connection, like any")
    func flood() async throws {
        let centre = try await TestCentre(misbehaving: "garbage:60000", tls: files.listening())
        let site = try files.read("transport = \"tls\"\ncertificate = \"server.pem\"", port: centre.service.port)
        let box = try Box(scratch.path, site.paths)
        // Random bytes have line feeds and carriage returns: whichever limit comes first.
        let isSaid = try await comesTrue {
            let why = try await box.paths()[0].why ?? ""
            return why.contains("not DC-09") || why.contains("frames without end")
        }
        let said = try await box.paths()[0].why ?? "nothing"
        #expect(isSaid, "\(said)")
        try await box.stop()
        try await centre.service.stop()
    }

    @Test("Where the clock is not known, a pinned certificate's dates are not judged; where it is, they are")
    func unknownClock() throws {
        let expired = try files.chain("expired")
        let pins = [try files.certificate("expired")]
        for (quality, isRefused) in [(ClockQuality.unknown, false), (.known, true)] {
            let utc = Int64(Date().timeIntervalSince1970 * 1000)
            let transport = try SecureTransport(
                trust: .pinned(pins), authorities: [], name: ServerName("localhost"), own: [], key: nil,
                clock: { Moment(utc: utc, uptime: 0, clock: quality) })
            #expect((transport.refusal(ofPinned: expired.first) != nil) == isRefused)
            #expect(transport.refusal(ofPinned: try files.chain("server").first) != nil)
            #expect(transport.refusal(ofPinned: nil) != nil)
        }
    }

    @Test(
        "A name in a certificate",
        arguments: [
            ("larm.example.se", "larm.example.se", true), ("LARM.Example.se", "larm.EXAMPLE.se", true),
            ("larm.example.se", "*.example.se", true), ("a.larm.example.se", "*.example.se", false),
            ("example.se", "*.example.se", false), ("larm.example.se", "*.se", false), ("example.se", "*.se", false),
            ("larm.example.se", "l*.example.se", false), ("larm.example.se", "larm.*.se", false),
            ("larm.example.se", "", false), ("larm.example.se", "*", false), ("", "", false), ("a", "*", false),
            ("larm.example.se", "larm.example.se.evil.org", false), ("larm.example.se", "arm.example.se", false),
            ("larm.example.se", "larm.example.se\u{0}.evil.org", false),
        ])
    func names(host: String, pattern: String, matches: Bool) {
        #expect(ServerName.matches(host, pattern) == matches)
    }

    @Test("Host names, and addresses in digits")
    func expectedNames() {
        #expect(ServerName("larm.example.se.") == .host("larm.example.se"))
        #expect(ServerName("127.0.0.1") == .address([127, 0, 0, 1]))
        #expect(ServerName("::1") == .address([UInt8](repeating: 0, count: 15) + [1]))
        #expect(ServerName("fe80::1%eth0") == ServerName("fe80::1"))
        #expect(ServerName("::1").asked == nil && ServerName("127.0.0.1").asked == nil)
        #expect("\(ServerName("2001:DB8::7"))" == "2001:db8::7" && "\(ServerName("192.0.2.7"))" == "192.0.2.7")
    }
}

@Suite("A certificate's dates, and what is told of them")
struct CertificateWatchTests {
    static let day: Int64 = 86_400_000
    let files: TestCertificates
    init() throws { files = try TestCertificates() }

    @Test("Read as the library reads them, with the fingerprint of openssl")
    func dates() throws {
        for name in ["ca", "server", "soon", "expired", "old-style", "nameless"] {
            let theirs = try #require(try files.chain(name).first)
            let ours = try files.certificate(name)
            #expect(ours.validFrom == Int64(theirs.notValidBefore) * 1000)
            #expect(ours.validUntil == Int64(theirs.notValidAfter) * 1000)
        }
        let openssl = Process()
        let pipe = Pipe()
        openssl.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        openssl.arguments = ["x509", "-noout", "-fingerprint", "-sha256", "-in", files.path("server.pem")]
        openssl.standardOutput = pipe
        try openssl.run()
        openssl.waitUntilExit()
        let said = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        #expect(said.contains(try files.certificate("server").fingerprint))
    }

    @Test("Bytes that are no certificate, or one with a byte changed anywhere: never a crash")
    func damaged() throws {
        let good = try files.certificate("server").bytes
        for length in 0..<good.count { _ = Certificate(Array(good.prefix(length))) }
        #expect(Certificate(Array(good.prefix(20))) == nil)
        var random = Seeded(4711)
        for place in good.indices {
            var bad = good
            bad[place] = UInt8.random(in: 0...255, using: &random)
            if let read = Certificate(bad) { #expect(read.validFrom >= -62_135_596_800_000) }
        }
        #expect(Certificate([0x30, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]) == nil)
    }

    private func texts(_ part: CertificateWatch.Part, _ days: Int64) throws -> [String] {
        let certificate = try files.certificate("server")
        let troubles = CertificateWatch.judge(
            part, of: "fibre", .certificate(certificate), at: certificate.validUntil - days * Self.day)
        return troubles.map {
            guard case .certificate(let point, let isActive, let text) = $0 else { return "another" }
            let end = text.replacingOccurrences(of: certificate.lastDay, with: "DATE")
            return "\(point) \(isActive ? "on" : "off"): \(end)"
        }
    }

    @Test("Told 30 days ahead, told again when it has expired, and ended when it is renewed")
    func ages() throws {
        let (until, point) = ("path fibre: the receiver's certificate is valid until DATE", "path.fibre.certificate")
        let good = ["\(point) off: \(until)", "\(point).expired off: \(until)"]
        #expect(try texts(.receiver, 31) == good && texts(.receiver, 30) == good)
        #expect(
            try texts(.receiver, 29) == [
                "\(point) on: path fibre: the receiver's certificate expires on DATE, in 29 days: renew it", good[1],
            ])
        #expect(try texts(.receiver, 1)[0].contains("in 1 day: renew"))
        #expect(try texts(.receiver, 0)[0].contains("within a day: renew"))
        #expect(
            try texts(.receiver, -1) == [
                "\(point).expired on: path fibre: the receiver's certificate expired on DATE: the path fails until it is renewed"
            ])
        #expect(try texts(.receiver, 100_000).isEmpty, "not yet valid: the path says so")
        #expect(try texts(.own, 5)[0].hasPrefix("path.fibre.client-certificate on: path fibre: our client certificate"))
        #expect(try texts(.authority, 5)[0].hasPrefix("path.fibre.authority on: path fibre: the authority's"))
        #expect(CertificateWatch.judge(.receiver, of: "fibre", .unseen, at: 0).isEmpty)
    }

    @Test("What stands is told once, and not again after a restart; the texts fit an event")
    func once() throws {
        let certificate = try files.certificate("soon")
        let now = Moment(utc: certificate.validUntil - 3 * Self.day, uptime: 5, clock: .known)
        let troubles = CertificateWatch.judge(.own, of: "a", .certificate(certificate), at: now.utc)
        let first = troubles.compactMap { $0.event(account: "4711", now: now, known: { _ in nil }) }
        #expect(first.map { "\($0.event.sia) \($0.event.contactID) \($0.event.qualifier)" } == ["YX 300 event"])
        #expect(first.map(\.event.point) == ["path.a.client-certificate"])
        let again = troubles.compactMap { $0.event(account: "4711", now: now, known: { $0.hasSuffix("certificate") }) }
        #expect(again.isEmpty)
        let gone = CertificateWatch.judge(.own, of: "a", .none, at: now.utc).compactMap {
            $0.event(account: "4711", now: now, known: { $0.hasSuffix("certificate") })
        }
        #expect(gone.map(\.event.sia) == ["YZ"])
    }

    @Test("Judged when the clock is known, once a day, when it is set, and when another certificate is shown")
    func occasions() throws {
        let site = try files.read("transport = \"tls\"\nauthority = \"ca.pem\"")
        let watch = CertificateWatch(site.paths)
        var now = Moment(utc: try files.certificate("server").validFrom, uptime: 1000, clock: .unknown)
        func judges() -> Bool { !watch.troubles(at: now).isEmpty }
        #expect(!judges())
        now.clock = .known
        #expect(judges() && !judges())
        now.uptime += Self.day - 1
        now.utc += Self.day - 1
        #expect(!judges())
        now.uptime += 1
        now.utc += 1
        #expect(judges() && !judges())
        now.utc += 7_200_000
        #expect(judges() && !judges(), "the clock was set")
        let transport = try #require(site.paths[0].tls)
        #expect(transport.holding(.receiver) == .unseen)
        let soon = try #require(try files.chain("soon").first)
        #expect(transport.refusal(ofName: soon) == nil)
        #expect(transport.holding(.receiver) == .certificate(try files.certificate("soon")))
        #expect(watch.troubles(at: now).contains { "\($0)".contains("certificate expires on") })
        #expect(!judges())
    }

    @Test("Of several pinned certificates the one that is shown decides; of our chain the first to expire")
    func whichDecides() throws {
        let one = try #require(try files.read("transport = \"tls\"\ncertificate = \"soon.pem\"").paths[0].tls)
        #expect(one.holding(.receiver) == .certificate(try files.certificate("soon")))
        let two = try files.read("transport = \"tls\"\ncertificate = \"soon-or-renewed.pem\"").paths[0]
        let transport = try #require(two.tls)
        #expect(transport.holding(.receiver) == .unseen)
        #expect(transport.holding(.authority) == .none && transport.holding(.own) == .none)
        #expect(transport.refusal(ofName: try files.chain("renewed").first) == nil)
        #expect(transport.holding(.receiver) == .certificate(try files.certificate("renewed")))
        let chain =
            try Data(contentsOf: URL(fileURLWithPath: files.path("client.pem")))
            + Data(contentsOf: URL(fileURLWithPath: files.path("soon.pem")))
        try files.folder.write("chain.pem", chain)
        let own = try files.read(
            """
            transport = "tls"
            authority = "ca.pem"
            client-certificate = "chain.pem"
            client-key = "client.key"
            """)
        #expect(try #require(own.paths[0].tls).holding(.own) == .certificate(try files.certificate("soon")))
    }
}
