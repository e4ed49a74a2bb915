import AlarmProtocol
import Glibc
import Synchronization

/// Plays a recording into a driver over a pseudo-terminal, with the recording's own clock: `Driver.run` as on site, and
/// nothing is stored or sent anywhere.
public final class Replay: Host {
    /// What happens, as it happens, with the milliseconds since the beginning.
    public enum News: Sendable, Hashable {
        case received([UInt8], String)
        case answered([UInt8], String)
        case reported(Signal)
        /// Not as recorded; in which line of the file (0: at its end).
        case differs(String, line: Int)
    }

    private enum Limit {
        /// How often the driver may wait.
        static let waits = 10_000_000
        /// Milliseconds of real time for an answer to come through the pseudo-terminal.
        static let answer: Int32 = 1000
    }

    private struct State {
        var steps: [(step: Recording.Step, line: Int)]
        var position = 0
        var uptime: Int64 = 1_000_000
        var reported: [Signal] = []
        var checked = 0
        var waits = 0
        var kept: [UInt8] = []
        var differences = 0
    }

    private let line: PseudoLine
    private let state: Mutex<State>
    private let show: @Sendable (News, Int64) -> Void

    private init(_ recording: Recording, _ line: PseudoLine, _ show: @escaping @Sendable (News, Int64) -> Void) {
        self.line = line
        self.show = show
        state = Mutex(State(steps: recording.steps))
    }

    /// - Parameters:
    ///   - read: the recording's text, read with the port's path that it is given.
    ///   - show: is told what happens.
    /// - Returns: how often something was not as recorded.
    /// - Throws: `Recording.Wrong` for a recording that cannot be played; `DeviceError` where no pseudo-terminal is to be had.
    public static func run(
        _ kind: any Driver.Type, read: (_ port: String) throws -> Recording,
        show: @escaping @Sendable (News, Int64) -> Void = { _, _ in }
    ) throws -> Int {
        let line = try PseudoLine()
        let recording = try read(line.path)
        let settings = recording.table(of: kind.name, port: line.path)
        let driver = try kind.init(settings)
        settings.refuseUnread()
        if let problem = settings.problems.sorted.first {
            throw Recording.Wrong(description: "\(recording.file): its settings: \(problem.message)")
        }
        let host = Replay(recording, line, show)
        do { try driver.run(host) } catch { host.differs("the driver gave up: \(error)", 0) }
        return host.state.withLock(\.differences)
    }

    // MARK: Host

    public var now: Moment { Moment(utc: 0, uptime: state.withLock(\.uptime), clock: .unknown) }
    public func answers() {}
    public func output(_ name: String) -> Bool { false }
    public func log(_ level: LogLevel, _ message: String) {}

    public var kept: [UInt8] { state.withLock(\.kept) }
    public func keep(_ bytes: [UInt8]) throws { state.withLock { $0.kept = bytes } }

    public var isWatched: Bool { true }

    public func trace(_ passage: Passage) {
        let isReceived = passage.direction == .received
        tell(isReceived ? .received(passage.bytes, passage.meaning) : .answered(passage.bytes, passage.meaning))
    }

    public func report(_ signals: [Signal]) throws {
        state.withLock { $0.reported += signals }
        for signal in signals { tell(.reported(signal)) }
    }

    public func wait(for descriptors: [Int32], until deadline: ContinuousClock.Instant?) -> Wake {
        let left = deadline.map { max(0, ($0 - .now).milliseconds + 1) }
        let due = left.map { time in state.withLock { $0.uptime + time } }
        guard let port = descriptors.first else {
            state.withLock { $0.uptime = due ?? $0.uptime }
            return .deadline
        }
        let waits = state.withLock { state in
            state.waits += 1
            return state.waits
        }
        guard waits < Limit.waits else {
            differs("the driver waits without end", 0)
            return .stop
        }
        while true {
            if bytesWaiting(at: port) > 0 { return .ready([port]) }
            guard let (step, number) = nextStep() else { return finish() }
            switch step {
            case .received(let bytes): deliver(bytes, port)
            case .sent(let bytes): compare(bytes, number)
            case .reported(let summary): compare(summary, number)
            case .pass(let milliseconds):
                if pass(milliseconds, until: due, number) { return .deadline }
            }
        }
    }

    // MARK: Steps

    private func nextStep() -> (step: Recording.Step, line: Int)? {
        state.withLock { state in
            guard state.position < state.steps.count else { return nil }
            state.position += 1
            return state.steps[state.position - 1]
        }
    }

    /// - Returns: true when the driver's deadline comes first; the rest of the time passes later.
    private func pass(_ milliseconds: Int64, until due: Int64?, _ number: Int) -> Bool {
        state.withLock { state in
            let (end, isTooLate) = state.uptime.addingReportingOverflow(milliseconds)
            guard let due, due <= end || isTooLate else {
                state.uptime = isTooLate ? .max / 2 : end
                return false
            }
            let rest = milliseconds - (due - state.uptime)
            if rest > 0 {
                state.position -= 1
                state.steps[state.position] = (.pass(milliseconds: rest), number)
            }
            state.uptime = max(state.uptime, due)
            return true
        }
    }

    private func compare(_ bytes: [UInt8], _ number: Int) {
        let answer = received(count: bytes.count)
        guard answer != bytes else { return }
        let came = answer.isEmpty ? "nothing" : hexadecimal(answer)
        differs("answered \(came); recorded is \(hexadecimal(bytes))", number)
    }

    private func compare(_ summary: String, _ number: Int) {
        let next = state.withLock { state -> Signal? in
            guard state.checked < state.reported.count else { return nil }
            state.checked += 1
            return state.reported[state.checked - 1]
        }
        let came = next?.summary.onOneLine
        // The editor that a recording passed through may have cut blanks at the end.
        guard came.map({ $0.trimmedEnd != summary.trimmedEnd }) ?? true else { return }
        differs("reported \(came ?? "nothing"); recorded is \(summary)", number)
    }

    private func finish() -> Wake {
        let extra = received(count: 1, within: 5)
        if !extra.isEmpty {
            differs("answered \(hexadecimal(extra)) at the end, which is not recorded", 0)
        }
        let more = state.withLock { $0.reported.dropFirst($0.checked) }
        for signal in more { differs("reported \(signal.summary.onOneLine), which is not recorded", 0) }
        return .stop
    }

    private func tell(_ news: News) { show(news, state.withLock { $0.uptime - 1_000_000 }) }

    private func differs(_ words: String, _ line: Int) {
        state.withLock { $0.differences += 1 }
        tell(.differs(words, line: line))
    }

    // MARK: The pseudo-terminal

    /// Sends, and waits until all of it has arrived at the other end.
    private func deliver(_ bytes: [UInt8], _ port: Int32) {
        let before = bytesWaiting(at: port)
        _ = write(line.descriptor, bytes, bytes.count)
        for _ in 0..<2000 where bytesWaiting(at: port) - before < bytes.count { usleep(500) }
    }

    private func bytesWaiting(at descriptor: Int32) -> Int {
        var count: Int32 = 0
        return ioctl(descriptor, UInt(FIONREAD), &count) == 0 ? Int(count) : 0
    }

    private func received(count: Int, within limit: Int32 = Limit.answer) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            var ready = pollfd(fd: line.descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, limit) > 0, ready.revents & Int16(POLLIN) != 0 else { break }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let got = read(line.descriptor, &buffer, buffer.count)
            guard got > 0 else { break }
            bytes += buffer[..<got]
        }
        return bytes
    }
}

extension String {
    fileprivate var trimmedEnd: Substring {
        guard let end = lastIndex(where: { $0 != " " }) else { return "" }
        return self[...end]
    }
}
