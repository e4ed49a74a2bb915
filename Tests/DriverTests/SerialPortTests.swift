import Foundation
import Testing

@testable import Drivers

@Suite struct SerialPortTests {
    private static let line = SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1)

    @Test(arguments: ["9600 8N1", "300 7E2", "115200 8O1", "4800 7N1", "19200 8N2"])
    func aLineReadsBackAsItIsWritten(_ text: String) { #expect(SerialLine(text)?.description == text) }

    @Test func aLineMayBeWrittenSmall() { #expect(SerialLine("9600  7e1")?.description == "9600 7E1") }

    @Test(arguments: [
        "", "9600", "8N1", "9600 8N", "9600 8N3", "9600 9N1", "9600 8X1", "250 8N1", "9601 8N1", "-9600 8N1",
        "9600 8N1 x",
        "9600,8N1", "99999999999999999999 8N1", "9600 8N11", "ß600 8N1", "9600 8ﬃ",
    ])
    func anythingElseIsNoLine(_ text: String) { #expect(SerialLine(text) == nil) }

    @Test func aPortCarriesBytesBothWays() throws {
        let terminal = try PseudoTerminal()
        terminal.send([0x41])
        let port = try SerialPort(SerialSettings(path: terminal.path, line: Self.line))
        let everyByte = Array(UInt8.min...UInt8.max)
        _ = terminal.received(within: 5)  // The echo of a line that was not raw yet.
        terminal.send(everyByte)
        #expect(Self.read(port, everyByte.count) == everyByte, "nothing is translated, and older input is dropped")
        try port.write(everyByte)
        #expect(terminal.received(count: 256) == everyByte)
        #expect(try port.read() == [])
        terminal.send([1, 2, 3])
        #expect(Self.read(port, 1, limit: 1) == [1], "the limit holds")
        port.flushInput()
        #expect(try port.read() == [])
    }

    @Test func aLinkIsFollowed() throws {
        let terminal = try PseudoTerminal()
        let link = FileManager.default.temporaryDirectory.appending(path: "port-\(UUID().uuidString)").path
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: terminal.path)
        defer { try? FileManager.default.removeItem(atPath: link) }
        let port = try SerialPort(SerialSettings(path: link, line: Self.line))
        #expect(port.path == link)
    }

    @Test func aPortIsOursAlone() throws {
        let terminal = try PseudoTerminal()
        let settings = SerialSettings(path: terminal.path, line: Self.line)
        do {
            let port = try SerialPort(settings)
            #expect(Self.failure(settings).contains("\(port.path) is held by another device of this program"))
        }
        _ = try SerialPort(settings)
    }

    @Test func theHolderOfAPortIsNamed() throws {
        let terminal = try PseudoTerminal()
        let holder = Process()
        let output = Pipe()
        holder.executableURL = URL(filePath: "/usr/bin/python3")
        holder.arguments = [
            "-c",
            "import fcntl,sys,time; f=open(sys.argv[1]); fcntl.flock(f,2); print('held',flush=True); time.sleep(60)",
            terminal.path,
        ]
        holder.standardOutput = output
        try holder.run()
        defer {
            kill(holder.processIdentifier, SIGKILL)
            holder.waitUntilExit()
        }
        _ = output.fileHandleForReading.availableData
        let failure = Self.failure(SerialSettings(path: terminal.path, line: Self.line))
        #expect(failure.contains("is held by python3"))
        #expect(failure.contains("(process \(holder.processIdentifier))"))
    }

    @Test(arguments: [
        ("/dev/no-such-port", "no such device; check its cable and power, or correct `port`; "),
        ("/dev/null/x", "no such device"), ("/dev/null", "is not a serial port"), ("/dev", "serial port /dev"),
    ])
    func aPortThatIsNoneIsTold(_ path: String, _ words: String) {
        #expect(Self.failure(SerialSettings(path: path, line: Self.line)).contains(words))
    }

    @Test func everyLineCanBeSetOnAPseudoTerminal() throws {
        for speed in SerialLine.speeds {
            for handshake in [false, true] {
                let terminal = try PseudoTerminal()
                let line = SerialLine(speed: speed, dataBits: 7, parity: .even, stopBits: 2)
                let port = try SerialPort(SerialSettings(path: terminal.path, line: line, handshake: handshake))
                var got = termios()
                #expect(tcgetattr(port.descriptor, &got) == 0)
                #expect(cfgetospeed(&got) == line.speedCode)
                #expect((got.c_cflag & tcflag_t(CRTSCTS) != 0) == handshake)
                #expect(got.c_cflag & tcflag_t(HUPCL) == 0)
                #expect(got.c_cflag & tcflag_t(CSTOPB) != 0)
                #expect(got.c_lflag & tcflag_t(ECHO | ICANON) == 0)
            }
        }
    }

    @Test func aHangUpIsALostDevice() throws {
        var terminal: PseudoTerminal? = try PseudoTerminal()
        let port = try SerialPort(SerialSettings(path: try #require(terminal?.path), line: Self.line))
        terminal = nil
        do {
            _ = try port.read()
            Issue.record("read from a line that hung up")
        } catch { #expect("\(error)".contains("is lost")) }
        do {
            try port.write([1])
            Issue.record("wrote to a line that hung up")
        } catch { #expect("\(error)".contains("is lost")) }
    }

    @Test func aWriteThatNobodyTakesEnds() throws {
        let terminal = try PseudoTerminal()
        let port = try SerialPort(SerialSettings(path: terminal.path, line: Self.line))
        let start = ContinuousClock.now
        do {
            try port.write(Array(repeating: 0x55, count: 1_000_000), within: 200)
            Issue.record("a megabyte fitted")
        } catch { #expect("\(error)".contains("took no byte for 200 ms")) }
        #expect(ContinuousClock.now - start < .seconds(5))
    }

    @Test func theListOfPortsHoldsNoPseudoTerminal() throws {
        _ = try PseudoTerminal()
        #expect(!SerialPort.available().contains { $0.device.hasPrefix("/dev/pts/") })
    }

    private static func read(_ port: borrowing SerialPort, _ count: Int, limit: Int = 512) -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<2000 where bytes.count < count {
            bytes += (try? port.read(limit: limit)) ?? []
            if bytes.count < count { usleep(500) }
        }
        return bytes
    }

    private static func failure(_ settings: SerialSettings) -> String {
        do {
            _ = try SerialPort(settings)
            return "it opened"
        } catch { return "\(error)" }
    }
}
