/// What `larmnod receiver` is told: the receivers, and how far one of them has moved. Times are milliseconds since 1970 UTC
/// and spans seconds, where nothing else is said.
public struct CentreStatus: Codable, Sendable {
    public struct Receiver: Codable, Sendable {
        public var name: String
        public var paths: [SiteStatus.Path]
    }

    /// What both centres did with the events of the trial. Times to the ACK in milliseconds.
    public struct Compared: Codable, Sendable {
        public var events: Int
        public var both: Int
        public var onlyPresent: Int
        public var onlyNew: Int
        public var refused: Int
        /// Longer on its way to the new centre than allowed.
        public var overdue: Int
        /// Not sent to the new centre.
        public var dropped: Int
        public var presentMean: Int64?
        public var presentLongest: Int64
        public var newMean: Int64?
        public var newLongest: Int64

        init(_ comparison: Comparison, within limit: Int64, _ now: Int64) {
            events = comparison.events
            both = comparison.both
            onlyPresent = comparison.onlyPresent
            onlyNew = comparison.onlyNew
            refused = comparison.refused
            overdue = comparison.overdue(within: limit, now)
            dropped = comparison.dropped
            presentMean = comparison.present.mean
            presentLongest = comparison.present.longest
            newMean = comparison.new.mean
            newLongest = comparison.new.longest
        }
    }

    public struct Move: Codable, Sendable {
        public var receiver: String
        /// "shadow", "held", "switched" or "kept".
        public var phase: String
        /// Who brought it there, and when.
        public var by: String
        public var since: Int64
        /// "host:port" of the receiver's paths: before, and with the new centre.
        public var from: [String]
        public var to: [String]
        /// Every path to the new centre has a key, or TLS.
        public var encrypted: Bool
        /// The time limit for an acknowledgement.
        public var within: Int64
        /// How much of the trial is left.
        public var left: Int64?
        /// What speaks against the new centre.
        public var why: [String]
        /// While it is tried.
        public var compared: Compared?
        /// To the centre that does not count: the new one, or the old one after the switch.
        public var paths: [SiteStatus.Path]
        /// Once it is kept: what belongs into the site file in the place of the old settings.
        public var settings: String?
        public var siteFile: String
    }

    public var receivers: [Receiver]
    public var move: Move?
    /// How the last move ended, since the daemon started.
    public var last: String?
}

/// `larmnod receiver` for a person: lines of at most 80 columns, and as few as say it.
public enum CentreScreen {
    public static func lines(_ status: CentreStatus) -> [String] {
        var lines: [String] = []
        if let move = status.move {
            lines += about(move)
        } else {
            for receiver in status.receivers {
                lines.append(receiver.name)
                lines += receiver.paths.map(path)
            }
            lines += ["", "No receiver is moving."]
            if let last = status.last { lines += wrapped("Last: \(last)") }
        }
        return lines.map { $0.printable.fitted(to: StatusScreen.width) }
    }

    private static func about(_ move: CentreStatus.Move) -> [String] {
        let headings = [
            "shadow": "is tried at a new centre, beside the present one",
            "held": "was NOT switched to the new centre; the trial goes on",
            "switched": "has switched to the new centre, which is watched",
            "kept": "has moved to the new centre for good",
        ]
        var lines = ["\(move.receiver) \(headings[move.phase] ?? move.phase)"]
        lines.append("since \(StatusScreen.utc(move.since)), by \(move.by)")
        let isTrial = move.compared != nil
        lines.append("  old   \(move.from.joined(separator: ", "))\(isTrial ? "   counts" : "")")
        let sealed = move.encrypted ? "" : "   IN CLEAR"
        lines.append("  new   \(move.to.joined(separator: ", "))\(isTrial ? "" : "   counts")\(sealed)")
        if let compared = move.compared { lines += [""] + table(compared) }
        if !move.why.isEmpty { lines += [""] + wrapped("Against it: " + move.why.joined(separator: "; ") + ".") }
        if !move.paths.isEmpty { lines += [""] + move.paths.map(path) }
        return lines + [""] + next(move)
    }

    private static func table(_ compared: CentreStatus.Compared) -> [String] {
        func row(_ what: String, _ old: String, _ new: String) -> String {
            "  " + what + String(repeating: " ", count: max(1, 22 - what.count)) + right(old) + right(new)
        }
        func right(_ text: String) -> String { String(repeating: " ", count: max(1, 12 - text.count)) + text }
        func time(_ milliseconds: Int64?) -> String { milliseconds.map { "\($0) ms" } ?? "-" }
        return [
            row("of \(compared.events) event\(compared.events == 1 ? "" : "s")", "old", "new"),
            row("acknowledged", "\(compared.both + compared.onlyPresent)", "\(compared.both + compared.onlyNew)"),
            row("by this one only", "\(compared.onlyPresent)", "\(compared.onlyNew)"),
            row("refused", "", "\(compared.refused)"),
            row("overdue", "", "\(compared.overdue)"),
            row("could not be sent", "", "\(compared.dropped)"),
            row("time to ACK, mean", time(compared.presentMean), time(compared.newMean)),
            row(
                "the longest", time(compared.presentMean.map { _ in compared.presentLongest }),
                time(compared.newMean.map { _ in compared.newLongest })),
        ]
    }

    private static func path(_ path: SiteStatus.Path) -> String {
        let ago = path.lastAnswer.map { "answered \(StatusScreen.span($0)) ago" } ?? "never answered"
        let why = path.why.map { ", \($0)" } ?? ""
        return "  path \(path.name) \(path.state), \(ago), \(path.address)\(why)"
    }

    private static func next(_ move: CentreStatus.Move) -> [String] {
        let limit = StatusScreen.span(move.within)
        switch move.phase {
        case "shadow":
            let left = move.left ?? 0
            let end = left > 0 ? "In \(StatusScreen.span(left)) it" : "It"
            return wrapped("\(end) switches by itself if the new centre acknowledges every event within \(limit).")
                + ["Earlier: larmnod receiver switch. Give up: larmnod receiver return."]
        case "held":
            return [
                "Try again: larmnod receiver prolong. Switch all the same: larmnod receiver",
                "switch. Give up: larmnod receiver return.",
            ]
        case "switched":
            return wrapped(
                "The old centre is polled, and comes back by itself if the new one does not acknowledge within \(limit)."
            ) + ["Go back: larmnod receiver return. End the watch: larmnod receiver keep."]
        default:
            return wrapped("\(move.siteFile) still names the old centre. Put there, in the place of what it says now:")
                + [""] + (move.settings ?? "").split(separator: "\n").map { "  \($0)" }
                + ["", "Then restart larmnod, which forgets the move. Back: larmnod receiver return."]
        }
    }

    /// Broken between words into lines that fit.
    private static func wrapped(_ text: String) -> [String] {
        var lines = [""]
        for word in text.split(separator: " ") {
            if lines[lines.count - 1].columns + word.count + 1 > StatusScreen.width, !lines[lines.count - 1].isEmpty {
                lines.append("")
            }
            lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
        }
        return lines
    }
}

extension StatusScreen.Rank {
    /// A move that goes well is no trouble; one that waits for a person is.
    fileprivate init(_ move: CentreStatus.Move) { self = move.phase == "shadow" && move.why.isEmpty ? .well : .warning }
}

extension CentreStatus.Move {
    /// For one line of the site's status.
    var row: (rank: StatusScreen.Rank, what: String, how: String) {
        let how =
            switch phase {
            case "shadow":
                "tried: \(compared.map { $0.both + $0.onlyNew } ?? 0) of \(compared?.events ?? 0), "
                    + (why.first ?? "\(StatusScreen.span(left ?? 0)) left")
            case "held": "not switched: larmnod receiver tells why"
            case "switched": "switched; larmnod receiver keep or return"
            default: "done, but the site file names the old one"
            }
        return (StatusScreen.Rank(self), "move of \(receiver)", how)
    }
}
