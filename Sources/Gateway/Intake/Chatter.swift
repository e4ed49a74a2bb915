import AlarmProtocol

/// When a point counts as chattering, and no longer: `chatter = { changes = 20, within = "60s" }`.
public struct ChatterLimit: Sendable, Hashable {
    /// More changes than this, 4–1000, are chatter where they come
    public var changes: Int
    /// within this time, 1 s to 1 h. It has ended when nothing has changed for as long.
    public var within: Duration

    public init(changes: Int = 20, within: Duration = .seconds(60)) {
        self.changes = changes
        self.within = within
    }

    /// For a fault of a point or of a part of a device, and for a device that is lost and found again and again. A
    /// device is tried again every 30 s at last, so its time must be longer than that.
    static let faults = ChatterLimit(changes: 10, within: .seconds(600))
}

/// What of a device's events is told when a point changes more often than anybody could act on (promise 6). Pure: events
/// and the time in, what is to be stored out. Times are milliseconds of a clock that never steps.
///
/// - The first changes go as always. One more within the time, and the point chatters: told once, and from then on its
///   changes are counted.
/// - A beginning is never held back; an end is, until nothing has changed for the limit's time. So a chattering point
///   stands as active at the centre, and what stands at last is known there: at once where it is active, and with the
///   end of the chatter where it is at rest.
/// - Of fire and danger, what stands out from the chatter is told as well: an activation after a rest of `pause`, and one
///   that stands for `pause`; each with the rest before it, so that it comes as a new alarm.
/// - A call is held back only where it repeats, word for word and code for code, what its point said last. What differs is
///   told at once: another zone, a fire where it was a burglary.
/// - The count is told now and then while it goes on, and with the end.
///
/// A value: whoever could not store what it gave goes on with the value from before, so nothing is lost.
struct Chatter: Sendable {
    enum Outcome: Sendable {
        case tell(NewEvent)
        /// More changes than the limit allows. `saysWords`: calls, not changes of a state.
        case began(point: String, ChatterLimit, saysWords: Bool)
        /// It goes on: so many changes so far.
        case goesOn(point: String, changes: Int)
        /// Nothing has changed for the limit's time; the state that stands, where the point has one.
        case ended(point: String, ChatterLimit, changes: Int, active: Bool?, sinceStart: Bool)
    }

    /// How long a fire or danger contact must rest, or stand, to stand out from its chatter.
    static let pause: Int64 = 5000
    /// How often the count is told while it goes on.
    static let countInterval: Int64 = 900_000
    /// Points whose changes are counted. Of more, nothing is held back.
    static let pointLimit = 2000
    /// A chattering point's own name is its point's with this behind it.
    static let suffix = ".chatter"

    /// A point that does not chatter.
    private struct Line: Sendable {
        /// Its changes within the limit's time.
        var times: [Int64] = []
        var said: Words?
    }

    /// What was last told of a point that says words: everything but when.
    private struct Words: Sendable, Equatable {
        let said: Event

        init(_ event: Event) {
            var said = event
            said.occurred = Moment(utc: 0, uptime: 0, clock: .unknown)
            self.said = said
        }
    }

    /// A point that chatters.
    fileprivate struct Spell: Sendable {
        var lastChange: Int64
        var changes = 0
        var countTold: Int64
        var changesTold = 0
        var sinceStart = false
        /// The last rest that was held back, and the activation after it that was not told because the centre has an
        /// earlier one that never ended.
        var rest: NewEvent?
        var rise: NewEvent?

        /// The state it is in, where the centre has been told another.
        var seen: Bool? { rest != nil && rise == nil ? false : nil }
    }

    private let limits: [String: ChatterLimit]
    private let others: ChatterLimit
    private var lines: [String: Line] = [:]
    private var spells: [String: Spell] = [:]

    /// - Parameters:
    ///   - limits: by the points' full names.
    ///   - others: of what is said under other names.
    init(_ limits: [String: ChatterLimit], others: ChatterLimit) {
        self.limits = limits
        self.others = others
    }

    private func limit(of point: String) -> ChatterLimit {
        limits[point] ?? (point.hasSuffix(".fault") ? .faults : others)
    }

    /// A point was chattering when the daemon ended.
    mutating func resume(_ point: String, now: Int64) {
        spells[point] = Spell(lastChange: now, countTold: now, sinceStart: true)
    }

    /// The state that a point is in, where the centre has been told another; nil where it knows.
    func seen(_ point: String) -> Bool? { spells[point]?.seen }

    /// When there is something to `settle`.
    var nextDue: Int64? {
        spells.map { point, spell in
            var due = spell.lastChange + limit(of: point).within.milliseconds
            if spell.isRisen { due = min(due, spell.lastChange + Self.pause) }
            return spell.changes > spell.changesTold ? min(due, spell.countTold + Self.countInterval) : due
        }.min()
    }

    // MARK: What happened

    /// - Parameters:
    ///   - events: each one a change from the state that was seen before it.
    ///   - known: the last stored state of a point.
    mutating func judge(_ events: [NewEvent], now: Int64, known: (String) -> Bool?) -> [Outcome] {
        var outcomes: [Outcome] = []
        var told: [String: Bool] = [:]
        for new in events {
            let point = new.event.point
            for outcome in judge(new, now, told: told[point] ?? known(point) ?? false) {
                if case .tell(let new) = outcome, let active = new.active { told[point] = active }
                outcomes.append(outcome)
            }
        }
        return outcomes
    }

    private mutating func judge(_ new: NewEvent, _ now: Int64, told: Bool) -> [Outcome] {
        let point = new.event.point
        if new.active == nil, !repeats(new, now) { return [.tell(new)] }
        if spells[point] != nil {
            return spells[point]?.change(new, now, told: told).map(Outcome.tell) ?? []
        }
        let limit = limit(of: point)
        var times = lines[point]?.times ?? []
        times.removeAll { now - $0 >= limit.within.milliseconds }
        guard times.count >= limit.changes else {
            if hasRoom(for: point, now) { lines[point, default: Line()].times = times + [now] }
            return [.tell(new)]
        }
        var spell = Spell(lastChange: times.last ?? now, countTold: now)
        let outcomes = spell.change(new, now, told: told).map(Outcome.tell)
        spells[point] = spell
        lines[point]?.times = []
        return outcomes + [.began(point: point, limit, saysWords: new.active == nil)]
    }

    /// Whether it is what its point said last, word for word and code for code. What is not begins a new run of repeats.
    private mutating func repeats(_ new: NewEvent, _ now: Int64) -> Bool {
        let point = new.event.point
        let words = Words(new.event)
        if lines[point]?.said == words { return true }
        if hasRoom(for: point, now) { lines[point] = Line(times: [now], said: words) }
        return false
    }

    /// Points that were still for their time are forgotten where there are too many.
    private mutating func hasRoom(for point: String, _ now: Int64) -> Bool {
        if lines[point] != nil || lines.count < Self.pointLimit { return true }
        lines = lines.filter { point, line in
            spells[point] != nil || line.times.contains { now - $0 < limit(of: point).within.milliseconds }
        }
        return lines.count < Self.pointLimit
    }

    // MARK: What did not happen

    /// What is due by now.
    /// - Parameters:
    ///   - isWatched: whether the point can be read. Of one that cannot, nobody knows that it stands still.
    ///   - known: the last stored state of a point.
    mutating func settle(now: Int64, isWatched: (String) -> Bool, known: (String) -> Bool?) -> [Outcome] {
        var outcomes: [Outcome] = []
        for point in spells.keys.sorted() {
            guard var spell = spells[point] else { continue }
            let limit = limit(of: point)
            if !isWatched(point) { spell.lastChange = now }
            let still = now - spell.lastChange
            if still >= limit.within.milliseconds {
                if spell.seen != nil, let rest = spell.rest { outcomes.append(.tell(rest)) }
                outcomes.append(
                    .ended(
                        point: point, limit, changes: spell.changes, active: spell.seen ?? known(point),
                        sinceStart: spell.sinceStart))
                spells[point] = nil
                lines[point] = nil
                continue
            }
            if spell.isRisen, still >= Self.pause { outcomes += spell.release().map(Outcome.tell) }
            if spell.changes > spell.changesTold, now - spell.countTold >= Self.countInterval {
                outcomes.append(.goesOn(point: point, changes: spell.changes))
                spell.changesTold = spell.changes
                spell.countTold = now
            }
            spells[point] = spell
        }
        return outcomes
    }
}

extension Chatter.Spell {
    /// A fire or danger contact is active again, after a rest that was not told.
    fileprivate var isRisen: Bool { rise.map { $0.event.urgency <= .danger } ?? false }

    /// One more change. - Returns: what is told of it.
    fileprivate mutating func change(_ new: NewEvent, _ now: Int64, told: Bool) -> [NewEvent] {
        let quiet = now - lastChange
        changes += 1
        lastChange = now
        let standsOut = new.event.urgency <= .danger && quiet >= Chatter.pause
        switch new.active {
        case nil: return standsOut ? [new] : []
        case false?:
            rest = told ? new : nil
            rise = nil
            return []
        case true?:
            // The rest before it, which nobody has been told of, goes first.
            if !told || standsOut {
                rise = new
                return release()
            }
            rise = new
            return []
        }
    }

    /// What was held back, in its order; now it is told.
    fileprivate mutating func release() -> [NewEvent] {
        defer { (rest, rise) = (nil, nil) }
        return [rest, rise].compactMap(\.self)
    }
}
