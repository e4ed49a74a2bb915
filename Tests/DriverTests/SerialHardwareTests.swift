import Foundation
import Testing

@testable import Drivers

private let ports = (ProcessInfo.processInfo.environment["LARMNOD_UARTS"] ?? "").split(separator: " ").map(String.init)

/// On real UARTs, which a pseudo-terminal is not: LARMNOD_UARTS="/dev/ttyS1 /dev/ttyS2" names ports that nothing else uses
/// and that lead to nothing that would mind. A 16550 (the virtual board's) can hear itself, so no cable is needed.
@Suite("Real serial ports", .serialized) struct SerialHardwareTests {
    private static let loop: Int32 = 0x8000  // TIOCM_LOOP: the UART's own test mode (ioctl_tty(2))

    private static func settings(_ path: String, _ line: String = "9600 8N1") throws -> SerialSettings {
        SerialSettings(path: path, line: try #require(SerialLine(line)))
    }

    @Test(arguments: ports) func areListed(_ path: String) {
        #expect(SerialPort.available().contains { $0.device == path })
    }

    @Test(arguments: ports, ["300 7E2", "1200 7E1", "4800 8N1", "9600 8O1", "19200 8N2", "115200 8N1"])
    func everyLineIsSetAndReadBack(_ path: String, _ line: String) throws {
        let settings = try Self.settings(path, line)
        let port = try SerialPort(settings)
        var got = termios()
        #expect(tcgetattr(port.descriptor, &got) == 0)
        #expect(got.c_cflag & SerialLine.framingMask == settings.line.controlFlags)
        #expect(cfgetospeed(&got) == settings.line.speedCode)
        let counted = port.errors
        let errors = try #require(counted, "a UART counts its errors")
        #expect(errors.words == nil)
    }

    @Test(arguments: ports) func modemLinesAreAsTheyAreAsked(_ path: String) throws {
        for (dtr, rts) in [(true, false), (false, true), (false, false), (true, true)] {
            var settings = try Self.settings(path)
            (settings.dtr, settings.rts) = (dtr, rts)
            let port = try SerialPort(settings)
            var lines: Int32 = 0
            #expect(ioctl(port.descriptor, UInt(TIOCMGET), &lines) == 0)
            #expect((lines & TIOCM_DTR != 0) == dtr && (lines & TIOCM_RTS != 0) == rts)
        }
    }

    /// In the UART's test mode CTS is what RTS is put to, and what is sent comes back.
    @Test(arguments: ports) func nothingIsSentWhileCTSIsDown(_ path: String) throws {
        var settings = try Self.settings(path)
        settings.handshake = true
        let port = try SerialPort(settings)
        try Self.flow(port, rts: true)
        try port.write(Array("free".utf8))
        #expect(try Self.read(port, 4) == Array("free".utf8))
        try Self.flow(port, rts: false)
        try port.write(Array("held".utf8))
        #expect(try Self.read(port, 4, within: 300) == [])
        let isHeld = port.isHeldOff
        #expect(isHeld)
        try Self.flow(port, rts: true)
        #expect(try Self.read(port, 4) == Array("held".utf8))
        let isStillHeld = port.isHeldOff
        #expect(!isStillHeld)
        var lines: Int32 = TIOCM_RTS | TIOCM_DTR
        #expect(ioctl(port.descriptor, UInt(TIOCMSET), &lines) == 0)
    }

    /// Puts the UART into its test mode, and has the kernel look at CTS anew: in that mode changes are not told to it.
    private static func flow(_ port: borrowing SerialPort, rts: Bool) throws {
        var settings = termios()
        #expect(tcgetattr(port.descriptor, &settings) == 0)
        #expect(settings.c_cflag & tcflag_t(CRTSCTS) != 0, "really set")
        var lines = loop | TIOCM_DTR | (rts ? TIOCM_RTS : 0)
        settings.c_cflag &= ~tcflag_t(CRTSCTS)
        #expect(tcsetattr(port.descriptor, TCSANOW, &settings) == 0)
        #expect(ioctl(port.descriptor, UInt(TIOCMSET), &lines) == 0)
        settings.c_cflag |= tcflag_t(CRTSCTS)
        #expect(tcsetattr(port.descriptor, TCSANOW, &settings) == 0)
    }

    /// Where the driver can, it is switched on and off again; where not, it says what to do.
    @Test(arguments: ports) func directionIsSwitchedOrRefused(_ path: String) throws {
        var settings = try Self.settings(path)
        settings.rs485 = .port(.init())
        do {
            let port = try SerialPort(settings)
            try port.write([0x55])
        } catch {
            #expect("\(error)".contains("its driver cannot switch the direction of RS-485"), "\(error)")
            #expect("\(error)".contains("rs-485 = \"adapter\""))
        }
        settings.rs485 = nil
        _ = try SerialPort(settings)
    }

    private static func read(_ port: borrowing SerialPort, _ count: Int, within limit: Int = 3000) throws -> [UInt8] {
        var bytes: [UInt8] = []
        for _ in 0..<limit / 10 where bytes.count < count {
            bytes += try port.read()
            if bytes.count < count { usleep(10_000) }
        }
        return bytes
    }
}
