/// A Honeywell Galaxy intruder panel whose RS-232 module reports in SIA: we are the receiver.
public struct GalaxyDriver: PanelDriver {
    public typealias Link = GalaxyLink
    public typealias Played = PlayedGalaxy

    public static let name = "galaxy"
    public static let panel = "Honeywell Galaxy Dimension and Flex, SIA on the RS-232 module"
    public static let lifeSign = "no block"

    public let serial: SerialSettings
    public let silence: Duration?
    let manner: GalaxyLink.Manner

    public init(_ settings: Settings) throws {
        serial = SerialSettings(settings, defaultLine: PlayedGalaxy.line)
        var manner = GalaxyLink.Manner()
        manner.login = settings.secret("login", expected: "the panel's remote code in quotes, 4 to 16 digits") {
            (4...16).contains($0.utf8.count) && $0.utf8.allSatisfy { (48...57).contains($0) }
        }
        manner.keepsAccounts = settings.choice("accounts", of: [("reported", true), ("own", false)], default: true)
        manner.hostBit = settings.boolean("host-bit", default: false)
        manner.wordsWithin =
            settings.duration("words-within", in: .zero ... .seconds(5), default: .seconds(3)).milliseconds
        manner.charset = settings.choice("charset", of: PanelCharset.names, default: .cp850)
        manner.points = settings.points.map { CodedPoint($0) }
        // Without a login the panel talks only when something happens.
        silence = Self.silence(settings, default: settings.has("login") ? .seconds(30) : .zero)
        self.manner = manner
    }

    public func link() -> GalaxyLink { GalaxyLink(manner) }
}
