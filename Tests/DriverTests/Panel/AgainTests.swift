import AlarmProtocol
import Testing

@testable import Drivers

/// What a panel says again because our answer did not reach it: joined, whatever happened to the answer.
@Suite("Repeats are joined") struct AgainTests {
    @Test("Only the last, only for its time; longer where it could not be answered")
    func memory() {
        var memory = RepeatMemory(window: 10_000)
        func again(_ body: [UInt8], at time: Int64) -> Bool { memory.isRepeat(body, at: time) }
        #expect(!again([1], at: 0))
        memory.remember([1], answered: true, at: 0)
        #expect(again([1], at: 4000) && again([1], at: 10_000))
        #expect(!again([2], at: 4000) && !again([1], at: 10_001))
        memory.remember([1], answered: false, at: 20_000)
        #expect(again([1], at: 80_000), "then it is answered")
        #expect(again([1], at: 90_000) && !again([1], at: 90_001))
    }

    @Test("A panel that goes on saying it has not heard us, up to a limit")
    func goingOn() {
        var memory = RepeatMemory(window: 10_000, longest: 150_000)
        func again(_ body: [UInt8], at time: Int64) -> Bool { memory.isRepeat(body, at: time) }
        memory.remember([1], answered: true, at: 0)
        for time in [Int64(4000), 8000, 42_000, 100_000, 150_000] {
            #expect(again([1], at: time), "at \(time)")
        }
        #expect(!again([1], at: 150_001))
        memory.remember([1], answered: true, at: 200_000)
        #expect(!again([1], at: 210_001), "heard the first time: it has happened again")
    }

    /// Whichever report we die at, between its commit and its answer, and start again.
    @Test(arguments: 1...4) func diesBeforeItsAnswer(_ reports: Int) throws {
        try Self.dies(reports, PlayedControlStation.self) { ESPAPager.forTests }
        try Self.dies(reports, PlayedGalaxy.self) { GalaxyLink() }
        try Self.dies(reports, PlayedReceiver.self) { ReceiverLink(.surGard) }
        try Self.dies(reports, PlayedID3000.self, "fire-bypass") { ID3000Link() }
        try Self.dies(reports, PlayedSatelMonitoring.self) { SatelMonitoringLink() }
    }

    private static func dies<Panel: PlayedPanel, Link: PanelLink>(
        _ reports: Int, _ panel: Panel.Type, _ kind: String = "fire", _ link: @escaping () -> Link
    ) throws {
        var play = PanelPlay<Link, Panel>(link)
        play.diesBeforeAnswers = reports
        play.open()
        let kind = try #require(EventKind.named(kind))
        for zone in 1...4 { try play.happen(PlayedEvent(kind, zone: zone, text: "Kök \(zone)")) }
        play.pass(120_000)
        #expect(play.panel.waiting == 0 && play.diesBeforeAnswers == nil, "\(Panel.self)")
        let told = play.signals.filter { $0.reading != .healthy }.map(\.summary)
        #expect(told.count == 4 && Set(told).count == 4, "\(Panel.self): \(told)")
    }

    @Test("A panel of whose messages the answers are lost for minutes is heard once", arguments: [3, 6])
    func lostAnswers(_ lost: Int) throws {
        var play = PanelPlay<ReceiverLink, PlayedReceiver> { ReceiverLink(.surGard) }
        play.open()
        // The link test and its answer have passed; from here on every second message is an answer.
        play.fate = { number in number % 2 == 0 && number <= 2 + 2 * lost ? .isLost : .arrives }
        try play.happen(PlayedEvent(try #require(EventKind.named("fire")), zone: 5))
        play.pass(600_000)
        #expect(play.signals.count == 1 && play.panel.waiting == 0 && play.troubles > 0)
    }
}

extension ESPAPager {
    static var forTests: ESPAPager { ESPAPager(ESPALink(addresses: [0x32]), .latin1, ESPAMatcher([])) }
}
