import Testing

@testable import Drivers

@Suite struct ModbusSettingsTests {
    private typealias Entries = [(String, SettingNode.Value)]
    private let tcp: Entries = [("address", .string("10.0.0.5:502"))]
    private let door: Entries = [
        ("unit", .integer(1)), ("table", .string("discrete-input")), ("register", .integer(0)),
    ]

    private func read(_ device: Entries, _ point: Entries) throws -> (ModbusDriver, [String]) {
        let (settings, problems) = table("device.modbus.plc", device + [points([("door", point)])])
        let driver = try ModbusDriver(settings)
        settings.refuseUnread()
        return (driver, problems.sorted.map(\.message))
    }

    private func register(_ more: Entries) -> Entries {
        [("unit", .integer(1)), ("table", .string("holding-register")), ("register", .integer(7))] + more
    }

    @Test(arguments: [
        ("10.0.0.5:502", "10.0.0.5", 502), ("10.0.0.5:1502", "10.0.0.5", 1502), ("10.0.0.5", "10.0.0.5", 502),
        ("[fd00::5]:1502", "fd00::5", 1502), ("fd00::5", "fd00::5", 502), ("localhost:5020", "127.0.0.1", 5020),
    ]) func addresses(text: String, host: String, port: Int) throws {
        let (driver, problems) = try read([("address", .string(text))], door)
        #expect(problems == [])
        #expect(driver.bus.transport == .network(address: host, port: port))
    }

    @Test(arguments: [
        "plc.example.se:502", "10.0.0.5:0", "10.0.0.5:65536", "10.0.0.5:", ":502", "10.0.0:x", "[", "]:5",
    ])
    func wrongAddresses(text: String) throws {
        let (_, problems) = try read([("address", .string(text))], door)
        #expect(problems.count == 1 && problems[0].contains("expected a numeric address and a port"), "\(problems)")
    }

    @Test func serial() throws {
        let (driver, problems) = try read([("port", .string("/dev/ttyS9")), ("line", .string("19200 8E1"))], door)
        #expect(problems == [])
        guard case .serial(let serial) = driver.bus.transport else {
            Issue.record("not serial: \(driver.bus)")
            return
        }
        #expect(serial.path == "/dev/ttyS9" && serial.line.description == "19200 8E1")
        #expect(driver.bus.timeout == .milliseconds(500) && driver.interval == .milliseconds(250))
    }

    @Test func rules() throws {
        let cases: [(Entries, ModbusPoint.Rule)] = [
            ([("bit", .integer(15))], .bit(15)), ([("equals", .integer(3))], .equals(3, mask: 0xFFFF)),
            ([("mask", .integer(0xF0))], .any(mask: 0xF0)),
            ([("mask", .integer(0xF0)), ("equals", .integer(0x30))], .equals(0x30, mask: 0xF0)),
            ([("equals", .integer(-1)), ("signed", .boolean(true))], .equals(0xFFFF, mask: 0xFFFF)),
            ([("at-least", .integer(9)), ("hysteresis", .integer(2))], .atLeast(9, hysteresis: 2)),
            ([("at-most", .integer(-9)), ("signed", .boolean(true))], .atMost(-9, hysteresis: 0)),
        ]
        for (entries, rule) in cases {
            let (driver, problems) = try read(tcp, register(entries))
            #expect(problems == [] && driver.points.map(\.rule) == [rule], "\(rule): \(problems)")
        }
    }

    @Test func whatIsWrongIsTold() throws {
        let rtu: Entries = [("port", .string("/dev/ttyS9"))]
        let cases: [(Entries, Entries, String)] = [
            ([], door, "expected port, for a serial bus, or address"),
            (tcp + rtu, door, "remove one of the two"),
            (rtu + [("line", .string("9600 7E1"))], door, "Modbus RTU needs 8 data bits"),
            (tcp + [("timeout", .string("2s"))], door, "a time from 50ms to 1s"),
            (tcp, door + [("bit", .integer(0))], "is one bit: remove bit"),
            (
                tcp, door + [("contact", .string("normally-closed")), ("invert", .boolean(true))],
                "contact says it already"
            ),
            (tcp, register([]), "a register needs one of bit"),
            (tcp, register([("bit", .integer(1)), ("at-least", .integer(1))]), "found bit, at-least"),
            (tcp, register([("bit", .integer(16))]), "a whole number from 0 to 15, found 16"),
            (tcp, register([("bit", .integer(1)), ("hysteresis", .integer(1))]), "goes with at-least or at-most"),
            (tcp, register([("mask", .integer(1)), ("equals", .integer(2))]), "it can never be equal"),
            (tcp, register([("at-least", .integer(-1))]), "from 0 to 65535, found -1"),
            (tcp, [("unit", .integer(250))] + door.dropFirst(), "0 to 247, or 255, found 250"),
            (rtu, [("unit", .integer(0))] + door.dropFirst(), "from 1 to 247, found 0"),
            (tcp, [("register", .integer(65_536))] + door.prefix(2), "from 0 to 65535, found 65536"),
            (tcp, door + [("registre", .integer(1))], "did you mean \"register\"?"),
        ]
        for (device, point, words) in cases {
            let (_, problems) = try read(device, point)
            #expect(problems.contains { $0.contains(words) }, "\(words): \(problems)")
        }
    }
}
