import AlarmProtocol
import Drivers

/// Reads what all outputs have in common, `[device.KIND.NAME.output.OUTPUT]`: what each shows. Where it is found is read by
/// its driver.
struct OutputReader {
    /// The points that outputs name, to be looked for once all devices are read.
    private var named: [(point: String, table: Settings)] = []

    /// More outputs on one device are a mistake.
    static let most = 64

    /// - Returns: none where the driver knows no outputs; what stands there is refused as unknown, then.
    mutating func read(_ device: Settings, of name: String, waitsForReceiver: Bool) -> [Output] {
        guard device.isKnown("output") else { return [] }
        let points = Set(device.points.map(\.name))
        let tables = device.named("output", most: Self.most)
        if waitsForReceiver, let first = tables.first {
            device.problems.add(
                first.table.place,
                "\(first.table.path): a device with wait-for-receiver has no outputs, which would stand still while it "
                    + "waits; give the outputs a device of their own")
        }
        return tables.map { own, table in
            _ = table.has("terminal")
            if points.contains(own) || own == "fault" {
                device.problems.add(
                    table.place, "\(table.path): the name is that of a point or of the device's trouble; choose another"
                )
            }
            return Output(name: "\(name).\(own)", shows: showing(table))
        }
    }

    private static let words = ["transmission-fault", "trouble", "received", "test-mode", "point"]

    private mutating func showing(_ table: Settings) -> Output.Showing {
        let word = table.choice("shows", of: Self.words.map { ($0, $0) })
        guard word == "received" || word == "point" else {
            if table.has("point") {
                table.refuse("point", "it goes with shows = \"received\" or shows = \"point\": remove it")
            }
            return word == "trouble" ? .trouble : word == "test-mode" ? .testMode : .transmissionFault
        }
        let point = table.string("point", expected: "a point's full name in quotes, as \"gpio.cabinet.smoke\"")
        if !point.isEmpty { named.append((point, table)) }
        return word == "received" ? .received(point) : .point(point)
    }

    /// A lamp for a point that is not there would never light.
    func refuseUnknownPoints(_ points: [Point]) {
        let names = points.map(\.name)
        let known = Set(names)
        for (point, table) in named where !known.contains(point) {
            let hint = nearest(to: point, among: names)
            table.refuse(
                "point",
                "the site has no point \(SettingNode.Value.string(point).described)"
                    + (hint.isEmpty ? "; it has \(listed(names))" : hint))
        }
    }

    /// The longest that a point may set.
    private static let longest: Duration = .seconds(3600)
    /// EN 54-21, type 1.
    private static let usual: Duration = .seconds(100)

    /// A point's time limit: what its table says, else that of EN 54-21 type 1 where it is a fire.
    static func receivedWithin(_ table: Settings, _ kind: EventKind) -> Duration? {
        guard table.has("received-within") else { return kind.urgency == .fire ? usual : nil }
        return table.duration("received-within", in: .seconds(1)...longest, default: usual)
    }
}
