import AlarmProtocol

/// The order in which waiting events are sent, in memory. Pure: the outbox keeps it in step with the disk.
///
/// Promise 3: events of one point go in the order they happened; otherwise the most urgent first, then the oldest. A
/// more urgent event that waits behind older ones of its own point lends them its urgency, so that a restore is never
/// overtaken by the next alarm of the same point, and the alarm need not wait for the rest of the backlog.
///
/// Among equally urgent ones, what has just happened goes before what is late (older than an outage or a restart): the
/// centre hears of the burglary of this minute before those of the past night. docs/decisions/0015-live-first.md.
///
/// Only the oldest waiting event of a point can be next, so each class of urgency keeps a heap of such heads. Entries
/// of the heaps go stale when a point changes; they are recognised and dropped when they come up.
struct Waiting: Sendable {
    private struct Line: Sendable {
        var point: String
        /// (identifier, urgency) of the point's waiting events, oldest first, from `first` on.
        var events: [(id: Int64, urgency: Urgency)] = []
        var first = 0
        /// How many wait, of each urgency: the smallest with any is what the head is worth.
        var counts: [Int32] = [0, 0, 0, 0, 0, 0]
        /// The newest that ever came, of each urgency.
        var newest: [Int64] = [0, 0, 0, 0, 0, 0]
        /// The head is being sent: nothing of this point may be.
        var isBusy = false

        var head: Int64? { first < events.count ? events[first].id : nil }
        var urgency: Urgency? { counts.firstIndex { $0 > 0 }.flatMap { Urgency(rawValue: UInt8($0)) } }

        /// What makes it urgent is late, all of it.
        func isLate(_ liveFrom: Int64) -> Bool { urgency.map { newest[Int($0.rawValue)] < liveFrom } ?? false }
    }

    /// An event that some receiver has refused, or that cannot be read from the disk. It waits for the others or for the
    /// disk, and nobody waits for it.
    private struct Refused: Sendable {
        var id: Int64
        var urgency: Urgency
        var receivers: Set<String>
        var isBusy = false
        /// It cannot be read from the disk, for now.
        var isUnreadable = false
    }

    private var lines: [Line] = []
    /// Lines that nothing waits in: the next new point gets one of them, so that there are never more lines than there
    /// were points with something waiting.
    private var free: [Int] = []
    private var lineOfPoint: [String: Int] = [:]
    private var lineOfEvent: [Int64: Int] = [:]
    /// Two for each urgency: what has just happened, then what is late.
    private var heads: [Heap] = Array(repeating: Heap(), count: 2 * Urgency.allCases.count)
    /// The first event that is not late.
    private var liveFrom: Int64 = 0
    private var refused: [Refused] = []
    /// Test events that may only go over the path that they test.
    private var pins: [Int64: String] = [:]

    var count: Int { lineOfEvent.count + refused.count }
    var isEmpty: Bool { count == 0 }
    /// How many points there is room for.
    var lineCount: Int { lines.count }
    /// The oldest waiting event, in O(points). For start-up scans and `status`.
    var oldest: Int64? {
        (lines.compactMap(\.head) + refused.map(\.id)).min()
    }

    /// The most urgent class with anything waiting.
    var mostUrgent: Urgency? { (lines.compactMap(\.urgency) + refused.map(\.urgency)).min() }

    var all: [Int64] { Array(lineOfEvent.keys) + refused.map(\.id) }

    func contains(_ id: Int64) -> Bool { lineOfEvent[id] != nil || refused.contains { $0.id == id } }

    /// How many wait, of one urgency.
    func count(of urgency: Urgency) -> Int {
        lines.reduce(0) { $0 + Int($1.counts[Int(urgency.rawValue)]) } + refused.count { $0.urgency == urgency }
    }

    /// It may go over one path only.
    func isPinned(_ id: Int64) -> Bool { pins[id] != nil }

    mutating func add(_ id: Int64, point: String, urgency: Urgency, pinnedTo path: String? = nil) {
        let line: Int
        if let known = lineOfPoint[point] {
            line = known
        } else if let unused = free.popLast() {
            line = unused
            lines[line] = Line(point: point)
        } else {
            line = lines.count
            lines.append(Line(point: point))
        }
        lineOfPoint[point] = line
        lineOfEvent[id] = line
        if let path { pins[id] = path }
        let before = (lines[line].urgency, lines[line].isLate(liveFrom))
        lines[line].events.append((id, urgency))
        lines[line].counts[Int(urgency.rawValue)] += 1
        lines[line].newest[Int(urgency.rawValue)] = id
        if (lines[line].urgency, lines[line].isLate(liveFrom)) != before { offer(line) }
    }

    func isLate(_ id: Int64) -> Bool { id < liveFrom }

    /// From now on what came before this event is late.
    mutating func noteLate(before id: Int64) { liveFrom = max(liveFrom, id) }

    /// The next that only this path can carry: refused by other receivers, or pinned to it. Marked as being sent.
    /// - Parameter limit: only one more urgent than this.
    mutating func takeLeftOver(
        for receiver: String, over path: String, moreUrgentThan limit: Urgency? = nil
    ) -> Taken? {
        if let index = nextRefused(for: receiver), limit.map({ refused[index].urgency < $0 }) ?? true {
            refused[index].isBusy = true
            return Taken(id: refused[index].id, urgency: refused[index].urgency)
        }
        for (id, pin) in pins where pin == path {
            guard let line = lineOfEvent[id], !lines[line].isBusy, lines[line].head == id else { continue }
            let urgency = lines[line].urgency ?? .status
            if let limit, urgency >= limit { continue }
            lines[line].isBusy = true
            return Taken(id: id, urgency: urgency)
        }
        return nil
    }

    /// What an event is worth now: its own urgency, or that of a more urgent one behind it.
    /// - Returns: nil where it may not be sent to this receiver over this path: it is done with, was refused there, or
    ///   is pinned to another path.
    func worth(of id: Int64, for receiver: String, over path: String) -> Urgency? {
        if let line = lineOfEvent[id] { return pins[id].map { $0 == path } ?? true ? lines[line].urgency : nil }
        return refused.first { $0.id == id && !$0.receivers.contains(receiver) }?.urgency
    }

    private func nextRefused(for receiver: String) -> Int? {
        refused.indices
            .filter {
                !refused[$0].isBusy && !refused[$0].isUnreadable && !refused[$0].receivers.contains(receiver)
            }
            .min { (refused[$0].urgency, refused[$0].id) < (refused[$1].urgency, refused[$1].id) }
    }

    /// The next to send to a receiver over a path, marked as being sent; nil when nothing may go.
    /// - Parameters:
    ///   - limit: only one more urgent than this.
    ///   - withoutLate: nothing late now, but fire and danger.
    mutating func take(
        for receiver: String, over path: String, moreUrgentThan limit: Urgency? = nil, withoutLate: Bool = false
    ) -> Taken? {
        let again = nextRefused(for: receiver)
        for urgency in Urgency.allCases where limit.map({ urgency < $0 }) ?? true {
            if let head = next(of: urgency, late: false, over: path, before: nil) {
                return taken(head.line, head.id, urgency, isLate: false)
            }
            if withoutLate, urgency > .danger { continue }
            // What another receiver has refused is among the late ones: it has waited for that one already.
            let refusal = again.flatMap { refused[$0].urgency == urgency ? $0 : nil }
            if let head = next(of: urgency, late: true, over: path, before: refusal.map { refused[$0].id }) {
                return taken(head.line, head.id, urgency, isLate: true)
            }
            if let refusal {
                refused[refusal].isBusy = true
                return Taken(id: refused[refusal].id, urgency: urgency, isLate: true)
            }
        }
        return nil
    }

    private mutating func taken(_ line: Int, _ id: Int64, _ urgency: Urgency, isLate: Bool) -> Taken {
        lines[line].isBusy = true
        return Taken(id: id, urgency: urgency, isLate: isLate)
    }

    /// Takes the oldest head of a class off its heap; those that the path may not carry stay.
    private mutating func next(
        of urgency: Urgency, late: Bool, over path: String, before limit: Int64?
    ) -> Heap.Element? {
        let slot = Self.slot(urgency, late: late)
        var passed: [Heap.Element] = []
        defer { for head in passed { heads[slot].insert(head) } }
        while let head = heads[slot].first {
            let line = lines[head.line]
            guard !line.isBusy, line.head == head.id, line.urgency == urgency, line.isLate(liveFrom) == late else {
                heads[slot].removeFirst()  // stale: offered anew when it is free
                if !late, !line.isBusy, line.head == head.id, line.urgency == urgency { offer(head.line) }
                continue
            }
            if let limit, head.id > limit { return nil }
            heads[slot].removeFirst()
            if let pin = pins[head.id], pin != path {
                passed.append(head)
                continue
            }
            return head
        }
        return nil
    }

    private static func slot(_ urgency: Urgency, late: Bool) -> Int { 2 * Int(urgency.rawValue) + (late ? 1 : 0) }

    struct Taken: Sendable, Equatable {
        var id: Int64
        /// What it is worth now: its own urgency, or that of a more urgent event behind it.
        var urgency: Urgency
        /// It comes from before an outage or a restart, and is sent at the rate that the centre agreed to.
        var isLate = false
    }

    /// It was not delivered: it may be taken again.
    mutating func release(_ id: Int64) {
        if let line = lineOfEvent[id] {
            lines[line].isBusy = false
            offer(line)
        } else if let index = refused.firstIndex(where: { $0.id == id }) {
            refused[index].isBusy = false
        }
    }

    /// It is done with: acknowledged, parked or discarded.
    mutating func remove(_ id: Int64) {
        pins[id] = nil
        if let line = lineOfEvent.removeValue(forKey: id) {
            leave(line, id)
        } else {
            refused.removeAll { $0.id == id }
        }
    }

    /// A receiver has refused it for good. From now on it blocks nobody, its own point included.
    /// - Parameter isStillSent: a copy of it is on its way over another path; it is not taken until that is released.
    /// - Returns: all receivers that have refused it.
    mutating func refuse(_ id: Int64, by receiver: String, isStillSent: Bool = false) -> Set<String> {
        if let index = refused.firstIndex(where: { $0.id == id }) {
            refused[index].receivers.insert(receiver)
            refused[index].isBusy = isStillSent
            return refused[index].receivers
        }
        guard let line = lineOfEvent.removeValue(forKey: id) else { return [] }
        let urgency = lines[line].events.first { $0.id == id }?.urgency ?? .status
        leave(line, id)
        refused.append(Refused(id: id, urgency: urgency, receivers: [receiver], isBusy: isStillSent))
        return [receiver]
    }

    /// The disk does not give it: from now on it blocks nobody, its own point included, and is not taken until `retry`.
    mutating func setAside(_ id: Int64) {
        if let index = refused.firstIndex(where: { $0.id == id }) {
            // At the end, so that the others have their turn first.
            var again = refused.remove(at: index)
            again.isUnreadable = true
            refused.append(again)
        } else if let line = lineOfEvent.removeValue(forKey: id) {
            let urgency = lines[line].events.first { $0.id == id }?.urgency ?? .status
            leave(line, id)
            refused.append(Refused(id: id, urgency: urgency, receivers: [], isUnreadable: true))
        }
    }

    func isSetAside(_ id: Int64) -> Bool { refused.contains { $0.id == id && $0.isUnreadable } }

    /// What was set aside may be taken again, those first that have been so for longest. - Returns: how many.
    mutating func retryUnreadable(atMost limit: Int = .max) -> Int {
        var count = 0
        for index in refused.indices where refused[index].isUnreadable && count < limit {
            refused[index].isUnreadable = false
            count += 1
        }
        return count
    }

    /// The receivers are others from now on: what was refused is asked of them too.
    mutating func forgetRefusals() { for index in refused.indices { refused[index].receivers = [] } }

    private mutating func leave(_ line: Int, _ id: Int64) {
        guard let index = lines[line].events[lines[line].first...].firstIndex(where: { $0.id == id }) else { return }
        lines[line].counts[Int(lines[line].events[index].urgency.rawValue)] -= 1
        if index == lines[line].first {
            lines[line].first += 1
            lines[line].isBusy = false
            // The dead front is cut away when it is half of the line, so that a line costs O(1) an event.
            if lines[line].first * 2 > lines[line].events.count {
                lines[line].events.removeFirst(lines[line].first)
                lines[line].first = 0
            }
        } else {
            lines[line].events.remove(at: index)
        }
        if lines[line].head == nil {
            lineOfPoint[lines[line].point] = nil
            lines[line] = Line(point: "")
            free.append(line)
        } else {
            offer(line)
        }
    }

    private mutating func offer(_ line: Int) {
        guard !lines[line].isBusy, let id = lines[line].head, let urgency = lines[line].urgency else { return }
        heads[Self.slot(urgency, late: lines[line].isLate(liveFrom))].insert(Heap.Element(id: id, line: line))
    }
}

/// A binary heap of point heads, the oldest first.
private struct Heap: Sendable {
    struct Element: Sendable {
        var id: Int64
        var line: Int
    }

    private var elements: [Element] = []
    var first: Element? { elements.first }

    mutating func insert(_ element: Element) {
        elements.append(element)
        var child = elements.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard elements[child].id < elements[parent].id else { return }
            elements.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        guard !elements.isEmpty else { return }
        elements.swapAt(0, elements.count - 1)
        elements.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < elements.count && elements[child].id < elements[least].id { least = child }
            if least == parent { return }
            elements.swapAt(least, parent)
            parent = least
        }
    }
}
