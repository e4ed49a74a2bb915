import ArgumentParser
import Gateway

struct Status: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how the site is: one screen, the worst first.",
        discussion: "Exits with 2 when something needs attention.")

    @OptionGroup var daemon: Daemon
    @Flag(help: "Every line, also where they fill more than one screen.") var all = false

    func run() throws {
        try daemon.ask(ControlRequest(.status)) { connection in
            if daemon.json {
                if let line = try connection.line() { printLine(line) }
                return
            }
            let lines = StatusScreen.lines(try connection.answer(SiteStatus.self), all: all)
            for line in lines { printLine(line) }
            if !lines[1].hasPrefix("ALL WELL") { throw ExitCode(2) }
        }
    }
}
