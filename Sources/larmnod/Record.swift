import AlarmProtocol
import ArgumentParser
import Drivers
import Gateway
import Glibc
import Synchronization

/// `larmnod record`: what a serial panel says, as a file that replays.
struct Record: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Write what passes on a serial device's line into a file that larmnod replay and the tests can play.",
        usage: "larmnod record <device> <file> [--for <time>] [<options>]",
        discussion: """
            Until Ctrl-C, or for a time. The device's settings go into the file's head; keys, codes and passwords do \
            not. Look through it before you share it: texts of panels name rooms and people. The line of a panel that \
            is asked is closed and opened again first, when it is quiet: the answers to the first questions belong to \
            the recording.
            """)

    @OptionGroup var daemon: Daemon
    @OptionGroup var site: SiteFile
    @Argument(help: "The device, as larmnod status names it.") var device: String
    @Argument(help: "The file to write; it must not be there yet.") var file: String
    @Option(help: "The panel's make.") var make: String?
    @Option(help: "Its model.") var model: String?
    @Option(help: "Its firmware.") var firmware: String?
    @Option(help: "How this was recorded: at which panel, what was done.") var provenance: String?
    @Option(name: .customLong("for"), help: "How long: 90s, 30min, 24h. Until Ctrl-C where not said.") var time: String?

    func validate() throws {
        guard time.map({ Duration(described: $0) != nil }) ?? true else {
            throw ValidationError("--for: expected a time as 90s, 30min or 24h, found \"\(time ?? "")\".")
        }
    }

    func run() throws {
        do { try record() } catch let refusal as ControlRefusal {
            printError("larmnod: \(refusal.description.printable)")
            throw ExitCode(1)
        }
    }

    private func record() throws {
        let name = try watching(device).name
        let (kind, table) = try recordableTable(of: name, in: site.file)
        guard case .string(let port)? = entry("port", of: table) else {
            throw ControlRefusal("\(name) has no port: only serial panels are recorded")
        }
        guard let head = RecordingWriter.head(about(port), of: table, kind: kind) else {
            throw ControlRefusal("[device.\(name)] in \(site.file) is not right: larmnod check says why")
        }
        let output = try NewFile(file)
        try output.write(head.lines)
        // Whoever read what is shown may go away: the recording goes on.
        signal(SIGPIPE, SIG_IGN)
        let stop = StopSignal(after: time.flatMap { Duration(described: $0) })
        let connection = try watching(name, anew: head.beginsAtOpening, until: stop.descriptor).connection
        if head.beginsAtOpening { printError("\(name) is opened anew as soon as its line is quiet.") }
        printError("Recording \(name) into \(file); Ctrl-C ends it.")
        let writer = RecordingWriter(port: port, secrets: head.secrets)
        do {
            try withExtendedLifetime(stop) {
                try write(connection, writer, to: output, fromOpening: head.beginsAtOpening, until: stop.descriptor)
            }
        } catch let refusal as ControlRefusal {
            printError("larmnod: the recording ends here: \(refusal.description.printable)")
            throw ExitCode(1)
        }
        if !stop.isGiven { printError("larmnod has stopped, or hung up: the recording ends here.") }
        try output.sync()
        try judge(kind)
    }

    /// From the line's opening, or else from the first that comes from the panel, to before something comes: what was
    /// reported and answered of it is then in the file.
    private func write(
        _ connection: ControlConnection, _ writer: RecordingWriter, to output: NewFile, fromOpening: Bool,
        until stop: Int32
    ) throws {
        var writer = writer
        var hasBegun = false
        let screen = Screen(LineScreen())
        defer { if !daemon.json { screen.end() } }
        func take(_ line: [UInt8], _ seen: WatchedLine) throws {
            if daemon.json { printLine(line) } else { screen.show(seen) }
            let begins = fromOpening ? seen.what == .opening : seen.what == .received
            // The first opening is where a recording begins anyhow.
            if hasBegun || begins && !fromOpening { try output.write(Self.lines(of: seen, &writer)) }
            hasBegun = hasBegun || begins
        }
        while let line = try connection.line(unless: stop) {
            try take(line, try ControlConnection.decode(WatchedLine.self, line))
        }
        let end = StopSignal(after: .milliseconds(500))
        try withExtendedLifetime(end) {
            while hasBegun, let line = try connection.line(unless: end.descriptor) {
                let seen = try ControlConnection.decode(WatchedLine.self, line)
                if seen.what == .received { break }
                try take(line, seen)
            }
        }
        guard !hasBegun else { return }
        output.remove()
        throw ControlRefusal(
            fromOpening
                ? "the line was not opened, so nothing was recorded: larmnod status says why"
                : "nothing came from the panel, so nothing was recorded")
    }

    /// Begins to watch. - Returns: the connection, and the device's full name.
    private func watching(
        _ device: String, anew: Bool = false, until stop: Int32 = -1
    ) throws -> (connection: ControlConnection, name: String) {
        let connection = try ControlConnection(daemon.socket)
        var request = ControlRequest(.watch, name: device)
        request.anew = anew
        try connection.send(request)
        guard let first = try connection.line(unless: stop) else { throw ExitCode(1) }
        return (connection, try ControlConnection.decode(WatchedLine.self, first).device)
    }

    private static func lines(of seen: WatchedLine, _ writer: inout RecordingWriter) -> [String] {
        let bytes = seen.bytes.flatMap { Recording.bytes(hexadecimal: $0) } ?? []
        switch seen.what {
        case .received: return writer.passed(Passage(.received, bytes, seen.text ?? ""), at: seen.uptime)
        case .sent: return writer.passed(Passage(.sent, bytes, seen.text ?? ""), at: seen.uptime)
        case .signal: return writer.reported(seen.text ?? "", at: seen.uptime)
        case .missed: return writer.remark("\(seen.count ?? 0) passages are missing here")
        case .opening: return writer.opened(at: seen.uptime)
        case .lost: return writer.remark("lost: \(seen.text ?? "")")
        case .notStored: return writer.remark("not stored: \(seen.text ?? "")")
        case .watching, .event, .log, .differs: return []
        }
    }

    /// Whether it replays as it was recorded, said at once: on site it can be done again.
    private func judge(_ kind: any Driver.Type) throws {
        let differences = DifferenceList()
        do {
            let count = try Replay.run(
                kind, read: { try readRecording(file, port: $0) }, show: { differences.take($0, $1) })
            if count == 0 {
                return printError("\(file) is written, and replays as it was recorded.")
            }
            printError("\(file) is written, but a replay differs \(count) times:")
            for words in differences.first { printError("  \(words.printable)") }
        } catch { printError("\(file) is written, but cannot be replayed: \("\(error)".printable)") }
        printError("Record again. Where it differs again, keep both: the driver may not do twice what it did once.")
        throw ExitCode(2)
    }

    private func entry(_ key: String, of table: SettingNode) -> SettingNode.Value? {
        guard case .table(let entries) = table.value else { return nil }
        return entries.first { $0.key == key }?.node.value
    }

    /// From the options, or asked for where a person sits at the terminal.
    private func about(_ port: String) -> [String: String] {
        let isAsked = isatty(STDIN_FILENO) == 1
        func ask(_ given: String?, _ question: String) -> String? {
            if given != nil || !isAsked { return given }
            let text = "\(question) (Enter: unknown): "
            _ = text.withCString { Glibc.write(STDERR_FILENO, $0, strlen($0)) }
            let answer = typedLine()
            return answer.isEmpty ? nil : answer
        }
        var about: [String: String] = [:]
        about["make"] = ask(make, "The panel's make")
        about["model"] = ask(model, "Its model")
        about["firmware"] = ask(firmware, "Its firmware")
        let day = StatusScreen.utc(SystemClock(isTrusted: true).now().utc).prefix(10)
        let how = ask(provenance, "How it is recorded, in a few words").map { ": \($0)" } ?? ""
        // A capture is what a real panel has said; what is behind a pseudo-terminal is not known here.
        let isPseudo = realpath(port, nil).map { path in
            defer { free(path) }
            return String(cString: path).hasPrefix("/dev/pts/")
        }
        about["provenance"] =
            isPseudo ?? false
            ? "recorded by larmnod \(Version.current) on \(day), over a pseudo-terminal\(how)"
            : "captured by larmnod \(Version.current) on \(day)\(how)"
        return about
    }
}

/// A line that a person types; a serial console may end it with CR.
private func typedLine() -> String {
    var bytes: [UInt8] = []
    var byte: UInt8 = 0
    while bytes.count < 1000, read(STDIN_FILENO, &byte, 1) == 1, byte != 0x0A, byte != 0x0D { bytes.append(byte) }
    return Charset.text(of: bytes)
}

/// The kinds of device that can be recorded and replayed: they speak over a serial line.
let recordable: [any Driver.Type] = panelDrivers

/// A serial panel's table in a site file, by the device's full name.
func recordableTable(of device: String, in file: String) throws -> (any Driver.Type, SettingNode) {
    let name = device.split(separator: ".").first.map(String.init) ?? device
    guard let kind = recordable.first(where: { $0.name == name }) else {
        throw ControlRefusal(
            "\(device) is no serial panel: recordings are of \(recordable.map { $0.name }.joined(separator: ", ")). "
                + "Its line can be watched: larmnod monitor \(device) --json")
    }
    switch DeviceTable.read(device, of: file) {
    case .success(let table): return (kind, table)
    case .failure(let error): throw ControlRefusal(error.problems.first?.description ?? "\(error)")
    }
}

/// What did not replay as recorded.
final class DifferenceList: Sendable {
    private let words = Mutex<[String]>([])
    /// The first few.
    var first: [String] { words.withLock { Array($0.prefix(5)) } }

    func take(_ news: Replay.News, _: Int64) {
        guard case .differs(let what, let line) = news else { return }
        words.withLock { $0.append(line > 0 ? "line \(line): \(what)" : what) }
    }
}

/// A file that was not there before, of at most as many bytes as a recording may have.
private final class NewFile {
    private let path: String
    private let descriptor: Int32
    private var size = 0

    init(_ path: String) throws(ControlRefusal) {
        self.path = path
        descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o640)
        guard descriptor >= 0 else {
            let hint =
                errno == EEXIST
                ? "it is there already, and is left as it is: choose another name" : String(cString: strerror(errno))
            throw ControlRefusal("\(path) cannot be made: \(hint)")
        }
    }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    func write(_ lines: [String]) throws(ControlRefusal) {
        var rest = Array(lines.map { $0 + "\n" }.joined().utf8)[...]
        guard size + rest.count <= Recording.mostBytes else {
            throw ControlRefusal("\(path) has reached the most that is replayed, \(Recording.mostBytes >> 20) MiB")
        }
        size += rest.count
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw failure(errno) }
            rest = rest.dropFirst(count)
        }
    }

    func remove() { unlink(path) }

    func sync() throws(ControlRefusal) {
        if fsync(descriptor) != 0, errno != EINVAL { throw failure(errno) }
    }

    private func failure(_ number: Int32) -> ControlRefusal {
        ControlRefusal("\(path) cannot be written to its end: \(String(cString: strerror(number)))")
    }
}

/// Reads a recording's file. - Throws: `Recording.Wrong`, with the file and the line.
func readRecording(_ file: String, port: String) throws -> Recording {
    let bytes = try readWhole(file, limit: Recording.mostBytes)
    return try Recording(Charset.text(of: bytes), file: file, port: port)
}

/// A plain file, or standard input ("-").
func readWhole(_ file: String, limit: Int) throws -> [UInt8] {
    let descriptor = file == "-" ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY)
    guard descriptor >= 0 else {
        throw Recording.Wrong(description: "\(file) cannot be opened: \(String(cString: strerror(errno)))")
    }
    defer { if file != "-" { close(descriptor) } }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
        let count = read(descriptor, &chunk, chunk.count)
        if count < 0, errno == EINTR { continue }
        guard count >= 0 else {
            throw Recording.Wrong(description: "\(file) cannot be read: \(String(cString: strerror(errno)))")
        }
        if count == 0 { return bytes }
        bytes += chunk[..<count]
        guard bytes.count <= limit else {
            throw Recording.Wrong(description: "\(file) is longer than \(limit) bytes")
        }
    }
}
