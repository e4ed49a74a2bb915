import AlarmProtocol
import Foundation
import Synchronization
import Testing

@testable import Gateway

@Suite("The outbox: on disk before anyone is told, and there until a receiver has it (promises 1, 2, 6)")
struct OutboxTests {
    let scratch = Scratch()
    let clock = TestClock()

    private func open(_ limits: Limits = Limits()) throws -> Outbox {
        let clock = clock
        return try Outbox(directory: scratch.path + "/state", limits: limits, clock: { clock.now })
    }

    /// Ends the first life of an outbox as a crash would: nothing is written, the lock goes.
    private func crash(_ outbox: Outbox) { outbox.directory.unlock() }

    @Test("What was stored waits after a crash, in order, with the same numbers and content")
    func crashKeepsEvents() throws {
        let first = try open()
        let events = (0..<50).map { sample("p\($0 % 5)", $0 % 7 == 0 ? .fire : .status, text: "åäö \($0)") }
        let ids = try first.append(events.map { NewEvent($0) })
        crash(first)
        let second = try open()
        #expect(second.waitingCount == 50)
        for (id, event) in zip(ids, events) {
            let stored = try #require(second.event(id))
            #expect(stored.event == event && stored.state == .waiting)
        }
        #expect(second.take(for: "a", over: "x")?.id == ids[0])
        // Of the others, every point has a fire waiting further back, so its head is promoted: the oldest head is next.
        #expect(second.take(for: "a", over: "x")?.id == ids[1])
    }

    @Test("An acknowledged event does not wait again once its mark is written; an unwritten mark costs a repeat")
    func acknowledged() throws {
        let first = try open()
        let ids = try first.append([NewEvent(sample("a")), NewEvent(sample("b"))])
        first.acknowledge(ids[0], sent: 1, path: "fibre", tries: 1)
        // A lone mark is left for the next event to take along, for a while.
        clock.advance(10_000)
        first.keepHouse()
        first.acknowledge(ids[1], sent: 1, path: "fibre", tries: 1)
        #expect(first.event(ids[1])?.state == .acknowledged)  // seen at once, though not yet written
        crash(first)
        let second = try open()
        #expect(second.waitingCount == 1)
        #expect(second.event(ids[0])?.state == .acknowledged)
        #expect(second.event(ids[0])?.path == "fibre")
        #expect(second.event(ids[1])?.state == .waiting)
    }

    @Test("Sequence numbers go from 1 to 9999 and begin again; identifiers never come twice")
    func sequence() throws {
        #expect([1, 9999, 10_000, 19_998, 19_999].map { StoredEvent.sequence(of: $0) } == [1, 9999, 1, 9999, 1])
        let first = try open()
        let ids = try first.append([NewEvent(sample("a")), NewEvent(sample("b"))])
        for id in ids { first.acknowledge(id, sent: 1, path: "x", tries: 1) }
        first.keepHouse(closing: true)
        crash(first)
        let second = try open()
        #expect(try second.append([NewEvent(sample())]) == [3])
    }

    @Test("Threads that store at the same time share syncs, and each gets its own events' numbers")
    func together() throws {
        let outbox = try open()
        let all = Mutex<[Int64: String]>([:])
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for number in 0..<50 {
                let texts = (0..<3).map { "\(thread)/\(number)/\($0)" }
                guard let ids = try? outbox.append(texts.map { NewEvent(sample("p\(thread)", text: $0)) }) else {
                    Issue.record("not stored")
                    return
                }
                all.withLock { all in for (id, text) in zip(ids, texts) { all[id] = text } }
            }
        }
        let known = all.withLock { $0 }
        #expect(known.count == 8 * 50 * 3)
        for (id, text) in known { #expect(outbox.event(id)?.event.text == text) }
    }

    @Test("The last state of every point is known after a restart, also when its event has been trimmed around")
    func states() throws {
        var limits = Limits()
        limits.logEvents = 10
        let first = try open(limits)
        _ = try first.append([NewEvent(sample("rare"), active: true)])
        for number in 0..<200 {
            _ = try first.append([NewEvent(sample("often"), active: number % 2 == 0)])
        }
        while let next = first.take(for: "a", over: "x") {
            first.acknowledge(next.id, sent: 1, path: "x", tries: 1)
        }
        for _ in 0..<5 { first.keepHouse() }
        #expect(first.latest(1000).count < 40)
        #expect(first.event(1)?.event.point == "rare")
        crash(first)
        #expect(try open(limits).lastStates() == ["rare": true, "often": false])
    }

    @Test("Trimming never takes what waits or is parked")
    func trimKeeps() throws {
        var limits = Limits()
        limits.logEvents = 5
        let outbox = try open(limits)
        let ids = try outbox.append((0..<100).map { NewEvent(sample("p\($0)")) })
        for id in ids.dropFirst(2) { outbox.acknowledge(id, sent: 1, path: "x", tries: 1) }
        outbox.park(ids[0], reason: "refused by every receiver", tries: 2)
        for _ in 0..<5 { outbox.keepHouse() }
        #expect(outbox.event(ids[0])?.state == .parked)
        #expect(outbox.event(ids[1])?.state == .waiting)
        #expect(outbox.event(ids[2]) == nil)
    }

    @Test("At its limit nothing more is taken, but fire and danger find the last tenth; the filling is noticed")
    func limit() throws {
        var limits = Limits()
        limits.waitingEvents = 100
        let outbox = try open(limits)
        for number in 0..<90 { try outbox.append([NewEvent(sample("p\(number)", .technical))]) }
        #expect(throws: OutboxError.self) { try outbox.append([NewEvent(sample("more", .technical))]) }
        for number in 0..<10 { try outbox.append([NewEvent(sample("f\(number)", .fire))]) }
        #expect(throws: OutboxError.self) { try outbox.append([NewEvent(sample("more", .fire))]) }
        #expect(outbox.waitingCount == 100)
        #expect(outbox.takeNotices() == [.filling(percent: 50)])
        while let next = outbox.take(for: "a", over: "x") {
            outbox.acknowledge(next.id, sent: 1, path: "x", tries: 1)
        }
        #expect(outbox.takeNotices() == [.drained])
    }

    @Test("Refused events take room too, until a named person discards them")
    func parkedLimit() throws {
        var limits = Limits()
        limits.waitingEvents = 100
        let outbox = try open(limits)
        for number in 0..<90 {
            let ids = try outbox.append([NewEvent(sample("p\(number)", .technical))])
            for id in ids { outbox.park(id, reason: "refused", tries: 1) }
        }
        #expect(throws: OutboxError.self) { try outbox.append([NewEvent(sample("more", .technical))]) }
        #expect(outbox.discard(1, by: "anna", why: "wrong zone"))
        try outbox.append([NewEvent(sample("more", .technical))])
    }

    @Test("A second process is told who holds the outbox")
    func oneOwner() throws {
        let first = try open()
        let error = #expect(throws: OutboxError.self) { try open() }
        #expect(error?.kind == .inUse)
        #expect(error?.description.contains("process \(getpid())") == true)
        withExtendedLifetime(first) {}
    }

    @Test("A named person may discard what waits or is parked; it is kept with the name and the reason")
    func discard() throws {
        let outbox = try open()
        let ids = try outbox.append([NewEvent(sample("a")), NewEvent(sample("b"))])
        outbox.park(ids[0], reason: "refused", tries: 1)
        for id in ids { #expect(outbox.discard(id, by: "anna", why: "wrong zone")) }
        #expect(!outbox.discard(ids[0], by: "anna", why: "again"))
        #expect(outbox.event(ids[1])?.reason == "discarded by anna: wrong zone")
        #expect(outbox.waitingCount == 0)
    }

    @Test("Waiting for the receiver ends with its ACK, or with the time")
    func waitForReceiver() throws {
        let outbox = try open()
        let ids = try outbox.append([NewEvent(sample("a"))])
        #expect(outbox.waitForReceiver(ids, atMost: .milliseconds(20)) == .timeUp)
        DispatchQueue.global().asyncAfter(deadline: .now() + 0.05) {
            outbox.acknowledge(ids[0], sent: 1, path: "x", tries: 1)
        }
        #expect(outbox.waitForReceiver(ids, atMost: .seconds(60)) == .acknowledged)
    }

    @Test("Waiting for the receiver ends at once when every receiver refuses, before or meanwhile")
    func refusedWhileWaiting() throws {
        let outbox = try open()
        let ids = try outbox.append([NewEvent(sample("a")), NewEvent(sample("b"))])
        outbox.park(ids[0], reason: "refused by every receiver", tries: 1)
        #expect(outbox.waitForReceiver([ids[0]], atMost: .seconds(60)) == .refused)
        DispatchQueue.global().asyncAfter(deadline: .now() + 0.05) {
            outbox.park(ids[1], reason: "refused by every receiver", tries: 1)
        }
        #expect(outbox.waitForReceiver([ids[1]], atMost: .seconds(60)) == .refused)
        #expect(outbox.summary().parked == 2)
        // A late ACK of a copy over another path: delivered after all.
        outbox.acknowledge(ids[0], sent: 1, path: "x", tries: 2)
        #expect(outbox.summary().parked == 1 && outbox.event(ids[0])?.state == .acknowledged)
    }

    // MARK: Damage

    private func filled(_ count: Int) throws -> String {
        let outbox = try open()
        for number in 0..<count { try outbox.append([NewEvent(sample("p\(number % 9)", text: "event \(number)"))]) }
        outbox.keepHouse(closing: true)
        crash(outbox)
        // Everything is in the file by now; the log would still hold a second copy of each page, and hide the damage.
        for suffix in ["-wal", "-shm"] { try FileManager.default.removeItem(atPath: outbox.directory.file + suffix) }
        return outbox.directory.file
    }

    private func damaged(_ outbox: Outbox) -> (kept: Int, lost: Int, file: String)? {
        for case .damaged(let kept, let lost, let file) in outbox.takeNotices() { return (kept, lost, file) }
        return nil
    }

    @Test("A file that is no database is set aside, told of, and new events flow")
    func noDatabase() throws {
        let file = try filled(10)
        try Data(repeating: 0x5A, count: 50_000).write(to: URL(fileURLWithPath: file))
        let outbox = try open()
        let told = try #require(damaged(outbox))
        #expect(told.kept == 0 && FileManager.default.fileExists(atPath: told.file))
        let id = try #require(try outbox.append([NewEvent(sample("new"))]).first)
        #expect(outbox.event(id)?.event.point == "new")
    }

    @Test("What can be read in a file with a damaged page is kept, with its numbers")
    func damagedPage() throws {
        let file = try filled(400)
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file))
        // Pages 1 and 2 hold the schema and the table's root; a leaf in the middle is overwritten.
        let page = bytes.count / 1024 / 2
        bytes.replaceSubrange(page * 1024..<(page + 1) * 1024, with: Data(repeating: 0xFF, count: 1024))
        try bytes.write(to: URL(fileURLWithPath: file))
        let outbox = try open()
        // The start reads every waiting event, so the damage is met at once.
        let told = try #require(damaged(outbox))
        #expect(told.kept > 300 && told.kept < 400)
        #expect(told.lost > 0 && told.kept + told.lost == 400)
        #expect(outbox.waitingCount == told.kept)
        let next = try #require(try outbox.append([NewEvent(sample("new"))]).first)
        #expect(next == 401)
        var texts: [String] = []
        while let taken = outbox.take(for: "a", over: "x") {
            texts.append(outbox.event(taken.id)?.event.text ?? "unreadable")
            outbox.acknowledge(taken.id, sent: 1, path: "x", tries: 1)
        }
        #expect(!texts.contains("unreadable"))
        #expect(texts.contains("event 0") && texts.contains("event 399"))
    }

    @Test(
        "A file cut short, at any length, neither stops the start nor the events", arguments: [0, 1, 100, 5000, 40_000])
    func truncated(length: Int) throws {
        let file = try filled(400)
        try Data(contentsOf: URL(fileURLWithPath: file)).prefix(length).write(to: URL(fileURLWithPath: file))
        let outbox = try open()
        #expect(try outbox.append([NewEvent(sample("new"))]).count == 1)
        #expect(outbox.take(for: "a", over: "x") != nil)
    }

    @Test("A torn write-ahead log loses at most what was not synced; here nothing was torn that had been promised")
    func tornLog() throws {
        let first = try open()
        for number in 0..<20 { try first.append([NewEvent(sample("p", text: "\(number)"))]) }
        crash(first)
        // A half-written frame at the end, as a power cut in the middle of the next commit leaves it.
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: first.directory.file + "-wal"))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(repeating: 0x33, count: 1234))
        try handle.close()
        #expect(try open().waitingCount == 20)
    }

    @Test("A store of a newer version is refused in words, not overwritten")
    func newerVersion() throws {
        let file = try filled(3)
        let database = try Database(file)
        try database.execute("PRAGMA user_version = 99")
        let error = #expect(throws: OutboxError.self) { try open() }
        #expect(error?.description.contains("newer larmnod") == true)
    }
}

@Suite("A damaged write-ahead log is noticed, which SQLite alone would not tell")
struct WriteAheadLogTests {
    let scratch = Scratch()
    let clock = TestClock()

    /// 100 events in the log of a store that was cut off.
    private func cutOff() throws -> String {
        let clock = clock
        let outbox = try Outbox(directory: scratch.path + "/state", clock: { clock.now })
        for number in 0..<100 { try outbox.append([NewEvent(sample("p", text: "event \(number)"))]) }
        outbox.directory.unlock()
        // As the files lie there now; closing the connection would tidy them up.
        let copy = scratch.path + "/copy"
        try FileManager.default.copyItem(atPath: scratch.path + "/state", toPath: copy)
        return copy
    }

    private func overwrite(_ file: String, at offset: Int, _ count: Int) throws {
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: file))
        try handle.seek(toOffset: UInt64(offset))
        try handle.write(contentsOf: Data(repeating: 0x5A, count: count))
        try handle.close()
    }

    @Test("Sound as it lies there", arguments: [0, 1, 700])
    func sound(cut: Int) throws {
        let file = try cutOff() + "/outbox.db-wal"
        if cut > 0 {
            let size = try #require(try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int)
            try overwrite(file, at: size - cut, cut)  // a torn last transaction
        }
        #expect(WriteAheadLog(file)?.isDamaged == false)
    }

    @Test(
        "Damage in the header or further in is told, and what lies behind it is kept",
        arguments: [(0, 20), (0, 32), (0, 64), (8, 20), (40, 20), (60_000, 20)])
    func damaged(offset: Int, count: Int) throws {
        let copy = try cutOff()
        try overwrite(copy + "/outbox.db-wal", at: offset, count)
        #expect(WriteAheadLog(copy + "/outbox.db-wal")?.isDamaged == true)
        let clock = clock
        let outbox = try Outbox(directory: copy, clock: { clock.now })
        guard case .damaged(let kept, _, _)? = outbox.takeNotices().first else {
            Issue.record("not told")
            return
        }
        #expect(kept == outbox.waitingCount)
        #expect(kept >= 99)
        #expect(outbox.latest(1000).contains { $0.event.text == "event 99" })
    }
}
