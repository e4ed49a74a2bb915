import AlarmProtocol
import Foundation
import Synchronization
import Testing

@testable import Drivers

private func bytes(_ hex: String) -> [UInt8] { Recording.bytes(hexadecimal: hex) ?? [] }

@Suite struct ModbusFrameTests {
    private func block(_ table: ModbusTable, _ registers: ClosedRange<Int>, unit: Int = 1) -> ReadBlock {
        ReadBlock(
            unit: unit, table: table, members: registers.map { ReadBlock.Member(point: $0, register: $0) })
    }

    private func serial(_ block: ReadBlock) -> ModbusFrame { ModbusFrame(kind: .serial, request: block.request) }

    /// Frames that pymodbus and mbpoll have said and taken.
    @Test func publishedFramesAreMadeAndRead() throws {
        let inputs = serial(block(.discreteInput, 0...7))
        #expect(inputs.bytes == bytes("01 02 00 00 00 08 79 CC"))
        #expect(inputs.reply(in: bytes("01 02 01 AD 60 35")) == .values([1, 0, 1, 1, 0, 1, 0, 1]))
        let registers = serial(block(.inputRegister, 0...3))
        #expect(
            registers.reply(in: bytes("01 04 08 10 00 00 00 04 00 08 00 23 F1")) == .values([4096, 0, 1024, 2048]))
        #expect(serial(block(.holdingRegister, 5...6)).reply(in: bytes("01 83 02 C0 F1")) == .exception(2))
        #expect(serial(block(.holdingRegister, 1...2)).bytes == bytes("01 03 00 01 00 02 95 CB"))
        let coil = WriteBlock(unit: 1, place: .coil, start: 0, outputs: [0])
        let write = ModbusFrame(kind: .serial, request: coil.request([true]))
        #expect(write.bytes == bytes("01 05 00 00 FF 00 8C 3A"))
        #expect(write.reply(in: write.bytes) == .values([]))
    }

    @Test func overANetworkTheNumberTheProtocolAndTheUnitMustBeRight() {
        let frame = ModbusFrame(kind: .network(transaction: 0x1234), request: block(.coil, 0...0, unit: 9).request)
        #expect(frame.bytes == [0x12, 0x34, 0, 0, 0, 6, 9, 1, 0, 0, 0, 1])
        #expect(frame.reply(in: [0x12, 0x34, 0, 0, 0, 4, 9, 1, 1, 1]) == .values([1]))
        #expect(frame.reply(in: [0x12, 0x34, 0, 0, 0, 3, 9, 0x81, 11]) == .exception(11))
        for wrong: [UInt8] in [
            [0x12, 0x35, 0, 0, 0, 4, 9, 1, 1, 1], [0x12, 0x34, 0, 1, 0, 4, 9, 1, 1, 1],
            [0x12, 0x34, 0, 0, 0, 4, 8, 1, 1, 1], [0x12, 0x34, 0, 0, 0, 4, 9, 2, 1, 1],
            [0x12, 0x34, 0, 0, 0, 4, 9, 1, 2, 1, 1], [0x12, 0x34, 0, 0, 0, 4, 9, 1, 1], [0x12, 0x34], [],
            [0x12, 0x34, 0, 0, 0, 3, 9, 0x81, 0], [0x12, 0x34, 0, 0, 0, 3, 9, 0x82, 2],
            [0x12, 0x34, 0, 0, 0, 2, 9, 1, 0],
        ] {
            guard case .garbled = frame.reply(in: wrong) else { return #expect(Bool(false), "\(wrong) was believed") }
        }
    }

    @Test(
        arguments: [
            ([1, 2, 1, 1, 0, 0], 6), ([1, 3, 250], 3), ([1, 0x83, 2, 0xC0, 0xF1, 9, 9], 5),
            ([1, 22, 0, 7, 0, 0, 0, 0, 0, 0, 0], 10),
            ([1, 15, 0, 0, 0, 0, 0, 0, 0], 8), ([], 0), ([1], 1),
        ] as [([UInt8], Int)]) func aFrameSaysItsLength(frame: [UInt8], length: Int)
    {
        #expect(ModbusFrame.length(of: frame) == length)
    }

    @Test func aConfirmationOfAnotherWriteIsNone() {
        let several = WriteBlock(unit: 2, place: .coil, start: 16, outputs: Array(0..<9))
        let many = ModbusFrame(kind: .serial, request: several.request([Bool](repeating: true, count: 9)))
        #expect(many.request == [2, 15, 0, 16, 0, 9, 2, 0xFF, 0x01])
        func framed(_ body: [UInt8]) -> [UInt8] { body + ModbusFrame.checksum(body) }
        #expect(many.reply(in: framed([2, 15, 0, 16, 0, 9])) == .values([]))
        #expect(many.reply(in: framed([2, 15, 0, 16, 0, 8])) == .garbled("it confirms another write"))
        let bit = WriteBlock(unit: 2, place: .bit(3), start: 7, outputs: [0])
        let mask = ModbusFrame(kind: .serial, request: bit.request([true]))
        #expect(mask.request == [2, 22, 0, 7, 0xFF, 0xF7, 0, 8])
        #expect(mask.reply(in: mask.bytes) == .values([]))
        #expect(mask.reply(in: framed([2, 22, 0, 7, 0xFF, 0xF7, 0, 0])) == .garbled("it confirms another write"))
        #expect(mask.reply(in: framed([3, 22, 0, 7, 0xFF, 0xF7, 0, 8])) == .garbled("unit 3 answers in its place"))
    }

    /// Whatever comes is judged without a trap, and nothing but a right frame brings values.
    @Test func noiseBringsNoValues() {
        var state: UInt64 = 7
        func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state >> 33
        }
        let frames = [
            serial(block(.discreteInput, 0...999)), serial(block(.holdingRegister, 0...124)),
            ModbusFrame(kind: .network(transaction: 1), request: block(.inputRegister, 0...9).request),
            ModbusFrame(kind: .serial, request: []), ModbusFrame(kind: .network(transaction: 1), request: [1, 3]),
        ]
        for _ in 0..<20_000 {
            var noise = (0..<next() % 40).map { _ in UInt8(truncatingIfNeeded: next()) }
            // Beginnings that a right reply has.
            if next() % 2 == 0 { noise = [1, UInt8(next() % 5), UInt8(next() % 3)] + noise }
            if next() % 2 == 0 { noise += ModbusFrame.checksum(noise) }
            for frame in frames {
                if case .values(let values) = frame.reply(in: noise) {
                    #expect([1000, 125, 10].contains(values.count))
                }
            }
        }
    }
}

/// A unit on a pseudo-terminal that answers each request as a function says.
private final class LyingUnit: Sendable {
    let line: PseudoTerminal
    private let isOver = Locked()

    private final class Locked: Sendable {
        private let descriptors: [Int32]
        init() {
            var ends: [Int32] = [-1, -1]
            precondition(pipe(&ends) == 0, "no pipe")
            descriptors = ends
        }
        deinit { for end in descriptors { close(end) } }
        var end: Int32 { descriptors[0] }
        func set() { _ = write(descriptors[1], "x", 1) }
    }

    /// - Parameter answer: by the request and its number: pieces, sent 5 ms apart.
    init(_ answer: @escaping @Sendable ([UInt8], Int) -> [[UInt8]]) throws {
        let line = try PseudoTerminal()
        self.line = line
        Thread.detachNewThread { [isOver] in
            var request: [UInt8] = []
            var number = 0
            while true {
                var polled = [line.panel, isOver.end].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
                poll(&polled, 2, -1)
                if polled[1].revents != 0 { return }
                // Nobody has the other end open yet.
                if polled[0].revents & Int16(POLLIN) == 0 {
                    usleep(2000)
                    continue
                }
                request += line.received()
                while request.count >= 8 {
                    let pieces = answer(Array(request.prefix(8)), number)
                    request.removeFirst(8)
                    number += 1
                    for (index, piece) in pieces.enumerated() {
                        if index > 0 { usleep(5000) }
                        _ = write(line.panel, piece, piece.count)
                    }
                }
            }
        }
    }

    deinit { isOver.set() }
}

private func framed(_ body: [UInt8]) -> [UInt8] { body + ModbusFrame.checksum(body) }

/// On a serial line: a unit that answers for another, late, with a wrong checksum, too short, too long, with noise about it.
@Suite(.serialized) struct ModbusLiesTests {
    private func driver(_ unit: LyingUnit) throws -> ModbusDriver {
        let (settings, problems) = table(
            "device.modbus.test",
            [
                ("port", .string(unit.line.path)), ("line", .string("115200 8N1")), ("interval", .string("40ms")),
                ("timeout", .string("100ms")),
                points([
                    (
                        "door",
                        [("unit", .integer(1)), ("table", .string("discrete-input")), ("register", .integer(0))]
                    )
                ]),
            ])
        let driver = try ModbusDriver(settings)
        try #require(problems.all.isEmpty, "\(problems.all)")
        return driver
    }

    /// None of these says rightly that the input is active.
    private static let lies: [(name: String, answer: @Sendable ([UInt8], Int) -> [[UInt8]])] = [
        ("another unit", { _, _ in [framed([2, 2, 1, 1])] }),
        ("everybody", { _, _ in [framed([0, 2, 1, 1])] }),
        ("a wrong checksum", { _, _ in [[1, 2, 1, 1, 0x60, 0x49]] }),
        ("its bytes the wrong way round", { _, _ in [[1, 2, 1, 1] + framed([1, 2, 1, 1]).suffix(2).reversed()] }),
        ("another function", { _, _ in [framed([1, 1, 1, 1])] }),
        ("an exception of another function", { _, _ in [framed([1, 0x81, 2])] }),
        ("too short", { _, _ in [Array(framed([1, 2, 1, 1]).dropLast())] }),
        ("too long", { _, _ in [framed([1, 2, 2, 1, 1])] }),
        ("a length of none", { _, _ in [framed([1, 2, 0])] }),
        ("noise before it", { _, _ in [[0xFF] + framed([1, 2, 1, 1])] }),
        ("noise within it", { _, _ in [[1, 2, 0x55], Array(framed([1, 2, 1, 1]).dropFirst(2))] }),
        ("the request itself", { request, _ in [request] }),
        ("nothing", { _, _ in [] }),
    ]

    @Test(arguments: lies.indices) func isNotBelieved(lie: Int) async throws {
        let name = Self.lies[lie].name
        let answer = Self.lies[lie].answer
        // Well at first; then it lies; then it is well again, and the input is active.
        let mood = Mood()
        let unit = try LyingUnit { request, number in
            switch mood.now {
            case 0: [framed([1, 2, 1, 0])]
            case 1: answer(request, number)
            default: [framed([1, 2, 1, 1])]
            }
        }
        let host = FieldHost()
        host.start(try driver(unit))
        #expect(await host.until { $0.last("door") == .active(false) }, "\(name)")
        mood.now = 1
        let isFault = await host.until { if case .fault? = $0.last("unit-1") { true } else { false } }
        #expect(isFault, "\(name): silence is told")
        #expect(host.readings(of: "door") == [.healthy, .active(false)], "\(name)")
        let words = [
            "another unit": "unit 2 answers in its place", "everybody": "unit 0 answers in its place",
            "a wrong checksum": "a wrong speed or parity", "another function": "it answers function 1, and 2 was asked",
            "too short": "only part of a reply within", "nothing": "no reply within",
        ]
        if let said = words[name], case .fault(let why)? = host.readings(of: "unit-1").last {
            #expect(why.contains(said), "\(name): \(why)")
        }
        mood.now = 2
        #expect(await host.until { $0.last("door") == .active(true) }, "\(name): it goes on with what is right")
        #expect(host.readings(of: "unit-1").last == .healthy, "\(name)")
        #expect(await host.stop() != nil, "\(name)")
    }

    /// What is wrong once in a while is asked again, and no reading is lost.
    @Test func oneWrongFrameIsNoFault() async throws {
        let mood = Mood()
        let unit = try LyingUnit { _, number in
            number % 5 == 4 ? [[1, 2, 1, 1, 0, 0]] : [framed([1, 2, 1, mood.now == 0 ? 0 : 1]) + [0xFF]]
        }
        let host = FieldHost()
        host.start(try driver(unit))
        #expect(await host.until { $0.last("door") == .active(false) })
        try await Task.sleep(for: .milliseconds(1500))
        mood.now = 1
        #expect(await host.until { $0.last("door") == .active(true) })
        #expect(host.readings(of: "door") == [.healthy, .active(false), .active(true)])
        #expect(host.readings(of: "unit-1") == [.healthy])
        #expect(await host.stop() != nil)
    }

    private final class Mood: Sendable {
        private let value = Atomic(0)
        var now: Int {
            get { value.load(ordering: .relaxed) }
            set { value.store(newValue, ordering: .relaxed) }
        }
    }
}
