import AlarmProtocol

/// Judges several contacts on one supply together: `supply = "NAME"` of each. Pure.
///
/// When the voltage that the contacts are wetted with is lost, or their common cable is cut, every contact reads as open at
/// once. Each is reported as what it is, an alarm or a fault; the common cause is reported beside them, so that the
/// operator does not take it for as many alarms.
struct SupplyWatch: Sendable {
    /// Contacts that open within this time of each other opened together.
    static let window: Int64 = 1_000_000_000

    let name: String
    /// What is known of each contact on the supply; those that are closed at rest tell of its loss.
    private var contacts: [String: Contact]
    private(set) var isLost = false
    private var isTold = false

    private struct Contact {
        var isClosedAtRest: Bool
        var isClosed: Bool?
        /// Since when; on the clock of the edges, in nanoseconds.
        var since: Int64 = 0
        /// It was open when it was first read: nobody saw it open.
        var isFirst = true
    }

    /// - Parameter contacts: those on this supply.
    init(_ name: String, _ contacts: [ContactSettings]) {
        self.name = name
        self.contacts = Dictionary(
            contacts.map { ($0.name, Contact(isClosedAtRest: !$0.activeLevel)) },
            uniquingKeysWith: { first, _ in first })
    }

    /// A contact of this supply was found closed or open.
    mutating func take(_ point: String, isClosed: Bool, since: Int64) {
        guard let before = contacts[point], before.isClosed != isClosed else { return }
        contacts[point]?.isClosed = isClosed
        contacts[point]?.since = since
        contacts[point]?.isFirst = before.isClosed == nil
    }

    /// What there is to report, once all that one reading brought has been taken.
    mutating func report(occurred: Moment) -> Signal? {
        let known = contacts.values.filter { $0.isClosed != nil }
        guard known.count == contacts.count else { return nil }
        let was = isLost
        if known.contains(where: { $0.isClosed == true }) {
            isLost = false
        } else if !isLost {
            // Those that nobody saw open may have opened together; what was seen did or did not.
            let seen = known.filter { $0.isClosedAtRest && !$0.isFirst }.map(\.since)
            isLost =
                (seen.max() ?? 0) - (seen.min() ?? 0) <= Self.window
                && (seen.isEmpty || seen.count == known.count { $0.isClosedAtRest })
        }
        guard isLost != was || !isTold else { return nil }
        isTold = true
        let text =
            isLost
            ? "Supply \(name): all \(contacts.count) contacts on it opened together: supply lost or cable cut?"
            : "Supply \(name)"
        return Signal(
            point: "supply-\(name)", .active(isLost), text: text, occurred: occurred, said: Said(.kind(Self.kind)))
    }

    private static let kind = EventKind.named("power-supply") ?? EventKind.all[0]
}

extension SupplyWatch {
    /// One for each supply that the contacts name.
    static func all(of contacts: [ContactSettings]) -> [SupplyWatch] {
        Dictionary(grouping: contacts.filter { $0.supply != nil }, by: { $0.supply ?? "" })
            .sorted { $0.key < $1.key }.map { SupplyWatch($0.key, $0.value) }
    }

    /// Refuses a supply that cannot tell of its loss, and a point that has the name of one.
    static func check(_ points: [ContactSettings], _ tables: [Settings]) {
        for (point, table) in zip(points, tables) {
            if points.contains(where: { point.name == "supply-\($0.supply ?? "")" && $0.supply != nil }) {
                table.problems.add(
                    table.place, "\(table.path): the supply of that name reports by this name: give the point another")
            }
            guard let supply = point.supply else { continue }
            let same = points.filter { $0.supply == supply }
            if same.count(where: { !$0.activeLevel }) < 2 {
                table.refuse(
                    "supply",
                    "the loss of supply \(supply) shows when contacts that are closed at rest open together: at least two "
                        + "points of this device must name it that are normally-closed or fail-safe")
            }
        }
    }
}

extension [SupplyWatch] {
    /// Tells the supplies what was found of the contacts, and gives what they make of it.
    mutating func judge(_ contacts: [WatchedContact], occurred: Moment) -> [Signal] {
        indices.compactMap { index in
            for one in contacts where one.settings.supply == self[index].name {
                guard let told = one.told else { continue }
                self[index].take(one.settings.name, isClosed: told.level, since: told.since)
            }
            return self[index].report(occurred: occurred)
        }
    }
}
