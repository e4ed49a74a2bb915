import AlarmProtocol
import Glibc

/// Inputs and outputs on a Modbus bus, RTU or TCP: `[device.modbus.NAME]`. See README.md beside this file. It writes what
/// is declared as an output, and nothing else.
public struct ModbusDriver: LoopDriver {
    public static let name = "modbus"

    let bus: BusSettings
    let interval: Duration
    let points: [ModbusPoint]
    let outputs: [ModbusOutput]
    /// The points that are supervised loops, by their place among the points.
    let loops: [Int: SupervisedLoop]
    /// What is said of each unit.
    let units: ModbusUnits
    /// What is kept of each point while the bus is opened anew, and how the units do.
    let memory = ModbusMemory()

    public init(_ settings: Settings) throws {
        bus = BusSettings(
            transport: Self.transport(settings),
            timeout: settings.duration("timeout", in: .milliseconds(50) ... .seconds(1), default: .milliseconds(500)),
            gap: settings.duration("gap", in: .zero ... .seconds(1), default: .zero),
            timeoutIsSaid: settings.has("timeout"))
        interval = settings.duration("interval", in: .milliseconds(20) ... .seconds(3600), default: .milliseconds(250))
        // Unit 0 is everybody on a serial line, and the device itself on TCP, as is 255; libmodbus sends no others.
        let units = bus.isSerial ? 1...247 : 0...255
        let read = ModbusUnit.read(settings, units: units)
        let profiles = ModbusUnits(numbered: read.units, other: read.other)
        self.units = profiles
        points = settings.points.map { ModbusPoint($0, units: units, profiles: profiles) }
        outputs = settings.outputs.map { ModbusOutput($0, units: units, profiles: profiles) }
        loops = Dictionary(
            uniqueKeysWithValues: settings.points.enumerated().compactMap { index, point in
                SupervisedLoop(point).map { (index, $0) }
            })
        SupervisedLoop.refuseNames(settings.points)
        if interval > Self.slowestLoop {
            for (index, point) in settings.points.enumerated() where loops[index] != nil {
                point.refuse(
                    "end-of-line",
                    "a supervised loop is read at least twice a second: set interval to \(Self.slowestLoop.described) or less"
                )
            }
        }
        if points.isEmpty, outputs.isEmpty {
            settings.refuse("point", "expected at least one point, [\(settings.path).point.NAME], or one output")
        }
        let tables = settings.points + settings.outputs
        for (unit, table) in zip(points.map(\.unit) + outputs.map(\.unit), tables) where (248...254).contains(unit) {
            table.refuse("unit", "expected a whole number from 0 to 247, or 255, found \(unit)")
        }
        refuseSharedAddresses(settings)
    }

    /// What is read as a point is somebody else's to set: a panel's register, above all. And two outputs on one bit would
    /// fight.
    private func refuseSharedAddresses(_ settings: Settings) {
        var users: [ModbusOutput: String] = [:]
        for (output, table) in zip(outputs, settings.outputs) {
            var place = output
            (place.name, place.activeLow) = ("", false)
            if let other = users.updateValue(output.name, forKey: place) {
                table.refuse("register", "the same \(output.table) as output \(other)")
            }
            let point = points.first {
                ($0.unit, $0.table, $0.register) == (output.unit, output.table, output.register)
            }
            if let point {
                table.refuse(
                    "register", "it is read as point \(point.name): what a device says of itself is never written")
            }
        }
        refuseClears(settings)
    }

    /// The coil that clears a latch is nothing else: neither an input nor an output.
    private func refuseClears(_ settings: Settings) {
        for (point, table) in zip(points, settings.points) {
            guard let clear = point.latch?.clear else { continue }
            if let other = outputs.first(where: {
                $0.unit == point.unit && $0.place == .coil && $0.register == clear.register
            }) {
                table.refuse("clear", "coil \(clear.register) is output \(other.name)")
            }
            if let other = points.first(where: {
                $0.unit == point.unit && $0.table == .coil && $0.register == clear.register
            }) {
                table.refuse(
                    "clear", "it is read as point \(other.name): what a device says of itself is never written")
            }
        }
    }

    /// How seldom a supervised loop may be read.
    static let slowestLoop: Duration = .milliseconds(500)

    public var loopFacts: [LoopFacts] { loops.sorted { $0.key < $1.key }.map(\.value.facts) }

    public var notices: [String] { BusBudget(self).warning.map { ["the bus \($0)"] } ?? [] }

    /// The units that are asked for anything.
    var askedUnits: Set<Int> { Set(points.map(\.unit) + outputs.map(\.unit)) }

    /// How long a unit may take to reply.
    func timeout(_ unit: Int) -> Duration {
        if let own = units.numbered[unit]?.timeout { return own }
        return bus.timeoutIsSaid ? bus.timeout : units.other.timeout ?? bus.timeout
    }

    var readLimits: ReadPlan.Limits {
        guard case .serial(let serial) = bus.transport else { return ReadPlan.Limits() }
        return ReadPlan.Limits(timeout: bus.timeout, characterTime: serial.line.characterTime)
    }

    var readBlocks: [ReadBlock] {
        ReadPlan.blocks(points, heartbeats: units.heartbeats(of: askedUnits), limits: readLimits)
    }

    /// What any reply needs: its own time and the request's on the line, and some for the unit to think.
    var shortestPatience: Duration {
        let think = Duration.milliseconds(80)
        guard case .serial(let serial) = bus.transport else { return think }
        let longest = readBlocks.map { BusBudget.characters(of: $0) }.max() ?? 16
        return think + serial.line.characterTime * longest
    }

    public func run(_ host: any Host) throws { try poll(host, clearsLatches: true) }

    /// Reads the units and writes nothing, not even the coils that clear latches: for a host that stores nothing
    /// (`larmnod monitor --alone`). Only for a bus without outputs.
    public func listen(_ host: any Host) throws { try poll(host, clearsLatches: false) }

    private func poll(_ host: any Host, clearsLatches: Bool) throws {
        let link = try ModbusLink(bus)
        var poller = ModbusPoller(self, link, host, clearsLatches: clearsLatches)
        do { try poller.run() } catch is Stopped { poller.switchOff() }
    }

    private static func transport(_ settings: Settings) -> BusSettings.Transport {
        switch (settings.has("port"), settings.has("address")) {
        case (true, true): settings.refuse("address", "port says where the bus is already: remove one of the two")
        case (false, false):
            settings.refuse("port", "expected port, for a serial bus, or address, for Modbus TCP")
            return .network(address: "127.0.0.1", port: 502)
        case (false, true): return network(settings)
        case (true, false): break
        }
        guard let defaultLine = SerialLine("9600 8N1") else { return .network(address: "127.0.0.1", port: 502) }
        let serial = SerialSettings(settings, defaultLine: defaultLine)
        if serial.line.dataBits != 8 { settings.refuse("line", "Modbus RTU needs 8 data bits, as \"9600 8E1\"") }
        return .serial(serial)
    }

    private static func network(_ settings: Settings) -> BusSettings.Transport {
        let expected = "a numeric address and a port, as \"10.0.0.5:502\" or \"[fd00::5]:502\""
        let text = settings.string("address", expected: expected)
        var host = Substring(text)
        var port: Int? = 502
        if let colon = text.lastIndex(of: ":"), text[..<colon].last == "]" || !text[..<colon].contains(":") {
            host = text[..<colon]
            port = Int(text[text.index(after: colon)...])
        }
        if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
        if host == "localhost" { host = "127.0.0.1" }
        guard let port, (1...65_535).contains(port), isNumeric(String(host)) else {
            if !text.isEmpty {
                settings.refuse(
                    "address",
                    "expected \(expected), found \"\(text.prefix(60))\"; a name is not taken, because an alarm must not wait "
                        + "for a name server")
            }
            return .network(address: "127.0.0.1", port: 502)
        }
        return .network(address: String(host), port: port)
    }

    private static func isNumeric(_ host: String) -> Bool {
        var space = in6_addr()
        return inet_pton(AF_INET, host, &space) == 1 || inet_pton(AF_INET6, host, &space) == 1
    }
}

/// The host asked the driver to stop.
struct Stopped: Error {}
