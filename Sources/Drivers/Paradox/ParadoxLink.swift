import AlarmProtocol

/// Our end of an APR-PRT3 in ASCII mode: asks for areas and zones after opening, then for their labels, polls, and makes
/// of its events what they mean.
///
/// Nothing is acknowledged in this protocol, and nothing guards a line but its form.
public struct ParadoxLink: PanelLink {
    /// Times in milliseconds.
    enum Limit {
        static let poll: Int64 = 30_000
        /// A question that is not answered in this time is given up.
        static let answer: Int64 = 2000
        /// So many in a row, and only polls are sent until one is answered.
        static let unanswered = 2
        /// Longest line in bytes; a label has 21.
        static let line = 64
        /// Shortest line that is told as it is when it is not known.
        static let unknown = 5
        static let areas = 8
        static let zones = 192
        static let users = 999
    }

    struct Size: Sendable, Hashable {
        var areas = 1
        var zones = 0
        var users = 0
    }

    private let size: Size
    private var states: PanelStates
    private var line: [UInt8] = []
    /// What is to be asked, first to last.
    private var questions: [String] = []
    private var asked: (question: String, at: Int64)?
    private var unanswered = 0
    private var nextPoll: Int64?
    /// At most as many as were asked for.
    private var labels: [String: String] = [:]
    /// Each area's flags as they were last told.
    private var areas: [Int: String] = [:]
    private var combus: Bool?

    init(_ size: Size = Size(), _ points: PanelPoints = PanelPoints()) {
        self.size = size
        states = PanelStates(points)
    }

    public mutating func opened(at now: Int64) -> [PanelStep] {
        questions = readings + names
        nextPoll = now + Limit.poll
        return ask(at: now)
    }

    private var readings: [String] { numbered("RA", size.areas) + numbered("RZ", size.zones) }
    private var names: [String] {
        numbered("AL", size.areas) + numbered("ZL", size.zones) + numbered("UL", size.users)
    }

    private func numbered(_ word: String, _ count: Int) -> [String] {
        count < 1
            ? []
            : (1...count).map { number in
                let digits = String(number)
                return word + String(repeating: "0", count: max(0, 3 - digits.count)) + digits
            }
    }

    public var deadline: Int64? { [asked.map { $0.at + Limit.answer }, nextPoll].compactMap(\.self).min() }

    public mutating func tick(at now: Int64) -> [PanelStep] {
        var steps: [PanelStep] = []
        if let question = asked, now >= question.at + Limit.answer {
            asked = nil
            unanswered += 1
            if unanswered == Limit.unanswered {
                questions = []
                steps.append(
                    .log(.warning, "the module does not answer \(question.question): is it on, in ASCII mode?"))
            }
        }
        if let due = nextPoll, now >= due {
            nextPoll = now + Limit.poll
            questions = numbered("RA", unanswered < Limit.unanswered ? size.areas : 1) + questions
        }
        return steps + ask(at: now)
    }

    /// The next question, when the one before is answered or given up.
    private mutating func ask(at now: Int64) -> [PanelStep] {
        guard asked == nil, !questions.isEmpty else { return [] }
        let question = questions.removeFirst()
        asked = (question, now)
        return [.send(Array(question.utf8) + [0x0D], says: "asks \(question)")]
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PanelStep] {
        if byte == 0x0D || byte == 0x0A {
            defer { line = [] }
            return line.isEmpty ? [] : judge(line, at: now)
        }
        line.append(byte)
        // Of noise without an end the last is kept: a message may stand behind it.
        if line.count > Limit.line { line.removeFirst() }
        return []
    }

    private mutating func judge(_ bytes: [UInt8], at now: Int64) -> [PanelStep] {
        guard let (start, read) = ParadoxLine.find(bytes) else { return unknown(bytes) }
        let noise: [PanelStep] = start > 0 ? [.strange(Array(bytes[..<start]), why: "it stands before a line")] : []
        let frame = Array(bytes[start...])
        let text = latin(frame)
        let steps = steps(for: read, text, at: now)
        return noise + [.frame(frame + [0x0D], says: says(read, text))] + steps + ask(at: now)
    }

    private mutating func steps(for line: ParadoxLine, _ text: String, at now: Int64) -> [PanelStep] {
        switch line {
        case .event(let group, let number, let area): return event(group, number, area, text, at: now)
        case .area(let area, let flags):
            answered(String(text.prefix(5)))
            return reported(healthy() + areaStates(area, Array(flags), at: now))
        case .zone(let zone, let flags):
            answered(String(text.prefix(5)))
            return reported(healthy() + zoneStates(zone, Array(flags), at: now))
        case .label(let word, let number, let label):
            let question = String(text.prefix(5))
            let wasAsked = asked?.question == question
            answered(question)
            if wasAsked { labels["\(word)\(number)"] = label }
            return []
        case .echo(let question, _):
            answered(question)
            return []
        case .comm(let sees):
            let came = sees && combus != true
            combus = sees
            // What happened while the module did not see its panel has not been told.
            if came, nextPoll != nil { questions = readings + questions.filter { !readings.contains($0) } }
            let reading = sees ? Signal.Reading.healthy : .fault("the module does not hear its panel on the combus")
            return reported([Signal(point: "combus", reading)])
        case .output: return []
        }
    }

    private mutating func answered(_ question: String) {
        guard asked?.question == question else { return }
        asked = nil
        // It was away: all is asked anew.
        if unanswered >= Limit.unanswered { questions = readings + (labels.isEmpty ? names : []) }
        unanswered = 0
    }

    /// The panel's own states come only over a sound combus.
    private mutating func healthy() -> [Signal] {
        guard combus == nil else { return [] }
        combus = true
        return [Signal(point: "combus", .healthy)]
    }

    private mutating func event(
        _ group: Int, _ number: Int, _ area: Int, _ text: String, at now: Int64
    ) -> [PanelStep] {
        switch ParadoxReport(group: group, number: number, area: area) {
        case .state(let name, let said, let began, let words):
            return reported(states.signals(name, said, began, isNews: true, text: label(said, words), at: now))
        case .once(let said, let words):
            let point = CodedPoint.point(for: said, among: states.points.coded)
            return reported([Signal(saying: said, point: point, text: label(said, words))])
        case .contact(let zone, let open):
            let area: Int? = area > 0 ? area : nil
            return reported(
                sound(zone, area, at: now) + contact(zone, area, open, isNews: true, at: now))
        case .armed(let armed, let said):
            areas[area] = nil
            return reported(
                states.signals("area-\(area)", said, armed, isNews: false, text: label(said, ""), at: now))
        case .ask:
            if nextPoll != nil, area > 0, area <= size.areas {
                let question = numbered("RA", area).suffix(1)
                questions = question + questions.filter { !question.contains($0) }
            }
            return []
        case .quiet: return []
        case .unknown: return reported([Signal(point: "unclassified", .call, text: text)])
        }
    }

    /// A zone that is told open or closed is not tampered with, and its loop is sound.
    private mutating func sound(_ zone: Int, _ area: Int?, at now: Int64) -> [Signal] {
        var signals: [Signal] = []
        for (suffix, kind) in [("-tamper", "tamper"), ("-loop", "fire-trouble")]
        where states.stands("zone-\(zone)\(suffix)") {
            let said = Said(kind: kind, partition: area, zone: zone)
            signals += states.signals("zone-\(zone)\(suffix)", said, false, isNews: true, at: now)
        }
        return signals
    }

    private mutating func contact(_ zone: Int, _ area: Int?, _ open: Bool, isNews: Bool, at now: Int64) -> [Signal] {
        guard let point = states.points.opening(of: zone) else { return [] }
        let said = Said(kind: "technical", partition: area, zone: zone)
        let words = labels["ZL\(zone)"] ?? ""
        return states.signals("zone-\(zone)-open", said, open, isNews: isNews, point: point, text: words, at: now)
    }

    private mutating func areaStates(_ area: Int, _ flags: [Character], at now: Int64) -> [Signal] {
        guard flags.count == 7, areas[area] != String(flags) else { return [] }
        areas[area] = String(flags)
        let armed = flags[0] != "D"
        let kind = flags[0] == "S" ? "partial-arming" : "arming"
        let words = labels["AL\(area)"] ?? ""
        let parts = [
            ("area-\(area)", armed ? kind : "arming", armed, words),
            // No flag says of what kind the alarm of a whole area is.
            ("area-\(area)-alarm", "unclassified", flags[5] == "A", "Area in alarm \(words)"),
            ("area-\(area)-trouble", "trouble", flags[2] == "T", "Trouble \(words)"),
        ]
        return parts.flatMap { name, kind, active, words in
            let text = words.split(separator: " ").joined(separator: " ")
            return states.signals(name, Said(kind: kind, partition: area), active, isNews: false, text: text, at: now)
        }
    }

    private mutating func zoneStates(_ zone: Int, _ flags: [Character], at now: Int64) -> [Signal] {
        guard flags.count == 5 else { return [] }
        let burns = flags[2] == "F"
        let parts = [
            ("", "burglary", flags[1] == "A" && !burns), ("-fire", "fire", burns),
            ("-supervision", "detector-lost", flags[3] == "S"), ("-battery", "detector-battery", flags[4] == "L"),
            ("-tamper", "tamper", flags[0] == "T"), ("-loop", "fire-trouble", flags[0] == "F"),
        ]
        let words = labels["ZL\(zone)"] ?? ""
        let told = parts.flatMap { suffix, kind, active in
            states.signals(
                "zone-\(zone)\(suffix)", Said(kind: kind, zone: zone), active, isNews: false, text: words, at: now)
        }
        return told + contact(zone, nil, flags[0] == "O", isNews: false, at: now)
    }

    /// The label of the zone or user, behind what is said of it.
    private func label(_ said: Said, _ words: String) -> String {
        guard said.zone > 0, case .kind(let kind) = said.code else { return words }
        let label = labels["\(kind.address == .user ? "UL" : "ZL")\(said.zone)"] ?? ""
        return words.isEmpty ? label : label.isEmpty ? words : "\(words): \(label)"
    }

    private func reported(_ signals: [Signal]) -> [PanelStep] {
        signals.isEmpty ? [] : [.report(signals, accept: nil)]
    }

    private func unknown(_ bytes: [UInt8]) -> [PanelStep] {
        guard bytes.count >= Limit.unknown, bytes.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            return [.strange(bytes, why: "no line of the module")]
        }
        let text = latin(bytes)
        return [
            .frame(bytes + [0x0D], says: "not known: \(text)"),
            .report([Signal(point: "unclassified", .call, text: text)], accept: nil),
        ]
    }

    private func says(_ line: ParadoxLine, _ text: String) -> String {
        switch line {
        case .event(let group, let number, let area):
            switch ParadoxReport(group: group, number: number, area: area) {
            case .state(_, let said, let began, _): "\(said.summary)\(began ? "" : " ended")"
            case .once(let said, _): said.summary
            case .contact(let zone, let open): "zone \(zone) \(open ? "open" : "closed")"
            case .armed(let armed, let said): "\(said.summary)\(armed ? "" : " ended")"
            case .ask: "status of area \(area)"
            case .quiet(let words): words
            case .unknown: "not known: \(text)"
            }
        case .area, .zone, .echo, .output: text
        case .label(_, _, let label): "\(text.prefix(5)) is \(label)"
        case .comm(let sees): sees ? "the module hears its panel" : "the module does not hear its panel"
        }
    }

    private func latin(_ bytes: [UInt8]) -> String {
        String(String.UnicodeScalarView(bytes.map { UnicodeScalar($0) }))
    }
}
