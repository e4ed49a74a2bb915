import Foundation
import Testing

@testable import Gateway

/// Every configuration in Refusals/ is refused, with exactly the words beside it.
struct ConfigurationRefusalTests {
    static let folder = repository.appendingPathComponent("Tests/GatewayTests/Refusals")

    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".toml") }.map { String($0.dropLast(5)) }.sorted()
    }()

    @Test("There are refusals to try")
    func dozens() {
        #expect(Self.names.count >= 100)
    }

    @Test("Refused, in words a technician can act on", arguments: names)
    func refused(name: String) throws {
        let folder = try Folder()
        try keys(in: folder)
        for board in ["test-board", "broken", "wrong", "stranger"] {
            try folder.write(
                "boards/\(board).toml", Data(contentsOf: Self.folder.appendingPathComponent("boards/\(board).toml")))
        }
        try folder.write("boards/folder.toml/file", "")
        let content = try Data(contentsOf: Self.folder.appendingPathComponent(name + ".toml"))
        let site = try folder.write(name + ".toml", content)

        let expected = try String(contentsOf: Self.folder.appendingPathComponent(name + ".expected"), encoding: .utf8)
        let found = folder.refusal(of: site).replacingOccurrences(of: "(\(geteuid()))", with: "(USER)")
        #expect(found == expected)
        for secret in Self.secrets { #expect(!found.lowercased().contains(secret.lowercased())) }
    }

    /// What no message may show, whichever way the keys were got wrong.
    static let secrets = [
        "0123456789ABCDEF", "Sesam", "1234567890123456", "40123456789012345", "81985529216486895", "feedfacefeedface",
    ]

    private func keys(in folder: Folder) throws {
        try folder.write("keys/good.key", "text:Sesam Sesam Sesa\n")
        try folder.write("keys/open.key", "hex:feedfacefeedfacefeedfacefeedface\n", mode: 0o640)
        try folder.write("keys/empty.key", "")
        try folder.write("keys/two-lines.key", "hex:feedfacefeedface\nfeedfacefeedface\n")
        try folder.write("keys/without-form.key", "feedfacefeedfacefeedfacefeedface\n")
        try folder.write("keys/short-hex.key", "hex:feedface\n")
        try folder.write("keys/short-text.key", "text:Sesam\n")
        try folder.write("keys/not-hex.key", "hex:Sesamfacefeedfacefeedfacefeedfac\n")
        try folder.write("keys/control.key", "text:Sesam\u{1b}0123456789\n")
        try folder.write("keys/long.key", "hex:" + String(repeating: "feedface", count: 1000))
        try folder.write("keys/folder.key/file", "")
    }
}
