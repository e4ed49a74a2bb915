import ArgumentParser
import Drivers
import FoundationEssentials
import Gateway

struct Bus: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what each Modbus bus is asked for against what its line can do: units, ms each, longest wait.",
        usage: "larmnod bus [<device>] [--all] [<options>]",
        discussion: """
            Asks the larmnod that runs what it has measured; where none does, works it out from the configuration. Exits \
            with 2 when something does not hold, or a unit does not answer.
            """)

    @OptionGroup var daemon: Daemon
    @OptionGroup var site: SiteFile
    @Flag(help: "Every unit, also where they fill more than one screen.") var all = false
    @Argument(help: "Only this bus: modbus.cellar, or cellar.") var device: String?

    func run() throws {
        let reports: [BusReport]
        do throws(ControlRefusal) { reports = try ask() } catch {
            printError("larmnod: \(error.description.printable)")
            throw ExitCode(1)
        }
        if daemon.json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            for report in reports { printLine(Array(try encoder.encode(report))) }
        } else {
            for line in Self.words(reports, all: all) { printLine(line.printable) }
        }
        let isWell = reports.allSatisfy { report in
            report.warning == nil && report.units.allSatisfy { ($0.state ?? "answers") == "answers" }
        }
        if !isWell { throw ExitCode(2) }
    }

    private func ask() throws(ControlRefusal) -> [BusReport] {
        let connection: ControlConnection
        do throws(ControlRefusal) { connection = try ControlConnection(daemon.socket) } catch {
            guard error.nobodyIsThere else { throw error }
            guard case .success(let site) = SiteReader.read(file: site.file, drivers: drivers) else {
                throw ControlRefusal(
                    "no larmnod runs here, and \(site.file) is not right: see larmnod check, or name another with --config"
                )
            }
            return try BusReports.of(site.devices, named: device, measured: false)
        }
        try connection.send(ControlRequest(.bus, name: device))
        var reports: [BusReport] = []
        while let line = try connection.line() {
            reports.append(try ControlConnection.decode(BusReport.self, line))
        }
        return reports
    }

    /// Lines of at most 80 columns where names are not long, and at most 23 of them unless all are wanted.
    static func words(_ reports: [BusReport], all: Bool) -> [String] {
        guard !reports.isEmpty else { return ["This site has no Modbus bus."] }
        // Heads take four lines of each bus, and the end one.
        let room = max(1, (22 - reports.count * 5) / reports.count)
        return reports.flatMap { words($0, most: all ? .max : room) }
    }

    private static func words(_ report: BusReport, most: Int) -> [String] {
        // The worst first.
        let order = ["dead", "failing", "not heard yet"]
        let units = report.units.sorted { a, b in
            (order.firstIndex(of: a.state ?? "") ?? 9, -(a.longest ?? a.expected))
                < (order.firstIndex(of: b.state ?? "") ?? 9, -(b.longest ?? b.expected))
        }
        var lines = [
            "\(report.device): \(report.bus)",
            "  \(report.load) % of its time in use: all units once \(ms(report.round)), each every "
                + "\(report.interval) ms",
            "  longest wait for a point \(ms(report.longestWait)), while a unit is silent "
                + "\(ms(report.longestWaitWithOneSilent))" + (report.measured ? "" : " (not measured)"),
        ]
        if let warning = report.warning { lines.append("  THE BUS \(warning)") }
        let head =
            report.measured
            ? ["unit", "points", "reads", "ms each", "longest", "longest gap", "failed", "state"]
            : ["unit", "points", "reads", "ms each", "timeout", "profile"]
        lines += aligned([head] + units.prefix(most).map { row($0, measured: report.measured) })
        if units.count > most { lines.append("  … and \(units.count - most) more: --all") }
        return lines
    }

    private static func row(_ unit: BusReport.Unit, measured: Bool) -> [String] {
        let first = ["\(unit.unit)", "\(unit.points + unit.outputs)", "\(unit.requests)"]
        guard measured else { return first + [ms(unit.expected), "\(unit.timeout) ms", unit.profile ?? "-"] }
        return first + [
            unit.mean.map(ms) ?? "-", unit.longest.map(ms) ?? "-", unit.longestGap.map(ms) ?? "-",
            "\(unit.failures ?? 0)",
            String((unit.why.map { "\(unit.state ?? ""): \($0)" } ?? unit.state ?? "-").prefix(30)),
        ]
    }

    private static func ms(_ milliseconds: Double) -> String {
        let tenths = Int((milliseconds * 10).rounded())
        return tenths >= 1000 || tenths % 10 == 0 ? "\((tenths + 5) / 10) ms" : "\(tenths / 10).\(tenths % 10) ms"
    }

    private static func aligned(_ rows: [[String]]) -> [String] {
        let widths = (0..<(rows.first?.count ?? 0)).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = zip(row, widths).map { cell, width in
                cell + String(repeating: " ", count: width - cell.count)
            }
            return "  " + String(cells.joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
    }
}
