import AlarmProtocol

/// What one event block of the panel says, with the account that it is about.
struct GalaxyEvent: Sendable, Hashable {
    /// The panel's own; nil where it has said none.
    var account: String?
    /// The block's code was `O`: it happened before, and could not be told then.
    var isOld: Bool
    var data: [UInt8]
    /// Nil: not written as events are.
    private var block: SIABlock?
    private var raw: String
    /// A block that is no event, or words of none: told as it is.
    private(set) var isNotKnown = false

    init(account: String?, isOld: Bool, data: [UInt8], _ charset: PanelCharset) {
        self.account = account
        self.isOld = isOld
        self.data = data
        raw = charset.text(data)
        block = SIABlock(raw, account: account)
    }

    /// A block that is no event: told as it is.
    init(notKnown data: [UInt8], text: String, account: String?) {
        self.account = account
        self.data = data
        isOld = false
        raw = text
        isNotKnown = true
        block = nil
    }

    /// For the technician who watches.
    var summary: String { block?.events.map(\.summary).joined(separator: ", ") ?? "not known: \(raw)" }

    /// Which part of the site it is about: a later event of the same part makes an earlier one old news.
    var part: String { block?.events.first?.pointName ?? "unclassified" }

    func isSame(as other: GalaxyEvent) -> Bool { account == other.account && data == other.data }

    /// Fire, or danger to people; or what cannot be read, behind which either may stand.
    var isUrgent: Bool {
        block?.events.contains { ($0.codes(began: true)?.urgency ?? .fire) <= .danger } ?? true
    }

    /// - Parameters:
    ///   - words: from the panel's display; empty for none.
    ///   - keepsAccount: told under the panel's account, not the device's own.
    func signals(_ words: String, points: [CodedPoint], keepsAccount: Bool, isResumed: Bool = false) -> [Signal] {
        guard let block else {
            let text = [isOld ? "O" + raw : raw, words].filter { !$0.isEmpty }.joined(separator: " ")
            return [Signal(point: "unclassified", .call, text: text)]
        }
        return block.events.map { said in
            let known = words.isEmpty ? block.text : words
            let parts = [known, block.remarks(isOld: isOld || isResumed), said.isKnown ? "" : "[\(raw)]"]
            let text = parts.filter { !$0.isEmpty }.joined(separator: " ")
            let point = CodedPoint.point(for: said, among: points)
            var told = said
            if !keepsAccount { told.account = nil }
            return Signal(saying: told, point: point, text: text)
        }
    }

    // MARK: On disk

    /// How far an event has come that is kept.
    enum Standing: UInt8 {
        /// Acknowledged, not reported: its words are waited for.
        case waits = 0x57
        /// Reported, without its words or with them; the panel may say it again.
        case told = 0x54
        case toldWithWords = 0x44
    }

    func kept(_ standing: Standing) -> [UInt8] {
        [standing.rawValue] + Array((account ?? "").utf8) + [0, isOld ? 1 : 0] + data
    }

    /// Nil: not what `kept` writes.
    static func read(_ kept: [UInt8], _ charset: PanelCharset) -> (standing: Standing, event: GalaxyEvent)? {
        guard let standing = kept.first.flatMap(Standing.init), let end = kept.firstIndex(of: 0),
            kept.count > end + 1, kept.count <= end + 2 + GalaxyBlock.longest
        else { return nil }
        let account = String(decoding: kept[1..<end], as: UTF8.self)
        return (
            standing,
            GalaxyEvent(
                account: account.isEmpty ? nil : account, isOld: kept[end + 1] == 1,
                data: Array(kept[(end + 2)...]), charset)
        )
    }

    /// What the keypad shows: two lines of 16 columns, a sign for new or restored before the first.
    static func words(_ data: [UInt8], _ charset: PanelCharset) -> String {
        let columns = 16
        let sign = data.first == UInt8(ascii: "+") || data.first == UInt8(ascii: "-")
        let lines = [
            charset.text(Array(data.prefix(columns).dropFirst(sign ? 1 : 0))),
            charset.text(Array(data.dropFirst(columns))),
        ]
        return lines.filter { !$0.isEmpty }.joined(separator: " / ")
    }
}

/// Knows an event that the panel says again because our answer did not get through.
///
/// The panel then says the whole sequence again, so that more than the last event may come twice. An event is a repeat when
/// it comes in the place that it had in a sequence that broke off; or, after a whole sequence, when it is the very same as
/// the last that was told of its zone, within the panel's time for it. Anything else has happened again.
struct GalaxyMemory: Sendable {
    enum Limit {
        /// Milliseconds.
        static var repeated: Int64 { 60_000 }
        static var events: Int { 64 }
    }

    private var recent: [(event: GalaxyEvent, hasWords: Bool, at: Int64)] = []
    /// The events of the sequence that the panel is saying, and those that it may be about to say again.
    private var sequence: [GalaxyEvent] = []
    private var again: [GalaxyEvent] = []

    /// An account: the panel begins a sequence. One that has not ended is said again.
    mutating func begin() {
        again = sequence + again
        sequence = []
    }

    mutating func end() {
        sequence = []
        again = []
    }

    mutating func isRepeat(_ event: GalaxyEvent, at now: Int64) -> Bool {
        recent.removeAll { now - $0.at > Limit.repeated }
        if let next = again.first, next.isSame(as: event), recent.contains(where: { $0.event.isSame(as: event) }) {
            again.removeFirst()
            sequence.append(event)
            return true
        }
        again = []
        let latest = recent.last { $0.event.part == event.part }
        guard latest?.event.isSame(as: event) == true else { return false }
        note(event)
        return true
    }

    /// Whether it was told with its words.
    func hasWords(_ event: GalaxyEvent) -> Bool { recent.last { $0.event.isSame(as: event) }?.hasWords ?? true }

    /// It is stored.
    mutating func remember(_ event: GalaxyEvent, hasWords: Bool, at now: Int64) {
        recent.append((event, hasWords, now))
        if recent.count > Limit.events { recent.removeFirst() }
        note(event)
    }

    /// Its words have been told as well.
    mutating func noteWords(of event: GalaxyEvent) {
        guard let index = recent.lastIndex(where: { $0.event.isSame(as: event) }) else { return }
        recent[index].hasWords = true
    }

    private mutating func note(_ event: GalaxyEvent) {
        if sequence.count < Limit.events { sequence.append(event) }
    }
}
