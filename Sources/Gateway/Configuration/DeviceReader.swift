import AlarmProtocol
import Drivers
import Glibc

/// Reads `[device.KIND.NAME]` and its points: what every device has in common. The rest is the driver's.
struct DeviceReader {
    private let drivers: [any Driver.Type]
    private let siteAccount: String
    private let problems: Problems
    private(set) var notices: [Problem] = []
    private var outputs = OutputReader()
    /// The serial ports and addresses in use, as one name each, and by which device.
    private var used: [String: String] = [:]

    init(drivers: [any Driver.Type], siteAccount: String, problems: Problems) {
        self.drivers = drivers
        self.siteAccount = siteAccount
        self.problems = problems
    }

    mutating func read(_ root: Settings, of document: SettingNode) -> [Device] {
        let kinds = root.table("device")
        var devices: [Device] = []
        for kind in kinds?.keys ?? [] {
            guard let kinds, let driver = drivers.first(where: { $0.name == kind }) else {
                refuse(kind: kind, in: kinds)
                continue
            }
            for (name, table) in kinds.named(kind) {
                if let device = device("\(kind).\(name)", table, driver) { devices.append(device) }
                for key in ["port", "address"] {
                    if case .string(let line)? = document["device"]?[kind]?[name]?[key]?.value {
                        claim(key, line, of: table)
                    }
                }
            }
        }
        outputs.refuseUnknownPoints(devices.flatMap(\.points))
        if devices.isEmpty {
            notices.append(Problem(root.place, "no device: nothing is heard at this site"))
        }
        return devices
    }

    private func refuse(kind: String, in kinds: Settings?) {
        guard let kinds, kinds.has(kind) else { return }
        let known = drivers.map { $0.name }.sorted()
        let hint = nearest(to: kind, among: known)
        problems.add(
            kinds.place(of: kind),
            "device.\(kind): no such kind of device\(hint.isEmpty ? "; there is: \(listed(known))" : hint)")
    }

    private mutating func device(_ name: String, _ table: Settings, _ driver: any Driver.Type) -> Device? {
        let account = table.account() ?? siteAccount
        let partition = table.integer("partition", in: 0...99, default: 0)
        let chatter = table.chatter(default: ChatterLimit())
        let points = table.named("point").map { point($0.name, $0.table, device: name, account, partition, chatter) }
        let wait =
            table.has("wait-for-receiver")
            ? table.duration("wait-for-receiver", in: .seconds(1)...(.seconds(120)), default: .seconds(10)) : nil

        let built: any Driver
        do { built = try driver.init(table) } catch {
            problems.add(table.place, "\(table.path): \(error)")
            return nil
        }
        notices += built.notices.map { Problem(table.place, "\(table.path): \($0)") }
        return Device(
            name: name, driver: built, points: points, account: account, partition: partition, waitForReceiver: wait,
            outputs: outputs.read(table, of: name, waitsForReceiver: wait != nil),
            chatter: chatter)
    }

    private func point(
        _ name: String, _ table: Settings, device: String, _ account: String, _ partition: Int, _ chatter: ChatterLimit
    ) -> Point {
        _ = table.has("terminal")
        if name == "fault" {
            problems.add(
                table.place,
                "\(table.path): a point cannot be called fault: that is the name of the device's own trouble")
        }
        let kind = kind(of: table)
        return Point(
            name: "\(device).\(name)",
            account: table.account() ?? account,
            kind: kind,
            partition: table.integer("partition", in: 0...99, default: partition),
            zone: table.integer("zone", in: 0...9999, default: 0),
            text: table.has("text") ? table.string("text", expected: "the operator's text in quotes", limit: 128) : "",
            receivedWithin: OutputReader.receivedWithin(table, kind),
            chatter: table.chatter(default: chatter))
    }

    /// What a point's `kind` says. Any kind stands in for one that is wrong: the configuration is refused then.
    private func kind(of table: Settings) -> EventKind {
        let found = problems.all.count
        let word = table.string("kind", expected: "what it is, as \"burglary\" or \"fire\" (docs/events.md)")
        if let kind = EventKind.named(word) { return kind }
        if problems.all.count == found {
            var hint = nearest(to: word, among: EventKind.all.map(\.name))
            if let swedish = EventKind.all.first(where: { $0.swedish.lowercased() == word.lowercased() }) {
                hint = ", did you mean \"\(swedish.name)\"?"
            }
            table.refuse(
                "kind",
                "there is no kind of event \(SettingNode.Value.string(word).described)"
                    + (hint.isEmpty
                        ? "; there is \"burglary\", \"fire\", \"mains-failure\": docs/events.md has all" : hint))
        }
        return EventKind.all[0]
    }

    /// Two threads on one serial line or one bus would take each other's answers.
    private mutating func claim(_ key: String, _ text: String, of table: Settings) {
        // A name under /dev/serial/by-id and /dev/ttyUSB0 may be the same port.
        let resolved = key == "port" ? realpath(text, nil) : nil
        defer { free(resolved) }
        let identity = "\(key) \(resolved.map { String(cString: $0) } ?? text.lowercased())"
        if let other = used[identity] {
            table.refuse(key, "is already used by \(other): one \(key), one device")
        } else {
            used[identity] = table.path
        }
    }
}
