import ArgumentParser
import Drivers
import FoundationEssentials
import Gateway
import Glibc

/// `larmnod learn`: what a supervised loop reads in each of its states, at commissioning.
struct Learn: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Learn what a supervised loop reads in each of its states, and print its end-of-line setting.",
        discussion: """
            Asks for one state after the other, waits until the reading stands still, and refuses what lies too near to \
            another state. Test mode must be on, for each state goes to the centre as always. Nothing is written: the \
            setting is printed, on standard output, to be put into the site file. Input may come from a script: one line \
            for each state.
            """)

    @OptionGroup var daemon: Daemon
    @Argument(help: "The device, as larmnod status names it.") var device: String
    @Argument(help: "The point that is a supervised loop.") var point: String

    func run() throws {
        do throws(ControlRefusal) {
            var session = try LearnSession(daemon, device, point)
            try session.run()
        } catch {
            if daemon.json {
                LearnSession.print(LearnStep(refused: error.description))
            } else {
                printError("larmnod: \(error.description.printable)")
            }
            throw ExitCode(1)
        }
    }
}

/// What `learn --json` prints, one object a line.
private struct LearnStep: Codable {
    /// A state is to be shown, and how.
    var show: String?
    var request: String?
    /// A state was measured.
    var learned: String?
    var count: Int?
    var spread: Int?
    /// What was measured, or asked for, cannot be.
    var refused: String?
    /// The lines for the site file, and their table.
    var table: String?
    var toml: [String]?
}

private struct LearnSession {
    private let connection: ControlConnection
    private var learning: LoopLearning
    private let device: String
    private let isJSON: Bool
    private var typed = TypedLines()
    /// The last readings, shown while a person sets the loop: a line of their own, written over and over.
    private let isLive = isatty(STDIN_FILENO) == 1 && isatty(STDERR_FILENO) == 1
    private var lastShown: Int64 = 0

    /// Seconds without a reading after which it is given up.
    private static let patience = 30

    init(_ daemon: Daemon, _ device: String, _ point: String) throws(ControlRefusal) {
        isJSON = daemon.json
        connection = try ControlConnection(daemon.socket)
        var request = ControlRequest(.learn, name: device)
        request.point = point
        try connection.send(request)
        let first = try connection.answer(LearnLine.self)
        guard let facts = first.facts, let name = first.device else {
            throw ControlRefusal("larmnod answers in another version's words: are command and daemon the same version?")
        }
        learning = LoopLearning(facts)
        self.device = name
        guard !isJSON else { return }
        printError(
            "\(point.printable) of \(name). Test mode is on, for \(StatusScreen.span(first.testModeLeft ?? 0)) more.")
        printError("Each state goes to the centre as always, which has been told that it is a test.")
        printError("Enter: the loop is so, measure it. skip: leave this state as it is. quit: give up.")
        printError("The name of a state (\(states)): show that again.")
    }

    private var states: String { learning.states.map(\.rawValue).joined(separator: ", ") }

    mutating func run() throws(ControlRefusal) {
        var left = learning.states[...]
        while let state = left.first {
            tell("", LearnStep(show: state.rawValue, request: learning.request(state)))
            if !isJSON {
                let number = learning.states.count - left.count + 1
                printError(
                    "\(number) of \(learning.states.count), \(state.rawValue.uppercased()): \(learning.request(state))."
                )
            }
            switch try answer() {
            case "": if try measure(state) { left.removeFirst() }
            case "skip": left.removeFirst()
            case "quit", "q": throw ControlRefusal("given up: nothing was learned, and nothing was changed")
            case let name:
                if let index = learning.states.firstIndex(where: { $0.rawValue == name }) {
                    left = learning.states[index...]
                } else {
                    let why = "\"\(name.prefix(20))\" is neither Enter, skip, quit nor a state (\(states))"
                    tell("  \(why.printable)", LearnStep(refused: why))
                }
            }
        }
        try finish()
    }

    private func finish() throws(ControlRefusal) {
        let lines: [String]
        do throws(LoopLearning.TooNear) { lines = try learning.lines() } catch {
            throw ControlRefusal("the states cannot be told apart: \(error)")
        }
        let table = "[device.\(device).point.\(learning.facts.point)]"
        if isJSON { return Self.print(LearnStep(table: table, toml: lines)) }
        printError("")
        printLine("# \(table), in place of its end-of-line:")
        for line in lines { printLine(line) }
        printError("")
        printError("Nothing has been written. Put this into the site file, then:")
        printError("  larmnod check, systemctl restart larmnod")
        printError("  show each state once more, and see it in larmnod events")
        printError("  larmnod test-mode off")
    }

    // MARK: One state

    /// - Returns: whether it was learned.
    private mutating func measure(_ state: LoopLearning.State) throws(ControlRefusal) -> Bool {
        learning.begin()
        var quiet = 0
        while true {
            let line = try nextReading()
            guard let count = line.count else {
                quiet += 1
                let why = line.trouble ?? "nothing is read"
                tell("  no reading: \(why.printable)", LearnStep(refused: why))
                guard quiet < Self.patience else {
                    throw ControlRefusal("no reading for \(Self.patience) s: \(why). larmnod status shows more")
                }
                continue
            }
            quiet = 0
            switch learning.take(count, at: line.at) {
            case .settling(let count, let spread):
                show("  \(count) of \(learning.facts.fullScale), within \(spread): wait …", at: line.at)
            case .settled(let count, let spread):
                if let refusal = learning.accept(count, as: state) {
                    tell("  NOT TAKEN: \(refusal)", LearnStep(refused: refusal))
                    return false
                }
                tell(
                    "  \(state.rawValue) reads \(count), within \(spread): taken.",
                    LearnStep(learned: state.rawValue, count: count, spread: spread))
                return true
            case .unsteady(let why):
                tell("  NOT TAKEN: \(why).", LearnStep(refused: why))
                return false
            }
        }
    }

    /// A line of the person's, or the script's; until then readings are shown, and forgotten.
    private mutating func answer() throws(ControlRefusal) -> String {
        while true {
            if let line = typed.take() { return line }
            guard !typed.isAtEnd else {
                throw ControlRefusal("the input ended before all states were shown: nothing was learned")
            }
            if let bytes = try connection.line(unless: STDIN_FILENO) {
                let line = try ControlConnection.decode(LearnLine.self, bytes)
                guard isLive else { continue }
                let now = line.count.map {
                    "\(Int($0.rounded())) of \(learning.facts.fullScale), now \(line.state ?? "")"
                }
                show("  \((now ?? line.trouble ?? "").printable)   ", at: line.at)
            } else if typed.canRead {
                typed.read()
            } else {
                throw ControlRefusal("larmnod has stopped, or hung up: nothing was learned")
            }
        }
    }

    private func nextReading() throws(ControlRefusal) -> LearnLine {
        guard let bytes = try connection.line() else {
            throw ControlRefusal("larmnod has stopped, or hung up: nothing was learned")
        }
        return try ControlConnection.decode(LearnLine.self, bytes)
    }

    // MARK: Showing

    /// A reading that goes on: on a terminal over the one before, else each second one line.
    private mutating func show(_ words: String, at: Int64) {
        guard !isJSON, at - lastShown >= (isLive ? 300 : 1000) else { return }
        lastShown = at
        guard isLive else { return printError(words) }
        var text = "\r\(words)\u{1B}[K"
        text.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    private func tell(_ words: String, _ step: LearnStep) {
        if isJSON { return Self.print(step) }
        if !words.isEmpty { printError(isLive ? "\r\(words)\u{1B}[K" : words) }
    }

    static func print(_ step: LearnStep) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        if let bytes = try? Array(encoder.encode(step)) { printLine(bytes) }
    }
}

/// Lines from standard input, typed or piped. Bounded: what is longer than any answer is cut.
private struct TypedLines {
    private var bytes: [UInt8] = []
    private(set) var isAtEnd = false
    private static let longest = 4096

    /// The next whole line, without blanks around it.
    mutating func take() -> String? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        defer { bytes.removeFirst(end + 1) }
        let text = bytes[..<end].filter { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: " ") }
        return String(decoding: text, as: UTF8.self).lowercased()
    }

    var canRead: Bool {
        var polled = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        return poll(&polled, 1, 0) > 0
    }

    mutating func read() {
        var chunk = [UInt8](repeating: 0, count: 256)
        let count = Glibc.read(STDIN_FILENO, &chunk, chunk.count)
        if count < 0, errno == EINTR { return }
        isAtEnd = count <= 0
        if count > 0, bytes.count + count <= Self.longest { bytes += chunk[..<count] }
    }
}
