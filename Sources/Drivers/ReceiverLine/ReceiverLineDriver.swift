/// The computer port of an alarm receiver, radio receiver or IP receiver: what its transmitters report becomes events of
/// their accounts.
public struct ReceiverLineDriver: PanelDriver {
    public typealias Link = ReceiverLink
    public typealias Played = PlayedReceiver

    public static let name = "receiver-line"
    public static let panel = "Alarm receivers: Sur-Gard, Bosch D6500, Ademco 685"
    public static let lifeSign = "no message or link test"

    public let serial: SerialSettings
    public let silence: Duration?
    let format: ReceiverFormat
    let manner: ReceiverLink.Manner

    public init(_ settings: Settings) throws {
        serial = SerialSettings(settings, defaultLine: PlayedReceiver.line)
        format = settings.choice("format", of: ReceiverFormat.allCases.map { ($0.rawValue, $0) })
        // Two and a half of the usual 30 s between its link tests.
        silence = Self.silence(settings, default: .seconds(75))
        var manner = ReceiverLink.Manner()
        manner.keepsAccounts = settings.choice("accounts", of: [("reported", true), ("own", false)], default: true)
        manner.charset = settings.choice("charset", of: PanelCharset.names, default: .latin1)
        manner.points = settings.points.map { CodedPoint($0) }
        self.manner = manner
    }

    public func link() -> ReceiverLink { ReceiverLink(format, manner) }
}
