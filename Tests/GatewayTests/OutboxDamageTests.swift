import AlarmProtocol
import Foundation
import Testing

@testable import Gateway

@Suite("Damage that SQLite does not see, damage in use, and power cuts while it is mended (promise 2)")
struct OutboxDamageTests {
    let scratch = Scratch()
    let clock = TestClock()

    private func open(_ name: String = "/state") throws -> Outbox {
        let clock = clock
        return try Outbox(directory: scratch.path + name, clock: { clock.now })
    }

    private func filled(_ count: Int) throws -> String {
        let outbox = try open()
        for number in 0..<count { try outbox.append([NewEvent(sample("p\(number % 9)", text: "event \(number)"))]) }
        outbox.keepHouse(closing: true)
        outbox.directory.unlock()
        return outbox.directory.file
    }

    private func texts(_ outbox: Outbox) -> Set<String> { Set(outbox.latest(10_000).map(\.event.text)) }

    @Test("A file that turns out damaged while in use is replaced, and what comes after survives a crash")
    func inUse() throws {
        let outbox = try open()
        let before = try outbox.append((0..<400).map { NewEvent(sample("p\($0)", text: "event \($0)")) })
        outbox.keepHouse(closing: true)
        // The tail of the file, so that the next write meets it.
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: outbox.directory.file))
        let size = try handle.seekToEnd()
        try handle.seek(toOffset: size / 2)
        try handle.write(contentsOf: Data(repeating: 0xFF, count: Int(size) / 2))
        try handle.close()
        for id in before { _ = outbox.event(id) }
        outbox.keepHouse()
        #expect(outbox.takeNotices().contains { if case .damaged = $0 { true } else { false } })
        let id = try #require(try outbox.append([NewEvent(sample("new", text: "after"))]).first)
        #expect(id == 401)
        #expect(outbox.event(id)?.event.text == "after")
        outbox.keepHouse()
        try outbox.append([NewEvent(sample("new", text: "in the log"))])
        // As the files lie there at this moment.
        try FileManager.default.copyItem(atPath: scratch.path + "/state", toPath: scratch.path + "/copy")
        let again = try open("/copy")
        #expect(texts(again).isSuperset(of: ["event 0", "after", "in the log"]))
        #expect(again.waitingCount == outbox.waitingCount)
    }

    @Test("An event's number that cannot be ours is damage, not a crash", arguments: [Int64.max, -7, 0, 1 << 60])
    func absurdNumber(id: Int64) throws {
        let file = try filled(5)
        try Database(file).execute("UPDATE event SET id = \(id) WHERE id = 5")
        let outbox = try open()
        let next = try #require(try outbox.append([NewEvent(sample("new"))]).first)
        #expect((5...10_000).contains(next))
        #expect(texts(outbox).isSuperset(of: ["event 0", "event 3"]))
        #expect(outbox.takeNotices().contains { if case .damaged = $0 { true } else { false } })
    }

    @Test("A row whose columns make no sense waits and is sent, whatever they say")
    func absurdColumns() throws {
        let file = try filled(3)
        try Database(file).execute(
            """
            UPDATE event SET state = 77, urgency = 99, qualifier = -1, clock = 1000, partition = 9223372036854775807, \
            occurred = -9223372036854775808, stored = 9223372036854775807, uptime = 9223372036854775807 WHERE id = 2
            """)
        let outbox = try open()
        #expect(outbox.waitingCount == 3)
        #expect(outbox.take(for: "a", over: "x") == Waiting.Taken(id: 2, urgency: .fire, isLate: true))
        let event = try #require(outbox.event(2))
        #expect(event.event.text == "event 1" && event.state == .waiting)
        #expect(StatusScreen.utc(event.event.occurred.utc).count > 10)
        #expect(event.stored - event.event.occurred.utc > 0)  // without overflow
        #expect(event.event.occurred.clock == .unknown)
        outbox.acknowledge(2, sent: 1, path: "x", tries: 1)
        outbox.keepHouse()
        #expect(outbox.event(2)?.state == .acknowledged)
    }

    @Test("A place to begin reading that lies beyond the last event hides nothing")
    func absurdPlace() throws {
        let file = try filled(4)
        try Database(file).execute("INSERT OR REPLACE INTO number VALUES ('scan-from', 999999)")
        #expect(try open().waitingCount == 4)
    }

    @Test("What a receiver acknowledged while its mark was unwritten is scanned again, however late the snapshot")
    func snapshotKeepsUnwrittenMarks() throws {
        let outbox = try open()
        let ids = try outbox.append([NewEvent(sample("a")), NewEvent(sample("b"))])
        // The trigger lets no mark be written, as a disk that fails between the mark and the snapshot.
        try Database(outbox.directory.file).execute(
            "CREATE TRIGGER broken BEFORE UPDATE ON event BEGIN SELECT RAISE(ABORT, 'no'); END")
        outbox.acknowledge(ids[0], sent: 1, path: "x", tries: 1)
        outbox.keepHouse(closing: true)
        #expect(outbox.event(ids[0])?.state == .acknowledged)
        outbox.directory.unlock()
        #expect(try open().waitingCount == 2)
    }

    @Test(
        "A mend that a power cut interrupted is finished at the next start", arguments: ["note", "moved", "half made"])
    func interrupted(moment: String) throws {
        let file = try filled(50)
        let aside = file + ".damaged-1"
        try Data(aside.utf8).write(to: URL(fileURLWithPath: scratch.path + "/state/salvage"))
        if moment != "note" {
            for suffix in ["", "-wal", "-shm"] { rename(file + suffix, aside + suffix) }
        }
        if moment == "half made" { try Data("half".utf8).write(to: URL(fileURLWithPath: file + ".rebuilt")) }
        let outbox = try open()
        #expect(outbox.waitingCount == 50)
        #expect(!FileManager.default.fileExists(atPath: scratch.path + "/state/salvage"))
        outbox.directory.unlock()
        #expect(try open().waitingCount == 50)
    }

    @Test("A time that was uncertain is worked out once the clock is known, in the same boot (promise 11)")
    func corrected() throws {
        let now = Locked(Moment(utc: 1000, uptime: 60_000, clock: .unknown))
        let outbox = try Outbox(directory: scratch.path + "/state", clock: { now.value.withLock { $0 } })
        var event = sample()
        event.occurred = now.value.withLock { $0 }
        let id = try #require(try outbox.append([NewEvent(event)]).first)
        #expect(outbox.event(id)?.event.occurred == event.occurred)
        now.value.withLock { $0 = Moment(utc: 1_795_000_100_000, uptime: 160_000, clock: .known) }
        outbox.keepHouse()
        let moment = Moment(utc: 1_795_000_000_000, uptime: 60_000, clock: .corrected)
        #expect(outbox.event(id)?.event.occurred == moment)
        // It stays the same however the clock is steered from now on, so that a repeat is known for one.
        now.value.withLock { $0.utc += 3000 }
        #expect(outbox.event(id)?.event.occurred == moment)
    }

    @Test("What a file took that was damaged already is stored again from memory, under its old number")
    func takenByDamagedFile() throws {
        let clock = clock
        let outbox = try Outbox(directory: scratch.path + "/state", clock: { clock.now })
        let ids = try outbox.append((0..<30).map { NewEvent(sample("p\($0 % 3)", text: "event \($0)"), active: true) })
        for suffix in ["", "-wal"] {
            let file = URL(fileURLWithPath: outbox.directory.file + suffix)
            let size = try Data(contentsOf: file).count
            let handle = try FileHandle(forWritingTo: file)
            try handle.write(contentsOf: Data(repeating: 0x5A, count: size))
            try handle.close()
        }
        _ = try? outbox.read(ids[0])  // meets the damage
        outbox.keepHouse()
        #expect(ids.allSatisfy { outbox.event($0)?.event.text == "event \($0 - ids[0])" })
        #expect(outbox.waitingCount == 30)
        #expect(outbox.lastStates() == ["p0": true, "p1": true, "p2": true])
        #expect(try outbox.append([NewEvent(sample("next"))]) == [(ids.last ?? 0) + 1])
    }
}
