import AlarmProtocol
import Drivers
import Synchronization
import Testing

@testable import Gateway

/// A driver that is never run.
struct Idle: Driver {
    static let name = "idle"
    init() {}
    init(_ settings: Settings) throws {}
    func run(_ host: any Host) throws {}
}

@Suite("Outputs in step with the daemon: paths, events, acknowledgements, restarts (promises 5 and 9)")
struct OutputsTests {
    /// A daemon's parts around a store, as Gateway puts them together; its time is the test's.
    final class Daemon {
        let clock: TestClock
        let outbox: Outbox
        let intake: Intake
        let outputs: Outputs
        let testMode: TestMode
        let uplinkSign: LifeSign
        let site: Site
        private var paths: [PathState] = []
        private let normaliser: Normaliser

        init(_ scratch: Scratch, _ clock: TestClock, limit: Duration? = .seconds(100)) throws {
            self.clock = clock
            site = try outputSite(limit: limit, directory: scratch.path)
            let outbox = try Outbox(directory: scratch.path + "/state", clock: { clock.now })
            uplinkSign = LifeSign(clock.now)
            let outputs = Outputs(site, outbox: outbox, uplinkSign: uplinkSign, clock: { clock.now })
            outbox.onEnded { [weak outputs] in outputs?.ended($0, $1) }
            intake = Intake(outbox: outbox, clock: { clock.now }, onStored: outputs.stored)
            testMode = TestMode(account: site.account, intake: intake, onChange: outputs.setTesting)
            normaliser = Normaliser(site.devices[0])
            self.outbox = outbox
            self.outputs = outputs
            self.say(path: 0, works: true)
        }

        deinit { outbox.directory.unlock() }

        /// What the uplink tells of the paths as they were, but for one of them.
        func say(path: Int, works: Bool) {
            let none = PathState(name: "", works: false, isDown: false, lastGood: nil)
            paths += Array(repeating: none, count: max(0, path + 1 - paths.count))
            paths[path] = PathState(name: "", works: works, isDown: !works, lastGood: nil)
            outputs.pathsChanged(paths)
        }

        func say(_ point: String, _ active: Bool) throws -> Int64? {
            try intake.take { known in
                normaliser.events([Signal(point: point, .active(active))], heard: [], now: clock.now, known: known)
            }.first
        }

        /// One round of housekeeping, with the uplink alive; the texts that it stores.
        @discardableResult func keep() throws -> [String] {
            uplinkSign.show(clock.now)
            let troubles = outputs.keep(clock.now, someoneHangs: false) + testMode.due(clock.now)
            return try troubles.flatMap { trouble in
                try intake.take { known in
                    trouble.event(account: site.account, now: clock.now, known: known).map { [$0] } ?? []
                }.compactMap { outbox.event($0).map { "\($0.event.point) \($0.event.sia): \($0.event.text)" } }
            }
        }

        func acknowledge(_ id: Int64) {
            _ = outbox.take(for: "a", over: "fibre")
            outbox.acknowledge(id, sent: clock.now.utc, path: "fibre", tries: 1)
        }

        /// The names of the outputs that are on.
        var on: [String] {
            site.outputs.filter(outputs.isOn).map { String($0.name.dropFirst(7)) }
        }
    }

    let scratch = Scratch()
    let clock = TestClock()

    @Test("A fire is received and rests; a door's state is followed")
    func received() throws {
        let daemon = try Daemon(scratch, clock)
        try daemon.keep()
        #expect(daemon.on == ["relay"])
        let fire = try #require(try daemon.say("smoke", true))
        let door = try #require(try daemon.say("door", true))
        #expect(daemon.on == ["relay", "door"])
        daemon.acknowledge(fire)
        #expect(daemon.on == ["relay", "received", "door"])
        daemon.acknowledge(door)
        #expect(daemon.on == ["relay", "received", "door", "door-received"])
        _ = try daemon.say("smoke", false)
        _ = try daemon.say("door", false)
        #expect(daemon.on == ["relay"])
    }

    @Test("Every path down, at once and in memory; one that works again is enough")
    func paths() throws {
        let daemon = try Daemon(scratch, clock)
        try daemon.keep()
        daemon.say(path: 1, works: false)
        #expect(daemon.on == ["relay", "lamp"])
        daemon.say(path: 0, works: false)
        #expect(daemon.on == ["lamp"])
        daemon.say(path: 1, works: true)
        #expect(daemon.on == ["relay", "lamp"])
        daemon.say(path: 7, works: false)  // no such path
        #expect(daemon.on == ["relay", "lamp"])
    }

    @Test("A fire that is not acknowledged in time: the relay drops, it is told with the point's zone, until it is")
    func overdue() throws {
        let daemon = try Daemon(scratch, clock)
        let fire = try #require(try daemon.say("smoke", true))
        clock.advance(99_999)
        #expect(try daemon.keep() == [])
        #expect(daemon.on == ["relay"])
        clock.advance(1)
        #expect(daemon.on == ["lamp"], "also before anybody has kept house")
        #expect(try daemon.keep() == ["gpio.c.smoke.overdue YC: Rök vind: not acknowledged within 100s"])
        #expect(try daemon.keep() == [])
        let told = try #require(daemon.outbox.latest(1).first?.event)
        #expect(told.zone == 7 && told.partition == 2 && told.account == "4712" && told.urgency == .trouble)
        #expect(daemon.outputs.overduePoints == ["gpio.c.smoke"])
        daemon.acknowledge(fire)
        #expect(try daemon.keep() == ["gpio.c.smoke.overdue YK: Rök vind: acknowledged after all"])
        #expect(daemon.on == ["relay", "received"])
    }

    @Test("What every receiver refuses is overdue until a person discards it, and a trouble from the first")
    func refused() throws {
        let daemon = try Daemon(scratch, clock)
        let fire = try #require(try daemon.say("smoke", true))
        daemon.outbox.park(fire, reason: "refused", tries: 1)
        try daemon.keep()
        #expect(daemon.on == ["relay", "lamp"])
        clock.advance(100_000)
        #expect(try daemon.keep().count == 1)
        #expect(daemon.on == ["lamp"])
        #expect(daemon.outbox.discard(fire, by: "anna", why: "told by telephone"))
        #expect(try daemon.keep() == ["gpio.c.smoke.overdue YK: Rök vind: waits no longer, not acknowledged"])
        try daemon.keep()
        #expect(daemon.on == ["relay"])
    }

    @Test("A thread that hangs, whichever: the relay drops")
    func hanging() throws {
        let daemon = try Daemon(scratch, clock)
        try daemon.keep()
        clock.advance(Housekeeping.longestSilence)
        #expect(daemon.on == ["relay"])
        clock.advance(1)
        #expect(daemon.on == ["lamp"])
        daemon.uplinkSign.show(clock.now)
        #expect(daemon.on == ["lamp"], "housekeeping is still silent")
        try daemon.keep()
        #expect(daemon.on == ["relay"])
        _ = daemon.outputs.keep(clock.now, someoneHangs: true)
        #expect(daemon.on == ["lamp"])
        try daemon.keep()
        #expect(daemon.on == ["relay"])
    }

    @Test("Over a restart: a fire's age counts on, an overdue state ends when it was acknowledged, received stays so")
    func restart() throws {
        var fire: Int64 = 0
        do {
            let daemon = try Daemon(scratch, clock)
            fire = try #require(try daemon.say("smoke", true))
            clock.advance(60_000)
            try daemon.keep()
        }
        do {
            let daemon = try Daemon(scratch, clock)
            #expect(try daemon.keep() == [])
            clock.advance(39_999)
            #expect(try daemon.keep() == [])
            clock.advance(1)
            #expect(try daemon.keep().count == 1, "100 s after it began, not after the start")
        }
        do {
            let daemon = try Daemon(scratch, clock)
            #expect(!daemon.on.contains("relay"), "at once, before anything has been looked through")
            #expect(try daemon.keep() == [])
            #expect(!daemon.on.contains("relay"))
            daemon.acknowledge(fire)
            daemon.outbox.keepHouse(closing: true)
        }
        let daemon = try Daemon(scratch, clock)
        #expect(try daemon.keep() == ["gpio.c.smoke.overdue YK: Rök vind: acknowledged after all"])
        #expect(daemon.on == ["relay", "received"])
    }

    @Test("A receiver that is quicker than the store's thread is heard all the same")
    func quick() throws {
        let daemon = try Daemon(scratch, clock)
        let outbox = daemon.outbox
        outbox.onStored { [weak outbox] in
            guard let next = outbox?.take(for: "a", over: "fibre") else { return }
            outbox?.acknowledge(next.id, sent: 1, path: "fibre", tries: 1)
        }
        _ = try daemon.say("smoke", true)
        #expect(daemon.on == ["relay", "received"])
        clock.advance(200_000)
        #expect(try daemon.keep() == [])
    }

    @Test("A test of a point and a fault of it are no alarm of it")
    func noAlarm() throws {
        let daemon = try Daemon(scratch, clock)
        let fault = Normaliser(daemon.site.devices[0])
        _ = try daemon.intake.take { known in
            fault.events([Signal(point: "smoke", .fault("cut"))], heard: [], now: clock.now, known: known)
        }
        clock.advance(200_000)
        #expect(try daemon.keep() == [])
        #expect(daemon.on == ["relay", "lamp"])
    }

    @Test("A device's thread is woken once for a change, and not for what changes nothing")
    func waking() throws {
        let daemon = try Daemon(scratch, clock)
        try daemon.keep()
        let lines = try #require(daemon.outputs.of(daemon.site.devices[1]))
        #expect(daemon.outputs.of(daemon.site.devices[0]) == nil)
        #expect(lines.haveChanged() && !lines.haveChanged())
        #expect(lines.isOn("relay") && !lines.isOn("lamp") && !lines.isOn("no-such-output"))
        daemon.say(path: 0, works: true)
        #expect(!lines.haveChanged())
        daemon.say(path: 0, works: false)
        #expect(lines.haveChanged() && !lines.haveChanged())
    }
}

@Suite("Test mode: an owner, an end, and never a lost event")
struct TestModeTests {
    let scratch = Scratch()
    let clock = TestClock()

    @Test("Begun and ended by persons, told each time; refused where it is on or off already, or for too long")
    func persons() throws {
        let daemon = try OutputsTests.Daemon(scratch, clock)
        let mode = daemon.testMode
        #expect(throws: ControlRefusal.self) { try mode.end(by: "anna") }
        for time in [Duration.zero, .seconds(-1), .seconds(8 * 3600 + 1)] {
            #expect(throws: ControlRefusal.self) { try mode.begin(by: "anna", for: time, why: "") }
        }
        _ = try mode.begin(by: "anna", for: .seconds(8 * 3600), why: "årsprov")
        #expect(daemon.on == ["relay", "lamp", "test"])
        #expect(throws: ControlRefusal.self) { try mode.begin(by: "bo", for: .seconds(60), why: "") }
        #expect(mode.running?.person == "anna")
        try mode.end(by: "bo")
        #expect(daemon.on == ["relay"] && mode.running == nil)
        let told = daemon.outbox.latest(10).map { "\($0.event.sia)/\($0.event.contactID) \($0.event.text)" }
        #expect(told == ["TS/607 test mode by anna for 8h: årsprov", "TE/607 test mode: ended by bo"])
    }

    @Test("It ends by itself when its time is over")
    func time() throws {
        let daemon = try OutputsTests.Daemon(scratch, clock)
        _ = try daemon.testMode.begin(by: "anna", for: .seconds(60), why: "")
        clock.advance(59_999)
        try daemon.keep()
        #expect(daemon.testMode.running != nil)
        clock.advance(1)
        try daemon.keep()
        #expect(daemon.testMode.running == nil && daemon.on == ["relay"])
        #expect(daemon.outbox.latest(1).first?.event.text == "test mode: its time is over")
    }

    @Test("A restart ends it, and says so once")
    func restart() throws {
        do {
            let daemon = try OutputsTests.Daemon(scratch, clock)
            _ = try daemon.testMode.begin(by: "anna", for: .seconds(60), why: "")
        }
        let daemon = try OutputsTests.Daemon(scratch, clock)
        #expect(try daemon.keep() == ["larmnod.test-mode TE: test mode: ended by a restart of larmnod"])
        #expect(try daemon.keep() == [])
        #expect(daemon.on == ["relay"])
    }
}
