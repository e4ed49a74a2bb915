import AlarmProtocol
import Drivers
import Synchronization

/// The synchronous half: from a signal to an event on disk. Keeps the last known state of every point in step with the
/// outbox, so that what has not changed is not told again.
final class Intake: Sendable {
    let outbox: Outbox
    let clock: @Sendable () -> Moment
    private struct Known {
        /// The last stored state of every point.
        var states: [String: Bool]
        /// The events by which those states began that stand.
        var standing: [String: Int64]
    }

    /// One device's points are only touched by that device's thread; the lock is for the dictionaries, and is not held
    /// during a sync.
    private let known: Mutex<Known>
    private let onStored: @Sendable ([NewEvent], [Int64]) -> Void

    /// - Parameter onStored: told of events once they are durable.
    init(
        outbox: Outbox, clock: @escaping @Sendable () -> Moment,
        onStored: @escaping @Sendable ([NewEvent], [Int64]) -> Void = { _, _ in }
    ) {
        self.outbox = outbox
        self.onStored = onStored
        self.clock = clock
        let states = outbox.lastStates()
        known = Mutex(Known(states: states, standing: outbox.lastEvents().filter { states[$0.key] == true }))
    }

    /// Stores the events that `make` gives for the known states. Durable when it returns; nothing is remembered of what
    /// could not be stored, so that the next reading tries again.
    /// - Parameter kept: what a device's driver keeps, in the same commit.
    /// - Returns: the identifiers.
    func take(
        keeping kept: Kept? = nil, _ make: (_ known: (String) -> Bool?) -> [NewEvent]
    ) throws(OutboxError) -> [Int64] {
        let states = lastStates()
        let events = make { states[$0] }
        guard !events.isEmpty else {
            // Nothing of it is news. What cannot be kept is told again: twice rather than not at all.
            if let kept { try? outbox.keep(kept.bytes, of: kept.device) }
            return []
        }
        let ids = try outbox.append(events, keeping: kept)
        known.withLock { known in
            for (new, id) in zip(events, ids) {
                guard let active = new.active else { continue }
                known.states[new.event.point] = active
                known.standing[new.event.point] = active ? id : nil
            }
        }
        onStored(events, ids)
        return ids
    }

    /// The last stored state of every point that has one.
    func lastStates() -> [String: Bool] { known.withLock { $0.states } }

    /// The present state of a point, as last stored.
    func state(of point: String) -> Bool? { known.withLock { $0.states[point] } }

    /// The states that stand now, by their points, with the event by which each began.
    func standing() -> [String: Int64] { known.withLock { $0.standing } }
}
