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
    /// Zones with fire detectors; nil: nobody has said which.
    let fireZones: [ClosedRange<Int>]?

    /// Names that signals have besides the points'.
    enum Part {
        static let keybus = "keybus"
        static let polls = "polls"
    }

    public init(_ settings: Settings) throws {
        serial = SerialSettings(settings, defaultLine: PlayedDSC.line)
        // A poll each 30 s, two of them unanswered for 5 s each.
        silence = Self.silence(settings, default: .seconds(40))
        points = PanelPoints(settings, parts: [Part.keybus, Part.polls])
        fireZones = settings.has("fire-zones") ? CodedPoint.zones(settings, "fire-zones", upTo: 999) : nil
    }

    public var notices: [String] {
        guard fireZones == nil, points.coded.isEmpty else { return [] }
        return [
            "the module says \"zone in alarm\" of a smoke detector as of a door, and it is told as burglary: say which "
                + "zones have fire detectors, fire-zones = [\"5-8\"], or fire-zones = [] where none has"
        ]
    }

    public func link() -> DSCLink { DSCLink(points, fireZones: fireZones) }
}
