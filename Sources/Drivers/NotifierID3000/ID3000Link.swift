import AlarmProtocol

/// The host's end of an ID3000's line: it is polled for its status as a sign of life, and each event is acknowledged when it
/// is on disk. What is not acknowledged, the panel says again.
public struct ID3000Link: PanelLink {
    /// How long the panel waits is not published; what comes within 1.5 s is taken to be in time.
    public static let patience: Int64 = 1500

    struct Manner: Sendable {
        /// Nil: whichever fits.
        var checksum: ID3000Frame.Checksum?
        /// Milliseconds between two polls.
        var poll: Int64 = 10_000
        var charset = PanelCharset.latin1
        var points: [ID3000Point] = []
    }

    private enum Limit {
        /// Milliseconds: a frame on its way is not spoken into, unless it has stopped for so long.
        static let pause: Int64 = 1000
        /// An event that is said again so often although it was acknowledged is said to one whom the panel does not hear.
        static let repeats = 5
    }

    private let manner: Manner
    /// Since the first `>`, without what stood before it.
    private var bytes: [UInt8] = []
    private var noise: [UInt8] = []
    private var last: Int64 = 0
    private var nextPoll: Int64 = 0
    private var isOpen = false
    /// A CRC was right in this session: the port is set to half duplex, and eight bits are not enough any more.
    private var usesCRC = false
    /// A frame that only the weaker checksum fitted, refused once.
    private var doubted: [UInt8] = []
    private var reported: [UInt8] = []
    /// What is being reported is no event but that the panel hears us, or does not.
    private var isPart = false
    // The body says the time to the second, so that the same body is the same event.
    private var repeats = RepeatMemory(window: 60_000)
    /// How often the last event was said again after it had been acknowledged.
    private var saidAgain = 0
    private var isHeard: Bool?

    init(_ manner: Manner = Manner()) { self.manner = manner }

    public mutating func opened(at now: Int64) -> [PanelStep] {
        nextPoll = now
        isOpen = true
        return tick(at: now)
    }

    public var deadline: Int64? { nextPoll }

    public mutating func tick(at now: Int64) -> [PanelStep] {
        guard now >= nextPoll else { return [] }
        if !bytes.isEmpty, now - last < Limit.pause {
            nextPoll = last + Limit.pause
            return []
        }
        nextPoll = now + manner.poll
        return [.send(ID3000Frame.poll, says: "poll")]
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PanelStep] {
        last = now
        if bytes.isEmpty, byte != ID3000Frame.start {
            if byte != ID3000Frame.end, byte != UInt8(ascii: "\n") { noise.append(byte) }
            return noise.count >= ID3000Frame.longest ? dropNoise() : []
        }
        if byte == ID3000Frame.end {
            defer { bytes = [] }
            return dropNoise() + judge(bytes, at: now)
        }
        bytes.append(byte)
        guard bytes.count > ID3000Frame.longest else { return [] }
        // Too long: a later `>` may be the beginning.
        let next = bytes.dropFirst().firstIndex(of: ID3000Frame.start) ?? bytes.count
        defer { bytes.removeFirst(next) }
        return [.strange(Array(bytes[..<next]), why: "it has no end")]
    }

    private mutating func dropNoise() -> [PanelStep] {
        defer { noise = [] }
        return noise.isEmpty ? [] : [.strange(noise, why: "it has no beginning")]
    }

    public mutating func stored(answered: Bool, at now: Int64) -> [PanelStep] {
        if !isPart { repeats.remember(reported, answered: answered, at: now) }
        isPart = false
        return []
    }

    private mutating func judge(_ bytes: [UInt8], at now: Int64) -> [PanelStep] {
        // An echo of our own, as two-wire lines give.
        if [ID3000Frame.acknowledge, ID3000Frame.poll].contains(bytes + [ID3000Frame.end]) { return [] }
        // Behind what is left of another frame, or of noise, a right one may stand.
        for start in bytes.indices where bytes[start] == ID3000Frame.start {
            guard let body = body(bytes[(start + 1)...]) else { continue }
            let before = start > 0 ? [PanelStep.strange(Array(bytes[..<start]), why: "it stands before a frame")] : []
            return before + judge(body: body, Array(bytes[start...]) + [ID3000Frame.end], at: now)
        }
        return [.strange(bytes + [ID3000Frame.end], why: "its checksum is wrong")]
    }

    private mutating func body(_ content: ArraySlice<UInt8>) -> [UInt8]? {
        if manner.checksum != .sum8, let body = ID3000Frame.body(content, .crc16) {
            usesCRC = true
            return body
        }
        guard manner.checksum != .crc16, let body = ID3000Frame.body(content, .sum8), body.first == UInt8(ascii: "I")
        else { return nil }
        guard usesCRC, manner.checksum == nil else { return body }
        // One garbled frame in 256 would pass. The same again is not garbled: the port has been set anew.
        defer { doubted = Array(content) }
        guard doubted == Array(content) else { return nil }
        usesCRC = false
        return body
    }

    private mutating func judge(body: [UInt8], _ frame: [UInt8], at now: Int64) -> [PanelStep] {
        let text = manner.charset.text(body)
        if body.starts(with: "IS".utf8) { return [.frame(frame, says: "status \(text)")] + hearsUs() }
        if text == "IACK" { return [.frame(frame, says: "acknowledged")] }
        let event = ID3000Event(body, manner.charset)
        let read = PanelStep.frame(frame, says: event?.summary ?? "not known: \(text)")
        if repeats.isRepeat(body, at: now) {
            // For as long as it is said again and again, it is the same: it has the panel's time to the second.
            repeats.remember(body, answered: true, at: now)
            return [read, .send(ID3000Frame.acknowledge, says: "IACK of a repeat")] + doesNotHearUs()
        }
        reported = body
        isPart = false
        saidAgain = 0
        let signal = event?.signal(manner.points) ?? ID3000Event.notKnown(text, 0, manner.points)
        return [read, .report([signal], accept: ID3000Frame.acknowledge, knownBy: body)]
    }

    /// An event that was stored when the daemon ended or the line was lost, and may not have been acknowledged.
    public mutating func resume(_ kept: [UInt8], at now: Int64) -> [PanelStep] {
        repeats.remember(kept, answered: false, at: now)
        return []
    }

    /// The panel says the next event when this one is acknowledged: while it hears nothing, no other event comes.
    private mutating func doesNotHearUs() -> [PanelStep] {
        saidAgain = min(saidAgain + 1, Limit.repeats)
        guard saidAgain == Limit.repeats, isHeard != false else { return [] }
        isHeard = false
        isPart = true
        let why =
            "the panel says an event again and again although it is acknowledged, and no other meanwhile: "
            + "check the wire from our TxD and the panel's host port"
        return [.report([Signal(point: ID3000Driver.Part.acknowledgement, .fault(why))], accept: nil)]
    }

    /// A status is an answer to our poll.
    private mutating func hearsUs() -> [PanelStep] {
        guard isOpen, saidAgain == 0, isHeard != true else { return [] }
        isHeard = true
        isPart = true
        return [.report([Signal(point: ID3000Driver.Part.acknowledgement, .healthy)], accept: nil)]
    }
}
