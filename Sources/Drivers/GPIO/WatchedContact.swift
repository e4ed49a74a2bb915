import AlarmProtocol
import Glibc

/// A contact, from the levels of its line to what is reported of it: settled, held, and judged over a reset at its panel.
struct WatchedContact: Sendable {
    let settings: ContactSettings
    private var contact: HeldContact
    private var reset: PanelReset
    /// The level that was last found, and since when.
    private(set) var told: (level: Bool, since: Int64)?

    /// - Parameter now: of the edges' clock, in nanoseconds.
    init(_ settings: ContactSettings, level: Bool, at now: Int64) {
        self.settings = settings
        contact = HeldContact(
            level: level, at: now, debounce: settings.debounce.milliseconds * 1_000_000,
            hold: settings.hold.milliseconds * 1_000_000)
        reset = PanelReset(
            within: settings.resetWithin.milliseconds * 1_000_000, activeLevel: settings.activeLevel)
    }

    /// What reading the line brought, as `Contact.observe` takes it.
    mutating func observe(
        edges: [Contact.Edge] = [], level: Bool, lost: Bool = false, at clocks: ContactClocks
    ) -> [Signal] {
        let changes = contact.observe(edges: edges, level: level, lost: lost, at: clocks.edges)
        for case .level(let level, let since) in changes { told = (level, since) }
        return reset.take(changes, at: clocks.edges).map { signal($0, clocks) }
    }

    /// When to read the line again though it says nothing; nil when there is no need.
    var deadline: Int64? { [contact.deadline, reset.deadline].compactMap(\.self).min() }

    /// Its level does not stand still, or has not for long.
    var isMoving: Bool { contact.deadline != nil }

    private func signal(_ told: PanelReset.Told, _ clocks: ContactClocks) -> Signal {
        let name = settings.name
        switch told {
        case .change(.level(let level, let since)):
            return Signal(point: name, .active(level == settings.activeLevel), occurred: clocks.moment(since))
        case .change(.restless(let why, let time)):
            return Signal(point: name, .fault("contact \(name): \(why)"), occurred: clocks.moment(time))
        case .change(.calm(let time)): return Signal(point: name, .healthy, occurred: clocks.moment(time))
        case .again(let time, let after):
            return Signal(
                point: name, .call,
                text: "\(settings.text) (again after \(after / 1_000_000) ms: reset at the panel?)",
                occurred: clocks.moment(time))
        }
    }
}

/// The clock of the edges (CLOCK_MONOTONIC) and the host's, read together, so that one can be said in the other.
struct ContactClocks {
    let edges: Int64
    let instant = ContinuousClock.now
    let host: Moment

    init(_ host: any Host) { self.init(monotonicNanoseconds(), host.now) }
    init(_ edges: Int64, _ host: Moment) { (self.edges, self.host) = (edges, host) }

    func instant(_ time: Int64) -> ContinuousClock.Instant { instant + .nanoseconds(time - edges) }

    func moment(_ time: Int64) -> Moment {
        let age = max(0, edges - time) / 1_000_000
        return Moment(utc: host.utc - age, uptime: host.uptime - age, clock: host.clock)
    }
}

/// CLOCK_MONOTONIC, which the kernel stamps edges with.
func monotonicNanoseconds() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}
