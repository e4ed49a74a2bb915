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
        /// Between two times that areas are asked for because a line was garbled.
        static let between: Int64 = 5000
        /// An alarm of an area was told by an event, if one came so shortly before; a poll goes out in that time.
        static let explained: Int64 = 35_000
        /// A fire of an area that is told so shortly after that of one of its zones is the same fire.
        static let sameFire: Int64 = 10_000
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
    /// How each armed area was told: as a whole or in part.
    private var armedAs: [Int: String] = [:]
    /// When an event last told an alarm in an area, and a fire; 0: in some area.
    private var alarmAt: [Int: Int64] = [:]
    private var fireAt: [Int: Int64] = [:]
    /// A line was garbled, and perhaps an alarm with it.
    private var garbledAt: Int64?
    private var isGarbled = false
    /// What the readings tell happened some time while the module, or its panel, could not be heard.
    private var isLate = false
    /// Something came since a question was last answered.
    private var talked = false
    private var answersPolls: Bool?
    private var combus: Bool?
    /// How often in a row the module could not tell the first area.
    private var failures = 0

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
            unanswered = min(unanswered + 1, Limit.unanswered + 1)
            if unanswered == Limit.unanswered {
                questions = []
                isLate = true
                steps.append(
                    .log(.warning, "the module does not answer \(question.question): is it on, in ASCII mode?"))
            }
            steps += deaf()
        }
        if let due = nextPoll, now >= due {
            nextPoll = now + Limit.poll
            askFirst(numbered("RA", unanswered < Limit.unanswered ? size.areas : 1))
        }
        return steps + ask(at: now)
    }

    /// A module that is silent is told by the line's silence. One that speaks and does not answer does not hear us.
    private mutating func deaf() -> [PanelStep] {
        guard unanswered >= Limit.unanswered, talked, answersPolls != false else { return [] }
        answersPolls = false
        let why = "the module speaks, but does not answer: check the wire from our TxD, and that it is in ASCII mode"
        return reported([Signal(point: ParadoxDriver.Part.polls, .fault(why))])
    }

    private mutating func askFirst(_ first: [String]) { questions = first + questions.filter { !first.contains($0) } }

    /// The next question, when the one before is answered or given up.
    private mutating func ask(at now: Int64) -> [PanelStep] {
        guard asked == nil, !questions.isEmpty else { return [] }
        let question = questions.removeFirst()
        if unanswered == 0 { talked = false }
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
        guard let (start, read) = ParadoxLine.find(bytes) else {
            garbled(at: now)
            return unknown(bytes) + ask(at: now)
        }
        let before = start > 0 ? self.before(Array(bytes[..<start]), at: now) : []
        let frame = Array(bytes[start...])
        let text = latin(frame)
        let steps = steps(for: read, text, at: now)
        return before + [.frame(frame + [0x0D], says: says(read, text))] + steps + ask(at: now)
    }

    /// What stands before a line: another whose end was lost, or noise.
    private mutating func before(_ bytes: [UInt8], at now: Int64) -> [PanelStep] {
        if ParadoxLine.find(bytes) != nil { return judge(bytes, at: now) }
        garbled(at: now)
        return [.strange(bytes, why: "it stands before a line")]
    }

    /// What the line said is lost. An alarm of it stands in its area's state, and then in its zone's.
    private mutating func garbled(at now: Int64) {
        guard nextPoll != nil, unanswered < Limit.unanswered, now - (garbledAt ?? .min / 2) >= Limit.between else {
            return
        }
        (garbledAt, isGarbled) = (now, true)
        askFirst(numbered("RA", size.areas))
    }

    private mutating func steps(for line: ParadoxLine, _ text: String, at now: Int64) -> [PanelStep] {
        switch line {
        case .event(let group, let number, let area):
            talked = true
            return event(group, number, area, text, at: now)
        case .area(let area, let flags):
            let steps = answered(String(text.prefix(5)))
            return steps + answer(areaStates(area, Array(flags), at: now))
        case .zone(let zone, let flags):
            let steps = answered(String(text.prefix(5)))
            return steps + answer(zoneStates(zone, Array(flags), at: now))
        case .label(let word, let number, let label):
            let question = String(text.prefix(5))
            let wasAsked = asked?.question == question
            let steps = answered(question)
            if wasAsked { labels["\(word)\(number)"] = label }
            return steps
        case .echo(let question, let isOK):
            let isOfFirst = asked?.question == question && question == "RA001" && !isOK
            return answered(question) + (isOfFirst ? notSeen() : [])
        case .comm(let sees):
            talked = true
            if sees, nextPoll != nil {
                // What happened while the module did not see its panel has not been told. Said again, the module has
                // been started anew: an alarm of that moment stands in its area's state.
                askFirst(combus == true ? numbered("RA", size.areas) : readings)
                if combus != nil { isLate = true }
            }
            combus = sees
            failures = 0
            let reading = sees ? Signal.Reading.healthy : .fault("the module does not hear its panel on the combus")
            return reported([Signal(point: ParadoxDriver.Part.combus, reading)])
        case .output: return []
        }
    }

    private mutating func answered(_ question: String) -> [PanelStep] {
        guard asked?.question == question else { return [] }
        asked = nil
        talked = false
        // It was away: all is asked anew.
        if unanswered >= Limit.unanswered { questions = readings + (labels.isEmpty ? names : []) }
        unanswered = 0
        guard answersPolls != true else { return [] }
        answersPolls = true
        return reported([Signal(point: ParadoxDriver.Part.polls, .healthy)])
    }

    private mutating func answer(_ states: [Signal]) -> [PanelStep] {
        var signals = states
        if isLate {
            for index in signals.indices { signals[index].isUnwatched = true }
            isLate = questions.contains { $0.hasPrefix("R") }
        }
        return reported(healthy() + signals)
    }

    /// The module says that it cannot tell the first area, which every panel has: it does not see its panel, and said so
    /// before anybody listened.
    private mutating func notSeen() -> [PanelStep] {
        failures = min(failures + 1, 3)
        if failures == 1 { askFirst(["RA001"]) }
        guard failures == 2, combus != false else { return [] }
        let why = "the module cannot tell the state of area 1: it does not hear its panel on the combus"
        combus = nil
        isLate = true
        return reported([Signal(point: ParadoxDriver.Part.combus, .fault(why))])
    }

    /// The panel's own states come only over a sound combus.
    private mutating func healthy() -> [Signal] {
        failures = 0
        guard combus == nil else { return [] }
        combus = true
        return [Signal(point: ParadoxDriver.Part.combus, .healthy)]
    }

    private mutating func event(
        _ group: Int, _ number: Int, _ area: Int, _ text: String, at now: Int64
    ) -> [PanelStep] {
        switch ParadoxReport(group: group, number: number, area: area) {
        case .state(let name, let said, let began, let words):
            if began { note(group, area, at: now) }
            return reported(states.signals(name, said, began, isNews: true, text: label(said, words), at: now))
        case .once(let said, let words):
            note(group, area, at: now)
            let point = CodedPoint.point(for: said, among: states.points.coded)
            return reported([Signal(saying: said, point: point, text: label(said, words))])
        case .contact(let zone, let open):
            let area: Int? = area > 0 ? area : nil
            return reported(
                sound(zone, area, at: now) + contact(zone, area, open, isNews: true, at: now))
        case .armed(let armed, let said): return self.armed(armed, said, area, at: now)
        case .ask:
            askState(of: area)
            return []
        case .areaFire:
            askState(of: area)
            return reported(areaFire(area, at: now))
        case .quiet: return []
        case .unknown: return reported([Signal(point: "unclassified", .call, text: text)])
        }
    }

    /// An area's state need not be asked for its zones where an event has told of which its alarm is.
    private mutating func note(_ group: Int, _ area: Int, at now: Int64) {
        guard [24, 25, 30, 31].contains(group) else { return }
        let area = (1...Limit.areas).contains(area) ? area : 0
        alarmAt[area] = now
        if group == 25 { fireAt[area] = now }
    }

    private func isRecent(_ times: [Int: Int64], _ area: Int, within time: Int64, at now: Int64) -> Bool {
        [area, 0].contains { area in times[area].map { now - $0 <= time } ?? false }
    }

    /// 0 is all areas, and 255 some.
    private mutating func askState(of area: Int) {
        guard nextPoll != nil else { return }
        let all = numbered("RA", size.areas)
        if (1...Limit.areas).contains(area) {
            if area <= size.areas { askFirst(all.suffix(from: area - 1).prefix(1).map(\.self)) }
        } else {
            askFirst(all)
        }
    }

    private mutating func areaFire(_ area: Int, at now: Int64) -> [Signal] {
        guard !isRecent(fireAt, area, within: Limit.sameFire, at: now) else { return [] }
        let isOne = (1...Limit.areas).contains(area)
        let said = Said(kind: "fire", partition: isOne ? area : nil)
        let words = join("Fire alarm in the area", labels["AL\(area)"])
        guard isOne else {
            let point = CodedPoint.point(for: said, among: states.points.coded)
            return [Signal(saying: said, point: point, text: words)]
        }
        return states.signals("area-\(area)-fire", said, true, isNews: true, text: words, at: now)
    }

    private mutating func armed(_ armed: Bool, _ said: Said, _ area: Int, at now: Int64) -> [PanelStep] {
        let isOne = (1...Limit.areas).contains(area)
        if !isOne { askState(of: area) }
        let numbers = isOne ? [area] : area == 0 ? Array(1...size.areas) : []
        guard !numbers.isEmpty else {
            // In which areas, the answers tell.
            return reported([
                Signal(point: said.pointName, armed ? .call : .cleared, text: label(said, ""), said: said)
            ])
        }
        return reported(
            numbers.flatMap { area in
                areas[area] = nil
                armedAs[area] = armed ? armedAs[area] ?? "arming" : nil
                var said = said
                said.partition = area
                return states.signals("area-\(area)", said, armed, isNews: false, text: label(said, ""), at: now)
            })
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
        guard flags.count == 7 else { return [] }
        let before = areas.updateValue(String(flags), forKey: area)
        let inAlarm = Self.tellsAlarm(String(flags))
        askZones(area, inAlarm, before.map { !Self.tellsAlarm($0) } ?? false, at: now)
        guard before != String(flags) else { return [] }
        let name = labels["AL\(area)"]
        // No flag says of what kind the alarm of a whole area is.
        let parts = [
            ("area-\(area)-alarm", "unclassified", inAlarm, join("Area in alarm", name)),
            ("area-\(area)-trouble", "trouble", flags[2] == "T", join("Trouble", name)),
        ]
        let told = parts.flatMap { name, kind, active, text in
            states.signals(name, Said(kind: kind, partition: area), active, isNews: false, text: text, at: now)
        }
        return arming(area, flags[0], name ?? "", at: now) + told + (inAlarm ? [] : fireEnded(area, name, at: now))
    }

    private static func tellsAlarm(_ flags: String) -> Bool { flags.dropFirst(5).first == "A" }

    /// D disarmed; A armed, F forced; S stay and I instant leave the inner zones out.
    private mutating func arming(_ area: Int, _ flag: Character, _ name: String, at now: Int64) -> [Signal] {
        let armed = flag != "D"
        let kind = flag == "S" || flag == "I" ? "partial-arming" : "arming"
        let said = Said(kind: kind, partition: area)
        let before = armedAs[area]
        armedAs[area] = armed ? kind : nil
        // Armed as before, but now as a whole, or no longer: no change of state, and yet to be told.
        if armed, let before, before != kind {
            let point = CodedPoint.point(for: said, among: states.points.coded) ?? "area-\(area)"
            return [Signal(point: point, .call, text: name, said: said)]
        }
        return states.signals("area-\(area)", said, armed, isNews: false, text: name, at: now)
    }

    private mutating func fireEnded(_ area: Int, _ name: String?, at now: Int64) -> [Signal] {
        let said = Said(kind: "fire", partition: area)
        let text = join("Fire alarm in the area", name)
        return states.signals("area-\(area)-fire", said, false, isNews: false, text: text, at: now)
    }

    /// An area in alarm of which no event told why: its event was lost. The zones tell which it is, and whether it burns.
    private mutating func askZones(_ area: Int, _ inAlarm: Bool, _ wasQuiet: Bool, at now: Int64) {
        let isUnexplained = wasQuiet && !isRecent(alarmAt, area, within: Limit.explained, at: now)
        if inAlarm, isGarbled || isUnexplained, !questions.contains(where: { $0.hasPrefix("RZ") }) {
            isGarbled = false
            askFirst(questions.filter { $0.hasPrefix("RA") } + numbered("RZ", size.zones))
        }
        if area == size.areas { isGarbled = false }
    }

    /// "Area in alarm Skolan"
    private func join(_ words: String, _ label: String?) -> String {
        label.map { $0.isEmpty ? words : "\(words) \($0)" } ?? words
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
            case .areaFire: "fire alarm in area \(area)"
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
