import AlarmProtocol

/// What a path believes: which of its keys the receiver has, and which frames are replies. Pure.
struct PathTrust: Sendable {
    /// A message on its way, as far as judging its reply goes.
    struct Sent: Sendable {
        var expectation: ReplyExpectation
        var use: KeyRing.Use
        /// By the clock that never steps.
        var at: Int64
    }

    /// What a frame means to the uplink.
    enum Outcome: Sendable, Equatable {
        /// The reply, as it is.
        case reply(ReplyVerdict)
        /// The receiver has the other key: the same message once more, so encrypted.
        case sendAgain(KeyRing.Use)
        /// The receiver does not take the new key yet.
        case endTrial
        /// No reply: wait on.
        case ignore
    }

    /// What is to be told beside that: events, and words for the log.
    struct Said: Sendable {
        var troubles: [BoxTrouble] = []
        var log: [String] = []
    }

    private let name: String
    private let key: Key?
    private let oldKey: Key?
    private let isDatagram: Bool
    private(set) var ring: KeyRing
    private(set) var strange: StrangeReplies
    private var memory: ReplyMemory

    /// - Parameter known: the last stored state of a point.
    init(_ settings: PathSettings, now: Int64, known: (String) -> Bool?) {
        name = settings.name
        key = settings.key
        oldKey = settings.oldKey
        isDatagram = settings.transport == .udp
        ring = KeyRing(
            hasOld: settings.oldKey != nil, oldWasInUse: known(BoxTrouble.keyPoint(settings.name)) ?? false, now: now)
        strange = StrangeReplies(isTold: known(BoxTrouble.repliesPoint(settings.name)) ?? false, now: now)
        memory = ReplyMemory(timeout: settings.timeout.milliseconds)
    }

    func key(for use: KeyRing.Use) -> Key? { use.turn == .old ? oldKey : key }

    mutating func nextUse(isLinkTest: Bool, mayTry: Bool, now: Int64) -> KeyRing.Use {
        ring.next(isLinkTest: isLinkTest, mayTry: mayTry, now: now)
    }

    mutating func sent(_ message: Sent) { strange.sent(message.expectation.header.sequence, now: message.at) }

    mutating func failed(_ use: KeyRing.Use) { ring.failed(use) }

    /// - Parameter sent: what waits for a reply; nil when nothing does.
    mutating func judge(_ frame: [UInt8], after sent: Sent?, now: Int64, _ said: inout Said) -> Outcome {
        guard let sent else {
            let judged = ReplyExpectation(header: Header(sequence: -1, account: ""), encrypted: false)
                .judge(frame, keys: [])
            // Whatever it is, nobody asked. A NAK is always numbered 0.
            if case .ignored(let kind, let why) = judged.verdict {
                ignore(kind, why, frame, judged.header, now, &said)
            } else {
                ignore(.otherSequence, "a reply that nobody asked for", frame, judged.header, now, &said)
            }
            return .ignore
        }
        let keys = [key(for: sent.use), sent.use.turn == .old ? key : oldKey].compactMap { $0 }
        let judged = sent.expectation.judge(frame, keys: keys)
        if case .ignored(let kind, let why) = judged.verdict {
            // The receiver has the other key. Some acknowledge what they cannot decrypt: it is not delivered.
            if judged.keyIndex == 1 { return otherKey(sent) ?? .ignore }
            ignore(kind, why, frame, judged.header, now, &said)
            return .ignore
        }
        if let seal = judged.seal, let instead = doubt(seal, judged, frame, sent, now, &said) { return instead }
        return take(judged.verdict, frame, sent, now, &said)
    }

    /// What an encrypted ACK means where it is not to be believed; nil where it is.
    private mutating func doubt(
        _ seal: ReplySeal, _ judged: JudgedReply, _ frame: [UInt8], _ sent: Sent, _ now: Int64, _ said: inout Said
    ) -> Outcome? {
        switch memory.look(seal, isOfNow: judged.verdict == .acknowledged, sentAt: sent.at, now: now) {
        case .fresh: return nil
        case .steppedBack(let by):
            said.log.append("path \(name): the receiver's clock was set back by \(by / 1000) s")
            return nil
        case .replayed:
            ignore(.replayed, "an acknowledgement that was used before", frame, judged.header, now, &said)
            return .ignore
        case .wentBack(let by):
            let why = "an acknowledgement \(by / 1000) s older than one before it"
            ignore(.timeWentBack, why, frame, judged.header, now, &said)
            // Asked again by its clock, a receiver whose clock was set back answers anew.
            return sent.use.isTrial ? .endTrial : .reply(.clock(seal.time))
        }
    }

    private mutating func take(
        _ verdict: ReplyVerdict, _ frame: [UInt8], _ sent: Sent, _ now: Int64, _ said: inout Said
    ) -> Outcome {
        switch verdict {
        case .acknowledged:
            strange.answered(frame, to: sent.expectation.header.sequence, now: now)
            if let turn = ring.acknowledged(sent.use, now: now) {
                said.log.append(
                    turn == .old ? "path \(name): works with the old key" : "path \(name): works with the new key")
                said.troubles.append(.oldKey(path: name, inUse: turn == .old))
            }
        case .refused:
            strange.answered(frame, to: sent.expectation.header.sequence, now: now)
            if let other = otherKey(sent) { return other }
        case .clock:
            if sent.use.isTrial { return .endTrial }
            ring.doubted(sent.use)
        case .response:
            ignore(.notAReply, "RSP: no acknowledgement", frame, sent.expectation.header, now, &said)
            return .ignore
        case .ignored: return .ignore
        }
        return .reply(verdict)
    }

    private func otherKey(_ sent: Sent) -> Outcome? {
        sent.use.isTrial ? .endTrial : ring.second(after: sent.use).map { .sendAgain($0) }
    }

    private mutating func ignore(
        _ kind: StrangeReply, _ why: String, _ frame: [UInt8], _ header: Header?, _ now: Int64, _ said: inout Said
    ) {
        guard !strange.isLate(kind, frame, header: header, isDatagram: isDatagram, now: now) else { return }
        note(kind, why, now, &said)
    }

    /// What fits no frame at all.
    mutating func heardNonsense(_ words: String, now: Int64, _ said: inout Said) {
        note(.garbage, "no DC-09: \(words)", now, &said)
    }

    private mutating func note(_ kind: StrangeReply, _ why: String, _ now: Int64, _ said: inout Said) {
        let remark = strange.note(kind, why, now: now)
        if remark.isLogged {
            said.log.append("path \(name): ignored, \(strange.counts[kind] ?? 0) \(kind.words) so far: \(why)")
        }
        if let news = remark.news { said.troubles.append(trouble(news)) }
    }

    mutating func settle(now: Int64) -> BoxTrouble? { strange.settle(now: now).map(trouble) }

    private func trouble(_ news: StrangeReplies.News) -> BoxTrouble {
        switch news {
        case .began(let words): .strangeReplies(path: name, began: true, text: "strange replies: \(words)")
        case .ended(let words): .strangeReplies(path: name, began: false, text: words)
        }
    }

    /// The path's status, with what is known here.
    func described(_ path: SiteStatus.Path) -> SiteStatus.Path {
        var path = path
        path.keyInUse = oldKey == nil ? nil : ring.current == .old ? "old" : "new"
        path.ignored = Dictionary(uniqueKeysWithValues: strange.counts.map { ($0.key.rawValue, $0.value) })
        path.lateOrRepeated = strange.lateOrRepeated
        path.strange = strange.isTold ? strange.lastWhy ?? "strange replies before the start" : nil
        return path
    }
}
