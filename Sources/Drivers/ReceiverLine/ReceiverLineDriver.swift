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
    /// Events have the accounts that the receiver reports; else all have the device's own.
    let keepsAccounts: Bool
    let points: [CodedPoint]

    public init(_ settings: Settings) throws {
        serial = SerialSettings(settings, defaultLine: PlayedReceiver.line)
        format = settings.choice("format", of: ReceiverFormat.allCases.map { ($0.rawValue, $0) })
        // Two and a half of the usual 30 s between its link tests.
        silence = Self.silence(settings, default: .seconds(75))
        keepsAccounts = settings.choice("accounts", of: [("reported", true), ("own", false)], default: true)
        points = settings.points.map { CodedPoint($0) }
    }

    public func link() -> ReceiverLink { ReceiverLink(format, keepsAccounts: keepsAccounts, points: points) }
}
