/// The promises of docs/promises.md that a run is checked against.
enum Promise: Int, CaseIterable, CustomStringConvertible {
    case durable = 1
    case delivered
    case ordered
    case fireFirst
    case neverSilent
    case bounded
    case configured
    case quiet
    case restart
    case independent
    case honestTime

    var description: String {
        switch self {
        case .durable: "1, on disk before anyone is told"
        case .delivered: "2, delivered at least once"
        case .ordered: "3, in order where order matters"
        case .fireFirst: "4, fire first"
        case .neverSilent: "5, never silent"
        case .bounded: "6, everything has a limit"
        case .configured: "7, a bad configuration never takes effect"
        case .quiet: "8, keys are never shown"
        case .restart: "9, a restart is not an alarm"
        case .independent: "10, the dead delay nobody"
        case .honestTime: "11, time is honest"
        }
    }
}
