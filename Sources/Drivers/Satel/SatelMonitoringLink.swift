import AlarmProtocol

/// What the module answers to `?` in function 1 (Satel, "INT-RS short technical description", 2014-04-02, function 1).
enum SatelMonitoringReport: Sendable, Hashable {
    /// `OK`
    case nothing
    /// `EC=m,s,iiii,q,ccc,pp,nnn`: marker, station, account, qualifier, event, partition, source.
    case contactID(marker: UInt8, Said)
    /// `EN=m,s,iiii,cc`
    case fourTwo(marker: UInt8, account: String, code: String)

    /// Nil: none of these.
    init?(_ text: Substring) {
        if text == "OK" {
            self = .nothing
            return
        }
        let isContactID = text.hasPrefix("EC=")
        guard isContactID || text.hasPrefix("EN=") else { return nil }
        let fields = text.dropFirst(3).split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard fields.count == (isContactID ? 7 : 4), let marker = Self.marker(fields[0]),
            ["1", "2"].contains(fields[1]), Self.isHexadecimal(fields[2], count: 4)
        else { return nil }
        let account = fields[2].uppercased()
        guard isContactID else {
            guard Self.isHexadecimal(fields[3], count: 2) else { return nil }
            self = .fourTwo(marker: marker, account: account, code: fields[3].uppercased())
            return
        }
        guard let qualifier = ["1": Qualifier.event, "3": .restore, "6": .status][fields[3]],
            Self.isHexadecimal(fields[4], count: 3),
            Vocabulary.codes(contactID: fields[4].uppercased(), qualifier) != nil,
            let partition = Self.number(fields[5], digits: 2), let zone = Self.number(fields[6], digits: 3)
        else { return nil }
        self = .contactID(
            marker: marker,
            Said(.contactID(fields[4].uppercased(), qualifier), account: account, partition: partition, zone: zone))
    }

    static func marker(_ text: String) -> UInt8? {
        guard text.utf8.count == 1, let byte = text.utf8.first, (0x61...0x7A).contains(byte | 0x20) else { return nil }
        return byte
    }

    static func isHexadecimal(_ text: String, count: Int) -> Bool {
        text.utf8.count == count && text.allSatisfy { $0.isASCII && $0.isHexDigit }
    }

    private static func number(_ text: String, digits: Int) -> Int? {
        text.utf8.count == digits && text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }
}

/// Function 1 of an INT-RS module: we ask every second and a half, take what the panel has to tell, and confirm it when it
/// is on disk. What is not confirmed is said again, with the same marker, for 75 s.
public struct SatelMonitoringLink: PanelLink {
    /// The module only speaks when asked and a confirmation names what it confirms, so it can hardly come too late: until
    /// the panel gives the event up.
    public static let patience: Int64 = 70_000
    /// Milliseconds.
    private enum Time {
        static let poll: Int64 = 1500
        /// After a confirmation: there may be more.
        static let next: Int64 = 100
        /// How long an event is said again (Satel, function 1).
        static let repeats: Int64 = 75_000
    }
    /// Of a line, in characters: the longest answer has 24.
    static let longest = 64

    let keepsAccounts: Bool
    let points: [SatelEventPoint]

    private var line: [UInt8] = []
    private var nextPoll: Int64 = 0
    /// A line that nobody could read, as it was: said again, it is not garbled but unknown.
    private var unread: [UInt8] = []
    private var pending: [UInt8] = []
    private var repeats = RepeatMemory(window: Time.repeats, unansweredWindow: Time.repeats)

    init(keepsAccounts: Bool = true, points: [SatelEventPoint] = []) {
        self.keepsAccounts = keepsAccounts
        self.points = points
    }

    public var deadline: Int64? { nextPoll }
    public mutating func opened(at now: Int64) -> [PanelStep] { ask(at: now) }

    public mutating func tick(at now: Int64) -> [PanelStep] {
        guard now >= nextPoll else { return [] }
        let rest = line
        line = []
        return (rest.isEmpty ? [] : [.strange(rest, why: "it has no end")]) + ask(at: now)
    }

    private mutating func ask(at now: Int64) -> [PanelStep] {
        nextPoll = now + Time.poll
        return [.send([0x3F, 0x0D], says: "anything new?")]
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PanelStep] {
        guard byte == 0x0D else {
            if byte != 0x0A { line.append(byte) }
            // Of noise without an end the last is kept: an answer may stand behind it.
            if line.count > Self.longest { line.removeFirst() }
            return []
        }
        let bytes = line
        line = []
        return bytes.isEmpty ? [] : judge(bytes, at: now)
    }

    private mutating func judge(_ bytes: [UInt8], at now: Int64) -> [PanelStep] {
        let text = latin(bytes)
        guard let (start, report) = read(text) else { return unknown(bytes, text, at: now) }
        unread = []
        var steps: [PanelStep] = []
        let body = Array(bytes[start...])
        if start > 0 { steps.append(.strange(Array(bytes[..<start]), why: "it stands before an answer")) }
        switch report {
        case .nothing: return steps + [.frame(body + [0x0D], says: "nothing new")]
        case .contactID(let marker, let said):
            steps.append(.frame(body + [0x0D], says: "\(said.summary), marker \(letter(marker))"))
            return steps + take(body, [signal(of: said, latin(body))], marker, at: now)
        case .fourTwo(let marker, let account, let code):
            steps.append(.frame(body + [0x0D], says: "4/2 event \(code) of \(account), marker \(letter(marker))"))
            return steps + take(body, [signal(ofFourTwo: code, account)], marker, at: now)
        }
    }

    /// An answer by itself; else one behind noise or what is left of another.
    private func read(_ text: String) -> (start: Int, report: SatelMonitoringReport)? {
        if let report = SatelMonitoringReport(text[...]) { return (0, report) }
        let letters = Array(text)
        for start in letters.indices.reversed() where letters[start] == "E" || letters[start] == "O" {
            let rest = String(letters[start...])
            if start > 0, let report = SatelMonitoringReport(rest[...]) { return (start, report) }
        }
        return nil
    }

    private mutating func take(
        _ body: [UInt8], _ signals: [Signal], _ marker: UInt8, at now: Int64
    ) -> [PanelStep] {
        let confirm: [UInt8] = [0x2B, marker, 0x0D]
        if repeats.isRepeat(body, at: now) {
            nextPoll = now + Time.next
            return [.send(confirm, says: "confirmed again")]
        }
        pending = body
        return [.report(signals, accept: confirm, refuse: [0x2D, marker, 0x0D], knownBy: body)]
    }

    /// An event that was stored when the daemon ended or the line was lost, and may not have been confirmed.
    public mutating func resume(_ kept: [UInt8], at now: Int64) -> [PanelStep] {
        repeats.remember(kept, answered: false, at: now)
        return []
    }

    public mutating func stored(answered: Bool, at now: Int64) -> [PanelStep] {
        repeats.remember(pending, answered: answered, at: now)
        nextPoll = now + (answered ? Time.next : Time.poll)
        return []
    }

    /// What cannot be read is not confirmed, so that it comes again; the very same again is told as it is.
    private mutating func unknown(_ bytes: [UInt8], _ text: String, at now: Int64) -> [PanelStep] {
        let isText = bytes.allSatisfy { (0x20...0x7E).contains($0) }
        guard isText, bytes.count >= 5, unread == bytes else {
            unread = bytes
            return [.strange(bytes + [0x0D], why: "no answer of function 1")]
        }
        let frame = PanelStep.frame(bytes + [0x0D], says: "not known, and said twice")
        let signals = [Signal(point: "unclassified", .call, text: text)]
        let fields = text.dropFirst(3).split(separator: ",", omittingEmptySubsequences: false)
        if text.dropFirst(2).hasPrefix("="),
            let marker = fields.first.flatMap({ SatelMonitoringReport.marker(String($0)) })
        {
            return [frame] + take(bytes, signals, marker, at: now)
        }
        if repeats.isRepeat(bytes, at: now) { return [frame] }
        pending = bytes
        return [frame, .report(signals, accept: nil)]
    }

    /// A code that no table has is told with all that the panel said of it.
    private func signal(of said: Said, _ raw: String) -> Signal {
        var told = said
        if !keepsAccounts { told.account = nil }
        let point = points.first { $0.coded.map { CodedPoint.point(for: said, among: [$0]) != nil } ?? false }?.point
        return Signal(saying: told, point: point, text: said.isKnown ? "" : "[\(raw)]")
    }

    /// Two digits mean what the installer made them mean: without a point that takes them they are an alarm.
    private func signal(ofFourTwo code: String, _ account: String) -> Signal {
        let text = "4/2 event \(code) of \(account)"
        for point in points where point.coded == nil {
            guard let begins = point.takes(fourTwo: code, of: account) else { continue }
            return Signal(point: point.point, begins ? .call : .cleared, text: "")
        }
        let said = EventKind.named("unclassified").map { Said(.kind($0), account: keepsAccounts ? account : nil) }
        return Signal(point: "\(account)-code-\(code)", .call, text: text, said: said)
    }

    private func letter(_ marker: UInt8) -> String { String(UnicodeScalar(marker)) }

    private func latin(_ bytes: [UInt8]) -> String {
        String(String.UnicodeScalarView(bytes.map { UnicodeScalar($0) }))
    }
}
