import Drivers
import Foundation
import Testing

@testable import Gateway

@Suite("A new centre's settings")
struct CentreSettingsTests {
    let scratch = Scratch()

    private var site: Site {
        var fibre = testPath("fibre", to: "a", port: 7, host: "old.example", interface: "eth7", .udp, attempts: 9)
        fibre.poll = .seconds(33)
        return testSite(
            scratch.path,
            [
                fibre, testPath("other", to: "b", port: 7, host: "b.example"),
                testPath("mobile", to: "a", port: 8, host: "old.example", timeout: .seconds(3)),
            ])
    }

    private func read(_ text: String) throws -> [PathSettings] {
        try CentreSettings.read(text, from: "new.toml", receiver: "a", site: site)
    }

    @Test("The new centre's agreement is the table's alone; what a path is on our side stays")
    func twins() throws {
        let key = scratch.path + "/a.key"
        try Data("hex:00112233445566778899AABBCCDDEEFF\n".utf8).write(to: URL(fileURLWithPath: key))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: key)
        let paths = try read(
            """
            [receiver.a]
            address = "new.example:9"
            key = "a.key"
            account = "00ab"
            format = "contact-id"
            [path.mobile]
            address = "[2001:db8::1]:10"
            transport = "udp"
            poll = "5s"
            """)
        #expect(paths.map(\.name) == ["fibre", "mobile"] && paths.map(\.receiver) == ["a", "a"])
        #expect(paths.map(\.address) == ["new.example:9", "[2001:db8::1]:10"])
        #expect(paths.map(\.transport) == [.udp, .udp])
        #expect(paths.map(\.poll) == [.seconds(33), .seconds(5)])
        #expect(paths.map(\.timeout) == [.milliseconds(500), .seconds(3)])
        #expect(paths.map(\.interface) == ["eth7", nil] && paths[0].attempts == 9)
        #expect(paths.allSatisfy { $0.key != nil && $0.account == "00AB" && $0.format == .contactID })
        #expect(paths[0].extendedBlocks == [.timeOfOccurrence], "the default, not the old centre's")
        let all = site.paths(moving: "a", to: paths)
        #expect(all.map(\.address) == ["new.example:9", "b.example:7", "[2001:db8::1]:10"])
    }

    static let refusals = [
        ("", "no path"), ("address = \"x:1\"", "no such setting"), ("[receiver.b]\naddress = \"x:1\"", "[receiver.b]"),
        ("[receiver.a]\n", "address is missing"), ("[receiver.a]\naddress = \"x\"", "new.toml:2:"),
        ("[receiver.a]\naddress = \"x:1\"\nadress = 1", "did you mean"),
        ("[receiver.a]\naddress = \"x:1\"\n[path.other]\npoll = \"5s\"", "[path.other]"),
        ("[receiver.a]\naddress = \"x:1\"\n[path.fibre]\nreceiver = \"b\"", "no [receiver]"),
        ("[receiver.a]\naddress = \"x:1\"\n[site]\nname = \"x\"", "site"),
        ("[receiver.a]\naddress = \"x:1\"\nkey = \"no.key\"", "no such key file"),
        ("[receiver.a]\naddress = \"x:1\"\nkey = 1111222233334444", "receiver.a"),
        ("[receiver.a]\naddress = \"x:1\"\nauthority = \"x.pem\"", "is for transport"),
        ("[receiver.a]\naddress = \"x:1\"\ntransport = \"tls\"", "TLS needs"), ("[[[", "not valid TOML"),
        ("receiver = 3\npath = 4", "receiver"), ("\u{0}", "TOML"),
    ]

    @Test("Refused in words, with the place, before anything happens", arguments: refusals)
    func refused(text: String, words: String) {
        let refusal = #expect(throws: ControlRefusal.self) { try read(text) }
        let said = refusal?.description ?? ""
        if !text.isEmpty { #expect(said.contains(words), "\(said)") }
        #expect(!said.contains("1111222233334444"), "\(said)")
    }

    @Test("A receiver that no path leads to is refused with those that there are")
    func unknown() {
        let refusal = #expect(throws: ControlRefusal.self) {
            try CentreSettings.read("", from: "x", receiver: "c", site: site)
        }
        #expect(refusal?.description.contains("there is: a, b") == true)
    }

    @Test(
        "What is written in quotes for TOML is read as it was", arguments: ["plain", "a\"b\\c", "å\u{7F}\n\u{1}", ""])
    func quoting(text: String) {
        let problems = Problems()
        let tree = TOML.tree(of: Array("x = \(tomlText(text))".utf8), file: "x", problems: problems)
        #expect(tree?["x"]?.value == .string(text))
    }
}

@Suite("A move on the screen")
struct CentreScreenTests {
    @Test("It fits, whatever the phase and however long the names", arguments: ["shadow", "held", "switched", "kept"])
    func fits(phase: String) {
        let long = String(repeating: "larm-", count: 30) + "\u{1B}[2J.example.se:7700"
        let isTrial = phase == "shadow" || phase == "held"
        let move = CentreStatus.Move(
            receiver: "centre-a", phase: phase, by: "anna", since: 1_795_412_942_586, from: [long], to: [long],
            encrypted: true, within: 100, left: 3600,
            why: ["it refused 2 events", "it has not acknowledged 31 events"],
            compared: isTrial ? CentreStatus.Compared(Comparison(), within: 1, 0) : nil, paths: [],
            settings: "[receiver.centre-a]\naddress = \"x\"", siteFile: "/etc/larmnod/site.toml")
        let lines = CentreScreen.lines(CentreStatus(receivers: [], move: move, last: nil))
        #expect(lines.count <= 23)
        #expect(lines.allSatisfy { $0.count <= 80 && !$0.contains("\u{1B}") })
        let commands = ["shadow": "switch", "held": "prolong", "switched": "keep", "kept": "return"]
        #expect(lines.joined(separator: " ").contains("larmnod receiver \(commands[phase] ?? "")"))
        #expect(lines.contains { $0.contains("address = \"x\"") } == (phase == "kept"))
    }
}
