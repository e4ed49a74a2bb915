import Foundation
import Testing

@testable import Drivers

private typealias Entries = [(String, SettingNode.Value)]

/// Latches, counters and heartbeats against pymodbus.
@Suite(.serialized) struct ModbusPulseTests {
    private let quick: Entries = [("interval", .string("50ms")), ("timeout", .string("200ms"))]

    private func driver(_ line: Entries, unit: Entries, _ tables: [(String, Entries)]) throws -> ModbusDriver {
        let units: Entries = unit.isEmpty ? [] : [("unit", tableValue([("1", tableValue(unit))]))]
        let (settings, problems) = table("device.modbus.test", line + quick + units + [points(tables)])
        let driver = try ModbusDriver(settings)
        try #require(problems.all.isEmpty, "\(problems.all)")
        return driver
    }

    private func network(_ port: Int) -> Entries { [("address", .string("127.0.0.1:\(port)"))] }
    private let module: Entries = [("profile", .string("icp-das-m-7050"))]

    private func input(_ terminal: String, _ more: Entries = []) -> Entries {
        [("unit", .integer(1)), ("terminal", .string(terminal)), ("text", .string(terminal))] + more
    }

    private func comesTrue(_ condition: () throws -> Bool) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(10)
        while .now < deadline {
            if try condition() { return true }
            try await Task.sleep(for: .milliseconds(20))
        }
        return try condition()
    }

    /// Over both kinds of bus: the pulse is over before anybody reads the input, and is told once, then cleared.
    @Test(arguments: [false, true]) func aLatchedPulseIsToldOnceAndClearedAfterwards(isSerial: Bool) async throws {
        let modem = try isSerial ? NullModem() : nil
        let port = try freePort()
        let peer =
            try modem.map { try ModbusPeer("--rtu", $0.theirs, "--line", "19200 8N1") }
            ?? ModbusPeer("--tcp", "\(port)")
        defer { withExtendedLifetime((modem, peer)) {} }
        try peer.say("clears 1 263 64 64")
        let line: Entries =
            modem.map { [("port", .string($0.ours)), ("line", .string("19200 8N1"))] } ?? network(port)
        let host = FieldHost()
        let nc: Entries = [("contact", .string("normally-closed"))]
        try peer.say("set 1 discrete-input 1 1")
        host.start(try driver(line, unit: module, [("a", input("DI0")), ("b", input("DI1", nc))]))
        #expect(await host.until { $0.last("b") == .active(false) && $0.last("a") == .active(false) })
        #expect(try peer.say("written 1") == "", "nothing is cleared that is not set")
        for round in 1...3 {
            try peer.say("set 1 coil 64 1")
            #expect(await host.until { $0.signals.count { $0.point == "a" && $0.reading == .active(true) } == round })
            #expect(try await comesTrue { try peer.say("get 1 coil 64") == "0" })
        }
        try peer.say("set 1 coil 97 1")
        #expect(await host.until { $0.signals.contains { $0.point == "b" && $0.reading == .active(true) } })
        #expect(try await comesTrue { try peer.say("get 1 coil 97") == "0" })
        // And one that lasts: told when it comes, and not again by its latch.
        try peer.say("set 1 coil 64 1")
        try peer.say("set 1 discrete-input 0 1")
        try await Task.sleep(for: .milliseconds(300))
        try peer.say("set 1 discrete-input 0 0")
        #expect(try await comesTrue { try peer.say("get 1 coil 64") == "0" })
        try await Task.sleep(for: .milliseconds(300))
        let pulse: [Signal.Reading] = [.active(true), .active(false)]
        #expect(host.readings(of: "a") == [.healthy, .active(false)] + pulse + pulse + pulse + pulse)
        #expect(host.readings(of: "b") == [.healthy, .active(false)] + pulse)
        let words = host.state.withLock { $0.signals.first { $0.point == "a" && $0.reading == .active(true) }?.text }
        #expect(words == "DI0 (pulse between two readings)")
        #expect(try peer.say("written 1") == "5:263")
        _ = await host.stop()
    }

    @Test func nothingIsClearedBeforeItIsStoredAndNothingIsLost() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)")
        defer { withExtendedLifetime(peer) {} }
        try peer.say("clears 1 263 64 64")
        let host = FieldHost()
        let driver = try driver(network(port), unit: module, [("a", input("DI0"))])
        host.start(driver)
        #expect(await host.until { $0.last("a") == .active(false) })
        host.state.withLock { $0.refusals = 2 }
        try peer.say("set 1 coil 64 1")
        #expect(await host.until { $0.log.contains { $0.contains("could not be stored") } })
        #expect(try peer.say("get 1 coil 64") == "1" && peer.say("written 1") == "")
        #expect(await host.until { $0.last("a") == .active(false) && $0.signals.count == 5 })
        #expect(try await comesTrue { try peer.say("get 1 coil 64") == "0" })
        // Larmnod goes while the disk is full: the pulse is told after the start.
        host.state.withLock { $0.refusals = 1_000_000 }
        try peer.say("set 1 coil 64 1")
        let before = host.state.withLock { $0.log.count }
        #expect(await host.until { $0.log.count > before })
        _ = await host.stop()
        #expect(try peer.say("get 1 coil 64") == "1")
        let second = FieldHost()
        second.start(try self.driver(network(port), unit: module, [("a", input("DI0"))]))
        #expect(await second.until { $0.last("a") == .active(false) })
        #expect(second.readings(of: "a") == [.healthy, .active(true), .active(false)])
        let words = second.state.withLock { $0.signals.first { $0.reading == .active(true) }?.text }
        #expect(words == "DI0 (pulse while it was not read)")
        #expect(try await comesTrue { try peer.say("get 1 coil 64") == "0" })
        _ = await second.stop()
    }

    /// Nobody stores what is only listened to: the latch keeps the pulse for larmnod.
    @Test func whoOnlyListensClearsNoLatch() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)")
        defer { withExtendedLifetime(peer) {} }
        try peer.say("clears 1 263 64 64")
        let driver = try driver(network(port), unit: module, [("a", input("DI0"))])
        let host = FieldHost()
        host.start(Listening(driver))
        #expect(await host.until { $0.last("a") == .active(false) })
        try peer.say("set 1 coil 64 1")
        #expect(await host.until { $0.signals.contains { $0.point == "a" && $0.reading == .active(true) } })
        try peer.say("set 1 discrete-input 0 1")
        #expect(await host.until { $0.last("a") == .active(true) })
        try peer.say("set 1 discrete-input 0 0")
        #expect(await host.until { $0.last("a") == .active(false) })
        #expect(try peer.say("get 1 coil 64") == "1" && peer.say("written 1") == "")
        #expect(await host.stop() != nil)
    }

    /// A driver's `listen` in the place of its `run`.
    private struct Listening: Driver {
        static let name = "listening"
        let bus: ModbusDriver
        init(_ bus: ModbusDriver) { self.bus = bus }
        init(_ settings: Settings) throws { bus = try ModbusDriver(settings) }
        func run(_ host: any Drivers.Host) throws { try bus.listen(host) }
    }

    @Test func aLatchThatDoesNotClearIsAFault() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)")
        defer { withExtendedLifetime(peer) {} }
        let host = FieldHost()
        host.start(try driver(network(port), unit: module, [("a", input("DI0"))]))
        #expect(await host.until { $0.last("a") == .active(false) })
        try peer.say("set 1 coil 64 1")
        let isFault = await host.until {
            if case .fault(let why)? = $0.last("a") { why.contains("its latch stays set") } else { false }
        }
        #expect(isFault)
        // It is read all the same.
        try peer.say("set 1 discrete-input 0 1")
        #expect(await host.until { $0.last("a") == .active(true) })
        // The pulse; once more, because the latch may have been set anew; and what was seen.
        #expect(host.readings(of: "a").count { $0 == .active(true) } == 3)
        try peer.say("clears 1 263 64 64")
        try peer.say("set 1 discrete-input 0 0")
        #expect(await host.until { $0.last("a") == .healthy })
        _ = await host.stop()
    }

    @Test func everyCountedPulseIsTold() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)", "--set", "1:input-register:0=65535")
        defer { withExtendedLifetime(peer) {} }
        let host = FieldHost()
        let driver = try driver(
            network(port), unit: module, [("a", input("DI0", [("pulses", .string("counter"))]))])
        host.start(driver)
        #expect(await host.until { $0.last("a") == .active(false) })
        #expect(host.readings(of: "a") == [.healthy, .active(false)], "what was counted before is no news")
        try peer.say("set 1 input-register 0 2")
        #expect(await host.until { $0.signals.count { $0.reading == .active(true) } == 3 })
        // The bus is opened anew: counting goes on from what is on disk.
        _ = await host.stop()
        try peer.say("set 1 input-register 0 4")
        let second = FieldHost()
        second.start(driver)
        #expect(await second.until { $0.signals.count { $0.reading == .active(true) } == 2 })
        try peer.say("set 1 input-register 0 40")
        #expect(await second.until { $0.signals.count { $0.reading == .active(true) } == 12 })
        #expect(
            second.state.withLock { $0.signals.contains { $0.text == "DI0 (36 pulses between two readings, 10 told)" } }
        )
        #expect(try peer.say("written 1") == "")
        _ = await second.stop()
    }

    @Test func aPanelIsOnlyReadAndWhatIsNotProgrammedIsAFault() async throws {
        let port = try freePort()
        let peer = try ModbusPeer(
            "--tcp", "\(port)", "--set", "1:holding-register:4=0x0410", "--set", "1:holding-register:5=0xFFFF")
        defer { withExtendedLifetime(peer) {} }
        let host = FieldHost()
        host.start(
            try driver(
                network(port),
                unit: [
                    ("profile", .string("notifier-modbus-gw")), ("heartbeat", .string("input-register 9")),
                    ("heartbeat-within", .string("1s")),
                ],
                [
                    ("fire", input("loop 1 detector 5 fire")), ("trouble", input("loop 1 detector 5 trouble")),
                    ("none", input("L1D6")),
                ]))
        #expect(await host.until { $0.last("fire") == .active(false) && $0.last("trouble") == .active(false) })
        let isFault = await host.until {
            if case .fault(let why)? = $0.last("none") { why.contains("nothing programmed") } else { false }
        }
        #expect(isFault)
        try peer.say("set 1 holding-register 4 0x2C10")
        #expect(await host.until { $0.last("fire") == .active(true) && $0.last("trouble") == .active(true) })
        let stands = await host.until {
            if case .fault(let why)? = $0.last("unit-1-heartbeat") {
                why.contains("has stood at 0 for 1s")
            } else {
                false
            }
        }
        #expect(stands)
        try peer.say("set 1 input-register 9 1")
        #expect(await host.until { $0.last("unit-1-heartbeat") == .healthy })
        try peer.say("set 1 holding-register 5 0x0C10")
        #expect(await host.until { $0.last("none") == .active(true) })
        #expect(try peer.say("written 1") == "")
        _ = await host.stop()
    }

    /// Four units on a serial line, one silent for a while: how far apart the others' polls came is reported; what is
    /// checked is only what does not depend on this machine's speed.
    @Test func oneSilentOfFourOnALine() async throws {
        let modem = try NullModem()
        let peer = try ModbusPeer(
            "--rtu", modem.theirs, "--line", "9600 8N1", "--unit", "1", "--unit", "2", "--unit", "3", "--unit", "4")
        defer { withExtendedLifetime((modem, peer)) {} }
        let (settings, problems) = table(
            "device.modbus.test",
            [
                ("port", .string(modem.ours)),
                points(
                    (1...4).map { unit in
                        (
                            "p\(unit)",
                            [
                                ("unit", .integer(Int64(unit))), ("table", .string("discrete-input")),
                                ("register", .integer(0)),
                            ]
                        )
                    }),
            ])
        let driver = try ModbusDriver(settings)
        try #require(problems.all.isEmpty)
        let host = FieldHost()
        host.start(driver)
        #expect(await host.until { state in (1...4).allSatisfy { state.last("p\($0)") == .active(false) } })
        driver.memory.with { $0.units = [:] }
        let began = ContinuousClock.now
        try peer.say("silent 3")
        let isDead = await host.until { if case .fault? = $0.last("unit-3") { true } else { false } }
        #expect(isDead)
        let seconds = ProcessInfo.processInfo.environment["LARMNOD_LONG_TESTS"] == nil ? 8 : 60
        try await Task.sleep(for: .seconds(seconds))
        let figures = driver.memory.with { $0.units }
        for unit in [1, 2, 4] {
            let seen = try #require(figures[unit])
            print("unit \(unit): \(seen.polls) polls, longest gap \(seen.longestGap.milliseconds) ms of 2 x 250 ms")
            #expect(seen.failures == 0 && seen.trouble == nil)
            // No burst: what was late is not made up for.
            #expect(seen.polls <= Int((.now - began) / .milliseconds(250)) + 2)
        }
        #expect(figures[3]?.isDead == true)
        try peer.say("set 3 discrete-input 0 1")
        try peer.say("normal 3")
        #expect(await host.until(within: .seconds(70)) { $0.last("p3") == .active(true) })
        _ = await host.stop()
    }
}

/// Supervised loops on a module's analogue inputs.
@Suite(.serialized) struct ModbusLoopTests {
    private func settings(_ port: Int, _ more: Entries = []) -> (Settings, Problems) {
        table(
            "device.modbus.test",
            [
                ("address", .string("127.0.0.1:\(port)")), ("interval", .string("50ms")),
                ("unit", tableValue([("1", tableValue([("profile", .string("icp-das-m-7017"))]))])),
                points([
                    (
                        "gate",
                        [
                            ("unit", .integer(1)), ("terminal", .string("AI2")),
                            (
                                "end-of-line",
                                tableValue([
                                    ("full-scale", .integer(10_000)), ("pull-up", .integer(1000)),
                                    ("normal", .integer(1000)),
                                    ("alarm", .integer(2000)),
                                ])
                            ),
                        ] + more
                    )
                ]),
            ])
    }

    @Test func alarmCutAndShortAreToldApart() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)", "--set", "1:input-register:2=5000")
        defer { withExtendedLifetime(peer) {} }
        let (settings, problems) = settings(port)
        let driver = try ModbusDriver(settings)
        settings.refuseUnread()
        // What every point has in common is read elsewhere.
        try #require(problems.all.isEmpty, "\(problems.all)")
        let host = FieldHost()
        host.start(driver)
        #expect(await host.until { $0.last("gate") == .active(false) })
        try peer.say("set 1 input-register 2 6667")
        #expect(await host.until { $0.last("gate") == .active(true) })
        try peer.say("set 1 input-register 2 9990")
        #expect(await host.until { $0.last("gate-tamper") == .active(true) })
        #expect(host.readings(of: "gate").last == .active(true), "a cut hides the contact")
        try peer.say("set 1 input-register 2 5000")
        #expect(await host.until { $0.last("gate-tamper") == .active(false) && $0.last("gate") == .active(false) })
        try peer.say("set 1 input-register 2 3")
        #expect(await host.until { $0.last("gate-tamper") == .active(true) })
        #expect(host.readings(of: "gate").count { $0 == .active(true) } == 1)
        _ = await host.stop()
    }

    @Test func aLoopHasNoOtherRule() throws {
        for more: Entries in [
            [("bit", .integer(1))], [("contact", .string("normally-closed"))], [("counter", .string("coil 1"))],
        ] {
            let (settings, problems) = settings(502, more)
            _ = try ModbusDriver(settings)
            #expect(!problems.all.isEmpty, "\(more)")
        }
    }
}
