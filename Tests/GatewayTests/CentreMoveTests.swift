import Foundation
import Testing

@testable import Gateway

@Suite("Moving to another centre: what comes next")
struct CentreMoveTests {
    static func record(
        _ phase: CentreMove.Phase = .shadow, shadow: Int64 = 60_000, within: Int64 = 10_000
    ) -> CentreMove.Record {
        CentreMove.Record(
            receiver: "a", settings: "[receiver.a]\naddress = \"new.example:7\"\n", from: ["old.example:7"],
            to: ["new.example:7"], phase: phase, by: "anna", since: 0, shadow: shadow, within: within)
    }

    /// What happens to one event of a trial that begins at 0 and lasts a minute.
    enum Happening {
        case stored(Int64, at: Int64)
        case test(Int64, at: Int64)
        case old(Int64, at: Int64)
        case new(Int64, at: Int64)
        case refused(Int64)
        case lost(Int64)
    }

    struct Trial: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var happenings: [Happening]
        var asked: Int64
        var step: CentreMove.Step?

        init(_ name: String, _ happenings: [Happening], at asked: Int64, _ step: CentreMove.Step?) {
            testDescription = name
            self.happenings = happenings
            self.asked = asked
            self.step = step
        }
    }

    static let tested: [Happening] = [.test(1, at: 100), .new(1, at: 150), .old(1, at: 160)]

    static let trials = [
        Trial("its time is not over", tested, at: 59_999, nil),
        Trial("everything acknowledged", tested, at: 60_000, .switchOver),
        Trial("not even the test was stored: it is waited for", [], at: 60_000, nil),
        Trial("the test is never stored", [], at: 70_001, .hold(["the test event could not be stored"])),
        Trial("the test is still on its way", [.test(1, at: 55_000), .old(1, at: 55_100)], at: 60_000, nil),
        Trial(
            "the test is overdue", [.test(1, at: 55_000), .old(1, at: 55_100)], at: 65_001,
            .hold(["it has not acknowledged 1 event within 10 s"])),
        Trial(
            "only the new one has an event: no objection", tested + [.stored(2, at: 500), .new(2, at: 700)], at: 60_000,
            .switchOver),
        Trial(
            "an event is on its way at the end", tested + [.stored(2, at: 59_900), .old(2, at: 59_950)], at: 60_000, nil
        ),
        Trial(
            "what comes after the end is not waited for", tested + [.stored(2, at: 60_100)], at: 60_200, .switchOver),
        Trial(
            "one left unacknowledged", tested + [.stored(2, at: 500), .old(2, at: 510)], at: 60_000,
            .hold(["it has not acknowledged 1 event within 10 s"])),
        Trial(
            "one acknowledged too late", tested + [.stored(2, at: 500), .new(2, at: 10_501), .old(2, at: 510)],
            at: 60_000, .hold(["it took up to 10 s to acknowledge, and 10 s is allowed"])),
        Trial(
            "acknowledged just in time", tested + [.stored(2, at: 500), .new(2, at: 10_500)], at: 60_000, .switchOver),
        Trial(
            "two refused", tested + [.stored(2, at: 1), .stored(3, at: 1), .refused(2), .refused(3), .refused(3)],
            at: 60_000, .hold(["it refused 2 events: DUH"])),
        Trial(
            "one that could not be sent", tested + [.stored(2, at: 1), .lost(2)], at: 60_000,
            .hold(["1 event could not be sent to it: more than 4000 waited"])),
        Trial(
            "acknowledgements of what is not compared", tested + [.new(7, at: 1), .old(8, at: 2)], at: 60_000,
            .switchOver),
    ]

    private func after(_ happenings: [Happening], _ record: CentreMove.Record) -> CentreMove {
        var move = CentreMove(record, now: 0)
        move.note(newWorks: true, 0)
        for happening in happenings {
            switch happening {
            case .stored(let id, let at): _ = move.comparison.stored(id, at: at)
            case .test(let id, let at): _ = move.comparison.stored(id, at: at, isTest: true)
            case .old(let id, let at): move.comparison.presentAcknowledged(id, at: at)
            case .new(let id, let at): move.comparison.newAcknowledged(id, at: at)
            case .refused(let id): move.comparison.newRefused(id, why: "DUH")
            case .lost(let id): move.comparison.lost(id)
            }
        }
        return move
    }

    @Test("A trial ends with the switch only where every event was acknowledged in time", arguments: trials)
    func trial(_ trial: Trial) {
        #expect(after(trial.happenings, Self.record()).step(trial.asked) == trial.step)
    }

    @Test("It is not switched while no path to the new centre works; held when that lasts")
    func silent() {
        var move = after(Self.tested, Self.record())
        move.note(newWorks: false, 58_000)
        #expect(move.step(60_000) == nil)
        #expect(move.step(70_001) == .hold(["no path to it works"]))
        move.note(newWorks: true, 65_000)
        #expect(move.step(65_000) == .switchOver)
    }

    @Test("A trial of no length ends when its test is acknowledged, or overdue")
    func noLength() {
        let record = Self.record(shadow: 0)
        #expect(after([], record).step(500) == nil)
        #expect(after([.test(1, at: 400)], record).step(500) == nil)
        #expect(after([.test(1, at: 400), .new(1, at: 450)], record).step(500) == .switchOver)
        #expect(after([.test(1, at: 400)], record).step(10_401) != nil)
    }

    @Test("More than can be followed is counted, and speaks against the new centre")
    func limit() {
        var comparison = Comparison()
        let taken = (0...Int64(Comparison.limit)).filter { comparison.stored($0, at: 0) }
        #expect(taken.count == Comparison.limit)
        #expect(comparison.dropped == 1 && comparison.objections(within: 1000, 0).count == 1)
        // What both have is not followed any more, and leaves room.
        comparison.presentAcknowledged(0, at: 1)
        comparison.newAcknowledged(0, at: 3)
        let isTaken = comparison.stored(99_999, at: 4)
        #expect(isTaken)
        #expect(comparison.both == 1 && comparison.present.mean == 1 && comparison.new.longest == 3)
    }

    @Test("What waited before the trial is judged by whether it moves, and is waited for")
    func backlog() {
        var move = after(Self.tested, Self.record())
        for id in 10..<Int64(20) { _ = move.comparison.stored(id, at: 1000, isBacklog: true) }
        for id in 10..<Int64(19) { move.comparison.newAcknowledged(id, at: id * 5000) }
        #expect(move.step(90_000) == nil)
        #expect(move.step(100_001) == .hold(["it has not acknowledged 1 event within 10 s"]))
        move.comparison.newAcknowledged(19, at: 100_000)
        #expect(move.step(100_001) == .switchOver)
        #expect(move.comparison.new.longest == 50, "a backlog's times are not measured")
    }

    @Test("A held trial stays as it is, is compared on, and is given up after a week")
    func held() {
        var move = after(Self.tested, Self.record())
        var held = Self.record(.held)
        held.reasons = ["no reason"]
        move.enter(held, now: 60_000)
        #expect(move.comparison.both == 1)
        #expect(move.step(60_000 + CentreMove.heldLimit - 1) == nil)
        #expect(move.step(60_000 + CentreMove.heldLimit) == .giveUp)
        move.enter(Self.record(.shadow), now: 70_000)
        #expect(move.comparison.events == 0 && move.step(129_999) == nil)
    }

    // MARK: The watch

    /// One look a second; what is true at that time.
    struct World {
        var oldAnswers: (Int64) -> Bool = { _ in true }
        var newAnswers: (Int64) -> Bool = { _ in true }
        /// Stored when, delivered when (nil: never).
        var events: [(stored: Int64, delivered: Int64?)] = []

        /// When the old centre comes back, in seconds; nil when it does not within an hour. Limit: 100 s.
        func comesBack() -> Int64? {
            var watch = Watch()
            watch.begin(0)
            for second in 0..<Int64(3600) {
                for (id, event) in events.enumerated() {
                    if event.stored == second { watch.stored(Int64(id), at: second * 1000) }
                    if event.delivered == second { watch.acknowledged(at: second * 1000) }
                }
                watch.look(oldAnswers: oldAnswers(second), newAnswers: newAnswers(second), second * 1000) { id in
                    events[Int(id)].delivered.map { $0 > second } ?? true
                }
                if watch.fault(within: 100_000, second * 1000) != nil { return second }
            }
            return nil
        }
    }

    @Test("The old centre comes back when the new one fails while the old one answers, and only then")
    func watch() {
        #expect(World().comesBack() == nil)
        #expect(World(events: [(10, 11), (20, 119), (500, 600)]).comesBack() == nil)
        // An event left for longer than the limit, however many others go through.
        #expect(World(events: [(10, 11), (20, nil)] + (21..<3000).map { ($0, $0 + 1) }).comesBack() == 121)
        // All paths to the new centre fail, though nothing happens on site.
        #expect(World(newAnswers: { $0 < 1000 }).comesBack() == 1101)
        #expect(World(newAnswers: { $0 < 1000 || $0 > 1050 }).comesBack() == nil)
        #expect(World(newAnswers: { _ in false }).comesBack() == 101)
        // Both are silent: it is the network, and nobody is better off at the old centre.
        let cut: (Int64) -> Bool = { $0 < 1000 || $0 >= 2000 }
        #expect(World(oldAnswers: cut, newAnswers: cut, events: [(1500, 2020)]).comesBack() == nil)
        // After it the backlog moves, slowly: nothing is amiss.
        let backlog: [(Int64, Int64?)] = (1000..<1400).map { ($0, 2001 + ($0 - 1000) * 2) }
        #expect(World(oldAnswers: cut, newAnswers: cut, events: backlog).comesBack() == nil)
        // It does not move.
        #expect(World(oldAnswers: cut, newAnswers: cut, events: [(1500, nil)]).comesBack() == 2101)
        // The backlog moves, and what is new does not.
        #expect(World(oldAnswers: cut, newAnswers: cut, events: backlog + [(2010, nil)]).comesBack() == 2111)
        // The old centre does not answer: there is nothing to go back to.
        #expect(World(oldAnswers: { _ in false }, newAnswers: { _ in false }, events: [(5, nil)]).comesBack() == nil)
    }

    @Test("A refusal that nobody else makes good brings the old centre back, as soon as it answers")
    func refusal() {
        var watch = Watch()
        watch.begin(0)
        watch.refused()
        #expect(watch.fault(within: 100_000, 1000) == nil)
        watch.look(oldAnswers: true, newAnswers: true, 2000) { _ in false }
        #expect(watch.fault(within: 100_000, 2000) != nil)
    }

    @Test("Behind a backlog that does not move, what is new is found however much of it was delivered")
    func glance() {
        var watch = Watch()
        watch.begin(0)
        watch.stored(0, at: 0)
        for id in 1...Int64(5000) { watch.stored(id, at: 1000) }
        watch.acknowledged(at: 150_000)
        for _ in 0..<30 { watch.look(oldAnswers: true, newAnswers: true, 1000) { $0 == 0 || $0 == 5000 } }
        #expect(watch.fault(within: 100_000, 101_000) == nil)
        #expect(watch.fault(within: 100_000, 101_001) != nil)
    }

    @Test("More than can be watched: the oldest is kept, and the newest")
    func watchLimit() {
        var watch = Watch()
        watch.begin(0)
        watch.look(oldAnswers: true, newAnswers: true, 0) { _ in true }
        for id in 0..<Int64(Watch.limit + 5000) { watch.stored(id, at: id) }
        let newest = Int64(Watch.limit + 4999)
        watch.look(oldAnswers: true, newAnswers: true, 20_000) { $0 == newest }
        #expect(watch.fault(within: 100_000, newest + 100_000) == nil)
        #expect(watch.fault(within: 100_000, newest + 100_001) != nil)
    }
}

@Suite("What is kept of a move")
struct MoveFileTests {
    let scratch = Scratch()

    private func readBack(_ file: MoveFile) -> CentreMove.Record? {
        if case .record(let record) = file.read() { record } else { nil }
    }

    @Test("It is read back as it was written, and gone when it is removed")
    func there() throws {
        let file = MoveFile(directory: scratch.path)
        #expect(readBack(file) == nil)
        var record = CentreMoveTests.record(.held)
        record.reasons = ["åäö \"\n"]
        try file.write(record)
        #expect(readBack(file) == record)
        record.phase = .kept
        try file.write(record)
        #expect(readBack(file) == record)
        try file.remove()
        try file.remove()
        guard case .none = file.read() else {
            Issue.record("it is still there")
            return
        }
    }

    @Test("Any byte changed, and any end torn off, is known as damage")
    func damage() throws {
        let file = MoveFile(directory: scratch.path)
        try file.write(CentreMoveTests.record(.switched))
        let whole = try readBytes(file.path)
        func isDamaged(_ bytes: [UInt8]) throws -> Bool {
            try writeBytes(bytes, file.path)
            if case .unusable(_, isDamaged: true) = file.read() { return true }
            return false
        }
        for index in whole.indices {
            var bytes = whole
            bytes[index] ^= 0x10
            #expect(try isDamaged(bytes), "byte \(index)")
        }
        for length in 0..<whole.count { #expect(try isDamaged(Array(whole[..<length])), "\(length) bytes") }
        #expect(try !isDamaged(whole))
    }

    @Test("A start goes on with it, is done with it where the site file names the new centre, and gives up else")
    func starts() throws {
        let file = MoveFile(directory: scratch.path)
        func start(_ host: String, _ phase: CentreMove.Phase = .switched, receiver: String = "a") throws -> MoveStart {
            try file.write(CentreMoveTests.record(phase))
            let path = testPath("fibre", to: receiver, port: 7, host: host)
            return MoveStart.read(file, site: testSite(scratch.path, [path]), now: 0)
        }
        let goesOn = try start("old.example")
        #expect(goesOn.move?.phase == .switched && goesOn.new.map(\.host) == ["new.example"] && goesOn.news.isEmpty)
        let again = try start("old.example", .shadow)
        #expect(again.move?.phase == .shadow && again.news.count == 2)
        let done = try start("new.example")
        guard case .centreMove(failed: false, _)? = done.news.first else {
            Issue.record("\(done)")
            return
        }
        #expect(done.move == nil && readBack(file) == nil)
        for (host, receiver) in [("third.example", "a"), ("old.example", "b")] {
            let given = try start(host, receiver: receiver)
            guard case .centreMove(failed: true, _)? = given.news.first else {
                Issue.record("\(given)")
                return
            }
            #expect(given.move == nil && readBack(file) == nil)
        }
    }
}

private func readBytes(_ path: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(fileURLWithPath: path))) }
private func writeBytes(_ bytes: [UInt8], _ path: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path))
}
