import Foundation
import Testing

@testable import Drivers

private typealias Entries = [(String, SettingNode.Value)]

private func coil(_ unit: Int, _ register: Int, _ more: Entries = []) -> Entries {
    [("unit", .integer(Int64(unit))), ("register", .integer(Int64(register)))] + more
}

private func bit(_ unit: Int, _ register: Int, _ bit: Int) -> Entries {
    coil(unit, register, [("table", .string("holding-register")), ("bit", .integer(Int64(bit)))])
}

private func read(
    _ device: Entries, points tables: [(String, Entries)] = [], outputs: [(String, Entries)]
) throws -> (ModbusDriver, [String]) {
    let outputs = ("output", tableValue(outputs.map { ($0.0, tableValue($0.1)) }))
    let (settings, problems) = table("device.modbus.test", device + [points(tables), outputs])
    let driver = try ModbusDriver(settings)
    settings.refuseUnread()
    return (driver, problems.sorted.map(\.message))
}

private func device(_ port: Int) -> Entries {
    [
        ("address", .string("127.0.0.1:\(port)")), ("interval", .string("50ms")), ("timeout", .string("200ms")),
    ]
}

/// Against pymodbus, over TCP: `extension` of a serial suite would gain nothing, each has a port of its own.
@Suite(.serialized) struct ModbusOutputTests {
    private func driver(
        _ port: Int, points: [(String, Entries)] = [], outputs: [(String, Entries)]
    ) throws -> ModbusDriver {
        let (driver, problems) = try read(device(port), points: points, outputs: outputs)
        try #require(problems.isEmpty, "\(problems)")
        return driver
    }

    private func comesTrue(_ condition: () throws -> Bool) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(10)
        while .now < deadline {
            if try condition() { return true }
            try await Task.sleep(for: .milliseconds(20))
        }
        return try condition()
    }

    @Test func outputsAreWrittenReadBackAndWrittenAgain() async throws {
        let port = try freePort()
        let peer = try ModbusPeer(
            "--tcp", "\(port)", "--set", "1:holding-register:7=0x0F0F", "--set", "1:coil:5=1", "--set", "1:coil:8=1")
        defer { withExtendedLifetime(peer) {} }
        let host = FieldHost()
        host.start(
            try driver(
                port, points: [("door", coil(1, 0, [("table", .string("discrete-input"))]))],
                outputs: [
                    ("relay", coil(1, 6)), ("lamp", coil(1, 7, [("active-low", .boolean(true))])),
                    ("far", coil(1, 20)), ("bit", bit(1, 7, 4)),
                ]))
        #expect(await host.until { $0.last("relay") == .healthy && $0.last("bit") == .healthy })
        func held() throws -> String {
            try [6, 7, 20].map { try peer.say("get 1 coil \($0)") }.joined() + " "
                + peer.say("get 1 holding-register 7")
        }
        #expect(try held() == "010 3855")
        host.turnOn("relay", "lamp", "far", "bit")
        #expect(try await comesTrue { try held() == "101 3871" })
        host.turnOn("relay")
        #expect(try await comesTrue { try held() == "110 3855" })
        // The module was without power: it gets it back.
        try peer.say("set 1 coil 6 0")
        #expect(try await comesTrue { try peer.say("get 1 coil 6") == "1" })
        #expect(host.readings(of: "relay") == [.healthy])
        // What is no output is not touched, neither between two nor beside them.
        #expect(try peer.say("get 1 coil 5") == "1" && peer.say("get 1 coil 8") == "1")
        #expect(try peer.say("written 1") == "15:6+2 22:7 5:20")
        #expect(await host.stop() != nil)
        #expect(try await comesTrue { try held() == "010 3855" })
    }

    @Test func anOutputThatCannotBeDrivenIsAFaultOfItsOwn() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)", "--unit", "1", "--unit", "2")
        defer { withExtendedLifetime(peer) {} }
        try peer.say("protect 1 2")
        try peer.say("stick 2")
        let host = FieldHost()
        host.turnOn("refused", "stuck")
        host.start(
            try driver(
                port, points: [("door", coil(1, 3, [("table", .string("discrete-input"))]))],
                outputs: [("refused", coil(1, 0)), ("stuck", coil(2, 0)), ("other", coil(2, 1))]))
        func fault(_ state: FieldHost.State, _ name: String, _ words: String) -> Bool {
            if case .fault(let why)? = state.last(name) { why.contains(words) } else { false }
        }
        #expect(await host.until { fault($0, "refused", "refuses to set coil 0") })
        #expect(await host.until { fault($0, "stuck", "1 is written and 0 is read back") })
        #expect(await host.until { $0.last("door") == .active(false) && $0.last("other") == .healthy })
        try peer.say("normal 2")
        #expect(await host.until { $0.last("stuck") == .healthy })
        #expect(host.readings(of: "unit-1") == [.healthy] && host.readings(of: "unit-2") == [.healthy])
        _ = await host.stop()
    }

    @Test func coilsThatCannotBeReadAreBelieved() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)")
        defer { withExtendedLifetime(peer) {} }
        try peer.say("hide 1")
        let host = FieldHost()
        host.turnOn("relay")
        host.start(try driver(port, outputs: [("relay", coil(1, 0))]))
        #expect(await host.until { $0.last("relay") == .healthy })
        try peer.say("normal 1")
        #expect(try peer.say("get 1 coil 0") == "1")
        #expect(host.readings(of: "relay") == [.healthy])
        _ = await host.stop()
    }

    @Test func aDeadUnitDelaysNoOtherOutputAndGetsItsOwnBack() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)", "--unit", "1", "--unit", "2")
        defer { withExtendedLifetime(peer) {} }
        try peer.say("silent 2")
        let host = FieldHost()
        host.start(try driver(port, outputs: [("near", coil(1, 0)), ("dead", coil(2, 0))]))
        #expect(await host.until { if case .fault? = $0.last("unit-2") { true } else { false } })
        host.turnOn("near", "dead")
        #expect(try await comesTrue { try peer.say("get 1 coil 0") == "1" })
        #expect(try peer.say("get 2 coil 0") == "0")
        try peer.say("normal 2")
        #expect(await host.until { $0.last("unit-2") == .healthy })
        #expect(try peer.say("get 2 coil 0") == "1")
        _ = await host.stop()
    }

    @Test func outputsAreWrittenWhileNothingCanBeStored() async throws {
        let port = try freePort()
        let peer = try ModbusPeer("--tcp", "\(port)")
        defer { withExtendedLifetime(peer) {} }
        let host = FieldHost()
        host.state.withLock { $0.refusals = 1_000_000 }
        host.turnOn("relay")
        host.start(try driver(port, outputs: [("relay", coil(1, 0))]))
        #expect(await host.until { !$0.log.isEmpty })
        #expect(try peer.say("get 1 coil 0") == "1")
        host.turnOn()
        #expect(try await comesTrue { try peer.say("get 1 coil 0") == "0" })
        _ = await host.stop()
    }

    @Test func writesAreOfOutputsSideBySideOnly() throws {
        let (driver, problems) = try read(
            device(502),
            outputs: [
                ("c", coil(1, 12)), ("a", coil(1, 10)), ("b", coil(1, 11)), ("e", coil(1, 14)), ("d", coil(2, 13)),
                ("x", bit(1, 12, 0)), ("y", bit(1, 12, 1)),
            ])
        #expect(problems == [])
        let blocks = ModbusWriting(driver.outputs).blocks
        #expect(
            blocks.map { "\($0.unit) \($0.place) \($0.start): \($0.outputs)" } == [
                "1 coil 10: [1, 2, 0]", "1 coil 14: [3]", "1 bit(0) 12: [5]", "1 bit(1) 12: [6]", "2 coil 13: [4]",
            ])
    }

    @Test func whatIsWrongIsTold() throws {
        let discrete: Entries = [("table", .string("discrete-input"))]
        let cases: [(points: [(String, Entries)], outputs: [(String, Entries)], words: String)] = [
            ([], [("relay", coil(300, 0))], "a whole number from 0 to 255"),
            ([], [("relay", coil(250, 0))], "0 to 247, or 255"),
            ([], [("relay", coil(1, 0, discrete))], "expected one of \"coil\", \"holding-register\""),
            ([], [("relay", coil(1, 0, [("bit", .integer(1))]))], "a coil is one bit"),
            ([], [("relay", coil(1, 0, [("table", .string("holding-register"))]))], "bit is missing"),
            ([], [("relay", coil(1, 0)), ("lamp", coil(1, 0))], "the same coil as output relay"),
            ([("fire", coil(1, 0, [("table", .string("coil"))]))], [("relay", coil(1, 0))], "is read as point fire"),
            ([("fire", bit(1, 9, 0))], [("relay", bit(1, 9, 3))], "is read as point fire"),
        ]
        for (points, outputs, words) in cases {
            let (_, problems) = try read(device(502), points: points, outputs: outputs)
            #expect(problems.contains { $0.contains(words) }, "\(words): \(problems)")
        }
    }
}
