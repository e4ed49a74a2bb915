import AlarmProtocol
import ArgumentParser
import Drivers
import Gateway
import Glibc
import Synchronization

/// `larmnod replay`: a recording into its driver, or onto a port.
struct ReplayRecording: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Play a recording into its driver, and compare; or onto a port, as the panel would say it.",
        usage: "larmnod replay <file> [--port <port>] [<options>]",
        discussion: """
            Needs no running larmnod, stores nothing and tells nobody. Exits with 1 where the driver reports or answers \
            otherwise than the file says. With --device it is played to a device as the site file (--config) has it, so that \
            rules are tried on what a panel has said.
            """)

    @Argument(help: "The recording.") var file: String
    @Option(help: "The driver, where neither the head nor the file's name says it.") var driver: String?
    @OptionGroup var site: SiteFile
    @Option(help: "Use this device's settings and points, as the site file has them, not those of the file's head.")
    var device: String?
    @Option(help: "Play it onto this port instead.") var port: String?
    @Option(help: "With --port: how many times faster the pauses pass (1 to 1000).") var speedUp = 1
    @Flag(help: "Every byte, sixteen on a row with its letters.") var hex = false

    func validate() throws {
        guard (1...1000).contains(speedUp) else { throw ValidationError("--speed-up takes a number from 1 to 1000.") }
        guard device == nil || (port == nil && driver == nil) else {
            throw ValidationError("--device says which driver, and has no part in what is played onto a port.")
        }
        guard speedUp == 1 || port != nil else {
            throw ValidationError("--speed-up is for --port: into the driver it is played as fast as it goes.")
        }
    }

    func run() throws {
        do {
            let differences = try port.map(ontoPort) ?? intoDriver()
            printError(
                differences == 0
                    ? "As recorded." : "\(differences) difference\(differences == 1 ? "" : "s") from the recording.")
            if differences > 0 { throw ExitCode(1) }
        } catch let error as ExitCode { throw error } catch {
            printError("larmnod: \("\(error)".printable)")
            throw ExitCode(1)
        }
    }

    private func intoDriver() throws -> Int {
        if let device { return try intoDevice(device) }
        let first = try readRecording(file, port: "PORT")
        return try play(first, kind(of: first), as: nil) { try readRecording(file, port: $0) }
    }

    /// Into a device of the site file: what differs is what the file's own settings made of it.
    private func intoDevice(_ name: String) throws -> Int {
        let (kind, table) = try recordableTable(of: name, in: site.file)
        let known = try readRecording(file, port: "PORT").head
        guard let head = RecordingWriter.head(known.filter { $0.key != "line" }, of: table, kind: kind) else {
            throw ControlRefusal("[device.\(name)] in \(site.file) is not right: larmnod check says why")
        }
        let text = head.lines.joined(separator: "\n")
        let settings = try Recording(text, file: site.file, port: "PORT")
        let read: (String) throws -> Recording = { try readRecording(file, port: $0).with(settingsOf: settings) }
        return try play(read("PORT"), kind, as: name, read)
    }

    private func play(
        _ first: Recording, _ kind: any Driver.Type, as name: String?, _ read: (String) throws -> Recording
    ) throws -> Int {
        let settings = first.table(of: kind.name, port: "/dev/null")
        let screen = ReplayScreen(
            LineScreen(hexadecimal: hex, all: true),
            Rehearsal(
                device: name ?? "\(kind.name).recording", driver: try kind.init(settings),
                configured: first.points.map(\.name)))
        return try Replay.run(kind, read: read, show: { screen.show($0, $1) })
    }

    private func kind(of recording: Recording) throws -> any Driver.Type {
        let names = recordable.map { $0.name }.joined(separator: ", ")
        if let name = driver ?? recording.head["driver"] {
            guard let kind = recordable.first(where: { $0.name == name }) else {
                throw Recording.Wrong(description: "there is no driver \"\(name)\" to play into; there is: \(names)")
            }
            return kind
        }
        guard let kind = recording.kind(among: recordable) else {
            throw Recording.Wrong(description: "\(file) does not say which driver: --driver, one of \(names)")
        }
        return kind
    }

    private func ontoPort(_ path: String) throws -> Int {
        let recording = try readRecording(file, port: path)
        guard let line = SerialLine(recording.head["line"] ?? "") else {
            throw Recording.Wrong(description: "\(file): the head's line: expected \(SerialLine.expected)")
        }
        let end = try PanelEnd(SerialSettings(path: path, line: line))
        let stop = StopSignal()
        let screen = ReplayScreen(LineScreen(hexadecimal: hex, all: true), nil)
        return try withExtendedLifetime(stop) {
            try PortReplay.run(
                recording, on: end, speedUp: Int64(speedUp), stop: stop.descriptor, show: { screen.show($0, $1) })
        }
    }
}

/// Shows a replay as `larmnod monitor` shows a line, with the time since its beginning.
private final class ReplayScreen: Sendable {
    private struct State {
        var screen: LineScreen
        var rehearsal: Rehearsal?
    }
    private let state: Mutex<State>

    init(_ screen: LineScreen, _ rehearsal: sending Rehearsal?) {
        state = Mutex(State(screen: screen, rehearsal: rehearsal))
    }

    func show(_ news: Replay.News, _ time: Int64) {
        let at = Moment(utc: max(0, time), uptime: time, clock: .unknown)
        switch news {
        case .received(let bytes, let says): show(WatchedLine("", .received, at: at, bytes: bytes, text: says))
        case .answered(let bytes, let says): show(WatchedLine("", .sent, at: at, bytes: bytes, text: says))
        case .differs(let words, let line):
            let place = line > 0 ? "line \(line)" : "the end"
            show(WatchedLine("", .differs, at: at, text: "\(place): \(words)"))
        case .reported(let signal):
            show(WatchedLine("", .signal, at: at, text: signal.summary))
            let events = state.withLock { $0.rehearsal?.events(of: signal, at: at) ?? [] }
            for event in events { show(WatchedLine("", .event, at: at, text: event)) }
        }
    }

    private func show(_ line: WatchedLine) {
        for row in state.withLock({ $0.screen.rows(line) }) { printLine(row) }
    }
}
