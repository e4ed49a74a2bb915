import Dispatch
import Gateway
import Glibc
import Synchronization

/// Shows a line as it is watched, and never keeps whoever watches it waiting: a terminal that is slower than what comes
/// misses some of it, and is told how much. So what it shows is never old.
final class Screen: Sendable {
    private enum Limit {
        /// Rows that wait for a terminal: more than a screen of it, three seconds of 9600 bit/s. When there are so many, all
        /// is left out until they are shown: parts of it from here and there would tell nothing.
        static let rows = 36
        /// For what goes into a file or another program.
        static let rowsElsewhere = 5000
        /// Bytes that go out at once; more of them only as fast as the terminal says that it is.
        static let burst = 2048
        /// How long the end waits for what has not been shown yet.
        static let end = DispatchTimeInterval.seconds(1)
    }

    private struct State {
        var screen: LineScreen
        var waiting = 0
        var missed = 0
    }

    private let state: Mutex<State>
    private let queue = DispatchQueue(label: "screen")
    private let most: Int
    private let pace: Pace

    init(_ screen: LineScreen) {
        state = Mutex(State(screen: screen))
        pace = Pace(burst: Limit.burst)
        most = isatty(STDOUT_FILENO) == 1 ? Limit.rows : Limit.rowsElsewhere
    }

    func show(_ line: WatchedLine) {
        let rows = state.withLock { state -> [String] in
            guard state.missed == 0, state.waiting < most else {
                state.missed += 1
                return []
            }
            let rows = state.screen.rows(line)
            state.waiting += rows.count
            return rows
        }
        if !rows.isEmpty { queue.async { [self] in write(rows) } }
    }

    /// Shows what is left, of repeats too, as long as the terminal takes it.
    func end() {
        let rest = state.withLock { $0.screen.takeRepeats() }
        let isOut = DispatchSemaphore(value: 0)
        queue.async {
            rest.forEach(printLine)
            isOut.signal()
        }
        _ = isOut.wait(timeout: .now() + Limit.end)
    }

    private func write(_ rows: [String]) {
        for row in rows {
            pace.wait(for: row.utf8.count + 1)
            printLine(row)
        }
        let more = state.withLock { state -> [String] in
            state.waiting -= rows.count
            guard state.waiting == 0, state.missed > 0 else { return [] }
            defer { state.missed = 0 }
            return state.screen.rows(
                WatchedLine("", .missed, at: SystemClock(isTrusted: true).now(), count: state.missed))
        }
        more.forEach(printLine)
    }
}

/// Holds output to a terminal's own speed, so that nothing old waits in the system's buffers. Used on one queue.
private final class Pace: Sendable {
    private let burst: Double
    /// Bytes in a second; nil: no terminal, or one that does not say.
    private let rate: Double?
    private let state = Mutex((waiting: 0.0, at: ContinuousClock.now))

    init(burst: Int) {
        self.burst = Double(burst)
        var settings = termios()
        let speeds = [
            B300: 300, B600: 600, B1200: 1200, B2400: 2400, B4800: 4800, B9600: 9600, B19200: 19_200, B38400: 38_400,
        ]
        let speed = tcgetattr(STDOUT_FILENO, &settings) == 0 ? speeds[Int32(cfgetospeed(&settings))] : nil
        // Ten bits a byte, and a little less, so that what has gathered dwindles.
        rate = speed.map { Double($0) / 11 }
    }

    func wait(for bytes: Int) {
        guard let rate else { return }
        let pause = state.withLock { state in
            let now = ContinuousClock.now
            let passed = Double(state.at.duration(to: now) / .milliseconds(1)) * rate / 1000
            state = (max(0, state.waiting - passed) + Double(bytes), now)
            return (state.waiting - burst) / rate
        }
        if pause > 0 { usleep(UInt32(min(pause, 1) * 1_000_000)) }
    }
}
