import AlarmProtocol
import Foundation
import Synchronization
import Testing

@testable import Drivers

/// A host whose disk takes nothing until the printer has printed all it has to say.
private final class FullDiskHost: Drivers.Host {
    private struct State {
        var lines: [[UInt8]]
        var signals: [Signal] = []
        var refused = 0
    }

    private let line: PseudoTerminal
    private let state: Mutex<State>

    init(_ line: PseudoTerminal, _ lines: [[UInt8]]) {
        self.line = line
        state = Mutex(State(lines: lines))
    }

    var signals: [Signal] { state.withLock(\.signals) }
    var refused: Int { state.withLock(\.refused) }
    var now: Moment { Moment(utc: 0, uptime: Int64(ProcessInfo.processInfo.systemUptime * 1000), clock: .known) }
    func answers() {}
    func output(_ name: String) -> Bool { false }
    func log(_ level: LogLevel, _ message: String) {}

    func report(_ signals: [Signal]) throws {
        try state.withLock { state in
            guard state.lines.isEmpty else {
                state.refused += 1
                throw ReportError("the disk is full")
            }
            state.signals += signals
        }
    }

    func wait(for descriptors: [Int32], until deadline: ContinuousClock.Instant?) -> Wake {
        let next = state.withLock { state in state.lines.isEmpty ? nil : state.lines.removeFirst() }
        if let next { line.send(next) }
        guard let descriptor = descriptors.first else {
            usleep(2000)
            return .deadline
        }
        var ready = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&ready, 1, 500) > 0 ? .ready([descriptor]) : .stop
    }
}

@Suite("A printer while the disk is full") struct PrinterSessionTests {
    @Test("With XON/XOFF the panel is told to go on at the opening, to wait while nothing can be stored, and to go on")
    func holdsOff() throws {
        let line = try PseudoTerminal()
        let texts = (1...300).map { "BRANDLARM SEKTION \($0)" }
        let settings = SerialSupport.settings([
            ("port", .string(line.path)), ("handshake", .string("xon-xoff")),
        ])
        let driver = try PrinterDriver(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [])
        let host = FullDiskHost(line, texts.map { Array("\($0)\r\n".utf8) })
        try driver.run(host)
        #expect(host.signals.filter { $0.point != "line" }.map(\.text) == texts)
        #expect(line.received(count: 3) == [0x11, 0x13, 0x11])
        let other = SerialSupport.settings([("port", .string("/dev/x")), ("handshake", .string("xon-xoff"))])
        _ = try SatelMonitoringDriver(other)
        #expect(other.problems.all.count == 1, "frames may hold those characters")
    }

    @Test("What is printed while nothing can be stored is kept, and told in order when it can")
    func fullDisk() throws {
        let line = try PseudoTerminal()
        let texts = (1...300).map { "BRANDLARM SEKTION \($0)" }
        let settings = SerialSupport.settings([("port", .string(line.path)), ("line", .string("9600 8N1"))])
        let driver = try PrinterDriver(settings)
        let host = FullDiskHost(line, texts.map { Array("\($0)\r\n".utf8) })
        try driver.run(host)
        #expect(host.refused > 0)
        #expect(host.signals.filter { $0.point != "line" }.map(\.text) == texts)
    }
}
