import AlarmProtocol
import Foundation
import NIOCore
import NIOPosix
import Receiver
import Synchronization
import Testing

@testable import Gateway

/// The real outbox and the real uplink, in this process, on a loop of their own.
final class Box: Sendable {
    let outbox: Outbox
    let troubles = Locked<[BoxTrouble]>([])
    let uplink: NIOLoopBound<Uplinks>
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// - Parameter clockError: milliseconds that the box's wall clock is ahead.
    init(
        _ directory: String, _ paths: [PathSettings], start: MoveStart = MoveStart(), clockError: Int64 = 0
    ) throws {
        let system = SystemClock(isTrusted: true)
        let clock: @Sendable () -> Moment = {
            var now = system.now()
            now.utc += clockError
            return now
        }
        let outbox = try Outbox(directory: directory + "/state", clock: clock)
        let loop = group.next()
        let troubles = troubles
        uplink = try loop.submit {
            let uplink = Uplinks(
                outbox: outbox, site: testSite(directory, paths), start: start, on: loop, clock: clock,
                lifeSign: LifeSign(clock()), report: { trouble in troubles.value.withLock { $0.append(trouble) } })
            uplink.start()
            return NIOLoopBound(uplink, eventLoop: loop)
        }.wait()
        self.outbox = outbox
    }

    func paths() async throws -> [SiteStatus.Path] {
        let uplink = uplink
        return try await group.next().submit { uplink.value.describePaths() }.get()
    }

    /// The most connections in use at a time, from now on: looked at on the loop, however busy this process is.
    func mostLanes() -> Locked<Int> {
        let most = Locked<Int>(0)
        let uplink = uplink
        group.next().scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(2)) { _ in
            let lanes = uplink.value.dispatcher.paths.reduce(0) { $0 + $1.lanes.count { $0 != nil } }
            most.value.withLock { $0 = max($0, lanes) }
        }
        return most
    }

    func stop() async throws {
        let uplink = uplink
        try await group.next().submit { uplink.value.stop() }.get()
        try await group.shutdownGracefully()
    }
}

func testSite(_ directory: String, _ paths: [PathSettings]) -> Site {
    Site(
        name: "Furutorpsskolan", account: "4711", clockIsTrusted: true, stateDirectory: directory + "/state",
        controlSocket: directory + "/control", limits: Limits(), paths: paths, devices: [],
        file: directory + "/site.toml")
}

/// A receiver in this process, with what it has taken.
final class TestCentre: Sendable {
    let service: ReceiverService
    private let kept: Locked<[FeedRecord]>

    init(
        _ entries: [Accounts.Entry] = [], port: Int = 0, misbehaving words: String? = nil,
        tls: ListeningCertificate? = nil
    )
        async throws
    {
        var options = ReceiverOptions(accounts: try Accounts(entries))
        options.port = port
        options.tls = tls
        options.misbehaviour = try words.flatMap { try Misbehaviour.parse($0) }
        let kept = Locked<[FeedRecord]>([])
        self.kept = kept
        service = try await ReceiverService.start(options, feed: { more in kept.value.withLock { $0 += more } })
    }

    var events: [FeedRecord] { kept.value.withLock { $0 } }
    var texts: [String] { events.compactMap(\.text) }
}

func testPath(
    _ name: String, to receiver: String, port: Int, host: String = "127.0.0.1", interface: String? = nil,
    _ transport: PathSettings.Transport = .tcp, key: Key? = nil, format: PayloadFormat = .siaDCS,
    timeout: Duration = .milliseconds(500), attempts: Int = 2
) -> PathSettings {
    PathSettings(
        name: name, receiver: receiver, host: host, port: port, interface: interface, transport: transport,
        account: nil, siteAccount: "4711", receiverNumber: nil, line: "0", key: key, format: format,
        characterSet: .windows1252, extendedBlocks: [.timeOfOccurrence, .text], poll: .seconds(60), timeout: timeout,
        attempts: attempts)
}

/// Asks again and again, at most ten seconds long. - Returns: whether it came true.
func comesTrue(_ condition: () async throws -> Bool) async rethrows -> Bool {
    for _ in 0..<1000 {
        if try await condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return false
}

@Suite("From the outbox to a real receiver")
struct UplinkTests {
    let scratch = Scratch()

    static let keys: [String?] = [
        nil, "000102030405060708090A0B0C0D0E0F", "000102030405060708090A0B0C0D0E0F0011223344556677",
        "000102030405060708090A0B0C0D0E0F00112233445566778899AABBCCDDEEFF",
    ]

    @Test(
        "Every event arrives once, in order, with its words, over either transport, in either format, with any key",
        arguments: [PathSettings.Transport.tcp, .udp], keys)
    func delivery(transport: PathSettings.Transport, hex: String?) async throws {
        let key = try hex.map { try Key(hex: $0) }
        for format in PayloadFormat.allCases {
            let centre = try await TestCentre([Accounts.Entry(account: "4711", key: key)])
            let path = testPath("a", to: "a", port: centre.service.port, transport, key: key, format: format)
            let scratch = Scratch()
            let box = try Box(scratch.path, [path])
            for number in 0..<20 {
                try box.outbox.append([NewEvent(sample("p", text: "Dörr \(number)", zone: number + 1))])
            }
            #expect(await comesTrue { box.outbox.waitingCount == 0 })
            #expect(centre.texts == (0..<20).map { "Dörr \($0)" })
            #expect(centre.events.map(\.zone) == Array(1...20))
            #expect(centre.events.map { $0.message.header.sequence } == Array(1...20))
            #expect(try await box.paths().first?.state == "works")
            try await box.stop()
            try await centre.service.stop()
        }
    }

    @Test("Over several connections a backlog arrives once, each point in its order, several points at a time")
    func severalConnections() async throws {
        let centre = try await TestCentre(misbehaving: "delay:0.02:every=1")
        var path = testPath("a", to: "a", port: centre.service.port, timeout: .seconds(5))
        path.connections = 4
        let outbox = try Outbox(directory: scratch.path + "/state", clock: { SystemClock(isTrusted: true).now() })
        for number in 0..<100 {
            try outbox.append([NewEvent(sample("p\(number % 7)", text: "\(number % 7) \(number)"))])
        }
        outbox.directory.unlock()
        let box = try Box(scratch.path, [path])
        let lanes = box.mostLanes()
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        let most = lanes.value.withLock { $0 }
        #expect(most > 1 && most <= 4)
        #expect(centre.texts.count == 100)
        for point in 0..<7 {
            #expect(
                centre.texts.filter { $0.hasPrefix("\(point) ") }
                    == stride(from: point, to: 100, by: 7).map { "\(point) \($0)" })
        }
        try await box.stop()
        try await centre.service.stop()
    }

    @Test("What is late says when it happened: in its H block, or in its text where the receiver takes none")
    func lateSaysWhen() async throws {
        for takesTime in [true, false] {
            let centre = try await TestCentre()
            let scratch = Scratch()
            let clock = SystemClock(isTrusted: true)
            let outbox = try Outbox(directory: scratch.path + "/state", clock: { clock.now() })
            var old = sample("p", text: "Huvudentré")
            old.occurred = Moment(utc: 1_790_000_000_000, uptime: 0, clock: .known)
            try outbox.append([NewEvent(old)])
            outbox.directory.unlock()
            var path = testPath("a", to: "a", port: centre.service.port)
            path.extendedBlocks = takesTime ? [.timeOfOccurrence] : []
            let box = try Box(scratch.path, [path])
            try box.outbox.append([NewEvent(sample("q", text: "now"))])
            #expect(await comesTrue { box.outbox.waitingCount == 0 })
            #expect(Set(centre.texts) == [takesTime ? "Huvudentré" : "2026-09-21 14:13:20Z Huvudentré", "now"])
            try await box.stop()
            try await centre.service.stop()
        }
    }

    @Test("Fail-over: when a receiver is gone its events go to the other, and the path is told down once")
    func failOver() async throws {
        let (a, b) = (try await TestCentre(), try await TestCentre())
        let box = try Box(
            scratch.path,
            [testPath("fibre", to: "a", port: a.service.port), testPath("mobile", to: "b", port: b.service.port)])
        try box.outbox.append([NewEvent(sample("p", text: "before"))])
        #expect(await comesTrue { a.texts == ["before"] })
        try await a.service.stop()
        for number in 0..<10 { try box.outbox.append([NewEvent(sample("p", text: "after \(number)"))]) }
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        #expect(b.texts == (0..<10).map { "after \($0)" })
        let isDown: @Sendable (BoxTrouble) -> Bool = {
            if case .path("fibre", isDown: true, _) = $0 { true } else { false }
        }
        #expect(await comesTrue { box.troubles.value.withLock { $0.contains(where: isDown) } })
        #expect(box.troubles.value.withLock { $0.count(where: isDown) } == 1)
        try await box.stop()
        try await b.service.stop()
    }

    @Test(
        "NAK: a clock that is wrong by hours is worked around with the receiver's", arguments: [-7_200_000, 7_200_000])
    func clock(error: Int64) async throws {
        let key = try Key(hex: "000102030405060708090A0B0C0D0E0F")
        let centre = try await TestCentre([Accounts.Entry(account: "4711", key: key)])
        let box = try Box(
            scratch.path, [testPath("a", to: "a", port: centre.service.port, key: key)], clockError: error)
        try box.outbox.append([NewEvent(sample("p", text: "in spite of it"))])
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        #expect(centre.texts == ["in spite of it"])
        let offset = try #require(try await box.paths().first?.clockOffset)
        #expect(abs(offset + Double(error) / 1000) < 3)
        try await box.stop()
        try await centre.service.stop()
    }

    @Test("What every receiver refuses is kept, told of, and in nobody's way")
    func refusedByAll() async throws {
        let a = try await TestCentre(misbehaving: "duh@2-2")
        let b = try await TestCentre(misbehaving: "duh@2-2")
        let box = try Box(
            scratch.path, [testPath("x", to: "a", port: a.service.port), testPath("y", to: "b", port: b.service.port)])
        // The link tests of the start are each receiver's first frame.
        #expect(await comesTrue { (try? await box.paths().allSatisfy { $0.state == "works" }) ?? false })
        let id = try #require(try box.outbox.append([NewEvent(sample("p", text: "unwanted"))]).first)
        #expect(await comesTrue { box.outbox.summary().parked == 1 })
        try box.outbox.append([NewEvent(sample("p", text: "next"))])
        #expect(await comesTrue { a.texts == ["next"] })
        #expect(box.outbox.event(id)?.state == .parked)
        #expect(box.outbox.event(id)?.reason?.contains("DUH") == true)
        #expect(
            box.troubles.value.withLock {
                $0.contains { if case .parked(sequence: 1, point: "p", _) = $0 { true } else { false } }
            })
        #expect(b.texts.isEmpty)
        try await box.stop()
        try await a.service.stop()
        try await b.service.stop()
    }

    @Test(
        "A receiver that misbehaves now and then gets every event all the same",
        arguments: [
            "close:every=2", "drop:every=3", "silent:every=3", "wrong-sequence:every=3", "garbage:40:every=3",
            "garbage:60000:every=4", "nak:every=3", "slow:2000:every=2",
        ])
    func misbehaving(words: String) async throws {
        let centre = try await TestCentre(misbehaving: words)
        let box = try Box(
            scratch.path, [testPath("a", to: "a", port: centre.service.port, timeout: .milliseconds(300), attempts: 5)])
        for number in 0..<12 { try box.outbox.append([NewEvent(sample("p", text: "\(number)"))]) }
        let isDone = await comesTrue { box.outbox.waitingCount <= 6 }
        #expect(isDone, "\(words): \(box.outbox.waitingCount) wait")
        // In order, and each once: the receiver knows a repeat by its number.
        #expect(centre.texts == centre.texts.indices.map { "\($0)" })
        try await box.stop()
        try await centre.service.stop()
    }

    @Test("What keeps a path from its receiver is said in words", arguments: [PathSettings.Transport.tcp, .udp])
    func words(transport: PathSettings.Transport) async throws {
        let box = try Box(
            scratch.path,
            [
                testPath("name", to: "a", port: 7, host: "no-such-receiver.invalid", transport, timeout: .seconds(5)),
                testPath("interface", to: "a", port: 7, interface: "nope0", transport),
                testPath("nobody", to: "a", port: 1, transport),
            ])
        func why(_ path: Int) async throws -> String { try await box.paths()[path].why ?? "" }
        let expected = ["the name no-such-receiver.invalid cannot be resolved", "interface nope0: ", "127.0.0.1:1"]
        for (path, words) in expected.enumerated() where !(path == 2 && transport == .udp) {
            let isSaid = try await comesTrue { try await why(path).contains(words) }
            let said = try await why(path)
            #expect(isSaid, "\(said)")
        }
        try await box.stop()
    }

    @Test("A test of a path goes over that path and no other, however dead it is")
    func pinned() async throws {
        let (a, b) = (try await TestCentre(), try await TestCentre())
        let box = try Box(
            scratch.path,
            [
                // Long: on a busy machine a slow ACK must not pass for a dead path.
                testPath("fibre", to: "a", port: a.service.port, timeout: .seconds(5)),
                testPath("mobile", to: "b", port: b.service.port, timeout: .seconds(5)),
                testPath("dead", to: "b", port: 1),
            ])
        let alive = try box.outbox.append([NewEvent(sample("test.mobile", text: "over mobile"), onlyOver: "mobile")])
        #expect(box.outbox.waitForReceiver(alive, atMost: .seconds(10)) == .acknowledged)
        #expect(box.outbox.event(alive[0])?.path == "mobile" && b.texts == ["over mobile"])
        let dead = try box.outbox.append([NewEvent(sample("test.dead", .fire, text: "over dead"), onlyOver: "dead")])
        let other = try box.outbox.append([NewEvent(sample("p", text: "another"))])
        #expect(box.outbox.waitForReceiver(other, atMost: .seconds(10)) == .acknowledged)
        #expect(box.outbox.waitForReceiver(dead, atMost: .seconds(3)) == .timeUp)
        #expect(a.texts == ["another"] && b.texts == ["over mobile"])
        #expect(box.outbox.discard(dead[0], by: "test", why: "given up"))
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        try await box.stop()
        try await a.service.stop()
        try await b.service.stop()
    }

    @Test("Garbage without end is no receiver, and is said to be none")
    func flood() async throws {
        let centre = try await TestCentre(misbehaving: "garbage:1000000")
        let box = try Box(scratch.path, [testPath("a", to: "a", port: centre.service.port, timeout: .seconds(5))])
        let isSaid = try await comesTrue { try await box.paths()[0].why?.contains("not DC-09") ?? false }
        #expect(isSaid)
        try await box.stop()
        try await centre.service.stop()
    }

    @Test("A name server that is silent on one path delays no other path")
    func lookups() async throws {
        let centre = try await TestCentre()
        let box = try Box(
            scratch.path,
            [
                testPath("lost", to: "a", port: 7, host: "no-such-receiver.invalid", .udp),
                testPath("fibre", to: "b", port: centre.service.port, host: "localhost"),
            ])
        let ids = try box.outbox.append([NewEvent(sample("smoke", .fire, text: "fire"))])
        let began = ContinuousClock.now
        #expect(box.outbox.waitForReceiver(ids, atMost: .seconds(10)) == .acknowledged)
        #expect(.now - began < .seconds(4))
        try await box.stop()
        try await centre.service.stop()
    }
}
