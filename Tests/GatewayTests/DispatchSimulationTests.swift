import AlarmProtocol
import Testing

@testable import Gateway

/// Dispatcher and order of what waits, with paths that lose, delay, refuse, doubt the time, break and come back. Nothing
/// real: a seed makes the same world every time.
private struct World {
    var dice: Seeded
    var now: Int64 = 1_000_000
    var waiting = Waiting()
    var dispatcher: Dispatcher
    var inFlight: [(at: Int64, path: Int, exchange: Int, Dispatcher.Input)] = []

    struct Told {
        var point: String
        var urgency: Urgency
        var added: Int64
    }
    var events: [Int64: Told] = [:]
    /// In the order of their first arrival at any receiver.
    var arrived: [Int64] = []
    var delivered: Set<Int64> = []
    var parked: Set<Int64> = []
    /// What every receiver refuses.
    var unwanted: Set<Int64> = []
    var pinned: [Int64: Int] = [:]
    /// Until when each path is dead.
    var deadUntil: [Int64]
    var sends = 0
    var problems: [String] = []
    let isRough: Bool
    /// Some events are refused by every receiver. Only where none is can `mostUrgentFree` stay plain.
    let refuses: Bool

    init(_ seed: UInt64, isRough: Bool) {
        dice = Seeded(seed)
        refuses = isRough && seed % 2 == 1
        self.isRough = isRough
        let count = Int.random(in: 1...3, using: &dice)
        let connections = isRough ? Int.random(in: 1...4, using: &dice) : 1
        // Late events that are held back would have to be left out of what `mostUrgentFree` says.
        let rate = refuses && Bool.random(using: &dice) ? Int.random(in: 1...50, using: &dice) : nil
        dispatcher = Dispatcher(
            (0..<count).map {
                .init(
                    name: "path\($0)", receiver: "r\($0 % 2)", timeout: 3000, attempts: 3, poll: 20_000,
                    connections: connections, catchUpRate: rate)
            })
        deadUntil = Array(repeating: 0, count: count)
    }

    var receivers: Set<String> { Set(dispatcher.paths.map(\.rules.receiver)) }

    mutating func add() {
        let id = Int64(events.count + 1)
        let point = "p\(Int.random(in: 0..<6, using: &dice))"
        let urgency = Urgency(rawValue: UInt8.random(in: 0..<6, using: &dice)) ?? .status
        events[id] = Told(point: point, urgency: urgency, added: now)
        var pin: Int?
        if isRough {
            if refuses, Int.random(in: 0..<40, using: &dice) == 0 { unwanted.insert(id) }
            if Int.random(in: 0..<30, using: &dice) == 0 { pin = dispatcher.paths.indices.randomElement(using: &dice) }
        }
        pinned[id] = pin
        // A pinned event is a test, with a point of its own.
        if pin != nil { events[id]?.point = "test\(id)" }
        if Int.random(in: 0..<10, using: &dice) == 0 { waiting.noteLate(before: max(0, id - 10)) }
        waiting.add(
            id, point: events[id]?.point ?? point, urgency: urgency,
            pinnedTo: pin.map { dispatcher.paths[$0].rules.name })
        if urgency <= .danger { dispatcher.hurry(now: now) }
    }

    /// What the plainest reading of the rules would send next over a path that may carry anything.
    private func mostUrgentFree() -> Urgency? {
        let flying = Set(
            dispatcher.paths.flatMap(\.lanes).compactMap { exchange -> Int64? in
                if case .event(let id)? = exchange?.work { id } else { nil }
            })
        let lines = Dictionary(grouping: events.keys.filter { waiting.contains($0) && pinned[$0] == nil }) {
            events[$0]?.point ?? ""
        }
        return lines.values.filter { line in !line.contains { flying.contains($0) } }
            .compactMap { line in line.compactMap { events[$0]?.urgency }.min() }.min()
    }

    mutating func decide() {
        while true {
            let best = refuses ? nil : mostUrgentFree()
            var waiting = waiting
            let supply = Dispatcher.Supply(
                take: { path, wanted in
                    wanted.leftOver
                        ? waiting.takeLeftOver(
                            for: path.receiver, over: path.name, moreUrgentThan: wanted.moreUrgentThan)
                        : waiting.take(
                            for: path.receiver, over: path.name, moreUrgentThan: wanted.moreUrgentThan,
                            withoutLate: wanted.withoutLate)
                },
                worth: { id, path in waiting.worth(of: id, for: path.receiver, over: path.name) })
            let actions = dispatcher.decide(now: now, from: supply)
            self.waiting = waiting
            if let best { compare(actions, with: best) }
            if actions.isEmpty { return }
            for action in actions { carryOut(action) }
        }
    }

    /// The first event that goes over a path which may carry anything is as urgent as any that is free to go.
    private mutating func compare(_ actions: [Dispatcher.Action], with best: Urgency) {
        for case .send(let path, let exchange, _) in actions {
            guard dispatcher.paths[path].isTrusted, case .event(let id) = exchange.work, pinned[id] == nil,
                let worth = waiting.worth(of: id, for: "", over: "")
            else { continue }
            if worth > best { problems.append("\(now): sent \(worth) while \(best) waits") }
            return
        }
    }

    mutating func carryOut(_ action: Dispatcher.Action) {
        switch action {
        case .send(let path, let exchange, _): send(path, exchange)
        case .release(let id): waiting.release(id)
        case .acknowledge(let id, _):
            delivered.insert(id)
            waiting.remove(id)
        case .refuse(let id, let path, _):
            let refusals = waiting.refuse(
                id, by: dispatcher.paths[path].rules.receiver, isStillSent: dispatcher.carriers(of: id) > 0)
            guard !refusals.isEmpty, waiting.isPinned(id) || refusals.isSuperset(of: receivers) else { return }
            parked.insert(id)
            waiting.remove(id)
        case .abandon, .pathDown, .pathUp, .clockRejected, .clockAccepted: break
        }
    }

    private mutating func send(_ path: Int, _ exchange: Dispatcher.Exchange) {
        sends += 1
        var input = Dispatcher.Input.acknowledged
        if case .event(let id) = exchange.work {
            if dispatcher.carriers(of: id) > 2 { problems.append("\(now): \(id) is on more than two paths") }
            if let pin = pinned[id], pin != path { problems.append("\(now): \(id) went over a path that it may not") }
            if unwanted.contains(id) { input = .refused(why: "DUH") }
        }
        let delay = Int64.random(in: 5...60, using: &dice)
        guard now >= deadUntil[path] else {
            // Dead: silence, or an error at once.
            if Bool.random(using: &dice) { inFlight.append((now + delay, path, exchange.number, .failed(why: "cut"))) }
            return
        }
        var arrives = true
        if isRough {
            switch Int.random(in: 0..<20, using: &dice) {
            case 0: return  // lost on its way
            case 1:
                // Its answer is lost.
                if case .event(let id) = exchange.work, input == .acknowledged { arrive(id) }
                return
            case 2:
                (input, arrives) = (.wrongClock(offset: Int64.random(in: -5000...5000, using: &dice)), false)
            case 3: (input, arrives) = (.connectionWasGone, false)
            default: break
            }
        }
        if arrives, case .event(let id) = exchange.work, input == .acknowledged { arrive(id) }
        let slow = isRough && Int.random(in: 0..<15, using: &dice) == 0
        inFlight.append(
            (now + (slow ? Int64.random(in: 500...4000, using: &dice) : delay), path, exchange.number, input))
    }

    private mutating func arrive(_ id: Int64) {
        if !arrived.contains(id) { arrived.append(id) }
    }

    /// Lets time pass until something happens.
    mutating func step(until limit: Int64) {
        let next = min(inFlight.map(\.at).min() ?? .max, dispatcher.nextDeadline(now: now), limit)
        if next <= now, next < limit, !inFlight.contains(where: { $0.at <= now }) {
            // The dispatcher said that there is something to do now; if there was not, it would spin.
            let before = sends
            decide()
            if sends == before, dispatcher.nextDeadline(now: now) <= now { problems.append("\(now): spins") }
            now += 1
            return
        }
        now = max(now, next)
        let due = inFlight.filter { $0.at <= now }.sorted { $0.at < $1.at }
        inFlight.removeAll { $0.at <= now }
        for (_, path, exchange, input) in due {
            for action in dispatcher.handle(input, path: path, exchange: exchange, now: now) { carryOut(action) }
        }
        decide()
    }
}

@Suite("Many worlds: nothing is lost, overtaken, starved or sent about without bound (promises 2, 3, 4, 6, 10)")
struct DispatchSimulationTests {
    /// - Returns: the world after all paths have been well for long enough.
    private func run(_ seed: UInt64, isRough: Bool) -> World {
        var world = World(seed, isRough: isRough)
        let end = world.now + 240_000
        while world.now < end {
            let pause = world.now + Int64.random(in: 50...3000, using: &world.dice)
            if world.events.count < 150 { for _ in 0..<Int.random(in: 0...3, using: &world.dice) { world.add() } }
            if isRough, Int.random(in: 0..<12, using: &world.dice) == 0,
                let path = world.deadUntil.indices.randomElement(using: &world.dice)
            {
                world.deadUntil[path] = world.now + Int64.random(in: 1000...40_000, using: &world.dice)
            }
            while world.now < pause { world.step(until: pause) }
        }
        for path in world.deadUntil.indices { world.deadUntil[path] = 0 }
        let calm = world.now + 600_000
        while world.now < calm, !world.waiting.isEmpty { world.step(until: calm) }
        return world
    }

    private func judge(_ world: World, _ seed: UInt64) {
        #expect(world.problems.isEmpty, "seed \(seed): \(world.problems.prefix(3))")
        #expect(world.waiting.isEmpty, "seed \(seed): \(world.waiting.all.sorted().prefix(5)) never went")
        let ended = world.delivered.union(world.parked)
        #expect(ended == Set(world.events.keys), "seed \(seed): lost")
        #expect(world.parked.isSubset(of: world.unwanted), "seed \(seed): parked without need")
        #expect(Set(world.arrived).isSuperset(of: world.delivered), "seed \(seed): acknowledged and never arrived")
        let points = Dictionary(grouping: world.arrived) { world.events[$0]?.point ?? "" }
        for (point, ids) in points { #expect(ids == ids.sorted(), "seed \(seed): \(point) out of order") }
        // Repeats there are, but in proportion.
        #expect(world.sends < 40 * (world.events.count + 100), "seed \(seed): \(world.sends) frames")
    }

    @Test("With paths that work, the most urgent always goes first", arguments: 0..<100)
    func calm(seed: UInt64) {
        let world = run(seed, isRough: false)
        judge(world, seed)
        #expect(world.sends < world.events.count + 200, "seed \(seed): \(world.sends) frames")
    }

    @Test("With paths that lose, delay, refuse, doubt the time, break and come back", arguments: 0..<300)
    func rough(seed: UInt64) { judge(run(seed, isRough: true), seed) }
}
