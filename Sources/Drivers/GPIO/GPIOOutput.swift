import AlarmProtocol

/// Where an output is found on the board, and how it is driven: `[device.gpio.NAME.output.OUTPUT]`.
struct GPIOOutput: Sendable, Hashable {
    enum Drive: Sendable, Hashable {
        /// The level stands for as long as the output is on.
        case steady
        /// While the output is on, its level changes twice in each such time: for a relay that is held by a charge pump
        /// or a watchdog, and so drops out when whoever drives it is dead or hangs, whatever level the line was left at.
        case pulse(period: Duration)
    }

    var name: String
    var line: LineName
    /// The line's voltage is low when the output is on.
    var activeLow: Bool
    var drive: Drive

    init(_ settings: Settings, chip deviceChip: String?) {
        name = settings.name
        line = LineName(settings, chip: deviceChip)
        activeLow = settings.boolean("active-low", default: false)
        let pulses = settings.choice("drive", of: [("steady", false), ("pulse", true)], default: false)
        let period = settings.duration(
            "period", in: .milliseconds(50) ... .seconds(10), default: .milliseconds(500))
        if !pulses, settings.has("period") { settings.refuse("period", "it goes with drive = \"pulse\"") }
        drive = pulses ? .pulse(period: period) : .steady
    }
}

/// What an output's line is to be, over time, and whether it obeys. Pure; times are of the continuous clock.
struct OutputDriving: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// So many times in a row the line must read back as something else before the output is in fault: a level that is
    /// read while it changes proves nothing.
    static let patience = 2

    let drive: GPIOOutput.Drive
    /// What was last driven; nil before the first.
    private(set) var level: Bool?
    private var wasOn = false
    private var changed: Instant?
    private var disagreements = 0
    private(set) var isInFault = false

    init(_ drive: GPIOOutput.Drive) { self.drive = drive }

    /// The level to drive now.
    mutating func next(isOn: Bool, at now: Instant) -> Bool {
        var wanted = isOn
        if isOn, wasOn, case .pulse(let period) = drive, let level, let changed {
            wanted = now - changed >= period / 2 ? !level : level
        }
        wasOn = isOn
        if wanted != level {
            level = wanted
            changed = now
        }
        return wanted
    }

    /// When to drive it again though nothing has changed; nil when there is no need.
    func deadline(isOn: Bool) -> Instant? {
        guard isOn, case .pulse(let period) = drive, let changed else { return nil }
        return changed + period / 2
    }

    enum Verdict: Sendable, Hashable {
        case fault(String)
        case healthy
    }

    /// What the chip said of the line after it was driven; nil where it cannot say.
    /// - Returns: what is news of it.
    mutating func readBack(_ seen: Bool?) -> Verdict? {
        guard let seen, let level, seen != level else {
            disagreements = 0
            defer { isInFault = false }
            return isInFault ? .healthy : nil
        }
        disagreements += 1
        guard disagreements >= Self.patience, !isInFault else { return nil }
        isInFault = true
        return .fault(
            "it is driven to \(level ? "on" : "off") and reads back as \(seen ? "on" : "off"): look for a short circuit, "
                + "or another driver of the line")
    }
}

/// The outputs of one device whose lines are taken. Lives within one `run`, on its thread.
struct GPIOOutputs {
    private struct Taken {
        let output: GPIOOutput
        let line: GPIOOutputLine
        var driving: OutputDriving
    }

    private let host: any Host
    private var taken: [Taken] = []
    /// Found out while driving, and not reported yet.
    private var news: [Signal] = []

    init(_ host: any Host) { self.host = host }

    var names: Set<String> { Set(taken.map(\.output.name)) }
    var isEmpty: Bool { taken.isEmpty }

    mutating func add(_ output: GPIOOutput, _ line: GPIOOutputLine) {
        taken.append(Taken(output: output, line: line, driving: OutputDriving(output.drive)))
        // Ends a fault that was told before, perhaps by an earlier run.
        news.append(Signal(point: output.name, .healthy))
    }

    /// Drives every line as the host asks for it now.
    /// - Returns: when to do so again though nothing changes.
    mutating func drive() throws(DeviceError) -> ContinuousClock.Instant? {
        var deadline: ContinuousClock.Instant?
        for index in taken.indices {
            let isOn = host.output(taken[index].output.name)
            let level = taken[index].driving.next(isOn: isOn, at: .now)
            let verdict = taken[index].driving.readBack(try taken[index].line.set(level))
            switch verdict {
            case .fault(let why):
                news.append(
                    Signal(point: taken[index].output.name, .fault("output \(taken[index].output.name): \(why)")))
            case .healthy: news.append(Signal(point: taken[index].output.name, .healthy))
            case nil: break
            }
            if let next = taken[index].driving.deadline(isOn: isOn) { deadline = min(deadline ?? next, next) }
        }
        return deadline
    }

    /// As `drive`, while something is being stored that must not be lost with an output: one that cannot be driven is told by
    /// the next `drive`.
    mutating func driveWhatObeys() -> ContinuousClock.Instant? { try? drive() }

    /// What there is to report of the outputs themselves, once.
    mutating func takeNews() -> [Signal] {
        defer { news = [] }
        return news
    }

    /// Nobody asks for anything any more: everything off, as far as it can be driven.
    func release() { for one in taken { _ = try? one.line.set(false) } }
}
