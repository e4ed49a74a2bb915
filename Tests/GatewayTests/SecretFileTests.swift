import Foundation
import Testing

@testable import Gateway

@Suite("Keys as files and as systemd's credentials")
struct SecretFileTests {
    let scratch = Scratch()

    private func named(_ name: String, directory: String?) -> Result<SecretFile, TextFile.Failure> {
        SecretFile.named(name, beside: "/etc/larmnod/site.toml", environment: { _ in directory })
    }

    private func refusal<T>(_ result: Result<T, TextFile.Failure>) -> String {
        switch result {
        case .success: "accepted"
        case .failure(let failure): failure.reason
        }
    }

    private func write(_ name: String, mode: Int) throws {
        try Data("hex:00112233445566778899AABBCCDDEEFF\n".utf8).write(
            to: URL(fileURLWithPath: "\(scratch.path)/\(name)"))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: "\(scratch.path)/\(name)")
    }

    @Test("A plain name is a file beside the site file; a credential lies where systemd says")
    func where_() throws {
        #expect(try named("a.key", directory: nil).get().path == "/etc/larmnod/a.key")
        #expect(try named("/b/a.key", directory: nil).get().path == "/b/a.key")
        #expect(try named("credential:centre-a", directory: "/run/c").get().path == "/run/c/centre-a")
    }

    @Test(
        "A credential is read with the rights that systemd gives it, and with no wider ones",
        arguments: [
            (0o400, true), (0o440, true), (0o600, true), (0o640, true), (0o460, false), (0o404, false), (0o420, false),
        ])
    func rights(mode: Int, isTaken: Bool) throws {
        try write("centre-a", mode: mode)
        let read = named("credential:centre-a", directory: scratch.path).flatMap { $0.read("key file", limit: 256) }
        let words = refusal(read)
        #expect((words == "accepted") == isTaken, "\(words)")
        if !isTaken { #expect(words.contains("the credential centre-a is open to other users")) }
    }

    @Test(
        "Names that are none, and the key itself in their place, are refused without being shown",
        arguments: [
            "", ".", "..", ".hidden", "a/b", "../shadow", "a b", "Sesam öppna dig!", "a:b",
            String(repeating: "x", count: 256),
        ])
    func badNames(name: String) {
        let words = refusal(named("credential:" + name, directory: scratch.path))
        #expect(words.hasPrefix("expected a credential's name as credential: and"))
        #expect(name.count < 3 || !words.contains(name))
    }

    @Test("Without systemd's directory, or without the credential in it, the words say what to do")
    func missing() {
        for directory in [nil, "", "relative"] {
            let words = refusal(named("credential:centre-a", directory: directory))
            #expect(words.contains("$CREDENTIALS_DIRECTORY is not set") && words.contains("LoadCredential="))
        }
        let words = refusal(
            named("credential:secretsecretsecret", directory: scratch.path).flatMap {
                $0.read("key file", limit: 256)
            })
        #expect(words.hasPrefix("there is no such credential: expected LoadCredential=NAME:FILE"))
        #expect(!words.contains("secretsecret"))
    }
}
