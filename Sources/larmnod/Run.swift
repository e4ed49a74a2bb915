import ArgumentParser
import Gateway
import Glibc
import Logging
import ServiceLifecycle

struct Run: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the transmitter until it is told to stop (SIGTERM, Ctrl-C).")

    @OptionGroup var site: SiteFile

    func run() async throws {
        // A peer that has gone away is an answer, not a reason to die.
        signal(SIGPIPE, SIG_IGN)
        LoggingSystem.bootstrap { label in LogLines(label: label) }
        let site = try site.read()
        for notice in site.notices { Logger(label: "configuration").warning("\(notice)") }
        let gateway: Gateway
        do { gateway = try Gateway(site) } catch {
            printError("larmnod: \(error)")
            throw ExitCode(1)
        }
        let group = ServiceGroup(
            configuration: .init(
                services: [.init(service: gateway, failureTerminationBehavior: .gracefullyShutdownGroup)],
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "larmnod")))
        do { try await group.run() } catch {
            printError("larmnod: \(error)")
            throw ExitCode(1)
        }
    }
}

/// Log lines as the journal wants them: priority, who, what. Bounded: a storm of lines is cut and counted.
struct LogLines: LogHandler {
    let label: String
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    private static let underSystemd = getenv("JOURNAL_STREAM") != nil
    private static let rate = LogRate()

    func log(event: LogEvent) {
        // ServiceLifecycle tells its own doings; nobody on site needs them.
        if label == "larmnod", event.level < .notice { return }
        guard Self.rate.admits() else { return }
        let word =
            switch event.level {
            case .trace, .debug: (7, "debug")
            case .info: (6, "info")
            case .notice: (5, "notice")
            case .warning: (4, "warning")
            case .error: (3, "error")
            case .critical: (2, "critical")
            }
        let message = "\(event.message)".printable
        if Self.underSystemd {
            printError("<\(word.0)>\(label): \(message)")
        } else {
            printError(
                "\(StatusScreen.utc(nowInMilliseconds(), withMilliseconds: true)) \(word.1) \(label): \(message)")
        }
    }
}

private func nowInMilliseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
}
