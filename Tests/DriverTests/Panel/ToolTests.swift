import AlarmProtocol
import Foundation
import Synchronization
import Testing

@testable import Drivers

@Suite("Recordings, written and played") struct RecordingToolTests {
    private static let place = Place(file: "site.toml", line: 1, column: 1)

    private static func table(_ entries: [(String, SettingNode.Value)]) -> SettingNode {
        SettingNode(.table(entries.map { .init(key: $0.0, node: SettingNode($0.1, at: place)) }), at: place)
    }

    /// A driver at work on a real pseudo-terminal with a played panel at its other end, and a technician who records.
    final class RecordingHost: Drivers.Host {
        struct State {
            var writer: RecordingWriter
            var lines: [String] = []
            var signals: [Signal] = []
        }
        let state: Mutex<State>
        let isDone = Mutex(false)
        private let began = ContinuousClock.now

        init(_ writer: RecordingWriter) { state = Mutex(State(writer: writer)) }

        var isWatched: Bool { true }
        var now: Moment {
            Moment(utc: 0, uptime: 5000 + began.duration(to: .now).milliseconds, clock: .known)
        }
        func answers() {}
        func output(_ name: String) -> Bool { false }
        func log(_ level: LogLevel, _ message: String) {}
        func trace(_ passage: Passage) {
            let now = now.uptime
            state.withLock { $0.lines += $0.writer.passed(passage, at: now) }
        }
        func report(_ signals: [Signal]) throws {
            let now = now.uptime
            state.withLock { state in
                state.signals += signals
                for signal in signals { state.lines += state.writer.reported(signal.summary, at: now) }
            }
        }
        func wait(for descriptors: [Int32], until deadline: ContinuousClock.Instant?) -> Wake {
            while true {
                if isDone.withLock(\.self) { return .stop }
                if let deadline, deadline <= .now { return .deadline }
                var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
                if poll(&polled, nfds_t(polled.count), 10) > 0 {
                    return .ready(polled.filter { $0.revents != 0 }.map(\.fd))
                }
            }
        }
    }

    @Test("What was recorded at a panel is a regression case once its file is copied")
    func recordedAndReplayed() throws {
        let line = try PseudoLine()
        let table = Self.table([
            ("port", .string(line.path)), ("format", .string("sur-gard")), ("silence", .string("0s")),
            ("account", .string("4711")), ("text", .string("the gateway's, not the driver's")),
        ])
        let about = ["make": "Sur-Gard", "provenance": "played, in a test"]
        let head = try #require(RecordingWriter.head(about, of: table, kind: ReceiverLineDriver.self))
        let settings = Settings(
            Self.table([
                ("port", .string(line.path)), ("format", .string("sur-gard")), ("silence", .string("0s")),
            ]), path: "device.receiver-line.x", problems: Problems())
        let driver = try ReceiverLineDriver(settings)
        let host = RecordingHost(RecordingWriter(port: line.path))
        let ended = Ended()
        Thread.detachNewThread {
            ended.set(Result { try driver.run(host) })
        }
        let script = try PlayScript.read(
            "fire 12 Brand i kök\nburglary 3 area 2\nrestore 12\nwait\nend\n", file: "script"
        ).get()
        // A signal of the driver's own comes with the first good frame.
        var player = PanelPlayer<PlayedReceiver>(on: PanelEnd(line), show: { _ in })
        player.add(script)
        try player.run(listeningTo: [], next: { _ in [] }, isDone: { _, _ in false })
        #expect(player.taken == 3 && player.waiting == 0)
        host.isDone.withLock { $0 = true }
        _ = try #require(ended.wait()).get()
        let written = host.state.withLock(\.lines)
        let text = (head.lines + written).joined(separator: "\n") + "\n"
        #expect(!text.contains("gateway's") && !text.contains("4711"))
        #expect(text.contains("# line: 9600 8N1") && text.contains("# firmware: unknown"))
        #expect(written.filter { $0.hasPrefix("= 1234-") }.count == 3)

        // The copied file, by its name alone, and by its head.
        let read: (String) throws -> Recording = { try Recording(text, file: "from-the-field.txt", port: $0) }
        let kind = try #require(try read("/dev/x").kind(among: panelDrivers))
        #expect(kind.name == "receiver-line")
        #expect(try Replay.run(kind, read: read) == 0, "\(text)")
        // And a recording that says otherwise is found out.
        let other = text.replacingOccurrences(of: "[1110 zone 12", with: "[1110 zone 13")
        #expect(other != text)
        #expect(try Replay.run(kind, read: { try Recording(other, file: "x", port: $0) }) == 1)
    }

    @Test("A recording says what passed and when, the line's own reports with PORT, and where it was opened anew")
    func written() {
        var writer = RecordingWriter(port: "/dev/ttyS1")
        var lines = writer.passed(Passage(.received, [0x55], "no frame: too short"), at: 1000)
        lines += writer.passed(Passage(.received, [0x31, 0x14], "link test"), at: 1250)
        lines += writer.passed(Passage(.sent, [0x06], "accepted"), at: 1251)
        lines += writer.passed(Passage(.received, [0x31, 0x14], "link test"), at: 3250)
        lines += writer.reported("line fault no poll for 60 s on /dev/ttyS1: check the cable", at: 63_250)
        lines += writer.remark("lost: unplugged\n") + writer.opened(at: 64_250)
        lines += writer.passed(Passage(.sent, [], "login"), at: 64_251)
        #expect(
            lines == [
                "< 55", "+250ms", "< 31 14", "> 06", "+2000ms", "< 31 14", "+60000ms",
                "= line fault no poll for 60 s on PORT: check the cable", "// lost: unplugged·", "+1000ms", "! opened",
                "// > login is left out: it is a secret",
            ])
    }

    @Test("Settings are read again as they were; secrets are left out, wherever they stand")
    func head() throws {
        let list = SettingNode.Value.array(["fel \"A\"", "c:\\"].map { SettingNode(.string($0), at: Self.place) })
        let point = Self.table([("text-contains", list), ("priority", .integer(1)), ("kind", .string("fire"))])
        let table = Self.table([
            ("port", .string("/dev/ttyS1")), ("line", .string("9600 7E1")), ("addresses", .string("2")),
            ("select", .string("lenient")), ("partition", .integer(3)), ("dtr", .boolean(true)),
            ("point", .table([.init(key: "fault", node: point)])),
        ])
        let head = try #require(RecordingWriter.head([:], of: table, kind: ESPADriver.self))
        let recording = try Recording(head.lines.joined(separator: "\n"), file: "x.txt", port: "/dev/ttyS1")
        #expect(recording.head["line"] == "9600 7E1" && recording.head["driver"] == "espa")
        #expect(recording.settings.map(\.key) == ["addresses", "select", "silence"])
        #expect(recording.points.map(\.name) == ["fault"])
        #expect(recording.points.first?.conditions.map(\.key) == ["text-contains", "priority"])
        let settings = recording.table(of: "espa", port: "/dev/ttyS1")
        let driver = try ESPADriver(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [])
        #expect(driver.addresses == [0x32] && driver.lenient)
        #expect(settings.points.first?.strings("text-contains") == ["fel \"A\"", "c:\\"])

        for key in ["key", "integration-key", "code", "user-code", "password", "pin"] {
            #expect(RecordingWriter.isSecret(key))
        }
        for key in ["codes", "charset", "keypad", "silence", "event-code", "restore-code"] {
            #expect(!RecordingWriter.isSecret(key))
        }
        var writer = RecordingWriter(port: "x", secrets: ["1234"])
        let lines = writer.passed(Passage(.sent, Array("L1234\r".utf8), "log in"), at: 0)
        #expect(lines == ["// > 6 bytes with a secret setting are left out"])
        #expect(RecordingWriter.head([:], of: Self.table([]), kind: ESPADriver.self) == nil)
    }
}

@Suite("A recording from the field, of any kind, is a regression case once its file is copied") struct FieldTests {
    /// A login is a secret whatever its key is called; what its driver does without it is told.
    @Test func loginIsLeftOut() throws {
        let place = Place(file: "site.toml", line: 1, column: 1)
        let entries = [("port", "/dev/x"), ("login", "543216")].map {
            SettingNode.Entry(key: $0.0, node: SettingNode(.string($0.1), at: place))
        }
        let head = try #require(
            RecordingWriter.head([:], of: SettingNode(.table(entries), at: place), kind: GalaxyDriver.self))
        #expect(!head.lines.contains { $0.contains("543216") })
        #expect(head.lines.contains("// setting login is left out: it is a secret"))
        #expect(head.lines.contains("# setting silence = 30s"))
        #expect(head.secrets == ["543216"] && !head.beginsAtOpening)
    }

    private static let head =
        "# driver: prt3\n# make: x\n# model: x\n# firmware: x\n# line: 9600 8N1\n"
        + "# provenance: made up\n# setting zones = 0\n# setting silence = 65s\n"

    private func differences(_ text: String) throws -> [String] {
        let words = Mutex<[String]>([])
        let kind = ParadoxDriver.self
        let read: (String) throws -> Recording = { try Recording(Self.head + text, file: "x.txt", port: $0) }
        let count = try Replay.run(kind, read: read) { news, _ in
            if case .differs(let what, _) = news { words.withLock { $0.append(what) } }
        }
        #expect(count == words.withLock(\.count))
        return words.withLock(\.self)
    }

    private func hex(_ text: String) -> String { hexadecimal(Array(text.utf8) + [13]) }
    private var opening: String {
        "> \(hex("RA001"))\n< \(hex("RA001DOOOOOO"))\n= polls healthy\n= combus healthy\n"
            + "= area-1 active false [arming area 1]\n"
            + "= area-1-alarm active false [unclassified area 1] Area in alarm\n"
            + "= area-1-trouble active false [trouble area 1] Trouble\n"
            + "= area-1-fire active false [fire area 1] Fire alarm in the area\n= line healthy\n> \(hex("AL001"))\n"
            + "< \(hex("AL001Skola           "))\n"
    }
    private var poll: String { "> \(hex("RA001"))\n< \(hex("RA001DOOOOOO"))\n" }

    /// The computer on site was late by some milliseconds at each poll, and early by the clock of a report that took time.
    @Test func clocksThatPart() throws {
        for late in [0, 3, 40, 400] {
            #expect(try differences(opening + (1...200).map { _ in "+\(30_000 + late)ms\n\(poll)" }.joined()) == [])
        }
        #expect(try differences(opening + "+29960ms\n" + poll) == [])
        #expect(try differences(opening + "+20000ms\n" + poll).count == 1)
    }

    /// A line that was lost on site is opened anew in a replay, too.
    @Test func openedAnew() throws {
        #expect(try differences(opening + "+5000ms\n// lost: unplugged\n+1000ms\n! opened\n" + opening) == [])
    }

    /// The line's own report may come a little earlier or later than in the file, or not be in it where the recording
    /// began later. It may not be missing, or another.
    @Test func theLinesOwnReports() throws {
        let middle = opening.replacingOccurrences(of: "= line healthy\n", with: "")
        #expect(try differences(middle) == [])
        #expect(try differences("> \(hex("RA001"))\n= line healthy\n" + middle.dropFirst(20)) == [])
        let silent = "+70000ms\n= line fault no answer to polls for 65 s on PORT"
        #expect(try differences(opening.replacingOccurrences(of: "line healthy", with: "line fault x")).count == 1)
        #expect(try differences("= line healthy\n" + opening).count == 1)
        #expect(try differences(opening + silent).contains { $0.contains("recorded is line fault no answer") })
    }

    /// What was answered before it was reported is found out.
    @Test func answeredTooEarly() throws {
        let text = """
            # driver: receiver-line
            # make: x
            # model: x
            # firmware: x
            # line: 9600 8N1
            # provenance: made up
            # setting format = "sur-gard"
            < 35 30 31 31 20 31 38 31 32 33 34 45 31 31 30 30 30 30 31 32 14
            = 1234-zone-12 call [1110 zone 12 of 1234]
            > 06
            """
        for prefix in ["", "\u{FEFF}"] {
            for end in ["\n", "\r\n"] {
                let file = prefix + text.replacingOccurrences(of: "\n", with: end)
                let read: (String) throws -> Recording = { try Recording(file, file: "x", port: $0) }
                #expect(try Replay.run(ReceiverLineDriver.self, read: read) == 0)
            }
        }
    }
}

@Suite("Every byte of a line is shown") struct ShownBytesTests {
    @Test("Noise before a frame, a frame judged late, half a frame, and too much of nothing")
    func shown() {
        var shown = ShownBytes()
        for byte in [9, 1, 2, 3] as [UInt8] { #expect(shown.came(byte, at: 5) == nil) }
        #expect(
            shown.passages(of: [1, 2, 3], "frame")
                == [Passage(.received, [9], "no frame"), Passage(.received, [1, 2, 3], "frame")])
        #expect(shown.deadline == nil)
        for byte in [7, 8, 1] as [UInt8] { _ = shown.came(byte, at: 10) }
        #expect(shown.passages(of: [7, 8], "strange") == [Passage(.received, [7, 8], "strange")])
        #expect(shown.overdue(at: 900) == nil)
        #expect(shown.overdue(at: 1010) == Passage(.received, [1], "no frame so far"))
        // The end of a line stands with that line, or before the next, never alone.
        for byte in [0x41, 0x0D] as [UInt8] { _ = shown.came(byte, at: 20) }
        #expect(shown.passages(of: [0x41], "line") == [Passage(.received, [0x41, 0x0D], "line")])
        for byte in [0x0A] as [UInt8] { _ = shown.came(byte, at: 30) }
        #expect(shown.deadline == nil && shown.overdue(at: 9000) == nil)
        _ = shown.came(0x42, at: 40)
        #expect(shown.passages(of: [0x42], "line") == [Passage(.received, [0x0A, 0x42], "line")])
        // A login that comes back, with errors and in parts, is not shown; a frame is.
        shown.hidesDigits = true
        for byte in [0x41, 0x31, 0x32] as [UInt8] { _ = shown.came(byte, at: 50) }
        #expect(shown.overdue(at: 5000)?.bytes == [0x41, 0x2A, 0x2A])
        for byte in [0x31, 0x32] as [UInt8] { _ = shown.came(byte, at: 60) }
        #expect(
            shown.passages(of: [0x32], "frame")
                == [Passage(.received, [0x2A], "no frame"), Passage(.received, [0x32], "frame")])
        _ = shown.came(0x33, at: 70)
        #expect(shown.passages(of: [0x33], "no frame: x", isFrame: false)[0].bytes == [0x2A])
        shown.hidesDigits = false
        var passed: [UInt8] = []
        for number in 0..<5000 { passed += shown.came(UInt8(number & 255), at: 0)?.bytes ?? [] }
        passed += shown.overdue(at: 5000)?.bytes ?? []
        #expect(passed == (0..<5000).map { UInt8($0 & 255) })
    }

    /// Over a converter that hears itself.
    @Test func loginIsNeverShown() throws {
        let line = try PseudoTerminal()
        let driver = try GalaxyDriver(
            Settings(
                SerialSupport.node(
                    .table(
                        [("port", line.path), ("login", "543216")].map {
                            SettingNode.Entry(key: $0.0, node: SerialSupport.node(.string($0.1)))
                        })), path: "device.galaxy.x", problems: Problems()))
        let login = GalaxyBlock("?", Array("543216*1".utf8), isFromHost: true).bytes
        let host = ScriptHost(
            line,
            [
                .expect(login), .send(Array(login.prefix(4))), .pass(milliseconds: 2000), .send(login),
                .pass(milliseconds: 500),
            ])
        try driver.run(host)
        let shown = host.traced.map { hexadecimal($0.bytes) }.joined(separator: " | ")
        #expect(host.traced.contains(Passage(.sent, [], "login")))
        for digits in ["35 34", "33 32", "31 36"] { #expect(!shown.contains(digits), "\(shown)") }
        for (_, words) in host.logged { #expect(!words.contains("35 34") && !words.contains("543216")) }
    }
}

@Suite("Scripts of what happens at a played site") struct PlayScriptTests {
    private func actions(_ text: String) throws -> [PlayScript.Action] {
        try PlayScript.read(text, file: "s").get().flatMap(\.actions)
    }
    private func event(_ kind: String, _ began: Bool, _ area: Int, _ zone: Int, _ text: String) throws
        -> PlayScript.Action
    {
        .happen(PlayedEvent(try #require(EventKind.named(kind)), began: began, partition: area, zone: zone, text: text))
    }

    @Test("As a technician reads it aloud")
    func aloud() throws {
        let text = """
            # a rehearsal
            fire 12 Brand i kök

            after 5s burglary zone 3 area 2 Lager 4
            after 2min
            restore 12
            restore burglary 3
            wait
            silence 30s
            mains-failure
            inbrottslarm 7
            end
            """
        #expect(
            try actions(text) == [
                try event("fire", true, 0, 12, "Brand i kök"), .pause(.seconds(5)),
                try event("burglary", true, 2, 3, "Lager 4"), .pause(.seconds(120)),
                try event("fire", false, 0, 12, "Brand i kök"), try event("burglary", false, 2, 3, "Lager 4"),
                .untilTaken,
                .silence(.seconds(30)), try event("mains-failure", true, 0, 0, ""),
                try event("burglary", true, 0, 7, ""),
                .end,
            ])
        #expect(try actions("restore mains-failure\r\nfire 1\r\n").count == 2)
    }

    @Test(
        "What cannot be understood is refused with its line and what to say instead",
        arguments: [
            ("fyre 12", "did you mean \"fire\""), ("restore 12", "restore fire 12"), ("after fire", "after 5s"),
            ("silence", "silence 5s"), ("wait a bit", "nothing behind"), ("fire 10000", "0 to 9999"),
            ("fire 1 area 100", "0 to 99"), ("restore", "expected a zone"), ("burglary zone x", "number behind"),
            ("restore manual-test 3", "no end"), ("after 999h fire", "24h"),
        ])
    func refused(_ line: String, _ why: String) {
        guard case .failure(let wrong) = PlayScript.read("fire 3\n\(line)\nfyra 7\n", file: "x.txt") else {
            Issue.record("\(line) was taken")
            return
        }
        let lines = wrong.description.split(separator: "\n")
        #expect(lines.count == 2 && lines[0].hasPrefix("x.txt:2: ") && lines[0].lowercased().contains(why), "\(wrong)")
        #expect(lines.last?.hasPrefix("x.txt:3: ") == true)
    }

    @Test("A script of any bytes is refused or read, and never more than that")
    func hostile() {
        for seed in UInt64(1)...200 {
            let text = String(decoding: noise(seed, count: 600).map { $0 % 3 == 0 ? 0x20 : $0 & 0x7F }, as: UTF8.self)
            for part in ["", "fire ", "restore ", "after ", "after 5s "] {
                if case .success(let lines) = PlayScript.read(part + text, file: "x") { #expect(lines.count <= 600) }
            }
        }
    }
}

@Suite("A Modbus bus, in words") struct ModbusMeaningTests {
    private func block(_ table: ModbusTable, _ registers: ClosedRange<Int>) -> ReadBlock {
        ReadBlock(
            unit: 3, table: table, members: registers.map { ReadBlock.Member(point: $0, register: $0) })
    }

    @Test("What was asked, what came and how long it took")
    func words() {
        let inputs = block(.discreteInput, 0...9)
        #expect(inputs.asked == "unit 3: read inputs 0-9")
        let took = Duration.milliseconds(12)
        #expect(
            inputs.meaning(of: .values([0, 1, 0, 0, 0, 0, 0, 0, 1, 1]), after: took)
                == "unit 3 inputs 0-9: 0100000011, 12 ms")
        #expect(
            block(.holdingRegister, 300...301).meaning(of: .values([0xFFFB, 7]), after: took)
                == "unit 3 holding registers 300-301: 65531 7, 12 ms")
        #expect(
            block(.coil, 5...5).meaning(of: .exception(2), after: took) == "unit 3 refuses coil 5: exception 2, 12 ms")
        #expect(inputs.meaning(of: .silence, after: took) == "unit 3: no reply within 12 ms")
    }
}
