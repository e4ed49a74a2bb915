import AlarmProtocol

/// A panel's part of its protocol, played: `larmnod simulate` and tests use it. Pure, as `PanelLink`.
public protocol PlayedPanel: Sendable {
    /// The line settings that it has where nothing else is said.
    static var line: SerialLine { get }
    init()

    /// Something happens at the played site; what the panel makes of it is sent as soon as its protocol allows.
    /// - Throws: `CannotPlay` when the panel has no way to say this, with what it can say.
    mutating func happen(_ event: PlayedEvent, at now: Int64) throws(CannotPlay)
    mutating func opened(at now: Int64) -> [PlayedStep]
    mutating func receive(_ byte: UInt8, at now: Int64) -> [PlayedStep]
    mutating func tick(at now: Int64) -> [PlayedStep]
    var deadline: Int64? { get }
    /// How much of what happened has not been taken by the other end.
    var waiting: Int { get }
}

/// What a played panel does.
public enum PlayedStep: Sendable, Hashable {
    case send([UInt8], says: String)
    /// The other end said this.
    case heard([UInt8], says: String)
    /// The other end has taken this event; what it was, in words.
    case taken(String)
    /// The other end did not take it, or has fallen silent: what a panel would show on its display.
    case trouble(String)
}

/// Something that happens at a played site: "fire zone 12", or its end.
public struct PlayedEvent: Sendable, Hashable {
    public var kind: EventKind
    public var began: Bool
    /// 0: none.
    public var partition: Int
    /// Zone or user, as the kind has it; 0: none.
    public var zone: Int
    public var text: String

    public init(_ kind: EventKind, began: Bool = true, partition: Int = 0, zone: Int = 0, text: String = "") {
        self.kind = kind
        self.began = began
        self.partition = partition
        self.zone = zone
        self.text = text
    }
}

public struct CannotPlay: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}
