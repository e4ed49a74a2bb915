/// What is known of one make of module or panel gateway: which terminals it has, by the names printed on it, and where
/// each is found on the bus. `profile = "icp-das-m-7050"`. All of them: ModbusProfiles.swift and profiles.md.
struct ModbusProfile: Sendable, Hashable {
    enum Role: Sendable, Hashable {
        /// Inputs and outputs of our own: its outputs may be written and its latches cleared.
        case module
        /// Somebody else's fire panel: it is read, and nothing is ever written to it.
        case panel
    }

    /// What the configuration calls it.
    var name: String
    /// Make and model, as people say them.
    var title: String
    var role: Role
    var inputs: [TerminalRow] = []
    var outputs: [TerminalRow] = []
    /// How the line is set when it leaves the factory, for a serial one.
    var line: String?
    /// How long it may take to reply, where half a second is not enough.
    var timeout: Duration?
    /// What must be set on the device, and what could not be verified.
    var remark = ""
    /// Where the map was published.
    var source: String

    static func named(_ name: String) -> ModbusProfile? { all.first { $0.name == name } }

    static let all: [ModbusProfile] = modules + panels

    /// The terminal of this name; nil where it has none.
    func terminal(_ name: String, output: Bool = false) -> Terminal? {
        for row in output ? outputs : inputs {
            if let number = row.number(of: name) { return row.terminal(number) }
        }
        return nil
    }

    /// "it has DI0 to DI6", for a refusal.
    func listed(output: Bool = false) -> String {
        let rows = output ? outputs : inputs
        if rows.isEmpty { return "this profile names no \(output ? "output" : "input"): give table and register" }
        let shown = rows.prefix(8).map(\.listed).joined(separator: ", ")
        return "it has " + shown + (rows.count > 8 ? ", … (profiles.md has all)" : "")
    }
}

/// Where one terminal is found, and what makes it active.
struct Terminal: Sendable, Hashable {
    var table: ModbusTable
    var register: Int
    /// Nil: a number, of which the point says what it means.
    var rule: ModbusPoint.Rule?
    /// Says that there is nothing at this place: the bits under the mask are all 1.
    var absentMask: UInt16 = 0
    /// Remembers that the input has been 1, or 0.
    var latchHigh: ModbusLatch?
    var latchLow: ModbusLatch?
    var counter: ModbusCounter?
    /// The latch or counter works without being set up for it in the module.
    var catchesAlways = false
}

/// A run of terminals that follow the same rule: "DI0" to "DI6" at discrete inputs 0 to 6.
struct TerminalRow: Sendable, Hashable {
    /// Its names, the first as printed; a "%" stands for the number.
    var names: [String]
    var numbers: ClosedRange<Int>
    var table: ModbusTable
    /// The address of the first, on the wire, and how far it is to the next; 0: all in one register.
    var first: Int
    var step = 1
    var meaning: Meaning = .bits
    var absentMask: UInt16 = 0
    var latch: Latch?
    var counter: Counter?
    var catchesAlways = false

    enum Meaning: Sendable, Hashable {
        /// A coil or discrete input; in a register table, bit 0 for the first terminal, 1 for the next (`step` 0).
        case bits
        /// The same bit of each register.
        case bit(Int)
        case any
        case equals(UInt16, mask: UInt16)
        /// A number.
        case number
    }

    struct Latch: Sendable, Hashable {
        /// The coil that says that the first input has been 1, and 0, and how far it is to the next.
        var high: Int?
        var low: Int?
        var step = 1
        /// The coil that clears it, how far to the next (0: one for all), and what is written.
        var clear: Int
        var clearStep = 0
        var clearValue = true
    }

    struct Counter: Sendable, Hashable {
        var table: ModbusTable
        var first: Int
        /// Registers of each: 1, or 2 for 32 bits.
        var words = 1
        var lowFirst = false
    }

    var listed: String {
        let name = names[0]
        guard name.contains("%") else { return name }
        return "\(Self.fill(name, numbers.lowerBound)) to \(Self.fill(name, numbers.upperBound))"
    }

    func number(of name: String) -> Int? {
        for pattern in names {
            guard let mark = pattern.firstIndex(of: "%") else {
                if pattern == name { return numbers.lowerBound }
                continue
            }
            let (head, tail) = (pattern[..<mark], pattern[pattern.index(after: mark)...])
            guard name.hasPrefix(head), name.hasSuffix(tail), name.count > head.count + tail.count else { continue }
            let digits = name.dropFirst(head.count).dropLast(tail.count)
            // "DI03" is not printed anywhere: one terminal, one name.
            guard digits.count <= 5, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int(digits),
                String(number) == digits, numbers.contains(number)
            else { continue }
            return number
        }
        return nil
    }

    func terminal(_ number: Int) -> Terminal {
        let index = number - numbers.lowerBound
        let rule: ModbusPoint.Rule? =
            switch meaning {
            case .bits: .bit(table.isBits ? 0 : index)
            case .bit(let bit): .bit(bit)
            case .any: .any(mask: .max)
            case .equals(let value, let mask): .equals(value, mask: mask)
            case .number: nil
            }
        var terminal = Terminal(table: table, register: first + index * step, rule: rule, absentMask: absentMask)
        if let latch {
            let clear = ModbusClear(register: latch.clear + index * latch.clearStep, value: latch.clearValue)
            func at(_ first: Int?) -> ModbusLatch? {
                first.map {
                    ModbusLatch(place: ModbusPlace(table: .coil, register: $0 + index * latch.step), clear: clear)
                }
            }
            (terminal.latchHigh, terminal.latchLow) = (at(latch.high), at(latch.low))
        }
        if let counter {
            terminal.counter = ModbusCounter(
                place: ModbusPlace(table: counter.table, register: counter.first + index * counter.words),
                words: counter.words, lowFirst: counter.lowFirst)
        }
        terminal.catchesAlways = catchesAlways
        return terminal
    }

    private static func fill(_ pattern: String, _ number: Int) -> String {
        guard let mark = pattern.firstIndex(of: "%") else { return pattern }
        return pattern[..<mark] + "\(number)" + pattern[pattern.index(after: mark)...]
    }
}
