import AlarmProtocol

/// Satel INTEGRA over an INT-RS module that stands in function 2: its states and its event log, read each second. It is
/// only ever read: no command that changes anything is known here, and no user's code.
public struct SatelIntegraDriver: PanelDriver {
    public typealias Link = SatelIntegraLink
    public typealias Played = PlayedSatelIntegra

    public static let name = "satel-integra"
    public static let panel = "Satel INTEGRA, INT-RS function 2"
    public static let lifeSign = "no answer to our questions"

    public let serial: SerialSettings
    public let silence: Duration?
    let readsLog: Bool
    let points: [SatelPoint]

    public init(_ settings: Settings) throws {
        serial = SerialSettings(satel: settings, defaultLine: PlayedSatelIntegra.line)
        silence = Self.silence(settings, default: .seconds(10))
        readsLog = settings.boolean("event-log", default: true)
        points = settings.points.map { SatelPoint($0) }
    }

    public func link() -> SatelIntegraLink { SatelIntegraLink(points: points, readsLog: readsLog) }
}

/// A configured point of function 2: a state of one zone or one partition.
struct SatelPoint: Sendable, Hashable {
    var point: String
    var condition: SatelCondition

    init(_ settings: Settings) {
        point = settings.name
        let isZone = settings.has("zone")
        if isZone {
            let states: [SatelCondition.What] = [.zoneAlarm, .zoneTamper, .zoneBypass, .zoneViolated]
            let what = settings.choice("state", of: states.map { ($0.rawValue, $0) }, default: .zoneAlarm)
            condition = SatelCondition(what: what, number: settings.integer("zone", in: 1...256))
        } else {
            let states: [(String, SatelCondition.What)] = [
                ("fire", .partitionFire), ("alarm", .partitionAlarm), ("armed", .armed),
            ]
            let what = settings.choice("state", of: states, default: .partitionAlarm)
            if !settings.has("partition") {
                settings.refuse(
                    "zone",
                    "expected zone = 1 to 256, or partition = 1 to 32 and state \"fire\", \"alarm\" or \"armed\"")
            }
            condition = SatelCondition(what: what, number: settings.integer("partition", in: 1...32, default: 1))
        }
    }
}
