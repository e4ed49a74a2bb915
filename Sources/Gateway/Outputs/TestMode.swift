import AlarmProtocol
import Drivers
import Synchronization

/// Test mode: somebody works on the site, and the centre has been told so. Every event is kept and sent as always; what
/// they mean meanwhile is the centre's to judge. It has an owner and an end, and a restart ends it.
final class TestMode: Sendable {
    struct Running: Sendable {
        var person: String
        var why: String
        /// When it ends by itself, in milliseconds of uptime.
        var until: Int64
    }

    private struct State {
        var running: Running?
        /// An end that could not be stored yet.
        var owed: NewEvent?
        var hasLookedBack = false
    }

    /// The name of its state in the store.
    static let point = "larmnod.test-mode"
    static let longest = Duration.seconds(8 * 3600)

    private let account: String
    private let intake: Intake
    private let onChange: @Sendable (Bool) -> Void
    private let state = Mutex(State())

    /// - Parameter onChange: told whether it is on, each time that changes.
    init(account: String, intake: Intake, onChange: @escaping @Sendable (Bool) -> Void) {
        self.account = account
        self.intake = intake
        self.onChange = onChange
    }

    var running: Running? { state.withLock(\.running) }

    /// Begins it for a person. When this returns, its beginning is on disk.
    func begin(by person: String, for time: Duration, why: String) throws(ControlRefusal) -> Running {
        guard time >= .seconds(1), time <= Self.longest else {
            throw ControlRefusal("test mode lasts from 1s to \(Self.longest.described), as --for 30m")
        }
        let now = intake.clock()
        let running = Running(person: person, why: why, until: now.uptime + time.milliseconds)
        let other = state.withLock { state in
            if state.running == nil { state.running = running } else { return state.running }
            return nil
        }
        if let other {
            throw ControlRefusal(
                "test mode is on already, by \(other.person), for \((other.until - now.uptime) / 1000) s more: larmnod "
                    + "test-mode off ends it")
        }
        let reason = why.isEmpty ? "" : ": \(why)"
        do {
            _ = try intake.take { _ in
                [event(began: true, "test mode by \(person) for \(time.described)\(reason)", now)]
            }
        } catch {
            state.withLock { $0.running = nil }
            throw ControlRefusal("test mode was not begun: \(error)")
        }
        onChange(true)
        return running
    }

    /// Ends it. - Throws: `ControlRefusal` when it is not on.
    func end(by person: String) throws(ControlRefusal) {
        guard finish("ended by \(person)") else { throw ControlRefusal("test mode is not on") }
    }

    /// Once a second: ends it when its time is over. - Returns: what there is to tell the centre.
    func due(_ now: Moment) -> [BoxTrouble] {
        if state.withLock({ $0.running.map { now.uptime >= $0.until } ?? false }) { _ = finish("its time is over") }
        let (owed, isFirst) = state.withLock { state in
            defer {
                state.owed = nil
                state.hasLookedBack = true
            }
            return (state.owed, !state.hasLookedBack && state.running == nil)
        }
        if isFirst, intake.state(of: Self.point) ?? false {
            return [.made(event(began: false, "test mode: ended by a restart of larmnod", now))]
        }
        return owed.map { [.made($0)] } ?? []
    }

    /// - Returns: false when it was not on.
    private func finish(_ why: String) -> Bool {
        let wasOn = state.withLock { state in
            defer { state.running = nil }
            return state.running != nil
        }
        guard wasOn else { return false }
        let end = event(began: false, "test mode: \(why)", intake.clock())
        do { _ = try intake.take { _ in [end] } } catch { state.withLock { $0.owed = end } }
        onChange(false)
        return true
    }

    private func event(began: Bool, _ text: String, _ now: Moment) -> NewEvent {
        let codes = Kinds.testMode.saying(began: began)
        return NewEvent(
            Event(
                account: account, point: Self.point, sia: codes.sia, contactID: codes.contactID,
                qualifier: codes.qualifier, urgency: codes.urgency, text: text.limited, occurred: now),
            active: began)
    }
}
