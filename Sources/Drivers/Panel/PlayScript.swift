import AlarmProtocol

/// What happens at a played site, in lines that a technician reads aloud:
///
///     fire 12 Brand i kök
///     after 5s burglary 3 area 2 Lager
///     restore 12
///     after 1min wait
///     silence 30s
///     end
///
/// docs/commands.md has all of it.
public struct PlayScript: Sendable {
    public enum Action: Sendable, Hashable {
        case happen(PlayedEvent)
        case pause(Duration)
        /// Until all that happened has been taken.
        case untilTaken
        /// The panel says nothing and hears nothing, as with a pulled cable.
        case silence(Duration)
        case end
    }

    /// A line with its number, and what is to be done, in order.
    public struct Line: Sendable, Hashable {
        public var number: Int
        public var words: String
        public var actions: [Action]
    }

    public struct Wrong: Error, Sendable, Equatable, CustomStringConvertible {
        public var description: String
        public init(description: String) { self.description = description }
    }

    /// The longest script, in lines.
    public static let mostLines = 10_000
    static let longestPause = Duration.seconds(24 * 3600)

    /// What has begun and not ended, in the order in which it began: for "restore 12".
    private var standing: [PlayedEvent] = []

    public init() {}

    /// Reads a whole script; every line that is wrong is told, with its number.
    public static func read(_ text: String, file: String) -> Result<[Line], Wrong> {
        var script = PlayScript()
        var lines: [Line] = []
        var wrongs: [String] = []
        let all = text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" })
        guard all.count <= mostLines else {
            return .failure(Wrong(description: "\(file): \(all.count) lines; a script has at most \(mostLines)"))
        }
        for (index, line) in all.enumerated() {
            do throws(Wrong) {
                let actions = try script.read(String(line))
                if !actions.isEmpty { lines.append(Line(number: index + 1, words: String(line), actions: actions)) }
            } catch {
                wrongs.append("\(file):\(index + 1): \(error)")
            }
        }
        return wrongs.isEmpty ? .success(lines) : .failure(Wrong(description: wrongs.joined(separator: "\n")))
    }

    /// Reads one line; an empty one and a remark (`#`) do nothing.
    public mutating func read(_ line: String) throws(Wrong) -> [Action] {
        guard line.utf8.count <= 400 else { throw Wrong(description: "a line has at most 400 bytes") }
        var words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })[...]
        guard let first = words.first, !first.hasPrefix("#") else { return [] }
        var actions: [Action] = []
        if first == "after" {
            words = words.dropFirst()
            actions.append(.pause(try Self.takeTime(&words, behind: "after")))
        }
        guard let verb = words.popFirst() else { return actions }
        switch verb {
        case "wait":
            try Self.expectEnd(words, behind: "wait")
            return actions + [.untilTaken]
        case "silence":
            let time = try Self.takeTime(&words, behind: "silence")
            try Self.expectEnd(words, behind: "silence TIME")
            return actions + [.silence(time)]
        case "end":
            try Self.expectEnd(words, behind: "end")
            return actions + [.end]
        case "restore": return actions + [.happen(try restore(words))]
        default:
            let event = try Self.event(try Self.kind(String(verb)), began: true, words)
            if event.kind.codes(began: false) != nil { standing.append(event) }
            // A script may begin the same thing any number of times.
            if standing.count > Self.mostLines { standing.removeFirst() }
            return actions + [.happen(event)]
        }
    }

    /// "restore 12", or "restore fire 12" where several kinds stand in one zone, or none is known to.
    private mutating func restore(_ words: ArraySlice<Substring>) throws(Wrong) -> PlayedEvent {
        var words = words
        var kind: EventKind?
        if let word = words.first, Int(word) == nil, word != "zone" {
            kind = try Self.kind(String(word))
            words = words.dropFirst()
        }
        guard let word = words.first(where: { $0 != "zone" }) ?? (kind == nil ? nil : "0"),
            let zone = Int(word) ?? (kind == nil ? nil : 0)
        else {
            throw Wrong(
                description: "restore what? Expected a zone, as \"restore 12\", or a kind, as \"restore fire 12\"")
        }
        let index = standing.lastIndex { $0.zone == zone && (kind == nil || $0.kind == kind) }
        let known = index.map { standing.remove(at: $0) }
        guard let kind = kind ?? known?.kind else {
            throw Wrong(
                description:
                    "nothing has begun in zone \(zone) that could end: say which kind, as \"restore fire \(zone)\"")
        }
        guard kind.codes(began: false) != nil else {
            throw Wrong(description: "\(kind.name) has no end: it only happens")
        }
        var event = try Self.event(kind, began: false, words)
        if event.partition == 0 { event.partition = known?.partition ?? 0 }
        if event.text.isEmpty { event.text = known?.text ?? "" }
        return event
    }

    /// "12 area 2 Brand i kök": zone or user, area and text, each of which may be missing.
    private static func event(
        _ kind: EventKind, began: Bool, _ words: ArraySlice<Substring>
    ) throws(Wrong) -> PlayedEvent {
        var words = words
        var event = PlayedEvent(kind, began: began)
        if let word = words.first, word == "zone" || word == "user" {
            words = words.dropFirst()
            guard words.first.map({ Int($0) != nil }) ?? false else {
                throw Wrong(description: "expected a number behind \"\(word)\", as \"\(word) 12\"")
            }
        }
        if let number = words.first.flatMap({ Int($0) }) {
            guard (0...9999).contains(number) else {
                throw Wrong(description: "expected a zone or user from 0 to 9999, found \(number)")
            }
            event.zone = number
            words = words.dropFirst()
        }
        if words.first == "area", let number = words.dropFirst().first.flatMap({ Int($0) }) {
            guard (0...99).contains(number) else {
                throw Wrong(description: "expected an area from 0 to 99, found \(number)")
            }
            event.partition = number
            words = words.dropFirst(2)
        }
        event.text = words.joined(separator: " ")
        guard event.text.count <= 128 else { throw Wrong(description: "a text has at most 128 characters") }
        return event
    }

    private static func kind(_ word: String) throws(Wrong) -> EventKind {
        if let kind = EventKind.named(word.lowercased()) { return kind }
        if let kind = EventKind.all.first(where: { $0.swedish == word.lowercased() }) { return kind }
        let words = ["after", "wait", "silence", "end", "restore"]
        let hint = nearest(to: word, among: EventKind.all.map(\.name) + words)
        throw Wrong(
            description: "there is no kind of event \"\(word.prefix(40))\""
                + (hint.isEmpty ? "; there is \"fire\", \"burglary\", \"mains-failure\": docs/events.md has all" : hint)
        )
    }

    private static func takeTime(_ words: inout ArraySlice<Substring>, behind verb: String) throws(Wrong) -> Duration {
        guard let word = words.popFirst(), let time = Duration(described: String(word)), time <= longestPause else {
            throw Wrong(
                description: "expected a time of at most 24h behind \"\(verb)\", as \"\(verb) 5s\" or \"\(verb) 2min\"")
        }
        return time
    }

    private static func expectEnd(_ words: ArraySlice<Substring>, behind what: String) throws(Wrong) {
        guard let word = words.first else { return }
        throw Wrong(description: "expected nothing behind \"\(what)\", found \"\(word.prefix(40))\"")
    }
}
