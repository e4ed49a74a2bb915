import AlarmProtocol
import Drivers

/// A whole, checked configuration. Made only by `SiteReader`; a value of this type is free of known errors.
public struct Site: Sendable {
    /// The site's name as people say it: "Furutorpsskolan".
    public var name: String
    /// 3–16 hexadecimal digits, upper case. Points may have their own.
    public var account: String
    /// Whether this board's clock can be trusted from the start ("trusted": it has a battery, or it is only a test) or
    /// only once the kernel says that it is synchronised ("network").
    public var clockIsTrusted: Bool
    /// Where the outbox lies: a directory that only this daemon writes to.
    public var stateDirectory: String
    /// The control socket's path, and the group (besides root and the daemon's own user) that may use it.
    public var controlSocket: String
    public var operators: String?
    public var limits: Limits
    /// In order of preference: the first that works carries the events.
    public var paths: [PathSettings]
    public var devices: [Device]
    /// Within how long faults of paths must be reported, where that is asked.
    public var supervision: Supervision?
    /// What is allowed but worth a person's look: no device, no key, a receiver that no path leads to.
    public var notices: [Problem] = []
    /// The file that it was read from: names of key files are seen from there.
    public var file = ""

    /// Where the control socket lies: a directory in memory, as systemd gives one (RuntimeDirectory).
    var runtimeDirectory: String {
        "/" + controlSocket.split(separator: "/").dropLast().joined(separator: "/")
    }

    /// The configured points of all devices, by their full name.
    public var points: [Point] { devices.flatMap(\.points) }

    /// The configured outputs of all devices.
    public var outputs: [Output] { devices.flatMap(\.outputs) }
}

/// What is bounded, and where. Defaults are for a 4 GB card.
public struct Limits: Sendable, Hashable {
    /// Events waiting to be acknowledged. The last tenth is kept for fire and danger.
    public var waitingEvents = 100_000
    /// Delivered events kept as the site's log: rows, and bytes of the whole store.
    public var logEvents = 200_000
    public var storeBytes = 256 * 1024 * 1024

    public init() {}
}

/// One network interface to one receiver address (EN 50136: ATP), with all that is agreed with that receiver.
public struct PathSettings: Sendable {
    public enum Transport: String, Sendable { case tcp, udp, tls }

    /// The path's name: "fibre".
    public var name: String
    /// The receiver's name: paths to the same receiver share its refusals.
    public var receiver: String
    public var host: String
    public var port: Int
    /// The network interface to bind to, or nil for whichever the routing table gives.
    public var interface: String?
    public var transport: Transport
    /// The transmitter's account in the frame's header, where the centre gave one for this path; else each event's own.
    public var account: String?
    /// The site's account: link tests are sent with it where the path has none of its own.
    public var siteAccount: String
    /// R and L of the header (dc09 reference 6): hexadecimal digits without the letter; R is left out where nil.
    public var receiverNumber: String?
    public var line: String
    public var key: Key?
    public var format: PayloadFormat
    public var characterSet: CharacterSet
    /// Which extended data blocks the receiver takes: "H" (time of occurrence), "I" (text). Empty for old receivers.
    public var extendedBlocks: Set<ExtendedBlock.Kind>
    /// Longest silence before a link test is sent.
    public var poll: Duration
    /// How long to wait for a reply.
    public var timeout: Duration
    /// Failures in a row before the path counts as down.
    public var attempts: Int
    /// Longest silence before a link test while the primary path (the first) is down, where that is shorter than `poll`:
    /// the alternate takes over the primary's duty. Nil: `poll`.
    public var pollAlone: Duration?
    /// Within how long a fault of this path must be reported, as its supervision class asks; nil where none is set.
    public var reportWithin: Duration?
    /// Connections to the receiver: 1, and more only for catching up after an outage, 2–16.
    public var connections = 1
    /// How many late events a second the centre agrees to take while we catch up, 1–1000; nil: as fast as it answers.
    public var catchUpRate: Int?
    /// The key before `key`, while the centre goes over to the new one.
    public var oldKey: Key?
    /// Set exactly where `transport` is `.tls`.
    var tls: SecureTransport?
}

/// One configured device: the driver, ready to run, and its points.
public struct Device: Sendable {
    /// "gpio.cabinet"
    public var name: String
    public var driver: any Driver
    public var points: [Point]
    /// Account, partition of the device's own trouble, and what an unclassified message of it is taken for.
    public var account: String
    public var partition: Int
    /// Report returns only when the receiver has acknowledged, or this time has passed; nil: when it is on disk.
    public var waitForReceiver: Duration?
    public var outputs: [Output] = []
    /// Where its points, and what it says under other names, count as chattering.
    public var chatter = ChatterLimit()
}

/// One configured input with a stable name.
public struct Point: Sendable, Hashable {
    /// "gpio.cabinet.front-door"
    public var name: String
    public var account: String
    public var kind: EventKind
    public var partition: Int
    /// Zone, or user.
    public var zone: Int
    public var text: String
    /// Within how long a receiver must have acknowledged what it tells (EN 54-21: 100 s for type 1, 240 s for type 2);
    /// nil: nobody watches that.
    public var receivedWithin: Duration? = nil
    public var chatter = ChatterLimit()
}
