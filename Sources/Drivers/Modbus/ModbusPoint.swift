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

    /// Whether the point is active.
    /// - Parameter wasActive: what it was before, for hysteresis.
    func isActive(_ value: UInt16, wasActive: Bool?) -> Bool {
        let number = signed ? Int(Int16(bitPattern: value)) : Int(value)
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
    init(_ settings: Settings, units: ClosedRange<Int>) {
        name = settings.name
        // What a board's file says of a terminal has been put in its place before we see it; here only known.
        _ = settings.optionalString("terminal", expected: "a terminal's name in quotes, as \"IN1\"")
        unit = settings.integer("unit", in: units)
        table = settings.choice(
            "table",
            of: [
                ("discrete-input", .discreteInput), ("coil", .coil), ("input-register", .inputRegister),
                ("holding-register", .holdingRegister),
            ])
        register = settings.integer("register", in: 0...65_535)
        signed = settings.boolean("signed", default: false)
        inverted = Self.inverted(settings)
        rule = .bit(0)
        rule = table.isBits ? Self.bitRule(settings) : Self.registerRule(settings, signed: signed)
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
