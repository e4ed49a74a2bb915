/// `larmnod status` for a person: at most 24 lines of 80 columns, the worst first, in a technician's words.
public enum StatusScreen {
    static let width = 80
    static let height = 24

    /// - Parameter all: every line, however many and however wide.
    public static func lines(_ status: SiteStatus, all: Bool = false) -> [String] {
        let rows = rows(status).enumerated()
            .sorted { ($0.element.rank, $0.offset) < ($1.element.rank, $1.offset) }.map(\.element)
        let bad = rows.filter { $0.rank < .well }.count
        let verdict = bad == 0 ? "ALL WELL" : "\(bad) \(bad == 1 ? "THING NEEDS" : "THINGS NEED") ATTENTION"
        let head = [
            cut(pad("\(status.site.printable) (account \(status.account))", 46) + "running \(span(status.running))"),
            cut(pad(verdict, 46) + utc(status.now) + (status.clockIsKnown ? "" : " (clock not set)")),
            "",
        ]
        if all {
            let widest = (rows.filter { !$0.how.isEmpty }.map(\.what.columns).max() ?? 0) + 1
            return head + rows.map { pad($0.rank.word, 9) + $0.line(widest) }
        }
        var body = rows.map { cut(pad($0.rank.word, 9) + $0.line(27)) }
        let room = height - 1 - head.count
        if body.count > room {
            let hidden = body.count - room + 1
            body = body.prefix(room - 1) + ["… and \(hidden) more lines: larmnod status --all"]
        }
        return head + body
    }

    enum Rank: Int, Comparable {
        case fault, alarm, warning, waiting, well

        var word: String {
            switch self {
            case .fault: "FAULT"
            case .alarm: "ACTIVE"
            case .warning: "CHECK"
            case .waiting: "WAITS"
            case .well: "ok"
            }
        }
        static func < (a: Rank, b: Rank) -> Bool { a.rawValue < b.rawValue }
    }

    private struct Row {
        var rank: Rank
        var what: String
        var how: String

        init(rank: Rank, what: String, how: String) {
            self.rank = rank
            self.what = what.printable
            self.how = how.printable
        }

        /// What and how, side by side; what there is no more to say of has the whole line.
        func line(_ width: Int) -> String { how.isEmpty ? what : pad(what, width) + " " + how }
    }

    private static func rows(_ status: SiteStatus) -> [Row] {
        var rows: [Row] = []
        if let trouble = status.storeTrouble { rows.append(Row(rank: .fault, what: "disk", how: trouble)) }
        rows += status.paths.map(path)
        if let row = status.move?.row { rows.append(Row(rank: row.rank, what: row.what, how: row.how)) }
        rows += status.devices.map(device)
        rows += status.points.compactMap(point)
        rows += ownRows(status)
        if let supervision = status.supervision {
            rows.append(Row(rank: .well, what: "supervision \(supervision.name): \(supervision.remark)", how: ""))
        }
        if let availability = status.availability, let whole = availability.first(where: \.isWhole) {
            let paths = availability.filter { !$0.isWhole }.map { "\($0.path) \($0.percent)" }.joined(separator: ", ")
            rows.append(
                Row(rank: .well, what: "availability \(whole.month)", how: "\(whole.percent) (\(paths))"))
        }
        if status.parked > 0 {
            rows.append(
                Row(
                    rank: .warning, what: "\(status.parked) refused by centres",
                    how: "not delivered: larmnod events --unsent"))
        }
        if status.waiting > 0 {
            let urgent = status.mostUrgent.map { "most urgent: \($0), " } ?? ""
            rows.append(
                Row(
                    rank: .waiting, what: "\(status.waiting) events",
                    how: "\(urgent)the oldest for \(span(status.oldestWaits ?? 0))"))
        } else {
            rows.append(Row(rank: .well, what: "events", how: "all delivered"))
        }
        if !status.clockIsKnown {
            rows.append(Row(rank: .warning, what: "clock", how: "not set: times are uncertain, the order is kept"))
        }
        return rows
    }

    private static func ownRows(_ status: SiteStatus) -> [Row] {
        var rows = (status.overdue ?? []).map {
            Row(rank: .fault, what: $0, how: "not acknowledged within its time limit")
        }
        for output in status.outputs ?? [] {
            let how = "\(output.on ? "on" : "off"), shows \(output.shows)"
            rows.append(
                Row(
                    rank: output.fault ? .fault : .well, what: output.name,
                    how: output.fault ? "cannot be driven; \(how)" : how))
        }
        if let test = status.testMode {
            let why = (test.why ?? "").isEmpty ? "" : ": \(test.why ?? "")"
            rows.append(
                Row(
                    rank: .warning, what: "test mode",
                    how: "by \(test.by ?? "?"), \(span(test.left ?? 0)) left; all is sent\(why)"))
        }
        return rows
    }

    private static func path(_ path: SiteStatus.Path) -> Row {
        let what = "path \(path.name) (\(path.receiver))"
        let ago = path.lastAnswer.map { "answered \(span($0)) ago" } ?? "never answered"
        switch path.state {
        case "works":
            if let strange = path.strange {
                return Row(rank: .warning, what: what, how: "\(ago), but strange replies: \(strange)")
            }
            if path.keyInUse == "old" {
                return Row(rank: .warning, what: what, how: "\(ago), with the old key: the new one is not taken yet")
            }
            let trip = path.roundTrip.map { ", ACK in \($0) ms" } ?? ""
            return Row(
                rank: .well, what: what,
                how: "\(ago)\(trip)\(path.encrypted ? ", encrypted" : "")\(path.tls ? ", TLS" : "")")
        case "untried": return Row(rank: .warning, what: what, how: "not tried yet")
        case "failing": return Row(rank: .warning, what: what, how: "\(path.why ?? "fails"); \(ago)")
        default: return Row(rank: .fault, what: what, how: "\(ago); \(path.why ?? "down")")
        }
    }

    private static func device(_ device: SiteStatus.Device) -> Row {
        switch device.state {
        case "lost": return Row(rank: .fault, what: device.name, how: device.why ?? "lost")
        case "answers":
            return Row(
                rank: .well, what: device.name, how: "answers, \(device.points) point\(device.points == 1 ? "" : "s")")
        default: return Row(rank: .warning, what: device.name, how: "nothing heard of it yet")
        }
    }

    private static func point(_ point: SiteStatus.Point) -> Row? {
        let text = point.text.isEmpty ? "" : " \(point.text)"
        let chatters = point.chatters ?? false
        let how = "\(chatters ? "chatters; " : "")\(point.kind), zone \(point.zone)\(text)"
        switch point.state {
        case "active": return Row(rank: .alarm, what: point.name, how: how)
        case "fault": return Row(rank: .fault, what: point.name, how: point.why ?? "cannot be read; \(how)")
        default: return chatters ? Row(rank: .warning, what: point.name, how: how) : nil
        }
    }

    private static func cut(_ line: String) -> String { line.fitted(to: width) }

    private static func pad(_ text: String, _ width: Int) -> String {
        let text = text.fitted(to: width - 1)
        return text + String(repeating: " ", count: width - text.columns)
    }

    /// "12 s", "3 min", "4 h", "5 d".
    public static func span(_ seconds: Int64) -> String {
        switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7200: "\(seconds / 60) min"
        case ..<172_800: "\(seconds / 3600) h"
        default: "\(seconds / 86400) d"
        }
    }

    /// "2026-11-23 12:00:05" UTC; any number of milliseconds, held within the years 1 to 9999.
    public static func utc(_ milliseconds: Int64, withMilliseconds: Bool = false) -> String {
        let milliseconds = min(max(milliseconds, -62_135_596_800_000), 253_402_300_799_999)
        let seconds = milliseconds >= 0 ? milliseconds / 1000 : (milliseconds - 999) / 1000
        var days = seconds / 86400
        var rest = seconds % 86400
        if rest < 0 {
            rest += 86400
            days -= 1
        }
        // Civil date from days since 1970 (the era of 400 years that begins on a 1 March).
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let years = String(repeating: "0", count: max(0, 4 - "\(year)".count)) + "\(year)"
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let fraction = milliseconds - seconds * 1000
        let tail = withMilliseconds ? "." + String(String(1000 + fraction).dropFirst()) : ""
        return "\(years)-\(two(month))-\(two(day)) \(two(rest / 3600)):\(two(rest / 60 % 60)):\(two(rest % 60))\(tail)"
    }
}
