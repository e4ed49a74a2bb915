import AlarmProtocol
import Testing

@testable import Gateway

@Suite("Which event over which path, and what a path's silence means")
struct DispatcherTests {
    /// Two paths to two receivers, with a plain list of waiting events instead of an outbox.
    private struct Bench {
        var dispatcher: Dispatcher
        var now: Int64 = 1_000_000
        var waiting: [Int64] = []
        var leftOver: [String: [Int64]] = [:]
        /// What a path may not carry.
        var barred: [String: Set<Int64>] = [:]
        var log: [Dispatcher.Action] = []

        init(paths: Int = 2, attempts: Int = 3) {
            dispatcher = Dispatcher(
                (0..<paths).map {
                    .init(name: "path\($0)", receiver: "r\($0)", timeout: 5000, attempts: attempts, poll: 60_000)
                })
        }

        /// Identifiers from 100 on are fires.
        static func urgency(_ id: Int64) -> Urgency { id >= 100 ? .fire : .status }

        mutating func decide() -> [Dispatcher.Action] {
            var waiting = waiting
            var leftOver = leftOver
            var actions: [Dispatcher.Action] = []
            while true {
                let supply = Dispatcher.Supply(
                    take: { path, wanted in
                        let limit = wanted.moreUrgentThan
                        if limit == nil, let id = leftOver[path.name]?.first {
                            leftOver[path.name]?.removeFirst()
                            return .init(id: id, urgency: .status)
                        }
                        guard !wanted.leftOver, let id = waiting.first, limit.map({ Self.urgency(id) < $0 }) ?? true
                        else {
                            return nil
                        }
                        waiting.removeFirst()
                        return .init(id: id, urgency: Self.urgency(id))
                    },
                    worth: { [barred] id, path in barred[path.name]?.contains(id) == true ? nil : Self.urgency(id) })
                let more = dispatcher.decide(now: now, from: supply)
                if more.isEmpty { break }
                for action in more { if case .release(let id) = action { waiting.insert(id, at: 0) } }
                actions += more
            }
            self.waiting = waiting
            self.leftOver = leftOver
            log += actions
            return actions
        }

        mutating func answer(_ input: Dispatcher.Input, on path: Int) -> [Dispatcher.Action] {
            guard let exchange = dispatcher.paths[path].exchange else { return [] }
            let actions = dispatcher.handle(input, path: path, exchange: exchange.number, now: now)
            for action in actions { if case .release(let id) = action { waiting.insert(id, at: 0) } }
            return actions
        }

        /// Both paths have answered their first link test.
        mutating func settle() {
            _ = decide()
            for path in dispatcher.paths.indices { _ = answer(.acknowledged, on: path) }
        }

        func work(_ path: Int) -> Dispatcher.Work? { dispatcher.paths[path].exchange?.work }
    }

    @Test("What is given up is free again before anything less urgent is taken: fire first")
    func givenUpIsFree() {
        var bench = Bench()
        bench.settle()
        bench.waiting = [100]
        _ = bench.decide()
        // Neither path is trusted any more; one carries the fire, the other may be given anything.
        _ = bench.answer(.failed(why: "refused"), on: 0)
        _ = bench.decide()
        #expect(bench.work(1) == .event(100))
        bench.now += 600
        _ = bench.decide()
        _ = bench.answer(.failed(why: "refused"), on: 0)
        bench.waiting = [1]
        // The time limit of the one is over while the other may be tried with an event.
        bench.now += 4400
        _ = bench.decide()
        #expect(bench.work(0) == .event(100) && bench.work(1) == nil)
        #expect(bench.waiting == [1])
    }

    @Test("An alternate path that gave false hopes is told up once its link tests have been answered for half an hour")
    func falseHopesEnd() {
        var bench = Bench(paths: 1)
        bench.settle()
        while !bench.dispatcher.paths[0].givesFalseHopes {
            bench.waiting = [1]
            _ = bench.decide()
            if bench.work(0) == .event(1) { _ = bench.answer(.failed(why: "mute"), on: 0) }
            while bench.work(0) != .event(1), !bench.dispatcher.paths[0].givesFalseHopes {
                bench.now += 1000
                _ = bench.decide()
                if bench.work(0) == .poll { _ = bench.answer(.acknowledged, on: 0) }
            }
        }
        #expect(bench.dispatcher.paths[0].toldDown != nil)
        bench.waiting = []
        let start = bench.now
        let end = start + Dispatcher.longestProbation + 2 * Dispatcher.mistrust
        while bench.now < end, bench.dispatcher.paths[0].toldDown != nil {
            if bench.dispatcher.paths[0].exchange != nil { _ = bench.answer(.acknowledged, on: 0) }
            _ = bench.decide()
            bench.now += 1000
        }
        #expect(bench.dispatcher.paths[0].toldDown == nil)
        #expect(bench.now >= start + Dispatcher.longestProbation)
    }

    @Test("Every path is polled at the start, and again after its interval of silence")
    func polls() {
        var bench = Bench()
        #expect(bench.decide().count == 2)
        #expect(bench.work(0) == .poll && bench.work(1) == .poll)
        // Told up, since it may have been told down before the start.
        for path in 0...1 { #expect(bench.answer(.acknowledged, on: path) == [.pathUp(path)]) }
        bench.now += 59_999
        #expect(bench.decide().isEmpty)
        bench.now += 1
        #expect(bench.decide().count == 2)
    }

    @Test("Events go over the first path as long as it works, one at a time")
    func firstPath() {
        var bench = Bench()
        bench.settle()
        bench.waiting = [1, 2]
        _ = bench.decide()
        #expect(bench.work(0) == .event(1) && bench.work(1) == nil)
        #expect(bench.answer(.acknowledged, on: 0) == [.acknowledge(1, path: 0)])
        _ = bench.decide()
        #expect(bench.work(0) == .event(2) && bench.work(1) == nil)
    }

    @Test("Fail-over: the next path takes the event at once; the failing one is tried with link tests; fall-back")
    func failOver() {
        var bench = Bench()
        bench.settle()
        bench.waiting = [1]
        _ = bench.decide()
        #expect(bench.answer(.failed(why: "refused"), on: 0) == [.abandon(path: 0), .release(1)])
        _ = bench.decide()
        #expect(bench.work(1) == .event(1))
        #expect(bench.answer(.acknowledged, on: 1) == [.acknowledge(1, path: 1)])
        bench.waiting = [2]
        bench.now += Dispatcher.firstBackOff
        _ = bench.decide()
        #expect(bench.work(0) == .poll && bench.work(1) == .event(2))
        _ = bench.answer(.acknowledged, on: 0)
        _ = bench.answer(.acknowledged, on: 1)
        bench.waiting = [3]
        _ = bench.decide()
        #expect(bench.work(0) == .event(3) && bench.work(1) == nil)
    }

    @Test("Two paths that answer link tests and no events: an event does not go to and fro between them")
    func toAndFro() {
        var bench = Bench(paths: 3)
        bench.settle()
        bench.waiting = [1]
        let start = bench.now
        while bench.now < start + 60_000, bench.dispatcher.paths[2].falseHopes == 0 {
            _ = bench.decide()
            for path in 0...1 where bench.work(path) == .poll { _ = bench.answer(.acknowledged, on: path) }
            if bench.work(2) == .event(1) { break }
            if bench.work(2) == .poll { _ = bench.answer(.acknowledged, on: 2) }
            bench.now += 100
        }
        #expect(bench.work(2) == .event(1))
        // The time limits of the two, and what their link tests took.
        #expect(bench.now - start <= 2 * 5000 + 500)
    }

    @Test("A path in doubt carries what waits once the others are silent")
    func doubtYields() {
        var bench = Bench()
        bench.settle()
        bench.waiting = [1]
        _ = bench.decide()
        _ = bench.answer(.failed(why: "refused"), on: 0)
        bench.now += Dispatcher.firstBackOff
        _ = bench.decide()
        _ = bench.answer(.acknowledged, on: 0)
        #expect(bench.work(1) == .event(1))
        bench.waiting = [2]
        bench.now += Dispatcher.hesitation
        _ = bench.decide()
        #expect(bench.work(0) == .event(2))
    }

    @Test("A path that does not answer is passed over after a second; its event follows after its time limit")
    func hesitation() {
        var bench = Bench()
        bench.settle()
        bench.waiting = [1, 2]
        _ = bench.decide()
        bench.now += Dispatcher.hesitation - 1
        #expect(bench.decide().isEmpty)
        bench.now += 1
        _ = bench.decide()
        #expect(bench.work(0) == .event(1) && bench.work(1) == .event(2))
        _ = bench.answer(.acknowledged, on: 1)
        bench.now += 4000
        _ = bench.decide()
        #expect(bench.work(1) == .event(1))
    }

    @Test("A path is down after so many failures in a row: said once, and once when it is up again")
    func downAndUp() {
        var bench = Bench(paths: 1, attempts: 3)
        bench.settle()
        let good = bench.now
        bench.waiting = [1]
        var down: [Dispatcher.Action] = []
        var fell: Int64?
        for attempt in 0..<6 {
            bench.now += Dispatcher.longestBackOff
            _ = bench.decide()
            // Turn about an event and a link test: a receiver may not answer the one or the other.
            #expect(bench.work(0) == (attempt % 2 == 0 ? .event(1) : .poll))
            let more = bench.answer(.failed(why: "cut"), on: 0).filter {
                if case .pathDown = $0 { true } else { false }
            }
            if !more.isEmpty { fell = bench.now }
            down += more
        }
        #expect(down == [.pathDown(0, why: "cut", lastGood: good)])
        bench.now += Dispatcher.longestBackOff
        _ = bench.decide()
        #expect(bench.answer(.acknowledged, on: 0) == [.pathUp(0, downSince: fell), .acknowledge(1, path: 0)])
    }

    @Test("The wait between tries doubles up to its limit; an urgent event does not wait for it")
    func backOff() {
        var bench = Bench(paths: 1)
        bench.settle()
        bench.waiting = [1]
        var waits: [Int64] = []
        for _ in 0..<7 {
            _ = bench.decide()
            _ = bench.answer(.failed(why: "cut"), on: 0)
            waits.append(bench.dispatcher.nextDeadline(now: bench.now) - bench.now)
            bench.now += waits.last ?? 0
        }
        #expect(waits == [500, 1000, 2000, 4000, 8000, 10_000, 10_000])
        _ = bench.decide()
        _ = bench.answer(.failed(why: "cut"), on: 0)
        bench.now += 1000
        #expect(bench.decide().isEmpty)
        bench.dispatcher.hurry(now: bench.now)
        _ = bench.decide()
        #expect(bench.work(0) == .event(1))
    }

    @Test("NAK: the path's clock is corrected and the same event sent again, twice at most")
    func clock() {
        var bench = Bench()
        bench.settle()
        bench.waiting = [1]
        _ = bench.decide()
        for offset in [3_600_000, -5000] as [Int64] {
            let actions = bench.answer(.wrongClock(offset: offset), on: 0)
            guard case .send(let path, let exchange, let told) = actions.first else {
                Issue.record("\(actions)")
                return
            }
            #expect(path == 0 && exchange.work == .event(1) && told == offset)
        }
        let last = bench.answer(.wrongClock(offset: 7000), on: 0)
        #expect(last == [.clockRejected(0), .abandon(path: 0), .release(1)])
        // A link test that is answered is no proof that the time of events is taken; an event is.
        bench.now += 500
        bench.waiting = []
        _ = bench.decide()
        #expect(bench.work(0) == .poll && !bench.answer(.acknowledged, on: 0).contains(.clockAccepted(0)))
        bench.waiting = [1]
        bench.now += Dispatcher.longestDoubt + 2 * 5000
        _ = bench.decide()
        #expect(bench.work(0) == .event(1))
        #expect(bench.answer(.acknowledged, on: 0).contains(.clockAccepted(0)))
        #expect(bench.dispatcher.paths[1].clockOffset == 0)
    }

    @Test("A receiver that answers NAK to every link test is alive")
    func nakToPoll() {
        var bench = Bench(paths: 1)
        _ = bench.decide()
        _ = bench.answer(.wrongClock(offset: 0), on: 0)
        _ = bench.answer(.wrongClock(offset: 0), on: 0)
        #expect(bench.answer(.wrongClock(offset: 0), on: 0) == [.pathUp(0)])
        #expect(bench.dispatcher.paths[0].health == .working)
    }

    @Test("DUH is no failure of the path; a refused event may go over the other one though the first is busy")
    func refused() {
        var bench = Bench()
        bench.settle()
        bench.waiting = [1, 2]
        _ = bench.decide()
        #expect(bench.answer(.refused(why: "DUH"), on: 0) == [.refuse(1, path: 0, why: "DUH")])
        #expect(bench.dispatcher.paths[0].health == .working)
        bench.leftOver["path1"] = [1]
        _ = bench.decide()
        #expect(bench.work(0) == .event(2) && bench.work(1) == .event(1))
    }

    @Test("A kept connection that the receiver had closed is opened again once, without counting as a failure")
    func staleConnection() {
        var bench = Bench(paths: 1)
        bench.settle()
        bench.waiting = [1]
        _ = bench.decide()
        let first = bench.dispatcher.paths[0].exchange
        let actions = bench.answer(.connectionWasGone, on: 0)
        #expect(actions.count == 1 && bench.work(0) == .event(1))
        #expect(bench.dispatcher.paths[0].exchange?.deadline == first?.deadline)
        #expect(bench.answer(.connectionWasGone, on: 0).contains(.release(1)))
    }

    @Test("An answer to an exchange that is over changes nothing")
    func late() {
        var bench = Bench(paths: 1)
        bench.settle()
        bench.waiting = [1]
        _ = bench.decide()
        let number = bench.dispatcher.paths[0].exchange?.number ?? 0
        bench.now += 5000
        _ = bench.decide()
        #expect(bench.dispatcher.handle(.acknowledged, path: 0, exchange: number, now: bench.now).isEmpty)
        #expect(bench.waiting == [1])
    }

    @Test("With no path to trust, link tests and events by turns; a path that answers takes over what another holds")
    func allFailing() {
        var bench = Bench(attempts: 1)
        bench.settle()
        bench.waiting = [1]
        _ = bench.decide()
        _ = bench.answer(.failed(why: "cut"), on: 0)
        _ = bench.decide()
        _ = bench.answer(.failed(why: "cut"), on: 1)
        bench.now += Dispatcher.firstBackOff
        _ = bench.decide()
        #expect(bench.work(0) == .poll && bench.work(1) == .poll)
        _ = bench.answer(.failed(why: "cut"), on: 0)
        bench.now += 2 * Dispatcher.firstBackOff
        _ = bench.decide()
        #expect(bench.work(0) == .event(1) && bench.work(1) == .poll)
        // The second path answers: it takes over what the first one holds, before anything else.
        bench.waiting = [2]
        _ = bench.answer(.acknowledged, on: 1)
        _ = bench.decide()
        #expect(bench.work(1) == .event(1))
        #expect(bench.answer(.acknowledged, on: 1) == [.acknowledge(1, path: 1)])
        _ = bench.decide()
        #expect(bench.work(0) == .poll && bench.work(1) == .event(2))
        #expect(bench.answer(.failed(why: "cut"), on: 0) == [.abandon(path: 0)])
    }

    @Test("An urgent event does not wait for a path that is slow to answer: it goes over the next one too")
    func urgentCopy() {
        var bench = Bench()
        bench.settle()
        bench.waiting = [100, 1]
        _ = bench.decide()
        #expect(bench.work(0) == .event(100) && bench.work(1) == nil)
        bench.now += Dispatcher.hesitation
        _ = bench.decide()
        #expect(bench.work(1) == .event(100))
        #expect(bench.answer(.acknowledged, on: 1) == [.acknowledge(100, path: 1)])
        // Its late ACK on the first path only says that the path works.
        #expect(bench.answer(.acknowledged, on: 0).isEmpty)
        _ = bench.decide()
        #expect(bench.work(0) == .event(1))
    }

    @Test("What a path may not carry (pinned to another, refused by its receiver) is never copied to it")
    func barred() {
        var bench = Bench()
        bench.settle()
        bench.barred["path1"] = [100]
        bench.waiting = [100]
        _ = bench.decide()
        bench.now += Dispatcher.hesitation
        #expect(bench.decide().isEmpty)
        #expect(bench.work(0) == .event(100) && bench.work(1) == nil)
    }

    @Test("An urgent event goes before the copy of one that is stranded on a path that fails")
    func urgentBeforeStranded() {
        var bench = Bench(attempts: 1)
        bench.settle()
        bench.waiting = [1]
        _ = bench.decide()
        _ = bench.answer(.failed(why: "cut"), on: 0)
        _ = bench.decide()
        _ = bench.answer(.failed(why: "cut"), on: 1)
        bench.now += Dispatcher.firstBackOff
        _ = bench.decide()
        _ = bench.answer(.failed(why: "cut"), on: 0)
        bench.now += 2 * Dispatcher.firstBackOff
        _ = bench.decide()
        #expect(bench.work(0) == .event(1) && bench.work(1) == .poll)
        bench.waiting = [100]
        _ = bench.answer(.acknowledged, on: 1)
        _ = bench.decide()
        #expect(bench.work(1) == .event(100))
        _ = bench.answer(.acknowledged, on: 1)
        _ = bench.decide()
        #expect(bench.work(1) == .event(1))
    }

    @Test("A path that fails is tried with a link test every second time, also when it alone could carry an event")
    func leftOverAndLinkTests() {
        var bench = Bench(attempts: 1)
        bench.settle()
        bench.leftOver["path1"] = [1]
        var tried: [Dispatcher.Work?] = []
        for _ in 0..<4 {
            bench.now += Dispatcher.longestBackOff
            if bench.work(0) != nil { _ = bench.answer(.acknowledged, on: 0) }
            _ = bench.decide()
            tried.append(bench.work(1))
            _ = bench.answer(.failed(why: "silent"), on: 1)
            bench.waiting = []
            bench.leftOver["path1"] = [1]
        }
        #expect(tried == [.event(1), .poll, .event(1), .poll])
    }

    @Test("Of two copies on their way, one that fails does not give the event back while the other may arrive")
    func copyFails() {
        var bench = Bench()
        bench.settle()
        bench.waiting = [100]
        _ = bench.decide()
        bench.now += Dispatcher.hesitation
        _ = bench.decide()
        #expect(bench.answer(.failed(why: "cut"), on: 0) == [.abandon(path: 0)])
        #expect(bench.answer(.failed(why: "cut"), on: 1) == [.abandon(path: 1), .release(100)])
    }

    @Test("A receiver that answers link tests but no events is called down, and left out while another works")
    func pollsOnly() {
        var bench = Bench()
        bench.settle()
        bench.waiting = [1]
        var told: [Dispatcher.Action] = []
        for _ in 0..<3 {
            _ = bench.decide()
            #expect(bench.work(0) == .event(1))
            told += bench.answer(.failed(why: "silent"), on: 0).filter {
                if case .pathDown = $0 { true } else { false }
            }
            bench.now += Dispatcher.firstBackOff
            // The second path is taken away, so that the first is tried again and again.
            _ = bench.decide()
            if bench.work(1) == .event(1) { _ = bench.answer(.failed(why: "cut"), on: 1) }
            if bench.work(0) == .poll { _ = bench.answer(.acknowledged, on: 0) }
        }
        #expect(told.count == 1)
        #expect(!bench.dispatcher.paths[0].isTrusted)
    }
}
