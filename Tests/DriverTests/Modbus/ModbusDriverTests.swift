import Foundation
import Testing

@testable import Drivers

private typealias Entries = [(String, SettingNode.Value)]

private func input(_ unit: Int, _ register: Int, _ more: Entries = []) -> Entries {
    [("unit", .integer(Int64(unit))), ("table", .string("discrete-input")), ("register", .integer(Int64(register)))]
        + more
}

private func holding(_ unit: Int, _ register: Int, _ more: Entries) -> Entries {
    [("unit", .integer(Int64(unit))), ("table", .string("holding-register")), ("register", .integer(Int64(register)))]
        + more
}

private func driver(_ device: Entries, _ tables: [(String, Entries)]) throws -> ModbusDriver {
    let (settings, problems) = table("device.modbus.test", device + [points(tables)])
    let driver = try ModbusDriver(settings)
    settings.refuseUnread()
    try #require(problems.all.isEmpty, "\(problems.all)")
    return driver
}

private let quick: Entries = [("interval", .string("50ms")), ("timeout", .string("200ms"))]

private func failure(_ host: FieldHost) async -> String {
    guard case .failure(let error)? = await host.outcome(within: .seconds(10)) else {
        return "(the driver did not fail)"
    }
    return error is DeviceError ? "\(error)" : "(not a DeviceError) \(error)"
}

/// Against pymodbus, over TCP.
@Suite(.serialized) struct ModbusTCPTests {
    private func address(_ port: Int) -> Entries { [("address", .string("127.0.0.1:\(port)"))] + quick }

    @Test func presentStateThenEveryChange() async throws {
        let port = try freePort()
        let peer = try ModbusPeer(
            "--tcp", "\(port)", "--set", "1:discrete-input:3=1", "--set", "1:holding-register:7=0x0A01")
        defer { withExtendedLifetime(peer) {} }
        let host = FieldHost()
        host.start(
            try driver(
                address(port),
                [
                    ("door", input(1, 3)), ("window", input(1, 4, [("contact", .string("normally-closed"))])),
                    ("bit", holding(1, 7, [("bit", .integer(11))])),
                    ("detector", holding(1, 7, [("mask", .integer(0xFF00)), ("equals", .integer(0x0A00))])),
                    (
                        "cold",
                        holding(
                            1, 8, [("at-most", .integer(-5)), ("signed", .boolean(true)), ("hysteresis", .integer(2))])
                    ),
                    ("coil", [("unit", .integer(1)), ("table", .string("coil")), ("register", .integer(1023))]),
                    (
                        "level",
                        [
                            ("unit", .integer(1)), ("table", .string("input-register")), ("register", .integer(0)),
                            ("at-least", .integer(40_000)),
                        ]
                    ),
                ]))
        #expect(await host.until { $0.signals.count == 15 })
        for (point, isActive) in [
            ("door", true), ("window", true), ("bit", true), ("detector", true), ("cold", false), ("coil", false),
            ("level", false),
        ] {
            #expect(host.readings(of: point) == [.healthy, .active(isActive)], "\(point)")
        }
        #expect(host.readings(of: "unit-1") == [.healthy])

        try peer.say("set 1 discrete-input 3 0 1")
        try peer.say("set 1 coil 1023 1")
        try peer.say("set 1 input-register 0 40000")
        try peer.say("set 1 holding-register 7 0x0301 -6")
        #expect(await host.until { $0.last("cold") == .active(true) && $0.last("level") == .active(true) })
        #expect(await host.until { $0.last("door") == .active(false) && $0.last("window") == .active(false) })
        #expect(await host.until { $0.last("bit") == .active(false) && $0.last("detector") == .active(false) })
        #expect(await host.until { $0.last("coil") == .active(true) })
        try peer.say("set 1 holding-register 8 -3")
        try await Task.sleep(for: .milliseconds(200))
        #expect(host.readings(of: "cold").last == .active(true))
        try peer.say("set 1 holding-register 8 -2")
        #expect(await host.until { $0.last("cold") == .active(false) })
        #expect(host.state.withLock { $0.answers } > 5)
        let outcome = await host.stop()
        #expect(outcome != nil)
        #expect(throws: Never.self) { try outcome?.get() }
    }

    @Test func aSilentUnitFailsAloneAndComesBack() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)", "--unit", "1", "--unit", "3")
        defer { withExtendedLifetime(peer) {} }
        let host = FieldHost()
        host.start(try driver(address(port), [("door", input(1, 0)), ("pump", input(3, 0))]))
        #expect(await host.until { $0.last("pump") == .active(false) })
        try peer.say("silent 3")
        #expect(
            await host.until {
                if case .fault(let why)? = $0.last("unit-3") { why.contains("no reply within") } else { false }
            },
            "\(host.readings(of: "unit-3"))")
        // The living one is asked at its interval all the same.
        let before = try #require(Int(peer.say("count 1")))
        try await Task.sleep(for: .seconds(2))
        #expect(try #require(Int(peer.say("count 1"))) - before > 10)
        try peer.say("set 3 discrete-input 0 1")
        try peer.say("normal 3")
        #expect(await host.until { $0.last("pump") == .active(true) })
        #expect(host.readings(of: "unit-3").last == .healthy)
        #expect(host.readings(of: "unit-1") == [.healthy])
        _ = await host.stop()
    }

    @Test func aBlockThatIsRefusedIsReadInParts() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)", "--set", "1:holding-register:9=1")
        defer { withExtendedLifetime(peer) {} }
        try peer.say("hole 1 holding-register 4")
        let host = FieldHost()
        let bit: Entries = [("bit", .integer(0))]
        host.start(try driver(address(port), (0..<10).map { ("p\($0)", holding(1, $0, bit)) }))
        #expect(await host.until { $0.last("p9") == .active(true) })
        let isFault = await host.until {
            if case .fault(let why)? = $0.last("p4") {
                why.contains("exception 2") && why.contains("holding-register 4")
            } else {
                false
            }
        }
        #expect(isFault, "\(host.readings(of: "p4"))")
        for point in [0, 1, 2, 3, 5, 6, 7, 8] { #expect(host.readings(of: "p\(point)") == [.healthy, .active(false)]) }
        try peer.say("set 1 holding-register 5 1")
        #expect(await host.until { $0.last("p5") == .active(true) })
        #expect(host.readings(of: "p4").count == 1)
        _ = await host.stop()
    }

    @Test func busyIsNoFault() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)")
        defer { withExtendedLifetime(peer) {} }
        try peer.say("exception 1 6")
        let host = FieldHost()
        let driver = try driver(address(port), [("door", input(1, 0))])
        host.start(driver)
        try await Task.sleep(for: .seconds(1))
        #expect(host.state.withLock { $0.signals } == [])
        #expect(driver.memory.with { $0.units[1]?.trouble } == "it says that it is busy")
        try peer.say("normal 1")
        #expect(await host.until { $0.last("door") == .active(false) })
        _ = await host.stop()
    }

    @Test(arguments: [(4, "p"), (11, "unit-1")]) func exceptionsThatLastAreFaults(code: Int, point: String) async throws
    {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)", "--unit", "1", "--unit", "2")
        defer { withExtendedLifetime(peer) {} }
        try peer.say("exception 1 \(code)")
        let host = FieldHost()
        host.start(try driver(address(port), [("p", input(1, 0)), ("q", input(2, 0))]))
        let isFault = await host.until {
            if case .fault(let why)? = $0.last(point) { why.contains("exception \(code)") } else { false }
        }
        #expect(isFault)
        #expect(host.readings(of: "q") == [.healthy, .active(false)])
        try peer.say("normal 1")
        #expect(await host.until(within: .seconds(15)) { $0.last("p") == .active(false) })
        _ = await host.stop()
    }

    @Test func aResetConnectionIsALostDevice() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)")
        defer { withExtendedLifetime(peer) {} }
        let host = FieldHost()
        host.start(try driver(address(port), [("door", input(1, 0))]))
        #expect(await host.until { $0.last("door") == .active(false) })
        peer.kill()
        let error = await failure(host)
        #expect(error.contains("127.0.0.1:\(port)"), "\(error)")
        let second = FieldHost()
        second.start(try driver(address(port), [("door", input(1, 0))]))
        let refused = await failure(second)
        #expect(refused.contains("cannot connect to 127.0.0.1:\(port): Connection refused"), "\(refused)")
    }

    @Test func whenNoUnitAnswersTheConnectionIsMadeAnew() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)")
        defer { withExtendedLifetime(peer) {} }
        try peer.say("silent 1")
        let host = FieldHost()
        host.start(try driver(address(port), [("door", input(1, 0))]))
        let error = await failure(host)
        #expect(error.contains("no unit answers"), "\(error)")
        #expect(host.readings(of: "unit-1") == [.fault("Modbus unit 1: no reply within 200ms")])
    }

    @Test func aBusThatNeverRestsStillStops() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)")
        defer { withExtendedLifetime(peer) {} }
        let host = FieldHost()
        let device: Entries = [("address", .string("localhost:\(port)")), ("interval", .string("20ms"))]
        host.start(try driver(device, (0..<40).map { ("p\($0)", input(1, $0 * 10)) }))
        #expect(await host.until { $0.last("p39") == .active(false) })
        #expect(await host.stop() != nil)
    }
}

/// Against pymodbus, over two pseudo-terminals.
@Suite(.serialized) struct ModbusRTUTests {
    private func port(_ modem: NullModem) -> Entries {
        [("port", .string(modem.ours)), ("line", .string("19200 8N1"))] + quick
    }

    private func peer(_ modem: NullModem, _ arguments: String...) throws -> ModbusPeer {
        try arguments.isEmpty
            ? ModbusPeer("--rtu", modem.theirs, "--line", "19200 8N1", "--unit", "1", "--unit", "2")
            : ModbusPeer(
                "--rtu", modem.theirs, "--line", "19200 8N1", "--unit", "1", "--unit", "2", "--set", arguments[0])
    }

    @Test func presentStateThenEveryChange() async throws {
        let modem = try NullModem()
        let peer = try peer(modem, "1:discrete-input:3=1")
        defer { withExtendedLifetime((modem, peer)) {} }
        let host = FieldHost()
        host.start(try driver(port(modem), [("door", input(1, 3)), ("pump", holding(2, 9, [("bit", .integer(0))]))]))
        #expect(await host.until { $0.last("door") == .active(true) && $0.last("pump") == .active(false) })
        try peer.say("set 1 discrete-input 3 0")
        try peer.say("set 2 holding-register 9 1")
        #expect(await host.until { $0.last("door") == .active(false) && $0.last("pump") == .active(true) })
        #expect(host.readings(of: "door") == [.healthy, .active(true), .active(false)])
        #expect(await host.stop() != nil)
    }

    /// The reply to the first read comes while the second is asked for, and says "1" where the second would say "0".
    @Test(arguments: ["0.3", "0.5", "0.7"]) func aLateReplyIsNeverTakenForAnother(seconds: String) async throws {
        let modem = try NullModem()
        let peer = try peer(modem, "1:holding-register:0=1")
        defer { withExtendedLifetime((modem, peer)) {} }
        let host = FieldHost()
        let bit: Entries = [("bit", .integer(0))]
        host.start(try driver(port(modem), [("first", holding(1, 0, bit)), ("second", holding(1, 10, bit))]))
        #expect(await host.until { $0.last("second") == .active(false) })
        for _ in 0..<3 {
            try peer.say("late 1 \(seconds)")
            try await Task.sleep(for: .milliseconds(1500))
        }
        #expect(host.readings(of: "first").filter { $0 == .active(false) } == [])
        #expect(host.readings(of: "second").filter { $0 == .active(true) } == [])
        try peer.say("set 1 holding-register 10 1")
        #expect(await host.until { $0.last("second") == .active(true) })
        _ = await host.stop()
    }

    @Test func aSilentUnitFailsAlone() async throws {
        let modem = try NullModem()
        let peer = try peer(modem)
        defer { withExtendedLifetime((modem, peer)) {} }
        let host = FieldHost()
        host.start(try driver(port(modem), [("door", input(1, 0)), ("pump", input(2, 0))]))
        #expect(await host.until { $0.last("pump") == .active(false) })
        try peer.say("silent 2")
        #expect(await host.until { if case .fault? = $0.last("unit-2") { true } else { false } })
        try peer.say("set 1 discrete-input 0 1")
        #expect(await host.until(within: .seconds(2)) { $0.last("door") == .active(true) })
        #expect(host.state.withLock { $0.outcome == nil })
        try peer.say("normal 2")
        #expect(await host.until { $0.last("unit-2") == .healthy })
        _ = await host.stop()
    }

    @Test func anUnpluggedPortIsALostDevice() async throws {
        let modem = try NullModem()
        let peer = try peer(modem)
        defer { withExtendedLifetime((modem, peer)) {} }
        let host = FieldHost()
        host.start(try driver(port(modem), [("door", input(1, 0))]))
        #expect(await host.until { $0.last("door") == .active(false) })
        modem.unplug()
        let error = await failure(host)
        #expect(error.contains(modem.ours), "\(error)")
    }

    @Test func aPortIsForOneOnly() async throws {
        let modem = try NullModem()
        let peer = try peer(modem)
        defer { withExtendedLifetime((modem, peer)) {} }
        let host = FieldHost()
        let second = FieldHost()
        host.start(try driver(port(modem), [("door", input(1, 0))]))
        #expect(await host.until { $0.last("door") == .active(false) })
        second.start(try driver(port(modem), [("door", input(1, 0))]))
        let error = await failure(second)
        #expect(error.contains("is held by"), "\(error)")
        _ = await host.stop()
    }

    /// Whatever comes instead of replies: nothing is believed, nothing ends the driver, and it can be stopped.
    @Test func noiseIsNotBelieved() async throws {
        let modem = try NullModem()
        let descriptor = open(modem.theirs, O_RDWR | O_NOCTTY)
        defer {
            close(descriptor)
            withExtendedLifetime(modem) {}
        }
        let host = FieldHost()
        host.start(try driver(port(modem), [("door", input(1, 0)), ("word", holding(1, 0, [("bit", .integer(0))]))]))
        for round in 0..<40 {
            let noise = (0..<(round * 7 % 300 + 1)).map { UInt8(truncatingIfNeeded: ($0 &+ 1) &* (round &+ 3) &* 37) }
            _ = noise.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            // Frames that begin as a right reply does.
            let begun: [UInt8] = [1, 2, 255, 1, 3, 2, 0, 1, 1, 0x83, 2]
            _ = begun.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            try await Task.sleep(for: .milliseconds(60))
        }
        let isFault = await host.until { if case .fault? = $0.last("unit-1") { true } else { false } }
        #expect(isFault)
        #expect(host.readings(of: "door") == [] && host.readings(of: "word") == [])
        #expect(host.state.withLock { $0.outcome == nil })
        #expect(await host.stop() != nil)
    }
}
