import AlarmProtocol

/// What a technician may say of a panel whose zones need no configuration: points over its codes, and points that want a
/// zone's contact itself.
struct PanelPoints: Sendable, Hashable {
    var coded: [CodedPoint] = []
    /// Points with `told = "open"`, and their zones.
    var open: [Opening] = []

    struct Opening: Sendable, Hashable {
        var point: String
        var zones: [ClosedRange<Int>]
    }

    init() {}

    /// - Parameter parts: names that the driver itself uses for parts of the device, besides the line: no point's.
    init(_ settings: Settings, parts: [String]) {
        settings.refusePoints(named: parts)
        for table in settings.points {
            guard table.choice("told", of: [("alarm", false), ("open", true)], default: false) else {
                coded.append(CodedPoint(table))
                continue
            }
            let zones = table.has("zones") ? CodedPoint.zones(table, upTo: 9999) : []
            if zones.isEmpty { table.refuse("zones", "told = \"open\" needs zones, as [\"5\"]") }
            open.append(Opening(point: table.name, zones: zones))
        }
    }

    /// The point that wants to know whether this zone is open, or nil.
    func opening(of zone: Int) -> String? {
        open.first { $0.zones.contains { $0.contains(zone) } }?.point
    }
}

extension Settings {
    /// Refuses points with the name of the line, or of another part of the device: the part's faults would be the point's.
    func refusePoints(named parts: [String]) {
        for table in points where table.name == "line" || parts.contains(table.name) {
            problems.add(
                table.place, "\(table.path): the driver itself uses the name \"\(table.name)\": choose another")
        }
    }
}

/// Lasting states that a panel tells at both ends ("zone 5 in alarm", "zone 5 restored"), made into signals.
///
/// A panel tells a state because it has just changed, or because we asked. The answer to a question is compared with what
/// was last known, as every reading. News is told even where the end of what was before has been missed, for else the
/// second alarm of a zone would be taken for the first: the old state ends, and the new one begins.
///
/// Several zones of one point are its state together: active while one of them is.
struct PanelStates: Sendable {
    /// The same news within this time, in milliseconds, is the same news.
    static let repeats: Int64 = 10_000

    let points: PanelPoints
    /// What stands, since when, by its point. There are at most as many as the panel's numbers have room for.
    private var standing: [String: [String: Int64]] = [:]

    init(_ points: PanelPoints) { self.points = points }

    /// - Parameters:
    ///   - source: the state's own name, and its point's where none is configured: "zone-5-tamper".
    ///   - point: the configured point; nil: the one whose codes take it.
    mutating func signals(
        _ source: String, _ said: Said, _ active: Bool, isNews: Bool, point: String? = nil, text: String = "",
        at now: Int64
    ) -> [Signal] {
        let point = point ?? CodedPoint.point(for: said, among: points.coded) ?? source
        let since = standing[point]?[source]
        let isAlone = standing[point, default: [:]].keys.allSatisfy { $0 == source }
        guard active else {
            standing[point]?[source] = nil
            return isAlone ? [Signal(point: point, .active(false), text: text, said: said)] : []
        }
        let isRepeat = since.map { now - $0 <= Self.repeats } ?? false
        if since == nil || isNews { standing[point, default: [:]][source] = now }
        let begins = Signal(point: point, .active(true), text: text, said: said)
        guard isNews, !isRepeat else { return [begins] }
        // Another zone of the point holds it active already: this one is said by itself.
        if !isAlone { return [Signal(point: point, .call, text: text, said: said)] }
        return [Signal(point: point, .active(false), text: text, said: said), begins]
    }

    /// Whether it was told as active and not ended since the line was opened.
    func stands(_ source: String) -> Bool { standing.values.contains { $0[source] != nil } }
}

extension Said {
    /// Of a kind of the vocabulary, by its name.
    init(kind name: String, partition: Int? = nil, zone: Int = 0) {
        // Every name is ours and held to the table by a test; what is not there would be an alarm all the same.
        let kind = EventKind.named(name) ?? EventKind.named("unclassified") ?? EventKind.all[0]
        self.init(.kind(kind), partition: partition, zone: zone)
    }
}
