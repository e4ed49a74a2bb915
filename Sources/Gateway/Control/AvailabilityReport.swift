import AlarmProtocol
import Glibc

/// A month of a path, or of all of them together, as it is exported. Seconds, rounded down.
public struct AvailabilityMonth: Codable, Sendable, Equatable {
    /// A calendar month in UTC: "2026-11".
    public var month: String
    /// A path's name; "(whole)": at least one path worked.
    public var path: String
    public var works: Int64
    public var down: Int64
    /// The rest of the month, or of it up to now: larmnod was off, or did not know the time.
    public var notWatched: Int64
    /// Of the time that was watched, how much it worked, in percent; cut, never rounded up, so that 100 is all of it.
    /// Nil where nothing was watched.
    public var availability: Double?
    public var faults: Int
    public var longestFault: Int64

    /// "99.98 %".
    public var percent: String {
        guard let availability else { return "not watched" }
        let thousandths = Int((availability * 1000).rounded())
        var digits = String(1000 + thousandths % 1000).dropFirst()
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(thousandths / 1000)\(digits.isEmpty ? "" : "." + digits) %"
    }

    public var isWhole: Bool { path == Availability.whole }

    public static let csvHeader =
        "month,path,availability_percent,works_s,down_s,not_watched_s,faults,longest_fault_s"

    public var csv: String {
        let percent = self.percent.hasSuffix(" %") ? String(self.percent.dropLast(2)) : ""
        return "\(month),\(path),\(percent),\(works),\(down),\(notWatched),\(faults),\(longestFault)"
    }
}

extension Availability {
    /// - Parameters:
    ///   - now: the wall clock, up to which the current month goes; nil where it is not known.
    ///   - month: only this one.
    func report(now: Int64?, only month: Month? = nil) -> [AvailabilityMonth] {
        let rows = self.withAllCounted().rows
        var lines: [AvailabilityMonth] = []
        for (path, keys) in Dictionary(grouping: rows.keys.sorted(), by: \.path) {
            guard let first = keys.first?.month, let latest = keys.last?.month else { continue }
            // A month that passed while we were off was not watched; a wrong clock's years are not filled up.
            let months =
                latest.number - first.number < Self.monthsKept
                ? (first.number...latest.number).map { Month(number: $0) } : keys.map(\.month)
            for each in months where month == nil || month == each {
                let figures = rows[Key(month: each, path: path)] ?? Figures(from: each.start)
                lines.append(Self.line(each, path, figures, isFirst: each == first, now))
            }
        }
        return lines.sorted { ($0.month, $0.path) < ($1.month, $1.path) }
    }

    private static func line(
        _ month: Month, _ path: String, _ figures: Figures, isFirst: Bool, _ now: Int64?
    ) -> AvailabilityMonth {
        let begin = isFirst ? min(max(month.start, figures.from), month.end) : month.start
        let end = max(begin, min(month.end, now ?? month.end))
        let watched = figures.works + figures.down
        let percent = watched > 0 ? Double(share(figures.works, of: watched)) / 1000 : nil
        // A clock that was set back lets more be seen of a month than it has.
        let rest = now == nil ? 0 : max(0, end - begin - watched)
        return AvailabilityMonth(
            month: "\(month)", path: path, works: figures.works / 1000, down: figures.down / 1000,
            notWatched: rest / 1000, availability: percent, faults: figures.faults,
            longestFault: figures.longest / 1000)
    }

    /// In thousandths of a percent, rounded down.
    private static func share(_ part: Int64, of all: Int64) -> Int64 {
        let (product, isTooLarge) = part.multipliedReportingOverflow(by: 100_000)
        return isTooLarge ? part / max(1, all / 100_000) : product / all
    }
}

/// The availability as the store has it, for when no daemon runs to be asked.
public enum StoredAvailability {
    /// - Throws: `ControlRefusal` where there is no store, or it cannot be read.
    public static func read(stateDirectory: String, only month: Month?) throws(ControlRefusal) -> [AvailabilityMonth] {
        let file = stateDirectory + "/outbox.db"
        guard access(file, R_OK) == 0 else {
            throw ControlRefusal(
                "\(file): \(systemWords()). No larmnod runs here, and its store is not there: say where with --state.")
        }
        do {
            let rows = try Store.availability(in: Database(file, .readOnly))
            var time = timespec()
            clock_gettime(CLOCK_REALTIME, &time)
            return Availability(rows).report(now: Int64(time.tv_sec) * 1000, only: month)
        } catch {
            throw ControlRefusal("the store cannot be read: \(error.description)")
        }
    }
}

extension ControlServer {
    func availability(_ request: ControlRequest, _ client: ControlClient) throws {
        let month = try request.month.map { text throws(ControlRefusal) in
            guard let month = Month(text) else { throw ControlRefusal("expected a month as \"2026-11\"") }
            return month
        }
        for line in intake.outbox.availability(only: month) { guard client.send(line) else { return } }
    }
}
