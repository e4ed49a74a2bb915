/// How a Modbus bus does: what the configuration asks of it against what its line can do, and, where larmnod runs, what
/// was measured. For `larmnod bus`; names and meanings are part of the product. Times are milliseconds.
public struct BusReport: Codable, Sendable {
    public struct Unit: Codable, Sendable {
        public var unit: Int
        public var profile: String?
        public var points: Int
        public var outputs: Int
        /// Requests of one poll.
        public var requests: Int
        /// One poll of it, worked out from the configuration, with 10 ms for the unit to think each time.
        public var expected: Double
        /// At most so long its reply is waited for.
        public var timeout: Int
        /// "answers", "failing", "dead" or "not heard yet"; nil where nothing was measured, and so below.
        public var state: String?
        public var why: String?
        public var polls: Int?
        public var failures: Int?
        /// Good polls: the last, all of them on average, the longest.
        public var last: Double?
        public var mean: Double?
        public var longest: Double?
        /// The longest from one good poll to the next, outages not counted.
        public var longestGap: Double?
    }

    public var device: String
    /// The port or address, and the line's settings.
    public var bus: String
    public var measured: Bool
    public var interval: Int
    /// One poll of every unit: measured where they have answered, else worked out.
    public var round: Double
    /// How much of the bus's time is in use, in percent. Above 100 the interval cannot be kept.
    public var load: Int
    /// The longest from one reading of a point to the next, with all units well; and while one unit is silent.
    public var longestWait: Double
    public var longestWaitWithOneSilent: Double
    public var units: [Unit]
    /// What does not hold; nil when all does.
    public var warning: String?
}

extension ModbusDriver {
    /// - Parameter measured: this driver runs: what it measured is told too.
    public func busReport(of device: String, measured: Bool) -> BusReport {
        let figures = measured ? memory.with { $0.units } : [:]
        let budget = BusBudget(self, measured: figures.compactMapValues { $0.polls > 0 ? $0.mean : nil })
        var line = bus.described
        if case .serial(let serial) = bus.transport { line += ", \(serial.line)" }
        return BusReport(
            device: device, bus: line, measured: measured, interval: Int(interval.milliseconds),
            round: budget.round.inMilliseconds, load: budget.load, longestWait: budget.longestWait.inMilliseconds,
            longestWaitWithOneSilent: budget.longestWaitWithOneSilent.inMilliseconds,
            units: budget.units.map { unit in
                var line = BusReport.Unit(
                    unit: unit.number, profile: unit.profile, points: unit.points, outputs: unit.outputs,
                    requests: unit.requests, expected: unit.time.inMilliseconds, timeout: Int(unit.timeout.milliseconds)
                )
                if measured { line.add(figures[unit.number] ?? UnitFigures()) }
                return line
            },
            warning: budget.warning)
    }
}

extension BusReport.Unit {
    fileprivate mutating func add(_ figures: UnitFigures) {
        polls = figures.polls
        failures = figures.failures
        why = figures.trouble
        state =
            figures.isDead
            ? "dead" : figures.trouble != nil ? "failing" : figures.polls > 0 ? "answers" : "not heard yet"
        guard figures.polls > 0 else { return }
        last = figures.last.inMilliseconds
        mean = figures.mean.inMilliseconds
        longest = figures.longest.inMilliseconds
        longestGap = figures.longestGap.inMilliseconds
    }
}

extension Duration {
    /// To a tenth.
    fileprivate var inMilliseconds: Double { (self / .microseconds(100)).rounded() / 10 }
}
