/// A register that the device behind a gateway keeps changing while it runs: a gateway answers also when its panel is dead.
/// Pure.
struct ModbusHeartbeat: Sendable {
    private let name: String
    private var value: UInt16?
    private var since: ContinuousClock.Instant?
    private var isTold = false
    private var isInFault = false

    init(_ unit: Int) { name = "unit-\(unit)-heartbeat" }

    /// The register was read.
    /// - Returns: what is to be reported: a fault when it has stood still for too long, once, and its end.
    mutating func take(_ value: UInt16, within limit: Duration, at now: ContinuousClock.Instant) -> [Signal] {
        defer { self.value = value }
        guard let last = self.value, let since, last == value else {
            let isChange = self.value != nil
            since = now
            guard isChange, isInFault || !isTold else { return [] }
            (isInFault, isTold) = (false, true)
            return [Signal(point: name, .healthy)]
        }
        guard !isInFault, now - since >= limit else { return [] }
        isInFault = true
        return [
            Signal(
                point: name,
                .fault(
                    "its heartbeat has stood at \(value) for \(limit.described): the gateway answers, but what is behind it "
                        + "does not run"))
        ]
    }

    /// The unit does not let it be read.
    mutating func refused(_ why: String) -> [Signal] {
        guard !isInFault else { return [] }
        isInFault = true
        return [Signal(point: name, .fault(why))]
    }

    /// The unit does not answer, which is told apart from this: the next reading is a first one.
    mutating func pause() { value = nil }
}
