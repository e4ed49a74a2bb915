import ArgumentParser
import Drivers
import Gateway
import Glibc

struct ReceiverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "receiver",
        abstract: "Show the receivers, and move one to a new centre: tried beside the old, compared, then switched.",
        discussion: "Changing the centre is one command, and reversible: docs/commands.md has it step by step.",
        subcommands: [
            ReceiverStatus.self, ReceiverMove.self, ReceiverProlong.self, ReceiverSwitch.self, ReceiverReturn.self,
            ReceiverKeep.self,
        ],
        defaultSubcommand: ReceiverStatus.self)
}

extension Daemon {
    /// Asks, and shows how the receivers are then.
    fileprivate func move(_ request: ControlRequest) throws {
        try ask(request) { connection in
            guard let line = try connection.line() else { throw ControlRefusal("larmnod hung up without an answer") }
            let status = try ControlConnection.decode(CentreStatus.self, line)
            if json { return printLine(line) }
            for line in CentreScreen.lines(status) { printLine(line) }
        }
    }
}

struct ReceiverStatus: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show the receivers, and how far a move is.")
    @OptionGroup var daemon: Daemon

    func run() throws { try daemon.move(ControlRequest(.receiver)) }
}

struct ReceiverMove: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Try a new centre beside the present one; switch when it has acknowledged every event in time.",
        discussion: """
            What is agreed with the new centre is given by options, or as the table [receiver.NAME] of a site file with \
            --from. What is not given has its default, as in a site file. Key files are named as they are there: seen \
            from the site file, read by the daemon.
            """)

    @OptionGroup var daemon: Daemon
    @Argument(help: "The receiver's name in the site file.") var name: String
    @Option(help: "The new centre's address, as larm.example.se:7700.") var to: String?
    @Option(help: "A file with the new [receiver.NAME], instead of options.") var from: String?
    @Option(help: "The key file's name.") var key: String?
    @Flag(help: "The new centre has agreed to no key.") var unencrypted = false
    @Option(help: "The account in the header, where the centre gave one.") var account: String?
    @Option(help: "R of the header.") var receiverNumber: String?
    @Option(help: "L of the header.") var line: String?
    @Option(help: "sia-dcs or contact-id.") var format: String?
    @Option(help: "The transport, where it is another than now: tcp or udp; for tls, --from.") var transport: String?
    @Option(help: "How long it is tried: 0s (until its test is acknowledged) to 720h.") var shadow = "24h"
    @Option(help: "Within what time it must acknowledge: 5s to 1h.") var within = "100s"

    func validate() throws {
        guard (to == nil) != (from == nil) else {
            throw ValidationError("Say where to: --to ADDRESS, or --from FILE.")
        }
        let others = [key, account, receiverNumber, line, format, transport]
        guard from == nil || others.allSatisfy({ $0 == nil }) else {
            throw ValidationError("With --from, everything else about the new centre stands in its file.")
        }
    }

    func run() throws {
        var request = ControlRequest(.receiver, name: name)
        request.step = .move
        request.shadow = try milliseconds(shadow, "--shadow")
        request.within = try milliseconds(within, "--within")
        request.unencrypted = unencrypted
        request.source = from ?? "the options"
        request.settings = try from.map(readText) ?? table
        try daemon.move(request)
    }

    /// The options as a site file has them.
    private var table: String {
        let rows = [
            ("address", to), ("key", key), ("account", account), ("receiver-number", receiverNumber), ("line", line),
            ("format", format), ("transport", transport),
        ]
        return "[receiver.\(name)]\n"
            + rows.compactMap { key, value in value.map { "\(key) = \(tomlText($0))\n" } }.joined()
    }

    private func readText(_ file: String) throws -> String {
        let descriptor = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw ValidationError("\(file) cannot be opened: \(String(cString: strerror(errno)))")
        }
        defer { close(descriptor) }
        // A request is a line of at most 4 KiB.
        var bytes = [UInt8](repeating: 0, count: 3001)
        let count = read(descriptor, &bytes, bytes.count)
        guard (1...3000).contains(count), let text = String(validating: bytes[..<count], as: UTF8.self) else {
            throw ValidationError("\(file): expected a text of 1 to 3000 bytes: the table [receiver.\(name)]")
        }
        return text
    }
}

private func milliseconds(_ text: String, _ option: String) throws -> Int64 {
    guard let span = Duration(described: text) else {
        throw ValidationError("\(option): expected a time as \"100s\", \"30min\" or \"24h\", found \"\(text)\".")
    }
    return span.milliseconds
}

struct ReceiverProlong: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prolong", abstract: "Try the new centre again from the beginning.")
    @OptionGroup var daemon: Daemon
    @Option(help: "For how long, if not as long as before.") var shadow: String?

    func run() throws {
        var request = ControlRequest(.receiver)
        request.step = .prolong
        request.shadow = try shadow.map { try milliseconds($0, "--shadow") }
        try daemon.move(request)
    }
}

struct ReceiverSwitch: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "switch", abstract: "Switch to the new centre now, whatever the trial has shown.")
    @OptionGroup var daemon: Daemon

    func run() throws {
        var request = ControlRequest(.receiver)
        request.step = .switchOver
        try daemon.move(request)
    }
}

struct ReceiverReturn: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "return", abstract: "Back to the old centre; also gives up a trial.")
    @OptionGroup var daemon: Daemon

    func run() throws {
        var request = ControlRequest(.receiver)
        request.step = .comeBack
        try daemon.move(request)
    }
}

struct ReceiverKeep: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keep",
        abstract: "Stay with the new centre: ends the watch, and says what to put into the site file.")
    @OptionGroup var daemon: Daemon

    func run() throws {
        var request = ControlRequest(.receiver)
        request.step = .keep
        try daemon.move(request)
    }
}
