/// Learns what a supervised loop reads in each of its states, with a person who puts it into one after the other
/// (`larmnod learn`). Readings in, words and the finished setting out. Pure.
public struct LoopLearning: Sendable {
    /// What the loop is shown as, in this order: first the ends, at the cabinet, which say what the others are parts of.
    public enum State: String, Codable, Sendable, CaseIterable { case open, short, normal, alarm, masked }

    public enum Settling: Sendable, Hashable {
        case settling(count: Int, spread: Int)
        /// It has stood still for long enough.
        case settled(count: Int, spread: Int)
        /// It does not settle; why, and what to look for.
        case unsteady(String)
    }

    /// How long a reading must stand still, and how many readings that must be at least.
    static let settlingTime: Int64 = 2000
    static let fewestReadings = 4
    /// Readings farther apart than this, in milliseconds, are no row.
    static let longestGap: Int64 = 1000
    /// How far apart the readings may lie, as a part of the full scale: with it, two states that are as near as is
    /// allowed still keep clear of the hysteresis between them.
    static let mostSpread = LoopWiring.leastDistance - 2 * LoopWiring.hysteresis
    /// How long it is waited for.
    static let patience: Int64 = 20_000

    public let facts: LoopFacts
    private var learned: [State: Int] = [:]
    private var readings: [(count: Double, at: Int64)] = []
    private var began: Int64?

    public init(_ facts: LoopFacts) { self.facts = facts }

    /// What is to be shown, in order. A state in which the loop is open or shorted is shown as that.
    public var states: [State] {
        [.open, .short]
            + [.normal, .alarm, .masked].filter { value(of: $0) != nil && end(of: $0) == nil }
    }

    /// What a person is to do, and which state it is.
    public func request(_ state: State) -> String {
        let also = [State.normal, .alarm, .masked].filter { end(of: $0) == state }.map(\.rawValue)
        let same = also.isEmpty ? "" : ". For this loop that is \(also.joined(separator: " and "))"
        switch state {
        case .open: return "take one wire of the loop off its terminal in the cabinet\(same)"
        case .short: return "put the wire back, and join the loop's two terminals\(same)"
        case .normal: return "no bridge, no loose wire; the contact at rest (door closed)"
        case .alarm: return "bring the contact into alarm: open the door, test the detector"
        case .masked: return "cover the detector, or bring it into fault, as its manual says"
        }
    }

    // MARK: Readings

    /// The loop is in a new state: what was read before does not count.
    public mutating func begin() { (readings, began) = ([], nil) }

    /// - Parameter at: milliseconds of a clock that never steps.
    public mutating func take(_ count: Double, at: Int64) -> Settling {
        let began = self.began ?? at
        self.began = began
        let count = count.isNaN ? 0 : max(0, min(count, 1e9))
        if let last = readings.last, at - last.at > Self.longestGap || at < last.at { readings = [] }
        readings.append((count, at))
        // The oldest that is kept reaches back over the whole time.
        while readings.count > 1, readings[1].at <= at - Self.settlingTime { readings.removeFirst() }
        let sorted = readings.map(\.count).sorted()
        let median = Int(sorted[sorted.count / 2].rounded())
        let spread = Int((sorted[sorted.count - 1] - sorted[0]).rounded(.up))
        let isSteady = Double(spread) <= max(2, Self.mostSpread * Double(facts.fullScale))
        if isSteady, readings.count >= Self.fewestReadings, at - readings[0].at >= Self.settlingTime {
            return .settled(count: median, spread: spread)
        }
        guard at - began >= Self.patience else { return .settling(count: median, spread: spread) }
        return .unsteady(
            isSteady
                ? "it is read too seldom: expected at least two readings a second; set a shorter interval"
                : "its readings lie \(spread) counts apart, and may lie \(Int(Self.mostSpread * Double(facts.fullScale))): "
                    + "look for a loose connection, moisture or interference, and fit a filter")
    }

    /// Takes what it settled at for this state.
    /// - Returns: nil, or why that cannot be: then nothing is kept of it.
    public mutating func accept(_ count: Int, as state: State) -> String? {
        var next = self
        next.learned[state] = count
        if let refusal = next.refusal(of: state, count) { return refusal }
        self = next
        return nil
    }

    private func refusal(of state: State, _ count: Int) -> String? {
        let scale = self.scale
        if state == .open, count < SupervisedLoop.fewestCounts {
            return
                "an open loop reads \(count): nothing feeds the loop, or this is another channel; check the supply and "
                + "the pull-up"
        }
        for (other, value) in learned.sorted(by: { $0.value < $1.value }) where other != state {
            let distance = Double(abs(value - count)) / Double(scale)
            guard distance < LoopWiring.leastDistance else { continue }
            let isAtCabinet = [state, other].allSatisfy { $0 == .open || $0 == .short }
            return
                "\(state.rawValue) reads \(count) and \(other.rawValue) \(value), of \(scale): \(percent(distance)) apart, and "
                + "\(percent(LoopWiring.leastDistance)) are needed. Was the loop in that state? Put it there and press Enter, "
                + "or type \(other.rawValue) to show that again. If both are right, "
                + (isAtCabinet
                    ? "is this the loop's channel, and are these its terminals?"
                    : "the resistors are too much alike: fit others")
        }
        for (other, value) in learned.sorted(by: { $0.value < $1.value }) {
            let end: State? =
                value < learned[.short] ?? value ? .short : value > learned[.open] ?? value ? .open : nil
            guard let end, let reads = learned[end] else { continue }
            return
                "\(other.rawValue) reads \(value), \(end == .short ? "less than a shorted" : "more than an open") loop (\(reads)): "
                + "one of them was not shown rightly; type \(other.rawValue) or \(end.rawValue) to show it again"
        }
        return nil
    }

    // MARK: The setting

    /// What an open loop counts, as far as is known.
    private var scale: Int {
        facts.fullScaleIsKnown ? facts.fullScale : max(1, learned[.open] ?? facts.open ?? facts.fullScale)
    }

    /// What the site file says now, in counts of what was learned.
    private func value(of state: State) -> Int? {
        let before: Int?
        switch state {
        case .normal: before = facts.normal
        case .alarm: before = facts.alarm
        case .masked: before = facts.masked
        case .short: return facts.short
        case .open: return facts.open
        }
        guard let before, facts.isInOhms else { return before }
        // Ohms are a part of what an open loop reads.
        let whole = Double(learned[.open] ?? facts.fullScale)
        return Int((Double(before) / Double(max(1, facts.fullScale)) * whole).rounded())
    }

    /// The end of the loop that a state is, as the site file says now.
    private func end(of state: State) -> State? {
        let now: Int? = state == .normal ? facts.normal : state == .alarm ? facts.alarm : facts.masked
        guard let now else { return nil }
        let room = LoopWiring.endRoom * Double(facts.fullScale)
        if Double(now) >= Double(facts.open ?? facts.fullScale) - room { return .open }
        return Double(now) <= Double(facts.short ?? 0) + room ? .short : nil
    }

    public struct TooNear: Error, Sendable, CustomStringConvertible { public var description: String }

    /// The finished setting, and below it, as remarks, what follows from it.
    /// - Throws: `TooNear` when states that were not shown lie too near to others.
    public func lines() throws(TooNear) -> [String] {
        let fullScale = facts.fullScaleIsKnown ? facts.fullScale : max(SupervisedLoop.fewestCounts, scale)
        func clamped(_ count: Int) -> Int { min(max(0, count), fullScale) }
        let short = (learned[.short] ?? facts.short).map(clamped)
        let open = (learned[.open] ?? facts.open).map(clamped)
        var entries = facts.fullScaleIsKnown ? [] : ["full-scale = \(fullScale)"]
        var ratios: [State: Double] = [:]
        for state in [State.normal, .alarm, .masked] {
            guard let before = value(of: state) else { continue }
            if let end = end(of: state) {
                entries.append("\(state.rawValue) = \(end == .open ? "\"open\"" : "\"closed\"")")
                let count = end == .open ? open ?? fullScale : short ?? 0
                ratios[state] = Double(count) / Double(fullScale)
            } else {
                let count = clamped(learned[state] ?? before)
                entries.append("\(state.rawValue) = \(count)")
                ratios[state] = Double(count) / Double(fullScale)
            }
        }
        if let short, short > 0 { entries.append("short = \(short)") }
        if let open, open < fullScale { entries.append("open = \(open)") }
        let wiring: LoopWiring
        do throws(LoopWiring.TooNear) {
            wiring = try LoopWiring(
                normal: ratios[.normal] ?? 0, alarm: ratios[.alarm] ?? 1, masked: ratios[.masked],
                short: Double(short ?? 0) / Double(fullScale), open: Double(open ?? fullScale) / Double(fullScale))
        } catch {
            let (first, second) = (error.first, error.second)
            throw TooNear(
                description:
                    "\(first.state) (\(percent(first.ratio))) and \(second.state) (\(percent(second.ratio))) lie "
                    + "\(percent(second.ratio - first.ratio)) apart, and \(percent(LoopWiring.leastDistance)) are needed: show "
                    + "both, or fit other resistors")
        }
        return ["end-of-line = { \(entries.joined(separator: ", ")) }"] + remarks(wiring, fullScale)
    }

    private func remarks(_ wiring: LoopWiring, _ fullScale: Int) -> [String] {
        var row = "\(wiring.levels[0].state)"
        for (border, level) in zip(wiring.borders, wiring.levels.dropFirst()) {
            row += " | \(Int((border * Double(fullScale)).rounded())) | \(level.state)"
        }
        let hysteresis = Int((LoopWiring.hysteresis * Double(fullScale)).rounded())
        return [
            "# borders in counts: \(row)",
            "# a state changes \(hysteresis) counts past a border, and counts when it has stood for "
                + "\(LoopJudge.persistence.described)",
        ]
    }

    /// "8 %", "3.9 %".
    private func percent(_ ratio: Double) -> String {
        let tenths = Int((ratio * 1000).rounded())
        return tenths % 10 == 0 ? "\(tenths / 10) %" : "\(tenths / 10).\(abs(tenths) % 10) %"
    }
}
