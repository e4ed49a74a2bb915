import AlarmProtocol
import Foundation
import Glibc
import Synchronization

@testable import Drivers

/// A host for drivers that are run for real, on a thread of their own, against devices that answer.
final class FieldHost: Drivers.Host {
    struct State {
        var signals: [Signal] = []
        var log: [String] = []
        var answers = 0
        /// Reports that are refused before the next is taken.
        var refusals = 0
        /// How long a report takes.
        var slowness: Duration = .zero
        var stopped = false
        /// The outputs that are to be on.
        var on: Set<String> = []
        var outputsChanged = false
        var outcome: Result<Void, any Error>?
    }

    let state = Mutex(State())
    private let stopEnd: Int32
    private let waitEnd: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0, "no pipe")
        (waitEnd, stopEnd) = (ends[0], ends[1])
    }

    deinit {
        close(stopEnd)
        close(waitEnd)
    }

    func report(_ signals: [Signal]) throws {
        let (refused, slowness) = state.withLock { state in
            if state.refusals > 0 {
                state.refusals -= 1
                return (true, state.slowness)
            }
            state.signals += signals
            return (false, state.slowness)
        }
        if refused { throw ReportError("the disk is full") }
        if slowness > .zero { usleep(UInt32(slowness.milliseconds * 1000)) }
    }

    func answers() { state.withLock { $0.answers += 1 } }
    func log(_ level: LogLevel, _ message: String) { state.withLock { $0.log.append("\(level): \(message)") } }

    var now: Moment {
        var wall = timespec()
        var boot = timespec()
        clock_gettime(CLOCK_REALTIME, &wall)
        clock_gettime(CLOCK_BOOTTIME, &boot)
        return Moment(
            utc: Int64(wall.tv_sec) * 1000 + Int64(wall.tv_nsec) / 1_000_000,
            uptime: Int64(boot.tv_sec) * 1000 + Int64(boot.tv_nsec) / 1_000_000, clock: .known)
    }

    func wait(for descriptors: [Int32], until deadline: ContinuousClock.Instant?) -> Wake {
        while true {
            var waiting = ([waitEnd] + descriptors).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            let left = deadline.map { max(0, ($0 - .now).milliseconds + 1) } ?? 60_000
            let count = poll(&waiting, nfds_t(waiting.count), Int32(min(left, 60_000)))
            if state.withLock({ $0.stopped }) { return .stop }
            if count > 0, waiting[0].revents != 0 {
                var bell: UInt8 = 0
                _ = read(waitEnd, &bell, 1)
                let isNews = state.withLock { state in
                    defer { state.outputsChanged = false }
                    return state.outputsChanged
                }
                if isNews { return .output }
                continue
            }
            if count > 0 { return .ready(waiting.dropFirst().filter { $0.revents != 0 }.map(\.fd)) }
            if let deadline, .now >= deadline { return .deadline }
        }
    }

    func output(_ name: String) -> Bool { state.withLock { !$0.stopped && $0.on.contains(name) } }

    /// Says which outputs are to be on.
    func turnOn(_ names: String...) {
        state.withLock { state in
            state.on = Set(names)
            state.outputsChanged = true
        }
        _ = write(stopEnd, "o", 1)
    }

    /// Runs the driver on its own thread until `stop`.
    func start(_ driver: any Driver) {
        Thread.detachNewThread { [self] in
            let outcome = Result { try driver.run(self) }
            state.withLock { $0.outcome = outcome }
        }
    }

    /// Stops the driver and gives how its run ended; nil when it did not end within 3 seconds.
    func stop() async -> Result<Void, any Error>? {
        state.withLock { $0.stopped = true }
        _ = write(stopEnd, "x", 1)
        return await outcome(within: .seconds(3))
    }

    func outcome(within limit: Duration) async -> Result<Void, any Error>? {
        _ = await until(within: limit) { $0.outcome != nil }
        return state.withLock { $0.outcome }
    }

    /// Waits until it is so. False when the time is up.
    func until(within limit: Duration = .seconds(10), _ holds: (State) -> Bool) async -> Bool {
        let deadline = ContinuousClock.now + limit
        while .now < deadline {
            if state.withLock({ holds($0) }) { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return state.withLock { holds($0) }
    }

    /// What was said of a point, in order.
    func readings(of point: String) -> [Signal.Reading] {
        state.withLock { $0.signals.filter { $0.point == point }.map(\.reading) }
    }
}

extension FieldHost.State {
    func last(_ point: String) -> Signal.Reading? { signals.last { $0.point == point }?.reading }
}

/// A device's table from its entries, and what the driver found wrong with it.
func table(_ name: String, _ entries: [(String, SettingNode.Value)]) -> (Settings, Problems) {
    let problems = Problems()
    let settings = Settings(SettingNode(tableValue(entries), at: here), path: name, problems: problems)
    return (settings, problems)
}

func tableValue(_ entries: [(String, SettingNode.Value)]) -> SettingNode.Value {
    .table(entries.map { SettingNode.Entry(key: $0.0, node: SettingNode($0.1, at: here)) })
}

/// Tables by their names, as the points of a device.
func points(_ tables: [(String, [(String, SettingNode.Value)])]) -> (String, SettingNode.Value) {
    ("point", tableValue(tables.map { ($0.0, tableValue($0.1)) }))
}

private let here = Place(file: "site.toml", line: 1, column: 1)
