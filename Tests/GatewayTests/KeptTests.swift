import AlarmProtocol
import Dispatch
import Drivers
import Foundation
import Testing

@testable import Gateway

@Suite("A few bytes that a driver keeps (promise 1)") struct KeptTests {
    let scratch = Scratch()
    let clock = TestClock()

    private func open(_ name: String = "/state", emergency: String? = nil) throws -> Outbox {
        let clock = clock
        return try Outbox(directory: scratch.path + name, emergency: emergency, clock: { clock.now })
    }

    private func crash(_ copy: String) throws {
        try FileManager.default.copyItem(atPath: scratch.path + "/state", toPath: scratch.path + copy)
    }

    @Test("What a driver keeps outlives a crash and a damaged store")
    func outlives() throws {
        let outbox = try open()
        try outbox.append([NewEvent(sample("a", text: "before"))])
        #expect(outbox.kept(of: "galaxy.a") == [])
        try outbox.keep([0, 0x7F, 0xFF], of: "galaxy.a")
        try outbox.keep([1], of: "galaxy.b")
        try crash("/copy")
        let again = try open("/copy")
        #expect(again.kept(of: "galaxy.a") == [0, 0x7F, 0xFF] && again.kept(of: "galaxy.b") == [1])
        try outbox.keep([2], of: "galaxy.b")
        try outbox.keep([], of: "galaxy.a")
        #expect(outbox.kept(of: "galaxy.a") == [])
        // What is not needed any more goes with the next commit.
        try outbox.append([NewEvent(sample("a", text: "after"))])
        try crash("/later")
        let later = try open("/later")
        #expect(later.kept(of: "galaxy.a") == [] && later.kept(of: "galaxy.b") == [2])
        // A number that cannot be ours: the store is set aside and rebuilt.
        later.keepHouse(closing: true)
        later.directory.unlock()
        try Database(later.directory.file).execute("UPDATE event SET id = -7 WHERE id = 1")
        let rebuilt = try open("/later")
        #expect(rebuilt.takeNotices().contains { if case .damaged = $0 { true } else { false } })
        #expect(rebuilt.kept(of: "galaxy.b") == [2])
    }

    @Test("What a panel's repeat is known by is kept in the commit of its event, and goes with it where it fails")
    func inOneCommit() throws {
        let outbox = try open()
        let kept = try #require(Kept([7, 8], of: "espa.a"))
        try outbox.append([NewEvent(sample("a", text: "one"))], keeping: kept)
        try crash("/copy")
        let again = try open("/copy")
        #expect(again.kept(of: "espa.a") == [7, 8] && again.waitingCount == 1)
        // Forgotten and kept anew before any commit: the new one stays.
        try outbox.keep([], of: "espa.a")
        try outbox.append([NewEvent(sample("a", text: "two"))], keeping: Kept([9], of: "espa.a"))
        #expect(outbox.kept(of: "espa.a") == [9])
        try outbox.keep([], of: "espa.a")
        outbox.keepHouse(closing: true)
        try crash("/closed")
        #expect(try open("/closed").kept(of: "espa.a") == [])
        try Database(outbox.directory.file).execute(
            "CREATE TRIGGER broken BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'disk is read-only'); END")
        #expect(throws: OutboxError.self) {
            try outbox.append([NewEvent(sample("a", text: "three"))], keeping: Kept([1], of: "espa.a"))
        }
        #expect(outbox.kept(of: "espa.a") == [])
        #expect(Kept([UInt8](repeating: 1, count: Outbox.keptLimit + 1), of: "espa.a") == nil, "the event goes first")
    }

    @Test("What cannot be kept on the disk is refused")
    func refused() throws {
        let outbox = try open(emergency: scratch.path)
        #expect(throws: OutboxError.self) {
            try outbox.keep([UInt8](repeating: 1, count: Outbox.keptLimit + 1), of: "galaxy.a")
        }
        try outbox.keep([1], of: "galaxy.a")
        try Database(outbox.directory.file).execute(
            "CREATE TRIGGER broken BEFORE INSERT ON kept BEGIN SELECT RAISE(ABORT, 'disk is read-only'); END")
        #expect(throws: OutboxError.self) { try outbox.keep([2], of: "galaxy.a") }
        #expect(outbox.kept(of: "galaxy.a") == [1])
    }

    @Test("What was kept is told and forgotten in one commit: both or neither")
    func toldOnce() throws {
        let outbox = try open()
        try outbox.keep([1], of: "galaxy.a")
        try outbox.keep([2], of: "galaxy.b")
        try Database(outbox.directory.file).execute(
            "CREATE TRIGGER broken BEFORE DELETE ON kept BEGIN SELECT RAISE(ABORT, 'disk is read-only'); END")
        #expect(throws: OutboxError.self) {
            try outbox.append([NewEvent(sample("a", text: "told"))], keeping: Kept(device: "galaxy.a", bytes: []))
        }
        #expect(outbox.waitingCount == 0 && outbox.kept(of: "galaxy.a") == [1])
        try Database(outbox.directory.file).execute("DROP TRIGGER broken")
        try outbox.append([NewEvent(sample("a", text: "told"))], keeping: Kept(device: "galaxy.a", bytes: []))
        try crash("/copy")
        let again = try open("/copy")
        #expect(again.latest(9).map(\.event.text) == ["told"])
        #expect(again.allKept() == ["galaxy.b": [2]])
        // Nothing of it is news: it is forgotten all the same.
        let intake = Intake(outbox: outbox, clock: { [clock] in clock.now })
        #expect(try intake.take(keeping: Kept(device: "galaxy.b", bytes: [])) { _ in [] } == [])
        #expect(outbox.allKept() == [:])
    }

    @Test("What is kept is known while the disk is away, and what was told from memory is forgotten when it is back")
    func inMemory() throws {
        let outbox = try open(emergency: scratch.path)
        try outbox.keep([1], of: "galaxy.a")
        try outbox.keep([2], of: "galaxy.b")
        try Database(outbox.directory.file).execute(
            "CREATE TRIGGER broken BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'disk is read-only'); END")
        outbox.onStored { [weak outbox] in
            DispatchQueue.global().async { [weak outbox] in
                while let outbox, let next = outbox.take(for: "a", over: "x") {
                    outbox.acknowledge(next.id, sent: 1, path: "x", tries: 1)
                }
            }
        }
        try outbox.append([NewEvent(sample("a", text: "from memory"))], keeping: Kept(device: "galaxy.a", bytes: []))
        #expect(outbox.summary().trouble != nil && outbox.allKept() == ["galaxy.b": [2]])
        try Database(outbox.directory.file).execute("DROP TRIGGER broken")
        clock.advance(5000)
        outbox.keepHouse()
        #expect(outbox.summary().trouble == nil)
        try crash("/copy")
        #expect(try open("/copy").allKept() == ["galaxy.b": [2]])
    }

    @Test("What a device had kept that is not configured any more is told as it is, once")
    func left() throws {
        let outbox = try open()
        try outbox.keep(DeviceHost.untold + [0x31, 0x32, 0x00, 0x46, 0x41, 0x35], of: "galaxy.gone")
        let intake = Intake(outbox: outbox, clock: { [clock] in clock.now })
        let housekeeping = Housekeeping(
            intake: intake, account: "4711", devices: [], uplinkSign: LifeSign(clock.now), manager: ServiceManager(),
            stopping: Interrupt())
        var rounds = housekeeping.begin()
        for _ in 0..<3 { housekeeping.round(&rounds) }
        let told = outbox.latest(9).map(\.event).filter { $0.point == "galaxy.gone.unclassified" }
        #expect(told.map(\.text) == ["galaxy.gone, not configured any more, had said: 12 FA5"])
        #expect(told.first?.account == "4711" && outbox.allKept() == [:])
        // What an event has told already is no news, and only its repeat would have been known by it.
        try outbox.keep(DeviceHost.told + [0x31], of: "galaxy.gone")
        var later = housekeeping.begin()
        housekeeping.round(&later)
        #expect(outbox.latest(9).count { $0.event.point == "galaxy.gone.unclassified" } == 1)
    }
}
