import ArgumentParser
import Gateway

struct Test: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send a test event for a point, or over a path, and wait for the receiver's ACK.",
        discussion: "Prints how long it took and over what. Exits with 1 when no receiver acknowledged within 30 s.")

    @OptionGroup var daemon: Daemon
    @Argument(help: "A point's full name, as gpio.cabinet.front-door.") var point: String?
    @Option(help: "A path's name: the test goes over this path and no other.") var path: String?

    func validate() throws {
        guard (point == nil) != (path == nil) else {
            throw ValidationError("Name either a point, or a path with --path.")
        }
    }

    func run() throws {
        let request =
            path.map { ControlRequest(.testPath, name: $0) } ?? ControlRequest(.testPoint, name: point)
        try daemon.ask(request) { connection in
            guard let line = try connection.line() else { throw ControlRefusal("larmnod hung up without an answer") }
            let result = try ControlConnection.decode(TestResult.self, line)
            if daemon.json {
                printLine(line)
            } else if result.acknowledged {
                printLine(
                    """
                    Test event \(result.sequence) acknowledged by \(result.receiver ?? "?") over \(result.path ?? "?") \
                    in \(result.took ?? 0) ms.
                    """)
            } else {
                printLine("Test event \(result.sequence) NOT acknowledged within 30 s; given up. \(result.why ?? "")")
            }
            if !result.acknowledged { throw ExitCode(1) }
        }
    }
}
