/// The paging system on a panel's line: answers polls and selects, reports each call before its ACK.
///
/// `ESPALink` says what the bytes are; here is what is done about it, and what passed is told whole to whoever watches.
public struct ESPAPager: PanelLink {
    private enum Limit {
        /// Bytes that are kept until it is known what they belong to: a block of the longest, and the line around it.
        static let passed = 2 * ESPALink.Limit.block
        /// Polls after which strict selecting is doubted; said again each time that they have doubled.
        static let doubtfulPolls = 20
    }

    private var link: ESPALink
    private let charset: PanelCharset
    private let matcher: ESPAMatcher
    /// What came since the last frame, and when.
    private var passed: [UInt8] = []
    private var passedAt: Int64 = 0
    /// The control station talks with another station: what passes is no noise.
    private var isForOthers = false
    /// The block that is being stored; nil for a repeat, which is stored already.
    private var pending: [UInt8]?
    /// A block with a right checksum that made no sense. Said again it is not garbled but unknown.
    private var odd: [UInt8] = []
    private var doubtedAt = Limit.doubtfulPolls

    init(_ link: ESPALink, _ charset: PanelCharset, _ matcher: ESPAMatcher) {
        self.link = link
        self.charset = charset
        self.matcher = matcher
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PanelStep] {
        passed.append(byte)
        passedAt = now
        guard let outcome = link.receive(byte, at: now) else {
            if byte == ESPACharacter.eot, isForOthers {
                passed = [byte]
                isForOthers = false
            }
            return passed.count >= Limit.passed ? strays(before: 0) : []
        }
        return judge(outcome)
    }

    private mutating func judge(_ outcome: ESPALink.Outcome) -> [PanelStep] {
        switch outcome {
        case .overheard:
            let isSelfPoll = passed.dropLast().last == link.controlStation
            let steps = enquiry(isSelfPoll ? "the panel polls itself" : "poll or select of another station")
            isForOthers = !isSelfPoll
            return steps
        case .polled:
            return enquiry("poll") + doubts() + [.send(ESPALink.Answer.nothingToSend, says: "EOT: nothing to send")]
        case .selected: return enquiry("select") + [.send(ESPALink.Answer.accepted, says: "ACK: ready")]
        case .corrupt:
            // Its length is not certain, so all since the last frame counts as it.
            let block = passed
            passed = []
            return [
                .strange(block, why: "a block with a wrong checksum: asked for again"),
                .send(ESPALink.Answer.corrupt, says: "1 NAK: wrong checksum"),
            ]
        case .block(let body, again: true):
            pending = nil
            // What stands in it is stored: only its answer is missing.
            let answer = (try? ESPABlock(body)) == nil ? ESPALink.Answer.notUnderstood : ESPALink.Answer.accepted
            return block(body, "the call before, again") + [.report([], accept: answer)]
        case .block(let body, again: false): return take(body)
        }
    }

    private mutating func take(_ body: [UInt8]) -> [PanelStep] {
        do {
            let content = try ESPABlock(body)
            let call = ESPACall(content, charset)
            let (signals, notice) = signals(of: content, call)
            pending = body
            odd = []
            return block(body, "\(call.summary): \(call.text)") + notice
                + [
                    .report(
                        signals, accept: ESPALink.Answer.accepted, refuse: ESPALink.Answer.busy, knownBy: body)
                ]
        } catch {
            return notUnderstood(body, error.why)
        }
    }

    /// Refused each time, as the specification has it (section 2.4, reason 3). The first time it is a fault of the line; the
    /// very same again is told as it is, for behind it may stand an alarm.
    private mutating func notUnderstood(_ body: [UInt8], _ why: String) -> [PanelStep] {
        let text = charset.text(body)
        let refusal = ESPALink.Answer.notUnderstood
        let frame = block(body, "not understood: \(why)")
        let fault = PanelStep.notUnderstood("\(why), in \(text.prefix(60))")
        guard odd == body else {
            odd = body
            return frame + [fault, .send(refusal, says: "3 NAK: not understood")]
        }
        pending = body
        let call = Signal(point: ESPADriver.Part.unclassified, .call, text: text)
        return frame + [.report([call], accept: refusal, refuse: refusal, knownBy: body), fault]
    }

    public mutating func stored(answered: Bool, at now: Int64) -> [PanelStep] {
        if let body = pending { link.remember(body, at: now) }
        pending = nil
        if answered { link.acknowledged(at: now) }
        return []
    }

    /// A call that was stored when the daemon ended or the line was lost, and whose ACK may not have got out.
    public mutating func resume(_ kept: [UInt8], at now: Int64) -> [PanelStep] {
        link.remember(kept, at: now)
        return []
    }

    // MARK: What did not become a frame

    /// Bytes that wait for their frame so long that none comes any more.
    public var deadline: Int64? {
        passed.contains { $0 != ESPACharacter.eot } ? passedAt + ESPALink.Limit.gap + 1 : nil
    }

    public mutating func tick(at now: Int64) -> [PanelStep] {
        guard let deadline, now >= deadline else { return [] }
        return strays(before: 0)
    }

    /// What stands before the frame that ends what passed; all of it for a frame of no length.
    private mutating func strays(before frame: Int) -> [PanelStep] {
        let strays = passed.dropLast(frame).drop { $0 == ESPACharacter.eot }
        passed = []
        guard !strays.isEmpty, !isForOthers else { return [] }
        return [.strange(Array(strays), why: "no poll, select or block for us")]
    }

    /// `ADDRESS ENQ`, and the EOTs right before it.
    private mutating func enquiry(_ says: String) -> [PanelStep] {
        let ends = passed.dropLast(2).reversed().prefix { $0 == ESPACharacter.eot }.count
        let frame = Array(passed.suffix(2 + ends))
        let strays = strays(before: frame.count)
        isForOthers = false
        return strays + [.frame(frame, says: says)]
    }

    private mutating func block(_ body: [UInt8], _ says: String) -> [PanelStep] {
        let frame = [ESPACharacter.soh] + body + [ESPACharacter.etx, passed.last ?? 0]
        return strays(before: frame.count) + [.frame(frame, says: says)]
    }

    private mutating func doubts() -> [PanelStep] {
        guard link.pollsWithoutSelfPoll >= doubtedAt else { return [] }
        doubtedAt *= 2
        return [
            .log(
                .notice,
                "polled \(link.pollsWithoutSelfPoll) times and never selected by the book (1 ENQ, 2 ENQ): if no call gets "
                    + "through, this panel selects without polling itself first; then set select = \"lenient\"")
        ]
    }

    // MARK: What a block means

    /// A status says no more of a call than the call itself, unless the transmitter failed (section 4.3, record 8). A
    /// status request asks for an answer that only a poll could fetch; we have none.
    private func signals(of block: ESPABlock, _ call: ESPACall) -> ([Signal], notice: [PanelStep]) {
        let reading: Signal.Reading = call.isReset ? .cleared : .call
        if let point = matcher.point(for: call) { return ([Signal(point: point, reading, text: call.text)], []) }
        if !block.header.isCall {
            guard block.header == .statusInformation, let status = block.value(.systemStatus) else { return ([], []) }
            let told: Signal.Reading =
                ESPABlock.mainDigit(status) == 1
                ? .fault("the panel's bus reports a failed pager transmitter") : .healthy
            return ([Signal(point: ESPADriver.Part.transmitter, told, text: call.text)], [])
        }
        let text = call.text.isEmpty ? call.summary : call.text
        return (
            [Signal(point: ESPADriver.Part.unclassified, reading, text: text)],
            [.log(.notice, "no point takes it: \(call.summary): \"\(call.text)\"")]
        )
    }
}
