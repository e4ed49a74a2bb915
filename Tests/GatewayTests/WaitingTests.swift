import AlarmProtocol
import Testing

@testable import Gateway

@Suite("The order of what waits (promises 3 and 4)")
struct WaitingTests {
    private func order(_ waiting: inout Waiting, receiver: String = "a") -> [Int64] {
        var order: [Int64] = []
        while let next = waiting.take(for: receiver, over: "path") {
            order.append(next.id)
            waiting.remove(next.id)
        }
        return order
    }

    @Test("The most urgent first, then the oldest")
    func urgency() {
        var waiting = Waiting()
        for (id, urgency) in [(1, Urgency.status), (2, .technical), (3, .fire), (4, .technical), (5, .fire)] {
            waiting.add(Int64(id), point: "p\(id)", urgency: urgency)
        }
        #expect(order(&waiting) == [3, 5, 2, 4, 1])
        #expect(waiting.isEmpty)
    }

    @Test("A restore is not overtaken by the next alarm of its point, and is promoted by it")
    func promotion() {
        var waiting = Waiting()
        waiting.add(1, point: "door", urgency: .technical)
        waiting.add(2, point: "smoke", urgency: .status)  // a restore
        waiting.add(3, point: "other", urgency: .intrusion)
        waiting.add(4, point: "smoke", urgency: .fire)
        waiting.add(5, point: "smoke", urgency: .status)
        #expect(order(&waiting) == [2, 4, 3, 1, 5])
    }

    @Test("While an event is on its way, nothing of its point goes, and everything else does")
    func busy() {
        var waiting = Waiting()
        waiting.add(1, point: "smoke", urgency: .fire)
        waiting.add(2, point: "smoke", urgency: .fire)
        waiting.add(3, point: "door", urgency: .status)
        #expect(waiting.take(for: "a", over: "x")?.id == 1)
        #expect(waiting.take(for: "a", over: "x")?.id == 3)
        #expect(waiting.take(for: "a", over: "x") == nil)
        waiting.release(1)
        #expect(waiting.take(for: "b", over: "y") == Waiting.Taken(id: 1, urgency: .fire))
    }

    @Test("What one receiver refuses goes to the others and blocks nobody, not even its point")
    func refusal() {
        var waiting = Waiting()
        waiting.add(1, point: "smoke", urgency: .fire)
        waiting.add(2, point: "smoke", urgency: .fire)
        #expect(waiting.take(for: "a", over: "x")?.id == 1)
        #expect(waiting.refuse(1, by: "a") == ["a"])
        #expect(waiting.take(for: "a", over: "x")?.id == 2)
        #expect(waiting.take(for: "a", over: "x") == nil)
        #expect(waiting.takeLeftOver(for: "a", over: "x") == nil)
        #expect(waiting.takeLeftOver(for: "b", over: "y")?.id == 1)
        #expect(waiting.takeLeftOver(for: "b", over: "y") == nil)
        #expect(waiting.refuse(1, by: "b") == ["a", "b"])
        #expect(waiting.count == 2)
    }

    @Test("A path's own test goes over that path only, and holds up nothing")
    func pinned() {
        var waiting = Waiting()
        waiting.add(1, point: "test.y", urgency: .status, pinnedTo: "y")
        waiting.add(2, point: "door", urgency: .status)
        #expect(waiting.take(for: "a", over: "x")?.id == 2)
        #expect(waiting.take(for: "a", over: "x") == nil)
        #expect(waiting.takeLeftOver(for: "b", over: "y")?.id == 1)
    }

    @Test("What an event on its way is worth: as urgent as the most urgent behind it, and nothing where it may not go")
    func worth() {
        var waiting = Waiting()
        waiting.add(1, point: "smoke", urgency: .status)
        #expect(waiting.take(for: "a", over: "x")?.urgency == .status)
        waiting.add(2, point: "smoke", urgency: .fire)
        #expect(waiting.worth(of: 1, for: "b", over: "y") == .fire)
        waiting.add(3, point: "test.x", urgency: .status, pinnedTo: "x")
        #expect(waiting.worth(of: 3, for: "a", over: "x") == .status)
        #expect(waiting.worth(of: 3, for: "b", over: "y") == nil)
        #expect(waiting.refuse(1, by: "b", isStillSent: true) == ["b"])
        #expect(waiting.worth(of: 1, for: "b", over: "y") == nil)
        #expect(waiting.takeLeftOver(for: "c", over: "z") == nil)  // its other copy is still on its way
        waiting.release(1)
        #expect(waiting.takeLeftOver(for: "c", over: "z")?.id == 1)
        waiting.remove(1)
        #expect(waiting.worth(of: 1, for: "c", over: "z") == nil)
    }

    @Test("Only what is more urgent than a limit, where one is given")
    func limit() {
        var waiting = Waiting()
        waiting.add(1, point: "door", urgency: .intrusion)
        #expect(waiting.take(for: "a", over: "x", moreUrgentThan: .intrusion) == nil)
        #expect(waiting.take(for: "a", over: "x", moreUrgentThan: .technical)?.id == 1)
    }

    @Test("Among equals what has just happened goes before what is late; urgency and a point's order come first")
    func liveFirst() {
        var waiting = Waiting()
        waiting.add(1, point: "door", urgency: .intrusion)
        waiting.add(2, point: "smoke", urgency: .status)
        waiting.add(3, point: "smoke", urgency: .fire)
        waiting.add(4, point: "window", urgency: .intrusion)
        waiting.noteLate(before: 5)
        waiting.add(5, point: "gate", urgency: .intrusion)
        waiting.add(6, point: "window", urgency: .intrusion)  // makes its point live: its alarm of now must not wait
        waiting.add(7, point: "pump", urgency: .technical)
        #expect(order(&waiting) == [2, 3, 4, 5, 6, 1, 7])
    }

    @Test("While the late ones are held back, all else goes: what is live, and fire and danger however old")
    func heldBack() {
        var waiting = Waiting()
        for (id, urgency) in [(1, Urgency.intrusion), (2, .danger), (3, .fire), (4, .status)] {
            waiting.add(Int64(id), point: "p\(id)", urgency: urgency)
        }
        waiting.noteLate(before: 5)
        waiting.add(5, point: "p5", urgency: .status)
        var order: [Int64] = []
        while let next = waiting.take(for: "a", over: "x", withoutLate: true) {
            #expect(next.isLate == (next.id < 5))
            order.append(next.id)
            waiting.remove(next.id)
        }
        #expect(order == [3, 2, 5])
        #expect(waiting.take(for: "a", over: "x") == Waiting.Taken(id: 1, urgency: .intrusion, isLate: true))
    }

    @Test("An event is late when it has waited as long as an outage, and not before")
    func ages() {
        var ages = Ages()
        ages.note(1, at: 0)
        ages.note(2, at: 400)
        ages.note(3, at: 5000)
        #expect(ages.liveFrom(at: Ages.lateAfter - 1) == nil)
        #expect(ages.liveFrom(at: Ages.lateAfter) == 3)
        #expect(ages.liveFrom(at: Ages.lateAfter) == nil)
        #expect(ages.liveFrom(at: Ages.lateAfter + 90_000) == 4)
    }

    @Test("What the disk does not give blocks nobody, its own point included, until it is tried again")
    func unreadable() {
        var waiting = Waiting()
        waiting.add(1, point: "smoke", urgency: .fire)
        waiting.add(2, point: "smoke", urgency: .fire)
        #expect(waiting.take(for: "a", over: "x")?.id == 1)
        waiting.setAside(1)
        waiting.release(1)
        #expect(waiting.take(for: "a", over: "x")?.id == 2)
        #expect(waiting.take(for: "a", over: "x") == nil && waiting.takeLeftOver(for: "b", over: "y") == nil)
        #expect(waiting.contains(1) && waiting.count == 2)
        #expect(waiting.retryUnreadable() == 1)
        #expect(waiting.takeLeftOver(for: "b", over: "y")?.id == 1)
        waiting.setAside(1)
        waiting.release(1)
        #expect(waiting.take(for: "a", over: "x") == nil)
        waiting.remove(1)
        #expect(waiting.retryUnreadable() == 0 && waiting.count == 1)
    }

    @Test("What the disk does not give is tried again in turn")
    func unreadableInTurn() {
        var waiting = Waiting()
        for id in 1...3 as ClosedRange<Int64> {
            waiting.add(id, point: "smoke", urgency: .fire)
            waiting.setAside(id)
        }
        #expect((1...3).allSatisfy { waiting.isSetAside($0) })
        for id in [1, 2, 3, 1] as [Int64] {
            #expect(waiting.retryUnreadable(atMost: 1) == 1)
            #expect(waiting.take(for: "a", over: "x")?.id == id)
            waiting.setAside(id)
            waiting.release(id)
        }
        #expect(waiting.take(for: "a", over: "x") == nil && waiting.retryUnreadable() == 3)
    }

    @Test("Points that come and go, as a panel's addresses may, take no lasting room and keep their order")
    func manyPoints() {
        var waiting = Waiting()
        for id in Int64(1)...3000 {
            waiting.add(id, point: "p\(id)", urgency: .technical)
            waiting.add(id + 10_000, point: "p\(id)", urgency: .fire)
            #expect(order(&waiting) == [id, id + 10_000])
        }
        #expect(waiting.lineCount == 1)
    }

    /// The rules said again in the plainest way, to hold the heaps to.
    private struct Plain {
        struct Entry {
            var id: Int64
            var point: String
            var urgency: Urgency
        }
        var entries: [Entry] = []
        var busy: Set<String> = []
        var liveFrom: Int64 = 0

        func next(withoutLate: Bool) -> Int64? {
            let lines = Dictionary(grouping: entries, by: \.point).filter { !busy.contains($0.key) }.values
            let heads = lines.compactMap { line -> (urgency: Urgency, late: Int, id: Int64)? in
                guard let urgency = line.map(\.urgency).min(), let head = line.map(\.id).min() else { return nil }
                let isLate = !line.contains { $0.urgency == urgency && $0.id >= liveFrom }
                if isLate, withoutLate, urgency > .danger { return nil }
                return (urgency, isLate ? 1 : 0, head)
            }
            return heads.min { ($0.urgency, $0.late, $0.id) < ($1.urgency, $1.late, $1.id) }?.id
        }
    }

    @Test("Whatever happens, it is the order of the plain rules", arguments: 0..<200)
    func random(seed: UInt64) {
        var dice = Seeded(seed)
        var waiting = Waiting()
        var plain = Plain()
        var nextID: Int64 = 1
        var flying: [Int64] = []
        for _ in 0..<300 {
            if Int.random(in: 0..<20, using: &dice) == 0, nextID > 1 {
                plain.liveFrom = max(plain.liveFrom, Int64.random(in: 1...nextID, using: &dice))
                waiting.noteLate(before: plain.liveFrom)
            }
            switch Int.random(in: 0..<10, using: &dice) {
            case 0..<4:
                let point = "p\(Int.random(in: 0..<6, using: &dice))"
                let urgency = Urgency(rawValue: UInt8.random(in: 0..<6, using: &dice)) ?? .status
                waiting.add(nextID, point: point, urgency: urgency)
                plain.entries.append(.init(id: nextID, point: point, urgency: urgency))
                nextID += 1
            case 4..<7:
                let withoutLate = Bool.random(using: &dice)
                let expected = plain.next(withoutLate: withoutLate)
                let taken = waiting.take(for: "a", over: "x", withoutLate: withoutLate)?.id
                #expect(taken == expected, "seed \(seed)")
                guard let taken, let entry = plain.entries.first(where: { $0.id == taken }) else { continue }
                plain.busy.insert(entry.point)
                flying.append(taken)
            default:
                guard let index = flying.indices.randomElement(using: &dice) else { continue }
                let id = flying.remove(at: index)
                guard let entry = plain.entries.first(where: { $0.id == id }) else { continue }
                plain.busy.remove(entry.point)
                if Bool.random(using: &dice) {
                    waiting.release(id)
                } else {
                    waiting.remove(id)
                    plain.entries.removeAll { $0.id == id }
                }
            }
            #expect(waiting.count == plain.entries.count)
            #expect(waiting.oldest == plain.entries.map(\.id).min())
        }
    }
}
