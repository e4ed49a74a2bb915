/// Moving a receiver to a new centre: what was asked for, how far it has come, and what comes next. Pure: what happened and
/// the time in, the next step out. Times are milliseconds of a clock that never steps, unless it says otherwise.
///
/// The new centre is first tried beside the present one (`shadow`): it gets every event, and only the present one counts.
/// If it acknowledged all of them in time it is switched to, else the trial is held until a person decides. After the
/// switch the old centre is only polled, and as long as a person has not kept the new one, what it fails to acknowledge
/// in time brings the old one back. docs/decisions/0034-moving-house.md.
struct CentreMove: Sendable {
    enum Phase: String, Codable, Sendable {
        /// Tried beside the present centre.
        case shadow
        /// The trial has not convinced, or a step could not be kept: it goes on until a person decides.
        case held
        /// The new centre counts, and is watched.
        case switched
        /// The new centre counts for good; the site file still names the old one.
        case kept

        var newCounts: Bool { self == .switched || self == .kept }
    }

    /// What is agreed, as it is kept over restarts (`MoveFile`). Holds no key: the settings name key files, as a site file
    /// does.
    struct Record: Codable, Sendable, Equatable {
        /// The receiver's name in the site file.
        var receiver: String
        /// The new settings: TOML, [receiver.NAME] as in a site file, and [path.NAME] where a path has its own.
        var settings: String
        /// Where the receiver's paths led before: "host:port", sorted. Tells whether the site file has changed since.
        var from: [String]
        /// Where they lead to now.
        var to: [String]
        var phase = Phase.shadow
        /// Who brought it into this phase, and when: milliseconds since 1970 UTC, to be shown.
        var by: String
        var since: Int64
        /// How long the new centre is tried, in milliseconds.
        var shadow: Int64
        /// Within what time it must acknowledge, in milliseconds.
        var within: Int64
        /// Why the trial is held.
        var reasons: [String] = []
    }

    enum Step: Sendable, Equatable {
        /// The trial has convinced.
        case switchOver
        /// It has not.
        case hold([String])
        /// The new centre does not acknowledge, and the old one answers.
        case comeBack(String)
        /// Nobody has decided on a held trial.
        case giveUp
    }

    private(set) var record: Record
    var comparison = Comparison()
    var watch = Watch()
    /// When the present phase began in this life of the daemon.
    private(set) var began: Int64
    /// Since when no path to the new centre has worked while it is tried; nil while one does.
    private var newSilentSince: Int64?

    static let shadowRange: ClosedRange<Duration> = .zero...(.seconds(30 * 24 * 3600))
    static let withinRange: ClosedRange<Duration> = .seconds(5)...(.seconds(3600))
    static let usualShadow = Duration.seconds(24 * 3600)
    /// EN 54-21, type 1: a fire alarm is acknowledged within 100 s.
    static let usualWithin = Duration.seconds(100)
    /// A held trial that nobody decides on is given up after so long.
    static let heldLimit: Int64 = 7 * 24 * 3_600_000

    init(_ record: Record, now: Int64) {
        self.record = record
        began = now
        newSilentSince = now
        watch.begin(now)
    }

    /// While it is tried: whether any path to the new centre works.
    mutating func note(newWorks: Bool, _ now: Int64) { newSilentSince = newWorks ? nil : newSilentSince ?? now }

    /// A new phase, or the same anew: what was compared and watched begins from nothing.
    mutating func enter(_ record: Record, now: Int64) {
        let goesOn = self.record.phase == .shadow && record.phase == .held
        self.record = record
        began = now
        guard !goesOn else { return }
        comparison = Comparison()
        watch = Watch()
        watch.begin(now)
    }

    /// How much of the trial is left; 0 when its time has passed.
    func shadowLeft(_ now: Int64) -> Int64 { max(0, began + record.shadow - now) }

    func step(_ now: Int64) -> Step? {
        switch record.phase {
        case .shadow: return judge(now)
        case .held: return now - began >= Self.heldLimit ? .giveUp : nil
        case .switched: return watch.fault(within: record.within, now).map { .comeBack($0) }
        case .kept: return nil
        }
    }

    private func judge(_ now: Int64) -> Step? {
        let end = began + record.shadow
        guard now >= end else { return nil }
        let objections = comparison.objections(within: record.within, now)
        guard objections.isEmpty else { return .hold(objections) }
        guard let tested = comparison.testStored else {
            return now - end > record.within ? .hold(["the test event could not be stored"]) : nil
        }
        // What has come after the end is not waited for.
        if let oldest = comparison.oldestOpen, oldest <= max(end, tested) { return nil }
        // Nobody is switched to whom nothing leads at this moment.
        if let silent = newSilentSince {
            let isLasting = now - max(silent, end) > record.within
            return isLasting ? .hold(["no path to it works"]) : nil
        }
        return .switchOver
    }
}
