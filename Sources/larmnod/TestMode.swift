import ArgumentParser
import Gateway

struct TestMode: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test-mode",
        abstract: "Tell the centre that the site is being worked on, for a time. Every event is sent as always.",
        discussion: "Ends by itself when its time is over, and at a restart. Your name is told with it.",
        subcommands: [On.self, Off.self, Status.self], defaultSubcommand: Status.self)

    struct On: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Begin test mode.", usage: "larmnod test-mode on --for <for> [--why <why>] [<options>]")

        @OptionGroup var daemon: Daemon
        @Option(name: .customLong("for"), help: "How long, at most 8h: 90s, 30min, 2h.") var time: String
        @Option(help: "Why, for the centre's operator.") var why: String = ""

        func validate() throws {
            guard TestMode.seconds(time) != nil else {
                throw ValidationError("Expected a time as 90s, 30min or 2h, found \"\(time)\".")
            }
        }

        func run() throws {
            try TestMode.ask(
                daemon, ControlRequest(.testMode, name: "on", limit: TestMode.seconds(time), why: why))
        }
    }

    struct Off: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "End test mode.")
        @OptionGroup var daemon: Daemon
        func run() throws { try TestMode.ask(daemon, ControlRequest(.testMode, name: "off")) }
    }

    struct Status: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Say whether test mode is on, and whose it is.")
        @OptionGroup var daemon: Daemon
        func run() throws { try TestMode.ask(daemon, ControlRequest(.testMode, name: "status")) }
    }

    /// "90s", "30m" or "30min", "2h"; nil for anything else.
    static func seconds(_ text: String) -> Int? {
        let digits = text.prefix { $0.isASCII && $0.isNumber }
        let units = ["s": 1, "m": 60, "min": 60, "h": 3600]
        guard let number = Int(digits), digits.count <= 6, let unit = units[String(text.dropFirst(digits.count))] else {
            return nil
        }
        return number * unit
    }

    private static func ask(_ daemon: Daemon, _ request: ControlRequest) throws {
        try daemon.ask(request) { connection in
            guard let line = try connection.line() else { throw ControlRefusal("larmnod hung up without an answer") }
            let state = try ControlConnection.decode(TestModeState.self, line)
            if daemon.json { return printLine(line) }
            guard state.on else { return printLine("Test mode is off.") }
            let why = (state.why ?? "").isEmpty ? "" : " (\((state.why ?? "").printable))"
            printLine(
                "Test mode is on, by \((state.by ?? "?").printable)\(why), for \(StatusScreen.span(state.left ?? 0)) more."
            )
        }
    }
}
