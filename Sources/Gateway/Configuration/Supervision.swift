import Drivers

/// Within how long the fault of a path must be reported: a class of EN 50136-1, or a site's own numbers.
///
/// The classes' numbers are written down from memory of EN 50136-1:2012, whose tables we could not open: they are
/// unconfirmed. Something may be measured against them; nothing here says that it complies.
public struct Supervision: Sendable, Hashable {
    /// "DP4"; nil for own numbers.
    public var name: String?
    /// The longest time from the last good answer until the fault of the primary path (the first) is reported.
    public var primary: Duration
    /// The same for every other path while the primary works; nil: as the primary.
    public var alternate: Duration?
    /// The same while the primary is down; nil: as the primary.
    public var alternateAlone: Duration?

    /// It is for two paths or more.
    var isForSeveralPaths: Bool { alternate != nil || alternateAlone != nil }

    /// What must be said wherever the class is shown.
    public var remark: String {
        name == nil
            ? "the site's own numbers; measured against, not certified"
            : "numbers unconfirmed; measured against, not certified"
    }

    public var title: String { name ?? "own numbers" }

    /// The reporting times of the ten categories. The older EN 50136-1-1, whose classes T1–T6 could be confirmed, has
    /// the same 32 days, 25 h, 3 min, 90 s and 20 s.
    static let classes: [(String, Supervision)] = [
        single("SP1", .seconds(32 * 86_400)),
        single("SP2", .seconds(25 * 3600)),
        single("SP3", .seconds(30 * 60)),
        single("SP4", .seconds(3 * 60)),
        single("SP5", .seconds(90)),
        single("SP6", .seconds(20)),
        dual("DP1", .seconds(25 * 3600), alternate: .seconds(50 * 3600)),
        dual("DP2", .seconds(30 * 60), alternate: .seconds(25 * 3600)),
        dual("DP3", .seconds(3 * 60), alternate: .seconds(25 * 3600)),
        dual("DP4", .seconds(90), alternate: .seconds(5 * 3600)),
    ]

    private static func single(_ name: String, _ time: Duration) -> (String, Supervision) {
        (name, Supervision(name: name, primary: time))
    }

    /// While the primary is down, the alternate is watched as the primary was.
    private static func dual(_ name: String, _ time: Duration, alternate: Duration) -> (String, Supervision) {
        (name, Supervision(name: name, primary: time, alternate: alternate, alternateAlone: time))
    }
}

/// How a path is watched, and after how long its fault is known and told at the latest. Milliseconds.
///
/// The worst case: the line is cut right after a good answer. Nothing is noticed until the next link test; that one and
/// the tries after it run into their time limit; then the path is down, and an event says so over another path, where
/// the first try may run into a connection that has died unnoticed.
struct PathWatch: Sendable, Equatable {
    var poll: Int64
    var timeout: Int64
    var attempts: Int
    /// How long another path may need to tell it; 0 where there is none: the local fault output tells at once.
    var telling: Int64

    /// For the disk, the threads and the timers between them.
    static let reserve: Int64 = 1000
    /// No path is silent for longer, whatever its class allows.
    static let longestPoll: Int64 = 24 * 3_600_000
    static let shortestPoll: Int64 = 1000
    /// So many link tests begin and end within a reporting time, where a poll is worked out: one that is lost by chance
    /// then says nothing (SOS Access asks for two, and for three to six).
    static let linkTests: Int64 = 3
    /// The time limit of a reply where none is set: an eighteenth of the reporting time leaves room for all of this.
    static let longestTimeout: Int64 = 5000
    static let shortestTimeout: Int64 = 200

    static func timeout(within time: Int64) -> Int64 {
        min(longestTimeout, max(shortestTimeout, time / 18 / 100 * 100))
    }

    /// - Parameter others: the time limits of the other paths.
    static func telling(over others: [Int64]) -> Int64 { others.max().map { 2 * $0 + Dispatcher.firstBackOff } ?? 0 }

    /// The waits between one attempt and the next, together.
    var backOffs: Int64 {
        var wait: Int64 = 0
        var sum: Int64 = 0
        for _ in 1..<max(1, attempts) {
            wait = min(max(Dispatcher.firstBackOff, 2 * wait), Dispatcher.longestBackOff)
            sum += wait
        }
        return sum
    }

    /// All but the poll.
    var afterPoll: Int64 { Int64(attempts) * timeout + backOffs + telling + Self.reserve }
    /// From the last good answer until the fault is known and told, at the latest.
    var worst: Int64 { poll + afterPoll }

    /// The longest poll that keeps a reporting time; nil where none does.
    func longestPoll(within time: Int64) -> Int64? {
        let room = min(Self.longestPoll, time - afterPoll) / 1000 * 1000
        return room >= Self.shortestPoll ? room : nil
    }

    /// The poll that suits a reporting time: it is kept, and there are three link tests in it. Whole seconds, and whole
    /// minutes where it is long.
    func suitablePoll(within time: Int64) -> Int64? {
        guard let longest = longestPoll(within: time) else { return nil }
        let spread = max(Self.shortestPoll, time / Self.linkTests - timeout)
        let poll = min(longest, spread)
        return poll / (poll > 600_000 ? 60_000 : 1000) * (poll > 600_000 ? 60_000 : 1000)
    }

    /// The sum in words.
    var words: String {
        func time(_ milliseconds: Int64) -> String { Duration.milliseconds(milliseconds).described }
        let tell = telling > 0 ? ", \(time(telling)) to tell it over another path" : ""
        return "a link test after \(time(poll)), \(attempts) attempts of \(time(timeout)), \(time(backOffs)) between "
            + "them\(tell) and \(time(Self.reserve)) in reserve come to \(time(worst))"
    }
}
