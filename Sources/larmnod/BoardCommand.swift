import ArgumentParser
import FoundationEssentials
import Gateway

struct BoardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "board",
        abstract: "Say what computer this is, which board file fits it, and which lines and ports it has.",
        subcommands: [BoardDetect.self, BoardList.self, BoardShow.self],
        defaultSubcommand: BoardDetect.self)
}

struct BoardFiles: ParsableArguments {
    @Option(name: .customLong("boards"), help: "A directory with board files, looked in before the usual ones.")
    var directory: String?
    @Flag(help: "Print JSON instead of words.") var json = false

    var catalogue: BoardCatalogue {
        BoardCatalogue(directories: (directory.map { [$0] } ?? []) + BoardCatalogue.directories)
    }

    func print(_ answer: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        printLine(Array(try encoder.encode(answer)))
    }
}

struct BoardDetect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "detect",
        abstract: "Name the computer, its board file, its GPIO lines, serial ports and analogue inputs. Takes no line.",
        discussion: "Exits with 1 when no board file fits. What may not be opened is named; root sees all.")

    @OptionGroup var files: BoardFiles
    @Flag(help: "Every line and port, uncut.") var all = false
    @Option(help: .hidden) var root = "/"

    private struct Answer: Encodable {
        var hardware: Hardware
        var fits: [BoardCatalogue.Fit]
    }

    func run() throws {
        let hardware = Hardware(root: root)
        let catalogue = files.catalogue
        let fits = catalogue.fits(hardware)
        if files.json {
            try files.print(Answer(hardware: hardware, fits: fits))
        } else {
            for line in BoardScreen.detected(hardware, catalogue, all: all) { printLine(line) }
            for problem in catalogue.problems { printError("not used: \(problem)") }
        }
        if fits.isEmpty { throw ExitCode(1) }
    }
}

struct BoardList: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the board files there are.")

    @OptionGroup var files: BoardFiles

    func run() throws {
        let catalogue = files.catalogue
        if files.json { return try files.print(catalogue.files) }
        for line in BoardScreen.list(catalogue) { printLine(line) }
    }
}

struct BoardShow: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show a board's terminals and where each is.")

    @OptionGroup var files: BoardFiles
    @Argument(help: "The board file's name, as in a site file: raspberry-pi-4.") var name: String

    func run() throws {
        let catalogue = files.catalogue
        guard let file = catalogue.files.first(where: { $0.id == name }) else {
            let known = catalogue.files.map(\.id).joined(separator: ", ")
            printError("larmnod: no board file \"\(name.printable)\"; there are: \(known.isEmpty ? "none" : known)")
            throw ExitCode(1)
        }
        if files.json { return try files.print(file) }
        for line in BoardScreen.show(file) { printLine(line) }
    }
}
