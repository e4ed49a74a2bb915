import AlarmProtocol
import Testing

@testable import Gateway

@Suite("Time is honest (promise 11)")
struct TimeTests {
    let scratch = Scratch()

    private func outbox(_ now: Locked<Moment>) throws -> Outbox {
        try Outbox(directory: scratch.path + "/state", clock: { now.value.withLock { $0 } })
    }

    /// An outbox that is gone afterwards, as after a crash.
    private func using(_ now: Locked<Moment>, _ body: (Outbox) throws -> Void) throws {
        let outbox = try outbox(now)
        try body(outbox)
        outbox.directory.unlock()
    }

    private func event(_ now: Locked<Moment>, _ text: String) -> NewEvent {
        var event = sample(text: text)
        event.occurred = now.value.withLock { $0 }
        return NewEvent(event)
    }

    @Test("A time that was worked out is the same after a restart of the daemon, however the clock was steered")
    func sameAfterRestart() throws {
        let now = Locked(Moment(utc: 0, uptime: 60_000, clock: .unknown))
        var id: Int64 = 0
        let moment = Moment(utc: 1_795_000_000_000, uptime: 60_000, clock: .corrected)
        try using(now) { outbox in
            id = try #require(try outbox.append([event(now, "early")]).first)
            now.value.withLock { $0 = Moment(utc: 1_795_000_100_000, uptime: 160_000, clock: .known) }
            outbox.keepHouse()
            #expect(outbox.event(id)?.event.occurred == moment)
            #expect(try outbox.read(id)?.event.occurred == moment)
        }
        // Killed, started again a day later by a clock that has been put right by an hour.
        now.value.withLock { $0 = Moment(utc: 1_795_090_100_000, uptime: 86_560_000, clock: .known) }
        let again = try outbox(now)
        #expect(try again.read(id)?.event.occurred == moment)
        again.keepHouse()
        #expect(again.event(id)?.event.occurred == moment)
    }

    @Test("Of an earlier boot the time is worked out where its clock was known before it ended, else only the order")
    func earlierBoot() throws {
        let now = Locked(Moment(utc: 5000, uptime: 60_000, clock: .unknown))
        var ids: [Int64] = []
        try using(now) { outbox in
            ids = try outbox.append([event(now, "known later"), event(now, "never known")])
            now.value.withLock { $0 = Moment(utc: 1_795_000_100_000, uptime: 160_000, clock: .known) }
            outbox.keepHouse()
        }
        // The rows of two earlier boots: of 7 an epoch is kept, of 8 none.
        do {
            let database = try Database(scratch.path + "/state/outbox.db")
            try database.run("UPDATE event SET boot = 7 WHERE id = ?", [.integer(ids[0])])
            try database.run("UPDATE event SET boot = 8 WHERE id = ?", [.integer(ids[1])])
            try database.run("INSERT INTO number VALUES ('epoch 7', 1790000000000)")
        }
        now.value.withLock { $0 = Moment(utc: 1_796_000_000_000, uptime: 10_000, clock: .known) }
        let outbox = try outbox(now)
        outbox.keepHouse()
        #expect(
            outbox.event(ids[0])?.event.occurred
                == Moment(utc: 1_790_000_060_000, uptime: 60_000, clock: .corrected))
        #expect(outbox.event(ids[1])?.event.occurred.clock == .unknown)
        #expect(outbox.list(after: 0, limit: 10).map(\.event.text) == ["known later", "never known"])
    }

    @Test("Of many boots the newest epochs are kept, and this one's in any case; absurd rows crash nothing")
    func manyBoots() throws {
        let now = Locked(Moment(utc: 1_704_067_200_001, uptime: 1, clock: .known))
        try using(now) { outbox in
            let id = try #require(try outbox.append([event(now, "one")]).first)
            let database = try Database(scratch.path + "/state/outbox.db")
            for boot in 1...100 {
                try database.run(
                    "INSERT INTO number VALUES (?, ?)",
                    [.text("epoch \(boot)"), .integer(1_795_000_000_000 + Int64(boot))])
            }
            try database.run("INSERT INTO number VALUES ('epoch x', 1), ('epoch 1000', ?)", [.integer(.max)])
            try database.run(
                "UPDATE event SET boot = 1000, clock = 1, uptime = ? WHERE id = ?", [.integer(.max), .integer(id)])
        }
        let again = try outbox(now)
        again.keepHouse()
        #expect(again.list(after: 0, limit: 10).first?.event.occurred.clock == .unknown)
        let database = try Database(scratch.path + "/state/outbox.db", .readOnly)
        #expect(try database.number("SELECT count(*) FROM number WHERE name LIKE 'epoch %'") == 33)
        let own = try database.number(
            "SELECT value FROM number WHERE name = ?", [.text("epoch \(again.boot)")])
        #expect(own == 1_704_067_200_000)
    }

    @Test("How long something has waited goes by the clock that never steps", arguments: [-400, 0, 400])
    func ages(days: Int64) throws {
        let now = Locked(Moment(utc: 1_795_000_000_000, uptime: 60_000, clock: .known))
        let outbox = try outbox(now)
        let id = try #require(try outbox.append([event(now, "waits")]).first)
        now.value.withLock { $0 = Moment(utc: $0.utc + days * 86_400_000, uptime: 90_000, clock: .known) }
        var stored = try #require(outbox.event(id))
        #expect(outbox.age(of: stored, at: now.value.withLock { $0 }) == 30_000)
        // Of another boot: since before this one began, at least.
        stored.boot += 1
        #expect(outbox.age(of: stored, at: now.value.withLock { $0 }) == max(90_000, days * 86_400_000))
    }

    @Test("Marks are written after ten seconds of uptime, wherever the wall clock goes", arguments: [-86_400, 86_400])
    func marks(step: Int64) throws {
        let now = Locked(Moment(utc: 1_795_000_000_000, uptime: 60_000, clock: .known))
        let outbox = try outbox(now)
        let id = try #require(try outbox.append([event(now, "sent")]).first)
        outbox.acknowledge(id, sent: 1, path: "x", tries: 1)
        now.value.withLock { $0.utc += step * 1000 }
        func isWritten() throws -> Bool {
            let database = try Database(scratch.path + "/state/outbox.db", .readOnly)
            return try database.number("SELECT state FROM event WHERE id = ?", [.integer(id)]) == 1
        }
        outbox.keepHouse()
        #expect(try !isWritten())
        now.value.withLock { $0.uptime += 10_000 }
        outbox.keepHouse()
        #expect(try isWritten())
    }

    @Test(
        "A clock that cannot be right is not known, battery or not",
        arguments: [
            (0, false), (946_684_800_000, false), (1_704_067_199_999, false), (1_704_067_200_000, true),
            (2_147_483_648_000, true), (253_402_300_799_999, true), (253_402_300_800_000, false), (.min, false),
            (.max, false),
        ] as [(Int64, Bool)])
    func possible(utc: Int64, isPossible: Bool) { #expect(SystemClock.isPossible(utc) == isPossible) }

    @Test(
        "Times for people: leap days, the years 2038 and 2100, and whatever a damaged row says",
        arguments: [
            (1_835_395_200_000, "2028-02-29 00:00:00"), (2_147_483_648_000, "2038-01-19 03:14:08"),
            (4_107_542_400_000, "2100-03-01 00:00:00"), (13_569_465_600_000, "2400-01-01 00:00:00"),
            (.min, "0001-01-01 00:00:00"), (.max, "9999-12-31 23:59:59"), (-62_135_596_800_001, "0001-01-01 00:00:00"),
        ] as [(Int64, String)])
    func forPeople(milliseconds: Int64, text: String) {
        #expect(StatusScreen.utc(milliseconds) == text)
        #expect(StatusScreen.utc(milliseconds, withMilliseconds: true).hasPrefix(text + "."))
    }

    @Test("A rejected time is a trouble that is told once and ends once", arguments: [false, true])
    func rejectedTime(bySilence: Bool) {
        let fault = Told()
        func at(_ seconds: Int64) -> Int64 { seconds * 1000 }
        #expect(!fault.taken(withEvent: true, at(0)))
        #expect(fault.rejected(at(10)))
        // Link tests are taken, events are not: no end, and no new beginning.
        for second in stride(from: Int64(20), to: 600, by: 20) {
            #expect(!fault.taken(withEvent: false, at(second)))
            #expect(!fault.rejected(at(second + 1)))
        }
        if bySilence {
            #expect(!fault.taken(withEvent: false, at(880)))
            #expect(fault.taken(withEvent: false, at(881)))
        } else {
            #expect(fault.taken(withEvent: true, at(590)))
        }
        #expect(!fault.taken(withEvent: true, at(900)))
        #expect(fault.rejected(at(1000)))
    }

    @Test("The trouble stands in the store: told once over a restart, and its end, whoever told of it")
    func rejectedTimeInTheStore() throws {
        let now = Moment(utc: 1000, uptime: 10, clock: .known)
        func event(_ isRejected: Bool, _ known: Bool?) -> NewEvent? {
            BoxTrouble.clockRejected(path: "fibre", isRejected: isRejected)
                .event(account: "4711", now: now, known: { $0 == "larmnod.clock.fibre" ? known : nil })
        }
        let began = try #require(event(true, nil))
        #expect(began.active == true && began.event.text == "path fibre: the receiver rejects our time")
        #expect(event(true, true) == nil && event(false, nil) == nil && event(false, false) == nil)
        let ended = try #require(event(false, true))
        #expect(ended.active == false && ended.event.qualifier == .restore)
        #expect(ended.event.text == "path fibre: the receiver takes our time again")
    }
}

/// A fault whose answers may stand in an expectation.
private final class Told {
    private var fault = ClockFault()
    func rejected(_ now: Int64) -> Bool { fault.rejected(now) }
    func taken(withEvent: Bool, _ now: Int64) -> Bool { fault.taken(withEvent: withEvent, now) }
}
