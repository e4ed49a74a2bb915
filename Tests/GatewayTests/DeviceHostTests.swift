import AlarmProtocol
import Dispatch
import Drivers
import Glibc
import Synchronization
import Testing

@testable import Gateway

/// A driver that does as the test says.
private struct Scripted: Driver {
    static let name = "scripted"
    let body: @Sendable (any Host) throws -> Void
    init(_ body: @escaping @Sendable (any Host) throws -> Void) { self.body = body }
    init(_ settings: Settings) throws { throw DeviceError("made by tests only") }
    func run(_ host: any Host) throws { try body(host) }
}

@Suite("What a driver's host makes of what the driver does (promises 1, 5, 9, 10)")
struct DeviceHostTests {
    let scratch = Scratch()
    let stopping = Interrupt()

    /// Runs a driver on a thread until it says that it is done, then stops it.
    private func run(
        _ outbox: Outbox, waitForReceiver: Duration? = nil, until isDone: Locked<Bool>,
        _ body: @escaping @Sendable (any Host) throws -> Void
    ) throws {
        let clock = SystemClock(isTrusted: true)
        let kind = try #require(EventKind.named("burglary"))
        let device = Device(
            name: "scripted.d", driver: Scripted(body),
            points: [Point(name: "scripted.d.door", account: "4711", kind: kind, partition: 0, zone: 3, text: "Dörr")],
            account: "4711", partition: 0, waitForReceiver: waitForReceiver)
        let host = DeviceHost(device, intake: Intake(outbox: outbox, clock: { clock.now() }), stopping: stopping)
        let thread = try WorkerThread("scripted") { host.live() }
        for _ in 0..<1000 where !isDone.value.withLock({ $0 }) { usleep(10_000) }
        stopping.set()
        thread.join()
    }

    private func outbox() throws -> Outbox {
        let clock = SystemClock(isTrusted: true)
        return try Outbox(directory: scratch.path + "/state", clock: { clock.now() })
    }

    @Test(
        "A device that is lost, opened again and heard of is one trouble and one restore; what changed is said to be late"
    )
    func lostAndBack() throws {
        let outbox = try outbox()
        let runs = Locked(0)
        let isDone = Locked(false)
        try run(outbox, until: isDone) { host in
            let run = runs.value.withLock { runs in
                runs += 1
                return runs
            }
            if run == 1 {
                try host.report(Signal(point: "door", .active(true)))
                throw DeviceError("unplugged")
            }
            for _ in 0..<5 { host.answers() }
            try host.report(Signal(point: "door", .active(false)))
            try host.report(Signal(point: "door", .active(false)))
            try host.report(Signal(point: "door", .active(true)))
            isDone.value.withLock { $0 = true }
            _ = host.wait(until: .now + .seconds(60))
        }
        let told = outbox.latest(100).map { "\($0.event.point) \($0.event.qualifier) \($0.event.text)" }
        #expect(
            told == [
                "scripted.d.door event Dörr", "scripted.d.fault event scripted.d lost: unplugged",
                "scripted.d.fault restore scripted.d answers again",
                "scripted.d.door restore Dörr (changed while not watched)", "scripted.d.door event Dörr",
            ])
    }

    @Test("Opened anew when its line is quiet: without a fault, an event or a pause, and what has come is read first")
    func openedAnew() throws {
        let outbox = try outbox()
        let runs = Locked(0)
        let isDone = Locked(false)
        var ends: [Int32] = [-1, -1]
        try #require(pipe(&ends) == 0)
        defer { for end in ends { close(end) } }
        let (line, panel) = (ends[0], ends[1])
        try run(outbox, until: isDone) { host in
            let run = runs.value.withLock { runs in
                runs += 1
                return runs
            }
            host.answers()
            try host.report(Signal(point: "door", .active(false)))
            if run == 2 {
                isDone.value.withLock { $0 = true }
                _ = host.wait(until: .now + .seconds(60))
                return
            }
            (host as? DeviceHost)?.beginAnew()
            var byte: UInt8 = 7
            #expect(write(panel, &byte, 1) == 1)
            #expect(host.wait(for: [line], until: nil) == .ready([line]))
            #expect(read(line, &byte, 1) == 1)
            // A driver that has something to store waits for no line.
            #expect(host.wait(until: .now + .milliseconds(300)) == .deadline)
            #expect(host.wait(for: [line], until: .now + .milliseconds(10)) == .deadline)
            #expect(host.wait(for: [line], until: nil) == .stop)
        }
        #expect(runs.value.withLock { $0 } == 2)
        #expect(outbox.latest(100).isEmpty)
    }

    @Test("A wait hears a stop at once, keeps its deadline, and tells of a descriptor that is none instead of spinning")
    func waits() throws {
        let outbox = try outbox()
        let heard = Locked<[Wake]>([])
        let took = Locked(Duration.zero)
        let reached = Locked(false)
        try run(outbox, until: reached) { host in
            let began = ContinuousClock.now
            let first = host.wait(for: [], until: began + .milliseconds(50))
            let early = ContinuousClock.now < began + .milliseconds(50)
            let second = host.wait(for: [9999], until: .now + .seconds(60))
            heard.value.withLock { $0 = early ? [] : [first, second] }
            reached.value.withLock { $0 = true }
            let third = host.wait(until: .now + .seconds(60))
            heard.value.withLock { $0.append(third) }
            took.value.withLock { $0 = .now - began }
        }
        #expect(heard.value.withLock { $0 } == [.deadline, .ready([9999]), .stop])
        #expect(took.value.withLock { $0 } < .seconds(5))
    }

    @Test("A driver with outputs is woken when one is to be otherwise, at once; at a stop all are off")
    func outputs() throws {
        let clock = SystemClock(isTrusted: true)
        let site = try outputSite(directory: scratch.path)
        let outbox = try outbox()
        let outputs = Outputs(
            site, outbox: outbox, uplinkSign: LifeSign(clock.now()), clock: { clock.now() })
        let heard = Locked<[String]>([])
        let isWaiting = Locked(false)
        var device = site.devices[1]
        device.driver = Scripted { host in
            while true {
                heard.value.withLock { $0.append("\(host.output("relay")) \(host.output("gpio.r.relay"))") }
                isWaiting.value.withLock { $0 = true }
                let wake = host.wait(until: .now + .seconds(60))
                heard.value.withLock { $0.append("\(wake)") }
                if wake == .stop { break }
            }
            heard.value.withLock { $0.append("\(host.output("relay"))") }
        }
        let host = DeviceHost(
            device, intake: Intake(outbox: outbox, clock: { clock.now() }), stopping: stopping,
            outputs: outputs.of(device))
        let thread = try WorkerThread("scripted") { host.live() }
        for _ in 0..<1000 where !isWaiting.value.withLock({ $0 }) { usleep(10_000) }
        outputs.pathsChanged([PathState(name: "fibre", works: true, isDown: false, lastGood: nil)])
        for _ in 0..<1000 where heard.value.withLock({ $0.count }) < 3 { usleep(10_000) }
        stopping.set()
        thread.join()
        #expect(heard.value.withLock { $0 } == ["false false", "output", "true false", "stop", "false"])
    }

    @Test("A panel that waits for the receiver hears at once when every receiver refuses, and late when none answers")
    func waitsForReceiver() throws {
        let outbox = try outbox()
        let took = Locked<[Duration]>([])
        let isDone = Locked(false)
        outbox.onStored { [weak outbox] in
            DispatchQueue.global().async { [weak outbox] in
                // The first is refused by every receiver, the second acknowledged, the third never answered.
                guard let outbox, let next = outbox.take(for: "a", over: "x") else { return }
                switch outbox.event(next.id)?.event.text {
                case "one": outbox.park(next.id, reason: "refused", tries: 1)
                case "two": outbox.acknowledge(next.id, sent: 1, path: "x", tries: 1)
                default: break
                }
            }
        }
        try run(outbox, waitForReceiver: .seconds(2), until: isDone) { host in
            for text in ["one", "two", "three"] {
                let began = ContinuousClock.now
                try host.report([Signal(point: "call-\(text)", .call, text: text)], keeping: [1])
                host.awaitReceiver()
                took.value.withLock { $0.append(.now - began) }
            }
            isDone.value.withLock { $0 = true }
            _ = host.wait(until: .now + .seconds(60))
        }
        let times = took.value.withLock { $0 }
        try #require(times.count == 3)
        #expect(times[0] < .seconds(2) && times[1] < .seconds(2) && times[2] >= .seconds(2))
    }

    @Test("A centre that let us wait in vain is not waited for again until it has acknowledged that")
    func centreAway() throws {
        let outbox = try outbox()
        let took = Locked<[Duration]>([])
        let isDone = Locked(false)
        @Sendable func call(_ number: Int, _ host: any Host) throws {
            let began = ContinuousClock.now
            try host.report([Signal(point: "call-\(number)", .call, text: "\(number)")], keeping: [UInt8(number)])
            host.awaitReceiver()
            took.value.withLock { $0.append(.now - began) }
        }
        try run(outbox, waitForReceiver: .seconds(2), until: isDone) { host in
            for number in 1...20 { try call(number, host) }
            // The centre is back, and has the first; then it is waited for again.
            if let first = outbox.take(for: "a", over: "x") {
                outbox.acknowledge(first.id, sent: 1, path: "x", tries: 1)
            }
            try call(21, host)
            // What no panel waits for is held up by nothing.
            try host.report(Signal(point: "line", .fault("noise")))
            isDone.value.withLock { $0 = true }
            _ = host.wait(until: .now + .seconds(60))
        }
        let times = took.value.withLock { $0 }
        try #require(times.count == 21)
        #expect(times[0] >= .seconds(2) && times[20] >= .seconds(2))
        #expect(times[1...19].allSatisfy { $0 < .seconds(2) })
        #expect(outbox.waitingCount == 21)
    }
}
