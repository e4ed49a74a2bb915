import Foundation
import Testing

@testable import Drivers

/// The driver's `run`, over a pseudo-terminal.
@Suite struct ESPADriverTests {
    private typealias Step = ScriptHost.Step
    private static let select = Step.send([0x31, 0x05, 0x32, 0x05])
    private static let poll = Step.send([0x04, 0x32, 0x05])
    private static let ack = Step.expect([0x06])
    private static let fire = SerialSupport.block([(1, "999"), (2, "Brand plan 2"), (6, "1")])

    @discardableResult private static func run(
        _ steps: [Step], _ values: [(String, SettingNode.Value)] = [], points: SerialSupport.Points = []
    ) throws -> ScriptHost {
        let line = try PseudoTerminal()
        let host = ScriptHost(line, steps)
        try SerialSupport.driver(port: line.path, values, points: points).run(host)
        return host
    }

    private static func calls(_ host: ScriptHost) -> [Signal] { host.signals.filter { $0.point != "line" } }

    @Test func aCallThatIsNotStoredIsNotAcknowledged() throws {
        let host = try Self.run([
            Self.select, Self.ack, .refuseReports(true), .send(Self.fire), .expect([0x32, 0x15]), .send(Self.fire),
            .expect([0x32, 0x15]), .refuseReports(false), .send(Self.fire), Self.ack, .send([0x04]), .expectNothing,
        ])
        #expect(Self.calls(host) == [Signal(point: "unclassified", .call, text: "Brand plan 2")])
        #expect(host.logged.filter { $0.0 == .warning }.count == 1, "said once a minute")
    }

    @Test func aLineConditionThatIsNotStoredIsReportedAgain() throws {
        let host = try Self.run([
            .refuseReports(true), Self.poll, .expect([0x04]), .pass(milliseconds: 4000), .refuseReports(false),
            .pass(milliseconds: 2000), .report(Signal(point: "line", .healthy)),
        ])
        #expect(host.signals.count == 1)
    }

    @Test func whatIsNotUnderstoodIsRefusedAndTold() throws {
        let odd = SerialSupport.framed(Array("1\u{02}hello".utf8))
        let refused = Step.expect([0x33, 0x15])
        let host = try Self.run([
            Self.select, Self.ack, .send(odd), refused, .send(odd), refused, .send(odd), refused, .send(Self.fire),
            Self.ack,
        ])
        #expect(Self.calls(host).map(\.text) == ["1 hello", "Brand plan 2"], "said again, it is told as it is, once")
        let line = host.signals.filter { $0.point == "line" }.map(\.reading)
        #expect(line.count == 3 && line.first == .healthy && line.last == .healthy)
        guard case .fault(let words) = line[1] else {
            Issue.record("no fault")
            return
        }
        #expect(words.contains("not understood: a record without a number and US, in 1 hello"))
    }

    @Test func silenceIsAFaultUntilThePanelSpeaks() throws {
        let host = try Self.run([
            Self.poll, .expect([0x04]), .pass(milliseconds: 119_000), .expectNothing, Self.poll, .expect([0x04]),
            .pass(milliseconds: 119_999), .pass(milliseconds: 600_000),
        ])
        let readings = host.signals.map(\.reading)
        #expect(readings.count == 2 && "\(readings)".contains("no poll or call for 120 s: check"))
        let again = try Self.run([.pass(milliseconds: 120_001), Self.poll, .expect([0x04])])
        #expect(again.signals.count == 2 && again.signals.last?.reading == .healthy)
        #expect(again.answered == 1, "an open line alone proves nothing")
    }

    @Test func silenceMayBeAllowed() throws {
        let host = try Self.run([.pass(milliseconds: 100_000_000)], [("silence", .string("0s"))])
        #expect(host.signals.isEmpty && host.answered == 1)
    }

    @Test(arguments: [("9600 8N1", "7E1", true), ("9600 7E1", "7E1", false)])
    func aLineWithWrongSettingsIsTold(_ line: String, _ advised: String, _ advises: Bool) throws {
        // "1 ENQ 2 ENQ" with an even parity bit on top, as an 8-bit line reads it.
        let polls = Step.send([0xB1, 0x05, 0xB2, 0x05])
        let host = try Self.run(
            Array(repeating: [polls, .pass(milliseconds: 2000)], count: 16).flatMap(\.self), [("line", .string(line))])
        #expect(host.signals.count == 1)
        let words = "\(host.signals)"
        #expect(words.contains("no frame fits: wrong speed or parity?"))
        #expect(words.contains("look like \\\"9600 \(advised)\\\"") == advises, "\(words)")
    }

    @Test func strictSelectingIsDoubtedOnce() throws {
        let polls = Array(repeating: [Self.poll, .expect([0x04])], count: 50).flatMap(\.self)
        let host = try Self.run(polls)
        #expect(host.logged.filter { $0.1.contains("set select = \"lenient\"") }.count == 1)
        let selected = try Self.run([Self.select, Self.ack] + polls)
        #expect(!selected.logged.contains { $0.1.contains("lenient") })
    }

    /// The panel gives up and starts anew while we store: our answer would be taken for one to its new select.
    @Test func aLateAnswerIsNotSent() throws {
        let other = SerialSupport.block([(1, "999"), (2, "Brand plan 3")])
        let host = try Self.run([
            Self.select, Self.ack,
            .slowReport(milliseconds: 11_000, meanwhile: [0x04, 0x31, 0x05, 0x32, 0x05]), .send(Self.fire),
            // One answer: to the select.
            Self.ack, .expectNothing, .send(Self.fire), Self.ack, .expectNothing, .send(other), Self.ack,
        ])
        #expect(Self.calls(host).map(\.text) == ["Brand plan 2", "Brand plan 3"])
    }

    /// Nor is a refusal, which the panel would take for one of its new select.
    @Test func aLateRefusalIsNotSent() throws {
        let host = try Self.run([
            Self.select, Self.ack, .refuseReports(true),
            .slowReport(milliseconds: 11_000, meanwhile: [0x04, 0x31, 0x05, 0x32, 0x05]), .send(Self.fire), Self.ack,
            .expectNothing, .refuseReports(false), .send(Self.fire), Self.ack,
        ])
        #expect(Self.calls(host).map(\.text) == ["Brand plan 2"])
    }

    /// Of what a panel said while we stored, only the last is answered.
    @Test func whatWasSaidBeforeTheLastIsNotAnswered() throws {
        let selects: [UInt8] = [0x04, 0x31, 0x05, 0x32, 0x05]
        let host = try Self.run([
            Self.select, Self.ack, .slowReport(milliseconds: 25_000, meanwhile: selects + selects), .send(Self.fire),
            Self.ack, .expectNothing,
        ])
        #expect(Self.calls(host).count == 1)
    }

    @Test func aSlowAnswerIsSentToAPanelThatWaits() throws {
        let host = try Self.run([
            Self.select, Self.ack, .slowReport(milliseconds: 9000, meanwhile: []), .send(Self.fire), Self.ack,
        ])
        #expect(Self.calls(host).count == 1)
    }

    @Test("While the panel waits for us, its silence is no fault")
    func waitingIsNoSilence() throws {
        let host = try Self.run(
            [
                Self.select, Self.ack, .slowReport(milliseconds: 100_000, meanwhile: []), .send(Self.fire), Self.ack,
                .pass(milliseconds: 9000), Self.poll, .expect([0x04]), .pass(milliseconds: 11_000),
            ], [("silence", .string("10s"))])
        let line = host.signals.filter { $0.point == "line" }.map(\.reading)
        #expect(line.count == 2 && line.first == .healthy, "said: \(line)")
    }

    @Test("A call that was on disk and not answered when we died is joined with its repeat, for a minute")
    func diedBeforeTheAnswer() throws {
        let body = Array(Self.fire.dropFirst().dropLast(2))
        for (pause, calls) in [(Int64(2000), 0), (61_000, 1)] {
            let line = try PseudoTerminal()
            let again: [Step] = [Self.poll, .expect([0x04]), Self.select, Self.ack, .send(Self.fire), Self.ack]
            let host = ScriptHost(line, [.pass(milliseconds: pause)] + again)
            try host.keep(body)
            try SerialSupport.driver(port: line.path).run(host)
            #expect(Self.calls(host).count == calls && host.kept == [], "after \(pause) ms")
        }
    }

    @Test("A maker's own digits behind a value do not hide what it says")
    func furtherDigits() throws {
        let host = try Self.run(
            [
                Self.select, Self.ack, .send(SerialSupport.block([(1, "9"), (2, "Brand"), (6, "12")])), Self.ack,
                .send(SerialSupport.block([(1, "9"), (2, "Larm"), (4, "11")])), Self.ack,
                .send(SerialSupport.block([(8, "13")], header: "2")), Self.ack,
            ], points: [("fire", [("priority", .integer(1))])])
        #expect(Self.calls(host).map(\.point) == ["fire", "unclassified", "transmitter"])
        #expect(Self.calls(host)[1].reading == .call, "no reset")
        #expect(Self.calls(host)[2].reading != .healthy)
    }

    @Test("A text far beyond the specification's 128 characters is told")
    func longText() throws {
        let text = String(repeating: "Brand ", count: 500)
        let host = try Self.run([Self.select, Self.ack, .send(SerialSupport.block([(1, "9"), (2, text)])), Self.ack])
        #expect(Self.calls(host).first?.text.count == 2999)
    }

    @Test func aRepeatDuringStoringIsAnsweredOnce() throws {
        let host = try Self.run([
            Self.select, Self.ack, .slowReport(milliseconds: 3000, meanwhile: Self.fire), .send(Self.fire), Self.ack,
            .expectNothing, .send([0x04]),
        ])
        #expect(Self.calls(host).count == 1)
    }

    @Test func aWholeSessionMayComeAtOnce() throws {
        let session = [0x04, 0x31, 0x05, 0x32, 0x05] + Self.fire + [0x04]
        let line = try PseudoTerminal()
        let answers = Step.expect([0x06, 0x06])
        let host = ScriptHost(line, [.send(session), answers, .send(session), answers], inTurns: false)
        try SerialSupport.driver(port: line.path).run(host)
        #expect(Self.calls(host).count == 2)
    }

    @Test func aResetClearsAndAStatusIsNoAlarm() throws {
        let reset = SerialSupport.block([(1, "999"), (4, "1")])
        let host = try Self.run(
            [
                Self.select, Self.ack, .send(reset), Self.ack,
                .send(SerialSupport.block([(1, "123"), (4, "1")])), Self.ack,
                .send(SerialSupport.block([(1, "999"), (7, "3")], header: "2")), Self.ack,
                .send(SerialSupport.block([(1, "999")], header: "3")), Self.ack,
                .send(SerialSupport.block([(8, "1")], header: "2")), Self.ack,
                .send(SerialSupport.block([(8, "2")], header: "2")), Self.ack,
                .send(SerialSupport.block([(1, "4711"), (2, "own")], header: "5")), Self.ack,
            ],
            points: [("fire", [("address", .string("999"))])])
        #expect(
            Self.calls(host) == [
                Signal(point: "fire", .cleared),
                Signal(point: "unclassified", .cleared, text: "Call to 123 (type 1)"),
                Signal(point: "transmitter", .fault("the panel's bus reports a failed pager transmitter")),
                Signal(point: "transmitter", .healthy), Signal(point: "unclassified", .call, text: "own"),
            ])
    }

    @Test func theAnswerMayBeDelayed() throws {
        let line = try PseudoTerminal()
        let host = ScriptHost(line, [Self.select, Self.ack])
        let before = host.now.uptime
        try SerialSupport.driver(port: line.path, [("reply-delay", .string("40ms"))]).run(host)
        #expect((40...50).contains(host.now.uptime - before))
    }

    @Test func aLineThatIsGoneIsTold() throws {
        var line: PseudoTerminal? = try PseudoTerminal()
        let path = try #require(line?.path)
        let driver = try SerialSupport.driver(port: path)
        let host = RealHost()
        let ended = Ended()
        Thread { ended.set(Result { try driver.run(host) }) }.start()
        #expect(host.isWaitedFor())
        for _ in 0..<3 {
            line?.send([0x04, 0x32, 0x05])
            #expect(line?.received(within: 5000) == [0x04])
        }
        line = nil
        let result = try #require(ended.wait())
        let error = #expect(throws: DeviceError.self) { try result.get() }
        #expect(error?.description.hasPrefix("serial port \(path) is lost: ") == true)
        #expect(throws: DeviceError.self) { try driver.run(host) }
    }

    /// The independent control station of Tests/Peers, in a process of its own.
    @Test func anIndependentPanelGetsItsCallThrough() throws {
        let link = FileManager.default.temporaryDirectory.appending(path: "espa-\(UUID().uuidString)").path
        let panel = Process()
        let commands = Pipe()
        let output = Pipe()
        panel.executableURL = URL(filePath: "/usr/bin/python3")
        let script = SerialSupport.folder.deletingLastPathComponent().appending(path: "Peers/espa_panel.py").path
        panel.arguments = [script, "--link", link, "--poll", "0.1"]
        panel.standardInput = commands
        panel.standardOutput = output
        try panel.run()
        defer {
            kill(panel.processIdentifier, SIGKILL)
            panel.waitUntilExit()
            try? FileManager.default.removeItem(atPath: link)
        }
        var lines = output.fileHandleForReading.bytesAsLines
        #expect(lines.next()?.hasPrefix("ready ") == true)

        let driver = try SerialSupport.driver(
            port: link, points: [("fire", [("priority", .integer(1))])])
        let host = RealHost()
        let ended = Ended()
        Thread { ended.set(Result { try driver.run(host) }) }.start()
        commands.fileHandleForWriting.write(Data("call 999 \"Brand i källaren\" priority=1\nbroken\n".utf8))
        #expect(lines.next { $0.hasPrefix("call ") } == "call 1 ACK tries=1")
        #expect(lines.next { $0.hasPrefix("broken") } == "broken 2 NAK1 tries=2")
        host.stop()
        try #require(ended.wait()).get()
        #expect(host.signals.filter { $0.point != "line" } == [Signal(point: "fire", .call, text: "Brand i källaren")])
    }
}
