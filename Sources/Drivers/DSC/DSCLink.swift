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
        var kind: String
        var until: Int64
    }

    private var states: PanelStates
    private var line: [UInt8] = []
    private var nextPoll: Int64?
    private var awaitedSince: Int64?
    private var missed = 0
    private var statusDue: Int64?
    private var statusAsked: Int64?
    private var statusHeard: Int64 = 0
    /// Armings that wait for their user: at most one for each of ten partitions.
    private var armings: [Arming] = []
    private var keybus: Bool?

    init(_ points: PanelPoints = PanelPoints()) { states = PanelStates(points) }

    public mutating func opened(at now: Int64) -> [PanelStep] { askStatus(at: now) }

    public var deadline: Int64? {
        let answer = awaitedSince.map { $0 + Limit.answer }
        return [nextPoll, answer, statusDue, armings.map(\.until).min()].compactMap(\.self).min()
    }

    public mutating func tick(at now: Int64) -> [PanelStep] {
        var steps: [PanelStep] = []
        for arming in armings where now >= arming.until { steps += told(arming, user: 0, at: now) }
        armings.removeAll { now >= $0.until }
        if let since = awaitedSince, now >= since + Limit.answer {
            missed += 1
            if missed == 2 { steps.append(.log(.warning, "two polls in a row are not answered: is the module on?")) }
            return steps + poll(at: now)
        }
        if let due = statusDue, now >= due { return steps + askStatus(at: now) }
        if let due = nextPoll, now >= due { return steps + poll(at: now) }
        return steps
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
            guard DSCFrame.looksLikeOne(bytes) else { return [.strange(bytes, why: "no message of the module")] }
            // What it said is lost; what stands can be asked for.
            statusDue = max(now, (statusAsked ?? .min / 2) + Limit.between)
            return [.strange(bytes, why: "wrong checksum; the status is asked for")] + tick(at: now)
        }
        let noise: [PanelStep] = start > 0 ? [.strange(Array(bytes[..<start]), why: "it stands before a message")] : []
        let isNews = !isStatus(at: now)
        let report = DSCReport(frame)
        let says = "\(frame.command) \(words(report))"
        return noise + [.frame(Array(bytes[start...]) + [0x0D, 0x0A], says: says)]
            + steps(for: report, frame, isNews: isNews, at: now)
    }

    private mutating func steps(
        for report: DSCReport, _ frame: DSCFrame, isNews: Bool, at now: Int64
    ) -> [PanelStep] {
        switch report {
        case .state(let name, let said, let began, let words):
            return seen(at: now)
                + reported(states.signals(name, said, began, isNews: isNews, text: words, at: now))
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
            armings.removeAll { $0.area == area }
            return told(Arming(area: area, armed: armed, kind: kind, until: now), user: user, at: now)
        case .ready(let area): return seen(at: now) + alarm(area, false, isNews: isNews, at: now)
        case .alarm(let area): return alarm(area, true, isNews: isNews, at: now)
        case .keybus(let sees):
            keybus = sees
            let reading = sees ? Signal.Reading.healthy : .fault("the module does not hear its panel on the keybus")
            return reported([Signal(point: "keybus", reading)])
        case .answer: return answered(at: now)
        case .error(let words): return [.log(.warning, words)]
        case .quiet: return []
        case .unknown:
            let text = "\(frame.command)\(latin(frame.data))"
            return reported([Signal(point: "unclassified", .call, text: text)])
        }
    }

    /// Messages of the panel itself come only over a sound keybus: an old fault of it has ended.
    private mutating func seen(at now: Int64) -> [PanelStep] {
        guard keybus == nil, statusAsked != nil else { return [] }
        keybus = true
        return reported([Signal(point: "keybus", .healthy)])
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

    private mutating func told(_ arming: Arming, user: Int, at now: Int64) -> [PanelStep] {
        let said = Said(kind: arming.kind, partition: arming.area, zone: user)
        return reported(
            states.signals("area-\(arming.area)", said, arming.armed, isNews: false, at: now))
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

    private mutating func answered(at now: Int64) -> [PanelStep] {
        awaitedSince = nil
        defer { missed = 0 }
        // It was away: what it said meanwhile is lost.
        if missed > 0 { statusDue = max(now, (statusAsked ?? .min / 2) + Limit.between) }
        return []
    }

    private mutating func poll(at now: Int64) -> [PanelStep] {
        awaitedSince = now
        nextPoll = now + Limit.poll
        return [.send(DSCFrame("000").bytes, says: "poll")]
    }

    private mutating func askStatus(at now: Int64) -> [PanelStep] {
        (statusDue, statusAsked, statusHeard) = (nil, now, now)
        awaitedSince = now
        nextPoll = now + Limit.poll
        return [.send(DSCFrame("001").bytes, says: "status request")]
    }

    /// Whether what comes now answers a status request.
    private mutating func isStatus(at now: Int64) -> Bool {
        guard let asked = statusAsked, now - asked <= Limit.status, now - statusHeard <= Limit.pause else {
            return false
        }
        statusHeard = now
        return true
    }

    private func words(_ report: DSCReport) -> String {
        switch report {
        case .state(_, let said, let began, _): "\(said.summary)\(began ? "" : " ended")"
        case .once(let said, _): said.summary
        case .contact(let zone, let open): "zone \(zone) \(open ? "open" : "closed")"
        case .armed(let area, let armed, let kind): armed ? "area \(area): \(kind)" : "area \(area) disarmed"
        case .armedBy(let area, let user, let armed, _): "area \(area) \(armed ? "armed" : "disarmed") by user \(user)"
        case .ready(let area): "area \(area) ready"
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
