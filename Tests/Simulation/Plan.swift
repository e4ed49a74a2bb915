import AlarmProtocol
import Drivers

@testable import Gateway

/// How the site is configured, and what changes in that between two starts.
struct Plan {
    var paths: [PathSettings]
    var devices: [Device]
    var limits = Limits()
    /// The board keeps time by itself; else its clock is wrong until the network has set it.
    let hasClockBattery: Bool
    /// The devices whose points are calls of a panel, not contacts.
    let panels: Set<String>
    /// Those of them that want each call acknowledged before they have said all of it.
    let keepers: Set<String>

    static let account = "4711"
    static let receivers = ["north", "south"]
    private static let pathNames = ["fibre", "mobile", "copper", "radio"]
    /// What no text of ours may ever show.
    static let secret = "C0FFEE5EC12E7DEADBEEF00D"

    init(_ dice: inout Dice) {
        hasClockBattery = dice.percent(60)
        paths = []
        devices = [Self.contacts("gpio.cabinet", &dice), Self.contacts("modbus.pumps", &dice)]
        devices.append(Self.panel("espa.nurses", &dice))
        devices.append(Self.panel("galaxy.doors", &dice))
        panels = ["espa.nurses", "galaxy.doors"]
        keepers = ["galaxy.doors"]
        for index in 0..<dice.pick([1, 2, 2, 2, 2, 3, 3]) {
            paths.append(Self.path(Self.pathNames[index], index, &dice))
        }
        // Narrow enough to be reached in an outage; most sites never see theirs.
        if dice.percent(20) { limits.waitingEvents = dice.within(40...120) }
        limits.logEvents = dice.pick([60, 200, 1000, 200_000])
    }

    private static func contacts(_ name: String, _ dice: inout Dice) -> Device {
        let kinds = ["fire", "burglary", "panic", "water", "technical", "mains-failure", "tamper", "gas", "wrong-code"]
        return device(name, dice.within(2...6), &dice) { $0.pick(kinds) }
    }

    private static func panel(_ name: String, _ dice: inout Dice) -> Device {
        device(name, dice.within(1...3), &dice) { $0.pick(["fire", "medical", "social-alarm", "technical"]) }
    }

    private static func device(
        _ name: String, _ count: Int, _ dice: inout Dice, _ kind: (inout Dice) -> String
    ) -> Device {
        var points: [Point] = []
        for number in 1...count {
            guard let kind = EventKind.named(kind(&dice)) else { continue }
            points.append(
                Point(
                    name: "\(name).p\(number)", account: account, kind: kind, partition: number % 3, zone: number,
                    text: "Punkt \(number) åäö"))
        }
        return Device(
            name: name, driver: NoDriver(), points: points, account: account, partition: 0, waitForReceiver: nil)
    }

    static func path(_ name: String, _ index: Int, _ dice: inout Dice) -> PathSettings {
        let isEncrypted = dice.percent(60)
        let format: PayloadFormat = dice.percent(70) ? .siaDCS : .contactID
        var path = PathSettings(
            name: name, receiver: receivers[dice.percent(80) ? index % 2 : 0], host: "192.0.2.\(index + 1)",
            port: 7700, interface: nil, transport: dice.percent(70) ? .tcp : .udp,
            account: dice.percent(30) ? "AB12" : nil, siteAccount: account,
            receiverNumber: dice.percent(30) ? "1" : nil, line: "\(index)",
            key: isEncrypted ? key(of: name) : nil, format: format, characterSet: .windows1252,
            extendedBlocks: dice.pick([[], [.timeOfOccurrence], [.timeOfOccurrence, .text]]),
            poll: .seconds(dice.pick([60, 90, 180, 300, 1200])), timeout: .seconds(dice.pick([2, 5, 10])),
            attempts: dice.within(2...5))
        path.connections = dice.pick([1, 1, 1, 2, 4])
        path.catchUpRate = dice.pick([nil, nil, 5, 50])
        return path
    }

    private static func key(of path: String) -> Key? {
        let digits = "0123456789ABCDEF".dropFirst(path.utf8.count).prefix(8)
        return try? Key(hex: secret + digits)
    }

    /// What a technician might do: a path less, one more, the order turned, another receiver; a point removed.
    mutating func change(_ dice: inout Dice) -> String {
        switch dice.within(0...4) {
        case 0 where paths.count > 1:
            return "path \(paths.remove(at: dice.within(0...paths.count - 1)).name) removed"
        case 1 where paths.count < 3:
            let name = Self.pathNames.first { name in !paths.contains { $0.name == name } } ?? "wire"
            paths.append(Self.path(name, paths.count, &dice))
            return "path \(name) added"
        case 2 where paths.count > 1:
            paths.reverse()
            return "paths in the order \(paths.map(\.name))"
        case 3:
            let index = dice.within(0...paths.count - 1)
            paths[index].receiver = dice.pick(Self.receivers)
            return "path \(paths[index].name) leads to \(paths[index].receiver)"
        default:
            let index = dice.within(0...paths.count - 1)
            paths[index].poll = .seconds(dice.pick([60, 120, 600]))
            return "path \(paths[index].name) polls every \(paths[index].poll.described)"
        }
    }
}

/// The simulation speaks to `DeviceHost` as a driver would; nothing runs this one.
struct NoDriver: Driver {
    static let name = "none"
    init() {}
    init(_ settings: Settings) {}
    func run(_ host: any Host) throws {}
}
