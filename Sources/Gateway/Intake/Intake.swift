import AlarmProtocol
import Drivers
import Synchronization

/// The synchronous half: from a signal to an event on disk. Keeps the last known state of every point in step with the
/// outbox, so that what has not changed is not told again.
final class Intake: Sendable {
    let outbox: Outbox
    let clock: @Sendable () -> Moment
    /// The last stored state of every point. One device's points are only touched by that device's thread; the lock is
    /// for the dictionary, and is not held during a sync.
    private let states: Mutex<[String: Bool]>
    private let onStored: @Sendable ([NewEvent], [Int64]) -> Void

    /// - Parameter onStored: told of events once they are durable.
    init(
        outbox: Outbox, clock: @escaping @Sendable () -> Moment,
        onStored: @escaping @Sendable ([NewEvent], [Int64]) -> Void = { _, _ in }
    ) {
        self.outbox = outbox
        self.onStored = onStored
        self.clock = clock
        states = Mutex(outbox.lastStates())
    }

    /// Stores the events that `make` gives for the known states. Durable when it returns; nothing is remembered of what
    /// could not be stored, so that the next reading tries again.
    /// - Parameter kept: a device's few bytes, kept in the same commit.
    /// - Returns: the identifiers.
    func take(
        keeping kept: Outbox.Kept? = nil, _ make: (_ known: (String) -> Bool?) -> [NewEvent]
    ) throws(OutboxError) -> [Int64] {
        let known = states.withLock { $0 }
        let events = make { known[$0] }
        guard !events.isEmpty else {
            // Nothing hangs on it but that something is told twice: no reason to hold a reading back.
            if let kept { try? outbox.keep(kept.bytes, of: kept.device) }
            return []
        }
        let ids = try outbox.append(events, keeping: kept)
        states.withLock { states in
            for new in events { if let active = new.active { states[new.event.point] = active } }
        }
        onStored(events, ids)
        return ids
    }

    /// The last stored state of every point that has one.
    func lastStates() -> [String: Bool] { states.withLock { $0 } }

    /// The present state of a point, as last stored.
    func state(of point: String) -> Bool? { states.withLock { $0[point] } }
}
