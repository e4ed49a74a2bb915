/// What is said of one unit of the bus: `[device.modbus.NAME.unit.3]`.
struct ModbusUnit: Sendable, Hashable {
    var profile: ModbusProfile?
    /// How long it may take to reply; nil: as the bus.
    var timeout: Duration?
    /// A register that the device behind a gateway keeps changing while it runs, and how long it may stand still.
    var heartbeat: ModbusPlace?
    var heartbeatWithin: Duration = .seconds(30)

    /// The units with a table of their own, by number, and the device's `profile` for all others.
    static func read(_ settings: Settings, units: ClosedRange<Int>) -> (units: [Int: ModbusUnit], other: ModbusUnit) {
        let other = ModbusUnit(profile: profile(settings))
        var found: [Int: ModbusUnit] = [:]
        guard let tables = settings.table("unit") else { return ([:], other) }
        for key in tables.keys {
            guard let number = Int(key), String(number) == key, units.contains(number) else {
                tables.refuse(key, "expected a unit's number from \(units.lowerBound) to \(units.upperBound)")
                continue
            }
            if let table = tables.table(key) { found[number] = ModbusUnit(table, other: other) }
        }
        return (found, other)
    }

    private init(profile: ModbusProfile?) {
        self.profile = profile
        timeout = profile?.timeout
    }

    private init(_ settings: Settings, other: ModbusUnit) {
        self.init(profile: Self.profile(settings) ?? other.profile)
        if settings.has("timeout") { timeout = settings.duration("timeout", in: .milliseconds(50) ... .seconds(1)) }
        heartbeat = Self.place(settings, "heartbeat")
        if settings.has("heartbeat-within"), heartbeat == nil {
            settings.refuse("heartbeat-within", "it goes with heartbeat")
        }
        heartbeatWithin = settings.duration(
            "heartbeat-within", in: .seconds(1) ... .seconds(3600), default: .seconds(30))
    }

    private static func profile(_ settings: Settings) -> ModbusProfile? {
        guard let name = settings.optionalString("profile", expected: "a profile's name in quotes") else { return nil }
        if let profile = ModbusProfile.named(name) { return profile }
        let names = ModbusProfile.all.map(\.name)
        let hint = nearest(to: name, among: names)
        settings.refuse(
            "profile",
            "there is no profile \"\(name)\"\(hint.isEmpty ? "; there is \(names.joined(separator: ", "))" : hint)")
        return nil
    }

    /// `"coil 64"`; nil where the key is missing, or wrong, which is told.
    static func place(_ settings: Settings, _ key: String) -> ModbusPlace? {
        let expected = "a table and an address from 0, as \"holding-register 12\""
        guard let text = settings.optionalString(key, expected: expected) else { return nil }
        if let place = ModbusPlace(text) { return place }
        settings.refuse(key, "expected \(expected), found \"\(text.prefix(60))\"")
        return nil
    }
}

/// Which profile holds for which unit.
struct ModbusUnits: Sendable, Hashable {
    var numbered: [Int: ModbusUnit]
    var other: ModbusUnit

    subscript(_ number: Int) -> ModbusUnit { numbered[number] ?? other }

    /// The heartbeats of the units that are asked for something.
    func heartbeats(of units: Set<Int>) -> [Int: ModbusPlace] {
        numbered.compactMapValues(\.heartbeat).filter { units.contains($0.key) }
    }
}
