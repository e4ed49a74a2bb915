import AlarmProtocol
import Testing

@testable import Drivers

@Suite("Satel, function 2") struct SatelIntegraTests {
    enum Arrival: CaseIterable, Sendable { case whole, slowly, afterNoise, twice }
    typealias Line = PlayedLine<SatelIntegraLink, PlayedSatelIntegra>

    static let vectors = PanelVectors.read("satel-integra")
    @Test func theVectorsAreThere() { #expect(Self.vectors.count >= 25) }

    static func kind(_ name: String) throws -> EventKind { try #require(EventKind.named(name)) }

    /// What is at rest is no news to anybody who has not heard of it.
    static func news(_ signals: some Sequence<Signal>) -> [String] {
        signals.filter { $0.reading != .active(false) && $0.reading != .healthy }.map(\.summary)
    }

    @Test("What the panel says late or unasked is true all the same", arguments: vectors, Arrival.allCases)
    func reported(_ vector: PanelVectors.Vector, _ arrival: Arrival) {
        for seed in UInt64(1)...(arrival == .afterNoise ? 50 : 1) {
            var harness = PanelHarness(SatelIntegraLink())
            harness.open()
            if arrival == .afterNoise { harness.feed(noise(seed)) }
            #expect(harness.signals.isEmpty, "noise is no event")
            harness.feed(vector.bytes, every: arrival == .slowly ? 20 : 0)
            if arrival == .twice, vector.expect == "accept" { harness.feed(vector.bytes) }
            #expect(Self.news(harness.signals) == vector.signals ?? [])
            if vector.expect == "drop" { #expect(harness.signals.isEmpty) }
        }
    }

    @Test(
        "A played panel answers every question of the vectors",
        arguments: vectors.filter { $0.direction == "gateway->panel" })
    func questions(_ vector: PanelVectors.Vector) {
        var panel = PlayedSatelIntegra()
        let answers = vector.bytes.flatMap { panel.receive($0, at: 0) }.filter {
            if case .send = $0 { true } else { false }
        }
        #expect(answers.count == 1)
    }

    @Test("It asks for the panel once, for all at the start, each second what is new, and only reads")
    func asks() {
        var line = Line(SatelIntegraLink(), PlayedSatelIntegra())
        line.open()
        line.pass(10_500)
        let commands = line.harness.sent.compactMap { SatelFrameTests.bodies($0).first?.first }
        #expect(commands.prefix(3) == [0x7E, 0x7C, 0x7F])
        for command in SatelCommand.fast where command != 0 { #expect(commands.count { $0 == command } == 1) }
        #expect(commands.count { $0 == 0x7E } == 1 && commands.count { $0 == 0x7F } == 11)
        #expect(commands.allSatisfy { $0 < 0x80 || $0 == SatelCommand.event })
        #expect(Self.news(line.signals).isEmpty)
        line.pass(300_000)
        let later = line.harness.sent.compactMap { SatelFrameTests.bodies($0).first?.first }
        #expect(later.count { $0 == SatelCommand.partitionsFire } == 2, "all of it again after five minutes")
    }

    @Test("Fire is told as such, with the zone as the log has it, and so is its end")
    func fire() throws {
        var line = Line(SatelIntegraLink(), PlayedSatelIntegra())
        line.open()
        line.pass(5000)
        let before = line.signals.count
        try line.happen(PlayedEvent(try Self.kind("fire-smoke"), partition: 2, zone: 12))
        line.pass(1500)
        #expect(
            line.signals.dropFirst(before).map(\.summary) == [
                "area-2-fire active true [fire area 2]", "zone-12 active true [1111 zone 12 area 2]",
            ])
        try line.happen(PlayedEvent(try Self.kind("fire-smoke"), began: false, partition: 2, zone: 12))
        line.pass(1500)
        #expect(
            line.signals.dropFirst(before + 2).map(\.summary) == [
                "area-2-fire active false [fire area 2]", "zone-12 active false [3111 zone 12 area 2]",
            ])
    }

    @Test("Without the log a zone's alarm is fire while a partition has one, else burglary")
    func withoutLog() throws {
        var line = Line(SatelIntegraLink(readsLog: false), PlayedSatelIntegra())
        line.open()
        line.pass(3000)
        try line.happen(PlayedEvent(try Self.kind("burglary"), zone: 1))
        line.pass(1500)
        try line.happen(PlayedEvent(try Self.kind("fire"), zone: 2))
        line.pass(1500)
        #expect(
            Self.news(line.signals) == [
                "zone-1 active true [burglary zone 1]", "area-1-alarm active true [burglary area 1]",
                "area-1-fire active true [fire area 1]", "zone-2 active true [fire zone 2]",
            ])
        #expect(!line.harness.sent.contains { SatelFrameTests.bodies($0).first?.first == SatelCommand.event })
    }

    @Test(
        "An alarm that has come and gone between two questions is told, with and without the log",
        arguments: [true, false])
    func pulse(_ readsLog: Bool) throws {
        var line = Line(SatelIntegraLink(readsLog: readsLog), PlayedSatelIntegra())
        line.open()
        line.pass(3000)
        for zone in [7, 8] {
            try line.happen(PlayedEvent(try Self.kind("fire"), zone: zone))
            try line.happen(PlayedEvent(try Self.kind("fire"), began: false, zone: zone))
        }
        line.pass(3000)
        for point in ["zone-7", "zone-8", "area-1-fire"] {
            let readings = line.signals.filter { $0.point == point }.map(\.reading)
            #expect(readings == [.active(false), .active(true), .active(false)], "\(point)")
        }
    }

    @Test("Who arms is told once, whether the log or the state comes first")
    func arming() throws {
        var line = Line(SatelIntegraLink(), PlayedSatelIntegra())
        line.open()
        line.pass(3000)
        try line.happen(PlayedEvent(try Self.kind("arming"), partition: 3, zone: 17))
        line.pass(1500)
        try line.happen(PlayedEvent(try Self.kind("disarming"), partition: 3, zone: 18))
        line.pass(400_000)
        let said = line.signals.filter { $0.point == "area-3" }
        #expect(said.map(\.reading) == [.active(false), .active(true), .active(false)])
        #expect(said[1].said == Said(.contactID("401", .restore), partition: 3, zone: 17))
        #expect(said[2].said == Said(.contactID("401", .event), partition: 3, zone: 18))
    }

    @Test("What stands at the start is state; the log before it is no news")
    func start() throws {
        var panel = PlayedSatelIntegra()
        try panel.happen(PlayedEvent(try Self.kind("fire"), partition: 1, zone: 5), at: 0)
        try panel.happen(PlayedEvent(try Self.kind("arming"), partition: 2, zone: 9), at: 0)
        try panel.happen(PlayedEvent(try Self.kind("mains-failure")), at: 0)
        var line = Line(SatelIntegraLink(), panel)
        line.open()
        line.pass(3000)
        #expect(
            Self.news(line.signals) == [
                "area-1-fire active true [fire area 1]", "zone-5 active true [1110 zone 5 area 1]",
                "area-2 active true [3400 area 2]", "mains active true [1301] mains failure of the panel",
            ])
        let points = line.signals.map(\.point)
        #expect(Set(points).count == points.count, "each state once")
        #expect(points.contains("zone-128") && !points.contains("zone-129") && points.contains("area-32"))
    }

    @Test("Of a zone's entries in the log the latest says of which kind its alarm is")
    func latestKind() throws {
        var panel = PlayedSatelIntegra()
        try panel.happen(PlayedEvent(try Self.kind("burglary"), zone: 5), at: 0)
        try panel.happen(PlayedEvent(try Self.kind("burglary"), began: false, zone: 5), at: 0)
        try panel.happen(PlayedEvent(try Self.kind("fire"), zone: 5), at: 0)
        var line = Line(SatelIntegraLink(), panel)
        line.open()
        line.pass(3000)
        #expect(Self.news(line.signals).contains("zone-5 active true [1110 zone 5 area 1]"))
    }

    /// Ends at once, as by a crash, and begins again.
    private static func restarted(_ line: Line, after pause: Int64, _ happen: (inout PlayedSatelIntegra) throws -> Void)
        rethrows -> Line
    {
        var panel = line.panel
        try happen(&panel)
        var again = Line(SatelIntegraLink(), panel)
        (again.harness.kept, again.harness.now) = (line.harness.kept, line.now + pause)
        again.open()
        again.pass(20_000)
        return again
    }

    @Test("What the log says of the time while we were away is told, once; what was told before is not")
    func away() throws {
        var line = Line(SatelIntegraLink(), PlayedSatelIntegra())
        line.open()
        line.pass(3000)
        try line.happen(PlayedEvent(try Self.kind("burglary"), zone: 3))
        line.pass(3000)
        let again = try Self.restarted(line, after: 86_400_000) { panel in
            for began in [true, false] {
                try panel.happen(PlayedEvent(try Self.kind("hold-up"), began: began, zone: 4), at: line.now)
            }
        }
        #expect(
            Self.news(again.signals) == [
                "zone-3 active true [1130 zone 3 area 1]", "zone-4 active true [1122 zone 4 area 1]",
            ])
        let third = Self.restarted(again, after: 1000) { _ in }
        #expect(Self.news(third.signals).contains { $0.hasPrefix("zone-4") } == false)
        #expect(!third.signals.contains { $0.point == "event-log" })
    }

    @Test("A log that does not lead back to what was read is a fault of it, and its old entries are no news")
    func otherPanel() throws {
        var line = Line(SatelIntegraLink(), PlayedSatelIntegra())
        line.open()
        line.pass(3000)
        for began in [true, false] {
            line.harness.now += 40 * 86_400_000 / 400
            try line.happen(PlayedEvent(try Self.kind("hold-up"), began: began, zone: 4))
            line.pass(3000)
        }
        var again = Line(SatelIntegraLink(), PlayedSatelIntegra())
        (again.harness.kept, again.harness.now) = (line.harness.kept, line.now)
        for began in [true, false] {
            try again.panel.happen(PlayedEvent(try Self.kind("fire"), began: began, zone: 9), at: 0)
        }
        again.open()
        again.pass(5000)
        #expect(Self.news(again.signals).map { $0.prefix(15) } == ["event-log fault"])
        #expect(again.signals.last { $0.point == "event-log" }?.reading == .healthy)
        for seed in UInt64(1)...50 {
            var odd = PanelHarness(SatelIntegraLink())
            odd.kept = noise(seed, count: Int(seed % 20))
            odd.open()
            #expect(odd.signals.isEmpty)
        }
    }

    @Test("Entries that are no news move the place in the log forward, in few commits")
    func quietLog() {
        var harness = PanelHarness(SatelIntegraLink())
        harness.open()
        var cursor = 0
        var entries = 1
        var places: [[UInt8]] = []
        for second in 1...700 {
            harness.pass(1000)
            // Doors: one entry a second, of a code that nobody is told of.
            entries += second > 5 ? 1 : 0
            while cursor < harness.sent.count {
                let asked = SatelFrameTests.bodies(harness.sent[cursor]).first ?? [0]
                cursor += 1
                guard asked[0] == SatelCommand.event else {
                    let length = SatelCommand.lengths(asked[0]).first ?? 1
                    harness.feed(SatelFrame.framed([asked[0]] + [UInt8](repeating: 0, count: length)))
                    continue
                }
                let number = asked[1] == 0xFF ? entries : Int(asked[2]) << 8 + Int(asked[3]) - 1
                let record: [UInt8] =
                    number > 0 ? [0xB5, 0x17, 0xB0, 1, 0x01, 0xA6, 1, 0] : Array(repeating: 0, count: 8)
                let own = [0, UInt8(max(0, number) >> 8), UInt8(max(0, number) & 0xFF)]
                harness.feed(SatelFrame.framed([0x8C] + record + own + asked[1...]))
            }
            if places.last != harness.kept { places.append(harness.kept) }
        }
        #expect(Self.news(harness.signals).isEmpty)
        #expect((6...12).contains(places.count), "kept \(places.count) times")
        #expect(places.last.map { Int($0[2]) << 8 + Int($0[3]) >= entries - 100 } == true)
    }

    @Test("After a silence all is read again; a command that is not answered is a fault of its own and delays no alarm")
    func silence() throws {
        var line = Line(SatelIntegraLink(), PlayedSatelIntegra())
        line.open()
        line.pass(3000)
        line.isCut = true
        try line.happen(PlayedEvent(try Self.kind("hold-up"), zone: 4))
        line.pass(60_000)
        #expect(Self.news(line.signals).isEmpty)
        line.isCut = false
        line.pass(8000)
        #expect(Self.news(line.signals).contains("zone-4 active true [1122 zone 4 area 1]"))
    }

    @Test func unansweredCommand() {
        // Answers 7F, the fire alarms and the zones in alarm, and nothing else.
        var harness = PanelHarness(SatelIntegraLink())
        harness.open()
        var cursor = 0
        var alarm: UInt8 = 0
        var latest: Int64 = 0
        for second in 1...600 {
            if second == 300 { alarm = 0x10 }
            for _ in 1...10 {
                harness.pass(100)
                while cursor < harness.sent.count {
                    let asked = SatelFrameTests.bodies(harness.sent[cursor]).first?.first ?? 0
                    cursor += 1
                    switch asked {
                    case 0x7F: harness.feed(SatelFrame.framed([0x7F, alarm > 0 ? 4 : 0, 0, 0, 0, 0]))
                    case 0x02: harness.feed(SatelFrame.framed([2, alarm] + [UInt8](repeating: 0, count: 15)))
                    case 0x14: harness.feed(SatelFrame.framed([0x14, 0, 0, 0, 0]))
                    default: break
                    }
                }
            }
            if latest == 0, harness.signals.contains(where: { $0.point == "zone-5" && $0.reading == .active(true) }) {
                latest = Int64(second)
            }
        }
        #expect((300...310).contains(latest), "told after \(latest - 300) s")
        let faults = Set(harness.signals.filter { if case .fault = $0.reading { true } else { false } }.map(\.point))
        #expect(faults.contains("command-0A") && faults.contains("command-8C") && !faults.contains("command-02"))
    }

    @Test(
        "A thousand changes arrive once and in the order of their points, though messages are lost",
        arguments: [UInt64](1...4))
    func played(_ seed: UInt64) throws {
        var line = Line(SatelIntegraLink(), PlayedSatelIntegra(), seed: seed)
        line.open()
        line.pass(5000)
        line.loss = 4
        var numbers = SeededNumbers(seed + 100)
        var expected: [String: [Bool]] = [:]
        let names = ["burglary", "fire", "detector-tamper", "point-inhibited", "mains-failure", "arming"]
        for _ in 1...250 {
            let name = names.randomElement(using: &numbers) ?? "fire"
            let number = Int.random(in: 1...3, using: &numbers)
            let zone = number + (name == "fire" ? 10 : 0)
            let point =
                switch name {
                case "detector-tamper": "zone-\(zone)-tamper"
                case "point-inhibited": "zone-\(zone)-bypass"
                case "mains-failure": "mains"
                case "arming": "area-\(number)"
                default: "zone-\(zone)"
                }
            let began = !(expected[point]?.last ?? false)
            expected[point, default: [false]].append(began)
            let partition = name == "arming" ? number : 20 + number
            try line.happen(PlayedEvent(try Self.kind(name), began: began, partition: partition, zone: zone))
            // A state that changes twice between two readings is one that has not changed: wait for it.
            for _ in 1...400 where line.signals.last(where: { $0.point == point })?.reading != .active(began) {
                line.pass(1000)
            }
        }
        for (point, readings) in expected {
            let told = line.signals.filter { $0.point == point }.map { $0.reading == .active(true) ? "1" : "0" }
            #expect(told.joined() == readings.map { $0 ? "1" : "0" }.joined(), "\(point)")
        }
    }

    @Test("More new events than are read back is a fault of the log, and the newest are told")
    func fullLog() throws {
        var line = Line(SatelIntegraLink(), PlayedSatelIntegra())
        line.open()
        line.pass(3000)
        line.isCut = true
        for index in 1...500 {
            try line.happen(
                PlayedEvent(try Self.kind("arming"), began: index % 2 == 0, partition: 9, zone: 1 + index % 100))
        }
        line.pass(5000)
        line.isCut = false
        line.pass(60_000)
        let log = line.signals.filter { $0.point == "event-log" }.map(\.reading)
        #expect(log.count == 2 && log.last == .healthy)
        #expect(line.signals.last { $0.point == "area-9" }?.reading == .active(true))
    }

    @Test func points() throws {
        let settings = SerialSupport.settings(
            [("port", .string("/dev/x"))],
            points: [
                ("pump", [("zone", .integer(3)), ("state", .string("violated"))]),
                ("kitchen", [("zone", .integer(5))]),
                ("hall", [("partition", .integer(2)), ("state", .string("fire"))]),
            ])
        let driver = try SatelIntegraDriver(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [])
        var harness = PanelHarness(driver.link())
        harness.open()
        for id in ["satel-a-zones", "satel-a-fire", "zone-alarm"] {
            harness.feed(Self.vectors.first { $0.id == id }?.bytes ?? [])
        }
        #expect(
            Self.news(harness.signals) == [
                "pump active true [unclassified zone 3]", "area-1-fire active true [fire area 1]",
                "hall active true [fire area 2]", "area-29-fire active true [fire area 29]",
                "kitchen active true [fire zone 5]",
            ])
        let wrong = SerialSupport.settings(
            [("port", .string("/dev/x"))],
            points: [
                ("nowhere", []), ("far", [("zone", .integer(257))]),
                ("odd", [("partition", .integer(1)), ("state", .string("bypass"))]),
            ])
        _ = try SatelIntegraDriver(wrong)
        #expect(wrong.problems.all.count == 3)
    }

    @Test("Whatever bytes come, it stays bounded and does not fall", arguments: [UInt64](1...20))
    func hostile(_ seed: UInt64) {
        var harness = PanelHarness(SatelIntegraLink())
        harness.open()
        var numbers = SeededNumbers(seed)
        for _ in 1...400 {
            let command =
                [0x7E, 0x7C, 0x7F, 0x8C, 0x1A, 0x1B, 0x02, 0x04, 0x14, 0xEF, 0x00].randomElement(using: &numbers) ?? 0
            let length = SatelCommand.lengths(UInt8(command)).randomElement(using: &numbers) ?? 3
            let odd = Int.random(in: 0...20, using: &numbers) == 0 ? 1 : 0
            harness.feed(SatelFrame.framed([UInt8(command)] + noise(numbers.next(), count: length + odd)))
            harness.feed(noise(numbers.next(), count: 5))
            harness.pass(Int64.random(in: 0...4000, using: &numbers))
        }
        #expect(harness.sent.count < 20_000)
        #expect(!harness.log.contains { $0.hasPrefix("lost") })
    }

    @Test("An answer that always comes with other indices does not make the log endless")
    func endlessLog() {
        var harness = PanelHarness(SatelIntegraLink())
        harness.open()
        var cursor = 0
        var index: UInt32 = 5
        for _ in 1...30 {
            harness.pass(1000)
            var answered = 0
            while cursor < harness.sent.count, answered < 500 {
                let asked = SatelFrameTests.bodies(harness.sent[cursor]).first ?? [0]
                cursor += 1
                answered += 1
                guard asked[0] == SatelCommand.event else {
                    let length = SatelCommand.lengths(asked[0]).first ?? 1
                    harness.feed(SatelFrame.framed([asked[0]] + [UInt8](repeating: 0, count: length)))
                    continue
                }
                index += 1
                let own = [UInt8(index >> 16 & 0xFF), UInt8(index >> 8 & 0xFF), UInt8(index & 0xFF)]
                harness.feed(SatelFrame.framed([0x8C, 0xB5, 0x17, 0xB0, 1, 0, 62, 1, 0] + own + asked[1...]))
            }
            #expect(answered < 60, "the states have to wait for the log")
        }
        #expect(harness.signals.contains { $0.point == "event-log" })
    }
}
