/// Joins what a reset at the panel makes of an alarm that goes on: `reset-within` of a point. Pure.
///
/// A panel whose alarm is reset while its cause stands lets its alarm contact go, and takes it again some seconds later.
/// That is one alarm, raised again, and not an end with a new alarm. So an end is held back for that time: when the contact
/// comes back within it, the alarm is told again, and its end was none. No alarm is ever held back.
struct PanelReset: Sendable {
    enum Told: Sendable, Hashable {
        case change(Contact.Change)
        /// The alarm stands, and was raised again at this time, so long after it was let go; nanoseconds.
        case again(at: Int64, after: Int64)
    }

    /// Nanoseconds; 0: an end is told at once.
    let within: Int64
    private let activeLevel: Bool
    private var isActive = false
    /// When the contact was let go, where that has not been told.
    private var released: Int64?

    init(within: Int64, activeLevel: Bool) {
        self.within = within
        self.activeLevel = activeLevel
    }

    /// What is to be told of these changes, and of the time that has passed.
    mutating func take(_ changes: [Contact.Change], at now: Int64) -> [Told] {
        var told: [Told] = []
        for change in changes {
            guard within > 0, case .level(let level, let since) = change else {
                told.append(.change(change))
                continue
            }
            settle(at: since, &told)
            if level != activeLevel, isActive {
                released = since
            } else if level == activeLevel, let before = released {
                released = nil
                told.append(.again(at: since, after: since - before))
            } else {
                told.append(.change(change))
                isActive = level == activeLevel
            }
        }
        settle(at: now, &told)
        return told
    }

    /// When an end is to be told though nothing changes; nil when none is held back.
    var deadline: Int64? { released.map { $0 + within } }

    private mutating func settle(at time: Int64, _ told: inout [Told]) {
        guard let since = released, time - since >= within else { return }
        released = nil
        isActive = false
        told.append(.change(.level(!activeLevel, since: since)))
    }
}
