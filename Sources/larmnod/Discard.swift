import ArgumentParser
import Gateway

struct Discard: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Give up one waiting or refused event. Your name and the reason are kept with it.")

    @OptionGroup var daemon: Daemon
    @Argument(help: "The event's number, as larmnod events --unsent shows it first.") var event: Int64
    @Option(help: "Why it need not be delivered.") var why: String

    func run() throws {
        try daemon.ask(ControlRequest(.discard, event: event, why: why)) { connection in
            guard let line = try connection.line() else { throw ControlRefusal("larmnod hung up without an answer") }
            let result = try ControlConnection.decode(DiscardResult.self, line)
            if daemon.json {
                printLine(line)
            } else {
                printLine("Event \(result.discarded) discarded by \(result.by).")
            }
        }
    }
}
