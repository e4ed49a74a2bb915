import AlarmProtocol

/// How the messages of an alarm receiver are framed.
enum ReceiverFormat: String, Sendable, CaseIterable {
    /// Sur-Gard MLR2, MLR2000, System I–III and what speaks like them: a message and DC4.
    case surGard = "sur-gard"
    /// Radionics and Bosch D6500 mode: as above, with an optional blank before it.
    case d6500 = "d6500"
    /// Ademco 685: LF, a message, CR.
    case ademco685 = "ademco-685"

    var end: UInt8 { self == .ademco685 ? 0x0D : 0x14 }
}

/// The computer's end of an alarm receiver's line: every message is answered ACK once it is on disk. What cannot be read
/// is answered NAK; if the receiver then says the very same again, it is not garbled but unknown, and reported as it is.
public struct ReceiverLink: PanelLink {
    static let acknowledge: [UInt8] = [0x06]
    static let refuse: [UInt8] = [0x15]
    /// The receiver waits 4 s for its answer (Sur-Gard MLR2 manual), so that what comes within 3 belongs to it.
    public static let patience: Int64 = 3000
    /// Longest message in bytes: a SIA block with its text has some 200.
    static let longest = 512
    /// Shorter is noise: not even a receiver's and a line's numbers with something behind them.
    static let shortest = 8

    /// Milliseconds.
    enum Time {
        /// A receiver that has not heard our ACK says it again: after 4 s, up to 20 times, then after the next link
        /// test that is answered.
        static var again: Int64 { 10_000 }
        static var failed: Int64 { 120_000 }
        static var longest: Int64 { 300_000 }
        /// Of a quiet 685 line, whose link test is the computer's, before one; and for its answer.
        static var quiet: Int64 { 30_000 }
        static var answer: Int64 { 4000 }
        /// A message that was refused comes again within this time.
        static var refused: Int64 { 60_000 }
    }

    /// What the device's table sets.
    struct Manner: Sendable {
        var keepsAccounts = true
        var charset = PanelCharset.latin1
        var points: [CodedPoint] = []
    }

    let format: ReceiverFormat
    let manner: Manner

    private var message: [UInt8] = []
    private var refused: (bytes: [UInt8], at: Int64)?
    private var pending: [UInt8] = []
    private var repeats = RepeatMemory(
        window: Time.again, unansweredWindow: Time.failed, longest: Time.longest)
    private var nextTest: Int64?
    private var testedAt: Int64?

    init(_ format: ReceiverFormat, _ manner: Manner = Manner()) {
        self.format = format
        self.manner = manner
    }

    public mutating func opened(at now: Int64) -> [PanelStep] {
        if format == .ademco685 { nextTest = now + Time.quiet }
        return []
    }

    public var deadline: Int64? { nextTest }

    public mutating func tick(at now: Int64) -> [PanelStep] {
        guard let due = nextTest, now >= due else { return [] }
        nextTest = now + Time.quiet
        testedAt = now
        return [.send([format.end], says: "our link test")]
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PanelStep] {
        if nextTest != nil { nextTest = now + Time.quiet }
        if byte == format.end, !message.isEmpty {
            defer { message = [] }
            return judge(message, at: now)
        }
        if format == .ademco685, byte == 0x0A {
            defer { message = [] }
            return message.isEmpty ? [] : [.strange(message, why: "it has no end")]
        }
        if message.isEmpty, let tested = testedAt, byte == format.end || byte == 0x06 {
            testedAt = nil
            return now - tested <= Time.answer ? [.frame([byte], says: "answer to our link test")] : []
        }
        // A character that was garbled reads as NUL: the message cannot be read, and is asked for again.
        let isText = (0x20...0x7E).contains(byte) || byte >= 0x80
        if isText || !message.isEmpty { message.append(isText ? byte : 0) }
        // Of noise without an end the last is kept: a message may stand behind it.
        if message.count > Self.longest { message.removeFirst() }
        return []
    }

    /// - Parameter bytes: without their end; with the blank before it that some firmwares send.
    private mutating func judge(_ bytes: [UInt8], at now: Int64) -> [PanelStep] {
        let blanks = bytes.prefix { $0 == 0x20 }
        let message = bytes[blanks.endIndex...]
        guard let (start, report) = read(message) else { return unknown(bytes, at: now) }
        testedAt = nil
        refused = nil
        let body = Array(message[start...])
        let noise = Array(message[..<start])
        var steps: [PanelStep] =
            noise.isEmpty ? [] : [.strange(Array(blanks) + noise, why: "it stands before a message")]
        let frame = (noise.isEmpty ? Array(blanks) : []) + body + [format.end]
        switch report {
        case .heartbeat:
            return steps + [.frame(frame, says: "link test"), .send(Self.acknowledge, says: "ACK")]
        case .events(let said, let text):
            steps.append(.frame(frame, says: said.map(\.summary).joined(separator: ", ")))
            return steps + take(body, said.map { signal(of: $0, text, raw: body) }, at: now)
        }
    }

    /// A message by itself; else one behind what is left of another or of noise.
    private func read(_ bytes: ArraySlice<UInt8>) -> (start: Int, report: ReceiverReport)? {
        if let report = ReceiverReport(latin(bytes), format) { return (bytes.startIndex, report) }
        for start in bytes.indices.dropFirst().reversed() {
            if let report = ReceiverReport(latin(bytes[start...]), format) { return (start, report) }
        }
        return nil
    }

    private mutating func take(_ body: [UInt8], _ signals: [Signal], at now: Int64) -> [PanelStep] {
        if repeats.isRepeat(body, at: now) { return [.send(Self.acknowledge, says: "ACK of a repeat")] }
        pending = body
        return [.report(signals, accept: Self.acknowledge, refuse: Self.refuse, knownBy: body)]
    }

    private mutating func unknown(_ bytes: [UInt8], at now: Int64) -> [PanelStep] {
        let frame = bytes + [format.end]
        guard bytes.count >= Self.shortest else { return [.strange(frame, why: "too short")] }
        let isAgain = refused.map { $0.bytes == bytes && now - $0.at <= Time.refused } ?? false
        guard isAgain, Self.isText(bytes) else {
            refused = (bytes, now)
            return [.strange(frame, why: "no message of this receiver"), .send(Self.refuse, says: "NAK")]
        }
        let call = Signal(point: "unclassified", .call, text: manner.charset.text(bytes))
        return [.frame(frame, says: "not known, and said twice")] + take(bytes, [call], at: now)
    }

    /// Only within brackets do receivers pass on letters beyond ASCII. Seven bits with parity, read as eight without, have
    /// the eighth bit anywhere: such a line is told as one with wrong settings, however often it says the same.
    private static func isText(_ bytes: [UInt8]) -> Bool {
        let open = bytes.firstIndex(of: UInt8(ascii: "[")) ?? bytes.endIndex
        return bytes[..<open].allSatisfy { $0 < 0x80 }
    }

    public mutating func stored(answered: Bool, at now: Int64) -> [PanelStep] {
        repeats.remember(pending, answered: answered, at: now)
        return []
    }

    /// A message that was stored when the daemon ended or the line was lost, and whose ACK may not have got out.
    public mutating func resume(_ kept: [UInt8], at now: Int64) -> [PanelStep] {
        repeats.remember(kept, answered: false, at: now)
        return []
    }

    /// A code that no table has is told with all that the receiver said of it.
    private func signal(of said: Said, _ text: String, raw: [UInt8]) -> Signal {
        var said = said
        if !manner.keepsAccounts { said.account = nil }
        let text = manner.charset.text(text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
        let words = said.isKnown ? text : "\(text.isEmpty ? "" : "\(text) ")[\(manner.charset.text(raw))]"
        return Signal(saying: said, point: CodedPoint.point(for: said, among: manner.points), text: words)
    }

    /// Each byte a character, whatever it means: how a message is read.
    private func latin(_ bytes: ArraySlice<UInt8>) -> String {
        String(String.UnicodeScalarView(bytes.map { UnicodeScalar($0) }))
    }
}
