import AlarmProtocol
import Foundation
import Synchronization
import Testing

@testable import Drivers

/// What the tests of the serial drivers share: a pseudo-terminal, settings made by hand, and a host that plays a script.
enum SerialSupport {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent()

    struct NoBytes: Error, CustomStringConvertible {
        var description: String
    }

    static func bytes(_ hex: String) throws -> [UInt8] {
        let digits = Array(hex.filter { !$0.isWhitespace })
        let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
            UInt8(String(digits[$0...$0 + 1]), radix: 16)
        }
        guard !bytes.isEmpty, bytes.count * 2 == digits.count else {
            throw NoBytes(description: "expected pairs of digits, found \(hex)")
        }
        return bytes
    }

    static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { String(format: "%02X", $0) }.joined(separator: " ")
    }

    /// A block as a panel sends it, from its records.
    static func block(_ records: [(Int, String)], header: Character = "1") -> [UInt8] {
        let text = records.map { "\($0.0)\u{1F}\($0.1)" }.joined(separator: "\u{1E}")
        return framed(Array("\(header)\u{02}\(text)".utf8))
    }

    /// SOH, the body, ETX and the checksum, worked out on its own here.
    static func framed(_ body: [UInt8]) -> [UInt8] {
        var checksum: UInt8 = 0x03
        for byte in body { checksum ^= byte }
        return [0x01] + body + [0x03, checksum]
    }

    // MARK: Settings

    static func node(_ value: SettingNode.Value, line: Int = 1) -> SettingNode {
        SettingNode(value, at: Place(file: "site.toml", line: line, column: 1))
    }

    /// Points in order: each a name and its conditions.
    typealias Points = [(String, [(String, SettingNode.Value)])]

    static func settings(_ values: [(String, SettingNode.Value)], points: Points = []) -> Settings {
        var entries = values.map { SettingNode.Entry(key: $0.0, node: node($0.1)) }
        if !points.isEmpty {
            let tables = points.enumerated().map { index, point in
                let table = point.1.map { SettingNode.Entry(key: $0.0, node: node($0.1, line: 10 + index)) }
                return SettingNode.Entry(key: point.0, node: node(.table(table), line: 10 + index))
            }
            entries.append(SettingNode.Entry(key: "point", node: node(.table(tables), line: 10)))
        }
        return Settings(node(.table(entries)), path: "device.espa.panel", problems: Problems())
    }

    static func driver(
        port: String, _ values: [(String, SettingNode.Value)] = [], points: Points = []
    ) throws -> ESPADriver {
        let settings = settings([("port", .string(port))] + values, points: points)
        let driver = try ESPADriver(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [])
        return driver
    }
}

/// Both ends of a pseudo-terminal: the test holds the panel's end.
final class PseudoTerminal: Sendable {
    let panel: Int32
    let path: String

    init() throws {
        panel = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK)
        // grantpt and unlockpt are hidden from Swift; on Linux they are these two requests (ioctl_tty(2)).
        var locked: Int32 = 0
        var number: Int32 = 0
        try #require(ioctl(panel, 0x4004_5431, &locked) == 0 && ioctl(panel, 0x8004_5430, &number) == 0)
        path = "/dev/pts/\(number)"
    }

    deinit { close(panel) }

    func send(_ bytes: [UInt8]) {
        #expect(write(panel, bytes, bytes.count) == bytes.count, "the pseudo-terminal took not all")
    }

    /// What the driver has sent, waiting for the first byte at most so many milliseconds.
    func received(within limit: Int32 = 0) -> [UInt8] {
        var ready = pollfd(fd: panel, events: Int16(POLLIN), revents: 0)
        guard poll(&ready, 1, limit) > 0, ready.revents & Int16(POLLIN) != 0 else { return [] }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = read(panel, &buffer, buffer.count)
        return count > 0 ? Array(buffer[..<count]) : []
    }
}

extension PseudoTerminal {
    /// So many bytes, waiting for them at most a second, and what comes with them.
    func received(count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let more = received(within: 1000)
            if more.isEmpty { break }
            bytes += more
        }
        return bytes
    }
}

/// A host that plays a script to the driver, on the driver's own thread: each wait of the driver is one or more steps of
/// the script, with a clock of its own. So a test is the driver's `run`, and nothing in it depends on real time.
final class ScriptHost: Drivers.Host {
    enum Step: Sendable {
        /// The panel sends.
        case send([UInt8])
        /// The driver must have answered exactly so.
        case expect([UInt8])
        /// What the driver answers here is of no interest.
        case ignoreAnswers
        /// The driver must have reported this next.
        case report(Signal)
        case pass(milliseconds: Int64)
        /// Until the next of these steps, storing fails (true) or works.
        case refuseReports(Bool)
        /// The next report takes so long, and meanwhile the panel sends.
        case slowReport(milliseconds: Int64, meanwhile: [UInt8])
        case expectNothing
    }

    private struct State {
        var steps: ArraySlice<Step>
        var uptime: Int64 = 1_000_000
        var signals: [Signal] = []
        var kept: [UInt8] = []
        var traced: [Passage] = []
        var checked = 0
        var log: [(LogLevel, String)] = []
        var answers = 0
        var refusing = false
        var slow: (milliseconds: Int64, meanwhile: [UInt8])?
        var waits = 0
        var port: Int32?
    }

    let line: PseudoTerminal
    private let state: Mutex<State>

    /// The panel waits for each answer before it goes on, so that an answer before its report can be told.
    private let inTurns: Bool

    init(_ line: PseudoTerminal, _ steps: [Step], inTurns: Bool = true) {
        self.line = line
        self.inTurns = inTurns
        state = Mutex(State(steps: steps[...]))
    }

    var signals: [Signal] { state.withLock(\.signals) }
    var logged: [(LogLevel, String)] { state.withLock(\.log) }
    var answered: Int { state.withLock(\.answers) }
    var now: Moment { Moment(utc: 0, uptime: state.withLock(\.uptime), clock: .known) }
    func answers() { state.withLock { $0.answers += 1 } }
    var kept: [UInt8] { state.withLock(\.kept) }
    var traced: [Passage] { state.withLock(\.traced) }
    func trace(_ passage: Passage) { state.withLock { $0.traced.append(passage) } }
    func output(_ name: String) -> Bool { false }

    func keep(_ bytes: [UInt8]) throws {
        try state.withLock { state in
            if state.refusing { throw ReportError("the disk is full") }
            state.kept = bytes
        }
    }

    func log(_ level: LogLevel, _ message: String) { state.withLock { $0.log.append((level, message)) } }

    func report(_ signals: [Signal]) throws {
        if inTurns, signals.contains(where: { $0.reading == .call }) {
            #expect(line.received(within: 2) == [], "answered before it was stored")
        }
        #expect(!signals.isEmpty)
        try state.withLock { state in
            if let slow = state.slow {
                state.slow = nil
                state.uptime += slow.milliseconds
                deliver(slow.meanwhile, state.port)
            }
            if state.refusing { throw ReportError("the disk is full") }
            state.signals += signals
        }
    }

    func wait(for descriptors: [Int32], until deadline: ContinuousClock.Instant?) -> Wake {
        state.withLock { state in
            let left = deadline.map { max(0, ($0 - .now).milliseconds + 1) }
            let due = left.map { state.uptime + $0 }
            guard let port = descriptors.first else {
                state.uptime = due ?? state.uptime
                return .deadline
            }
            state.port = port
            state.waits += 1
            guard state.waits < 100_000 else {
                Issue.record("the driver spins")
                return .stop
            }
            while true {
                if readable(port) { return .ready([port]) }
                guard let step = state.steps.popFirst() else { return finish(state) }
                switch step {
                case .send(let bytes): deliver(bytes, port)
                case .expect(let bytes):
                    let answer = line.received(count: bytes.count)
                    #expect(answer == bytes, "answered \(SerialSupport.hex(answer)), not \(SerialSupport.hex(bytes))")
                case .ignoreAnswers: while !line.received(within: 5).isEmpty {}
                case .expectNothing: #expect(line.received(within: 5) == [])
                case .report(let signal):
                    #expect(state.signals.dropFirst(state.checked).first == signal)
                    state.checked += 1
                case .refuseReports(let refusing): state.refusing = refusing
                case .slowReport(let milliseconds, let meanwhile): state.slow = (milliseconds, meanwhile)
                case .pass(let milliseconds):
                    if let due, due <= state.uptime + milliseconds {
                        state.steps = [.pass(milliseconds: milliseconds - (due - state.uptime))] + state.steps
                        state.uptime = due
                        return .deadline
                    }
                    state.uptime += milliseconds
                }
            }
        }
    }

    private func finish(_ state: State) -> Wake {
        #expect(line.received(within: 5) == [], "an answer too many")
        let rest = state.signals.dropFirst(state.checked)
        if state.checked > 0 { #expect(rest.isEmpty, "signals too many") }
        return .stop
    }

    /// Sends, and waits until all of it has arrived at the other end.
    private func deliver(_ bytes: [UInt8], _ port: Int32?) {
        guard let port, !bytes.isEmpty else { return }
        let before = waiting(port)
        line.send(bytes)
        for _ in 0..<2000 {
            if waiting(port) - before >= bytes.count { return }
            usleep(500)
        }
        Issue.record("the pseudo-terminal did not deliver")
    }

    private func waiting(_ descriptor: Int32) -> Int {
        var count: Int32 = 0
        return ioctl(descriptor, UInt(FIONREAD), &count) == 0 ? Int(count) : 0
    }

    private func readable(_ descriptor: Int32) -> Bool {
        var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&ready, 1, 0) > 0
    }
}

/// Numbers that look random and are the same every time.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}

/// A host on real time, for drivers on a thread of their own.
final class RealHost: Drivers.Host {
    private let state = Mutex<(signals: [Signal], stopping: Bool, waits: Int)>(([], false, 0))

    var signals: [Signal] { state.withLock(\.signals) }
    /// Waits until the driver has opened its device and waits.
    func isWaitedFor() -> Bool {
        for _ in 0..<1000 {
            if state.withLock(\.waits) > 0 { return true }
            usleep(5000)
        }
        return false
    }

    func stop() { state.withLock { $0.stopping = true } }
    var now: Moment { Moment(utc: 0, uptime: Int64(ProcessInfo.processInfo.systemUptime * 1000), clock: .known) }
    func answers() {}
    func output(_ name: String) -> Bool { false }
    func log(_ level: LogLevel, _ message: String) {}
    func report(_ signals: [Signal]) throws { state.withLock { $0.signals += signals } }

    func wait(for descriptors: [Int32], until deadline: ContinuousClock.Instant?) -> Wake {
        state.withLock { $0.waits += 1 }
        while true {
            if state.withLock(\.stopping) { return .stop }
            if let deadline, deadline <= .now { return .deadline }
            var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            if poll(&polled, nfds_t(polled.count), 10) > 0 {
                return .ready(polled.filter { $0.revents != 0 }.map(\.fd))
            }
        }
    }
}

/// What a thread ended with.
final class Ended: Sendable {
    private let result = Mutex<Result<Void, any Error>?>(nil)

    func set(_ outcome: Result<Void, any Error>) { result.withLock { $0 = outcome } }

    /// Waits at most ten seconds.
    func wait() -> Result<Void, any Error>? {
        for _ in 0..<1000 {
            if let outcome = result.withLock(\.self) { return outcome }
            usleep(10_000)
        }
        return nil
    }
}

extension FileHandle {
    /// The lines that a process writes, each waited for.
    var bytesAsLines: ProcessLines { ProcessLines(handle: self) }
}

struct ProcessLines {
    let handle: FileHandle
    private var rest = Data()

    init(handle: FileHandle) { self.handle = handle }

    /// The next line for which the test holds; nil when the process has ended its output.
    mutating func next(where test: (String) -> Bool = { _ in true }) -> String? {
        while true {
            while let end = rest.firstIndex(of: 0x0A) {
                let line = String(decoding: rest[..<end], as: UTF8.self)
                rest = Data(rest[(end + 1)...])
                if test(line) { return line }
            }
            let more = handle.availableData
            if more.isEmpty { return nil }
            rest += more
        }
    }
}
