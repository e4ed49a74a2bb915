import Drivers
import Testing

@testable import Gateway

@Suite("Outputs and time limits in a site file, by the real drivers")
struct ConfigurationOutputTests {
    private static let head = """
        [site]
        name = "A"
        account = "4711"
        board = "board"
        [receiver.a]
        address = "127.0.0.1:7700"
        [path.a]
        receiver = "a"
        [device.gpio.c]
        chip = "chip"
        [device.gpio.c.point.smoke]
        terminal = "IN1"
        contact = "normally-open"
        kind = "fire-smoke"

        """

    private func read(_ rest: String) throws -> Result<Site, ConfigurationError> {
        let folder = try Folder()
        try folder.write(
            "boards/board.toml",
            """
            [board]
            name = "B"
            [terminal]
            IN1 = { device = "gpio", chip = "chip", line = "IN1" }
            REL1 = { device = "gpio", chip = "chip", line = "REL1" }
            DO1 = { device = "modbus", unit = 1, table = "coil", register = 3 }
            """)
        return SiteReader.read(
            file: try folder.write("site.toml", Self.head + rest), drivers: ConfigurationExampleTests.drivers)
    }

    @Test("What each output shows, wherever it is")
    func shows() throws {
        let site = try read(
            """
            [device.gpio.c.output.lamp]
            terminal = "REL1"
            shows = "received"
            point = "modbus.m.door"
            [device.gpio.r.output.relay]
            chip = "chip"
            line = 7
            shows = "transmission-fault"
            drive = "pulse"
            [device.modbus.m]
            address = "127.0.0.1:502"
            [device.modbus.m.point.door]
            unit = 1
            table = "discrete-input"
            register = 3
            kind = "burglary"
            [device.modbus.m.output.follow]
            terminal = "DO1"
            shows = "point"
            point = "gpio.c.smoke"
            [device.modbus.m.output.test]
            unit = 1
            register = 4
            shows = "test-mode"
            [device.modbus.m.output.trouble]
            unit = 1
            table = "holding-register"
            register = 4
            bit = 0
            shows = "trouble"
            """
        ).get()
        #expect(
            site.outputs.map { "\($0.name) \($0.describedShowing)" } == [
                "gpio.c.lamp received modbus.m.door", "gpio.r.relay transmission-fault",
                "modbus.m.follow point gpio.c.smoke", "modbus.m.test test-mode", "modbus.m.trouble trouble",
            ])
    }

    @Test("A fire has 100 s for its acknowledgement, anything else none, unless it says so")
    func limits() throws {
        let site = try read(
            """
            [device.gpio.c.point.heat]
            line = "A"
            contact = "normally-open"
            kind = "fire-heat"
            received-within = "240s"
            [device.gpio.c.point.door]
            line = "B"
            contact = "normally-open"
            kind = "burglary"
            [device.gpio.c.point.panic]
            line = "C"
            contact = "normally-open"
            kind = "panic"
            received-within = "30s"
            """
        ).get()
        #expect(site.points.map(\.receivedWithin) == [.seconds(100), .seconds(240), nil, .seconds(30)])
    }

    @Test("At most 64 on a device")
    func most() throws {
        func outputs(_ count: Int) -> String {
            (0..<count).map { "[device.gpio.r.output.o\($0)]\nchip = \"chip\"\nline = \($0)\nshows = \"trouble\"\n" }
                .joined()
        }
        #expect(try read(outputs(64)).get().outputs.count == 64)
        guard case .failure(let error) = try read(outputs(65)) else {
            Issue.record("65 were taken")
            return
        }
        #expect(error.description.contains("device.gpio.r.output: expected at most 64, found 65"), "\(error)")
    }

    @Test("A Modbus output is never what a point is read from")
    func neverAPanel() throws {
        guard
            case .failure(let error) = try read(
                """
                [device.modbus.m]
                address = "127.0.0.1:502"
                [device.modbus.m.point.fire]
                unit = 1
                table = "holding-register"
                register = 100
                bit = 11
                kind = "fire"
                [device.modbus.m.output.reset]
                unit = 1
                table = "holding-register"
                register = 100
                bit = 15
                shows = "point"
                point = "modbus.m.fire"
                """)
        else {
            Issue.record("it was taken")
            return
        }
        #expect(error.description.contains("it is read as point fire"), "\(error)")
    }
}
