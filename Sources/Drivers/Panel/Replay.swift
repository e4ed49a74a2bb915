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
        /// The same before it is believed that there is none yet.
        static let glance: Int32 = 20
        /// Milliseconds by which what the driver did of its own accord may have been earlier or later on site than by its
        /// own clock here: that computer had other things to do, and its disk took time.
        static let apart: Int64 = 500
    }

    /// What the line itself reports, once it is opened anew and something right has come.
    private static let lineIsWell = "line healthy"

    private struct State {
        var steps: [(step: Recording.Step, line: Int)]
        var position = 0
        /// The driver's clock, and the recording's: at most `Limit.apart` behind.
        var uptime: Int64 = 1_000_000
        var recorded: Int64 = 1_000_000
        /// What has been reported and not been compared yet, with how many bytes had been answered before; and the same
        /// of the line itself, which stands apart: when it is told hangs on how the bytes came in.
        var reported: [(summary: String, answered: Int)] = []
        var ofTheLine: [String] = []
        var isLineCompared = false
        /// Lines of the file in which the line is well again, and was not yet.
        var lineIsAwaited: [Int] = []
        /// Bytes of the answers that have been compared.
        var answered = 0
        /// What has come from the driver beyond what was compared.
        var unread: [UInt8] = []
        var isOpenedAnew = false
        var waits = 0
        var kept: [UInt8] = []
        var differences = 0

        mutating func passed(until end: Int64) {
            recorded = end
            uptime = max(uptime, end)
        }

        /// What comes next is something that the driver did.
        var nextIsTheDrivers: Bool {
            guard position < steps.count else { return false }
            switch steps[position].step {
            case .sent, .reported: return true
            case .received, .pass, .opened: return false
            }
        }
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
        repeat {
            do { try driver.run(host) } catch {
                if !host.skipsToOpened() { host.differs("the driver gave up: \(error)", 0) }
            }
        } while host.state.withLock({ state in
            defer { state.isOpenedAnew = false }
            return state.isOpenedAnew
        })
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
        let sent = state.withLock { $0.answered + $0.unread.count } + bytesWaiting(at: line.descriptor)
        state.withLock { state in
            for signal in signals {
                if signal.point == LineSupervision.point {
                    state.ofTheLine.append(signal.summary.onOneLine)
                } else {
                    state.reported.append((signal.summary.onOneLine, sent))
                }
            }
        }
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
            if isOwed(step), hurries(to: due) { return .deadline }
            switch step {
            case .received(let bytes): deliver(bytes, port)
            case .sent(let bytes): compare(bytes, number)
            case .reported(let summary): compare(summary, number)
            case .pass(let milliseconds):
                if pass(milliseconds, until: due, number) { return .deadline }
            case .opened:
                state.withLock { $0.isOpenedAnew = true }
                return .stop
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

    /// The driver has still to do this, and does it at its next deadline if at all.
    private func isOwed(_ step: Recording.Step) -> Bool {
        switch step {
        case .sent: !hasAnswered(within: Limit.glance)
        case .reported(let summary):
            state.withLock { summary.isOfTheLine ? $0.ofTheLine.isEmpty : $0.reported.isEmpty }
        case .received, .pass, .opened: false
        }
    }

    /// Lets the driver's deadline come now, where on site it came a little before its time by the clock here. - Returns:
    /// whether it does; the step comes again then.
    private func hurries(to due: Int64?) -> Bool {
        state.withLock { state in
            guard let due, due - state.recorded <= Limit.apart else { return false }
            state.uptime = max(state.uptime, due)
            state.position -= 1
            return true
        }
    }

    /// - Returns: true when the driver's deadline comes first; the rest of the time passes later.
    private func pass(_ milliseconds: Int64, until due: Int64?, _ number: Int) -> Bool {
        state.withLock { state in
            let (end, isTooLate) = state.recorded.addingReportingOverflow(milliseconds)
            guard let due, due <= end || isTooLate else {
                state.passed(until: isTooLate ? .max / 2 : end)
                return false
            }
            // On site it came a little late: so it does here, that the two clocks do not part.
            if !isTooLate, end - due <= Limit.apart, state.nextIsTheDrivers {
                state.passed(until: end)
                return true
            }
            let rest = min(milliseconds, milliseconds - (due - state.recorded))
            if rest > 0 {
                state.position -= 1
                state.steps[state.position] = (.pass(milliseconds: rest), number)
            }
            state.passed(until: max(due, state.recorded))
            return true
        }
    }

    private func compare(_ bytes: [UInt8], _ number: Int) {
        let answer = received(count: bytes.count)
        state.withLock { $0.answered += answer.count }
        guard answer != bytes else { return }
        let came = answer.isEmpty ? "nothing" : hexadecimal(answer)
        differs("answered \(came); recorded is \(hexadecimal(bytes))", number)
    }

    private func compare(_ summary: String, _ number: Int) {
        if summary.isOfTheLine { return compareLine(summary, number) }
        let (next, answered) = state.withLock { state in
            (state.reported.isEmpty ? nil : state.reported.removeFirst(), state.answered)
        }
        guard let next, next.summary.isSame(as: summary) else {
            return differs("reported \(next?.summary ?? "nothing"); recorded is \(summary)", number)
        }
        if next.answered > answered { differs("answered before it had reported \(summary)", number) }
    }

    private func compareLine(_ summary: String, _ number: Int) {
        let came = state.withLock { state -> String? in
            // A recording that begins when the line was open already has not seen it told.
            if !state.isLineCompared, summary != Self.lineIsWell, state.ofTheLine.first == Self.lineIsWell {
                state.ofTheLine.removeFirst()
            }
            state.isLineCompared = true
            guard state.ofTheLine.isEmpty else { return state.ofTheLine.removeFirst() }
            guard summary == Self.lineIsWell else { return nil }
            state.lineIsAwaited.append(number)
            return summary
        }
        if came.map({ !$0.isSame(as: summary) }) ?? true {
            differs("reported \(came ?? "nothing"); recorded is \(summary)", number)
        }
    }

    private func finish() -> Wake {
        if hasAnswered(within: Limit.glance) {
            let extra = received(count: state.withLock(\.unread.count) + bytesWaiting(at: line.descriptor))
            differs("answered \(hexadecimal(extra)) at the end, which is not recorded", 0)
        }
        let (more, missing) = state.withLock { state in
            for _ in state.lineIsAwaited where state.ofTheLine.first == Self.lineIsWell {
                state.lineIsAwaited.removeFirst()
                state.ofTheLine.removeFirst()
            }
            if !state.isLineCompared, state.ofTheLine.first == Self.lineIsWell { state.ofTheLine.removeFirst() }
            return (state.reported.map(\.summary) + state.ofTheLine, state.lineIsAwaited)
        }
        for number in missing { differs("reported nothing; recorded is \(Self.lineIsWell)", number) }
        for summary in more { differs("reported \(summary), which is not recorded", 0) }
        return .stop
    }

    /// The driver has given the line up: so it was on site, where the recording says next that it was opened anew.
    private func skipsToOpened() -> Bool {
        state.withLock { state in
            var position = state.position
            while position < state.steps.count {
                defer { position += 1 }
                switch state.steps[position].step {
                case .pass(let milliseconds):
                    state.passed(until: state.recorded + min(milliseconds, .max / 2 - state.recorded))
                case .opened:
                    state.position = position + 1
                    state.isOpenedAnew = true
                    return true
                case .received, .sent, .reported: return false
                }
            }
            return false
        }
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

    private func hasAnswered(within limit: Int32) -> Bool {
        if !state.withLock(\.unread.isEmpty) { return true }
        var ready = pollfd(fd: line.descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&ready, 1, limit) > 0 && ready.revents & Int16(POLLIN) != 0
    }

    /// So many bytes, or as many as come.
    private func received(count: Int) -> [UInt8] {
        var bytes = state.withLock(\.unread)
        while bytes.count < count {
            var ready = pollfd(fd: line.descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&ready, 1, Limit.answer) > 0, ready.revents & Int16(POLLIN) != 0 else { break }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let got = read(line.descriptor, &buffer, buffer.count)
            guard got > 0 else { break }
            bytes += buffer[..<got]
        }
        state.withLock { $0.unread = Array(bytes.dropFirst(count)) }
        return Array(bytes.prefix(count))
    }
}

extension String {
    fileprivate var isOfTheLine: Bool { hasPrefix("\(LineSupervision.point) ") }

    /// The editor that a recording passed through may have cut blanks at the end.
    fileprivate func isSame(as other: String) -> Bool { trimmedEnd == other.trimmedEnd }

    fileprivate var trimmedEnd: Substring {
        guard let end = lastIndex(where: { $0 != " " }) else { return "" }
        return self[...end]
    }
}
