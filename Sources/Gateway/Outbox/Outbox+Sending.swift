import AlarmProtocol
import Dispatch
import Synchronization

/// What the uplink does with waiting events. Nothing here blocks on a sync.
extension Outbox {
    /// The next event to send to a receiver over a path, by the rules of promise 3, marked as being sent.
    /// - Parameters:
    ///   - leftOver: only one that no path before this one can carry.
    ///   - limit: only one more urgent than this.
    ///   - withoutLate: nothing late now, but fire and danger.
    func take(
        for receiver: String, over path: String, leftOver: Bool = false, moreUrgentThan limit: Urgency? = nil,
        withoutLate: Bool = false
    ) -> Waiting.Taken? {
        let now = clock().uptime
        return queue.withLock { queue in
            if let from = queue.ages.liveFrom(at: now) { queue.waiting.noteLate(before: from) }
            return leftOver
                ? queue.waiting.takeLeftOver(for: receiver, over: path, moreUrgentThan: limit)
                : queue.waiting.take(
                    for: receiver, over: path, moreUrgentThan: limit, withoutLate: withoutLate)
        }
    }

    /// What an event on its way is worth by now; nil where it may not be sent to this receiver over this path.
    func worth(of id: Int64, for receiver: String, over path: String) -> Urgency? {
        queue.withLock { $0.waiting.worth(of: id, for: receiver, over: path) }
    }

    /// It comes from before an outage or a restart.
    func isLate(_ id: Int64) -> Bool { queue.withLock { $0.waiting.isLate(id) } }

    /// Not delivered this time.
    func release(_ id: Int64) { queue.withLock { $0.waiting.release(id) } }

    /// A receiver said ACK.
    func acknowledge(_ id: Int64, sent: Int64, path: String, tries: Int) {
        end(
            Mark(
                id: id, state: .acknowledged, sent: sent, path: path, tries: tries, ended: clock().utc,
                reason: nil))
    }

    /// A receiver has refused it for good.
    /// - Parameters:
    ///   - all: the receivers that there are.
    ///   - isStillSent: a copy of it is on its way over another path.
    /// - Returns: whether nobody is left to try.
    func refuse(_ id: Int64, by receiver: String, of all: Set<String>, isStillSent: Bool) -> Bool {
        queue.withLock { queue in
            let refusals = queue.waiting.refuse(id, by: receiver, isStillSent: isStillSent)
            guard !refusals.isEmpty else { return false }
            return queue.waiting.isPinned(id) || refusals.isSuperset(of: all)
        }
    }

    /// Whether it has still to be delivered.
    func isWaiting(_ id: Int64) -> Bool { queue.withLock { $0.waiting.contains(id) } }

    /// The receivers are others from now on: what was refused is asked of them too.
    func forgetRefusals() { queue.withLock { $0.waiting.forgetRefusals() } }

    /// All that waits and may go over any path, oldest first.
    var allWaiting: [Int64] {
        queue.withLock { queue in queue.waiting.all.filter { !queue.waiting.isPinned($0) } }.sorted()
    }

    /// Every receiver has refused it: kept, not sent, never in the way.
    func park(_ id: Int64, reason: String, tries: Int) {
        end(Mark(id: id, state: .parked, sent: nil, path: nil, tries: tries, ended: clock().utc, reason: reason))
    }

    /// A named person gives up a waiting or parked event. - Returns: false when there is no such event.
    public func discard(_ id: Int64, by person: String, why: String) -> Bool {
        guard let stored = event(id), stored.state == .waiting || stored.state == .parked else { return false }
        end(
            Mark(
                id: id, state: .discarded, sent: stored.sent, path: stored.path, tries: stored.tries,
                ended: clock().utc, reason: "discarded by \(person): \(why)"))
        return true
    }

    private func end(_ mark: Mark) {
        let now = clock().uptime
        let tell = queue.withLock { queue in
            if queue.marks.isEmpty { queue.marksSince = now }
            queue.waiting.remove(mark.id)
            queue.marks.append(mark)
            noteFilling(&queue)
            queue.noteEnded(mark)
            return queue.onEnded
        }
        tell?(mark.id, mark.state)
    }

    /// How waiting for a receiver ended.
    public enum Answer: Sendable, Equatable {
        case acknowledged
        /// Every receiver refused one of them, or a person discarded it.
        case refused
        case timeUp
    }

    /// Waits until all of the events are acknowledged, one of them never will be, or the time has passed.
    public func waitForReceiver(_ ids: [Int64], atMost limit: Duration) -> Answer {
        let end = Waiter.End()
        let known = queue.withLock { queue -> Answer? in
            if ids.contains(where: queue.parked.contains) { return .refused }
            let open = Set(ids.filter { queue.waiting.contains($0) })
            if open.isEmpty { return .acknowledged }
            queue.waiters.append(Waiter(ids: open, end: end))
            return nil
        }
        if let known { return known }
        let isInTime = end.isReached.wait(timeout: .now() + .milliseconds(Int(limit.milliseconds))) == .success
        if !isInTime { queue.withLock { queue in queue.waiters.removeAll { $0.end === end } } }
        return end.isRefused.load(ordering: .relaxed) ? .refused : isInTime ? .acknowledged : .timeUp
    }
}
