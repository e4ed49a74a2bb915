import AlarmProtocol
import Foundation
import Testing

@testable import Gateway

@Suite("What the store keeps for years: faults of paths, and how available they were (promises 5, 6)")
struct OutboxRetentionTests {
    let scratch = Scratch()
    let clock = TestClock()

    private func open(_ limits: Limits = Limits()) throws -> Outbox {
        let clock = clock
        return try Outbox(directory: scratch.path + "/state", limits: limits, clock: { clock.now })
    }

    private func deliverAll(_ outbox: Outbox) {
        while let next = outbox.take(for: "a", over: "x") {
            outbox.acknowledge(next.id, sent: 1, path: "x", tries: 1)
        }
    }

    private func fault(_ path: String, _ isDown: Bool, _ text: String = "") -> NewEvent {
        NewEvent(sample("path.\(path)", .trouble, text: text), active: isDown)
    }

    private func observe(_ outbox: Outbox, isDown: Bool = false, seconds: Int64 = 5) {
        clock.advance(1000 * seconds)
        let now = clock.now
        outbox.observe([Availability.Fact(name: "fibre", isDown: isDown, lastGood: isDown ? nil : now.uptime)], at: now)
    }

    private func settle(_ outbox: Outbox, until isDone: () -> Bool) {
        for _ in 0..<300 where !isDone() { outbox.keepHouse() }
    }

    @Test("Trimming takes everything else, and leaves the faults of paths, also of a log of nothing")
    func faultsStay() throws {
        var limits = Limits()
        limits.logEvents = 0
        let first = try open(limits)
        for number in 0..<30 {
            // Written when the clock said 1970: as good a fault as any.
            var down = fault("fibre", true, "down \(number)")
            down.event.occurred = Moment(utc: 5, uptime: 5, clock: .unknown)
            try first.append([down, fault("fibre", false, "up \(number)")])
            try first.append((0..<40).map { NewEvent(sample("p\($0)")) })
        }
        deliverAll(first)
        settle(first) { first.latest(10_000).count <= 60 + 40 + 1 }
        // Besides the faults: each point's newest counts only where it has a state, and the newest event of all.
        #expect(first.latest(10_000).count(where: { !$0.isPathFault }) == 1)
        #expect(first.latestFaults(1000).map(\.event.text) == (0..<30).flatMap { ["down \($0)", "up \($0)"] })
        #expect(first.latestFaults(3).map(\.event.text) == ["up 28", "down 29", "up 29"])
        first.directory.unlock()
        #expect(try open(limits).latestFaults(1000).count == 60)
    }

    @Test("Beyond their limit the oldest faults go, and trimming comes to an end")
    func faultLimit() throws {
        var limits = Limits()
        limits.logEvents = 10
        limits.waitingEvents = 1_000_000
        let outbox = try open(limits)
        let total = Store.faultLimit + 1000
        for start in stride(from: 0, to: total, by: 1000) {
            try outbox.append((start..<start + 1000).map { fault("p\($0 % 7)", $0 % 2 == 0, "\($0)") })
        }
        try outbox.append((0..<50).map { NewEvent(sample("door", text: "\($0)")) })
        deliverAll(outbox)
        let expected = Store.faultLimit + 10
        settle(outbox) { outbox.writer.withLock { $0.rows ?? .max } <= expected }
        let kept = outbox.latestFaults(100_000)
        #expect(kept.count >= Store.faultLimit && kept.count <= expected)
        #expect(kept.last?.event.text == "\(total - 1)" && kept.first.flatMap { Int($0.event.text) } ?? 0 >= 980)
        // At its limits it rests: nothing is read for nothing.
        outbox.keepHouse()
        let cursor = outbox.writer.withLock { $0.trimCursor }
        outbox.keepHouse()
        #expect(outbox.writer.withLock { $0.trimCursor } == cursor)
    }

    @Test("Many faults in front do not keep the rest of the log from being trimmed, nor the store from its size")
    func faultsInFront() throws {
        var limits = Limits()
        limits.logEvents = 100
        let outbox = try open(limits)
        for start in stride(from: 0, to: 5000, by: 500) {
            try outbox.append((start..<start + 500).map { fault("fibre", $0 % 2 == 0) })
        }
        try outbox.append((0..<2000).map { NewEvent(sample("door", text: "\($0)")) })
        deliverAll(outbox)
        // The faults are passed in two calls, the doors deleted in batches behind them.
        for _ in 0..<10 { outbox.keepHouse() }
        #expect(outbox.latestFaults(10_000).count == 5000)
        let doors = outbox.list(after: 5000, limit: 5000).count
        #expect(doors <= 100)
    }

    @Test("Faults are found by their own index")
    func index() throws {
        let outbox = try open()
        try outbox.append([fault("fibre", true)])
        var plan = ""
        try outbox.writer.withLock { writer in
            try writer.store.database.run(
                "EXPLAIN QUERY PLAN SELECT \(Store.columns) FROM event WHERE \(Store.isPathFault) ORDER BY id DESC LIMIT 5"
            ) { row in
                plan += row.text(3)
                return true
            }
        }
        #expect(plan.contains("path_fault"))
    }

    @Test("A store of the version before is taken over as it is, and taken back by that version")
    func olderStore() throws {
        let first = try open()
        try first.append([fault("fibre", true, "old"), NewEvent(sample("door"))])
        first.keepHouse(closing: true)
        first.directory.unlock()
        let database = try Database(scratch.path + "/state/outbox.db")
        try database.execute("DROP INDEX path_fault; DROP TABLE IF EXISTS availability")
        #expect(try database.number("PRAGMA user_version") == 1)
        database.close()
        let second = try open()
        #expect(second.waitingCount == 2)
        #expect(second.latestFaults(10).map(\.event.text) == ["old"])
    }

    @Test("Availability is written every ten minutes, when a path changes, and at the end; a crash costs no more")
    func written() throws {
        let first = try open()
        for _ in 0..<130 {
            observe(first)
            first.keepHouse()
        }
        #expect(first.availability().first { $0.path == "fibre" }?.works == 645)
        clock.advance(4000)
        #expect(first.availability().first { $0.path == "fibre" }?.notWatched == 0)
        first.directory.unlock()
        let second = try open()
        let works = try #require(second.availability().first { $0.path == "fibre" }?.works)
        #expect(works >= 45 && works <= 600)
        // A change is written at the next round.
        observe(second)
        observe(second, isDown: true)
        observe(second, isDown: true)
        clock.advance(10_000)
        second.keepHouse()
        second.directory.unlock()
        let third = try open()
        #expect(third.availability().first { $0.path == "fibre" }?.faults == 1)
        observe(third)
        observe(third, seconds: 30)
        third.keepHouse(closing: true)
        third.directory.unlock()
        let stored = try StoredAvailability.read(stateDirectory: scratch.path + "/state", only: nil)
        #expect(stored.first { $0.path == "fibre" }?.works == works + 30)
        #expect(stored.map(\.path) == ["(whole)", "fibre"])
        #expect(throws: ControlRefusal.self) {
            try StoredAvailability.read(stateDirectory: scratch.path + "/nowhere", only: nil)
        }
    }

    @Test("A damaged store gives its faults and its availability to the new one", arguments: [false, true])
    func salvaged(inUse: Bool) throws {
        let first = try open()
        try first.append([fault("fibre", true, "kept")])
        observe(first)
        observe(first, seconds: 50)
        first.keepHouse(closing: true)
        let file = scratch.path + "/state/outbox.db"
        if inUse {
            first.queue.withLock { $0.metDamage = true }
            first.keepHouse(closing: true)
            first.directory.unlock()
        } else {
            first.directory.unlock()
            // An event's number that cannot be ours is damage.
            let database = try Database(file)
            try database.execute(
                "UPDATE event SET id = -1; INSERT INTO event SELECT 7, state, active, account, point, "
                    + "partition, zone, sia, contact_id, qualifier, urgency, text, occurred, uptime, clock, boot, stored, "
                    + "sent, path, tries, ended, reason FROM event")
            database.close()
        }
        let second = try open()
        #expect(second.latestFaults(10).map(\.event.text) == ["kept"])
        #expect(second.availability().first { $0.path == "fibre" }?.works == 50)
    }

    @Test("Rows of availability that make no sense are left out")
    func absurd() throws {
        let first = try open()
        observe(first)
        observe(first, seconds: 50)
        first.keepHouse(closing: true)
        first.directory.unlock()
        let database = try Database(scratch.path + "/state/outbox.db")
        try database.execute(
            """
            INSERT INTO availability VALUES (-5, 'fibre', 1, 1, 1, 1, 1), (9223372036854775807, 'fibre', 1, 1, 1, 1, 1),
                (680, 'fi' || char(10) || 'bre', 1, 1, 1, 1, 1), (681, 'fibre', -1, 1, 1, 1, 1),
                (681, 'other', 9223372036854775807, 9223372036854775807, 1, 1, 1)
            """)
        database.close()
        let second = try open()
        #expect(second.availability().map(\.path) == ["(whole)", "fibre"])
        #expect(second.availability().allSatisfy { $0.month == "2026-11" && $0.works == 50 })
    }
}
