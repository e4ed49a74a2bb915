import Drivers
import Foundation
import Testing

@testable import Gateway

/// Files made to hurt: refused at once, whatever they hold, and never a crash, a hang or a flood.
struct ConfigurationHostileTests {
    let folder: Folder
    init() throws { folder = try Folder() }

    @Test func missingFile() {
        #expect(
            folder.refusal(of: folder.path + "/site.toml") == """
                site.toml:1:1: the site file cannot be opened: No such file or directory
                1 error; the configuration was not used

                """)
    }

    @Test func directory() {
        #expect(folder.refusal(of: folder.path).contains("is not a plain file"))
    }

    @Test func device() {
        #expect(folder.refusal(of: "/dev/zero").contains("is not a plain file"))
    }

    @Test func pipeThatNobodyWrites() {
        let pipe = folder.path + "/pipe.toml"
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(folder.refusal(of: pipe).contains("is not a plain file"))
    }

    @Test func emptyName() {
        #expect(folder.refusal(of: "").contains("is not a file's name"))
        #expect(folder.refusal(of: "a\0b").contains("is not a file's name"))
    }

    @Test func hugeFile() throws {
        let file = try folder.write("site.toml", Data(repeating: UInt8(ascii: "#"), count: 600_000))
        #expect(folder.refusal(of: file).contains("the site file is longer than 524288 bytes"))
    }

    @Test(
        "Nesting and names of any depth",
        arguments: [
            String(repeating: "[", count: 250_000), "a = " + String(repeating: "[", count: 250_000),
            "a = " + String(repeating: "{a=", count: 100_000), String(repeating: "a.", count: 250_000) + "a = 1",
            "[" + String(repeating: "a.", count: 250_000) + "a]",
            "a = [ \"\"\"x\"\"\"\"\", {" + String(repeating: "b.", count: 200_000) + "b = 1 }]",
            "a = ''''''''\n" + String(repeating: "b.", count: 200_000) + "b = 1",
            "a = {" + (0..<30).map { _ in "a.a.a.a.a.a.a.a.a.a.a.a = {" }.joined(),
            String(repeating: "\"", count: 500_000), "a = " + String(repeating: "9", count: 500_000),
        ])
    func depth(content: String) throws {
        let file = try folder.write("site.toml", content)
        #expect(folder.refusal(of: file).hasSuffix("1 error; the configuration was not used\n"))
    }

    @Test(
        "What makes the parser assert, or run into code it calls unreachable",
        arguments: [
            "[=]", "[[.]]", "[ ", "a = 1\u{FE0F}", "a = 1å", "a = [1\"\"\"å\"\"\"]", "a = \"\"\"\\å\"\"\"",
            "a = \"\"\"\\\u{3000}\"\"\"",
            "\u{FEFE}", "a = +å", "a = 1-å", "a = [\u{FD3E}]",
        ])
    func parser(content: String) throws {
        let file = try folder.write("site.toml", content)
        let answer = folder.refusal(of: file)
        #expect(answer.contains("not valid TOML"))
        #expect(answer.hasSuffix("1 error; the configuration was not used\n"))
    }

    @Test func tooManyValues() throws {
        let file = try folder.write("site.toml", "a = [" + String(repeating: "1,", count: 30_000) + "]")
        #expect(folder.refusal(of: file).contains("the file has more than 20000 values"))
    }

    @Test("Thousands of errors are counted, and a hundred printed")
    func flood() throws {
        let content = "[site]\nname = \"A\"\naccount = \"4711\"\n" + (0..<2000).map { "wrong-\($0) = 1\n" }.joined()
        let file = try folder.write("site.toml", content)
        let lines = folder.refusal(of: file).split(separator: "\n")
        #expect(lines.count == 102)
        #expect(lines.last == "2001 errors; the configuration was not used")
    }

    @Test("Any byte anywhere in a good file: an answer, and never a crash")
    func everyByte() throws {
        let good = Array(
            """
            [site]
            name = "Furutorpsskolan" # å
            account = "4711"
            [receiver.a]
            address = "127.0.0.1:7700"
            extended-data = ["H", 'I']
            [path.p]
            receiver = \"""a\"""
            [device.gpio.c]
            point.d = { line = "x", contact = "normally-open", kind = "fire", zone = 0x10 }

            """.utf8)
        for position in good.indices {
            for byte in [0, 0x0A, 0x22, 0x27, 0x2E, 0x3D, 0x5B, 0x7F, 0xC3, 0xEF, 0xFF] as [UInt8] {
                var bytes = good
                bytes[position] = byte
                let problems = Problems()
                if TOML.tree(of: bytes, file: "site.toml", problems: problems) == nil {
                    #expect(problems.all.count == 1, "byte \(byte) at \(position)")
                }
                bytes.removeSubrange(position...)
                _ = TOML.tree(of: bytes, file: "site.toml", problems: problems)
            }
        }
    }

    @Test("A good file, and the same with a character changed anywhere: a site, or an error that says where")
    func everyCharacter() throws {
        let good = try String(
            contentsOf: repository.appendingPathComponent("board-configs/examples/demo.toml"), encoding: .utf8)
        try folder.write(
            "boards/demo.toml", Data(contentsOf: repository.appendingPathComponent("board-configs/demo.toml")))
        let drivers: [any Driver.Type] = [ModbusDriver.self, ESPADriver.self]
        let file = try folder.write("site.toml", good)
        #expect(folder.refusal(of: file, drivers: drivers) == "accepted\n")
        for position in stride(from: 0, to: good.utf8.count, by: 3) {
            for byte in "\".9[".utf8 {
                var bytes = Array(good.utf8)
                bytes[position] = byte
                try folder.write("site.toml", bytes)
                let answer = folder.refusal(of: file, drivers: drivers)
                let isPlaced = answer.split(separator: "\n").dropLast().allSatisfy {
                    $0.contains(/^(site|boards\/demo).toml:\d+:\d+: ./)
                }
                #expect(answer == "accepted\n" || isPlaced, "byte \(byte) at \(position): \(answer)")
            }
        }
    }
}
