import AlarmProtocol
import CGPIO
import Glibc

/// Contacts on the board's own inputs, and relays and lamps on its outputs: `[device.gpio.NAME]`. See README.md beside this file.
public struct GPIODriver: Driver {
    public static let name = "gpio"

    let points: [GPIOPoint]
    let outputs: [GPIOOutput]

    /// All lines are read this often though nothing was said, so that a lost edge cannot stay lost.
    private static let backstop: Duration = .seconds(2)
    /// Lines that could not be taken are tried again this often.
    private static let retry: Duration = .seconds(5)

    public init(_ settings: Settings) throws {
        let chip = settings.optionalString("chip", expected: "a GPIO chip's label in quotes")
        points = settings.points.map { GPIOPoint($0, chip: chip) }
        outputs = settings.outputs.map { GPIOOutput($0, chip: chip) }
        if points.isEmpty, outputs.isEmpty {
            settings.refuse("point", "expected at least one point, [\(settings.path).point.NAME], or one output")
        }
        var users: [LineName: String] = [:]
        for (point, table) in zip(points, settings.points) {
            if let other = users.updateValue(point.name, forKey: point.line) {
                table.refuse("line", "the same line as point \(other)")
            }
        }
        SupplyWatch.check(points, settings.points)
        for (output, table) in zip(outputs, settings.outputs) {
            if let other = users.updateValue(output.name, forKey: output.line) {
                table.refuse("line", "the same line as \(other)")
            }
        }
    }

    public func run(_ host: any Host) throws {
        var lines = Lines(host, points)
        // A line that is let go keeps whatever level the kernel leaves it at: rather off.
        defer { lines.driven.release() }
        let faults = try open(points, outputs, &lines)
        guard let failure = faults.first?.error, lines.watched.isEmpty, lines.driven.isEmpty else {
            guard try host.deliver(faults.map(\.signal), driving: { try lines.driven.drive() }) else { return }
            return try watch(&lines, host)
        }
        throw failure
    }

    /// The lines that are taken.
    private struct Lines {
        var watched: [Watched] = []
        var driven: GPIOOutputs
        var supplies: [SupplyWatch]
        init(_ host: any Host, _ points: [GPIOPoint]) {
            driven = GPIOOutputs(host)
            supplies = SupplyWatch.all(of: points)
        }

        /// Tells the supplies what the contacts told, and adds what they make of it.
        mutating func judgeSupplies(_ host: any Host) -> [Signal] {
            supplies.indices.compactMap { index in
                for one in watched where one.point.supply == supplies[index].name {
                    guard let told = one.told else { continue }
                    supplies[index].take(one.point.name, isClosed: told.level, since: told.since)
                }
                return supplies[index].report(occurred: host.now)
            }
        }
    }

    /// A point or output whose line could not be taken.
    private struct Fault {
        let name: String
        let error: DeviceError
        var signal: Signal { Signal(point: name, .fault(error.description)) }
    }

    /// Takes the lines of these points and outputs, as far as they can be had: one line that is held or misnamed does not
    /// keep the others from being watched.
    private func open(
        _ points: [GPIOPoint], _ outputs: [GPIOOutput], _ lines: inout Lines
    ) throws(DeviceError) -> [Fault] {
        let board = try GPIOBoard()
        var faults: [Fault] = []
        var users: [LinePlace: String] = [:]
        // First, so that a relay is held as soon as can be.
        for output in outputs {
            do throws(DeviceError) {
                let place = try board.find(output)
                if let other = users.updateValue(output.name, forKey: place) {
                    throw DeviceError("\(other) and output \(output.name) are the same line; give one of them another")
                }
                lines.driven.add(output, try board.open(output, at: place))
            } catch {
                faults.append(Fault(name: output.name, error: error))
            }
        }
        for point in points {
            do throws(DeviceError) {
                let place = try board.find(point)
                if let other = users.updateValue(point.name, forKey: place) {
                    throw DeviceError("points \(other) and \(point.name) are the same line; give one of them another")
                }
                lines.watched.append(try Watched(point, board.open(point, at: place)))
            } catch {
                faults.append(Fault(name: point.name, error: error))
            }
        }
        return faults
    }

    private func watch(_ lines: inout Lines, _ host: any Host) throws {
        var nextBackstop = ContinuousClock.now + Self.backstop
        var nextRetry = ContinuousClock.now + Self.retry
        while true {
            let pulse = try lines.driven.drive()
            let now = Clocks(host)
            let settling = lines.watched.compactMap { $0.contact.deadline }.min().map(now.instant)
            let deadline = [nextBackstop, settling, pulse].compactMap(\.self).min() ?? nextBackstop
            var ready: Set<Int32> = []
            switch host.wait(for: lines.watched.map(\.input.descriptor), until: deadline) {
            case .stop: return
            case .deadline, .output: break
            case .ready(let some): ready = Set(some)
            }

            let isBackstop = ContinuousClock.now >= nextBackstop
            if isBackstop { nextBackstop = .now + Self.backstop }
            var signals = lines.driven.takeNews()
            for index in lines.watched.indices {
                let isDue = lines.watched[index].contact.deadline.map { $0 <= monotonicNanoseconds() } ?? false
                guard isBackstop || isDue || ready.contains(lines.watched[index].input.descriptor) else { continue }
                signals += try lines.watched[index].read(host)
            }
            host.answers()
            // In the order they happened, over all lines.
            signals.sort { ($0.occurred?.uptime ?? .max) < ($1.occurred?.uptime ?? .max) }
            signals += lines.judgeSupplies(host)
            guard try host.deliver(signals, driving: { try lines.driven.drive() }) else { return }
            if ContinuousClock.now >= nextRetry {
                nextRetry = .now + Self.retry
                openMissing(&lines)
            }
        }
    }
}

extension GPIODriver {
    private func openMissing(_ lines: inout Lines) {
        let taken = Set(lines.watched.map(\.point.name)).union(lines.driven.names)
        let missingPoints = points.filter { !taken.contains($0.name) }
        let missingOutputs = outputs.filter { !taken.contains($0.name) }
        guard !missingPoints.isEmpty || !missingOutputs.isEmpty else { return }
        _ = try? open(missingPoints, missingOutputs, &lines)
    }
}

/// A point and its line.
private struct Watched {
    let point: GPIOPoint
    let input: GPIOInput
    var contact: HeldContact
    /// The level that was last told, and since when.
    private(set) var told: (level: Bool, since: Int64)?

    init(_ point: GPIOPoint, _ input: GPIOInput) throws(DeviceError) {
        self.point = point
        self.input = input
        let debounce = gpio_kernel_debounces ? 0 : point.debounce.milliseconds * 1_000_000
        contact = HeldContact(
            level: try input.level(), at: monotonicNanoseconds(), debounce: debounce,
            hold: point.hold.milliseconds * 1_000_000)
    }

    /// Reads the edges and, after them, the level: the kernel keeps only so many edges.
    mutating func read(_ host: any Host) throws(DeviceError) -> [Signal] {
        let (edges, lost) = try input.edges()
        let level = try input.level()
        // What is too short to be told can be seen all the same.
        for edge in edges { host.trace(Passage(.received, [], "\(point.name) \(edge.level ? "closes" : "opens")")) }
        if lost { host.trace(Passage(.received, [], "\(point.name): more edges than the kernel keeps")) }
        let clocks = Clocks(host)
        return contact.observe(edges: edges, level: level, lost: lost, at: clocks.edges).map { change in
            switch change {
            case .level(let level, let since):
                told = (level, since)
                return Signal(point: point.name, .active(level == point.activeLevel), occurred: clocks.moment(since))
            case .restless(let why, let time):
                return Signal(point: point.name, .fault("contact \(point.name): \(why)"), occurred: clocks.moment(time))
            case .calm(let time): return Signal(point: point.name, .healthy, occurred: clocks.moment(time))
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
