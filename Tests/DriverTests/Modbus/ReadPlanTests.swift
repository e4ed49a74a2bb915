import Testing

@testable import Drivers

private func point(_ unit: Int, _ table: ModbusTable, _ register: Int) -> ModbusPoint {
    ModbusPoint(
        name: "\(unit)-\(table)-\(register)", unit: unit, table: table, register: register, rule: .bit(0),
        signed: false,
        inverted: false)
}

@Suite struct ReadPlanTests {
    private func spans(_ points: [ModbusPoint], _ limits: ReadPlan.Limits = .init()) -> [String] {
        ReadPlan.blocks(points, limits: limits).map { "\($0.unit) \($0.table) \($0.start)+\($0.count)" }
    }

    @Test func neighboursAreReadTogetherWhateverTheirOrder() {
        let points = [
            point(1, .holdingRegister, 12), point(1, .holdingRegister, 10), point(1, .holdingRegister, 11),
            point(1, .holdingRegister, 11), point(1, .holdingRegister, 14), point(1, .inputRegister, 13),
            point(2, .holdingRegister, 13),
        ]
        #expect(
            spans(points) == [
                "1 holding-register 10+3", "1 holding-register 14+1", "1 input-register 13+1",
                "2 holding-register 13+1",
            ])
        #expect(ReadPlan.blocks(points, limits: .init())[0].members.map(\.point) == [1, 2, 3, 0])
    }

    @Test func noReadIsLongerThanTheProtocolAllows() {
        #expect(
            spans((0..<300).map { point(1, .inputRegister, $0) })
                == ["1 input-register 0+125", "1 input-register 125+125", "1 input-register 250+50"])
        #expect(
            spans((0..<2001).map { point(1, .coil, $0) }) == ["1 coil 0+2000", "1 coil 2000+1"])
        #expect(spans([point(1, .coil, 65_535), point(1, .coil, 0)]) == ["1 coil 0+1", "1 coil 65535+1"])
    }

    @Test func everyPointIsInExactlyOneBlock() {
        let points = (0..<500).map { point($0 % 3 + 1, $0 % 2 == 0 ? .coil : .holdingRegister, $0 * 7 % 211) }
        let blocks = ReadPlan.blocks(points, limits: .init())
        #expect(blocks.flatMap(\.members).map(\.point).sorted() == Array(points.indices))
        for block in blocks {
            for member in block.members {
                #expect(points[member.point].unit == block.unit && points[member.point].table == block.table)
                #expect((block.start..<block.start + block.count).contains(member.register))
            }
        }
    }

    @Test(arguments: [
        ("115200 8N1", 500, 125, 2000), ("9600 8N1", 500, 117, 1880), ("9600 8E1", 200, 41, 656),
        ("1200 8N1", 500, 12, 200), ("300 8N1", 50, 1, 8),
    ]) func aSlowLineReadsLess(line: String, timeout: Int, registers: Int, bits: Int) throws {
        let line = try #require(SerialLine(line))
        let limits = ReadPlan.Limits(timeout: .milliseconds(timeout), characterTime: line.characterTime)
        #expect(limits.registers == registers && limits.bits == bits, "\(limits)")
    }

    @Test func halvesUntilOneAddressIsLeft() throws {
        let points = [3, 4, 4, 5, 6, 7].map { point(1, .holdingRegister, $0) }
        let block = try #require(ReadPlan.blocks(points, limits: .init()).first)
        let (low, high) = try #require(block.halves)
        #expect(low.start == 3 && low.count == 2 && low.members.map(\.point) == [0, 1, 2])
        #expect(high.start == 5 && high.count == 3 && high.members.map(\.point) == [3, 4, 5])
        let (_, last) = try #require(low.halves)
        #expect(last.start == 4 && last.count == 1 && last.members.map(\.point) == [1, 2])
        #expect(last.halves == nil)
    }

    @Test func frameSilence() throws {
        let silence = try #require(SerialLine("9600 8E1")).frameSilence
        #expect(silence > .microseconds(4010) && silence < .microseconds(4011))
        #expect(try #require(SerialLine("38400 8N1")).frameSilence == .microseconds(1750))
    }
}

@Suite struct ModbusPointTests {
    private func active(
        _ rule: ModbusPoint.Rule, _ value: UInt16, was: Bool? = nil, signed: Bool = false, inverted: Bool = false
    ) -> Bool {
        ModbusPoint(
            name: "p", unit: 1, table: .holdingRegister, register: 0, rule: rule, signed: signed, inverted: inverted
        ).isActive(value, wasActive: was)
    }

    @Test func bitsMasksAndValues() {
        #expect(active(.bit(15), 0x8000))
        #expect(!active(.bit(14), 0x8000))
        #expect(active(.bit(0), 0, inverted: true))
        #expect(active(.equals(0x0A00, mask: 0xFF00), 0x0AFF))
        #expect(!active(.equals(0x0A00, mask: 0xFF00), 0x0BFF))
        #expect(active(.any(mask: 0x6), 0x4))
        #expect(!active(.any(mask: 0x6), 0x9))
    }

    @Test(
        arguments: [
            (100, false, true), (99, false, false), (98, true, true), (95, true, true), (94, true, false),
            (95, nil, false),
        ] as [(UInt16, Bool?, Bool)]) func hysteresis(value: UInt16, was: Bool?, expected: Bool)
    {
        #expect(active(.atLeast(100, hysteresis: 5), value, was: was) == expected)
        // Seen from the other side, the same words.
        #expect(active(.atLeast(100, hysteresis: 5), value, was: was.map { !$0 }, inverted: true) == !expected)
    }

    @Test func signedNumbers() {
        #expect(active(.atMost(-5, hysteresis: 0), UInt16(bitPattern: -6), signed: true))
        #expect(!active(.atMost(-5, hysteresis: 0), UInt16(bitPattern: -4), signed: true))
        #expect(!active(.atMost(5, hysteresis: 0), UInt16(bitPattern: -6)))
        #expect(active(.atMost(-5, hysteresis: 2), UInt16(bitPattern: -3), was: true, signed: true))
    }
}
