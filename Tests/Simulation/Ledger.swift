import AlarmProtocol

@testable import Gateway

/// What the world knows of every event: kept outside the daemon, by somebody who forgets nothing.
struct Ledger {
    struct Entry {
        let id: Int64
        /// As it was stored.
        let event: Event
        let active: Bool?
        let storedAt: Int64
        /// Which boot of the board it happened in, as the outbox numbers them.
        let boot: Int64
        /// When it happened, in milliseconds of the simulation.
        let happenedAt: Int64
        /// It lay in memory only, because the disk took nothing: it counts once a receiver has it.
        var isVolatile = false
        /// It was given up in memory: whoever reported it was told that it was not taken.
        var isWithdrawn = false
        var takenBy: Set<String> = []
        var refusedBy: Set<String> = []
        var frames = 0
        /// It waits no more, as far as the box is concerned.
        var isEnded = false

        var what: String { "event \(id) of \(event.point) (\(event.sia) \(event.urgency))" }
    }

    private(set) var entries: [Int64: Entry] = [:]
    /// Those that have not ended.
    private(set) var open: Set<Int64> = []
    var lastID: Int64 = 0
    /// The last stored state of each point that has one.
    private(set) var states: [String: (id: Int64, active: Bool)] = [:]
    /// The newest event of each point that has arrived at a receiver.
    private var arrived: [String: Int64] = [:]
    private var texts: [String: Int64] = [:]
    /// Points of which something was told from memory after what is on disk: the board may or may not remember that.
    private(set) var uncertain: Set<String> = []
    /// Numbers that were used in memory, and may come again after a cut.
    private(set) var passing: Set<Int> = []

    subscript(id: Int64) -> Entry? { entries[id] }

    /// - Returns: whether the point's state is news.
    mutating func add(_ entry: Entry) -> Bool {
        entries[entry.id] = entry
        open.insert(entry.id)
        lastID = max(lastID, entry.id)
        if !entry.event.text.isEmpty { texts[entry.event.text] = entry.id }
        if entry.isVolatile { passing.insert(StoredEvent.sequence(of: entry.id)) }
        guard let active = entry.active else { return true }
        let wasUncertain = uncertain.contains(entry.event.point)
        if entry.isVolatile { uncertain.insert(entry.event.point) } else { uncertain.remove(entry.event.point) }
        let before = states[entry.event.point]?.active ?? false
        states[entry.event.point] = (entry.id, active)
        return before != active || wasUncertain
    }

    mutating func change(_ id: Int64, _ change: (inout Entry) -> Void) {
        guard var entry = entries.removeValue(forKey: id) else { return }
        change(&entry)
        entries[id] = entry
        if entry.isEnded { open.remove(id) } else { open.insert(id) }
    }

    /// It was never there: not committed when the process died.
    mutating func remove(_ id: Int64) {
        entries[id] = nil
        open.remove(id)
    }

    /// What each point's state was last stored as, from what there is now.
    mutating func rebuildStates(_ counts: (Entry) -> Bool) {
        states = [:]
        for entry in entries.values where counts(entry) {
            guard let active = entry.active else { continue }
            let last = states[entry.event.point].flatMap { entries[$0.id] }
            if let last, (last.storedAt, last.id) > (entry.storedAt, entry.id) { continue }
            states[entry.event.point] = (entry.id, active)
        }
    }

    /// Events beyond this one lay in memory only, or were never committed: their numbers come again.
    mutating func forget(beyond id: Int64) {
        lastID = id
        for (point, newest) in arrived where newest > id { arrived[point] = id }
    }

    func holds(text: String) -> Bool { texts[text].map { entries[$0] != nil } ?? false }

    /// The event that said this last, unless it was given up.
    func told(_ text: String) -> Entry? {
        guard !text.isEmpty, let entry = texts[text].flatMap({ entries[$0] }) else { return nil }
        return entry.event.text == text && !entry.isWithdrawn ? entry : nil
    }

    /// The event that a number means now: the newest that has it.
    func id(ofSequence sequence: Int) -> Int64? {
        guard sequence >= 1, lastID >= Int64(sequence) else { return nil }
        let rounds = (lastID - Int64(sequence)) / 9999
        let known = (0...rounds).reversed().map { Int64(sequence) + $0 * 9999 }.filter { entries[$0] != nil }
        // What still waits may be of an earlier round.
        return known.first { open.contains($0) } ?? known.first
    }

    /// Arrived at a receiver. - Returns: the newer event of its point that had come before it, if any.
    mutating func arrive(_ entry: Entry) -> Int64? {
        guard entry.takenBy.isEmpty else { return nil }
        let newest = arrived[entry.event.point] ?? 0
        arrived[entry.event.point] = max(newest, entry.id)
        return newest > entry.id ? newest : nil
    }

}
