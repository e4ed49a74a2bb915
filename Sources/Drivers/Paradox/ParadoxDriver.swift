/// A Paradox Digiplex or EVO panel through its printer module APR-PRT3 in ASCII mode.
public struct ParadoxDriver: PanelDriver {
    public typealias Link = ParadoxLink
    public typealias Played = PlayedParadox

    public static let name = "prt3"
    public static let panel = "Paradox Digiplex and EVO: APR-PRT3"
    public static let lifeSign = "no answer to polls"

    public let serial: SerialSettings
    public let silence: Duration?
    let size: ParadoxLink.Size
    let points: PanelPoints

    /// Names that signals have besides the points'.
    enum Part {
        static let combus = "combus"
        static let polls = "polls"
    }

    public init(_ settings: Settings) throws {
        serial = SerialSettings(settings, defaultLine: PlayedParadox.line)
        // A poll each 30 s, and time for the second to be answered.
        silence = Self.silence(settings, default: .seconds(65))
        size = ParadoxLink.Size(
            areas: settings.integer("areas", in: 1...ParadoxLink.Limit.areas, default: 1),
            zones: settings.integer("zones", in: 0...ParadoxLink.Limit.zones, default: 48),
            users: settings.integer("users", in: 0...ParadoxLink.Limit.users, default: 0))
        points = PanelPoints(settings, parts: [Part.combus, Part.polls])
    }

    public func link() -> ParadoxLink { ParadoxLink(size, points) }
}
