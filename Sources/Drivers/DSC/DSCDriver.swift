/// A DSC PowerSeries panel through its data interface: IT-100, PC5401 or TL-100.
public struct DSCDriver: PanelDriver {
    public typealias Link = DSCLink
    public typealias Played = PlayedDSC

    public static let name = "it-100"
    public static let panel = "DSC PowerSeries: IT-100, PC5401, TL-100"
    public static let lifeSign = "no answer to polls"

    public let serial: SerialSettings
    public let silence: Duration?
    let points: PanelPoints

    public init(_ settings: Settings) throws {
        serial = SerialSettings(settings, defaultLine: PlayedDSC.line)
        // A poll each 30 s, two of them unanswered for 5 s each.
        silence = Self.silence(settings, default: .seconds(40))
        points = PanelPoints(settings)
    }

    public func link() -> DSCLink { DSCLink(points) }
}
