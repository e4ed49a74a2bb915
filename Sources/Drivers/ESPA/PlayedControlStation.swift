import AlarmProtocol

/// A fire panel with a pager interface, played: ESPA's control station. Polls the pager system, and calls it when something
/// happens: polls itself, selects, sends a block for each call, tries each twice, ends with EOT (section 3).
public struct PlayedControlStation: PlayedPanel {
    public static let line = SerialLine.espaDefault

    /// Milliseconds.
    private enum Time {
        /// Between two polls of the pager system.
        static let poll: Int64 = 5000
        /// For an answer, before the second try or the end.
        static let answer: Int64 = 2000
        /// Without valid traffic, before the control station takes the line back (section 3.5).
        static let regain: Int64 = 10_000
    }
    private static let pager: UInt8 = 0x32
    private static let tries = 2
    /// Calls in one selection; then the others on the line have their turn.
    private static let callsInSelection = 4
    /// Characters of a text that the specification has room for.
    private static let longestText = 128

    private enum State: Sendable {
        /// Until the next poll or call.
        case resting(until: Int64)
        case polled(at: Int64)
        case selected(at: Int64)
        case called(tries: Int, at: Int64)
    }

    private var state = State.resting(until: 0)
    private var queue: [(block: [UInt8], words: String)] = []
    private var sentInSelection = 0
    /// The reason that stands before a NAK.
    private var reason: UInt8?
    private var isSilent = false

    public init() {}
    public var waiting: Int { queue.count }

    public mutating func happen(_ event: PlayedEvent, at now: Int64) throws(CannotPlay) {
        let words = "\(event.kind.name)\(event.began ? "" : " ended")"
        queue.append((Self.block(event), words))
        // Only a line that works is free at once; one that has just been given up rests its time.
        if case .resting = state, !isSilent { state = .resting(until: now) }
    }

    public mutating func opened(at now: Int64) -> [PlayedStep] {
        state = .resting(until: now)
        return tick(at: now)
    }

    public var deadline: Int64? {
        switch state {
        case .resting(let until): until
        case .polled(let at), .selected(let at), .called(_, let at): at + Time.answer
        }
    }

    public mutating func tick(at now: Int64) -> [PlayedStep] {
        guard let deadline, now >= deadline else { return [] }
        switch state {
        case .resting: return queue.isEmpty ? poll(now) : select(now)
        case .polled, .selected: return giveUp("no answer from the pager system", now)
        case .called(let tries, _):
            return tries < Self.tries ? call(tries: tries + 1, now) : giveUp("no answer to a call", now)
        }
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PlayedStep] {
        defer { reason = (0x31...0x39).contains(byte) ? byte : nil }
        switch (state, byte) {
        case (.polled, ESPACharacter.eot):
            isSilent = false
            state = .resting(until: queue.isEmpty ? now + Time.poll : now)
            return [.heard([byte], says: "EOT: it has nothing to send")] + tick(at: now)
        case (.selected, ESPACharacter.ack):
            isSilent = false
            return [.heard([byte], says: "ACK: ready")] + call(tries: 1, now)
        case (.called, ESPACharacter.ack):
            isSilent = false
            let taken = queue.removeFirst()
            sentInSelection += 1
            let steps: [PlayedStep] = [.heard([byte], says: "ACK"), .taken(taken.words)]
            if !queue.isEmpty, sentInSelection < Self.callsInSelection { return steps + call(tries: 1, now) }
            return steps + end(rest: queue.isEmpty ? Time.poll : Time.answer, now)
        case (.called(let tries, _), ESPACharacter.nak):
            let heard = PlayedStep.heard([reason, byte].compactMap(\.self), says: "NAK, \(Self.words(reason))")
            if tries < Self.tries { return [heard] + call(tries: tries + 1, now) }
            return [heard] + giveUp("a call was refused: \(Self.words(reason))", now)
        case (.selected, ESPACharacter.nak), (.polled, ESPACharacter.nak):
            return [.heard([byte], says: "NAK")] + giveUp("the pager system is not ready", now)
        case (_, 0x31...0x39): return []  // told with its NAK
        default: return [.heard([byte], says: "not expected here")]
        }
    }

    // MARK: What it says

    private mutating func poll(_ now: Int64) -> [PlayedStep] {
        state = .polled(at: now)
        return [.send([ESPACharacter.eot, Self.pager, ESPACharacter.enq], says: "poll")]
    }

    /// A station that has a call is polled first, itself included; so the other end knows the select from a poll.
    private mutating func select(_ now: Int64) -> [PlayedStep] {
        state = .selected(at: now)
        sentInSelection = 0
        return [
            .send([ESPACharacter.eot, 0x31, ESPACharacter.enq], says: "poll of itself"),
            .send([Self.pager, ESPACharacter.enq], says: "select"),
        ]
    }

    private mutating func call(tries: Int, _ now: Int64) -> [PlayedStep] {
        guard let next = queue.first else { return end(rest: Time.poll, now) }
        state = .called(tries: tries, at: now)
        return [.send(next.block, says: tries == 1 ? next.words : "\(next.words), again")]
    }

    private mutating func end(rest: Int64, _ now: Int64) -> [PlayedStep] {
        state = .resting(until: now + rest)
        return [.send([ESPACharacter.eot], says: "EOT: end")]
    }

    /// The call waits for the next selection.
    private mutating func giveUp(_ why: String, _ now: Int64) -> [PlayedStep] {
        isSilent = true
        return [.trouble(why)] + end(rest: Time.regain, now)
    }

    private static func words(_ reason: UInt8?) -> String {
        switch reason {
        case 0x31: "wrong checksum"
        case 0x32: "busy"
        case 0x33: "not understood"
        default: "no reason told"
        }
    }

    /// Priority 1 for what is urgent, 2 for faults, 3 for the rest; call type 1 for what has ended (section 4.3).
    private static func block(_ event: PlayedEvent) -> [UInt8] {
        let place = event.zone > 0 ? " \(event.kind.address == .user ? "user" : "zone") \(event.zone)" : ""
        let what = event.kind.name.uppercased() + (event.began ? "" : " RESET") + place
        let text = what + (event.text.isEmpty ? "" : " \(event.text)")
        let urgency = event.kind.urgency
        let priority = urgency == .trouble ? "2" : urgency == .status || urgency == .technical ? "3" : "1"
        let records = [
            (1, "999"), (2, text), (3, priority == "1" ? "5" : "2"), (4, event.began ? "3" : "1"), (6, priority),
        ]
        var body: [UInt8] = [0x31, ESPACharacter.stx]
        for (number, value) in records {
            if number > 1 { body.append(ESPACharacter.rs) }
            body += Array("\(number)".utf8) + [ESPACharacter.us] + latin(value)
        }
        body.append(ESPACharacter.etx)
        return [ESPACharacter.soh] + body + [body.reduce(0, ^)]
    }

    private static func latin(_ text: String) -> [UInt8] {
        text.unicodeScalars.prefix(longestText).map { scalar in
            (0x20...0x7E).contains(scalar.value) || (0xA0...0xFF).contains(scalar.value)
                ? UInt8(scalar.value) : UInt8(ascii: "?")
        }
    }
}
