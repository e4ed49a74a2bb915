import AlarmProtocol

/// All that a driver may ask for. The gateway implements it; tests script it.
public protocol Host: Sendable {
    /// Hands over what one reading brought, in one commit. Returns when it is on disk.
    /// - Throws: `ReportError` when nothing was stored. The driver keeps the reading and reports it again; it must not
    ///   pretend that it was received.
    func report(_ signals: [Signal]) throws

    /// As `report`, and in the same commit these bytes take the place of what was kept before (see `keep`), so that no
    /// crash tells it twice: none, where it is what was kept that is now told; else by what its repeat is known.
    func report(_ signals: [Signal], keeping bytes: [UInt8]) throws

    /// Returns when a panel may be told that what was reported last is received: at once or, where the device is set to
    /// wait for it, when the receiver has acknowledged it or the set time has passed.
    func awaitReceiver()

    /// Keeps a few bytes on disk, past a crash and a power cut, until others are kept. For what a panel wants acknowledged
    /// before it has said all of it. Returns when they are synced. None: what was kept is forgotten, with the next commit.
    /// - Throws: `ReportError` when they are not: report what is known so far instead.
    func keep(_ bytes: [UInt8]) throws

    /// What this device has kept.
    var kept: [UInt8] { get }

    /// The device answers: a good reading, a poll from a panel. Ends the device's trouble. Cheap: call it every time.
    func answers()

    /// Waits until one of the descriptors is readable (or in error or hung up: reading it will tell), the deadline
    /// passes, what an output is to be has changed, or the driver is to stop.
    func wait(for descriptors: [Int32], until deadline: ContinuousClock.Instant?) -> Wake

    /// Whether an output of this device (`[device.KIND.NAME.output.OUTPUT]`, by its own name) is to be on now. Off once
    /// the driver is to stop, and for a name that is no output. Cheap: ask before each write, and write again now and
    /// then what is asked, so that a device that was without power gets it back.
    func output(_ name: String) -> Bool

    /// The time: injected, so that tests own it.
    var now: Moment { get }

    /// What passed on the device's line, for a person who watches (`larmnod monitor`, `record`). Cheap when nobody does.
    func trace(_ passage: Passage)

    /// A reading of a supervised loop, for a person who watches or learns it. Say it only while `isWatched`.
    func measured(_ reading: LoopReading)

    /// Whether somebody watches now: asked before a passage is put into words that nothing else needs.
    var isWatched: Bool { get }

    /// A line in the log, named after the device. Not an event: nobody at the centre sees it.
    func log(_ level: LogLevel, _ message: String)
}

public enum Wake: Sendable, Equatable {
    /// These descriptors have something to say.
    case ready([Int32])
    case deadline
    /// What an output is to be has changed: ask for all of them. Only for a device that has outputs.
    case output
    /// The daemon stops, or the device's configuration changed: put outputs as they are asked (all off, now), close and
    /// return.
    case stop
}

/// Something that passed on a device's line, and what it means.
public struct Passage: Sendable, Hashable {
    public enum Direction: Sendable { case received, sent }

    public var direction: Direction
    /// As they passed; empty for what has no bytes, as an edge of a contact.
    public var bytes: [UInt8]
    /// In a few words: "poll", "Contact ID E130 zone 5 of 1234", "no frame: wrong checksum".
    public var meaning: String

    public init(_ direction: Direction, _ bytes: [UInt8], _ meaning: String) {
        self.direction = direction
        self.bytes = bytes
        self.meaning = meaning
    }
}

public enum LogLevel: Sendable, Equatable { case debug, notice, warning, error }

/// Nothing of a report was stored.
public struct ReportError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}

extension Host {
    public func trace(_ passage: Passage) {}
    public func measured(_ reading: LoopReading) {}
    public var kept: [UInt8] { [] }
    public func keep(_ bytes: [UInt8]) throws { if !bytes.isEmpty { throw ReportError("nothing can be kept here") } }
    public func report(_ signals: [Signal], keeping bytes: [UInt8]) throws {
        if !signals.isEmpty { try report(signals) }
        // What cannot be kept or forgotten is told again after the next opening: twice rather than not at all.
        try? keep(bytes)
    }
    public func awaitReceiver() {}
    public var isWatched: Bool { false }
    /// Waits without descriptors: the only way that a driver sleeps.
    public func wait(until deadline: ContinuousClock.Instant) -> Wake { wait(for: [], until: deadline) }
    public func report(_ signal: Signal) throws { try report([signal]) }
}
