import AlarmProtocol
import Glibc

/// Asks the units of one bus in turn, and reports what changed. Lives within one `run`.
struct ModbusPoller {
    /// A block, and how its unit has refused it.
    private struct Reading {
        var block: ReadBlock
        var refusals = 0
        /// A refused block is left alone until then.
        var retry: ContinuousClock.Instant?
    }

    private struct PointState {
        var told: Bool?
        var isInFault = false
        /// How often in a row a second reading said something else.
        var disagreements = 0
    }

    /// How often a refused block is tried again.
    private static let refusedPause: Duration = .seconds(10)
    /// Refusals of a kind that may pass, or readings that disagree, in a row that make a fault.
    private static let patience = 3

    private let driver: ModbusDriver
    private let link: ModbusLink
    private let host: any Host
    /// By unit.
    private var readings: [Int: [Reading]]
    private var schedule: BusSchedule
    private var states: [PointState]
    private var writing: ModbusWriting
    /// What an output is to be has changed since the outputs were last hurried.
    private var outputsChanged = false
    private var signals: [Signal] = []
    /// The end of what was last on the line.
    private var lastTraffic = ContinuousClock.now

    init(_ driver: ModbusDriver, _ link: ModbusLink, _ host: any Host) {
        self.driver = driver
        self.link = link
        self.host = host
        var limits = ReadPlan.Limits()
        if case .serial(let serial) = driver.bus.transport {
            limits = ReadPlan.Limits(timeout: driver.bus.timeout, characterTime: serial.line.characterTime)
        }
        let blocks = ReadPlan.blocks(driver.points, limits: limits)
        readings = Dictionary(grouping: blocks.map { Reading(block: $0) }, by: \.block.unit)
        writing = ModbusWriting(driver.outputs)
        let units = writing.units.union(readings.keys)
        schedule = BusSchedule(units: units.sorted(), interval: driver.interval, at: .now)
        states = Array(repeating: PointState(), count: driver.points.count)
    }

    /// Polls until the host says stop (`Stopped`) or the bus is lost (`DeviceError`).
    mutating func run() throws {
        while true {
            if outputsChanged {
                outputsChanged = false
                schedule.hurry(writing.units, at: .now)
            }
            switch schedule.next(at: .now) {
            case .wait(let instant): try pause(until: instant, orOutput: true)
            case .poll(let unit):
                let failure = try poll(unit)
                let reports = signals
                signals = []
                let isDelivered = try host.deliver(reports) {
                    try writeAllOutputs()
                    return .now + driver.interval
                }
                guard isDelivered else { throw Stopped() }
                // A connection that brings nothing is made anew; a serial port is not cured by that.
                if let failure, schedule.isAllDead, !driver.bus.isSerial {
                    throw DeviceError(
                        "Modbus at \(driver.bus.described): no unit answers, the last because \(failure); check the supply, "
                            + "and the units' numbers")
                }
            }
        }
    }

    // MARK: One unit's turn

    /// Writes the unit's outputs and reads its blocks, until one fails in a way that promises nothing good of the others.
    /// - Returns: why the unit failed; nil when it did not.
    private mutating func poll(_ unit: Int) throws -> String? {
        let start = ContinuousClock.now
        var pending = readings[unit] ?? []
        var done: [Reading] = []
        defer { readings[unit] = done + pending }
        var (failure, hasAnswered) = try writeOutputs(of: unit)
        if let failure { return failure }
        var mustHurry = false
        while let reading = pending.first {
            if let retry = reading.retry, retry > .now {
                done.append(pending.removeFirst())
                continue
            }
            let (reply, unsure) = try ask(reading.block)
            failure = try unitFailure(unit, reply)
            if let failure { return failure }
            switch reply {
            case .values(let values):
                take(values, of: reading.block, but: unsure)
                done.append(Reading(block: pending.removeFirst().block))
                mustHurry = mustHurry || unsure.contains { !states[$0].isInFault }
            case .exception(let code):
                if (2...3).contains(code), let (low, high) = reading.block.halves {
                    log(.notice, reading.block, "refused as a whole, \(explain(code)): read in two parts from now on")
                    pending.replaceSubrange(0...0, with: [Reading(block: low), Reading(block: high)])
                } else {
                    done.append(refused(pending.removeFirst(), code))
                }
            case .silence, .garbled: break
            }
            hasAnswered = true
            host.answers()
        }
        guard hasAnswered else {
            schedule.postpone(unit, to: start + driver.interval)
            return nil
        }
        if schedule.answered(unit, from: start, at: .now) {
            signals.insert(Signal(point: "unit-\(unit)", .healthy), at: 0)
        }
        if mustHurry { schedule.postpone(unit, to: .now) }
        return nil
    }

    /// What a reply says of the whole unit: why it failed; nil where it answered.
    private mutating func unitFailure(_ unit: Int, _ reply: ModbusReply) throws -> String? {
        switch reply {
        case .values: return nil
        case .exception(5), .exception(6):
            host.answers()
            let why = "it has said that it is busy for \(BusSchedule.busyPatience.described)"
            return fail(unit, why, schedule.busy(unit, at: .now))
        case .exception(let code) where code == 10 || code == 11:
            return fail(unit, explain(code), schedule.failed(unit, at: .now))
        case .exception: return nil
        case .silence:
            try fallSilent()
            let why = "no reply within \(driver.bus.timeout.described)"
            return fail(unit, why, schedule.failed(unit, at: .now))
        case .garbled(let what):
            try fallSilent()
            return fail(unit, "its replies cannot be read: \(what)", schedule.failed(unit, at: .now))
        }
    }

    // MARK: Outputs

    /// Writes the unit's outputs as the host asks for them, each time anew: a module that was without power, or whose own
    /// watchdog has run out, gets them back.
    /// - Returns: why the unit failed, nil when it did not; whether it answered.
    private mutating func writeOutputs(of unit: Int) throws -> (failure: String?, hasAnswered: Bool) {
        var hasAnswered = false
        for index in writing.due(unit, at: .now) {
            let block = writing.blocks[index]
            let bits = writing.bits(index, wanted: host.output)
            let reply = try inTurn { [host] in try $0.write(block, bits, showing: host) }
            if let failure = try unitFailure(unit, reply) { return (failure, hasAnswered) }
            hasAnswered = true
            host.answers()
            if case .exception(let code) = reply {
                signals += writing.refused(index, code, explain(code), at: .now)
                continue
            }
            let read = try readBack(index)
            if let failure = try unitFailure(unit, read) { return (failure, hasAnswered) }
            guard case .values(let values) = read, writing.isReadable(index) else {
                signals += writing.written(index, bits, read: nil)
                continue
            }
            signals += writing.written(index, bits, read: values)
        }
        return (nil, hasAnswered)
    }

    private mutating func readBack(_ index: Int) throws -> ModbusReply {
        guard writing.isReadable(index) else { return .values([]) }
        let block = writing.blocks[index].readBlock
        let reply = try request(block)
        if case .exception(let code) = reply, (1...3).contains(code) {
            log(.notice, block, "cannot be read back, \(explain(code)): what is written is believed")
            writing.cannotBeRead(index)
        }
        return reply
    }

    /// While a report cannot be stored, and nothing is read.
    private mutating func writeAllOutputs() throws {
        for unit in writing.units.sorted() where schedule.isAlive(unit) { _ = try writeOutputs(of: unit) }
    }

    /// How long the units are told at a stop that everything is off.
    private static let farewell: Duration = .seconds(2)

    /// The driver stops: every output off, as far as that can be had in a short time.
    mutating func switchOff() {
        let deadline = ContinuousClock.now + Self.farewell
        for index in writing.blocks.indices where schedule.isAlive(writing.blocks[index].unit) && .now < deadline {
            // The host waits for nothing any more, and a frame must not run into the one before it.
            usleep(UInt32(min(silence, .milliseconds(999)).components.attoseconds / 1_000_000_000_000))
            _ = try? link.write(writing.blocks[index], writing.bits(index, wanted: host.output))
        }
    }

    /// Reads a block; on a serial bus a second time when the first reading would change a point, because a late reply to
    /// an earlier request cannot be told from the right one.
    /// - Returns: the last reply, and the points of which the two readings said different things.
    private mutating func ask(_ block: ReadBlock) throws -> (ModbusReply, unsure: Set<Int>) {
        let first = try request(block)
        guard driver.bus.isSerial, case .values(let values) = first,
            block.members.contains(where: { isActive($0, values, block) != states[$0.point].told })
        else { return (first, []) }
        let second = try request(block)
        guard case .values(let again) = second else { return (second, []) }
        let unsure = block.members.filter { isActive($0, values, block) != isActive($0, again, block) }.map(\.point)
        guard unsure.contains(where: { !states[$0].isInFault }) else { return (second, Set(unsure)) }
        log(.notice, block, "two readings in a row disagree on \(unsure.count) points, which are not used")
        for point in unsure {
            states[point].disagreements += 1
            if states[point].disagreements >= Self.patience {
                fault(
                    point,
                    "its readings disagree \(Self.patience) times in a row: look for noise, or a contact that chatters")
            }
        }
        try fallSilent()
        return (second, Set(unsure))
    }

    private mutating func request(_ block: ReadBlock) throws -> ModbusReply {
        try inTurn { [host] in try $0.read(block, showing: host) }
    }

    /// One request, with the silence before it that the line needs.
    private mutating func inTurn(_ request: (ModbusLink) throws -> ModbusReply) throws -> ModbusReply {
        try pause(until: lastTraffic + silence)
        defer { lastTraffic = .now }
        return try request(link)
    }

    private var silence: Duration {
        guard case .serial(let serial) = driver.bus.transport else { return driver.bus.gap }
        return max(driver.bus.gap, serial.line.frameSilence)
    }

    /// Lets late replies come, and throws them away: they would be taken for the replies to what is asked next.
    private mutating func fallSilent() throws {
        link.flush()
        try pause(until: .now + driver.bus.timeout)
        link.flush()
    }

    /// - Parameter orOutput: ends also when there is something new to write; else the line must have its silence.
    private mutating func pause(until instant: ContinuousClock.Instant, orOutput: Bool = false) throws {
        while true {
            switch host.wait(until: instant) {
            case .stop: throw Stopped()
            case .output:
                outputsChanged = true
                if orOutput { return }
            case .deadline, .ready: return
            }
        }
    }

    // MARK: What it means

    private func isActive(_ member: ReadBlock.Member, _ values: [UInt16], _ block: ReadBlock) -> Bool {
        let value = values[member.register - block.start]
        return driver.points[member.point].isActive(value, wasActive: states[member.point].told)
    }

    private mutating func take(_ values: [UInt16], of block: ReadBlock, but unsure: Set<Int>) {
        for member in block.members where !unsure.contains(member.point) {
            let isActive = isActive(member, values, block)
            let name = driver.points[member.point].name
            if states[member.point].told == nil || states[member.point].isInFault {
                signals.append(Signal(point: name, .healthy))
            }
            if states[member.point].told != isActive { signals.append(Signal(point: name, .active(isActive))) }
            states[member.point] = PointState(told: isActive)
        }
    }

    private mutating func refused(_ reading: Reading, _ code: Int) -> Reading {
        var reading = reading
        reading.refusals += 1
        // What is wrong with the question stays wrong; what is wrong with the device may pass.
        guard (1...3).contains(code) || reading.refusals >= Self.patience else { return reading }
        reading.retry = .now + Self.refusedPause
        for member in reading.block.members {
            fault(
                member.point,
                "unit \(reading.block.unit) refuses \(reading.block.table) \(member.register): \(explain(code)); "
                    + "check table and register (from 0)")
        }
        return reading
    }

    private mutating func fault(_ point: Int, _ why: String) {
        guard !states[point].isInFault else { return }
        states[point].isInFault = true
        signals.append(Signal(point: driver.points[point].name, .fault("\(driver.points[point].name): \(why)")))
    }

    private mutating func fail(_ unit: Int, _ why: String, _ hasDied: Bool) -> String {
        if hasDied {
            signals.append(Signal(point: "unit-\(unit)", .fault("Modbus unit \(unit): \(why)")))
            // Told anew when it answers again: nobody knows what happened meanwhile.
            for reading in readings[unit] ?? [] {
                for member in reading.block.members { states[member.point].told = nil }
            }
        }
        return "unit \(unit): \(why)"
    }

    /// The exceptions of Modbus Application Protocol V1.1b3, 7.
    private func explain(_ code: Int) -> String {
        let words = [
            1: "it does not have this function", 2: "it does not have this address", 3: "it does not take this length",
            4: "the device has failed", 8: "its memory has failed", 10: "the gateway has no path to it",
            11: "the gateway gets no reply from it",
        ]
        return "\(words[code] ?? "an error") (exception \(code))"
    }

    private func log(_ level: LogLevel, _ block: ReadBlock, _ message: String) {
        let last = block.start + block.count - 1
        host.log(level, "unit \(block.unit), \(block.table) \(block.start) to \(last): \(message)")
    }
}

extension ModbusTable: CustomStringConvertible {
    var description: String {
        switch self {
        case .coil: "coil"
        case .discreteInput: "discrete-input"
        case .holdingRegister: "holding-register"
        case .inputRegister: "input-register"
        }
    }
}
