import AlarmProtocol
import ArgumentParser
import Drivers
import Gateway
import Glibc

/// `larmnod simulate`: a panel's part of its protocol, for rehearsals.
struct Simulate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Play a serial panel, with events from a script or as you type them. Alone: list the panels.",
        usage: "larmnod simulate [<panel>] [--port <port> | --pty] [<options>]",
        discussion: """
            A script, or what you type, is one line for each thing that happens:

              fire 12 Brand i kök           a fire in zone 12, with the panel's text
              after 5s burglary 3 area 2    5 seconds later, in area 2
              after 2min                    a pause
              restore 12                    what last began in zone 12 ends
              restore fire 12               the same, where several things stand there
              wait                          until the other end has taken all of it
              silence 30s                   as with a pulled cable
              end
              # a remark

            With a panel's name alone it says what that panel can be made to say. > is what the played panel says, < \
            what it hears.
            """)

    @Argument(help: "The panel, as the list has it.") var panel: String?
    @Option(help: "The port to play on; the other end is the transmitter's.") var port: String?
    @Flag(help: "Play on a pseudo-terminal: give its path to the transmitter as its port.") var pty = false
    @Option(help: "With --pty: a name for it that stays the same, as /tmp/panel.") var link: String?
    @Option(help: "The line, where not as the panel usually has it: \"9600 8N1\".") var line: String?
    @Option(help: "What happens, from a file (- for standard input). Ends when all of it is taken.") var script: String?
    @Flag(help: "Go on with life signs when the script has ended.") var stay = false
    @Option(help: "Give up when nothing has been taken for so long, with a script.") var patience = "2min"
    @Flag(help: "Every byte, sixteen on a row with its letters.") var hex = false

    func validate() throws {
        guard panel != nil else { return }
        guard port == nil || !pty else { throw ValidationError("Either --port or --pty, not both.") }
        guard port != nil || pty || script == nil else {
            throw ValidationError("Say where to play: --port /dev/ttyUSB0, or --pty.")
        }
        guard link == nil || pty else { throw ValidationError("--link is for --pty.") }
        guard let line else { return }
        guard SerialLine(line) != nil else {
            throw ValidationError("--line: expected \(SerialLine.expected), found \"\(line)\".")
        }
    }

    func run() throws {
        guard let panel else {
            for kind in panelDrivers { printLine(Self.row(kind)) }
            return
        }
        do {
            guard let kind = panelDrivers.first(where: { $0.name == panel }) else {
                let names = panelDrivers.map { $0.name }
                let hint = nearest(to: panel, among: names)
                throw PlayScript.Wrong(
                    description:
                        "there is no panel \"\(panel)\" to play\(hint.isEmpty ? "; there is: \(names.joined(separator: ", "))" : hint)"
                )
            }
            if port == nil, !pty { describe(kind) } else { try play(kind) }
        } catch let code as ExitCode { throw code } catch {
            for line in "\(error)".split(separator: "\n") { printError("larmnod: \(String(line).printable)") }
            throw ExitCode(1)
        }
    }

    private static func row<Kind: PanelDriver>(_ kind: Kind.Type) -> String {
        let name = Kind.name + String(repeating: " ", count: max(1, 18 - Kind.name.count))
        return "\(name)\(Kind.panel) (\(Kind.playedLine))"
    }

    /// What can be scripted of it.
    private func describe<Kind: PanelDriver>(_ kind: Kind.Type) {
        printLine(Self.row(kind))
        let events = Kind.playedEvents
        let head = "It can say:"
        var row = head
        for (index, event) in events.enumerated() {
            let word =
                event.kind.name + (event.hasEnd ? "*" : "") + (event.needsZone ? " ZONE" : "")
                + (index < events.count - 1 ? "," : "")
            if row.count + 1 + word.count > 80 {
                printLine(row)
                row = String(repeating: " ", count: head.count)
            }
            row += " \(word)"
        }
        printLine(row)
        if events.contains(where: \.hasEnd) { printLine("* and its end: restore, with the zone or the word") }
        printLine("Play it:    larmnod simulate \(Kind.name) --pty   (or --port /dev/ttyUSB0)")
        printLine("How to say: larmnod simulate --help")
    }

    private func play<Kind: PanelDriver>(_ kind: Kind.Type) throws {
        guard let patience = Duration(described: patience) else {
            throw PlayScript.Wrong(
                description: "--patience: expected a time as 30s or 2min, found \"\(self.patience)\"")
        }
        var lines: [PlayScript.Line] = []
        if let script {
            let text = Charset.text(of: try readWhole(script, limit: 1 << 20))
            lines = try PlayScript.read(text, file: script == "-" ? "standard input" : script).get()
        }
        let end = try open(Kind.playedLine)
        defer { link.map { _ = unlink($0) } }
        let stop = StopSignal()
        let screen = PlayScreen(hex: hex)
        defer { screen.end() }
        var player = PanelPlayer<Kind.Played>(on: end, show: screen.show)
        player.add(lines)
        printError("Plays \(Kind.panel).\nOn \(link ?? end.path); Ctrl-C ends it.")
        let isScripted = script != nil
        var console = Console()
        try player.run(
            listeningTo: [stop.descriptor] + (isScripted ? [] : [STDIN_FILENO]),
            next: { $0 == stop.descriptor ? [.stop] : console.next() },
            isDone: { waiting, idle in isScripted && (waiting == 0 ? !stay : idle > patience.milliseconds) })
        screen.end()
        printError("\(player.taken) taken, \(player.waiting) not taken, \(player.refused) that this panel cannot say.")
        if player.waiting > 0 || player.refused > 0 { throw ExitCode(1) }
    }

    private func open(_ usual: SerialLine) throws -> PanelEnd {
        if let port { return try PanelEnd(SerialSettings(path: port, line: line.flatMap { SerialLine($0) } ?? usual)) }
        let pseudo = try PseudoLine()
        if let link {
            // A link that a run before this one left is replaced; anything else of that name stays.
            var status = stat()
            if lstat(link, &status) == 0, status.st_mode & S_IFMT == S_IFLNK { unlink(link) }
            guard symlink(pseudo.path, link) == 0 else {
                throw DeviceError("--link \(link) cannot be made: \(String(cString: strerror(errno)))")
            }
        }
        printLine("ready \(link ?? pseudo.path)")
        return PanelEnd(pseudo)
    }
}

/// What a person types, line by line.
private struct Console {
    private var script = PlayScript()
    private var waiting: [UInt8] = []

    mutating func next<Panel>() -> [PanelPlayer<Panel>.Command] {
        var chunk = [UInt8](repeating: 0, count: 4096)
        let count = read(STDIN_FILENO, &chunk, chunk.count)
        if count < 0, errno == EINTR || errno == EAGAIN { return [] }
        // The end of a terminal's or file's text is not the end of the panel: it lives on.
        guard count > 0 else { return [.none] }
        waiting += chunk[..<count]
        var commands: [PanelPlayer<Panel>.Command] = []
        // A serial console may end a line with CR.
        while let end = waiting.firstIndex(where: { $0 == 0x0A || $0 == 0x0D }) {
            let words = Charset.text(of: waiting[..<end])
            waiting.removeFirst(end + 1)
            do throws(PlayScript.Wrong) {
                let actions = try script.read(words)
                if !actions.isEmpty { commands.append(.actions(actions, words: words)) }
            } catch { commands.append(.wrong("\(words): \(error)")) }
        }
        if waiting.count > 4096 {
            waiting = []
            commands.append(.wrong("a line has at most 400 bytes"))
        }
        return commands
    }
}

/// Shows what a played panel says and hears, as `larmnod monitor` shows a line.
private final class PlayScreen {
    private let screen: Screen
    private let clock = SystemClock(isTrusted: true)

    init(hex: Bool) { screen = Screen(LineScreen(hexadecimal: hex)) }

    func end() { screen.end() }

    func show<Panel>(_ news: PanelPlayer<Panel>.News) {
        let now = clock.now()
        switch news {
        case .said(let bytes, let says): show(WatchedLine("", .sent, at: now, bytes: bytes, text: says))
        case .heard(let bytes, let says): show(WatchedLine("", .received, at: now, bytes: bytes, text: says))
        case .happens(let words): show(WatchedLine("", .log, at: now, text: words))
        case .taken(let words): show(WatchedLine("", .signal, at: now, text: "TAKEN: \(words)"))
        case .trouble(let words): show(WatchedLine("", .differs, at: now, text: "NOT TAKEN: \(words)"))
        case .refused(let why): show(WatchedLine("", .differs, at: now, text: "NOT PLAYED: \(why)"))
        case .silence(let time): show(WatchedLine("", .log, at: now, text: "silent for \(time.described)"))
        }
    }

    private func show(_ line: WatchedLine) { screen.show(line) }
}
