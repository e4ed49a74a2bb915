import AlarmProtocol

/// How much of each month each path worked, and how much of it at least one did. Pure: what each path is like, and the
/// time, in; months out. docs/decisions/0039-availability.md has the rules.
///
/// - A path works until it is known to be down, and is then down since its last good answer, not since that was found.
/// - The whole is down while every path is.
/// - Lengths come from the clock that never steps. The wall clock, where it is known, only says to which month they
///   belong; what was seen before it was known is kept, and follows once it is.
/// - What was neither seen working nor down was not watched: we were off, or stood still, or never knew the time.
struct Availability: Sendable {
    /// What the uplink knows of a path.
    struct Fact: Sendable {
        var name: String
        var isDown: Bool
        /// Its last good answer, in milliseconds of uptime.
        var lastGood: Int64?
    }

    struct Key: Sendable, Hashable, Comparable {
        var month: Month
        /// A path's name, or `whole`.
        var path: String

        static func < (a: Key, b: Key) -> Bool { (a.month, a.path) < (b.month, b.path) }
    }

    /// A month of a path, or of the whole. Milliseconds.
    struct Figures: Sendable, Hashable {
        var works: Int64 = 0
        var down: Int64 = 0
        /// Faults that stood in it; one that goes on into the next month counts in both.
        var faults = 0
        /// The longest of them, as far as it lies in this month.
        var longest: Int64 = 0
        /// The first of it that was watched: wall clock.
        var from: Int64
    }

    /// At least one path works. A path's name has no parenthesis.
    static let whole = "(whole)"
    /// Two years and this month are kept, and two more that a wrong clock may have made.
    static let monthsKept = 27
    /// Of all paths that there ever were; the oldest go.
    static let rowsKept = 2000
    /// What is kept for when the clock is known. The oldest goes: it was not watched.
    static let undatedKept = 2000
    /// Seen less often than this, the time between was not watched: we stood still.
    static let longestGap: Int64 = 60_000

    private(set) var rows: [Key: Figures]
    private var lines: [String: Line] = [:]
    private var undated: [Piece] = []
    /// The fault that runs, as far as it lies in its latest month.
    private var runs: [String: (month: Month, length: Int64)] = [:]
    /// When it last looked.
    private(set) var last: Moment?
    private var settled: Int64 = 0

    /// What is known of a path up to `mark`, and how it is since then.
    private struct Line: Sendable {
        var mark: Int64
        var isDown = false
        var downSince: Int64 = 0
        var lastGood: Int64 = 0
        /// None of the fault that runs has been counted yet.
        var isNewFault = false
    }

    private struct Piece: Sendable {
        var path: String
        var from: Int64
        var to: Int64
        var isDown: Bool
        var isNewFault: Bool
    }

    init(_ rows: [Key: Figures] = [:]) {
        self.rows = rows
        forgetOld()
    }

    /// Notes how every path is now.
    /// - Returns: whether one has gone down or come up.
    mutating func observe(_ facts: [Fact], at now: Moment) -> Bool {
        guard now.uptime >= last?.uptime ?? now.uptime else { return false }
        if let last, now.uptime - last.uptime > Self.longestGap { passOver(to: now.uptime) }
        last = now
        var hasChanged = false
        for fact in facts {
            if follow(fact.name, isDown: fact.isDown, since: fact.lastGood, now.uptime) { hasChanged = true }
        }
        let all = facts.compactMap { lines[$0.name] }
        guard !all.isEmpty else { return false }
        // All are down since the last one's last good answer; until then one of them worked.
        let isDown = all.allSatisfy(\.isDown)
        let since = all.map { $0.isDown ? $0.downSince : $0.lastGood }.max()
        if follow(Self.whole, isDown: isDown, since: since, now.uptime) { hasChanged = true }
        if hasChanged || now.uptime - settled >= 60_000 { settle(now) }
        return hasChanged
    }

    private mutating func follow(_ name: String, isDown: Bool, since good: Int64?, _ now: Int64) -> Bool {
        var line = lines[name] ?? Line(mark: now, lastGood: now)
        defer { lines[name] = line }
        // Never before what is settled: of that nothing is taken back.
        let since = min(max(line.mark, good ?? line.mark), now)
        guard isDown != line.isDown else {
            if !isDown { line.lastGood = since }
            return false
        }
        if isDown {
            add(name, from: line.mark, to: since, isDown: false, isNewFault: false)
            line.downSince = since
            line.mark = since
            line.isNewFault = true
        } else {
            addDown(name, &line, to: now)
            line.mark = now
            line.lastGood = now
        }
        line.isDown = isDown
        return true
    }

    private mutating func addDown(_ name: String, _ line: inout Line, to end: Int64) {
        guard end > line.mark else { return }
        add(name, from: line.mark, to: end, isDown: true, isNewFault: line.isNewFault)
        line.mark = end
        line.isNewFault = false
    }

    /// Takes for counted what cannot change any more.
    private mutating func settle(_ now: Moment, withAll: Bool = false) {
        settled = now.uptime
        for (name, line) in lines {
            var line = line
            if line.isDown {
                addDown(name, &line, to: now.uptime)
            } else {
                let end = withAll ? now.uptime : min(max(line.mark, line.lastGood), now.uptime)
                add(name, from: line.mark, to: end, isDown: false, isNewFault: false)
                line.mark = max(line.mark, end)
            }
            lines[name] = line
        }
        date(now)
    }

    /// We stood still: what was open ends where we last looked, and nothing is known of what followed.
    private mutating func passOver(to: Int64) {
        if let last { settle(last, withAll: true) }
        lines = lines.mapValues { line in
            var line = line
            line.mark = to
            line.lastGood = to
            return line
        }
    }

    private mutating func add(_ path: String, from: Int64, to: Int64, isDown: Bool, isNewFault: Bool) {
        guard to > from else { return }
        let isSame = { (piece: Piece) in piece.path == path && piece.to == from && piece.isDown == isDown }
        if !isNewFault, let index = undated.lastIndex(where: { $0.path == path }), isSame(undated[index]) {
            undated[index].to = to
            return
        }
        undated.append(Piece(path: path, from: from, to: to, isDown: isDown, isNewFault: isNewFault))
        if undated.count > Self.undatedKept { undated.removeFirst(undated.count - Self.undatedKept) }
    }

    /// Gives what waits for it its months, once the wall clock is known.
    private mutating func date(_ now: Moment) {
        guard now.clock != .unknown, !undated.isEmpty else { return }
        let epoch = now.utc - now.uptime
        for piece in undated { count(piece, from: piece.from + epoch, to: piece.to + epoch) }
        undated = []
        forgetOld()
    }

    private mutating func count(_ piece: Piece, from: Int64, to: Int64) {
        var begin = max(0, from)
        var isNewFault = piece.isNewFault
        while begin < to {
            let month = Month(utc: begin)
            let end = month == .last ? to : min(to, month.end)
            let key = Key(month: month, path: piece.path)
            var figures = rows[key] ?? Figures(from: begin)
            figures.from = min(figures.from, begin)
            if piece.isDown {
                if isNewFault || runs[piece.path]?.month != month {
                    figures.faults += 1
                    runs[piece.path] = (month, 0)
                }
                isNewFault = false
                let length = (runs[piece.path]?.length ?? 0) + end - begin
                runs[piece.path] = (month, length)
                figures.down += end - begin
                figures.longest = max(figures.longest, length)
            } else {
                figures.works += end - begin
            }
            rows[key] = figures
            begin = end
        }
    }

    private mutating func forgetOld() {
        let months = Set(rows.keys.map(\.month)).sorted()
        if months.count > Self.monthsKept {
            let first = months[months.count - Self.monthsKept]
            rows = rows.filter { $0.key.month >= first }
        }
        if rows.count > Self.rowsKept {
            for key in rows.keys.sorted().prefix(rows.count - Self.rowsKept) { rows[key] = nil }
        }
    }

    /// Everything up to the last look, what is not yet certain counted as it seems now.
    func withAllCounted() -> Availability {
        guard let last else { return self }
        var copy = self
        copy.settle(last, withAll: true)
        return copy
    }

    /// Takes over months that were not known when this began. One that is known, be it only from what is not yet
    /// counted, stays as it is: it was written from here.
    mutating func adopt(_ others: [Key: Figures]) {
        let own = withAllCounted().rows
        rows.merge(others.filter { own[$0.key] == nil }) { own, _ in own }
    }
}
