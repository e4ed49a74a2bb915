import ArgumentParser
import Gateway

struct Events: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List events and their life: seen, stored, sent over which path, acknowledged when.",
        usage: "larmnod events [--unsent | --faults] [--follow] [--limit <limit>] [<options>]")

    @OptionGroup var daemon: Daemon
    @Flag(help: "Only those that wait or were refused.") var unsent = false
    @Flag(help: "Only faults of paths and their ends, which are kept for years.") var faults = false
    @Flag(help: "Go on as they come, and show each again when its wait ends. Stop with Ctrl-C.") var follow = false
    @Option(name: .shortAndLong, help: "How many of the newest (1 to 10000).") var limit = 50

    func validate() throws {
        guard (1...10_000).contains(limit) else { throw ValidationError("--limit takes a number from 1 to 10000.") }
        guard !faults || !unsent else {
            throw ValidationError("--faults and --unsent are two different lists: take one.")
        }
    }

    func run() throws {
        try daemon.ask(ControlRequest(.events, unsent: unsent, follow: follow, limit: limit, faults: faults)) {
            connection in
            var any = false
            while let line = try connection.line() {
                any = true
                if daemon.json {
                    printLine(line)
                } else {
                    for line in Self.words(try ControlConnection.decode(EventLife.self, line)) { printLine(line) }
                }
            }
            if !any, !daemon.json { printLine(nothing) }
        }
    }

    private var nothing: String {
        unsent ? "Everything has been delivered." : faults ? "No path has been down yet." : "No events yet."
    }

    /// Two lines of at most 80 columns for most events: what, and what became of it.
    static func words(_ event: EventLife) -> [String] {
        let what = "\(event.event) \(event.urgency) \(event.sia)/\(event.contactId) \(event.qualifier)"
        let place = "\(event.point) zone \(event.zone)" + (event.text.isEmpty ? "" : ": \(event.text)")
        let seen = StatusScreen.utc(event.seen) + (event.clock == "unknown" ? " (clock not set)" : "")
        let stored = event.stored - event.seen
        var life = "    seen \(seen), stored \(after(stored))"
        switch event.state {
        case "acknowledged":
            let took = (event.acknowledged ?? event.stored) - event.stored
            life += ", acknowledged \(after(took)) over \(event.path ?? "?")"
            if event.tries > 1 { life += " at try \(event.tries)" }
        case "waiting": life += ", waiting"
        default: life += ", \(event.state): \(event.reason ?? "")"
        }
        return ["\(what)  \(place)", life]
    }

    private static func after(_ milliseconds: Int64) -> String {
        abs(milliseconds) < 10_000 ? "after \(milliseconds) ms" : "after \(StatusScreen.span(milliseconds / 1000))"
    }
}
