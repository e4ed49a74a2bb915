/// The four tables of a Modbus unit (Modbus Application Protocol V1.1b3, 4.3), by the function that reads them.
enum ModbusTable: Int, Sendable, Hashable, Comparable {
    case coil = 1
    case discreteInput = 2
    case holdingRegister = 3
    case inputRegister = 4

    var isBits: Bool { self == .coil || self == .discreteInput }
    static func < (a: ModbusTable, b: ModbusTable) -> Bool { a.rawValue < b.rawValue }
}

/// Where a point is found on the bus, and what makes it active: `[device.modbus.NAME.point.POINT]`.
struct ModbusPoint: Sendable, Hashable {
    /// What a register must say.
    enum Rule: Sendable, Hashable {
        /// The bit is 1; bit 0 is the lowest. A coil or discrete input is bit 0.
        case bit(Int)
        /// The bits under the mask have this value.
        case equals(UInt16, mask: UInt16)
        /// At least one bit under the mask is 1.
        case any(mask: UInt16)
        /// The number is at least this; active until it is below by more than the hysteresis.
        case atLeast(Int, hysteresis: Int)
        /// The number is at most this; active until it is above by more than the hysteresis.
        case atMost(Int, hysteresis: Int)
    }

    var name: String
    var unit: Int
    var table: ModbusTable
    /// The address on the wire, from 0.
    var register: Int
    var rule: Rule
    /// The register is a number from -32768 to 32767.
    var signed: Bool
    /// Active when the rule does not hold: a contact that is closed at rest.
    var inverted: Bool
    /// What the operator reads; a pulse that was not seen adds to it.
    var text = ""
    /// There is nothing at this place while these bits are all 1.
    var absentMask: UInt16 = 0
    /// Where the module remembers, or counts, what happens between two readings: at most one of the two.
    var latch: ModbusLatch?
    var counter: ModbusCounter?
    /// It is a supervised loop, judged by its number (`SupervisedLoop`).
    var isLoop = false

    /// Whether the point is active.
    /// - Parameter wasActive: what it was before, for hysteresis.
    func isActive(_ value: UInt16, wasActive: Bool?) -> Bool {
        let number = number(value)
        // The rule held before, in the rule's own sense.
        let held = wasActive.map { $0 != inverted } ?? false
        let holds =
            switch rule {
            case .bit(let bit): value >> UInt16(bit) & 1 == 1
            case .equals(let wanted, let mask): value & mask == wanted
            case .any(let mask): value & mask != 0
            case .atLeast(let limit, let hysteresis): number >= (held ? limit - hysteresis : limit)
            case .atMost(let limit, let hysteresis): number <= (held ? limit + hysteresis : limit)
            }
        return holds != inverted
    }
}

extension ModbusPoint {
    init(_ settings: Settings, units: ClosedRange<Int>, profiles: ModbusUnits) {
        name = settings.name
        text = settings.has("text") ? settings.string("text", limit: 128) : ""
        unit = settings.integer("unit", in: units)
        inverted = Self.inverted(settings)
        isLoop = settings.has("end-of-line")
        let profile = profiles[unit].profile
        if let terminal = Self.terminal(settings, of: profile, unit) {
            (table, register, absentMask) = (terminal.table, terminal.register, terminal.absentMask)
            signed = terminal.rule == nil && settings.boolean("signed", default: false)
            rule = .bit(0)
            if terminal.rule == nil, !isLoop { rule = Self.registerRule(settings, signed: signed) }
            rule = terminal.rule ?? rule
            refuseRules(settings, terminal)
            takePulses(settings, of: terminal)
        } else {
            table = settings.choice(
                "table",
                of: [
                    ("discrete-input", .discreteInput), ("coil", .coil), ("input-register", .inputRegister),
                    ("holding-register", .holdingRegister),
                ])
            register = settings.integer("register", in: 0...65_535)
            signed = settings.boolean("signed", default: false)
            rule = .bit(0)
            if !isLoop { rule = table.isBits ? Self.bitRule(settings) : Self.registerRule(settings, signed: signed) }
            readPulses(settings, profile)
        }
        if isLoop { refuseLoop(settings, isNumber: !table.isBits) }
    }

    /// A loop's number says all: it has no other rule, and no polarity.
    private func refuseLoop(_ settings: Settings, isNumber: Bool) {
        if !isNumber {
            settings.refuse(
                "end-of-line", "a supervised loop is measured: expected an analogue input's register, found \(table)")
        }
        for key in Self.rules + ["hysteresis", "contact", "invert"] + Self.pulseSettings where settings.has(key) {
            settings.refuse(key, "end-of-line says it already: remove \(key)")
        }
    }

    /// The register as a number.
    func number(_ value: UInt16) -> Int { signed ? Int(Int16(bitPattern: value)) : Int(value) }

    /// The profile's terminal, where the point names one. A board's terminal has had its place written into the point
    /// before we see it.
    private static func terminal(_ settings: Settings, of profile: ModbusProfile?, _ unit: Int) -> Terminal? {
        guard let name = settings.optionalString("terminal", expected: "a terminal's name in quotes, as \"DI1\"") else {
            return nil
        }
        guard let profile else { return nil }
        let saysPlace = settings.has("register") || settings.has("table")
        guard let terminal = profile.terminal(name) else {
            if saysPlace { return nil }
            let isOutput = profile.terminal(name, output: true) != nil
            settings.refuse(
                "terminal",
                "unit \(unit), \(profile.title), has no input \"\(name)\"\(isOutput ? ", it is an output" : ""); "
                    + profile.listed())
            // Stands in for it: what else is wrong is still found, and the configuration is refused.
            return Terminal(table: .coil, register: 0, rule: .bit(0))
        }
        for key in ["register", "table"] where settings.has(key) {
            settings.refuse(key, "terminal says it already: remove one of the two")
        }
        return terminal
    }

    private func refuseRules(_ settings: Settings, _ terminal: Terminal) {
        guard terminal.rule != nil else { return }
        for key in Self.rules + ["signed", "hysteresis"] where settings.has(key) {
            settings.refuse(key, "terminal says it already: remove \(key), or give table and register instead")
        }
    }

    /// Which of the terminal's ways to catch a pulse is used: `pulses = "latch"`.
    private mutating func takePulses(_ settings: Settings, of terminal: Terminal) {
        let latch = inverted ? terminal.latchLow : terminal.latchHigh
        let has = [latch.map { _ in "latch" }, terminal.counter.map { _ in "counter" }].compactMap { $0 } + ["level"]
        for key in Self.pulseSettings where settings.has(key) {
            settings.refuse(key, "terminal says it: remove \(key), or give table and register instead")
        }
        let fallback = terminal.catchesAlways ? has[0] : "level"
        let way = settings.has("pulses") ? settings.choice("pulses", of: has.map { ($0, $0) }) : fallback
        if way == "latch" { self.latch = latch }
        if way == "counter" { counter = terminal.counter }
    }

    private static let pulseSettings = ["latch", "clear", "counter", "counter-bits", "counter-words", "counter-edge"]

    /// `latch` and `clear`, or `counter`, by hand.
    private mutating func readPulses(_ settings: Settings, _ profile: ModbusProfile?) {
        if settings.has("pulses") {
            settings.refuse("pulses", "it goes with a profile's terminal; here say latch and clear, or counter")
        }
        let latchPlace = ModbusUnit.place(settings, "latch")
        let clear = Self.clear(settings)
        if settings.has("latch") != settings.has("clear") {
            settings.refuse(
                "latch", "a latch needs clear, the coil that clears it, as \"coil 263\"; and clear needs latch")
        }
        if let latchPlace, !latchPlace.table.isBits {
            settings.refuse("latch", "expected a coil or discrete input, found \(latchPlace)")
        }
        if settings.has("clear"), profile?.role == .panel {
            settings.refuse(
                "clear", "unit \(unit) is a fire panel, \(profile?.title ?? ""): nothing is ever written to it")
        }
        if let latchPlace, let clear { latch = ModbusLatch(place: latchPlace, clear: clear) }
        let counterPlace = ModbusUnit.place(settings, "counter")
        if let counterPlace, counterPlace.table.isBits {
            settings.refuse("counter", "expected a register, found \(counterPlace)")
        }
        let bits = settings.integer("counter-bits", in: 16...32, default: 16)
        if bits != 16, bits != 32 { settings.refuse("counter-bits", "expected 16 or 32, found \(bits)") }
        let words = bits == 32 ? 2 : 1
        let lowFirst = settings.choice(
            "counter-words", of: [("high-first", false), ("low-first", true)], default: false)
        let falls = settings.choice("counter-edge", of: [("rising", false), ("falling", true)], default: false)
        counter = counterPlace.map {
            ModbusCounter(place: $0, words: words, lowFirst: lowFirst, countsFalls: falls)
        }
        for key in Self.pulseSettings[3...] where settings.has(key) && counterPlace == nil {
            settings.refuse(key, "it goes with counter")
        }
        if latch != nil, counter != nil { settings.refuse("counter", "latch says it already: remove one of the two") }
    }

    /// `"coil 263"`, by writing 1, or `"coil 35 = 0"`.
    private static func clear(_ settings: Settings) -> ModbusClear? {
        let expected = "the coil that clears the latch, as \"coil 263\", or \"coil 35 = 0\" where 0 is written"
        guard let text = settings.optionalString("clear", expected: expected) else { return nil }
        let parts = text.split(separator: "=", omittingEmptySubsequences: false)
        let value = parts.count == 2 ? parts[1].filter { $0 != " " } : "1"
        guard parts.count <= 2, ["0", "1"].contains(value), let place = ModbusPlace(String(parts[0])),
            place.table == .coil
        else {
            settings.refuse("clear", "expected \(expected), found \"\(text.prefix(60))\"")
            return nil
        }
        return ModbusClear(register: place.register, value: value == "1")
    }

    private static func inverted(_ settings: Settings) -> Bool {
        guard settings.has("contact") else { return settings.boolean("invert", default: false) }
        if settings.has("invert") { settings.refuse("invert", "contact says it already: remove one of the two") }
        return settings.choice("contact", of: [("normally-open", false), ("normally-closed", true)])
    }

    private static let rules = ["bit", "equals", "mask", "at-least", "at-most"]

    private static func bitRule(_ settings: Settings) -> Rule {
        for key in rules + ["signed", "hysteresis"] where settings.has(key) {
            settings.refuse(key, "a coil or discrete input is one bit: remove \(key), or set table to a register table")
        }
        return .bit(0)
    }

    private static func registerRule(_ settings: Settings, signed: Bool) -> Rule {
        let said = rules.filter { settings.has($0) }
        if settings.has("hysteresis"), !said.contains(where: { $0.hasPrefix("at-") }) {
            settings.refuse("hysteresis", "it goes with at-least or at-most")
        }
        let numbers = signed ? -32_768...32_767 : 0...65_535
        let hysteresis = settings.integer("hysteresis", in: 0...65_535, default: 0)
        switch said {
        case ["bit"]: return .bit(settings.integer("bit", in: 0...15))
        case ["equals"]: return .equals(word(settings, "equals", in: numbers), mask: .max)
        case ["mask"]: return .any(mask: word(settings, "mask", in: 1...65_535))
        case ["equals", "mask"]:
            let mask = word(settings, "mask", in: 1...65_535)
            let wanted = word(settings, "equals", in: 0...65_535)
            if wanted & ~mask != 0 {
                settings.refuse("equals", "it has bits that are not in mask: it can never be equal")
            }
            return .equals(wanted, mask: mask)
        case ["at-least"]: return .atLeast(settings.integer("at-least", in: numbers), hysteresis: hysteresis)
        case ["at-most"]: return .atMost(settings.integer("at-most", in: numbers), hysteresis: hysteresis)
        default:
            let found = said.isEmpty ? "none" : said.joined(separator: ", ")
            settings.refuse(
                "register",
                "a register needs one of bit, equals, mask, mask with equals, at-least, at-most; found \(found)")
            return .bit(0)
        }
    }

    private static func word(_ settings: Settings, _ key: String, in range: ClosedRange<Int>) -> UInt16 {
        UInt16(truncatingIfNeeded: settings.integer(key, in: range))
    }
}
