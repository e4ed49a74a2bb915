import AlarmProtocol
import Foundation
import Testing

@testable import Drivers

@Suite("An echo on a line of two wires") struct EchoFilterTests {
    private static let line = SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1)

    /// A line that has echoed often enough.
    private static func certain() -> EchoFilter {
        var filter = EchoFilter(line)
        for now in [Int64(0), 1000] {
            filter.sent([0x06], at: now)
            #expect(filter.others(in: [0x06], at: now + 20) == [0x06], "nothing is left out before it is certain")
        }
        return filter
    }

    @Test func isLeftOutOnceItIsCertain() {
        var filter = Self.certain()
        #expect(filter.isCertain)
        filter.sent([1, 2, 3], at: 2000)
        #expect(filter.others(in: [1, 2], at: 2005) == [])
        #expect(filter.others(in: [3, 4], at: 2010) == [4])
        #expect(filter.others(in: [1, 2, 3], at: 2011) == [1, 2, 3], "said by the other end")
        filter.sent([5], at: 3000)
        filter.sent([6], at: 3001)
        #expect(filter.others(in: [5, 6, 7], at: 3010) == [7], "two sendings come back one behind the other")
    }

    @Test func whatOnlyBeganLikeAnEchoIsGivenBack() {
        var filter = Self.certain()
        filter.sent([0xFE, 0xFE, 0x7F], at: 2000)
        #expect(filter.others(in: [0xFE, 0xFE], at: 2005) == [])
        #expect(filter.others(in: [0xEF, 0x01], at: 2006) == [0xFE, 0xFE, 0xEF, 0x01])
        #expect(!filter.isCertain)
    }

    @Test func comesAtOnceOrNotAtAll() {
        var filter = Self.certain()
        filter.sent([0x06], at: 2000)
        #expect(filter.others(in: [0x06], at: 2200) == [0x06], "too late for an echo")
        #expect(!filter.isCertain)
    }

    @Test func aLineWithoutEchoLosesNothing() {
        var filter = EchoFilter(Self.line)
        var random = SeededNumbers(3)
        for now in stride(from: Int64(0), to: 500_000, by: 500) {
            filter.sent(Array("RA001\r".utf8), at: now)
            let said = Array("RA001SAOO\r".utf8) + [UInt8.random(in: 0...255, using: &random)]
            #expect(filter.others(in: said, at: now + 30) == said)
        }
    }
}

@Suite("An echo on a panel's line") struct SessionEchoTests {
    /// The converter hears our ACK; bytes that are no frame are logged once a minute.
    @Test(arguments: [("adapter", 2), ("none", 5)])
    func isNotJudgedOnceItIsCertain(_ rs485: String, _ strange: Int) throws {
        typealias Step = ScriptHost.Step
        let selects: [Step] = [
            .send([0x04, 0x31, 0x05, 0x32, 0x05]), .expect([0x06]), .send([0x06]), .pass(milliseconds: 70_000),
        ]
        let line = try PseudoTerminal()
        let host = ScriptHost(line, Array(repeating: selects, count: 5).flatMap(\.self))
        try SerialSupport.driver(port: line.path, [("rs-485", .string(rs485))]).run(host)
        #expect(host.logged.filter { $0.1.hasPrefix("bytes that are no frame") }.count == strange)
    }
}

@Suite("RS-485 and modem lines") struct RS485Tests {
    private static func read(_ values: [(String, SettingNode.Value)]) -> (SerialSettings, [String]) {
        let settings = SerialSupport.settings([("port", .string("/dev/ttyS9"))] + values)
        let serial = SerialSettings(
            settings, defaultLine: SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1))
        settings.refuseUnread()
        return (serial, settings.problems.all.map(\.description))
    }

    @Test func isReadFromTheTable() {
        #expect(Self.read([]).0.rs485 == nil)
        #expect(Self.read([("rs-485", .string("adapter"))]).0.rs485 == .adapter)
        #expect(Self.read([("rs-485", .string("port"))]).0.rs485 == .port(.init()))
        let (serial, problems) = Self.read([
            ("rs-485", .string("port")), ("rts-to-send", .string("down")), ("delay-before-send", .string("1ms")),
            ("delay-after-send", .string("2ms")), ("dtr", .boolean(false)),
        ])
        #expect(serial.rs485 == .port(.init(rtsUpToSend: false, before: 1, after: 2)))
        #expect(serial.dtr == false && problems.isEmpty)
    }

    @Test(
        arguments: [
            ([("rs-485", .string("port")), ("handshake", .string("rts-cts"))], "handshake: RTS/CTS is of RS-232"),
            ([("rs-485", .string("adapter")), ("rts-to-send", .string("up"))], "rts-to-send: is only for rs-485"),
            ([("delay-after-send", .string("1ms"))], "delay-after-send: is only for rs-485 = \"port\""),
            (
                [("rs-485", .string("port")), ("delay-after-send", .string("101ms"))],
                "expected a time from 0s to 100ms"
            ),
            ([("rs-485", .string("port")), ("rts", .boolean(true))], "rts: RS-485 switches direction by RTS"),
            ([("handshake", .string("rts-cts")), ("rts", .boolean(true))], "rts: the handshake works RTS"),
            ([("rs-485", .string("ports"))], "did you mean \"port\"?"),
        ] as [([(String, SettingNode.Value)], String)])
    func whatContradictsItselfIsRefused(_ values: [(String, SettingNode.Value)], _ words: String) {
        let (_, problems) = Self.read(values)
        #expect(problems.count == 1 && problems[0].contains(words), "\(problems)")
    }

    @Test func whatTheDriverMadeOfItIsReadBack() {
        let asked = RS485.Turning(rtsUpToSend: true, before: 0, after: 5)
        let other = RS485.Turning(rtsUpToSend: false, before: 0, after: 5)
        #expect(asked.fault(in: RS485.Turning(asked.wire())) == nil)
        // A board's terminating resistor stays switched in; RTS is turned over.
        var board = other.wire()
        board.flags |= 1 << 5
        #expect(asked.wire(over: board).flags == 1 << 5 | 1 << 1 | 1)
        var off = asked.wire()
        off.flags = 0
        #expect(asked.fault(in: RS485.Turning(off))?.contains("did not switch RS-485 on") == true)
        #expect(asked.fault(in: RS485.Turning(other.wire()))?.contains("rts-to-send = \"down\"") == true)
        let without = RS485.Turning()
        #expect(asked.fault(in: RS485.Turning(without.wire()))?.contains("0 ms before and 0 ms after") == true)
    }

    /// A pseudo-terminal has neither; so has many a real port, and it is told the same way.
    @Test(
        arguments: [
            (.port(.init()), nil, "its driver cannot switch the direction of RS-485"),
            (nil, false, "cannot put its DTR line: remove `dtr`"),
        ] as [(RS485?, Bool?, String)])
    func aPortThatCannotIsRefused(_ rs485: RS485?, _ dtr: Bool?, _ words: String) throws {
        let terminal = try PseudoTerminal()
        var settings = SerialSettings(
            path: terminal.path, line: SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1))
        (settings.rs485, settings.dtr) = (rs485, dtr)
        do {
            _ = try SerialPort(settings)
            Issue.record("it opened")
        } catch { #expect("\(error)".contains(words), "\(error)") }
        // And it is not left locked.
        (settings.rs485, settings.dtr) = (.adapter, nil)
        let port = try SerialPort(settings)
        let (errors, isHeldOff, movedTo) = (port.errors, port.isHeldOff, port.movedTo)
        #expect(errors == nil && !isHeldOff && movedTo == nil)
    }
}

@Suite("The names of ports") struct SerialNameTests {
    @Test func aPortHasTheNameThatLasts() {
        let names = SerialPort.named(
            [("/dev/ttyS0", ""), ("/dev/ttyUSB0", "FT232R"), ("/dev/ttyUSB1", "USB Serial")],
            byID: ["/dev/ttyUSB0": "/id/ftdi-A1", "/dev/ttyUSB1": "/id/ch340"],
            byPath: ["/dev/ttyUSB0": "/path/1", "/dev/ttyUSB1": "/path/2"])
        #expect(names.map(\.path) == ["/dev/ttyS0", "/id/ch340", "/id/ftdi-A1"])
    }

    /// Two adapters of a kind without serial numbers: udev has one name for both, which is now the one's, now the other's.
    @Test func whatTwoShareIsNoName() {
        let names = SerialPort.named(
            [("/dev/ttyUSB0", "USB Serial"), ("/dev/ttyUSB1", "USB Serial"), ("/dev/ttyUSB2", "FT232R")],
            byID: ["/dev/ttyUSB1": "/id/ch340", "/dev/ttyUSB2": "/id/ftdi-A1"],
            byPath: ["/dev/ttyUSB0": "/path/1", "/dev/ttyUSB1": "/path/2"])
        #expect(names.map(\.path) == ["/id/ftdi-A1", "/path/1", "/path/2"])
    }
}

@Suite("What is wrong with a line") struct LineSupervisionTests {
    private static func line(_ silence: Duration? = nil) -> LineSupervision {
        LineSupervision(
            SerialSettings(path: "/dev/ttyS9", line: SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1)),
            lacks: "no poll", silence, Moment(utc: 0, uptime: 0, clock: .known))
    }

    private static func words(_ line: LineSupervision) -> String? {
        if case .fault(let words) = line.condition { words } else { nil }
    }

    @Test(arguments: [
        (LineErrors(framing: 1), "1 framing error counted: the speed is wrong"),
        (LineErrors(framing: 3, parity: 4), "3 framing errors and 4 parity errors counted: the speed is"),
        (LineErrors(parity: 4), "4 parity errors counted: the speed is right and the parity is wrong"),
        (LineErrors(breaks: 1), "1 break counted: the line is cut"),
        (LineErrors(overruns: 2), "2 overruns counted: the computer"),
    ])
    func whatThePortCountedIsTold(_ errors: LineErrors, _ words: String) {
        var line = Self.line()
        line.received(Array(repeating: UInt8(0), count: 40))
        line.check(at: 30_000, errors: errors)
        #expect(Self.words(line)?.contains("no frame fits: wrong speed or parity? ") == true)
        #expect(Self.words(line)?.contains(words) == true)
        var silent = Self.line(.seconds(10))
        silent.check(at: 10_000, errors: errors)
        #expect(Self.words(silent)?.contains("no poll for 10 s") == true)
        #expect(Self.words(silent)?.contains(words) == true)
    }

    @Test("The other end's DTR: down for two seconds is a fault, once it has been up or where it is required")
    func readyLine() {
        func line(_ dsr: SerialSettings.ReadyLine?) -> LineSupervision {
            var serial = SerialSettings(
                path: "/dev/ttyS9", line: SerialLine(speed: 4800, dataBits: 8, parity: .none, stopBits: 1))
            serial.dsr = dsr
            return LineSupervision(serial, lacks: "no answer", nil, Moment(utc: 0, uptime: 0, clock: .known))
        }
        for dsr in [nil, SerialSettings.ReadyLine.onceUp, .required] {
            var line = line(dsr)
            line.valid(at: 0)
            line.ready(nil, at: 0)
            for now in [0, 1999, 2000] as [Int64] { line.ready(false, at: now) }
            #expect((Self.words(line)?.contains("DTR") ?? false) == (dsr == .required))
            line.ready(true, at: 3000)
            #expect(line.condition == .healthy)
            line.ready(false, at: 4000)
            #expect(line.condition == .healthy && line.nextCheck == (dsr == nil ? nil : 6000))
            line.ready(false, at: 6000)
            #expect((Self.words(line)?.contains("DTR") ?? false) == (dsr != nil))
            #expect(line.nextCheck == nil)
        }
    }

    /// An event's text has 128 characters, and "line: " stands before.
    @Test func theDiagnosisComesBeforeTheLongNameOfAPort() {
        let path = "/dev/serial/by-id/usb-Prolific_Technology_Inc._USB-Serial_Controller_D-if00-port0"
        let line = SerialLine(speed: 115_200, dataBits: 8, parity: .none, stopBits: 1)
        for (bytes, lacks, words) in [
            (9999, "no poll", "1 break counted: the line is cut"),
            (0, "no message or link test", "1 break counted: the line is cut"),
        ] {
            var supervision = LineSupervision(
                SerialSettings(path: path, line: line), lacks: lacks, .seconds(120),
                Moment(utc: 0, uptime: 0, clock: .known))
            supervision.received(Array(repeating: UInt8(0), count: bytes))
            supervision.check(at: 120_000, errors: LineErrors(breaks: 1))
            #expect(Self.words(supervision)?.prefix(122).contains(words) == true, "\(Self.words(supervision) ?? "")")
        }
    }

    @Test func noiseBetweenRightFramesIsTold() {
        var line = Self.line()
        for _ in 0..<50 { line.strange(100, at: 0) }
        #expect(line.condition == nil, "before the first right frame it is something else")
        line.valid(at: 1000)
        for number in 0..<9 { line.strange(100, at: 2000 + Int64(number)) }
        #expect(line.condition == .healthy)
        line.strange(100, at: 3000)
        #expect(Self.words(line)?.hasPrefix("noise: between") == true)
        line.valid(at: 4000)
        #expect(Self.words(line) != nil, "right frames do not end it")
        line.check(at: 602_000)
        #expect(Self.words(line) != nil)
        line.check(at: line.nextCheck ?? 0)
        #expect(line.condition == .healthy, "ten minutes without do")
        #expect(line.nextCheck == nil)
        for number in 0..<1000 { line.strange(1, at: 2_000_000 + Int64(number)) }
        #expect(Self.words(line) != nil)
        var quiet = Self.line()
        quiet.valid(at: 0)
        for minute in Int64(0)..<600 {
            quiet.strange(2, at: minute * 60_000)
            quiet.check(at: minute * 60_000)
            #expect(quiet.condition == .healthy, "an echo now and then is no noise")
        }
    }

    @Test func aPanelThatHoldsCTSDownIsTold() {
        var line = Self.line()
        line.valid(at: 0)
        line.held(true, at: 1000)
        #expect(line.condition == .healthy && line.nextCheck == 3000)
        line.held(true, at: 3000)
        #expect(Self.words(line)?.contains("the other end holds CTS down") == true)
        line.valid(at: 3500)
        #expect(Self.words(line) != nil && line.nextCheck == 5000)
        line.held(false, at: 5000)
        #expect(line.condition == .healthy && line.nextCheck == nil)
    }
}

@Suite("A port that is plugged in elsewhere") struct SerialHotPlugTests {
    @Test func aNameThatLeadsElsewhereIsFollowed() throws {
        let first = try PseudoTerminal()
        let second = try PseudoTerminal()
        let link = FileManager.default.temporaryDirectory.appending(path: "port-\(UUID().uuidString)").path
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: first.path)
        defer { try? FileManager.default.removeItem(atPath: link) }
        let driver = try SerialSupport.driver(port: link)
        try driver.run(ScriptHost(first, [.send([0x04, 0x32, 0x05]), .expect([0x04]), .pass(milliseconds: 20_000)]))
        // A name that is gone while the port works is no loss: udev makes it anew.
        let gone = MovingHost(first) { try? FileManager.default.removeItem(atPath: link) }
        try driver.run(gone)
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: first.path)
        let moving = MovingHost(first) {
            try? FileManager.default.removeItem(atPath: link)
            try? FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: second.path)
        }
        let error = #expect(throws: DeviceError.self) { try driver.run(moving) }
        #expect(
            error?.description
                == "serial port \(link) now leads to \(second.path), no longer to \(first.path): opened anew")
        try driver.run(ScriptHost(second, [.send([0x04, 0x32, 0x05]), .expect([0x04])]))
    }

    /// Something happens to the port's name right after it was opened; then a minute passes.
    private final class MovingHost: Drivers.Host {
        private let script: ScriptHost
        private let happens: @Sendable () -> Void

        init(_ line: PseudoTerminal, _ happens: @escaping @Sendable () -> Void) {
            script = ScriptHost(line, [.pass(milliseconds: 60_000)])
            self.happens = happens
        }

        var now: Moment { script.now }
        func report(_ signals: [Signal]) throws { try script.report(signals) }
        func output(_ name: String) -> Bool { false }
        func log(_ level: LogLevel, _ message: String) {}
        func answers() {}
        func wait(for descriptors: [Int32], until deadline: ContinuousClock.Instant?) -> Wake {
            happens()
            return script.wait(for: descriptors, until: deadline)
        }
    }
}
