/// What a supervised loop is: a cable to a contact with resistors at its far end, fed over a resistor from a reference,
/// so that the voltage on it tells the contact's state from a cut or a shorted cable.
///
/// Everything is measured as a part of the reference: 0 is a shorted loop, 1 an open one, and a loop of R ohms behind a
/// pull-up of P ohms reads R / (R + P).
struct LoopWiring: Sendable, Hashable {
    enum State: Sendable, Hashable, CaseIterable { case short, normal, alarm, masked, open }

    /// A state, and what the loop reads in it.
    struct Level: Sendable, Hashable {
        var state: State
        var ratio: Double
    }

    /// From the lowest reading to the highest.
    let levels: [Level]
    /// Between each level and the next.
    let borders: [Double]

    /// How far past a border the reading must be before the state changes: 3 % of the reference.
    static let hysteresis = 0.03
    /// Two states that read nearer than this cannot be told apart: each side of a border needs its hysteresis and room.
    static let leastDistance = 0.08
    /// The border between a shorted loop and the next state, as a part of what that one reads: a short is next to nothing,
    /// while a reading between is more like a loop with a leak.
    static let shortPart = 0.4

    /// Two states of a loop read nearly the same.
    struct TooNear: Error, Hashable {
        var first: Level
        var second: Level
    }

    /// A state that reads so near to a shorted or an open loop is that.
    static let endRoom = 0.02

    /// - Parameters:
    ///   - alarm: 1 (an open loop) for a single resistor, where a cut and an alarm are one; 0 where the contact shorts the
    ///     resistor.
    ///   - masked: what it reads when the detector says that it is covered or in fault; nil where it cannot say so.
    ///   - short: what a shorted loop reads, where that was measured.
    ///   - open: what an open loop reads, where that was measured.
    /// - Throws: `TooNear` when two states cannot be told apart.
    init(normal: Double, alarm: Double, masked: Double? = nil, short: Double = 0, open: Double = 1) throws(TooNear) {
        var all = [Level(state: .normal, ratio: normal), Level(state: .alarm, ratio: alarm)]
        if let masked { all.append(Level(state: .masked, ratio: masked)) }
        // The two ends mean a short and a cut, unless the wiring gives them a meaning of its own.
        if !all.contains(where: { $0.ratio <= short + Self.endRoom }) { all.append(Level(state: .short, ratio: short)) }
        if !all.contains(where: { $0.ratio >= open - Self.endRoom }) { all.append(Level(state: .open, ratio: open)) }
        all.sort { $0.ratio < $1.ratio }
        for (first, second) in zip(all, all.dropFirst()) where !(second.ratio - first.ratio >= Self.leastDistance) {
            throw TooNear(first: first, second: second)
        }
        self.init(levels: all)
    }

    /// One resistor as large as the pull-up: stands in for a wiring that was refused.
    static let singleResistor = LoopWiring(
        levels: [Level(state: .short, ratio: 0), Level(state: .normal, ratio: 0.5), Level(state: .alarm, ratio: 1)])

    private init(levels: [Level]) {
        self.levels = levels
        borders = zip(levels, levels.dropFirst()).map { below, above in
            below.ratio + (above.ratio - below.ratio) * (below.state == .short ? Self.shortPart : 0.5)
        }
    }

    /// What a loop of so many ohms reads behind the pull-up; nil is an open loop.
    static func ratio(ohms: Int?, pullUp: Int) -> Double {
        guard let ohms else { return 1 }
        return Double(ohms) / Double(max(1, ohms + pullUp))
    }

    /// The state at this reading.
    /// - Parameter before: the state so far, which is kept until the reading is past its border by the hysteresis.
    func state(at reading: Double, before: State? = nil) -> State {
        if let index = levels.firstIndex(where: { $0.state == before }) {
            let isAbove = index == 0 || reading >= borders[index - 1] - Self.hysteresis
            let isBelow = index == borders.count || reading <= borders[index] + Self.hysteresis
            if isAbove, isBelow { return levels[index].state }
        }
        return levels[borders.count { $0 <= reading }].state
    }
}

extension LoopWiring.State {
    /// As an operator reads it.
    var words: String {
        switch self {
        case .short: "the loop is short-circuited"
        case .normal: "normal"
        case .alarm: "alarm"
        case .masked: "the detector is masked or in fault"
        case .open: "the loop is open: cut, or the detector is taken down"
        }
    }
}
