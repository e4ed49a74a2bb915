import Foundation
import Testing

@testable import Drivers

private typealias Entries = [(String, SettingNode.Value)]

@Suite struct ModbusProfileTests {
    private let tcp: Entries = [("address", .string("10.0.0.5:502"))]

    private func read(
        unit: Entries, points tables: [(String, Entries)] = [], outputs: [(String, Entries)] = [], device: Entries = []
    ) throws -> (ModbusDriver, [String]) {
        let units: Entries = unit.isEmpty ? [] : [("unit", tableValue([("3", tableValue(unit))]))]
        let (settings, problems) = table(
            "device.modbus.cellar",
            tcp + device + units + [points(tables), ("output", tableValue(outputs.map { ($0.0, tableValue($0.1)) }))])
        let driver = try ModbusDriver(settings)
        settings.refuseUnread()
        return (driver, problems.sorted.map(\.message))
    }

    private func terminal(_ name: String, _ more: Entries = []) -> Entries {
        [("unit", .integer(3)), ("terminal", .string(name))] + more
    }

    private func profile(_ name: String) -> Entries { [("profile", .string(name))] }

    @Test func everyTerminalOfEveryProfileIsFoundByItsNameAndLiesWithinTheTable() {
        #expect(Set(ModbusProfile.all.map(\.name)).count == ModbusProfile.all.count)
        for profile in ModbusProfile.all {
            #expect(!profile.source.isEmpty)
            #expect(
                profile.role == .module || profile.outputs.isEmpty, "\(profile.name): a panel has no outputs of ours")
            for row in profile.inputs + profile.outputs {
                for number in [row.numbers.lowerBound, row.numbers.upperBound] {
                    let terminal = row.terminal(number)
                    #expect((0...65_535).contains(terminal.register), "\(profile.name) \(row.listed)")
                    for name in row.names {
                        let name = name.replacingOccurrences(of: "%", with: "\(number)")
                        let isOutput = profile.outputs.contains(row)
                        #expect(profile.terminal(name, output: isOutput) == terminal, "\(profile.name) \(name)")
                    }
                }
            }
            // No two terminals of a name: every name is of one row.
            let names = (profile.inputs.flatMap(\.names)) + []
            #expect(Set(names).count == names.count, "\(profile.name)")
        }
    }

    @Test(arguments: [
        ("icp-das-m-7050", "DI3", "discrete-input", 3), ("waveshare-modbus-rtu-io-8ch", "DI8", "discrete-input", 7),
        ("adam-4051", "DI15", "coil", 15), ("adam-4150", "DI6", "holding-register", 300),
        ("adam-6050", "DI11", "coil", 11), ("moxa-iologik-e1210", "DI15", "discrete-input", 15),
        ("seneca-z-d-in", "IN5", "holding-register", 1), ("hardwario-gauger", "IN4", "holding-register", 5311),
        ("wago-750", "DI1", "discrete-input", 0), ("notifier-modbus-gw", "loop 1 detector 5", "holding-register", 4),
        ("notifier-modbus-gw", "L10M159", "holding-register", 3958),
        ("notifier-cgw-mb", "loop 2 module 300 trouble", "holding-register", 1199),
        ("notifier-cgw-mb", "panel silenced", "holding-register", 20_000),
        ("notifier-cgw-mb", "system trouble", "holding-register", 59_999),
        ("notifier-cgw-mb", "system trouble word 100", "holding-register", 60_099),
        ("notifier-modbus-gw", "L1M1", "holding-register", 200),
        ("notifier-modbus-gw", "bell 1", "holding-register", 9409),
        ("notifier-modbus-gw", "panel silenced", "holding-register", 9499),
        ("siemens-fc20", "area 1", "discrete-input", 17_000), ("siemens-fc20", "control 2", "discrete-input", 18_001),
        ("siemens-fc20", "hardware 1 fault", "discrete-input", 20_000),
        ("siemens-fc20", "power supply 1 fault", "discrete-input", 32_000),
        ("siemens-fc20", "power supply 1 emergency power", "discrete-input", 33_000),
        ("rtk-smartalarm", "contact 1", "coil", 0), ("rtk-smartalarm", "disabled 1", "coil", 20),
        ("adam-4055", "DI0", "coil", 0), ("waveshare-modbus-rtu-relay-d", "IN1", "discrete-input", 0),
        ("siemens-fc20", "hardware 1 alarm", "discrete-input", 19_000), ("rtk-smartalarm", "alarm 8", "coil", 17),
    ]) func places(name: String, terminal: String, table: String, register: Int) throws {
        let (driver, problems) = try read(unit: profile(name), points: [("p", self.terminal(terminal))])
        #expect(problems == [])
        let point = try #require(driver.points.first)
        #expect(point.table.description == table && point.register == register)
    }

    /// Whatever is asked of a panel without a published map, nothing of it is ever written.
    @Test(arguments: ["notifier-sib600", "carrier-zp2", "aritech-2x", "polon-alfa-3000", "fire-panel"])
    func panelsWithAMapOfTheirOwnAreOnlyRead(name: String) throws {
        let output: Entries = [("unit", .integer(3)), ("register", .integer(0))]
        let register: Entries = [
            ("unit", .integer(3)), ("table", .string("holding-register")), ("register", .integer(9)),
            ("bit", .integer(1)),
        ]
        let (driver, problems) = try read(unit: profile(name), points: [("p", register)], outputs: [("o", output)])
        #expect(problems.count == 1 && problems[0].contains("nothing is ever written to it"), "\(problems)")
        #expect(driver.timeout(3) == .seconds(1))
    }

    @Test func whatCatchesPulses() throws {
        let (driver, problems) = try read(
            unit: profile("icp-das-m-7050"),
            points: [
                ("a", terminal("DI0")), ("b", terminal("DI1", [("contact", .string("normally-closed"))])),
                ("c", terminal("DI2", [("pulses", .string("counter"))])),
                ("d", terminal("DI3", [("pulses", .string("level"))])),
            ])
        #expect(problems == [])
        #expect(driver.points.map { $0.latch?.place.description } == ["coil 64", "coil 97", nil, nil])
        #expect(driver.points.map { $0.latch?.clear.register } == [263, 263, nil, nil])
        #expect(driver.points.map { $0.counter?.place.description } == [nil, nil, "input-register 2", nil])
        let (adam, adamProblems) = try read(
            unit: profile("adam-6050"),
            points: [("a", terminal("DI2")), ("b", terminal("DI3", [("pulses", .string("latch"))]))])
        #expect(adamProblems == [])
        #expect(adam.points[0].latch == nil && adam.points[0].counter == nil)
        #expect(
            adam.points[1].latch
                == ModbusLatch(place: .init(table: .coil, register: 47), clear: .init(register: 47, value: false)))
        let (byHand, handProblems) = try read(
            unit: [],
            points: [
                (
                    "a",
                    [
                        ("unit", .integer(3)), ("table", .string("coil")), ("register", .integer(1)),
                        ("latch", .string("coil 9")), ("clear", .string("coil 10 = 0")),
                    ]
                ),
                (
                    "b",
                    [
                        ("unit", .integer(3)), ("table", .string("coil")), ("register", .integer(2)),
                        ("counter", .string("input-register 4")), ("counter-bits", .integer(32)),
                        ("counter-words", .string("low-first")), ("counter-edge", .string("falling")),
                    ]
                ),
            ])
        #expect(handProblems == [])
        #expect(byHand.points[0].latch?.clear == ModbusClear(register: 10, value: false))
        #expect(
            byHand.points[1].counter
                == ModbusCounter(
                    place: .init(table: .inputRegister, register: 4), words: 2, lowFirst: true, countsFalls: true))
    }

    @Test func aProfileGivesItsTimeoutUnlessAnotherIsSaid() throws {
        let point = ("p", terminal("L1D1"))
        #expect(try read(unit: profile("notifier-modbus-gw"), points: [point]).0.timeout(3) == .seconds(1))
        let own = profile("notifier-modbus-gw") + [("timeout", .string("700ms"))]
        #expect(try read(unit: own, points: [point]).0.timeout(3) == .milliseconds(700))
        #expect(
            try read(unit: [], points: [point], device: profile("notifier-modbus-gw")).0.timeout(3) == .seconds(1))
    }

    @Test func whatIsWrongIsTold() throws {
        let coil: Entries = [("unit", .integer(3)), ("table", .string("coil")), ("register", .integer(1))]
        let cases: [(unit: Entries, points: [(String, Entries)], outputs: [(String, Entries)], words: String)] = [
            (profile("icp-das-m7050"), [("p", coil)], [], "did you mean \"icp-das-m-7050\"?"),
            (profile("teletek"), [("p", coil)], [], "there is no profile \"teletek\"; there is waveshare"),
            (
                profile("icp-das-m-7050"), [("p", terminal("DI7"))], [],
                "unit 3, ICP DAS M-7050, has no input \"DI7\"; it has DI0 to DI6"
            ),
            (profile("icp-das-m-7050"), [("p", terminal("DO1"))], [], "has no input \"DO1\", it is an output"),
            (
                profile("icp-das-m-7050"), [], [("o", terminal("DI1"))],
                "has no output \"DI1\"; it has DO0 to DO7"
            ),
            (
                profile("icp-das-m-7050"), [("p", terminal("DI1", [("register", .integer(4))]))], [],
                "terminal says it already"
            ),
            (
                profile("icp-das-m-7050"), [("p", terminal("DI1", [("bit", .integer(4))]))], [],
                "terminal says it already"
            ),
            (
                profile("icp-das-m-7050"), [("p", terminal("DI1", [("latch", .string("coil 1"))]))], [],
                "terminal says it"
            ),
            (
                profile("rtk-smartalarm"),
                [("p", coil + [("latch", .string("coil 2")), ("clear", .string("coil 3"))])],
                [], "is a fire panel, RTK (Eaton) SmartAlarm annunciator: nothing is ever written to it"
            ),
            (
                profile("notifier-cgw-mb"), [("p", terminal("L1D1"))],
                [("o", [("unit", .integer(3)), ("register", .integer(0))])],
                "is a fire panel, Notifier CLSS gateway CGW-MB: nothing is ever written to it"
            ),
            ([], [("p", coil + [("latch", .string("coil 2"))])], [], "a latch needs clear"),
            (
                [], [("p", coil + [("latch", .string("coil 2")), ("clear", .string("holding-register 3"))])], [],
                "expected the coil that clears the latch"
            ),
            ([], [("p", coil + [("counter-bits", .integer(32))])], [], "it goes with counter"),
            (
                [], [("p", coil + [("counter", .string("input-register 2")), ("counter-bits", .integer(24))])], [],
                "expected 16 or 32, found 24"
            ),
            (
                [], [("p", coil + [("latch", .string("coil 2")), ("clear", .string("coil 3"))])],
                [("o", [("unit", .integer(3)), ("register", .integer(3))])], "coil 3 is output o"
            ),
            ([("heartbeat", .string("holding 3"))], [("p", coil)], [], "expected a table and an address from 0"),
            ([("heartbeat-within", .string("3s"))], [("p", coil)], [], "it goes with heartbeat"),
            ([("profil", .string("x"))], [("p", coil)], [], "did you mean \"profile\"?"),
        ]
        for (unit, points, outputs, words) in cases {
            let (_, problems) = try read(unit: unit, points: points, outputs: outputs)
            #expect(problems.contains { $0.contains(words) }, "\(words): \(problems)")
        }
    }

    /// The table that a technician reads says what the code does.
    @Test func profilesAreListedAsTheyAre() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("Sources/Drivers/Modbus/profiles.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let expected = ModbusProfile.document
        if text != expected, ProcessInfo.processInfo.environment["LARMNOD_WRITE_PROFILES"] != nil {
            try expected.write(to: file, atomically: true, encoding: .utf8)
        }
        #expect(text == expected, "write it anew with LARMNOD_WRITE_PROFILES=1 and this test")
    }
}

extension ModbusProfile {
    fileprivate static var document: String {
        """
        # Modbus profiles

        `profile = "…"` in `[device.modbus.NAME.unit.NUMBER]`, or in the device's table for all its units, lets a point say
        `terminal = "DI3"`. Addresses are as on the wire, from 0. None was tried on the device itself; they are taken from the
        publication named. This file is made from the profiles by a test.

        ## Modules for contacts


        """ + modules.map(\.section).joined(separator: "\n") + "\n## Fire panels and gateways: never written to\n\n"
            + panels.map(\.section).joined(separator: "\n")
    }

    fileprivate var section: String {
        var lines = ["### `\(name)`: \(title)", ""]
        if let line { lines.append("Line from the factory: \(line).") }
        if let timeout { lines.append("Timeout where none is said: \(timeout.described).") }
        if !remark.isEmpty { lines.append(remark) }
        lines.append("Source: \(source).")
        lines.append("")
        let rows = inputs.map { ("input", $0) } + outputs.map { ("output", $0) }
        if !rows.isEmpty { lines += ["| terminal | is | where | pulses |", "| --- | --- | --- | --- |"] }
        for (what, row) in rows { lines.append("| \(row.listed) | \(what) | \(row.places) | \(row.catching) |") }
        if !rows.isEmpty { lines.append("") }
        return lines.joined(separator: "\n")
    }
}

extension TerminalRow {
    fileprivate var places: String {
        let (low, high) = (terminal(numbers.lowerBound), terminal(numbers.upperBound))
        let range = low.register == high.register ? "\(low.register)" : "\(low.register)–\(high.register)"
        let each = step > 1 ? ", every \(step)" : ""
        let meaning =
            switch self.meaning {
            case .bits: table.isBits ? "" : step == 0 ? ", bits 0–\(numbers.count - 1)" : ", bit 0"
            case .bit(let bit): ", bit \(bit)"
            case .any: ", any bit"
            case .equals(let value, let mask): ", \(hex(value)) under mask \(hex(mask))"
            case .number: ", a number"
            }
        return "\(table) \(range)\(each)\(meaning)"
    }

    fileprivate var catching: String {
        let (low, high) = (terminal(numbers.lowerBound), terminal(numbers.upperBound))
        var ways: [String] = []
        if let latch = low.latchHigh { ways.append("latch \(latch.place), cleared by coil \(latch.clear.register)") }
        if let latch = low.latchLow, latch != low.latchHigh { ways.append("normally closed: latch \(latch.place)") }
        if let counter = low.counter, let last = high.counter {
            ways.append(
                "counter \(counter.place)–\(last.place.register)"
                    + (counter.words == 2 ? ", 32 bits, \(counter.lowFirst ? "low" : "high") word first" : ""))
        }
        guard !ways.isEmpty else { return "" }
        return ways.joined(separator: "; ") + (catchesAlways ? "" : " (only with `pulses`)")
    }

    private func hex(_ value: UInt16) -> String { "0x" + String(value, radix: 16, uppercase: true) }
}
