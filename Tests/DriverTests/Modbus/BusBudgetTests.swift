import Testing

@testable import Drivers

@Suite struct BusBudgetTests {
    private typealias Entries = [(String, SettingNode.Value)]

    private func driver(
        _ line: String, interval: String, units: Int, points: Int = 8, more: Entries = []
    ) throws -> ModbusDriver {
        let tables = (1...units).flatMap { unit in
            (0..<points).map { register -> (String, Entries) in
                (
                    "p\(unit)-\(register)",
                    [
                        ("unit", .integer(Int64(unit))), ("table", .string("discrete-input")),
                        ("register", .integer(Int64(register))),
                    ]
                )
            }
        }
        let (settings, problems) = table(
            "device.modbus.cellar",
            [("port", .string("/dev/ttyS9")), ("line", .string(line)), ("interval", .string(interval))]
                + more + [pointTables(tables)])
        let driver = try ModbusDriver(settings)
        try #require(problems.all.isEmpty, "\(problems.all)")
        return driver
    }

    private func pointTables(_ tables: [(String, Entries)]) -> (String, SettingNode.Value) {
        ("point", tableValue(tables.map { ($0.0, tableValue($0.1)) }))
    }

    /// 8 characters there, 6 back, 3.5 of silence at 10 bits each and 9600 bit/s: 18.2 ms; and 10 ms to think.
    @Test func whatAPollTakesAtNineThousandSixHundred() throws {
        let budget = BusBudget(try driver("9600 8N1", interval: "250ms", units: 4))
        let time = try #require(budget.units.first?.time)
        #expect(time > .microseconds(28_200) && time < .microseconds(28_300), "\(time)")
        #expect(budget.round == time * 4 && budget.load == 46)
        #expect(budget.longestWait == .milliseconds(250))
        #expect(budget.longestWaitWithOneSilent == .milliseconds(375))
        #expect(budget.warning == nil)
    }

    @Test func whatCannotHoldIsSaid() throws {
        let tooMuch = BusBudget(try driver("9600 8N1", interval: "250ms", units: 12))
        #expect(tooMuch.load > 100 && tooMuch.longestWait > .milliseconds(250))
        let words = try #require(tooMuch.warning)
        #expect(words.contains("asks for more than the bus can do: one round of all units takes 338ms"), "\(words)")
        let much = BusBudget(try driver("9600 8N1", interval: "250ms", units: 8))
        #expect(try #require(much.warning).contains("uses 91 % of the bus's time"))
        let quick = BusBudget(try driver("115200 8N1", interval: "60ms", units: 2))
        #expect(try #require(quick.warning).contains("a unit that falls silent makes the others wait 141ms"))
        #expect(try driver("9600 8N1", interval: "250ms", units: 12).notices.count == 1)
        #expect(try driver("115200 8N1", interval: "250ms", units: 12).notices == [])
    }

    @Test func theReportSaysWhatWasMeasured() throws {
        let driver = try driver("9600 8N1", interval: "250ms", units: 2)
        #expect(
            driver.busReport(of: "modbus.cellar", measured: true).units.map(\.state) == [
                "not heard yet", "not heard yet",
            ])
        let start = ContinuousClock.now
        driver.memory.with { memory in
            var figures = UnitFigures()
            figures.answered(from: start, at: start + .milliseconds(20))
            figures.answered(from: start + .milliseconds(260), at: start + .milliseconds(300))
            memory.units[1] = figures
            figures.failed("no reply within 200ms", isDead: true)
            memory.units[2] = figures
        }
        let report = driver.busReport(of: "modbus.cellar", measured: true)
        #expect(report.bus == "/dev/ttyS9, 9600 8N1" && report.measured && report.round == 60)
        let unit = try #require(report.units.first)
        #expect(unit.state == "answers" && unit.mean == 30 && unit.longest == 40 && unit.longestGap == 260)
        #expect(report.units.last?.state == "dead" && report.units.last?.why == "no reply within 200ms")
        let workedOut = driver.busReport(of: "modbus.cellar", measured: false)
        #expect(!workedOut.measured && workedOut.units.allSatisfy { $0.state == nil && $0.last == nil })
    }
}
