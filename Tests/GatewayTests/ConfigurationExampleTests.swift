import Drivers
import Foundation
import Testing

@testable import Gateway

/// Every configuration that we show to anybody is read by the real drivers and accepted: the examples, what stands beside
/// each driver, and every block marked as TOML in a document.
struct ConfigurationExampleTests {
    static let drivers: [any Driver.Type] =
        [GPIODriver.self, IIODriver.self, RevPiDriver.self, ModbusDriver.self] + panelDrivers

    struct Example: CustomTestStringConvertible, Sendable {
        /// Where it stands: a path from the checkout's root, and the line where a block begins.
        var testDescription: String
        var content: String
    }

    static let examples: [Example] = {
        var found: [Example] = []
        let root = repository.path + "/"
        let options: FileManager.DirectoryEnumerationOptions = [.skipsHiddenFiles, .skipsPackageDescendants]
        let files = FileManager.default.enumerator(at: repository, includingPropertiesForKeys: nil, options: options)
        for case let file as URL in files ?? FileManager.DirectoryEnumerator() {
            let path = file.path.replacingOccurrences(of: root, with: "")
            guard !path.contains("Refusals/"), let content = try? String(contentsOf: file, encoding: .utf8) else {
                continue
            }
            if path.hasPrefix("board-configs/") || path.hasPrefix("Sources/"), path.hasSuffix(".toml") {
                found.append(Example(testDescription: path, content: content))
            }
            if path.hasSuffix(".md") {
                found += blocks(in: content).map { Example(testDescription: "\(path):\($0.line)", content: $0.content) }
            }
        }
        return found.sorted { $0.testDescription < $1.testDescription }
    }()

    /// The blocks between ```toml and ```.
    static func blocks(in document: String) -> [(line: Int, content: String)] {
        var blocks: [(line: Int, content: String)] = []
        var block: [Substring]?
        for (index, line) in document.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line == "```toml" {
                block = []
                blocks.append((index + 1, ""))
            } else if line == "```", let lines = block {
                blocks[blocks.count - 1].content = lines.joined(separator: "\n")
                block = nil
            } else {
                block?.append(line)
            }
        }
        return blocks
    }

    @Test("The examples are found")
    func found() {
        let names = Self.examples.map(\.testDescription)
        for name in ["raspberry-pi-4", "generic-pc-modbus", "demo", "examples/school", "examples/pump-station"] {
            #expect(names.contains("board-configs/\(name).toml"))
        }
        for driver in ["GPIO", "RevPi", "Modbus", "ESPA"] {
            #expect(names.contains("Sources/Drivers/\(driver)/example.toml"))
        }
        #expect(names.filter { $0.hasPrefix("docs/configuration.md") }.count >= 5)
    }

    @Test("Accepted", arguments: examples)
    func accepted(example: Example) throws {
        let folder = try Folder()
        if example.content.contains("[board]\n") {
            let board = try Board.read(file: folder.write("board.toml", example.content)).get()
            #expect(!board.terminals.isEmpty)
            return
        }
        let content = whole(example.content)
        for name in ["raspberry-pi-4", "generic-pc-modbus", "demo"] {
            let board = repository.appendingPathComponent("board-configs/\(name).toml")
            try folder.write("boards/\(name).toml", Data(contentsOf: board))
        }
        for match in content.matches(of: /key *= *"([^"]+)"/) {
            try folder.write(String(match.1), "hex:00112233445566778899AABBCCDDEEFF\n")
        }
        for match in content.matches(of: /certificate *= *"([^"]+)"/) {
            let pem = try withExtendedLifetime(TestCertificates()) {
                try Data(contentsOf: URL(fileURLWithPath: $0.path("server.pem")))
            }
            try folder.write(String(match.1), pem)
        }
        switch SiteReader.read(file: try folder.write("site.toml", content), drivers: Self.drivers) {
        case .success(let site): #expect(!site.paths.isEmpty)
        case .failure(let error): Issue.record("\(error)")
        }
    }

    @Test(
        "Every terminal of every board is one that its driver takes",
        arguments: BoardTests.boards)
    func terminals(board: String) throws {
        let folder = try Folder()
        let file = repository.appendingPathComponent("board-configs/\(board).toml")
        let terminals = try Board.read(file: folder.write("boards/\(board).toml", Data(contentsOf: file))).get()
            .terminals
        for (name, terminal) in terminals {
            var content = "[site]\nname = \"A\"\naccount = \"4711\"\nboard = \"\(board)\"\n"
            content += "[device.\(terminal.device).d]\n"
            if terminal.device == "modbus" { content += "address = \"127.0.0.1:502\"\n" }
            if terminal.device == "iio" { content += "device = \"adc\"\n" }
            content += "[device.\(terminal.device).d.point.p]\nterminal = \"\(name)\"\nkind = \"burglary\"\n"
            let isRegister = terminal.settings.contains { $0.node.value == .string("holding-register") }
            let loop = "end-of-line = { pull-up = \"1k\", normal = \"1k\", alarm = \"2k\", full-scale = 4095 }\n"
            content +=
                terminal.device == "iio" ? loop : isRegister ? "bit = 0\n" : "contact = \"normally-open\"\n"
            let site = try folder.write("site.toml", whole(content))
            #expect(folder.refusal(of: site, drivers: Self.drivers) == "accepted\n", "\(name)")
        }
    }

    /// A part of a site file, with the least of what else a site needs.
    private func whole(_ part: String) -> String {
        var content = part + "\n"
        let receiver = part.firstMatch(of: /\[receiver\.([a-z0-9-]+)\]/).map { String($0.1) }
        let wanted = part.firstMatch(of: /receiver *= *"([^"]+)"/).map { String($0.1) }
        if !part.contains("[site]") {
            content = "[site]\nname = \"A\"\naccount = \"4711\"\nboard = \"raspberry-pi-4\"\n" + content
        }
        if receiver == nil { content += "[receiver.\(wanted ?? "centre")]\naddress = \"127.0.0.1:7700\"\n" }
        if !part.contains("[path.") { content += "[path.fibre]\nreceiver = \"\(receiver ?? "centre")\"\n" }
        return content
    }
}
