/// Where an output is found on the bus: `[device.modbus.NAME.output.OUTPUT]`.
struct ModbusOutput: Sendable, Hashable {
    enum Place: Sendable, Hashable {
        /// A coil: functions 5 and 15 (Modbus Application Protocol V1.1b3, 6.5 and 6.11).
        case coil
        /// One bit of a holding register, 0 the lowest: function 22 (6.16), which leaves the other bits as they are.
        case bit(Int)
    }

    var name: String
    var unit: Int
    /// The address on the wire, from 0.
    var register: Int
    var place: Place
    /// A 0 is written when the output is on.
    var activeLow: Bool

    init(_ settings: Settings, units: ClosedRange<Int>, profiles: ModbusUnits) {
        name = settings.name
        unit = settings.integer("unit", in: units)
        activeLow = settings.boolean("active-low", default: false)
        let profile = profiles[unit].profile
        if let profile, profile.role == .panel {
            settings.refuse("unit", "unit \(unit) is a fire panel, \(profile.title): nothing is ever written to it")
        }
        if let terminal = Self.terminal(settings, of: profile, unit) {
            (register, place) = (terminal.register, .coil)
            return
        }
        register = settings.integer("register", in: 0...65_535)
        let isCoil = settings.choice("table", of: [("coil", true), ("holding-register", false)], default: true)
        if isCoil {
            place = .coil
            if settings.has("bit") {
                settings.refuse("bit", "a coil is one bit: remove bit, or set table to \"holding-register\"")
            }
        } else {
            place = .bit(settings.integer("bit", in: 0...15))
        }
    }

    /// The profile's terminal, where the output names one. What a board's file says of a terminal has been put in its place
    /// before we see it.
    private static func terminal(_ settings: Settings, of profile: ModbusProfile?, _ unit: Int) -> Terminal? {
        guard let name = settings.optionalString("terminal", expected: "a terminal's name in quotes, as \"DO1\""),
            let profile, profile.role == .module
        else { return nil }
        guard let terminal = profile.terminal(name, output: true) else {
            if settings.has("register") { return nil }
            settings.refuse(
                "terminal", "unit \(unit), \(profile.title), has no output \"\(name)\"; \(profile.listed(output: true))"
            )
            return Terminal(table: .coil, register: 0, rule: .bit(0))
        }
        for key in ["register", "table", "bit"] where settings.has(key) {
            settings.refuse(key, "terminal says it already: remove one of the two")
        }
        return terminal
    }

    /// The table that reads it back.
    var table: ModbusTable { place == .coil ? .coil : .holdingRegister }
}

/// Outputs of one unit that are written in one go: coils side by side, or one bit of a register.
struct WriteBlock: Sendable, Hashable {
    var unit: Int
    var place: ModbusOutput.Place
    var start: Int
    /// The outputs' indices among the device's outputs, by address.
    var outputs: [Int]

    /// How many coils one request may set (Modbus Application Protocol V1.1b3, 6.11).
    static let mostCoils = 1968

    /// What reads it back.
    var readBlock: ReadBlock {
        ReadBlock(
            unit: unit, table: place == .coil ? .coil : .holdingRegister,
            members: outputs.enumerated().map { ReadBlock.Member(point: $0.element, register: start + $0.offset) })
    }

    /// The blocks that write all outputs, and nothing that is no output: an address between two of them stays out.
    static func blocks(_ outputs: [ModbusOutput]) -> [WriteBlock] {
        let order = outputs.indices.sorted { a, b in
            (outputs[a].unit, outputs[a].table, outputs[a].register)
                < (outputs[b].unit, outputs[b].table, outputs[b].register)
        }
        var blocks: [WriteBlock] = []
        for index in order {
            let output = outputs[index]
            if let last = blocks.last, output.place == .coil, last.place == .coil, last.unit == output.unit,
                last.start + last.outputs.count == output.register, last.outputs.count < mostCoils
            {
                blocks[blocks.count - 1].outputs.append(index)
            } else {
                blocks.append(
                    WriteBlock(unit: output.unit, place: output.place, start: output.register, outputs: [index]))
            }
        }
        return blocks
    }
}

/// How the writing of the outputs stands. Pure; the poller asks the bus.
struct ModbusWriting {
    typealias Instant = ContinuousClock.Instant

    /// Refusals of a kind that may pass, or readings that are not what was written, in a row that make a fault.
    static let patience = 3
    /// A refused block is tried again this often.
    static let refusedPause: Duration = .seconds(10)

    private struct State {
        var isReadable = true
        var refusals = 0
        /// A refused block is left alone until then.
        var retry: Instant?
    }

    private struct OutputState {
        var isInFault = false
        var disagreements = 0
        var isTold = false
    }

    let outputs: [ModbusOutput]
    let blocks: [WriteBlock]
    private var states: [State]
    private var outputStates: [OutputState]

    init(_ outputs: [ModbusOutput]) {
        self.outputs = outputs
        blocks = WriteBlock.blocks(outputs)
        states = Array(repeating: State(), count: blocks.count)
        outputStates = Array(repeating: OutputState(), count: outputs.count)
    }

    var units: Set<Int> { Set(outputs.map(\.unit)) }

    /// The blocks of a unit that are to be written now.
    func due(_ unit: Int, at now: Instant) -> [Int] {
        blocks.indices.filter { blocks[$0].unit == unit && states[$0].retry.map { $0 <= now } ?? true }
    }

    /// The bits to write to a block, in its order.
    func bits(_ block: Int, wanted: (String) -> Bool) -> [Bool] {
        blocks[block].outputs.map { wanted(outputs[$0].name) != outputs[$0].activeLow }
    }

    /// Whether it is worth asking the block back.
    func isReadable(_ block: Int) -> Bool { states[block].isReadable }

    /// The unit does not let the block be read: what was written is believed from now on.
    mutating func cannotBeRead(_ block: Int) { states[block].isReadable = false }

    /// The block was written; `read` is what it then read as, nil where it cannot be read.
    mutating func written(_ block: Int, _ bits: [Bool], read: [UInt16]?) -> [Signal] {
        states[block].refusals = 0
        states[block].retry = nil
        var signals: [Signal] = []
        for (place, output) in blocks[block].outputs.enumerated() {
            let seen = read.map { values -> Bool in
                if case .bit(let bit) = blocks[block].place { return values[place] >> UInt16(bit) & 1 == 1 }
                return values[place] != 0
            }
            guard let seen, seen != bits[place] else {
                outputStates[output].disagreements = 0
                if outputStates[output].isInFault || !outputStates[output].isTold {
                    signals.append(Signal(point: outputs[output].name, .healthy))
                }
                outputStates[output].isInFault = false
                outputStates[output].isTold = true
                continue
            }
            outputStates[output].disagreements += 1
            guard outputStates[output].disagreements >= Self.patience else { continue }
            signals += fault(
                output,
                "\(bits[place] ? 1 : 0) is written and \(seen ? 1 : 0) is read back: is it set by something else?")
        }
        return signals
    }

    /// The unit refuses to have the block written.
    /// - Parameter why: the exception in words.
    mutating func refused(_ block: Int, _ code: Int, _ why: String, at now: Instant) -> [Signal] {
        states[block].refusals += 1
        // What is wrong with the request stays wrong; what is wrong with the device may pass.
        guard (1...3).contains(code) || states[block].refusals >= Self.patience else { return [] }
        states[block].retry = now + Self.refusedPause
        return blocks[block].outputs.flatMap { output in
            fault(
                output,
                "unit \(outputs[output].unit) refuses to set \(outputs[output].table) \(outputs[output].register): \(why); "
                    + "check table and register (from 0)")
        }
    }

    private mutating func fault(_ output: Int, _ why: String) -> [Signal] {
        guard !outputStates[output].isInFault else { return [] }
        outputStates[output].isInFault = true
        return [Signal(point: outputs[output].name, .fault("output \(outputs[output].name): \(why)"))]
    }
}
