import AlarmProtocol

/// Our end of an IT-100: asks for the status after opening, polls, and makes of its messages what they mean.
///
/// Nothing is acknowledged in this protocol: what is garbled is lost, and the status is asked for again.
public struct DSCLink: PanelLink {
    /// Times in milliseconds.
    enum Limit {
        static let poll: Int64 = 30_000
        /// An answer is there within this, or the poll is sent again.
        static let answer: Int64 = 5000
        /// The answer to a status request is one run of messages without a longer pause than this,
        static let pause: Int64 = 2000
        /// and takes no longer than this in all.
        static let status: Int64 = 10_000
        /// Between two status requests.
        static let between: Int64 = 5000
        /// "Armed" waits so long for who did it.
        static let user: Int64 = 1000
        /// Longest line in bytes: a keypad's text has some 45, a label 40.
        static let line = 96
    }

    private struct Arming: Sendable {
        var area: Int
        var armed: Bool
        /// Nil: whether as a whole is not said.
        var kind: String?
        var until: Int64
    }

    /// What has been told in answer to a status request.
    private struct Status: Sendable {
        var asked: Int64
        var heard: Int64
        /// The module has said that it answers now. Nothing else has come before, where the line has just been opened.
        var isAcknowledged = false
        var closed: Set<Int> = []
        var hasArea = false
        var hasAlarm = false

        var end: Int64 {
            isAcknowledged ? min(asked + Limit.status, heard + Limit.pause) : asked + Limit.answer
        }
    }

    private var states: PanelStates
    /// Zones with fire detectors; nil: nobody has said which.
    private let fireZones: [ClosedRange<Int>]?
    private var line: [UInt8] = []
    private var nextPoll: Int64?
    private var awaitedSince: Int64?
    private var missed = 0
    /// The module has said something since it was polled.
    private var talked = false
    private var answersPolls: Bool?
    private var lastError = ""
    private var statusDue: Int64?
    private var statusAsked: Int64?
    private var status: Status?
    /// What the status tells happened some time while the module, or its panel, could not be heard.
    private var wasAway = false
    /// Armings that wait for their user: at most one for each of ten partitions.
    private var armings: [Arming] = []
    /// How each partition was last told: at most ten.
    private var areas: [Int: (armed: Bool, kind: String)] = [:]
    private var keybus: Bool?
    private var isOpen = false

    init(_ points: PanelPoints = PanelPoints(), fireZones: [ClosedRange<Int>]? = nil) {
        states = PanelStates(points)
        self.fireZones = fireZones
    }

    public mutating func opened(at now: Int64) -> [PanelStep] {
        isOpen = true
        status = Status(asked: now, heard: now)
        return askStatus(at: now)
    }

    public var deadline: Int64? {
        let answer = awaitedSince.map { $0 + Limit.answer }
        return [nextPoll, answer, statusDue, status?.end, armings.map(\.until).min()].compactMap(\.self).min()
    }

    public mutating func tick(at now: Int64) -> [PanelStep] {
        var steps: [PanelStep] = []
        for arming in armings where now >= arming.until { steps += told(arming, user: 0, at: now) }
        armings.removeAll { now >= $0.until }
        if let told = status, now >= told.end { steps += statusEnded(told, at: now) }
        if let since = awaitedSince, now >= since + Limit.answer { return steps + unanswered(at: now) }
        if let due = statusDue, now >= due { return steps + askStatus(at: now) }
        if let due = nextPoll, now >= due { return steps + poll(at: now) }
        return steps
    }

    /// A module that is silent is told by the line's silence. One that speaks and does not answer does not hear us.
    private mutating func unanswered(at now: Int64) -> [PanelStep] {
        missed += 1
        var steps: [PanelStep] = []
        if missed == 2 { steps.append(.log(.warning, "two polls in a row are not answered: is the module on?")) }
        if missed >= 2 {
            wasAway = true
            if talked, answersPolls != false {
                answersPolls = false
                let why =
                    "the module speaks, but does not answer polls: check the wire from our TxD"
                    + (lastError.isEmpty ? "" : "; it said \(lastError)")
                steps += reported([Signal(point: DSCDriver.Part.polls, .fault(why))])
            }
        }
        return steps + poll(at: now)
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
        guard let (start, frame) = DSCFrame.find(bytes) else {
            return [.strange(bytes, why: "no message, or a wrong checksum; the status is asked for")] + lost(at: now)
        }
        let before = start > 0 ? self.before(Array(bytes[..<start]), at: now) : []
        let report = DSCReport(frame)
        let says = "\(frame.command) \(words(report))"
        let isAnswer = answersStatus(report, at: now)
        var told = steps(for: report, frame, isNews: !isAnswer, at: now)
        if isAnswer, wasAway { told = told.map(Self.unwatched) }
        return before + [.frame(Array(bytes[start...]) + [0x0D, 0x0A], says: says)] + told
    }

    /// What stands before a message in its line: another whose end was lost, or noise.
    private mutating func before(_ bytes: [UInt8], at now: Int64) -> [PanelStep] {
        if DSCFrame.find(bytes) != nil { return judge(bytes, at: now) }
        return [.strange(bytes, why: "it stands before a message")] + lost(at: now)
    }

    /// Something the module said is lost. What stands can be asked for.
    private mutating func lost(at now: Int64) -> [PanelStep] {
        wantStatus(at: now)
        return tick(at: now)
    }

    private mutating func wantStatus(at now: Int64) {
        statusDue = max(now, (statusAsked ?? .min / 2) + Limit.between)
    }

    private mutating func steps(
        for report: DSCReport, _ frame: DSCFrame, isNews: Bool, at now: Int64
    ) -> [PanelStep] {
        switch report {
        case .state(let name, let said, let began, let words):
            return seen(at: now)
                + reported(states.signals(name, said, began, isNews: isNews, text: words, at: now))
        case .zoneAlarm(let zone, let area, let began):
            return seen(at: now) + reported(zoneAlarm(zone, area, began, isNews: isNews, at: now))
        case .zoneFault(let zone, let area, let began):
            let said = Said(kind: isFire(zone) ? "fire-trouble" : "burglary-trouble", partition: area, zone: zone)
            return seen(at: now)
                + reported(states.signals("zone-\(zone)-fault", said, began, isNews: isNews, at: now))
        case .once(let said, let words):
            let point = CodedPoint.point(for: said, among: states.points.coded)
            return reported([Signal(saying: said, point: point, text: words)])
        case .contact(let zone, let open):
            guard let point = states.points.opening(of: zone) else { return seen(at: now) }
            let said = Said(kind: "technical", zone: zone)
            return reported(
                states.signals("zone-\(zone)-open", said, open, isNews: isNews, point: point, at: now))
        case .armed(let area, let armed, let kind):
            return self.armed(Arming(area: area, armed: armed, kind: kind, until: now + Limit.user), isNews, at: now)
        case .armedBy(let area, let user, let armed, let kind):
            return armedBy(area, user, armed, kind, at: now)
        case .disarmed(let area, let isReady):
            // Of a partition that is not ready only the status tells that it is not armed.
            guard isReady || !isNews else { return seen(at: now) }
            return seen(at: now) + disarmed(area, isNews, at: now)
        case .alarm(let area): return alarm(area, true, isNews: isNews, at: now)
        case .keybus(let sees):
            // What happened while the module did not hear its panel has not been told.
            if sees, keybus == false { wantStatus(at: now) }
            if !sees { wasAway = true }
            keybus = sees
            let reading = sees ? Signal.Reading.healthy : .fault("the module does not hear its panel on the keybus")
            return reported([Signal(point: DSCDriver.Part.keybus, reading)]) + (sees ? tick(at: now) : [])
        case .answer(let command): return answered(command, at: now)
        case .error(let words):
            lastError = words
            // It may have lost what it had to say.
            if statusAsked.map({ now - $0 > Limit.status }) ?? false { wantStatus(at: now) }
            return [.log(.warning, words)] + tick(at: now)
        case .quiet:
            // It says its version when it has been started: what it had to say meanwhile is lost.
            guard frame.command == "908", let asked = statusAsked, now - asked > Limit.status else { return [] }
            wasAway = true
            return lost(at: now)
        case .unknown:
            let text = "\(frame.command)\(latin(frame.data))"
            return reported([Signal(point: "unclassified", .call, text: text)])
        }
    }

    private func isFire(_ zone: Int) -> Bool { fireZones?.contains { $0.contains(zone) } ?? false }

    private mutating func zoneAlarm(
        _ zone: Int, _ area: Int?, _ began: Bool, isNews: Bool, at now: Int64
    ) -> [Signal] {
        let said = Said(kind: isFire(zone) ? "fire" : "burglary", partition: area, zone: zone)
        let point = CodedPoint.point(for: said, among: states.points.coded)
        // Where nobody has said which zones burn, the centre is told that this one may.
        let text = fireZones == nil && point == nil ? "Zone in alarm, of what kind the panel does not say" : ""
        return states.signals("zone-\(zone)", said, began, isNews: isNews, point: point, text: text, at: now)
    }

    /// Messages of the panel itself come only over a sound keybus: an old fault of it has ended.
    private mutating func seen(at now: Int64) -> [PanelStep] {
        guard keybus == nil, isOpen else { return [] }
        keybus = true
        return reported([Signal(point: DSCDriver.Part.keybus, .healthy)])
    }

    private mutating func disarmed(_ area: Int, _ isNews: Bool, at now: Int64) -> [PanelStep] {
        let isKnown = armings.last { $0.area == area }.map { !$0.armed } ?? (areas[area]?.armed == false)
        guard !isKnown else { return alarm(area, false, isNews: isNews, at: now) }
        return armed(Arming(area: area, armed: false, until: now + Limit.user), isNews, at: now)
    }

    private mutating func armed(_ arming: Arming, _ isNews: Bool, at now: Int64) -> [PanelStep] {
        let ended = arming.armed ? [] : alarm(arming.area, false, isNews: isNews, at: now)
        let earlier = armings.filter { $0.area == arming.area }
        armings.removeAll { $0.area == arming.area }
        let steps = ended + earlier.filter { $0.armed != arming.armed }.flatMap { told($0, user: 0, at: now) }
        guard isNews else { return seen(at: now) + steps + told(arming, user: 0, at: now) }
        armings.append(arming)
        return steps
    }

    /// Who it was. Whether as a whole, the partition says itself, before or after.
    private mutating func armedBy(_ area: Int, _ user: Int, _ armed: Bool, _ kind: String, at now: Int64) -> [PanelStep]
    {
        let earlier = armings.filter { $0.area == area }
        armings.removeAll { $0.area == area }
        let steps = earlier.filter { $0.armed != armed }.flatMap { told($0, user: 0, at: now) }
        let known = areas[area].flatMap { $0.armed && armed ? $0.kind : nil }
        let mode = earlier.last { $0.armed == armed }?.kind ?? known
        let own = kind == "partial-arming" ? kind : mode ?? kind
        return steps + told(Arming(area: area, armed: armed, kind: own, until: now), user: user, at: now)
    }

    private mutating func told(_ arming: Arming, user: Int, at now: Int64) -> [PanelStep] {
        let kind = arming.kind ?? "arming"
        let said = Said(kind: kind, partition: arming.area, zone: user)
        let before = areas.updateValue((arming.armed, kind), forKey: arming.area)
        let name = "area-\(arming.area)"
        // Armed as before, but now as a whole, or no longer: no change of state, and yet to be told.
        if arming.armed, let before, before.armed, before.kind != kind {
            let point = CodedPoint.point(for: said, among: states.points.coded) ?? name
            return reported([Signal(point: point, .call, said: said)])
        }
        return reported(states.signals(name, said, arming.armed, isNews: false, at: now))
    }

    /// No message says of what kind an alarm of a whole partition is.
    private mutating func alarm(_ area: Int, _ active: Bool, isNews: Bool, at now: Int64) -> [PanelStep] {
        let said = Said(kind: "unclassified", partition: area)
        return reported(
            states.signals("area-\(area)-alarm", said, active, isNews: isNews, text: "Partition in alarm", at: now))
    }

    private func reported(_ signals: [Signal]) -> [PanelStep] {
        signals.isEmpty ? [] : [.report(signals, accept: nil)]
    }

    private mutating func answered(_ command: String, at now: Int64) -> [PanelStep] {
        awaitedSince = nil
        lastError = ""
        defer {
            missed = 0
            answersPolls = true
        }
        if command == "001", let asked = statusAsked, now - asked <= Limit.status {
            status = Status(asked: now, heard: now, isAcknowledged: true)
        } else if missed > 0 {
            // It was away: what it said meanwhile is lost.
            wantStatus(at: now)
        }
        return (answersPolls == true ? [] : reported([Signal(point: DSCDriver.Part.polls, .healthy)])) + tick(at: now)
    }

    private mutating func poll(at now: Int64) -> [PanelStep] {
        if awaitedSince == nil { talked = false }
        awaitedSince = now
        nextPoll = now + Limit.poll
        return [.send(DSCFrame("000").bytes, says: "poll")]
    }

    private mutating func askStatus(at now: Int64) -> [PanelStep] {
        if awaitedSince == nil { talked = false }
        (statusDue, statusAsked) = (nil, now)
        awaitedSince = now
        nextPoll = now + Limit.poll
        return [.send(DSCFrame("001").bytes, says: "status request")]
    }

    // MARK: The answer to a status request

    /// Whether what comes now is a part of it, and takes note of it.
    private mutating func answersStatus(_ report: DSCReport, at now: Int64) -> Bool {
        if case .answer = report { return false }
        talked = true
        // Keypads say their texts at any time.
        if case .quiet = report { return false }
        guard var told = status, now < told.end else { return false }
        told.heard = now
        switch report {
        case .contact(let zone, let open): if !open { told.closed.insert(zone) }
        case .armed, .disarmed: told.hasArea = true
        case .alarm: told.hasAlarm = true
        case .zoneAlarm(_, _, let began): told.hasAlarm = told.hasAlarm || began
        case .state(let name, _, let began, _):
            if DSCReport.alarms.contains(where: { $0.name == name }) { told.hasAlarm = told.hasAlarm || began }
        default: break
        }
        status = told
        return true
    }

    /// Where no partition is in alarm, neither is a zone that is closed, and no key's alarm stands: what was known of them
    /// has ended, and nobody heard it.
    private mutating func statusEnded(_ told: Status, at now: Int64) -> [PanelStep] {
        status = nil
        let isLate = wasAway
        if told.isAcknowledged { wasAway = false }
        guard told.hasArea, !told.hasAlarm else { return [] }
        var signals = told.closed.sorted().flatMap { zoneAlarm($0, nil, false, isNews: false, at: now) }
        for alarm in DSCReport.alarms {
            signals += states.signals(
                alarm.name, Said(kind: alarm.kind), false, isNews: false, text: alarm.words, at: now)
        }
        let steps = reported(signals)
        return isLate ? steps.map(Self.unwatched) : steps
    }

    private static func unwatched(_ step: PanelStep) -> PanelStep {
        guard case .report(var signals, let accept, let refuse, let knownBy) = step else { return step }
        for index in signals.indices { signals[index].isUnwatched = true }
        return .report(signals, accept: accept, refuse: refuse, knownBy: knownBy)
    }

    private func words(_ report: DSCReport) -> String {
        switch report {
        case .state(_, let said, let began, _): "\(said.summary)\(began ? "" : " ended")"
        case .once(let said, _): said.summary
        case .zoneAlarm(let zone, _, let began): "zone \(zone) in alarm\(began ? "" : " ended")"
        case .zoneFault(let zone, _, let began): "zone \(zone) faulty\(began ? "" : " ended")"
        case .contact(let zone, let open): "zone \(zone) \(open ? "open" : "closed")"
        case .armed(let area, let armed, let kind): armed ? "area \(area): \(kind)" : "area \(area) disarmed"
        case .armedBy(let area, let user, let armed, _): "area \(area) \(armed ? "armed" : "disarmed") by user \(user)"
        case .disarmed(let area, let isReady): "area \(area) \(isReady ? "" : "not ")ready"
        case .alarm(let area): "area \(area) in alarm"
        case .keybus(let sees): sees ? "keybus restored" : "keybus fault"
        case .answer(let command): "answer to \(command)"
        case .error(let words), .quiet(let words): words
        case .unknown: "not known"
        }
    }

    private func latin(_ bytes: [UInt8]) -> String {
        String(String.UnicodeScalarView(bytes.map { (0x20...0x7E).contains($0) ? UnicodeScalar($0) : "\u{FFFD}" }))
    }
}
