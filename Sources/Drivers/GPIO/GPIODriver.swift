import AlarmProtocol
import CGPIO
import Glibc

/// Contacts on the board's own inputs: `[device.gpio.NAME]`. See README.md beside this file.
public struct GPIODriver: Driver {
    public static let name = "gpio"

    let points: [GPIOPoint]

    /// All lines are read this often though nothing was said, so that a lost edge cannot stay lost.
    private static let backstop: Duration = .seconds(2)
    /// Lines that could not be taken are tried again this often.
    private static let retry: Duration = .seconds(5)

    public init(_ settings: Settings) throws {
        let chip = settings.optionalString("chip", expected: "a GPIO chip's label in quotes")
        points = settings.points.map { GPIOPoint($0, chip: chip) }
        if points.isEmpty { settings.refuse("point", "expected at least one point, [\(settings.path).point.NAME]") }
        var users: [LineName: String] = [:]
        for (point, table) in zip(points, settings.points) {
            if let other = users.updateValue(point.name, forKey: point.line) {
                table.refuse("line", "the same line as point \(other)")
            }
        }
    }

    public func run(_ host: any Host) throws {
        var watched: [Watched] = []
        let faults = try open(points, &watched)
        guard let failure = faults.first?.error, watched.isEmpty else {
            guard host.deliver(faults.map(\.signal)) else { return }
            return try watch(&watched, host)
        }
        throw failure
    }

    /// A point whose line could not be taken.
    private struct Fault {
        let point: GPIOPoint
        let error: DeviceError
        var signal: Signal { Signal(point: point.name, .fault(error.description)) }
    }

    /// Takes the lines of these points, as far as they can be had: one line that is held or misnamed does not keep the
    /// others from being watched.
    private func open(_ points: [GPIOPoint], _ watched: inout [Watched]) throws(DeviceError) -> [Fault] {
        let board = try GPIOBoard()
        var faults: [Fault] = []
        var users: [LinePlace: String] = [:]
        for point in points {
            do throws(DeviceError) {
                let place = try board.find(point)
                if let other = users.updateValue(point.name, forKey: place) {
                    throw DeviceError("points \(other) and \(point.name) are the same line; give one of them another")
                }
                watched.append(try Watched(point, board.open(point, at: place)))
            } catch {
                faults.append(Fault(point: point, error: error))
            }
        }
        return faults
    }

    private func watch(_ watched: inout [Watched], _ host: any Host) throws {
        var nextBackstop = ContinuousClock.now + Self.backstop
        var nextRetry = ContinuousClock.now + Self.retry
        while true {
            let now = Clocks(host)
            let deadline = watched.compactMap { $0.contact.deadline }.min().map(now.instant)
            var ready: Set<Int32> = []
            switch host.wait(for: watched.map(\.input.descriptor), until: min(deadline ?? nextBackstop, nextBackstop)) {
            case .stop: return
            case .deadline: break
            case .ready(let some): ready = Set(some)
            }

            let isBackstop = ContinuousClock.now >= nextBackstop
            if isBackstop { nextBackstop = .now + Self.backstop }
            var signals: [Signal] = []
            for index in watched.indices {
                let isDue = watched[index].contact.deadline.map { $0 <= monotonicNanoseconds() } ?? false
                guard isBackstop || isDue || ready.contains(watched[index].input.descriptor) else { continue }
                signals += try watched[index].read(host)
            }
            host.answers()
            // In the order they happened, over all lines.
            signals.sort { ($0.occurred?.uptime ?? .max) < ($1.occurred?.uptime ?? .max) }
            guard host.deliver(signals) else { return }
            if ContinuousClock.now >= nextRetry {
                nextRetry = .now + Self.retry
                let taken = Set(watched.map(\.point.name))
                let missing = points.filter { !taken.contains($0.name) }
                if !missing.isEmpty { _ = try? open(missing, &watched) }
            }
        }
    }
}

/// A point and its line.
private struct Watched {
    let point: GPIOPoint
    let input: GPIOInput
    var contact: Contact

    init(_ point: GPIOPoint, _ input: GPIOInput) throws(DeviceError) {
        self.point = point
        self.input = input
        let debounce = gpio_kernel_debounces ? 0 : point.debounce.milliseconds * 1_000_000
        contact = Contact(level: try input.level(), at: monotonicNanoseconds(), debounce: debounce)
    }

    /// Reads the edges and, after them, the level: the kernel keeps only so many edges.
    mutating func read(_ host: any Host) throws(DeviceError) -> [Signal] {
        let (edges, lost) = try input.edges()
        let level = try input.level()
        let clocks = Clocks(host)
        return contact.observe(edges: edges, level: level, lost: lost, at: clocks.edges).map { change in
            switch change {
            case .level(let level, let since):
                Signal(point: point.name, .active(level == point.activeLevel), occurred: clocks.moment(since))
            case .restless(let why, let time):
                Signal(point: point.name, .fault("contact \(point.name): \(why)"), occurred: clocks.moment(time))
            case .calm(let time): Signal(point: point.name, .healthy, occurred: clocks.moment(time))
            }
        }
    }
}

/// The clock of the edges (CLOCK_MONOTONIC) and the host's, read together, so that one can be said in the other.
private struct Clocks {
    let edges = monotonicNanoseconds()
    let instant = ContinuousClock.now
    let host: Moment

    init(_ host: any Host) { self.host = host.now }

    func instant(_ time: Int64) -> ContinuousClock.Instant { instant + .nanoseconds(time - edges) }

    func moment(_ time: Int64) -> Moment {
        let age = max(0, edges - time) / 1_000_000
        return Moment(utc: host.utc - age, uptime: host.uptime - age, clock: host.clock)
    }
}

/// CLOCK_MONOTONIC, which the kernel stamps edges with.
private func monotonicNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
