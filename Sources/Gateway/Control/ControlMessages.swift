/// What the commands ask of the daemon, one JSON object on a line, and what it answers. Names and meanings are part of
/// the product: `--json` prints the answers as they are. Times are milliseconds since 1970 UTC.
public struct ControlRequest: Codable, Sendable {
    public enum Command: String, Codable, Sendable {
        case status, events, testPoint, testPath, discard, testMode, receiver, availability, bus, watch, learn
    }

    public var command: Command
    /// `bus`, `watch`: one device; nil: all of them. `learn`: the device of the loop. `testPoint`: a point's full name; `testPath`: a path's name; `testMode`: "on", "off" or "status".
    public var name: String?
    /// `learn`: the point that is a supervised loop.
    public var point: String?
    /// `events`: only those that wait or are parked; go on as they come; how many at first. `testMode`: for how many seconds
    /// (`limit`).
    public var unsent: Bool?
    /// `events`: only faults of paths and their ends.
    public var faults: Bool?
    public var follow: Bool?
    public var limit: Int?
    /// `discard`: the event's number in the store, and why.
    public var event: Int64?
    public var why: String?
    /// `receiver`: what to do with its move; nil only shows it. Its name is in `name`.
    public enum Step: String, Codable, Sendable { case move, prolong, switchOver, comeBack, keep }
    public var step: Step?
    /// `move`: the new centre's settings as TOML, and what errors call them.
    public var settings: String?
    public var source: String?
    /// It is agreed that nothing is encrypted.
    public var unencrypted: Bool?
    /// Milliseconds.
    public var shadow: Int64?
    public var within: Int64?
    /// `watch`: has the device's line opened anew first, so that all is seen from the beginning.
    public var anew: Bool?
    /// `availability`: only this month, "2026-11".
    public var month: String?

    public init(
        _ command: Command, name: String? = nil, unsent: Bool? = nil, follow: Bool? = nil, limit: Int? = nil,
        event: Int64? = nil, why: String? = nil, faults: Bool? = nil, month: String? = nil, point: String? = nil
    ) {
        self.command = command
        self.name = name
        self.unsent = unsent
        self.follow = follow
        self.limit = limit
        self.event = event
        self.why = why
        self.faults = faults
        self.month = month
        self.point = point
    }
}

/// A refusal, in words for the person who asked.
public struct ControlRefusal: Codable, Error, Sendable, CustomStringConvertible {
    public var refused: String
    /// No daemon was there to refuse it. Not part of an answer.
    public var nobodyIsThere = false
    private enum CodingKeys: CodingKey { case refused }
    public init(_ refused: String) { self.refused = refused }
    public var description: String { refused }
}

public struct SiteStatus: Codable, Sendable {
    public struct Path: Codable, Sendable {
        public var name: String
        public var receiver: String
        public var address: String
        /// "works", "untried", "failing" or "down".
        public var state: String
        public var why: String?
        /// Seconds since the last answer; nil when there never was one.
        public var lastAnswer: Int64?
        /// Milliseconds from the last event sent to its ACK.
        public var roundTrip: Int64?
        /// Seconds that the receiver's clock is ahead of ours, as its NAK said.
        public var clockOffset: Double
        public var acknowledged: Int
        public var failures: Int
        /// By DC-09 itself.
        public var encrypted: Bool
        /// Over TLS.
        public var tls = false
        /// How many connections are open; over UDP one at most.
        public var connections = 0
        /// "new" or "old", where the path has an old key as well as a new one.
        public var keyInUse: String?
        /// How many frames came in the place of replies since the start, by kind (docs/security.md).
        public var ignored: [String: Int]?
        /// Replies that came late, or twice.
        public var lateOrRepeated: Int?
        /// The newest strange reply, in words, while they are told of and have not ended.
        public var strange: String?
    }

    public struct Device: Codable, Sendable {
        public var name: String
        /// "answers", "not heard yet" or "lost".
        public var state: String
        public var why: String?
        public var points: Int
    }

    public struct Point: Codable, Sendable {
        public var name: String
        public var text: String
        public var kind: String
        /// "active", "fault", "at rest", or "never active".
        public var state: String
        public var zone: Int
        /// In fault: why.
        public var why: String?
        /// It changes too often: its changes are counted, its end is held back.
        public var chatters: Bool?
    }

    public struct Supervision: Codable, Sendable {
        /// "DP4", or "own numbers".
        public var name: String
        public var remark: String
    }

    public var site: String
    public var account: String
    public var version: String
    /// Seconds since the daemon started.
    public var running: Int64
    public var now: Int64
    public var clockIsKnown: Bool
    public var waiting: Int
    public var mostUrgent: String?
    /// Seconds that the oldest waiting event has waited.
    public var oldestWaits: Int64?
    public var parked: Int
    public var storeTrouble: String?
    public var paths: [Path]
    public var devices: [Device]
    public var points: [Point]
    /// What each output is to be, by the daemon's present judgement.
    public var outputs: [Output]? = nil
    /// Points with an alarm that is not acknowledged within its time limit.
    public var overdue: [String]? = nil
    /// Nil when it is not on.
    public var testMode: TestModeState? = nil
    /// A receiver that moves to another centre.
    public var move: CentreStatus.Move? = nil
    /// The supervision class that paths are watched by, and what must be said of it; nil where none is set.
    public var supervision: Supervision? = nil
    /// How available the paths have been this month; nil where the time is not known.
    public var availability: [AvailabilityMonth]? = nil
}

public struct EventLife: Codable, Sendable {
    public var event: Int64
    public var sequence: Int
    public var account: String
    public var point: String
    public var sia: String
    public var contactId: String
    public var qualifier: String
    public var urgency: String
    public var partition: Int
    public var zone: Int
    public var text: String
    /// When it happened as the box knew it, and how well it knew: "known", "unknown" or "corrected".
    public var seen: Int64
    public var clock: String
    public var stored: Int64
    /// "waiting", "acknowledged", "parked" or "discarded".
    public var state: String
    public var sent: Int64?
    public var path: String?
    public var tries: Int
    public var acknowledged: Int64?
    public var reason: String?

    init(_ stored: StoredEvent) {
        event = stored.id
        sequence = stored.sequence
        account = stored.event.account
        point = stored.event.point
        sia = stored.event.sia
        contactId = stored.event.contactID
        qualifier = "\(stored.event.qualifier)"
        urgency = "\(stored.event.urgency)"
        partition = stored.event.partition
        zone = stored.event.zone
        text = stored.event.text
        seen = stored.event.occurred.utc
        clock = "\(stored.event.occurred.clock)"
        self.stored = stored.stored
        state = "\(stored.state)"
        sent = stored.sent
        path = stored.path
        tries = stored.tries
        acknowledged = stored.state == .acknowledged ? stored.ended : nil
        reason = stored.reason
    }
}

public struct TestResult: Codable, Sendable {
    public var event: Int64
    public var sequence: Int
    /// Whether a receiver said ACK in time.
    public var acknowledged: Bool
    /// Milliseconds from storing to the ACK.
    public var took: Int64?
    public var path: String?
    public var receiver: String?
    public var why: String?
}

public struct DiscardResult: Codable, Sendable {
    public var discarded: Int64
    public var by: String
}
