/// What two centres did with the same events. Pure.
struct Comparison: Sendable {
    /// Times from storing to the ACK, in milliseconds.
    struct Times: Sendable, Equatable {
        private(set) var count = 0
        private var timed: Int64 = 0
        private var sum: Int64 = 0
        private(set) var longest: Int64 = 0
        var mean: Int64? { timed > 0 ? sum / timed : nil }

        /// - Parameter time: nil where it is not measured.
        fileprivate mutating func note(_ time: Int64?) {
            count += 1
            guard let time else { return }
            timed += 1
            sum += time
            longest = max(longest, time)
        }
    }

    private struct Entry: Sendable {
        var stored: Int64
        var isPresent = false
        var isNew = false
        var isRefused = false
        /// It waited already when the trial began.
        var isBacklog = false
        var isDone: Bool { isPresent && (isNew || isRefused) }
    }

    /// Events followed at a time. One more is not sent to the new centre, and counts against it.
    static let limit = 4000

    /// Those that not both have settled yet.
    private var open: [Int64: Entry] = [:]
    /// Compared in all.
    private(set) var events = 0
    private(set) var present = Times()
    private(set) var new = Times()
    private(set) var both = 0
    private(set) var refused = 0
    private(set) var whyRefused: String?
    /// Not sent to the new centre: too many waited.
    private(set) var dropped = 0
    /// When the new centre last acknowledged something that waited when the trial began.
    private var lastOfBacklog: Int64 = 0
    /// When the trial's own test was stored.
    private(set) var testStored: Int64?

    var onlyPresent: Int { present.count - both }
    var onlyNew: Int { new.count - both }

    /// - Parameter isBacklog: it waited already when the trial began: how long it takes is not judged, as long as something
    ///   of that moves.
    /// - Returns: false where there are too many: it is counted as dropped.
    mutating func stored(_ id: Int64, at time: Int64, isTest: Bool = false, isBacklog: Bool = false) -> Bool {
        events += 1
        guard open.count < Self.limit else {
            dropped += 1
            return false
        }
        if isTest { testStored = time }
        open[id] = Entry(stored: time, isBacklog: isBacklog)
        return true
    }

    /// So many could not be sent to the new centre.
    mutating func drop(_ count: Int) {
        events += count
        dropped += count
    }

    mutating func presentAcknowledged(_ id: Int64, at time: Int64) {
        guard let entry = open[id], !entry.isPresent else { return }
        present.note(entry.isBacklog ? nil : time - entry.stored)
        if entry.isNew { both += 1 }
        change(id) { $0.isPresent = true }
    }

    mutating func newAcknowledged(_ id: Int64, at time: Int64) {
        guard let entry = open[id], !entry.isNew else { return }
        new.note(entry.isBacklog ? nil : time - entry.stored)
        if entry.isBacklog { lastOfBacklog = time }
        if entry.isPresent { both += 1 }
        change(id) { $0.isNew = true }
    }

    mutating func newRefused(_ id: Int64, why: String) {
        guard let entry = open[id], !entry.isRefused else { return }
        refused += 1
        whyRefused = why
        change(id) { $0.isRefused = true }
    }

    /// It could not be sent to the new centre.
    mutating func lost(_ id: Int64) {
        guard open.removeValue(forKey: id) != nil else { return }
        dropped += 1
    }

    private mutating func change(_ id: Int64, _ change: (inout Entry) -> Void) {
        guard var entry = open[id] else { return }
        change(&entry)
        open[id] = entry.isDone ? nil : entry
    }

    /// When the oldest event was stored that the new centre has neither acknowledged nor refused.
    var oldestOpen: Int64? { open.values.lazy.filter { !$0.isNew && !$0.isRefused }.map(\.stored).min() }

    /// How many the new centre has had for longer than allowed, without an answer.
    func overdue(within limit: Int64, _ now: Int64) -> Int {
        open.values.count { entry in
            guard !entry.isNew, !entry.isRefused else { return false }
            return now - (entry.isBacklog ? max(entry.stored, lastOfBacklog) : entry.stored) > limit
        }
    }

    /// What speaks against the new centre; empty where nothing does.
    func objections(within limit: Int64, _ now: Int64) -> [String] {
        var found: [String] = []
        if refused > 0 { found.append("it refused \(counted(refused)): \(whyRefused ?? "DUH")") }
        let overdue = overdue(within: limit, now)
        let span = StatusScreen.span(limit / 1000)
        if overdue > 0 { found.append("it has not acknowledged \(counted(overdue)) within \(span)") }
        if new.longest > limit {
            found.append(
                "it took up to \(StatusScreen.span(new.longest / 1000)) to acknowledge, and \(span) is allowed")
        }
        if dropped > 0 {
            found.append("\(counted(dropped)) could not be sent to it: more than \(Self.limit) waited")
        }
        return found
    }

    private func counted(_ count: Int) -> String { count == 1 ? "1 event" : "\(count) events" }
}
