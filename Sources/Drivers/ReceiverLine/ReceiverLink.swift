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

    let format: ReceiverFormat
    let keepsAccounts: Bool
    let points: [CodedPoint]

    private var message: [UInt8] = []
    private var refused: [UInt8] = []
    private var pending: [UInt8] = []
    private var repeats = RepeatMemory(window: 10_000)

    init(_ format: ReceiverFormat, keepsAccounts: Bool = true, points: [CodedPoint] = []) {
        self.format = format
        self.keepsAccounts = keepsAccounts
        self.points = points
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PanelStep] {
        if byte == format.end, !message.isEmpty {
            defer { message = [] }
            return judge(message, at: now)
        }
        if format == .ademco685, byte == 0x0A {
            defer { message = [] }
            return message.isEmpty ? [] : [.strange(message, why: "it has no end")]
        }
        // A character that was garbled reads as NUL: the message cannot be read, and is asked for again.
        let isText = (0x20...0x7E).contains(byte) || byte >= 0xA0
        if isText || !message.isEmpty { message.append(isText ? byte : 0) }
        // Of noise without an end the last is kept: a message may stand behind it.
        if message.count > Self.longest { message.removeFirst() }
        return []
    }

    private mutating func judge(_ bytes: [UInt8], at now: Int64) -> [PanelStep] {
        guard let (start, report) = read(bytes) else { return unknown(bytes, at: now) }
        let body = Array(bytes[start...])
        var steps: [PanelStep] = start > 0 ? [.strange(Array(bytes[..<start]), why: "it stands before a message")] : []
        refused = []
        let frame = body + [format.end]
        switch report {
        case .heartbeat:
            return steps + [.frame(frame, says: "link test"), .send(Self.acknowledge, says: "ACK")]
        case .events(let said, let text):
            steps.append(.frame(frame, says: said.map(\.summary).joined(separator: ", ")))
            if repeats.isRepeat(body, at: now) { return steps + [.send(Self.acknowledge, says: "ACK of a repeat")] }
            pending = body
            return steps + [
                .report(said.map { signal(of: $0, text, raw: body) }, accept: Self.acknowledge, refuse: Self.refuse)
            ]
        }
    }

    /// A message by itself; else one behind what is left of another or of noise.
    private func read(_ bytes: [UInt8]) -> (start: Int, report: ReceiverReport)? {
        if let report = ReceiverReport(latin(bytes[...]), format) { return (0, report) }
        for start in stride(from: bytes.count - 1, to: 0, by: -1) {
            if let report = ReceiverReport(latin(bytes[start...]), format) { return (start, report) }
        }
        return nil
    }

    private mutating func unknown(_ bytes: [UInt8], at now: Int64) -> [PanelStep] {
        guard bytes.count >= Self.shortest else { return [.strange(bytes + [format.end], why: "too short")] }
        guard refused == bytes else {
            refused = bytes
            return [
                .strange(bytes + [format.end], why: "no message of this receiver"), .send(Self.refuse, says: "NAK"),
            ]
        }
        let text = latin(bytes[...])
        let frame = PanelStep.frame(bytes + [format.end], says: "not known, and said twice")
        if repeats.isRepeat(bytes, at: now) { return [frame, .send(Self.acknowledge, says: "ACK of a repeat")] }
        pending = bytes
        return [
            frame,
            .report([Signal(point: "unclassified", .call, text: text)], accept: Self.acknowledge, refuse: Self.refuse),
        ]
    }

    public mutating func stored(answered: Bool, at now: Int64) -> [PanelStep] {
        repeats.remember(pending, answered: answered, at: now)
        return []
    }

    /// A code that no table has is told with all that the receiver said of it.
    private func signal(of said: Said, _ text: String, raw: [UInt8]) -> Signal {
        var said = said
        if !keepsAccounts { said.account = nil }
        let words = said.isKnown ? text : "\(text.isEmpty ? "" : "\(text) ")[\(latin(raw[...]))]"
        return Signal(saying: said, point: CodedPoint.point(for: said, among: points), text: words)
    }

    private func latin(_ bytes: ArraySlice<UInt8>) -> String {
        String(String.UnicodeScalarView(bytes.map { UnicodeScalar($0) }))
    }
}
