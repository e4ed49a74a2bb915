import AlarmProtocol
import Testing

@testable import Gateway

@Suite("Several connections, paced catch-up, poll timers, paths that flap")
struct LanesTests {
    /// The dispatcher and the real order of what waits.
    private struct Bench {
        var dispatcher: Dispatcher
        var waiting = Waiting()
        var now: Int64 = 1_000_000

        init(_ rules: [Dispatcher.Rules]) { dispatcher = Dispatcher(rules) }

        mutating func decide() -> [Dispatcher.Action] {
            var waiting = waiting
            var actions: [Dispatcher.Action] = []
            while true {
                let more = dispatcher.decide(
                    now: now,
                    from: .init(
                        take: { rules, wanted in
                            wanted.leftOver
                                ? waiting.takeLeftOver(for: rules.receiver, over: rules.name)
                                : waiting.take(
                                    for: rules.receiver, over: rules.name, moreUrgentThan: wanted.moreUrgentThan,
                                    withoutLate: wanted.withoutLate)
                        },
                        worth: { id, rules in waiting.worth(of: id, for: rules.receiver, over: rules.name) }))
                if more.isEmpty { break }
                for case .release(let id) in more { waiting.release(id) }
                actions += more
            }
            self.waiting = waiting
            return actions
        }

        @discardableResult
        mutating func answer(_ input: Dispatcher.Input, on path: Int, lane: Int = 0) -> [Dispatcher.Action] {
            guard let exchange = dispatcher.paths[path].lanes[lane] else { return [] }
            let actions = dispatcher.handle(input, path: path, exchange: exchange.number, now: now)
            for action in actions {
                switch action {
                case .release(let id): waiting.release(id)
                case .acknowledge(let id, _): waiting.remove(id)
                default: break
                }
            }
            return actions
        }

        /// Every path has answered its first link test.
        mutating func settle() {
            _ = decide()
            for path in dispatcher.paths.indices { answer(.acknowledged, on: path) }
        }

        func events(_ path: Int) -> [Int64?] {
            dispatcher.paths[path].lanes.map { exchange in
                if case .event(let id)? = exchange?.work { id } else { nil }
            }
        }
    }

    private static func rules(
        _ name: String, connections: Int = 1, rate: Int? = nil, poll: Int64 = 60_000, alone: Int64? = nil
    ) -> Dispatcher.Rules {
        .init(
            name: name, receiver: "r", timeout: 5000, attempts: 3, poll: poll, pollAlone: alone,
            connections: connections, catchUpRate: rate)
    }

    @Test("A working path's connections carry an event each, never two of one point")
    func lanes() {
        var bench = Bench([Self.rules("a", connections: 3)])
        bench.waiting.add(1, point: "smoke", urgency: .fire)
        bench.waiting.add(2, point: "smoke", urgency: .fire)
        _ = bench.decide()
        // Untried: nothing but the first connection is used.
        #expect(bench.events(0) == [1, nil, nil])
        bench.waiting.add(3, point: "door", urgency: .intrusion)
        bench.waiting.add(4, point: "pump", urgency: .technical)
        bench.answer(.acknowledged, on: 0)
        _ = bench.decide()
        #expect(bench.events(0) == [2, 3, 4])
    }

    @Test("A connection too many says nothing of the path: its event goes again, and the others rest")
    func laneFails() {
        var bench = Bench([Self.rules("a", connections: 2)])
        bench.settle()
        for id in Int64(1)...3 { bench.waiting.add(id, point: "p\(id)", urgency: .technical) }
        _ = bench.decide()
        #expect(bench.events(0) == [1, 2])
        #expect(bench.answer(.failed(why: "reset"), on: 0, lane: 1) == [.abandon(path: 0, lane: 1), .release(2)])
        #expect(bench.dispatcher.paths[0].health == .working)
        _ = bench.decide()
        #expect(bench.events(0) == [1, nil])
        bench.answer(.acknowledged, on: 0)
        _ = bench.decide()
        #expect(bench.events(0) == [2, nil])
        bench.now += Dispatcher.lanesRest
        bench.answer(.acknowledged, on: 0)
        bench.waiting.add(4, point: "p4", urgency: .technical)
        _ = bench.decide()
        #expect(bench.events(0) == [3, 4])
    }

    @Test("An urgent event that is slow on any connection goes over the next path too; the first ACK settles it")
    func slowLane() {
        var bench = Bench([Self.rules("a", connections: 2), Self.rules("b")])
        bench.settle()
        bench.waiting.add(1, point: "p", urgency: .technical)
        bench.waiting.add(2, point: "smoke", urgency: .fire)
        _ = bench.decide()
        #expect(bench.events(0) == [2, 1])
        bench.now += Dispatcher.hesitation
        _ = bench.decide()
        #expect(bench.events(1) == [2])
        #expect(bench.answer(.acknowledged, on: 1) == [.acknowledge(2, path: 1)])
        #expect(bench.answer(.acknowledged, on: 0) == [])
    }

    @Test("Late events go at the agreed rate; live ones, and fire however late, in between at once")
    func paced() {
        var bench = Bench([Self.rules("a", rate: 10)])
        bench.settle()
        for id in Int64(1)...100 { bench.waiting.add(id, point: "p\(id)", urgency: .technical) }
        bench.waiting.add(101, point: "smoke", urgency: .fire)
        bench.waiting.noteLate(before: 102)
        var sent: [(id: Int64, at: Int64)] = []
        let start = bench.now
        while bench.now < start + 3000 {
            for case .send(_, let exchange, _) in bench.decide() {
                if case .event(let id) = exchange.work { sent.append((id, bench.now)) }
            }
            bench.answer(.acknowledged, on: 0)
            if bench.now == start + 1055 { bench.waiting.add(200, point: "live", urgency: .status) }
            bench.now += 5
        }
        #expect(sent.first?.id == 101)
        let late = sent.filter { $0.id < 101 }
        // Thirty in three seconds, and one or two that it had in hand at the start.
        #expect((30...32).contains(late.count), "\(late.count)")
        #expect(zip(late, late.dropFirst()).allSatisfy { $1.at - $0.at >= 95 || $0.at < start + 150 })
        #expect(sent.first { $0.id == 200 }?.at == start + 1060)
    }

    @Test("While the late ones are held back the dispatcher asks to be woken when the next may go")
    func pacedDeadline() {
        var bench = Bench([Self.rules("a", rate: 1)])
        bench.settle()
        for id in Int64(1)...9 { bench.waiting.add(id, point: "p\(id)", urgency: .technical) }
        bench.waiting.noteLate(before: 10)
        for _ in 0..<3 {
            _ = bench.decide()
            bench.answer(.acknowledged, on: 0)
        }
        #expect(bench.decide() == [])
        let next = bench.dispatcher.nextDeadline(now: bench.now)
        #expect(next > bench.now && next <= bench.now + 1000)
        bench.now = next
        #expect(bench.decide().count == 1)
    }

    @Test("Each path is polled on its own timer; while the primary is down, the alternate at the primary's interval")
    func pollTimers() {
        var bench = Bench([Self.rules("a", poll: 20_000), Self.rules("b", poll: 3_600_000, alone: 20_000)])
        bench.settle()
        bench.now += 20_000
        _ = bench.decide()
        #expect(bench.dispatcher.paths.map { $0.exchange?.work } == [.poll, nil])
        for _ in 0..<3 {
            bench.answer(.failed(why: "cut"), on: 0)
            bench.now += Dispatcher.longestBackOff
            _ = bench.decide()
        }
        // Its last answer is older than the primary's interval: it is asked at once.
        #expect(bench.dispatcher.paths[0].isDown)
        #expect(bench.dispatcher.paths[1].exchange?.work == .poll)
        bench.answer(.acknowledged, on: 1)
        #expect(bench.dispatcher.nextDeadline(now: bench.now) <= bench.now + 20_000)
        bench.now += 19_999
        _ = bench.decide()
        #expect(bench.dispatcher.paths[1].exchange == nil)
        bench.now += 1
        _ = bench.decide()
        #expect(bench.dispatcher.paths[1].exchange?.work == .poll)
    }

    @Test(
        "A path that goes up and down is told each time at first, then only once it lasts: a bounded number of events")
    func flapping() {
        var bench = Bench([Self.rules("a", poll: 5000), Self.rules("b", poll: 5000)])
        bench.settle()
        var falls = 0
        var rises = 0
        let end = bench.now + 3_600_000
        func count(_ actions: [Dispatcher.Action]) {
            for action in actions {
                if case .pathDown(0, _, _) = action { falls += 1 }
                if case .pathUp(0, _) = action { rises += 1 }
            }
        }
        // A minute down, half a minute up, for an hour.
        while bench.now < end {
            let isUp = (bench.now / 1000) % 90 < 30
            count(bench.decide())
            count(bench.answer(isUp ? .acknowledged : .failed(why: "cut"), on: 0))
            bench.answer(.acknowledged, on: 1)
            bench.now += 250
        }
        #expect(falls == Dispatcher.freeFalls + 1 && rises == Dispatcher.freeFalls)
        // It works again, for good: told, at the latest after the longest wait.
        let calm = bench.now + Dispatcher.longestProbation + 60_000
        while bench.now < calm {
            count(bench.decide())
            for path in 0...1 { count(bench.answer(.acknowledged, on: path)) }
            bench.now = max(bench.now + 1, min(bench.dispatcher.nextDeadline(now: bench.now), calm))
        }
        #expect(rises == falls)
    }
}
