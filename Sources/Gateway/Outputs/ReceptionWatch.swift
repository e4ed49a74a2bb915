import AlarmProtocol

/// Which alarms of the watched points a receiver has acknowledged, and which have waited for it longer than their time
/// limit. Pure; times are milliseconds of uptime.
///
/// EN 54-21: no acknowledgement within 100 s (type 1) or 240 s (type 2) of the start of the fire signal is a fault
/// warning, and the received acknowledgement must be indicated.
struct ReceptionWatch: Sendable {
    /// An alarm that nobody has acknowledged.
    private struct Open: Sendable {
        var id: Int64
        /// When it began.
        var since: Int64
        /// How old it is was known; else `since` is when it was met.
        var isAgeKnown: Bool
    }

    private struct Line: Sendable {
        /// Nil: what is received is shown, and has no time limit.
        var limit: Int64?
        /// The event that began the present alarm.
        var present: Int64?
        /// By identifier: events of one point are delivered in their order, so the first is the one to wait for.
        var open: [Open] = []
        /// It has been told as overdue.
        var isTold = false
        /// How the last wait ended.
        var lastWasAcknowledged = true

        func isOverdue(_ now: Int64) -> Bool {
            guard let limit, let first = open.first else { return false }
            return now - first.since >= limit
        }
    }

    /// What is to be told of a point.
    struct Change: Sendable, Equatable {
        var point: String
        var isOverdue: Bool
        /// The event that is overdue.
        var event: Int64?
        /// Milliseconds.
        var limit: Int64
        var isAgeKnown = true
        /// The wait ended because a receiver acknowledged it; else a person discarded it, or it is lost.
        var wasAcknowledged = true
    }

    private var lines: [String: Line]
    private var pointOfEvent: [Int64: String] = [:]
    /// The points whose present alarm a receiver has acknowledged.
    private(set) var received: Set<String> = []

    /// - Parameter points: the points to watch, with their limits in milliseconds; nil for none.
    init(_ points: [String: Int64?]) { lines = points.mapValues { Line(limit: $0) } }

    func watches(_ point: String) -> Bool { lines[point] != nil }

    /// An alarm of the point has been stored.
    /// - Parameter isPresent: it is what the point says now; not so for one that is met when the daemon starts.
    mutating func began(
        _ id: Int64, of point: String, since: Int64, isAgeKnown: Bool = true, isPresent: Bool = true
    ) {
        guard lines[point] != nil, pointOfEvent[id] == nil else { return }
        pointOfEvent[id] = point
        let open = Open(id: id, since: since, isAgeKnown: isAgeKnown)
        let place = lines[point]?.open.firstIndex { $0.id > id } ?? lines[point]?.open.count ?? 0
        lines[point]?.open.insert(open, at: place)
        if isPresent {
            lines[point]?.present = id
            received.remove(point)
        }
    }

    /// What the point says now is this alarm, from before the daemon started.
    mutating func resume(_ id: Int64, of point: String, isReceived: Bool) {
        guard let line = lines[point], line.present == nil else { return }
        lines[point]?.present = id
        if isReceived { received.insert(point) }
    }

    /// The point was told overdue before the daemon started.
    mutating func resumeTold(_ point: String) { lines[point]?.isTold = true }

    /// The point is at rest again. What of it has not been acknowledged is waited for all the same.
    mutating func rests(_ point: String) {
        lines[point]?.present = nil
        received.remove(point)
    }

    /// The wait for an event is over.
    /// - Parameter isAcknowledged: a receiver has it; else a person has discarded it, or it is lost.
    mutating func ended(_ id: Int64, isAcknowledged: Bool) {
        guard let point = pointOfEvent.removeValue(forKey: id) else { return }
        lines[point]?.open.removeAll { $0.id == id }
        lines[point]?.lastWasAcknowledged = isAcknowledged
        if isAcknowledged, lines[point]?.present == id { received.insert(point) }
    }

    /// An alarm has waited longer than its limit. True also until the end of that has been told.
    func isOverdue(at now: Int64) -> Bool { lines.values.contains { $0.isTold || $0.isOverdue(now) } }

    /// The points of which that is so.
    func overduePoints(at now: Int64) -> [String] { lines.filter { $0.value.isOverdue(now) }.keys.sorted() }

    /// The events that are overdue, the first of each point.
    func overdueEvents(at now: Int64) -> [Int64] {
        lines.values.filter { $0.isOverdue(now) }.compactMap(\.open.first?.id)
    }

    /// What there is to tell, once.
    mutating func changes(at now: Int64) -> [Change] {
        var changes: [Change] = []
        for (point, line) in lines where line.isOverdue(now) != line.isTold {
            lines[point]?.isTold = !line.isTold
            changes.append(
                Change(
                    point: point, isOverdue: !line.isTold, event: line.open.first?.id, limit: line.limit ?? 0,
                    isAgeKnown: line.open.first?.isAgeKnown ?? true, wasAcknowledged: line.lastWasAcknowledged))
        }
        return changes.sorted { $0.point < $1.point }
    }

    /// Since when an event that is met at a start has waited, in this boot's uptime, as far as that can be known: by the
    /// uptime of the same boot, else by the wall clock, where it was known then and is known now.
    static func age(of stored: StoredEvent, boot: Int64, now: Moment) -> (since: Int64, isKnown: Bool) {
        let occurred = stored.event.occurred
        if stored.boot == boot, (0...max(0, now.uptime)).contains(occurred.uptime) { return (occurred.uptime, true) }
        guard now.clock != .unknown, occurred.clock != .unknown else { return (now.uptime, false) }
        return (now.uptime - max(0, now.utc - stored.stored), true)
    }
}
