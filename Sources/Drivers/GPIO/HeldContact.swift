/// A contact whose changes must last: first the bounce is taken out, then what does not stand for the hold time. Pure.
///
/// A change that is shorter than `hold` is not told; a contact that goes on changing and never stands so long is in fault,
/// as one that goes on bouncing.
struct HeldContact: Sendable {
    private var contact: Contact
    private let hold: Int64
    /// What passed the debouncing, to be held; nil before its first level, and where nothing is held.
    private var held: Contact?
    private var bounces = false
    private var wavers = false

    /// - Parameter hold: how long a level must stand once it has settled, in nanoseconds; 0: as soon as it has.
    init(level: Bool, at now: Int64, debounce: Int64, hold: Int64) {
        contact = Contact(level: level, at: now, debounce: debounce)
        self.hold = hold
    }

    /// What was last told; nil before the first.
    var told: Bool? { hold > 0 ? held?.told : contact.told }

    /// As `Contact.observe`.
    mutating func observe(edges: [Contact.Edge], level: Bool, lost: Bool, at now: Int64) -> [Contact.Change] {
        let settled = contact.observe(edges: edges, level: level, lost: lost, at: now)
        guard hold > 0 else { return settled }
        var changes: [Contact.Change] = []
        var levels: [Contact.Edge] = []
        for change in settled {
            switch change {
            case .level(let level, let since):
                if held == nil { held = Contact(level: level, at: since, debounce: hold) }
                levels.append(Contact.Edge(at: since, level: level))
            case .restless:
                bounces = true
                if !wavers { changes.append(change) }
            case .calm:
                // The first is told with the first state that was held.
                if bounces, !wavers { changes.append(change) }
                bounces = false
            }
        }
        guard let current = contact.told else { return changes }
        for change in held?.observe(edges: levels, level: current, lost: false, at: now) ?? [] {
            switch change {
            case .level: changes.append(change)
            case .restless:
                wavers = true
                if !bounces { changes.append(change) }
            case .calm:
                wavers = false
                if !bounces { changes.append(change) }
            }
        }
        return changes
    }

    /// When to read the line again though it says nothing; nil when there is no need.
    var deadline: Int64? { [contact.deadline, held?.deadline].compactMap(\.self).min() }
}
