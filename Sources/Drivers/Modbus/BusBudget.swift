/// What a bus is asked for against what its line can do, worked out from the configuration. Pure.
struct BusBudget: Sendable, Hashable {
    /// What a unit is taken to need before it begins to reply, where nothing has been measured.
    static let thinkingTime: Duration = .milliseconds(10)
    /// One request and reply over a local network, the same way.
    static let networkTime: Duration = .milliseconds(10)

    struct Unit: Sendable, Hashable {
        var number: Int
        var profile: String?
        var points: Int
        var outputs: Int
        var requests: Int
        /// All its requests of one poll, with the silences before them, as worked out.
        var time: Duration
        var timeout: Duration
    }

    var units: [Unit]
    var interval: Duration
    /// A poll of every unit, once.
    var round: Duration
    /// The longest from one reading of a point to the next, with all units well.
    var longestWait: Duration
    /// The same while one unit is silent; with it, what the silent one takes.
    var longestWaitWithOneSilent: Duration

    /// How much of its time the line is in use, in percent; above 100 it cannot keep up.
    var load: Int { interval > .zero ? Int((round / interval * 100).rounded(.up)) : 0 }

    /// - Parameter measured: how long a poll of a unit took, for those that have answered.
    init(_ driver: ModbusDriver, measured: [Int: Duration] = [:]) {
        interval = driver.interval
        let blocks = driver.readBlocks
        let writes = WriteBlock.blocks(driver.outputs)
        units = driver.askedUnits.sorted().map { number in
            let reads = blocks.filter { $0.unit == number }
            let written = writes.filter { $0.unit == number }
            let times =
                reads.map { Self.time(Self.characters(of: $0), driver.bus) }
                + written.flatMap { block in
                    [
                        Self.time(Self.characters(of: block), driver.bus),
                        Self.time(Self.characters(of: block.readBlock), driver.bus),
                    ]
                }
            return Unit(
                number: number, profile: driver.units[number].profile?.name,
                points: driver.points.count { $0.unit == number },
                outputs: driver.outputs.count { $0.unit == number }, requests: times.count,
                time: times.reduce(.zero, +), timeout: driver.timeout(number))
        }
        round = units.map { measured[$0.number] ?? $0.time }.reduce(.zero, +)
        longestWait = max(interval, round)
        // A silent unit that has answered before is waited for no longer than the others can spare, but as long as any reply
        // needs (`BusSchedule`).
        let round = round
        let interval = interval
        let farthest = BusSchedule.farthestApart(interval)
        let shortest = driver.shortestPatience
        let silent = units.map { min($0.timeout, max(shortest, farthest - round)) }.max() ?? .zero
        let first = min(silent, max(shortest, farthest - interval))
        longestWaitWithOneSilent =
            units.count > 1 ? max(longestWait, round + silent, interval + first) : longestWait
    }

    /// Characters of a request and its reply on a serial line (Modbus over Serial Line V1.02, 2.5.1: unit, data, two of
    /// checksum).
    static func characters(of block: ReadBlock) -> Int {
        8 + 5 + (block.table.isBits ? (block.count + 7) / 8 : block.count * 2)
    }

    static func characters(of block: WriteBlock) -> Int {
        guard block.place == .coil else { return 20 }
        return block.outputs.count > 1 ? 9 + (block.outputs.count + 7) / 8 + 8 : 16
    }

    private static func time(_ characters: Int, _ bus: BusSettings) -> Duration {
        switch bus.transport {
        case .serial(let serial):
            max(bus.gap, serial.line.frameSilence) + serial.line.characterTime * characters + thinkingTime
        case .network: bus.gap + networkTime
        }
    }

    /// What must be said of it, in words; nil when it holds.
    var warning: String? {
        if load > 100 {
            return
                "asks for more than the bus can do: one round of all units takes \(round.described), and interval is "
                + "\(interval.described); set interval to \(Duration.milliseconds((round.milliseconds / 40 + 1) * 50).described)"
                + ", a faster line, or fewer units on this bus"
        }
        if load > 80 {
            return "uses \(load) % of the bus's time: one round of all units takes \(round.described) of "
                + "\(interval.described), and there is little left for repeats"
        }
        if longestWaitWithOneSilent >= interval * 2 {
            return
                "a unit that falls silent makes the others wait \(longestWaitWithOneSilent.described), two intervals or "
                + "more: set a longer interval"
        }
        return nil
    }
}
