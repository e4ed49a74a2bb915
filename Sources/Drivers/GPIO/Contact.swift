/// One contact over time: takes edges and levels, gives the changes that outlasted the bounce. Pure.
///
/// Times are nanoseconds of the edges' own clock. Debouncing is done in the edges' time, not in the time they are read:
/// a pulse that was long enough is told even when both of its edges are read late and together.
struct Contact: Sendable {
    struct Edge: Sendable, Hashable {
        /// Nanoseconds of the edges' own clock.
        var at: Int64
        /// What the line was from then on.
        var level: Bool
        /// Edges before this one were lost.
        var isAfterGap = false
    }

    enum Change: Sendable, Hashable {
        /// The line stands at this level since then.
        case level(Bool, since: Int64)
        /// Its state cannot be told; why, in words.
        case restless(String, at: Int64)
        /// It can be told (again).
        case calm(at: Int64)
    }

    /// A contact that does not stand still for this long, or for twice its own time, is in fault: its state cannot be told.
    static let shortestPatience: Int64 = 2_000_000_000
    /// The fault ends when it has stood still for this long.
    static let recovery: Int64 = 10_000_000_000

    /// How long a level must stand to count.
    let debounce: Int64
    private var patience: Int64 { max(Self.shortestPatience, 2 * debounce) }
    /// What was last told; nil before the first.
    private(set) var told: Bool?
    private var level: Bool
    /// The last edge.
    private var since: Int64
    /// When it last began to move; nil when it stands still.
    private var moving: Int64?
    private var inFault = false

    init(level: Bool, at now: Int64, debounce: Int64) {
        self.level = level
        self.since = now
        self.moving = now
        self.debounce = max(0, debounce)
    }

    /// What reading the line brought: its edges in order, then its level, read at `now`.
    /// - Parameter lost: after the last of these edges there may have been more than the kernel kept. The level is then
    ///   the only truth.
    mutating func observe(edges: [Edge], level current: Bool, lost: Bool, at now: Int64) -> [Change] {
        var changes: [Change] = []
        for edge in edges {
            let time = min(edge.at, now)
            if edge.isAfterGap {
                resume(as: edge.level, at: time, &changes)
            } else {
                move(to: edge.level, at: time, &changes)
            }
        }
        if lost {
            resume(as: current, at: now, &changes)
        } else if current != level {
            move(to: current, at: now, &changes)
        }
        settle(at: now, &changes)
        if let moving, now - moving >= patience {
            fault(
                "it has not stood still for \(debounce / 1_000_000) ms in \(patience / 1_000_000_000) s", at: now,
                &changes)
        }
        return changes
    }

    /// When to read the line again though it says nothing; nil when it stands still.
    var deadline: Int64? {
        if moving != nil { return since + debounce }
        return inFault ? since + Self.recovery : nil
    }

    private mutating func move(to next: Bool, at time: Int64, _ changes: inout [Change]) {
        let time = max(time, since)
        settle(at: time, &changes)
        level = next
        since = time
        moving = moving ?? time
    }

    /// What passed since the last edge that was kept is unknown, so the level counts from now.
    private mutating func resume(as next: Bool, at time: Int64, _ changes: inout [Change]) {
        let unseen = time - since
        if unseen >= debounce {
            fault(
                "it changed more often than could be read; changes of up to \(unseen / 1_000_000) ms were missed",
                at: time, &changes)
        }
        (level, since, moving) = (next, max(since, time), moving ?? time)
    }

    private mutating func settle(at time: Int64, _ changes: inout [Change]) {
        guard time - since >= debounce else { return }
        moving = nil
        if level != told {
            // A fault that was told before we were started ends here.
            if told == nil, !inFault { changes.append(.calm(at: since)) }
            told = level
            changes.append(.level(level, since: since))
        }
        if inFault, time - since >= Self.recovery {
            inFault = false
            changes.append(.calm(at: time))
        }
    }

    private mutating func fault(_ reason: String, at time: Int64, _ changes: inout [Change]) {
        guard !inFault else { return }
        inFault = true
        changes.append(.restless(reason, at: time))
    }
}
