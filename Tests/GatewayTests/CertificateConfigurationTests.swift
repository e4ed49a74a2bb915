import Foundation
import Testing

@testable import Gateway

@Suite("Certificates and keys in a site file")
struct CertificateConfigurationTests {
    let files: TestCertificates
    init() throws { files = try TestCertificates() }

    static let pinned = "transport = \"tls\"\ncertificate = \"server.pem\"\n"
    static let own = "client-certificate = \"client.pem\"\nclient-key = \"client.key\""
    private var now: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }

    @Test("Said for a receiver, all its paths have it; a path may have any of it in another way")
    func inheritance() throws {
        try files.folder.write(
            "site.toml",
            """
            [site]
            name = "Test"
            account = "4711"
            [receiver.centre]
            address = "larm.example.se:7700"
            transport = "tls"
            certificate = "server.pem"
            client-certificate = "client.pem"
            client-key = "client.key"
            [path.same]
            receiver = "centre"
            [path.other]
            receiver = "centre"
            authority = "ca.pem"
            client-certificate = "client-soon.pem"
            client-key = "client-soon.key"
            [path.plain]
            receiver = "centre"
            transport = "udp"
            """)
        let site = try SiteReader.read(file: files.path("site.toml"), drivers: plainDrivers).get()
        #expect(site.paths.map(\.transport) == [.tls, .tls, .udp])
        #expect(site.paths.map { $0.tls != nil } == [true, true, false])
        guard case .pinned(let pins)? = site.paths[0].tls?.trust else {
            Issue.record("not pinned")
            return
        }
        #expect(pins == [try files.certificate("server")])
        guard case .authority(let authorities, "ca.pem", let name)? = site.paths[1].tls?.trust else {
            Issue.record("no authority")
            return
        }
        #expect(authorities == [try files.certificate("ca")] && name == .host("larm.example.se"))
        #expect(site.paths[1].tls?.own == [try files.certificate("client-soon")])
        // Only the path in clear is remarked on.
        #expect(site.notices.map(\.message).filter { $0.contains("no key") }.count == 1)
    }

    /// What is said, and the line and words of the one thing that is wrong with it.
    static let refusals: [(settings: String, words: String)] = [
        ("transport = \"tls\"", "site.toml:11:13: receiver.centre.transport: TLS needs either certificate"),
        (
            pinned + "authority = \"ca.pem\"",
            "site.toml:13:13: receiver.centre.authority: expected either certificate or"
        ),
        ("certificate = \"server.pem\"", "site.toml:11:15: receiver.centre.certificate: is for transport = \"tls\""),
        ("transport = \"udp\"\nauthority = \"ca.pem\"", "site.toml:12:13: receiver.centre.authority: is for transport"),
        ("client-key = \"client.key\"", "receiver.centre.client-key: is for transport = \"tls\""),
        ("server-name = \"larm.example.se\"", "receiver.centre.server-name: is for transport = \"tls\""),
        (
            pinned + "client-certificate = \"client.pem\"",
            "site.toml:13:22: receiver.centre.client-certificate: client-key is missing"
        ),
        (pinned + "client-key = \"client.key\"", "receiver.centre.client-key: client-certificate is missing"),
        (
            pinned + "client-certificate = \"client.pem\"\nclient-key = \"server.key\"",
            "site.toml:14:14: receiver.centre.client-key: the key does not belong to the first certificate"
        ),
        (
            pinned + "client-certificate = \"client.pem\"\nclient-key = \"locked.key\"",
            "the key file locked.key is locked with a passphrase"
        ),
        (
            pinned + "client-certificate = \"client.pem\"\nclient-key = \"open.key\"",
            "the key file open.key is open to other users (mode 0644), expected 0600: chmod 600 open.key"
        ),
        (
            pinned + "client-certificate = \"client.pem\"\nclient-key = \"half.pem\"",
            "does not hold a key in PEM form"
        ),
        (pinned + "client-certificate = \"client.pem\"\nclient-key = \"none.key\"", "there is no such key file"),
        (
            pinned + "client-certificate = \"client.pem\"\nclient-key = \"empty.key\"",
            "the key file empty.key does not hold a key in PEM form"
        ),
        (pinned + "client-certificate = \"client.pem\"\nclient-key = \"KEY\"", "expected the name of a file"),
        (
            pinned + "client-certificate = \"client.key\"\nclient-key = \"client.key\"",
            "does not hold certificates in PEM"
        ),
        (
            "transport = \"tls\"\ncertificate = \"none.pem\"",
            "site.toml:12:15: receiver.centre.certificate: the file none.pem cannot be opened"
        ),
        ("transport = \"tls\"\ncertificate = \"empty.pem\"", "does not hold certificates in PEM form"),
        ("transport = \"tls\"\ncertificate = \"broken.pem\"", "does not hold certificates in PEM form"),
        ("transport = \"tls\"\ncertificate = \"half.pem\"", "does not hold certificates in PEM form"),
        ("transport = \"tls\"\ncertificate = \"many.pem\"", "is longer than 65536 bytes"),
        ("transport = \"tls\"\ncertificate = \"/dev/zero\"", "is not a plain file"),
        (
            "transport = \"tls\"\nauthority = \"ca.pem\"\nserver-name = \"larm example\"",
            "receiver.centre.server-name: expected the name in"
        ),
        ("transport = \"ssl\"", "expected one of \"tcp\", \"tls\", \"udp\", found \"ssl\""),
        (
            "transport = \"tls\"\ncertificate = 7",
            "expected the file with the receiver's certificate, in quotes, found 7"
        ),
    ]

    @Test("Refused, in words a technician can act on, at its place", arguments: refusals)
    func refused(settings: String, words: String) throws {
        let key = try String(contentsOfFile: files.path("client.key"), encoding: .utf8)
        let server = try String(contentsOfFile: files.path("server.pem"), encoding: .utf8)
        try files.folder.write("open.key", key, mode: 0o644)
        try files.folder.write("empty.key", "")
        try files.folder.write("empty.pem", "")
        try files.folder.write("broken.pem", server.replacingOccurrences(of: "M", with: "!"))
        try files.folder.write("half.pem", server + server.prefix(300))
        try files.folder.write("many.pem", String(repeating: server, count: 200))
        let found = try files.refusal(
            settings.replacingOccurrences(of: "KEY", with: key.replacingOccurrences(of: "\n", with: " ")))
        #expect(found.contains(words), "\(found)")
        #expect(found.hasSuffix("1 error; the configuration was not used"), "\(found)")
        for line in key.split(separator: "\n") where !line.hasPrefix("-") { #expect(!found.contains(line.prefix(12))) }
    }

    @Test("An expired certificate is an error where dates are judged, and none where the daemon starts")
    func expired() throws {
        let settings = "transport = \"tls\"\ncertificate = \"expired.pem\""
        #expect(try files.refusal(settings) == "accepted")
        let found = try files.refusal(settings, at: now)
        #expect(
            found.contains("site.toml:12:15: receiver.centre.certificate: the certificate in expired.pem expired on 20")
        )
        #expect(found.contains("this machine's clock says 20"))
        let early = try files.refusal(Self.pinned + Self.own, at: 1_000_000_000_000)
        #expect(early.contains("the certificate in server.pem is valid from 20"))
        #expect(early.contains("the certificate in client.pem is valid from 20"))
    }

    @Test("One that expires within 30 days, or an old one beside a valid one, is a note")
    func notes() throws {
        func notes(_ settings: String) throws -> [String] {
            try files.read("transport = \"tls\"\n\(settings)", at: now).notices.map(\.message)
                .filter { $0.contains("certificate") }
        }
        #expect(try notes("certificate = \"server.pem\"\n\(Self.own)") == [])
        #expect(try notes("certificate = \"soon.pem\"")[0].contains("the certificate in soon.pem expires on 20"))
        let pem = try ["expired", "server"].map { try String(contentsOfFile: files.path("\($0).pem"), encoding: .utf8) }
        try files.folder.write("old-and-new.pem", pem.joined())
        let note = try notes("certificate = \"old-and-new.pem\"")
        #expect(note.count == 1 && note[0].contains("in old-and-new.pem expired on 20"), "\(note)")
    }
}
