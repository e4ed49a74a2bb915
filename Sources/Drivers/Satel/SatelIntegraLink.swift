import AlarmProtocol

/// Function 2 of an INT-RS module: one question at a time. Each second what has changed is asked, then that is read, then
/// the event log; all of it at the start, after a silence and every five minutes.
public struct SatelIntegraLink: PanelLink {
    /// Milliseconds.
    enum Time {
        /// For an answer (Satel, function 2).
        static let answer: Int64 = 3000
        static let cycle: Int64 = 1000
        static let sweep: Int64 = 300_000
        /// The longest pause before what was not answered is asked again.
        static let longestPause: Int64 = 300_000
    }
    enum Limit {
        /// New events that are read back to the last known one.
        static let events = 200
        /// Questions to the log in one cycle: the states are not to wait.
        static let logQuestions = 16
        /// Events that are read at the start to learn of which kind the zones in alarm are.
        static let learned = 32
        /// Entries that are read again after a restart at most, if nothing of them was news.
        static let unkept = 100
        /// Unanswered so often is a fault.
        static let unanswered = 3
    }

    private enum Question: Sendable, Hashable {
        case read(UInt8)
        /// The event before this one; FF FF FF: the newest.
        case log([UInt8])

        var command: UInt8 { if case .read(let command) = self { command } else { SatelCommand.event } }
    }
    private enum Phase: Sendable { case idle, fast, log, fresh, slow }
    /// An entry of the log. The log goes round, so that an index by itself may come again.
    private struct Entry: Sendable, Hashable {
        /// 3 bytes; none: the log was empty.
        var index: [UInt8] = []
        var record: [UInt8] = []

        init() {}
        init(_ data: [UInt8]) { (index, record) = (Array(data[8..<11]), Array(data[0..<8])) }
        /// As it is kept on disk.
        init?(kept: [UInt8]) {
            guard kept.count == 12, kept[0] == 1 else { return nil }
            (index, record) = (Array(kept[1..<4]), Array(kept[4..<12]))
        }
        var kept: [UInt8] { index.isEmpty ? [] : [1] + index + record }
    }
    /// A way back through the log, from the newest entry to the last that is known.
    private struct Walk: Sendable {
        var newest: Entry?
        var next: [UInt8] = SatelIntegraLink.newest
        /// What is new, the newest first.
        var events: [SatelEvent] = []
        var count = 0
        /// It has led to the last known entry.
        var hasMet = false
        /// It has led to what happened well before that entry, and not to the entry itself.
        var hasPassed = false
    }
    private static let newest: [UInt8] = [0xFF, 0xFF, 0xFF]

    private let readsLog: Bool
    private var reader = SatelFrameReader()
    private var states: SatelStates
    private var asked: (question: Question, at: Int64)?
    private var queue: [Question] = []
    private var phase = Phase.idle
    private var nextCycle: Int64 = 0
    /// All is to be read; nil: at the next answer.
    private var nextSweep: Int64?
    /// All is read in this cycle.
    private var isSwept = false
    private var isAlive = false
    /// The question what is new was asked in the middle of a cycle, only to hear whether somebody is there.
    private var isProof = false
    private var greetings = 0
    private var knowsModel = false
    /// The module can give 32 bytes for zones.
    private var isWide = false
    private var slow: [UInt8] = []
    /// Not answered: how often, and not before when it is asked again.
    private var unanswered: [UInt8: (count: Int, until: Int64)] = [:]
    /// The newest entry of the log that is known. Nil: none ever was.
    private var known: Entry?
    /// The newest whose news has been given out to be stored, and the one that is on disk.
    private var judged: Entry?
    private var kept: Entry?
    /// The log has been read since the line was opened, for the kinds of what stands in alarm.
    private var hasLearned = false
    /// Entries that were read since one was last on disk.
    private var unkept = 0
    private var walk: Walk?
    private var logBudget = 0
    private var hasLogFault = false

    init(points: [SatelPoint] = [], readsLog: Bool = true) {
        self.readsLog = readsLog
        states = SatelStates(points: points)
    }

    public var deadline: Int64? { asked.map { $0.at + Time.answer } ?? nextCycle }

    public mutating func opened(at now: Int64) -> [PanelStep] { begin(at: now) }

    public mutating func tick(at now: Int64) -> [PanelStep] {
        if let asked {
            guard now >= asked.at + Time.answer else { return [] }
            let steps = isUnanswered(asked.question, at: now)
            return inOneReport(steps)
        }
        return now >= nextCycle ? begin(at: now) : []
    }

    /// Storing took its time: the question that stands was sent only now.
    public mutating func stored(answered: Bool, at now: Int64) -> [PanelStep] {
        asked?.at = now
        (kept, unkept) = (judged, 0)
        return []
    }

    /// How far the log had been told when we ended: what it says of the time since is news.
    public mutating func resume(_ kept: [UInt8], at now: Int64) -> [PanelStep] {
        known = Entry(kept: kept)
        (judged, self.kept) = (known, known)
        return []
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PanelStep] {
        reader.receive(byte).flatMap { found -> [PanelStep] in
            switch found {
            case .strange(let bytes, let why): return [.strange(bytes, why: why)]
            case .frame(let body):
                // How far the log is told is read when the answer has been judged.
                let steps = answer(body, at: now)
                return inOneReport(steps)
            }
        }
    }

    /// What one answer brings is stored in one commit, with how far the log is told by then.
    private func inOneReport(_ steps: [PanelStep]) -> [PanelStep] {
        var signals: [Signal] = []
        var rest: [PanelStep] = []
        var place: Int?
        for step in steps {
            guard case .report(let reported, _, _, _) = step else {
                rest.append(step)
                continue
            }
            signals += reported
            place = place ?? rest.count
        }
        if let place { rest.insert(.report(signals, accept: nil, knownBy: judged?.kept ?? []), at: place) }
        return rest
    }

    // MARK: Asking

    private mutating func begin(at now: Int64) -> [PanelStep] {
        nextCycle = now + Time.cycle
        phase = .fast
        guard isAlive else {
            // Either will do to hear whether somebody is there.
            greetings += 1
            return ask(.read(greetings % 2 == 1 && !knowsModel ? SatelCommand.panelType : SatelCommand.news), at: now)
        }
        return ask(.read(SatelCommand.news), at: now)
    }

    private mutating func ask(_ question: Question, at now: Int64) -> [PanelStep] {
        asked = (question, now)
        let body: [UInt8]
        switch question {
        case .log(let index): body = [SatelCommand.event] + index
        case .read(let command):
            let takesMore = SatelCommand.ofZones.contains(command) || command == SatelCommand.news
            body = isWide && takesMore ? [command, 0] : [command]
        }
        return [.send(SatelFrame.framed(body), says: "\(SatelCommand.words(question.command))?")]
    }

    /// The next question of this cycle, or its end.
    private mutating func goOn(at now: Int64) -> [PanelStep] {
        var steps: [PanelStep] = []
        while asked == nil, phase != .idle {
            if !queue.isEmpty {
                steps += ask(queue.removeFirst(), at: now)
                break
            }
            switch phase {
            case .fast:
                phase = .log
                logBudget = hasLearned ? Limit.logQuestions : Limit.learned
                if readsLog, mayAsk(SatelCommand.event, at: now) {
                    walk = walk ?? Walk()
                    queue = [.log(walk?.next ?? Self.newest)]
                }
            case .log:
                phase = .fresh
                queue = states.toRead.sorted().filter { mayAsk($0, at: now) }.map { .read($0) }
            case .fresh:
                phase = .slow
                steps += report(judge(at: now))
                queue = slow.map { .read($0) }
                slow = []
            case .slow:
                phase = .idle
                steps += report(judge(at: now) + states.judgeSlow())
                // Of entries that are no news only the place is kept, seldom.
                if unkept >= Limit.unkept || (isSwept && judged != kept) { steps.append(.report([], accept: nil)) }
                isSwept = false
            case .idle: break
            }
        }
        return steps
    }

    private mutating func judge(at now: Int64) -> [Signal] {
        judged = known
        return states.judge(at: now)
    }

    private func report(_ signals: [Signal]) -> [PanelStep] {
        signals.isEmpty ? [] : [.report(signals, accept: nil)]
    }

    private func mayAsk(_ command: UInt8, at now: Int64) -> Bool { now >= unanswered[command]?.until ?? now }

    /// What is to be read in this cycle.
    private mutating func plan(_ news: [UInt8], at now: Int64) {
        let isSweep = now >= nextSweep ?? now
        if isSweep { (nextSweep, isSwept) = (now + Time.sweep, true) }
        let numbers = Set(satelNumbers(news).map { UInt8($0 - 1) })
        let isWanted: (UInt8) -> Bool = { [unanswered, isWide] command in
            guard isWide || (command != 0x2C && command != 0x2D) else { return false }
            if let failed = unanswered[command] { return now >= failed.until }
            return isSweep || numbers.contains(command)
        }
        let greetings = isSweep && !knowsModel ? [SatelCommand.panelType, SatelCommand.moduleVersion] : []
        let fast = SatelCommand.fast.filter { $0 != SatelCommand.zonesViolated || states.watchesViolations }
        queue = (greetings.filter { mayAsk($0, at: now) } + fast.filter(isWanted)).map { .read($0) }
        slow = SatelCommand.slow.filter(isWanted)
    }

    private mutating func isUnanswered(_ question: Question, at now: Int64) -> [PanelStep] {
        asked = nil
        let command = question.command
        walk = nil
        guard command != SatelCommand.news, command != SatelCommand.panelType || isAlive else {
            // Nobody is there. What changes meanwhile is seen when all is read again.
            (isAlive, isProof, nextSweep, queue, slow) = (false, false, nil, [], [])
            phase = .idle
            nextCycle = now
            return report(judge(at: now))
        }
        let count = (unanswered[command]?.count ?? 0) + 1
        let pause = count < 2 ? 0 : min(Time.longestPause, Time.answer << Int64(min(count - 2, 10)))
        unanswered[command] = (count, now + pause)
        var steps: [PanelStep] = []
        if count == Limit.unanswered {
            steps.append(.log(.warning, "command \(hexadecimal([command])) is not answered"))
            let why =
                "the panel does not answer command \(hexadecimal([command])): \(SatelCommand.words(command)) not known"
            steps += report([Signal(point: part(command), .fault(why))])
        }
        // Is it only this question, or is nobody there? The rest of the cycle waits for that; what is known does not.
        isProof = true
        return steps + report(judge(at: now)) + ask(.read(SatelCommand.news), at: now)
    }

    /// The name of a reading as a part of the device.
    private func part(_ command: UInt8) -> String { "command-\(hexadecimal([command]))" }

    // MARK: Answers

    private mutating func answer(_ body: [UInt8], at now: Int64) -> [PanelStep] {
        let (command, data) = (body[0], Array(body.dropFirst()))
        let frame = PanelStep.frame(SatelFrame.framed(body), says: SatelAnswer.words(command, data))
        guard command != SatelCommand.result, SatelCommand.lengths(command).contains(data.count) else {
            let steps = [frame, .log(.warning, "an answer that is not understood: \(hexadecimal(body))")]
            guard let question = asked?.question, command == SatelCommand.result || command == question.command else {
                return steps
            }
            return steps + isUnanswered(question, at: now)
        }
        guard let question = asked?.question, question.command == command else {
            return [frame] + unasked(command, data, at: now)
        }
        if case .log(let index) = question, Array(data[11..<14]) != index { return [frame] }
        asked = nil
        isAlive = true
        return [frame] + answered(command) + take(command, data, at: now) + goOn(at: now)
    }

    /// An answer that came late, to a question that is no longer waited for: true all the same.
    private mutating func unasked(_ command: UInt8, _ data: [UInt8], at now: Int64) -> [PanelStep] {
        guard SatelCommand.fast.contains(command) || SatelCommand.slow.contains(command) else { return [] }
        var steps = report(states.take(command, data))
        if states.toRead.isEmpty, phase == .idle || phase == .fast {
            steps += report(judge(at: now) + states.judgeSlow())
        }
        return steps
    }

    private mutating func answered(_ command: UInt8) -> [PanelStep] {
        guard let failed = unanswered.removeValue(forKey: command), failed.count >= Limit.unanswered else { return [] }
        return report([Signal(point: part(command), .healthy)])
    }

    private mutating func take(_ command: UInt8, _ data: [UInt8], at now: Int64) -> [PanelStep] {
        switch command {
        case SatelCommand.panelType:
            knowsModel = true
            states.model = SatelModel(type: data[0])
            if nextSweep == nil { queue = [.read(SatelCommand.moduleVersion), .read(SatelCommand.news)] }
            return []
        case SatelCommand.moduleVersion:
            isWide = data[11] & 1 == 1 && states.model.zones > 128
            return []
        case SatelCommand.news:
            guard isProof else {
                plan(data, at: now)
                return []
            }
            isProof = false
            let numbers = Set(satelNumbers(data).map { UInt8($0 - 1) })
            let urgent = SatelCommand.fast.filter { numbers.contains($0) && unanswered[$0] == nil }.map {
                Question.read($0)
            }
            queue = urgent + queue.filter { !urgent.contains($0) }
            return []
        case SatelCommand.event: return takeEvent(data, at: now)
        default: return report(states.take(command, data))
        }
    }

    // MARK: The event log. It is read backwards: each answer gives an event and the index to ask for the one before it.

    private mutating func takeEvent(_ data: [UInt8], at now: Int64) -> [PanelStep] {
        let entry = Entry(data)
        var way = walk ?? Walk()
        guard let event = SatelEvent(data[0..<8]), entry.index != way.next else { return finish(way, at: now) }
        way.newest = way.newest ?? entry
        way.next = entry.index
        way.count += 1
        way.hasMet = way.hasMet || entry == known
        if let last = known.flatMap({ SatelEvent($0.record[...]) }), !way.hasMet, event.isLongBefore(last) {
            way.hasPassed = true
        }
        if !hasLearned { states.learn(earlier: event) }
        if known != nil, !way.hasMet, !way.hasPassed { way.events.append(event) }
        walk = way
        let isRead = known == nil || way.hasMet || way.hasPassed || way.events.count >= Limit.events
        if isRead, hasLearned || way.count >= Limit.learned { return finish(way, at: now) }
        logBudget -= 1
        if logBudget > 0 { queue = [.log(entry.index)] + queue }
        return []
    }

    private mutating func finish(_ way: Walk, at now: Int64) -> [PanelStep] {
        walk = nil
        hasLearned = true
        let last = known
        known = way.newest ?? Entry()
        guard let last else {
            // The log before the first start is no news.
            states.logIsRead()
            return []
        }
        unkept += way.events.count
        for event in way.events.reversed() { states.take(event, at: now) }
        states.logIsRead()
        let isTooMany = way.events.count >= Limit.events
        let isTorn = !way.hasMet && !last.index.isEmpty
        guard (isTooMany || isTorn) != hasLogFault else { return [] }
        hasLogFault = isTooMany || isTorn
        let why =
            isTooMany
            ? "more than \(Limit.events) new events at once: the oldest of them were not read"
            : "it no longer leads back to the entry that was read last: what it held between is not known"
        return report([Signal(point: "event-log", hasLogFault ? .fault(why) : .healthy)])
    }
}

/// What an answer says, for the technician who watches.
enum SatelAnswer {
    static func words(_ command: UInt8, _ data: [UInt8]) -> String {
        let name = SatelCommand.words(command)
        guard SatelCommand.lengths(command).contains(data.count) else { return "\(name): \(data.count) bytes" }
        if SatelCommand.ofZones.contains(command) || SatelCommand.ofPartitions.contains(command) {
            return "\(name): \(list(satelNumbers(data).map(String.init)))"
        }
        switch command {
        case SatelCommand.news: return "\(name): \(list(satelNumbers(data).map { hexadecimal([UInt8($0 - 1)]) }))"
        case SatelCommand.panelType: return "\(name): \(SatelModel(type: data[0]).name)"
        case SatelCommand.temperature:
            let raw = Int(data[1]) << 8 | Int(data[2])
            let half = raw - 110
            let sign = half < 0 ? "-" : ""
            let degrees = "\(sign)\(abs(half) / 2).\(half % 2 == 0 ? 0 : 5)"
            return "temperature of zone \(data[0] == 0 ? 256 : Int(data[0])): \(raw == 0xFFFF ? "unknown" : degrees) °C"
        case SatelCommand.event: return SatelEvent(data[0..<8])?.summary ?? "end of the event log"
        case SatelCommand.result: return "\(name) \(hexadecimal(data))"
        default:
            let troubles = SatelTrouble.all.filter { $0.command == command }.flatMap { trouble in
                trouble.states(data).enumerated().filter(\.element).map { trouble.text($0.offset) }
            }
            return troubles.isEmpty ? name : "\(name): \(list(troubles))"
        }
    }

    private static func list(_ words: [String]) -> String {
        let shown = words.prefix(12).joined(separator: ", ")
        return words.isEmpty ? "none" : words.count > 12 ? "\(shown) and \(words.count - 12) more" : shown
    }
}
