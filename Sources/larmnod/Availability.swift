import ArgumentParser
import FoundationEssentials
import Gateway

struct Availability: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how available each path was, and the whole, by calendar month (UTC).",
        usage: "larmnod availability [--month <month>] [--csv | --json] [<options>]",
        discussion: """
            Asks the larmnod that runs; where none does, reads what the last one has written to its store. Two years \
            and the current month are kept.
            """)

    @OptionGroup var daemon: Daemon
    @Option(help: "Only this month, as 2026-11.") var month: String?
    @Flag(help: "Print CSV, with a line of headings.") var csv = false
    @Option(help: "The state directory to read where no larmnod runs (site.state).") var state = "/var/lib/larmnod"

    func validate() throws {
        if let month, Month(month) == nil { throw ValidationError("--month takes a year and a month, as 2026-11.") }
        if csv, daemon.json { throw ValidationError("--csv and --json are two forms: take one.") }
    }

    func run() throws {
        let months: [AvailabilityMonth]
        do throws(ControlRefusal) { months = try ask() } catch {
            printError("larmnod: \(error.description.printable)")
            throw ExitCode(1)
        }
        if csv {
            printLine(AvailabilityMonth.csvHeader)
            for line in months { printLine(line.csv) }
        } else if daemon.json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            for line in months { printLine(Array(try encoder.encode(line))) }
        } else {
            for line in Self.words(months) { printLine(line) }
        }
    }

    private func ask() throws(ControlRefusal) -> [AvailabilityMonth] {
        let connection: ControlConnection
        do throws(ControlRefusal) { connection = try ControlConnection(daemon.socket) } catch {
            guard error.nobodyIsThere else { throw error }
            let months = try StoredAvailability.read(stateDirectory: state, only: month.flatMap { Month($0) })
            printError("larmnod: no larmnod runs here: this is what its store in \(state) has")
            return months
        }
        try connection.send(ControlRequest(.availability, month: month))
        var months: [AvailabilityMonth] = []
        while let line = try connection.line() {
            months.append(try ControlConnection.decode(AvailabilityMonth.self, line))
        }
        return months
    }

    /// A line for each path and month, of at most 80 columns where names are not long.
    static func words(_ months: [AvailabilityMonth]) -> [String] {
        guard !months.isEmpty else { return ["Nothing was watched yet, or the clock has not been set since."] }
        let rows =
            [["month", "path", "available", "works", "down", "not watched", "faults", "longest"]]
            + months.map { month in
                [
                    month.month, month.path, month.percent, StatusScreen.span(month.works),
                    StatusScreen.span(month.down), StatusScreen.span(month.notWatched), "\(month.faults)",
                    month.faults > 0 ? StatusScreen.span(month.longestFault) : "-",
                ]
            }
        let widths = (0..<rows[0].count).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            return String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        } + ["Months are UTC. Of the time that was watched; a path is down since its last good answer."]
    }
}
