import AlarmProtocol

/// The receiver's end of a Galaxy panel's SIA line: `#` account, `N` or `O` event, `A` what its display shows, `0` end; each
/// block acknowledged before the next comes.
///
/// The words of an event come only after the event's own acknowledgement, so that an event is first kept on disk, then
/// acknowledged, and reported with its words, or without them when anything else comes or the wait is over
/// (docs/decisions/0050-words-after-the-answer.md).
public struct GalaxyLink: PanelLink {
    /// A panel waits about 2 s for each answer.
    public static let patience: Int64 = 1500

    /// What the device's table sets. Times in milliseconds.
    struct Manner: Sendable {
        var keepsAccounts = true
        /// Answers carry the header of a host.
        var hostBit = false
        var wordsWithin: Int64 = 3000
        var charset = PanelCharset.cp850
        var points: [CodedPoint] = []
        /// The panel's remote code; nil: no login.
        var login: String?
    }

    enum Time {
        /// Between two logins.
        static var login: Int64 { 3000 }
        /// So long after a block of a sequence the panel may be about to say the next.
        static var pause: Int64 { 500 }
        /// So long a fire, or danger to people, waits for its words at most.
        static var urgent: Int64 { 1000 }
        /// So much longer where a block has begun to come.
        static var coming: Int64 { 2500 }
    }

    private let manner: Manner
    private var framer = GalaxyFramer()
    private var memory = GalaxyMemory()
    private var account: String?
    /// The SIA level that the panel has told; from 3 on words follow.
    private var level: Int?
    /// Kept on disk and acknowledged, but not reported: its words may follow.
    private var pending: (event: GalaxyEvent, wait: Int64, until: Int64)?
    /// The next report has its words.
    private var hasWords = false
    /// The next report is of these: one that was pending when another came, or one that waits for nothing.
    private var flushed: GalaxyEvent?
    private var direct: GalaxyEvent?
    /// Reported last in this sequence: words that come now are its own.
    private var told: (event: GalaxyEvent, hasWords: Bool)?
    private var nextLogin: Int64?

    init(_ manner: Manner = Manner()) { self.manner = manner }

    // MARK: PanelLink

    public mutating func opened(at now: Int64) -> [PanelStep] {
        if manner.login != nil { nextLogin = now }
        return tick(at: now)
    }

    public var deadline: Int64? { [framer.deadline, wordsDue, nextLogin].compactMap(\.self).min() }

    /// When the wait for words is over. Words that have begun to come are heard out.
    private var wordsDue: Int64? {
        pending.map { pending in min(max(pending.until, framer.deadline ?? 0), pending.until + Time.coming) }
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PanelStep] {
        steps(framer.receive(byte, at: now), at: now)
    }

    public mutating func tick(at now: Int64) -> [PanelStep] {
        var result: [PanelStep] = []
        if let due = framer.deadline, now >= due { result += steps(framer.silence(at: now), at: now) }
        if let pending, let due = wordsDue, now >= due, !result.contains(where: \.isReport) {
            hasWords = false
            result.append(.report(signals(pending.event, ""), accept: nil))
        }
        if let due = nextLogin, now >= due {
            if framer.isEmpty, pending == nil {
                nextLogin = now + Time.login
                result += login()
            } else {
                nextLogin = now + Time.pause
            }
        }
        return result
    }

    /// What was pending when the daemon or the line ended: its words did not come. Or what was told, and the panel will say
    /// again, or go on with its words.
    public mutating func resume(_ kept: [UInt8], at now: Int64) -> [PanelStep] {
        guard let (standing, event) = GalaxyEvent.read(kept, manner.charset) else {
            let text = "an event of the panel that was kept could not be read: \(hexadecimal(kept.prefix(80)))"
            return [.report([Signal(point: "unclassified", .call, text: text)], accept: nil)]
        }
        account = event.account
        if standing != .waits {
            told = (event, standing == .toldWithWords)
            memory.remember(event, hasWords: standing == .toldWithWords, at: now)
            return []
        }
        direct = event
        return [.report(signals(event, "", isResumed: true), accept: nil)]
    }

    public mutating func kept(at now: Int64) {
        let wait = pending?.wait ?? 0
        pending?.until = now + wait
    }

    public mutating func stored(answered: Bool, at now: Int64) -> [PanelStep] {
        if let event = flushed {
            memory.remember(event, hasWords: false, at: now)
            flushed = nil
            return []
        }
        if let event = pending?.event {
            memory.remember(event, hasWords: hasWords, at: now)
            told = (event, hasWords)
        } else if let event = direct {
            memory.remember(event, hasWords: event.isNotKnown, at: now)
            told = (event, event.isNotKnown)
        } else if hasWords {
            told?.hasWords = true
            if let event = told?.event { memory.noteWords(of: event) }
        }
        pending = nil
        direct = nil
        return []
    }

    // MARK: Blocks

    private mutating func steps(_ found: [GalaxyFramer.Found], at now: Int64) -> [PanelStep] {
        found.flatMap { found -> [PanelStep] in
            switch found {
            case .noise(let bytes, let isGarbled):
                let why = isGarbled ? "its parity is wrong" : "no block fits"
                let steps = [PanelStep.strange(withoutSecret(bytes), why: why)]
                return isGarbled ? steps + [.send(reject, says: "rejected: say it again")] : steps
            case .block(let block, let bytes, let before):
                let noise = before.isEmpty ? [] : [PanelStep.strange(withoutSecret(before), why: "before a block")]
                return noise + judge(block, bytes, at: now)
            }
        }
    }

    private mutating func judge(_ block: GalaxyBlock, _ bytes: [UInt8], at now: Int64) -> [PanelStep] {
        hasWords = false
        direct = nil
        // Our own words, come back, or another host's: no sign of the panel's life.
        if block.isFromHost { return [] }
        if let due = nextLogin { nextLogin = max(due, now + Time.pause) }
        let text = manner.charset.text(block.data)
        let frame = { (says: String) in PanelStep.frame(bytes, says: says) }
        let name = String(UnicodeScalar(block.code))
        switch name {
        case "#": return [frame("account \(text)")] + begin(text, block)
        case "N", "O":
            let isOld = block.code == UInt8(ascii: "O")
            let event = GalaxyEvent(account: account, isOld: isOld, data: block.data, manner.charset)
            return [frame(event.summary)] + self.event(event, block, at: now)
        case "A", "X": return [frame("words: \(text)")] + words(block, at: now)
        case "0", "2":
            memory.end()
            return [frame(block.code == UInt8(ascii: "0") ? "end of data" : "aborted")] + flush(block)
        case "@":
            level = Self.level(text) ?? level
            return [frame("configuration \(text)")] + answer(block)
        case "6", "7", "8": return [frame("the panel acknowledges")]
        case "9": return [frame("the panel rejects"), .log(.warning, "the panel rejects what it was sent")]
        case "1": return [frame("wait")] + answer(block)
        case "&": return [frame("origin \(text)")] + answer(block)
        default: return [frame("not known: \(text)")] + unknown(block, name + text, at: now)
        }
    }

    private mutating func begin(_ text: String, _ block: GalaxyBlock) -> [PanelStep] {
        memory.begin()
        // The same account: the panel may be saying the sequence again, and the words may come yet.
        let isSame = text == account
        account = text
        return isSame ? answer(block) : flush(block)
    }

    private mutating func event(_ event: GalaxyEvent, _ block: GalaxyBlock, at now: Int64) -> [PanelStep] {
        if let pending, pending.event.isSame(as: event) { return answer(block) }
        let before = pending.map { [PanelStep.report(signals($0.event, ""), accept: nil)] } ?? []
        flushed = pending?.event
        pending = nil
        if flushed == nil || flushed?.part != event.part, memory.isRepeat(event, at: now) {
            told = (event, memory.hasWords(event))
            return before + answer(block)
        }
        told = nil
        guard block.wantsAnswer, manner.wordsWithin > 0, level ?? 3 >= 3 else {
            direct = event
            return before + [report(signals(event, ""), block, event.kept(.told))]
        }
        let wait = event.isUrgent ? min(manner.wordsWithin, Time.urgent) : manner.wordsWithin
        pending = (event, wait, now + wait)
        return before + [.keep(event.kept(.waits), accept: accept, otherwise: signals(event, ""), refuse: reject)]
    }

    private mutating func words(_ block: GalaxyBlock, at now: Int64) -> [PanelStep] {
        let words = GalaxyEvent.words(block.data, manner.charset)
        if let event = pending?.event ?? told.flatMap({ $0.hasWords ? nil : $0.event }) {
            hasWords = true
            return [report(signals(event, words), block, event.kept(.toldWithWords))]
        }
        return told == nil ? unknown(block, words, at: now) : answer(block)
    }

    /// A block that says nothing known, or words of nothing: told as it is.
    private mutating func unknown(_ block: GalaxyBlock, _ text: String, at now: Int64) -> [PanelStep] {
        let event = GalaxyEvent(notKnown: [block.code] + block.data, text: text, account: account)
        if pending == nil, memory.isRepeat(event, at: now) { return answer(block) }
        direct = pending == nil ? event : nil
        let known = event.kept(.toldWithWords)
        return [report((pending.map { signals($0.event, "") } ?? []) + signals(event, ""), block, known)]
    }

    /// Reports what is pending, if anything, and answers.
    private func flush(_ block: GalaxyBlock) -> [PanelStep] {
        pending.map { [report(signals($0.event, ""), block, $0.event.kept(.told))] } ?? answer(block)
    }

    // MARK: Answers

    private var accept: [UInt8] { answer("8") }
    private var reject: [UInt8] { answer("9") }

    private func answer(_ code: Character) -> [UInt8] {
        GalaxyBlock(code, wantsAnswer: !manner.hostBit, isFromHost: manner.hostBit).bytes
    }

    private func answer(_ block: GalaxyBlock) -> [PanelStep] {
        block.wantsAnswer ? [.send(accept, says: "acknowledged")] : []
    }

    private func report(_ signals: [Signal], _ block: GalaxyBlock, _ knownBy: [UInt8]) -> PanelStep {
        block.wantsAnswer
            ? .report(signals, accept: accept, refuse: reject, knownBy: knownBy) : .report(signals, accept: nil)
    }

    private func signals(_ event: GalaxyEvent, _ words: String, isResumed: Bool = false) -> [Signal] {
        event.signals(words, points: manner.points, keepsAccount: manner.keepsAccounts, isResumed: isResumed)
    }

    private func login() -> [PanelStep] {
        guard let code = manner.login else { return [] }
        return [.sendSecret(GalaxyBlock("?", Array("\(code)*1".utf8), isFromHost: true).bytes, says: "login")]
    }

    /// A login may come back as an echo with errors in it.
    private func withoutSecret(_ bytes: [UInt8]) -> [UInt8] {
        manner.login == nil ? bytes : bytes.map { (48...57).contains($0) ? UInt8(ascii: "*") : $0 }
    }

    /// `AL3`: the SIA level.
    private static func level(_ text: String) -> Int? {
        let bytes = Array(text.utf8)
        let mark = bytes.indices.dropLast(2).first {
            bytes[$0] == UInt8(ascii: "A") && bytes[$0 + 1] == UInt8(ascii: "L")
        }
        return mark.flatMap { (48...57).contains(bytes[$0 + 2]) ? Int(bytes[$0 + 2]) - 48 : nil }
    }
}

extension PanelStep {
    fileprivate var isReport: Bool {
        switch self {
        case .report, .keep: true
        default: false
        }
    }
}
