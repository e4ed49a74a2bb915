/// One coil, input or register, by its table and its address on the wire: "coil 64", "holding-register 12".
struct ModbusPlace: Sendable, Hashable, CustomStringConvertible {
    var table: ModbusTable
    var register: Int

    var description: String { "\(table) \(register)" }

    /// - Returns: nil where the text is no place.
    init?(_ text: String) {
        let words = text.split(separator: " ")
        guard words.count == 2, let table = ModbusTable.all.first(where: { $0.description == words[0] }),
            let register = Int(words[1]), (0...65_535).contains(register)
        else { return nil }
        self.init(table: table, register: register)
    }

    init(table: ModbusTable, register: Int) {
        self.table = table
        self.register = register
    }
}

/// The coil that clears a latch, and what is written to it.
struct ModbusClear: Sendable, Hashable {
    var register: Int
    var value = true
}

/// A bit in which a module remembers that an input has been active.
struct ModbusLatch: Sendable, Hashable {
    var place: ModbusPlace
    var clear: ModbusClear
}

/// A number in which a module counts one of an input's edges; it goes on from 0 behind its end.
struct ModbusCounter: Sendable, Hashable {
    var place: ModbusPlace
    /// 1 register, or 2 for 32 bits.
    var words = 1
    /// The lower of two words comes first.
    var lowFirst = false
    /// It counts the input's falls, not its rises.
    var countsFalls = false

    /// The count, from its registers.
    func value(_ words: ArraySlice<UInt16>) -> UInt32 {
        guard self.words == 2, let first = words.first, let last = words.last else { return UInt32(words.first ?? 0) }
        return lowFirst ? UInt32(last) << 16 | UInt32(first) : UInt32(first) << 16 | UInt32(last)
    }

    /// How far it is from one count to a later one.
    func distance(_ old: UInt32, _ new: UInt32) -> Int {
        words == 2 ? Int(new &- old) : Int(UInt16(truncatingIfNeeded: new) &- UInt16(truncatingIfNeeded: old))
    }
}

/// Finds what an input did between two readings, from its module's latch or counter. Pure.
///
/// Latch and counter are always read before the input itself. So a rise that came between the two readings shows in the
/// input now and in the count the next time, and is not told twice; and a pulse that is over is in the count.
struct PulseWatch: Sendable, Hashable {
    /// More of one reading are not told one by one.
    static let mostTold = 10
    /// Faster than any contact: a count that ran further than this, each second, was set back. A count that is lower than
    /// before has run over its end only where it ran no further than this at all: a module that was without power begins
    /// at 0, and that may be an hour later.
    static let mostPerSecond = 1000
    /// So many rises seen that were not counted mean that it does not count.
    static let patience = 3

    private(set) var lastCount: UInt32?
    private(set) var lastActive: Bool?
    /// The latch is set for something that has been told (or seen), and is still to be cleared.
    var latchIsKnown = false
    /// A rise has been seen that was not yet counted.
    private var isOwed = false
    private var uncounted = 0

    /// The input changes and its counter stands still.
    var countsNothing: Bool { uncounted >= Self.patience }

    /// The input was read; it has neither latch nor counter, or not now.
    mutating func saw(_ isActive: Bool) { lastActive = isActive }

    /// Pulses since the last reading that nobody saw, by the latch: 0 or 1.
    /// - Parameter wasActive: what was last told; nil before the first reading.
    mutating func pulses(latched: Bool, isActive: Bool, wasActive: Bool?) -> Int {
        defer {
            latchIsKnown = latched
            lastActive = isActive
        }
        // What was seen to be active has set the latch itself.
        return latched && !latchIsKnown && !isActive && wasActive != true ? 1 : 0
    }

    /// Pulses since the last reading that nobody saw, by the counter. The first reading is where counting begins.
    /// - Parameter elapsed: since the last reading.
    mutating func pulses(
        count: UInt32, of counter: ModbusCounter, isActive: Bool, inverted: Bool, elapsed: Duration
    ) -> Int {
        defer {
            lastCount = count
            lastActive = isActive
        }
        guard let old = lastCount, let wasActive = lastActive else { return 0 }
        var counted = counter.distance(old, count)
        let seconds = Int(min(max(elapsed.milliseconds, 0), 86_400_000)) / 1000 + 1
        // It was set back, with the module's supply or by somebody: it began at 0.
        if counted > Self.mostPerSecond * (count < old ? 1 : seconds) { counted = Int(count) }
        let (was, now) = (wasActive != inverted, isActive != inverted)
        let isSeen = counter.countsFalls ? was && !now : !was && now
        if counted > 0 { uncounted = 0 }
        let unseen = counted - (isSeen ? 1 : 0) - (isOwed ? 1 : 0)
        if unseen < 0, isOwed, counted == 0 { uncounted += 1 }
        isOwed = unseen < 0 && isSeen
        return max(0, unseen)
    }

    /// What to report of a point whose pulses were found: each as its beginning and end, then how it is now.
    /// - Parameter words: said with each pulse.
    static func signals(
        _ point: String, from wasActive: Bool, to isActive: Bool, pulses: Int, words: (String) -> String, away: Bool
    ) -> [Signal] {
        var signals: [Signal] = []
        var active = wasActive
        let told = min(pulses, mostTold)
        let when = away ? "while it was not read" : "between two readings"
        for number in 0..<told {
            if active { signals.append(Signal(point: point, .active(false))) }
            let isLast = number == told - 1
            let what = pulses > told && isLast ? "(\(pulses) pulses \(when), \(told) told)" : "(pulse \(when))"
            signals.append(Signal(point: point, .active(true), text: words(what)))
            active = true
        }
        if !wasActive, isActive {
            if active { signals.append(Signal(point: point, .active(false))) }
            signals.append(Signal(point: point, .active(true)))
        } else if active != isActive {
            signals.append(Signal(point: point, .active(isActive)))
        }
        return signals
    }
}

extension ModbusPoint {
    /// What to report of its pulses and of how it is now, with its own text.
    func signals(from wasActive: Bool, to isActive: Bool, pulses: Int, away: Bool) -> [Signal] {
        PulseWatch.signals(
            name, from: wasActive, to: isActive, pulses: pulses, words: { text.isEmpty ? $0 : "\(text) \($0)" },
            away: away)
    }
}
