/// A Notifier ID3000 or Pearl fire panel on its host port: events over the ASCII protocol, and polls for its status.
public struct ID3000Driver: PanelDriver {
    public typealias Link = ID3000Link
    public typealias Played = PlayedID3000

    public static let name = "id3000"
    public static let panel = "Notifier ID3000 and Pearl, host port"
    public static let lifeSign = "no status or event"

    public let serial: SerialSettings
    public let silence: Duration?
    let manner: ID3000Link.Manner

    /// Names that signals have besides the points'.
    enum Part {
        static let acknowledgement = "acknowledgement"
    }

    public init(_ settings: Settings) throws {
        serial = SerialSettings(settings, defaultLine: PlayedID3000.line)
        var manner = ID3000Link.Manner()
        let kinds = ID3000Frame.Checksum.allCases.map { ($0.rawValue, ID3000Frame.Checksum?.some($0)) }
        manner.checksum = settings.choice("checksum", of: [("any", nil)] + kinds, default: .some(nil))
        let poll = settings.duration("poll", in: .seconds(1) ... .seconds(60), default: .seconds(10))
        manner.poll = poll.milliseconds
        manner.charset = settings.choice("charset", of: PanelCharset.names, default: .latin1)
        settings.refusePoints(named: [Part.acknowledgement])
        manner.points = settings.points.map { ID3000Point($0) }
        silence = Self.silence(settings, default: .seconds(30))
        if let silence, silence <= poll {
            settings.refuse(
                "silence", "\(silence.described) is no longer than a poll (\(poll.described)): three are usual")
        }
        self.manner = manner
    }

    public func link() -> ID3000Link { ID3000Link(manner) }
}
