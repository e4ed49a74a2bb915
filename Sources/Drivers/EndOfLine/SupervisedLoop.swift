import AlarmProtocol

/// A point on a supervised loop: `end-of-line = { … }` of a point, and what is reported of it. For every driver that can
/// measure; see README.md beside this file.
struct SupervisedLoop: Sendable {
    let name: String
    let wiring: LoopWiring
    /// The count that an open loop reads: the reference.
    let fullScale: Int
    /// As it is described in the site file.
    let facts: LoopFacts
    private var judge: LoopJudge
    private let text: String
    /// What a shorted or cut loop is called, and a masked detector; nil: a fault of the point.
    private let tamper: Said?
    private let masked: Said?

    /// A reading: the count that was measured, of `fullScale`.
    /// - Returns: what to report, in one commit.
    mutating func take(_ count: Int, at now: ContinuousClock.Instant, moment: Moment) -> [Signal] {
        take(Double(count) / Double(max(1, fullScale)), at: now, moment: moment)
    }

    /// A reading, as a part of the reference.
    /// - Parameter moment: `now` as the host says it.
    mutating func take(_ ratio: Double, at now: ContinuousClock.Instant, moment: Moment) -> [Signal] {
        judge.take(ratio, at: now).flatMap { verdict -> [Signal] in
            switch verdict {
            case .state(let state, let since): signals(state, occurred: moment.earlier(by: now - since))
            case .unsteady(let why): [Signal(point: name, .fault("\(name): \(why)"), occurred: moment)]
            case .steady: [Signal(point: name, .healthy, occurred: moment)]
            }
        }
    }

    /// The readings stopped: what comes next is a first reading again.
    mutating func pause() { judge = LoopJudge(wiring) }

    /// The state that was last told; nil before the first.
    var state: LoopWiring.State? { judge.told }

    /// A cut or a short hides the contact: what was last known of it stands.
    private func signals(_ state: LoopWiring.State, occurred: Moment) -> [Signal] {
        var signals: [Signal] = []
        func add(_ suffix: String, _ said: Said?, _ isSo: Bool) {
            guard let said else { return }
            signals.append(
                Signal(
                    point: "\(name)-\(suffix)", .active(isSo), text: isSo ? "\(text): \(state.words)" : text,
                    occurred: occurred, said: said))
        }
        let isTampered = state == .short || state == .open
        add("tamper", tamper, isTampered)
        add("masked", masked, state == .masked)
        switch state {
        case .normal: signals.append(Signal(point: name, .active(false), occurred: occurred))
        case .alarm: signals.append(Signal(point: name, .active(true), occurred: occurred))
        case .short, .open, .masked: break
        }
        return signals
    }
}

extension SupervisedLoop {
    /// Reads the point's `end-of-line`.
    /// - Parameter fullScale: where the driver knows what an open loop reads; nil: the point says it.
    /// - Returns: nil where the point has none.
    init?(_ settings: Settings, fullScale known: Int? = nil) {
        guard let table = settings.table("end-of-line") else { return nil }
        name = settings.name
        if let known {
            fullScale = known
        } else {
            fullScale = table.integer("full-scale", in: Self.fewestCounts...Self.mostCounts)
        }
        wiring = Self.wiring(table, fullScale: fullScale)
        facts = Self.facts(table, name, wiring, fullScale, fullScaleIsKnown: known != nil)
        judge = LoopJudge(wiring)
        text = settings.has("text") ? settings.string("text", limit: 128) : name
        let kind = EventKind.named(settings.optionalString("kind") ?? "")
        let isFire =
            kind.map { $0.urgency == .fire || $0.name.hasPrefix("fire") || $0.name.hasPrefix("sprinkler") } ?? false
        func said(_ name: String) -> Said? {
            EventKind.named(name).map { kind in
                Said(
                    .kind(kind), account: settings.optionalString("account"),
                    partition: settings.has("partition") ? settings.integer("partition", in: 0...99) : nil,
                    zone: settings.integer("zone", in: 0...9999, default: 0))
            }
        }
        tamper = said(isFire ? "fire-trouble" : "tamper")
        masked =
            wiring.levels.contains { $0.state == .masked } ? said(isFire ? "fire-trouble" : "detector-tamper") : nil
    }

    /// With fewer the states are steps of a few counts; no converter has more than the most.
    static let fewestCounts = 100
    private static let mostCounts = 16_777_216
    private static let mostOhms = 1_000_000

    /// Refuses a point that has the name of another's tamper or mask.
    static func refuseNames(_ points: [Settings]) {
        let loops = Set(points.filter { $0.has("end-of-line") }.map(\.name))
        for point in points {
            for suffix in ["-tamper", "-masked"] where point.name.hasSuffix(suffix) {
                let loop = String(point.name.dropLast(suffix.count))
                if loops.contains(loop) {
                    point.problems.add(
                        point.place,
                        "\(point.path): the supervised loop \(loop) reports by this name: give the point another")
                }
            }
        }
    }

    private static func wiring(_ table: Settings, fullScale: Int) -> LoopWiring {
        let pullUp = table.has("pull-up") ? ohms(table, "pull-up") ?? 0 : nil
        if pullUp == 0 { table.refuse("pull-up", "expected a resistor, as 1000 or \"4k7\"") }
        let ends = ends(table, fullScale, isInOhms: pullUp != nil)
        func ratio(_ key: String) -> Double {
            guard let pullUp else { return Double(count(table, key, ends)) / Double(max(1, fullScale)) }
            return LoopWiring.ratio(ohms: ohms(table, key), pullUp: pullUp)
        }
        let (normal, alarm) = (ratio("normal"), ratio("alarm"))
        let masked = table.has("masked") ? ratio("masked") : nil
        do {
            return try LoopWiring(
                normal: normal, alarm: alarm, masked: masked,
                short: Double(ends.lowerBound) / Double(max(1, fullScale)),
                open: Double(ends.upperBound) / Double(max(1, fullScale)))
        } catch {
            table.refuse(
                error.first.state == .short || error.first.state == .open
                    ? "\(error.second.state)" : "\(error.first.state)",
                "\(described(error.first)) and \(described(error.second)) are nearer than "
                    + "\(percent(LoopWiring.leastDistance)): they cannot be told apart; choose other resistors")
            return .singleResistor
        }
    }

    /// What a shorted and an open loop count: `short` and `open`, where they were measured.
    private static func ends(_ table: Settings, _ fullScale: Int, isInOhms: Bool) -> ClosedRange<Int> {
        for key in ["short", "open"] where isInOhms && table.has(key) {
            table.refuse(key, "a count that was measured does not go with pull-up: give all states as counts, or none")
        }
        let short = table.integer("short", in: 0...max(0, fullScale), default: 0)
        let open = table.integer("open", in: 0...max(0, fullScale), default: fullScale)
        guard !isInOhms, short < open else {
            if !isInOhms { table.refuse("open", "expected more than short, \(short), found \(open)") }
            return 0...max(0, fullScale)
        }
        return short...open
    }

    private static func facts(
        _ table: Settings, _ name: String, _ wiring: LoopWiring, _ fullScale: Int, fullScaleIsKnown: Bool
    ) -> LoopFacts {
        func count(_ state: LoopWiring.State) -> Int? {
            wiring.levels.first { $0.state == state }.map { Int(($0.ratio * Double(fullScale)).rounded()) }
        }
        func measured(_ key: String) -> Int? {
            table.has(key) && !table.has("pull-up") ? table.integer(key, in: 0...max(0, fullScale)) : nil
        }
        return LoopFacts(
            point: name, fullScale: fullScale, fullScaleIsKnown: fullScaleIsKnown, normal: count(.normal) ?? 0,
            alarm: count(.alarm) ?? fullScale, masked: count(.masked), short: measured("short"),
            open: measured("open"), isInOhms: table.has("pull-up"))
    }

    private static func described(_ level: LoopWiring.Level) -> String { "\(level.state) (\(percent(level.ratio)))" }
    private static func percent(_ ratio: Double) -> String { "\(Int((ratio * 100).rounded())) % of the reference" }

    /// The loop's resistance: a number, "4k7", "closed" (0) or "open" (nil).
    private static func ohms(_ table: Settings, _ key: String) -> Int? {
        switch table.nameOrNumber(key, in: 0...mostOhms) {
        case .number(let ohms): return ohms
        case .name("closed") where key != "pull-up": return 0
        case .name("open") where key != "pull-up": return nil
        case .name(let code):
            if let ohms = resistance(code), ohms <= mostOhms { return ohms }
            if !code.isEmpty {
                table.refuse(key, "expected ohms, as 4700 or \"4k7\", or \"open\" or \"closed\", found \"\(code)\"")
            }
            return 0
        }
    }

    /// A count as it was measured, "closed" (what a shorted loop counts) or "open".
    private static func count(_ table: Settings, _ key: String, _ ends: ClosedRange<Int>) -> Int {
        switch table.nameOrNumber(key, in: ends) {
        case .number(let count): return count
        case .name("closed"): return ends.lowerBound
        case .name("open"): return ends.upperBound
        case .name(let text):
            if !text.isEmpty {
                table.refuse(
                    key,
                    "expected the count that was measured, or \"open\" or \"closed\", found \"\(text)\"; for ohms give pull-up"
                )
            }
            return ends.lowerBound
        }
    }

    /// As printed on drawings: "470", "4k7", "22k", "1M". Nil for anything else.
    static func resistance(_ code: String) -> Int? {
        guard code.utf8.count <= 8 else { return nil }
        for (letter, factor) in [("k", 1000), ("K", 1000), ("M", 1_000_000)] {
            guard let mark = code.firstIndex(of: Character(letter)) else { continue }
            let decimals = code[code.index(after: mark)...]
            guard let whole = Int(code[..<mark]), decimals.count <= 3, let part = decimals.isEmpty ? 0 : Int(decimals),
                whole >= 0, part >= 0
            else { return nil }
            return whole * factor + part * factor / [1, 10, 100, 1000][decimals.count]
        }
        return Int(code).flatMap { $0 >= 0 ? $0 : nil }
    }
}

extension Moment {
    /// The moment so long before.
    func earlier(by age: Duration) -> Moment {
        let age = max(0, age.milliseconds)
        return Moment(utc: utc - age, uptime: uptime - age, clock: clock)
    }
}

extension SupervisedLoop {
    /// A count and what it is, for a person who watches, or learns the loop's values.
    func reading(_ count: Double) -> LoopReading {
        LoopReading(
            point: name, count: count, fullScale: fullScale,
            state: "\(wiring.state(at: count / Double(max(1, fullScale))))")
    }
}
