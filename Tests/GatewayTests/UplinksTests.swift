import AlarmProtocol
import NIOCore
import Testing

@testable import Gateway

@Suite("Two centres, one that counts")
struct UplinksTests {
    let scratch = Scratch()

    private func record(_ old: TestCentre, _ new: Int, shadow: Int64 = 0, within: Int64 = 5000) -> CentreMove.Record {
        CentreMove.Record(
            receiver: "a", settings: "[receiver.a]\naddress = \"127.0.0.1:\(new)\"\n",
            from: ["127.0.0.1:\(old.service.port)"], to: ["127.0.0.1:\(new)"], by: "anna", since: 0, shadow: shadow,
            within: within)
    }

    private func ask(_ box: Box, _ wish: Uplinks.Wish) async throws -> CentreStatus {
        let uplink = box.uplink
        let promise = box.group.next().makePromise(of: CentreStatus.self)
        box.group.next().execute { uplink.value.ask(wish, by: "anna") { promise.completeWith($0.mapError { $0 }) } }
        return try await promise.futureResult.get()
    }

    private func begin(_ box: Box, _ old: TestCentre, _ new: Int, shadow: Int64 = 0, within: Int64 = 5000) async throws
    {
        let record = record(old, new, shadow: shadow, within: within)
        _ = try await ask(box, .move(record, [testPath("fibre", to: "a", port: new)]))
        // Housekeeping would store it.
        try box.outbox.append([NewEvent(sample(BoxTrouble.moveTestPoint, .status, text: "the test"))])
    }

    private func isIn(_ phase: String, _ box: Box) async throws -> Bool {
        try await comesTrue { try await ask(box, .status).move?.phase == phase }
    }

    @Test("While it is tried every event goes to both, only the old one counts, and a dead new one delays nothing")
    func shadow() async throws {
        let (old, new) = (try await TestCentre(), try await TestCentre())
        let box = try Box(scratch.path, [testPath("fibre", to: "a", port: old.service.port)])
        try await begin(box, old, new.service.port, shadow: 3_600_000)
        for number in 0..<10 { try box.outbox.append([NewEvent(sample("p", text: "\(number)"))]) }
        #expect(await comesTrue { old.texts.count == 11 && new.texts.count == 11 })
        for centre in [old, new] {
            #expect(centre.texts.filter { $0 != "the test" } == (0..<10).map { "\($0)" })
            #expect(centre.events.allSatisfy { $0.message.header.sequence == ($0.text.flatMap { Int($0) } ?? -1) + 2 })
        }
        let settled = try await comesTrue { try await ask(box, .status).move?.compared?.both == 11 }
        #expect(settled)
        try await new.service.stop()
        let more = try box.outbox.append([NewEvent(sample("p", .fire, text: "fire"))])
        #expect(box.outbox.waitForReceiver(more, atMost: .seconds(10)) == .acknowledged)
        #expect(box.outbox.waitingCount == 0)
        let compared = try #require(try await ask(box, .status).move?.compared)
        #expect(compared.events == 12 && compared.onlyPresent == 1)
        try await box.stop()
        try await old.service.stop()
    }

    @Test(
        "The switch repeats nothing that was acknowledged, and what was on its way goes to the new one under its number"
    )
    func switching() async throws {
        let (old, new) = (try await TestCentre(misbehaving: "silent@4-"), try await TestCentre())
        var path = testPath("fibre", to: "a", port: old.service.port, timeout: .seconds(30))
        path.poll = .seconds(3600)
        let box = try Box(scratch.path, [path])
        // The link test, the two events, and then nothing is answered any more.
        let first = try box.outbox.append([NewEvent(sample("p", text: "one")), NewEvent(sample("q", text: "two"))])
        #expect(box.outbox.waitForReceiver(first, atMost: .seconds(10)) == .acknowledged)
        try await begin(box, old, new.service.port, shadow: 3_600_000)
        let stuck = try box.outbox.append([NewEvent(sample("p", text: "three")), NewEvent(sample("p", text: "four"))])
        #expect(await comesTrue { new.texts.contains("four") })
        #expect(box.outbox.waitingCount == 3, "the new one does not count")
        _ = try await ask(box, .switchOver)
        #expect(box.outbox.waitForReceiver(stuck, atMost: .seconds(10)) == .acknowledged)
        #expect(new.texts.filter { $0 != "the test" } == ["three", "four"])
        #expect(old.texts.prefix(2) == ["one", "two"])
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        try await box.stop()
        try await old.service.stop()
        try await new.service.stop()
    }

    @Test(
        "What waits when a trial begins goes to the new centre first: of each point it has all in order, after a switch too"
    )
    func backlog() async throws {
        let new = try await TestCentre()
        let box = try Box(scratch.path, [testPath("fibre", to: "a", port: 1)])
        for number in 0..<30 { try box.outbox.append([NewEvent(sample("p\(number % 3)", text: "\(number)"))]) }
        let record = CentreMove.Record(
            receiver: "a", settings: "[receiver.a]\naddress = \"127.0.0.1:\(new.service.port)\"\n",
            from: ["127.0.0.1:1"],
            to: ["127.0.0.1:\(new.service.port)"], by: "anna", since: 0, shadow: 3_600_000, within: 5000)
        _ = try await ask(box, .move(record, [testPath("fibre", to: "a", port: new.service.port)]))
        for number in 30..<60 { try box.outbox.append([NewEvent(sample("p\(number % 3)", text: "\(number)"))]) }
        #expect(await comesTrue { new.texts.count >= 10 })
        _ = try await ask(box, .switchOver)
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        for point in 0..<3 {
            #expect(
                new.texts.compactMap { Int($0) }.filter { $0 % 3 == point } == Array(stride(from: point, to: 60, by: 3))
            )
        }
        try await box.stop()
        try await new.service.stop()
    }

    @Test("More waits than a trial takes: it is held back at its point, and after the switch all comes in order")
    func tooMuchWaits() async throws {
        let new = try await TestCentre()
        let box = try Box(scratch.path, [testPath("fibre", to: "a", port: 1)])
        func append(_ numbers: Range<Int>) throws {
            try box.outbox.append(numbers.map { NewEvent(sample("p\($0 % 7)", text: "\($0)")) })
        }
        let many = Comparison.limit + 300
        try append(0..<many)
        let record = CentreMove.Record(
            receiver: "a", settings: "[receiver.a]\naddress = \"127.0.0.1:\(new.service.port)\"\n",
            from: ["127.0.0.1:1"],
            to: ["127.0.0.1:\(new.service.port)"], by: "anna", since: 0, shadow: 3_600_000, within: 5000)
        _ = try await ask(box, .move(record, [testPath("fibre", to: "a", port: new.service.port)]))
        try append(many..<many + 70)
        #expect(await comesTrue { new.texts.count >= 100 })
        let isCounted = try await comesTrue { try await ask(box, .status).move?.compared?.dropped == 370 }
        #expect(isCounted)
        _ = try await ask(box, .switchOver)
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        for point in 0..<7 {
            let expected = Array(stride(from: point, to: many + 70, by: 7))
            #expect(new.texts.compactMap { Int($0) }.filter { $0 % 7 == point } == expected)
        }
        try await box.stop()
        try await new.service.stop()
    }

    @Test("What the new centre refuses for good after the switch goes to the old one, which comes back")
    func refusal() async throws {
        let (old, new) = (try await TestCentre(), try await TestCentre(misbehaving: "duh@4-"))
        let box = try Box(scratch.path, [testPath("fibre", to: "a", port: old.service.port)])
        // Its link test and the trial's test; then the link test of the switch.
        try await begin(box, old, new.service.port)
        #expect(try await isIn("switched", box))
        let id = try #require(try box.outbox.append([NewEvent(sample("p", .fire, text: "fire"))]).first)
        #expect(box.outbox.waitForReceiver([id], atMost: .seconds(10)) == .acknowledged)
        #expect(await comesTrue { old.texts.contains("fire") })
        let isOver = try await comesTrue { try await ask(box, .status).move == nil }
        #expect(isOver)
        #expect(
            box.troubles.value.withLock {
                $0.contains {
                    if case .centreMove(failed: true, let text) = $0 { text.contains("refused") } else { false }
                }
            })
        try await box.stop()
        try await old.service.stop()
        try await new.service.stop()
    }

    @Test("What waited at a start is watched too: a new centre that died with the box gives way to the old one")
    func diesWithTheBox() async throws {
        let old = try await TestCentre()
        let dead = testPath("fibre", to: "a", port: 1)
        let before = try Box(scratch.path, [dead])
        try before.outbox.append([NewEvent(sample("p", text: "before the start"))])
        try await before.stop()
        before.outbox.directory.unlock()
        var record = record(old, 1)
        record.phase = .switched
        let start = MoveStart(move: record, new: [dead])
        let box = try Box(scratch.path, [testPath("fibre", to: "a", port: old.service.port)], start: start)
        #expect(try await isIn("switched", box))
        #expect(await comesTrue { old.texts == ["before the start"] })
        #expect(try await ask(box, .status).move == nil)
        try await box.stop()
        try await old.service.stop()
    }

    @Test("Steps that make no sense are refused, and change nothing")
    func nonsense() async throws {
        let (old, new) = (try await TestCentre(), try await TestCentre())
        let box = try Box(scratch.path, [testPath("fibre", to: "a", port: old.service.port)])
        func isRefused(_ wish: Uplinks.Wish) async throws -> Bool {
            do { _ = try await ask(box, wish) } catch is ControlRefusal { return true }
            return false
        }
        for wish in [Uplinks.Wish.prolong(nil), .switchOver, .comeBack, .keep] { #expect(try await isRefused(wish)) }
        try await begin(box, old, new.service.port, shadow: 3_600_000)
        #expect(try await isRefused(.keep))
        #expect(try await isRefused(.move(record(old, 1), [])))
        _ = try await ask(box, .switchOver)
        #expect(try await isRefused(.switchOver))
        #expect(try await isRefused(.prolong(nil)))
        _ = try await ask(box, .keep)
        #expect(try await isRefused(.keep))
        #expect(try await ask(box, .status).move?.settings?.contains("receiver.a") == true)
        #expect(try await ask(box, .comeBack).move == nil)
        try await box.stop()
        try await old.service.stop()
        try await new.service.stop()
    }
}
