import AlarmProtocol
import Foundation
import Synchronization
import Testing

@testable import Gateway

@Suite("When the disk takes nothing, alarms go through memory until it does (promises 2 and 5)")
struct EmergencyTests {
    let scratch = Scratch()
    let clock = TestClock()

    private func open() throws -> Outbox {
        let clock = clock
        return try Outbox(directory: scratch.path + "/state", emergency: scratch.path, clock: { clock.now })
    }

    /// A receiver that acknowledges whatever comes, on a thread of its own, until told to stop.
    private func receiver(_ outbox: Outbox, _ got: Locked<[String]>) {
        outbox.onStored { [weak outbox] in
            DispatchQueue.global().async { [weak outbox] in
                while let outbox, let next = outbox.take(for: "a", over: "x") {
                    got.value.withLock { $0.append(outbox.event(next.id)?.event.text ?? "unreadable") }
                    outbox.acknowledge(next.id, sent: 1, path: "x", tries: 1)
                }
            }
        }
    }

    /// A trigger in the file that refuses every insert: the disk that takes nothing, without being root.
    private func breakDisk(_ outbox: Outbox) throws {
        try Database(outbox.directory.file).execute(
            "CREATE TRIGGER broken BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'disk is read-only'); END")
    }

    @Test("An event that cannot be stored is delivered all the same, and counts only when it is acknowledged")
    func throughMemory() throws {
        let outbox = try open()
        let got = Locked<[String]>([])
        try outbox.append([NewEvent(sample("a", text: "before"))])
        try breakDisk(outbox)
        // Nobody acknowledges: the event is given back, and said to be.
        let error = #expect(throws: OutboxError.self) { try outbox.append([NewEvent(sample("b", text: "lost?"))]) }
        #expect(error?.description.contains("no receiver acknowledged") == true)
        #expect(outbox.waitingCount == 1)
        #expect(outbox.takeNotices().contains { if case .cannotWrite = $0 { true } else { false } })

        receiver(outbox, got)
        let ids = try outbox.append([NewEvent(sample("b", text: "åter"), active: true)])
        #expect(got.value.withLock { $0.contains("åter") && $0.contains("before") })
        // A cut takes the numbers of those in memory back: far from those that come next on the disk.
        #expect(ids.allSatisfy { $0 > 2 + Salvage.leap.lowerBound })
        #expect(outbox.lastStates() == ["b": true])
        #expect(outbox.summary().trouble != nil)
    }

    @Test("The second time that the disk fails goes as the first")
    func twice() throws {
        let outbox = try open()
        let got = Locked<[String]>([])
        receiver(outbox, got)
        for round in 1...3 {
            try breakDisk(outbox)
            try outbox.append([NewEvent(sample("b", text: "in memory \(round)"))])
            try Database(outbox.directory.file).execute("DROP TRIGGER broken")
            clock.advance(5000)
            outbox.keepHouse()
            #expect(outbox.summary().trouble == nil)
            try outbox.append([NewEvent(sample("b", text: "on disk \(round)"))])
        }
        for _ in 0..<500 where outbox.waitingCount > 0 { usleep(10_000) }
        #expect(got.value.withLock { $0 } == (1...3).flatMap { ["in memory \($0)", "on disk \($0)"] })
        let onDisk = outbox.latest(6).map(\.event.text).filter { $0.hasPrefix("on disk") }
        #expect(onDisk == (1...3).map { "on disk \($0)" })
    }

    @Test("An event that is given back leaves no state behind: what has not been told is told again")
    func givenBack() throws {
        let outbox = try open()
        try outbox.append([NewEvent(sample("b"), active: false)])
        try breakDisk(outbox)
        #expect(throws: OutboxError.self) { try outbox.append([NewEvent(sample("b"), active: true)]) }
        #expect(outbox.lastStates() == ["b": false])
        try Database(outbox.directory.file).execute("DROP TRIGGER broken")
        clock.advance(5000)
        outbox.keepHouse(closing: true)
        outbox.directory.unlock()
        #expect(try open().lastStates() == ["b": false])
    }

    @Test("What waited in a file that could not be opened at the start is sent once it can be, behind nothing new")
    func unreadableAtStart() throws {
        let state = scratch.path + "/state"
        let first = try open()
        let old = try first.append([NewEvent(sample("a", text: "old")), NewEvent(sample("b", text: "refused"))])
        first.park(old[1], reason: "refused by every receiver", tries: 1)
        first.keepHouse(closing: true)
        first.directory.unlock()
        try FileManager.default.moveItem(atPath: state + "/outbox.db", toPath: scratch.path + "/away")
        try FileManager.default.createDirectory(atPath: state + "/outbox.db", withIntermediateDirectories: false)

        let outbox = try open()
        let got = Locked<[String]>([])
        receiver(outbox, got)
        #expect(outbox.summary().trouble != nil && outbox.waitingCount == 0)
        let new = try outbox.append([NewEvent(sample("c", text: "new"))])
        #expect(new[0] > old[1])
        try FileManager.default.removeItem(atPath: state + "/outbox.db")
        try FileManager.default.moveItem(atPath: scratch.path + "/away", toPath: state + "/outbox.db")
        clock.advance(5000)
        outbox.keepHouse()
        #expect(outbox.summary().trouble == nil)
        #expect(outbox.waitingCount == 1 && outbox.summary().parked == 1)
        #expect(outbox.event(old[0])?.event.text == "old")
        let next = try outbox.append([NewEvent(sample("c", text: "next"))])
        #expect(next == [new[0] + 1])
        for _ in 0..<500 where outbox.waitingCount > 0 { usleep(10_000) }
        // What waited over the outage is late: what has just happened may go before it.
        let order = got.value.withLock { $0 }
        #expect(order.first == "new" && Set(order) == ["new", "old", "next"] && order.count == 3)
    }

    @Test("The disk works again only when it has taken something")
    func proof() throws {
        let outbox = try open()
        let got = Locked<[String]>([])
        receiver(outbox, got)
        try breakDisk(outbox)
        try Database(outbox.directory.file).execute(
            "CREATE TRIGGER full BEFORE INSERT ON number BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
        try outbox.append([NewEvent(sample("b"))])
        _ = outbox.takeNotices()
        for _ in 0..<3 {
            clock.advance(5000)
            outbox.keepHouse()
        }
        #expect(outbox.takeNotices().isEmpty)
        #expect(outbox.summary().trouble?.contains("read-only") == true)
    }

    @Test("Once the disk works again events go there, numbers go on, and what was acknowledged meanwhile is marked")
    func returns() throws {
        let outbox = try open()
        let got = Locked<[String]>([])
        let first = try outbox.append([NewEvent(sample("a", text: "before"))])
        try breakDisk(outbox)
        receiver(outbox, got)
        try outbox.append([NewEvent(sample("b", text: "in memory"))])
        try Database(outbox.directory.file).execute("DROP TRIGGER broken")
        outbox.keepHouse()
        #expect(outbox.summary().trouble != nil)  // tried every five seconds only
        clock.advance(5000)
        outbox.keepHouse()
        #expect(outbox.summary().trouble == nil)
        #expect(outbox.takeNotices().contains(.canWriteAgain))
        let next = try outbox.append([NewEvent(sample("c", text: "after"))])
        #expect(next[0] > first[0] + 1)
        outbox.directory.unlock()
        let again = try open()
        #expect(again.event(first[0])?.state == .acknowledged)
        #expect(again.event(next[0])?.event.text == "after")
        #expect(again.event(next[0] - 1) == nil)
    }

    @Test("What was told from memory is on the disk once that works again: a cut takes back no state and no number")
    func statesReturn() throws {
        let outbox = try open()
        let got = Locked<[String]>([])
        receiver(outbox, got)
        try outbox.append([NewEvent(sample("b"), active: true)])
        try breakDisk(outbox)
        let told = try outbox.append([NewEvent(sample("b"), active: false)])
        try Database(outbox.directory.file).execute("DROP TRIGGER broken")
        clock.advance(5000)
        outbox.keepHouse()
        #expect(outbox.summary().trouble == nil)
        // Cut off: nothing is closed in good order.
        outbox.directory.unlock()
        let again = try open()
        #expect(again.lastStates() == ["b": false])
        #expect(try again.append([NewEvent(sample("b"), active: true)])[0] > told[0])
        again.directory.unlock()
        #expect(try open().lastStates() == ["b": true])
    }
}

/// A lock that escaping closures of a test may hold.
final class Locked<Value: Sendable>: Sendable {
    let value: Mutex<Value>
    init(_ value: Value) { self.value = Mutex(value) }
}
