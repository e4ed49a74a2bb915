import AlarmProtocol

/// Our end of a serial panel's protocol, without a line or a clock: bytes and times in, steps out. `PanelSession` carries
/// them out. Times are milliseconds of a clock that never steps.
public protocol PanelLink: Sendable {
    /// The line has been opened: what is to be asked first.
    mutating func opened(at now: Int64) -> [PanelStep]
    /// One byte has come.
    mutating func receive(_ byte: UInt8, at now: Int64) -> [PanelStep]
    /// The time has come that `deadline` told.
    mutating func tick(at now: Int64) -> [PanelStep]
    /// When `tick` has something to do; nil: never.
    var deadline: Int64? { get }

    /// How long the panel waits for the answer to a report before it goes on without it. An answer that comes later, when
    /// the panel has already said something else, is not sent: it would be taken for the answer to that.
    static var patience: Int64 { get }
    /// What is still kept from before the line was lost or the daemon ended: by a `.keep` without any report since, which is
    /// to be reported; or by a report whose answer the panel may not have had, which it will say again.
    mutating func resume(_ kept: [UInt8], at now: Int64) -> [PanelStep]
    /// What a `.keep` kept is on disk and acknowledged.
    mutating func kept(at now: Int64)
    /// The last report is on disk. `answered`: the panel has been told so; else it will say the same again.
    mutating func stored(answered: Bool, at now: Int64) -> [PanelStep]
}

extension PanelLink {
    public mutating func opened(at now: Int64) -> [PanelStep] { [] }
    public mutating func tick(at now: Int64) -> [PanelStep] { [] }
    public var deadline: Int64? { nil }
    public static var patience: Int64 { 1000 }
    public mutating func resume(_ kept: [UInt8], at now: Int64) -> [PanelStep] { [] }
    public mutating func kept(at now: Int64) {}
    public mutating func stored(answered: Bool, at now: Int64) -> [PanelStep] { [] }
}

/// What a protocol wants done, in this order.
public enum PanelStep: Sendable, Hashable {
    /// These bytes were a frame, whole and right: the line's settings are right and the panel lives.
    case frame([UInt8], says: String)
    /// These bytes were no frame, or a wrong one; why.
    case strange([UInt8], why: String)
    /// Send these bytes.
    case send([UInt8], says: String)
    /// Report it; when it is on disk, and not before, send `accept`. When nothing can be stored, send `refuse`, so that
    /// the panel says it again; without `accept` the panel says nothing twice, and it is kept and tried again.
    /// `knownBy` is kept on disk with it until the panel has its answer, and given to `resume` after a crash in between,
    /// so that what the panel then says again is not told twice.
    case report([Signal], accept: [UInt8]?, refuse: [UInt8]? = nil, knownBy: [UInt8] = [])
    /// The frame before this was right and makes no sense: a fault of the line until a report is understood. Why, in words.
    case notUnderstood(String)
    /// The panel wants an answer before it has said all: keep these bytes on disk until the next report, then send
    /// `accept`. Where they cannot be kept, report `otherwise` instead, as `.report` does.
    case keep([UInt8], accept: [UInt8], otherwise: [Signal], refuse: [UInt8]? = nil)
    /// As `send`, but nobody who watches is shown the bytes.
    case sendSecret([UInt8], says: String)
    /// For the technician's log; at most one line a minute of each level is written.
    case log(LogLevel, String)
    /// The device is lost: close the line and begin anew, after a pause.
    case lose(String)
}

/// Knows a report that a panel says again because our answer did not get through.
///
/// Only the report before this one can be repeated, and only within the panel's own time for it: later, or after another
/// report, the same words mean that it has happened again.
public struct RepeatMemory: Sendable {
    /// How long after it was answered, in milliseconds.
    public let window: Int64
    /// How long after it was stored, where it could not be answered.
    public let unansweredWindow: Int64
    /// Of a panel that goes on saying it until it hears an answer: how long after it was stored. A repeat shows that our
    /// answers do not get through, so that it counts as unanswered from then on. Nil: no longer than `window`.
    public let longest: Int64?
    private var last: (body: [UInt8], stored: Int64, at: Int64, isAnswered: Bool)?

    public init(window: Int64, unansweredWindow: Int64 = 60_000, longest: Int64? = nil) {
        self.window = window
        self.unansweredWindow = unansweredWindow
        self.longest = longest
    }

    /// The report is stored. What a crash or a lost line left unanswered counts as stored when the line is opened again.
    public mutating func remember(_ body: [UInt8], answered: Bool, at now: Int64) { last = (body, now, now, answered) }

    /// Whether it is the one that was stored last, said again. It is answered (once more) and not reported.
    public mutating func isRepeat(_ body: [UInt8], at now: Int64) -> Bool {
        guard let known = last, known.body == body,
            now - known.at <= (known.isAnswered ? window : unansweredWindow)
        else { return false }
        if let longest {
            guard now - known.stored <= longest else { return false }
            last = (body, known.stored, now, false)
        } else {
            last = (body, known.stored, known.isAnswered ? known.at : now, true)
        }
        return true
    }
}
