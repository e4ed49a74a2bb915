/// How soon somebody must act on an event. Lower sorts first: `fire < danger`.
///
/// The classes are this project's own (EN 54-21 gives fire the highest priority when it shares a unit with anything
/// else); which code belongs to which class is a column of the generated code table.
public enum Urgency: UInt8, Sendable, Comparable, CaseIterable {
    /// A fire alarm. Ahead of any backlog, on the first path that works.
    case fire = 0
    /// Danger to persons: hold-up, panic, medical, lift, gas.
    case danger = 1
    /// Intrusion and tamper.
    case intrusion = 2
    /// A technical or environmental alarm: pump, water, cold, heat.
    case technical = 3
    /// Something that keeps an alarm from being seen or delivered: mains, battery, lost device, lost path.
    case trouble = 4
    /// Restores, arming, status and tests.
    case status = 5

    public static func < (a: Urgency, b: Urgency) -> Bool { a.rawValue < b.rawValue }
}

/// What an event says of its condition. The raw value is the Contact ID qualifier digit (SIA DC-05; dc09 reference 7.3).
public enum Qualifier: UInt8, Sendable, CaseIterable {
    /// It began: a new event, or an opening (disarming).
    case event = 1
    /// It ended: a restore, or a closing (arming).
    case restore = 3
    /// It was already so, and is so still.
    case status = 6
}

/// How well the clock was known when a time was read.
public enum ClockQuality: UInt8, Sendable, CaseIterable {
    /// The clock was set from the network or kept by a battery.
    case known = 0
    /// Nobody had set the clock: only the order of such times can be trusted.
    case unknown = 1
    /// The clock was unknown then, and the time was worked out once it had been set (same boot, monotonic distance).
    case corrected = 2
}

/// A point in time, as this box knew it.
public struct Moment: Sendable, Hashable {
    /// Milliseconds since 1970-01-01 00:00 UTC by the wall clock, right or wrong.
    public var utc: Int64
    /// Milliseconds since the board was started, asleep or not. Never steps.
    public var uptime: Int64
    public var clock: ClockQuality

    public init(utc: Int64, uptime: Int64, clock: ClockQuality) {
        self.utc = utc
        self.uptime = uptime
        self.clock = clock
    }
}

/// One thing that happened, in the words of the alarm trade: what is kept on disk and told to the centre.
public struct Event: Sendable, Hashable {
    /// Who: 3–16 hexadecimal digits, upper case. A string, because leading zeros count.
    public var account: String
    /// Which configured input it came from ("gpio.cabinet.front-door"), or which part of the box itself ("path.fibre").
    /// Order is kept within a point.
    public var point: String
    /// Area, 0–99. 0 means none.
    public var partition: Int
    /// Zone, or user where the code's address is a user: 0–9999. 0 means none. Contact ID can say no more than 999.
    public var zone: Int
    /// The two-letter SIA DC-03 code that says this very thing: "BA" when it began, "BR" when it ended.
    public var sia: String
    /// The three-digit Contact ID event. Whether it began or ended is in `qualifier`.
    public var contactID: String
    public var qualifier: Qualifier
    public var urgency: Urgency
    /// Free text for the operator, at most 128 characters here; what a path cannot say is replaced when it is sent.
    public var text: String
    public var occurred: Moment

    public init(
        account: String, point: String, partition: Int = 0, zone: Int = 0, sia: String, contactID: String,
        qualifier: Qualifier = .event, urgency: Urgency, text: String = "", occurred: Moment
    ) {
        self.account = account
        self.point = point
        self.partition = partition
        self.zone = zone
        self.sia = sia
        self.contactID = contactID
        self.qualifier = qualifier
        self.urgency = urgency
        self.text = text
        self.occurred = occurred
    }
}
