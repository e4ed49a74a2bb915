import AlarmProtocol

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
        SupplyWatch.check(points.map(\.contact), settings.points)
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
            guard host.deliver(faults.map(\.signal), driving: { lines.driven.driveWhatObeys() }) else { return }
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
            supplies = SupplyWatch.all(of: points.map(\.contact))
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
            let now = ContactClocks(host)
            let settling = lines.watched.compactMap(\.contact.deadline).min().map(now.instant)
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
            // A line that is lost takes nothing with it of what the others have said.
            var failure: DeviceError?
            for index in lines.watched.indices {
                let isDue = lines.watched[index].contact.deadline.map { $0 <= monotonicNanoseconds() } ?? false
                guard isBackstop || isDue || ready.contains(lines.watched[index].input.descriptor) else { continue }
                do throws(DeviceError) { signals += try lines.watched[index].read(host) } catch { failure = error }
            }
            if failure == nil { host.answers() }
            // In the order they happened, over all lines.
            signals.sort { ($0.occurred?.uptime ?? .max) < ($1.occurred?.uptime ?? .max) }
            signals += lines.supplies.judge(lines.watched.map(\.contact), occurred: host.now)
            guard host.deliver(signals, driving: { lines.driven.driveWhatObeys() }) else { return }
            if let failure { throw failure }
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
    var contact: WatchedContact

    init(_ point: GPIOPoint, _ input: GPIOInput) throws(DeviceError) {
        self.point = point
        self.input = input
        contact = WatchedContact(point.contact, level: try input.level(), at: monotonicNanoseconds())
    }

    /// Reads the edges and, after them, the level: the kernel keeps only so many edges.
    mutating func read(_ host: any Host) throws(DeviceError) -> [Signal] {
        let (edges, lost) = try input.edges()
        let level = try input.level()
        if host.isWatched {
            // What is too short to be told can be seen all the same.
            for edge in edges { host.trace(Passage(.received, [], "\(point.name) \(edge.level ? "closes" : "opens")")) }
            if lost || edges.contains(where: \.isAfterGap) {
                host.trace(Passage(.received, [], "\(point.name): more edges than the kernel keeps"))
            }
        }
        return contact.observe(edges: edges, level: level, lost: lost, at: ContactClocks(host))
    }
}
