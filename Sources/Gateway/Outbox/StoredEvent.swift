import AlarmProtocol

/// An event to be stored, with what the outbox must know beyond the event itself.
public struct NewEvent: Sendable, Equatable {
    public var event: Event
    /// The state of the event's point from now on, for points that have one: active or at rest.
    public var active: Bool?
    /// Only over this path (a path's own test).
    public var onlyOver: String?

    public init(_ event: Event, active: Bool? = nil, onlyOver: String? = nil) {
        self.event = event
        self.active = active
        self.onlyOver = onlyOver
    }
}

/// An event on disk, with its life so far.
public struct StoredEvent: Sendable {
    public enum State: Int64, Sendable {
        case waiting = 0
        /// A receiver said ACK.
        case acknowledged = 1
        /// Every receiver refused it; kept until a named person discards it.
        case parked = 2
        /// A named person discarded it; who and why is in `reason`.
        case discarded = 3

        /// No receiver has it.
        var isUnsent: Bool { self == .waiting || self == .parked }
    }

    public var id: Int64
    public var event: Event
    public var state: State
    public var active: Bool?
    /// Milliseconds since 1970 UTC.
    public var stored: Int64
    /// Which boot of the board it was stored in: `uptime` may be compared within one boot only.
    public var boot: Int64
    /// When it was last sent, over which path, and how many times in all. Set with the outcome.
    public var sent: Int64?
    public var path: String?
    public var tries: Int
    /// When it was acknowledged, parked or discarded.
    public var ended: Int64?
    public var reason: String?

    /// The DC-09 number, 1–9999, the same on every path and retry.
    public var sequence: Int { Self.sequence(of: id) }

    /// Identifiers only ever grow; after 9999 comes 1 again (dc09 reference 5).
    public static func sequence(of id: Int64) -> Int { Int((id - 1) % 9999) + 1 }
}

/// How an event's wait ended: what is written beside it.
struct Mark: Sendable {
    var id: Int64
    var state: StoredEvent.State
    var sent: Int64?
    var path: String?
    var tries: Int
    var ended: Int64
    var reason: String?
}

/// Nothing was stored, or the store cannot be used.
public struct OutboxError: Error, Sendable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable { case inUse, full, cannotWrite, damaged, unsafe }
    public var kind: Kind
    public var description: String
}
