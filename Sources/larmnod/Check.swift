import ArgumentParser
import FoundationEssentials
import Gateway

struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration without using it: every error at once, with line, column and what to do.")

    @OptionGroup var site: SiteFile
    @Flag(help: "Print JSON instead of words.") var json = false
    @Argument(help: "The site's configuration (as --config).") var file: String?

    private struct Answer: Encodable {
        struct Error: Encodable {
            var file: String
            var line: Int
            var column: Int
            var message: String
        }
        var file: String
        var right: Bool
        var errors: [Error]
    }

    func run() throws {
        let file = file ?? site.file
        // By this machine's clock, as it is: a technician sees the dates that are judged.
        let now = SystemClock(isTrusted: true).now().utc
        let result = SiteReader.read(file: file, drivers: drivers, at: now)
        if json { return try printAnswer(file, result) }
        switch result {
        case .success(let site):
            for notice in site.notices { print("note: \(notice)") }
            print(
                """
                \(file) is right: \(site.name), account \(site.account), \(site.devices.count) devices with \
                \(site.points.count) points, \(site.paths.count) paths
                """)
            for line in site.supervisionWords { print(line) }
        case .failure(let error):
            printError("\(error)")
            throw ExitCode(1)
        }
    }

    private func printAnswer(_ file: String, _ result: Result<Site, ConfigurationError>) throws {
        var answer = Answer(file: file, right: true, errors: [])
        if case .failure(let error) = result {
            answer.right = false
            answer.errors = error.problems.map {
                .init(file: $0.place.file, line: $0.place.line, column: $0.place.column, message: $0.message)
            }
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        printLine(Array(try encoder.encode(answer)))
        if !answer.right { throw ExitCode(1) }
    }
}
