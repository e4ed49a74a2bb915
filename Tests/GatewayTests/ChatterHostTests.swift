import AlarmProtocol
import Drivers
import Glibc
import Testing

@testable import Gateway

private struct Scripted: Driver {
    static let name = "scripted"
    let body: @Sendable (any Host) throws -> Void
    init(_ body: @escaping @Sendable (any Host) throws -> Void) { self.body = body }
    init(_ settings: Settings) throws { throw DeviceError("made by tests only") }
    func run(_ host: any Host) throws { try body(host) }
}

@Suite("Chatter, from a driver's reports to the store (promises 2, 6 and 9)")
struct ChatterHostTests {
    let scratch = Scratch()

    private func outbox(_ limits: Limits = Limits()) throws -> Outbox {
        let clock = SystemClock(isTrusted: true)
        return try Outbox(directory: scratch.path + "/state", limits: limits, clock: { clock.now() })
    }

    /// Runs a driver until the store holds what it should, at most a minute; what was told of the device, in words.
    private func run(
        _ outbox: Outbox, within: Duration = .seconds(1), until isThere: ([String]) -> Bool = { _ in false },
        meanwhile: ([String]) throws -> Void = { _ in },
        driver body: @escaping @Sendable (any Host) throws -> Void
    ) throws -> [String] {
        let clock = SystemClock(isTrusted: true)
        let stopping = Interrupt()
        let kind = try #require(EventKind.named("burglary"))
        let limit = ChatterLimit(changes: 4, within: within)
        let device = Device(
            name: "scripted.d", driver: Scripted(body),
            points: [
                Point(
                    name: "scripted.d.door", account: "4711", kind: kind, partition: 0, zone: 3, text: "Dörr",
                    chatter: limit)
            ], account: "4711", partition: 0, waitForReceiver: nil, chatter: limit)
        let host = DeviceHost(device, intake: Intake(outbox: outbox, clock: { clock.now() }), stopping: stopping)
        let thread = try WorkerThread("scripted") { host.live() }
        var seen: [String] = []
        for _ in 0..<6000 {
            seen = told(outbox)
            if isThere(seen) { break }
            try meanwhile(seen)
            usleep(10_000)
        }
        stopping.set()
        thread.join()
        return told(outbox)
    }

    private func told(_ outbox: Outbox) -> [String] {
        outbox.latest(1000).filter { $0.event.point.hasPrefix("scripted") }
            .map { "\($0.event.sia) \($0.event.text)" }
    }

    private static let began = "UT Dörr chatters: changes over 4 times in 1s, counted from now on"
    private static let first = ["BA Dörr", "BR Dörr", "BA Dörr", "BR Dörr", "BA Dörr", began]

    @Test("The driver waits for something else; the last state and the count come when they are due, in one commit")
    func settlesWhileWaiting() throws {
        let outbox = try outbox()
        let all = try run(
            outbox, until: { $0.count >= 8 },
            driver: { host in
                for number in 0..<12 { try host.report(Signal(point: "door", .active(number % 2 == 0))) }
                host.answers()
                _ = host.wait(until: .now + .seconds(600))
            })
        #expect(all == Self.first + ["BR Dörr", "UJ Dörr no change for 1s, at rest; 8 changes counted"])
        #expect(outbox.lastStates()["scripted.d.door"] == false)
        #expect(outbox.lastStates()["scripted.d.door.chatter"] == false)
        let stored = outbox.latest(2)
        #expect(stored.first?.stored == stored.last?.stored)
        // The restore says when it happened, not when it was told.
        let restore = try #require(stored.first)
        #expect(restore.stored - restore.event.occurred.utc >= 900)
    }

    @Test("What the store refuses is not lost: the end of the chatter comes when there is room")
    func refused() throws {
        var limits = Limits()
        limits.waitingEvents = 100
        let outbox = try outbox(limits)
        var isFull = false
        var tries = 0
        let all = try run(
            outbox, within: .seconds(2), until: { $0.count >= 8 },
            meanwhile: { seen in
                if seen.count == 6, !isFull {
                    // Room for the restore, not for the end of the chatter with it.
                    let count = 89 - outbox.waitingCount
                    try outbox.append((0..<count).map { NewEvent(sample("filler.\($0)")) })
                    isFull = true
                }
                if isFull { tries += 1 }
                // Long enough for more than one refusal.
                if tries == 400 {
                    #expect(seen.count == 6)
                    for event in outbox.list(after: 0, limit: 100) where event.event.point.hasPrefix("filler") {
                        outbox.acknowledge(event.id, sent: 1, path: "x", tries: 1)
                    }
                }
            },
            driver: { host in
                for number in 0..<12 { try host.report(Signal(point: "door", .active(number % 2 == 0))) }
                host.answers()
                _ = host.wait(until: .now + .seconds(600))
            })
        #expect(all.suffix(2) == ["BR Dörr", "UJ Dörr no change for 2s, at rest; 8 changes counted"])
    }

    @Test("Cut off while a point chatters: after the start its state is compared with the last told, and the end comes")
    func restart() throws {
        let outbox = try outbox()
        var all = try run(
            outbox, within: .seconds(1), until: { $0.count >= 6 },
            driver: { host in
                for number in 0..<6 { try host.report(Signal(point: "door", .active(number % 2 == 0))) }
                // It is gone before anything is due.
            })
        all.removeAll { $0.contains("lost") }
        #expect(all == Self.first)
        let after = try run(
            outbox, until: { $0.last?.contains("no change") ?? false },
            driver: { host in
                host.answers()
                try host.report(Signal(point: "door", .active(false)))
                _ = host.wait(until: .now + .seconds(600))
            })
        #expect(
            after.suffix(2) == [
                "BR Dörr (changed while not watched)",
                "UJ Dörr no change for 1s, at rest; 1 change counted since larmnod started",
            ])
        let still = try run(outbox, until: { _ in true }, driver: { host in _ = host.wait(until: .now + .seconds(1)) })
        #expect(still == after)
    }

    @Test("The same call again and again is acknowledged to the panel, told a few times, and counted")
    func calls() throws {
        let outbox = try outbox()
        let all = try run(
            outbox, until: { $0.last?.contains("no change") ?? false },
            driver: { host in
                host.answers()
                for _ in 0..<30 { try host.report(Signal(point: "door", .call, text: "Brand rum 7")) }
                try host.report(Signal(point: "door", .call, text: "Brand rum 8"))
                _ = host.wait(until: .now + .seconds(600))
            })
        let repeats = Array(repeating: "BA Brand rum 7", count: 4)
        #expect(
            all == repeats + [
                "UT Dörr chatters: says the same over 4 times in 1s, counted from now on", "BA Brand rum 8",
                "UJ Dörr no change for 1s; 26 changes counted",
            ])
    }

    @Test("A contact and its fault, that come and go in one report each, keep their order and lose nothing")
    func severalInOneReport() throws {
        let outbox = try outbox()
        let all = try run(
            outbox, until: { $0.filter { $0.contains("no change") }.count == 1 },
            driver: { host in
                host.answers()
                try host.report(Signal(point: "door", .active(false)))
                let pulse = (0..<20).map { Signal(point: "door", .active($0 % 2 == 0)) }
                try host.report(pulse + [Signal(point: "door", .fault("cut"))])
                try host.report([Signal(point: "door", .healthy)] + pulse + [Signal(point: "door", .active(true))])
                _ = host.wait(until: .now + .seconds(600))
            })
        #expect(
            all == Self.first + ["UT Dörr: cut", "UJ Dörr: answers again"] + [
                "UJ Dörr no change for 1s, active; 37 changes counted"
            ])
    }
}
