import AlarmProtocol

/// Asks the units of one bus in turn, and reports what changed. Lives within one `run`.
struct ModbusPoller {
    /// A block, and how its unit has refused it.
    struct Reading {
        var block: ReadBlock
        var refusals = 0
        /// A refused block is left alone until then.
        var retry: ContinuousClock.Instant?
    }

    struct PointState {
        var told: Bool?
        /// What of it is in fault.
        var faults: Set<Fault> = []
        /// How often in a row a second reading said something else.
        var disagreements = 0
        /// Refusals of its latch's clearing, or clearings without effect, in a row.
        var uncleared = 0
    }

    /// What stands of a point's fault: it cannot be read, or its pulses cannot be caught.
    enum Fault { case reading, catching }
    /// What was read of a point before its input, in this poll.
    struct Evidence {
        var latched: Bool?
        var count: UInt32?
    }

    /// How often a refused block is tried again.
    private static let refusedPause: Duration = .seconds(10)
    /// Refusals of a kind that may pass, or readings that disagree, in a row that make a fault.
    static let patience = 3

    let driver: ModbusDriver
    let link: ModbusLink
    let host: any Host
    private let clearsLatches: Bool
    /// By unit.
    var readings: [Int: [Reading]]
    var schedule: BusSchedule
    var states: [PointState]
    var watches: [PulseWatch]
    private var loops: [Int: SupervisedLoop]
    private var evidence: [Int: Evidence] = [:]
    private var lastTaken: [ContinuousClock.Instant?]
    private var heartbeats: [Int: ModbusHeartbeat] = [:]
    /// Latches have been cleared with success, by unit and coil.
    var clearWorks: Set<[Int]> = []
    let limits: ReadPlan.Limits
    var writing: ModbusWriting
    /// Who was asked last in vain, and when: what comes unasked is its late reply.
    private var silent: (unit: Int, at: ContinuousClock.Instant)?
    /// What an output is to be has changed since the outputs were last hurried.
    private var outputsChanged = false
    var signals: [Signal] = []
    /// How long the reply of the unit whose turn it is is waited for.
    private var allowed: Duration = .zero
    /// The longest reply of this poll.
    private var replyTime: Duration = .zero
    /// The end of what was last on the line.
    private var lastTraffic = ContinuousClock.now

    /// - Parameter clearsLatches: false where nothing is stored: what a latch remembers is then told to nobody else.
    init(_ driver: ModbusDriver, _ link: ModbusLink, _ host: any Host, clearsLatches: Bool = true) {
        self.clearsLatches = clearsLatches
        self.driver = driver
        self.link = link
        self.host = host
        limits = driver.readLimits
        let blocks = driver.readBlocks
        readings = Dictionary(grouping: blocks.map { Reading(block: $0) }, by: \.block.unit)
        writing = ModbusWriting(driver.outputs)
        schedule = BusSchedule(
            units: driver.askedUnits.sorted(), interval: driver.interval, timeout: driver.timeout,
            shortest: driver.shortestPatience, at: .now)
        states = Array(repeating: PointState(), count: driver.points.count)
        loops = driver.loops
        lastTaken = Array(repeating: nil, count: driver.points.count)
        watches = driver.memory.with { memory in
            memory.openings += 1
            return driver.points.map { memory.watches[$0.name] ?? PulseWatch() }
        }
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
                let result = Result { try poll(unit) }
                // What was read before the bus was lost is told all the same.
                try deliver()
                let failure = try result.get()
                if failure == nil, clearsLatches { try clearLatches(of: unit) }
                // A connection that brings nothing is made anew; a serial port is not cured by that.
                if let failure, schedule.isAllDead, !driver.bus.isSerial {
                    throw DeviceError(
                        "Modbus at \(driver.bus.described): no unit answers, the last because \(failure); check the supply, "
                            + "and the units' numbers")
                }
            }
        }
    }

    /// Reports what was found, and keeps from which counts it was found only when that is on disk.
    mutating func deliver() throws {
        let reports = signals
        signals = []
        let isDelivered = try host.deliver(reports) {
            try writeAllOutputs()
            return .now + driver.interval
        }
        guard isDelivered else { throw Stopped() }
        let kept = zip(driver.points, watches).map { ($0.name, $1) }
        driver.memory.with { memory in for (name, watch) in kept { memory.watches[name] = watch } }
    }

    // MARK: One unit's turn

    /// Writes the unit's outputs and reads its blocks, until one fails in a way that promises nothing good of the others.
    /// - Returns: why the unit failed; nil when it did not.
    private mutating func poll(_ unit: Int) throws -> String? {
        let start = ContinuousClock.now
        (evidence, replyTime) = ([:], .zero)
        allow(unit)
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
                mustHurry = mustHurry || unsure.contains { !states[$0].faults.contains(.reading) }
            case .exception(let code):
                if (2...3).contains(code), let (low, high) = reading.block.halves {
                    log(
                        .notice, reading.block,
                        "refused as a whole, \(ModbusReply.words(for: code)): read in two parts from now on")
                    pending.replaceSubrange(0...0, with: [Reading(block: low), Reading(block: high)])
                } else {
                    done.append(refused(pending.removeFirst(), code))
                }
            case .silence, .cut, .garbled: break
            }
            hasAnswered = true
            host.answers()
        }
        guard hasAnswered else {
            schedule.postpone(unit, to: start + driver.interval)
            return nil
        }
        let end = ContinuousClock.now
        schedule.took(unit, replyTime)
        driver.memory.with { $0.units[unit, default: UnitFigures()].answered(from: start, at: end) }
        if schedule.answered(unit, from: start, at: end) {
            signals.insert(Signal(point: "unit-\(unit)", .healthy), at: 0)
        }
        if mustHurry { schedule.postpone(unit, to: end) }
        return nil
    }

    /// What a reply says of the whole unit: why it failed; nil where it answered.
    mutating func unitFailure(_ unit: Int, _ reply: ModbusReply) throws -> String? {
        switch reply {
        case .values: return nil
        case .exception(5), .exception(6):
            host.answers()
            let hasDied = schedule.busy(unit, at: .now)
            let isLong = hasDied || !schedule.isPatient(unit)
            let why =
                isLong
                ? "it has said that it is busy for \(BusSchedule.busyPatience.described)" : "it says that it is busy"
            return fail(unit, why, hasDied)
        case .exception(let code) where code == 10 || code == 11:
            return fail(unit, ModbusReply.words(for: code), schedule.failed(unit, at: .now))
        case .exception: return nil
        case .silence, .cut:
            // What is missing of a reply comes late as well.
            silent = (unit, .now)
            let time = Duration.milliseconds(allowed.milliseconds).described
            let why =
                reply == .silence
                ? "no reply within \(time)"
                : "only part of a reply within \(time): look for noise, a wrong speed or parity, or a timeout too short"
            return fail(unit, why, schedule.failed(unit, at: .now))
        case .garbled(let what):
            try settle()
            if let late = silent, late.unit != unit, .now - late.at < driver.timeout(late.unit) * 2 {
                // What came is most likely the reply of the one that was asked before: this one is asked again.
                schedule.wasLate(late.unit)
                silent = nil
                schedule.postpone(unit, to: .now)
                return "unit \(unit): a late reply of unit \(late.unit) came instead of its own"
            }
            // Told apart from another unit's reply, which is no noise.
            let hint =
                driver.bus.isSerial && !what.hasPrefix("unit ")
                ? "; look for noise, two units of one number, and a wrong speed or parity" : ""
            return fail(unit, "its replies cannot be read: \(what)\(hint)", schedule.failed(unit, at: .now))
        }
    }

    /// Reads a block; on a serial bus a second time when the first reading would change a point, because a late reply to
    /// an earlier request cannot be told from the right one.
    /// - Returns: the last reply, and the points of which the two readings said different things.
    private mutating func ask(_ block: ReadBlock) throws -> (ModbusReply, unsure: Set<Int>) {
        let first = try request(block)
        guard driver.bus.isSerial, case .values(let values) = first,
            block.members.contains(where: { isNews($0, block.values(of: $0, in: values)) })
        else { return (first, []) }
        let second = try request(block)
        guard case .values(let again) = second else { return (second, []) }
        let unsure = block.members.filter { member in
            !agree(member, block.values(of: member, in: values), block.values(of: member, in: again))
        }.map(\.point)
        guard unsure.contains(where: { !states[$0].faults.contains(.reading) }) else { return (second, Set(unsure)) }
        log(.notice, block, "two readings in a row disagree on \(unsure.count) points, which are not used")
        for point in unsure {
            states[point].disagreements += 1
            if states[point].disagreements >= Self.patience {
                fault(
                    point, .reading,
                    "its readings disagree \(Self.patience) times in a row: look for noise, or a contact that chatters")
            }
        }
        try fallSilent()
        return (second, Set(unsure))
    }

    /// The reading would be told.
    private func isNews(_ member: ReadBlock.Member, _ values: ArraySlice<UInt16>) -> Bool {
        switch member.use {
        // A loop is judged by several readings.
        case .state where loops[member.point] != nil: false
        case .state: isActive(member, values.first ?? 0) != states[member.point].told
        case .latch: values.first != 0 && !watches[member.point].latchIsKnown
        case .counter: count(member, values) != watches[member.point].lastCount
        case .heartbeat: false
        }
    }

    /// Two readings, one right after the other, can both be true.
    private func agree(
        _ member: ReadBlock.Member, _ first: ArraySlice<UInt16>, _ second: ArraySlice<UInt16>
    ) -> Bool {
        switch member.use {
        case .state where loops[member.point] != nil: return true
        case .state: return isActive(member, first.first ?? 0) == isActive(member, second.first ?? 0)
        case .latch: return (first.first != 0) == (second.first != 0)
        case .counter:
            guard let counter = driver.points[member.point].counter else { return true }
            return counter.distance(counter.value(first), counter.value(second)) <= PulseWatch.mostPerSecond
        case .heartbeat: return true
        }
    }

    private func count(_ member: ReadBlock.Member, _ values: ArraySlice<UInt16>) -> UInt32? {
        driver.points[member.point].counter?.value(values)
    }

    mutating func request(_ block: ReadBlock) throws -> ModbusReply {
        try inTurn { [host] in try $0.read(block, showing: host) }
    }

    /// One request, with the silence before it that the line needs. What has come unasked is thrown away first: it would
    /// be taken for the reply.
    mutating func inTurn(_ request: (ModbusLink) throws -> ModbusReply) throws -> ModbusReply {
        try pause(until: lastTraffic + silence)
        if let late = silent, link.hasStrayBytes {
            schedule.wasLate(late.unit)
            silent = nil
        }
        try link.flush()
        let start = ContinuousClock.now
        defer { lastTraffic = .now }
        let reply = try request(link)
        if reply.isAnswer { replyTime = max(replyTime, .now - start) }
        return reply
    }

    var silence: Duration {
        guard case .serial(let serial) = driver.bus.transport else { return driver.bus.gap }
        return max(driver.bus.gap, serial.line.frameSilence)
    }

    mutating func allow(_ unit: Int) {
        allowed = schedule.patience(unit, at: .now)
        link.allow(allowed)
    }

    /// Lets the rest of a broken frame come, and throws it away.
    private mutating func settle() throws {
        try pause(until: .now + max(silence * 4, .milliseconds(20)))
        try link.flush()
    }

    /// Lets late replies come, and throws them away: they would be taken for the replies to what is asked next.
    private mutating func fallSilent() throws {
        try link.flush()
        try pause(until: .now + driver.bus.timeout)
        try link.flush()
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

    private func isActive(_ member: ReadBlock.Member, _ value: UInt16) -> Bool {
        driver.points[member.point].isActive(value, wasActive: states[member.point].told)
    }

    private mutating func take(_ values: [UInt16], of block: ReadBlock, but unsure: Set<Int>) {
        for member in block.members {
            let found = block.values(of: member, in: values)
            switch member.use {
            case .heartbeat: takeHeartbeat(found.first ?? 0, of: member.point)
            case _ where unsure.contains(member.point): continue
            case .latch: evidence[member.point, default: Evidence()].latched = found.first != 0
            case .counter: evidence[member.point, default: Evidence()].count = count(member, found)
            case .state: takeState(found.first ?? 0, of: member)
            }
        }
    }

    private mutating func takeState(_ value: UInt16, of member: ReadBlock.Member) {
        let index = member.point
        let point = driver.points[index]
        guard point.absentMask == 0 || value & point.absentMask != point.absentMask else {
            return fault(
                index, .reading, "unit \(point.unit) has nothing programmed at \(point.table) \(point.register)")
        }
        let before = states[index].told
        if before == nil, states[index].faults.isEmpty { signals.append(Signal(point: point.name, .healthy)) }
        heal(index, .reading)
        if var loop = loops[index] {
            let count = max(0, point.number(value))
            signals += loop.take(count, at: .now, moment: host.now)
            if host.isWatched { host.measured(loop.reading(Double(count))) }
            loops[index] = loop
            states[index].told = loop.state == .alarm
            return
        }
        let isActive = isActive(member, value)
        let wasActive = before ?? watches[index].lastActive
        let pulses = pulses(of: index, isActive: isActive, wasActive: before)
        if pulses > 0 || before != isActive {
            let told = point.signals(from: wasActive ?? false, to: isActive, pulses: pulses, away: before == nil)
            // After an opening the present state is told whatever it was.
            signals += told.isEmpty ? [Signal(point: point.name, .active(isActive))] : told
        }
        states[index].told = isActive
        states[index].disagreements = 0
    }

    /// How often the point has been active since its last reading without being seen so.
    mutating func pulses(of index: Int, isActive: Bool, wasActive: Bool?) -> Int {
        defer { lastTaken[index] = .now }
        let point = driver.points[index]
        if let latched = evidence[index]?.latched {
            return watches[index].pulses(latched: latched, isActive: isActive, wasActive: wasActive)
        }
        if let count = evidence[index]?.count, let counter = point.counter {
            let found = watches[index].pulses(
                count: count, of: counter, isActive: isActive, inverted: point.inverted,
                elapsed: lastTaken[index].map { .now - $0 } ?? .seconds(86_400))
            if watches[index].countsNothing {
                fault(
                    index, .catching,
                    "its counter, \(counter.place), stands still while the input changes: start it in the module; pulses "
                        + "between two readings are not seen")
            } else {
                heal(index, .catching)
            }
            return found
        }
        watches[index].saw(isActive)
        return 0
    }

    private mutating func takeHeartbeat(_ value: UInt16, of unit: Int) {
        let within = driver.units[unit].heartbeatWithin
        signals += heartbeats[unit, default: ModbusHeartbeat(unit)].take(value, within: within, at: .now)
    }

    private mutating func refused(_ reading: Reading, _ code: Int) -> Reading {
        var reading = reading
        reading.refusals += 1
        // What is wrong with the question stays wrong; what is wrong with the device may pass.
        guard (1...3).contains(code) || reading.refusals >= Self.patience else { return reading }
        reading.retry = .now + Self.refusedPause
        for member in reading.block.members {
            let why =
                "unit \(reading.block.unit) refuses \(reading.block.table) \(member.register): \(ModbusReply.words(for: code)); "
                + "check table and register (from 0)"
            switch member.use {
            case .state: fault(member.point, .reading, why)
            case .latch, .counter: fault(member.point, .catching, why)
            case .heartbeat:
                signals += heartbeats[member.point, default: ModbusHeartbeat(member.point)].refused(why)
            }
        }
        return reading
    }

    mutating func fault(_ point: Int, _ what: Fault, _ why: String) {
        let isFirst = states[point].faults.isEmpty
        states[point].faults.insert(what)
        guard isFirst else { return }
        signals.append(Signal(point: driver.points[point].name, .fault("\(driver.points[point].name): \(why)")))
    }

    mutating func heal(_ point: Int, _ what: Fault) {
        guard states[point].faults.remove(what) != nil, states[point].faults.isEmpty else { return }
        signals.append(Signal(point: driver.points[point].name, .healthy))
    }

    private mutating func fail(_ unit: Int, _ why: String, _ hasDied: Bool) -> String {
        let isDead = !schedule.isAlive(unit)
        driver.memory.with { $0.units[unit, default: UnitFigures()].failed(why, isDead: isDead) }
        if hasDied {
            signals.append(Signal(point: "unit-\(unit)", .fault("Modbus unit \(unit): \(why)")))
            // Told anew when it answers again: nobody knows what happened meanwhile.
            for reading in readings[unit] ?? [] {
                for member in reading.block.members where member.use != .heartbeat {
                    states[member.point].told = nil
                    loops[member.point]?.pause()
                }
            }
            heartbeats[unit]?.pause()
        }
        return "unit \(unit): \(why)"
    }

    func log(_ level: LogLevel, _ block: ReadBlock, _ message: String) {
        let addresses = "\(block.start) to \(block.start + block.count - 1)"
        host.log(level, "unit \(block.unit), \(block.table) \(addresses): \(message)")
    }
}
