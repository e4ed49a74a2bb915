import AlarmProtocol
import Drivers
import Foundation
import NIOSSL
import Receiver
import Testing

@testable import Gateway

/// The files of Tests/Peers/certificates.sh, made once in each run, in a folder of each test's own.
struct TestCertificates {
    let folder: Folder

    init() throws {
        folder = try Folder()
        for (name, content) in try Self.made.get() {
            try folder.write(name, content, mode: name.hasSuffix(".key") ? 0o600 : 0o644)
        }
    }

    private static let made = Result {
        let folder = try Folder()
        let maker = Process()
        maker.executableURL = repository.appendingPathComponent("Tests/Peers/certificates.sh")
        maker.arguments = [folder.path, "127.0.0.1", "::1"]
        try maker.run()
        maker.waitUntilExit()
        try #require(maker.terminationStatus == 0)
        var files: [String: Data] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(folder.path)/\(name)"))
        }
        return files
    }

    func path(_ name: String) -> String { "\(folder.path)/\(name)" }

    func listening(_ name: String = "server", clientAuthority: String? = nil) throws -> ListeningCertificate {
        try ListeningCertificate(
            certificate: path("\(name).pem"), key: path("\(name).key"),
            clientAuthority: clientAuthority.map { path("\($0).pem") })
    }

    func chain(_ name: String) throws -> [NIOSSLCertificate] {
        try NIOSSLCertificate.fromPEMFile(path("\(name).pem"))
    }

    func certificate(_ name: String) throws -> Certificate {
        try #require(try chain(name).first.flatMap { Certificate($0) })
    }

    /// What a site says beside these files comes to; or all that is wrong with it.
    func read(_ settings: String, host: String = "127.0.0.1", port: Int = 7700, at now: Int64? = nil) throws -> Site {
        try SiteReader.read(
            file: folder.write("site.toml", Self.site(settings, host, port)), drivers: plainDrivers, at: now
        ).get()
    }

    func refusal(_ settings: String, at now: Int64? = nil) throws -> String {
        let file = try folder.write("site.toml", Self.site(settings, "127.0.0.1", 7700))
        switch SiteReader.read(file: file, drivers: plainDrivers, at: now) {
        case .success: return "accepted"
        case .failure(let error): return error.description.replacingOccurrences(of: folder.path + "/", with: "")
        }
    }

    private static func site(_ settings: String, _ host: String, _ port: Int) -> String {
        """
        [site]
        name = "Test"
        account = "4711"
        clock = "trusted"
        [path.a]
        receiver = "centre"
        timeout = "2s"
        attempts = 1
        [receiver.centre]
        address = "\(host):\(port)"
        \(settings)
        """
    }
}
