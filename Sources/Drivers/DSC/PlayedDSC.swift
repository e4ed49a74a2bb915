import AlarmProtocol

/// An IT-100 on a panel, played: answers polls and status requests, tells what happens once and keeps nothing back, for
/// nobody acknowledges.
public struct PlayedDSC: PlayedPanel {
    public static let line = SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1)

    private var queue: [(frames: [DSCFrame], words: String)] = []
    private var received: [UInt8] = []
    private var armed: Set<Int> = []
    /// Zones in alarm, and the area of each.
    private var alarms: [Int: Int] = [:]
    /// What a status request is told besides: troubles that stand.
    private var standing: [String: DSCFrame] = [:]

    public init() {}
    public var waiting: Int { queue.count }
    public var deadline: Int64? { queue.isEmpty ? nil : 0 }

    public mutating func happen(_ event: PlayedEvent, at now: Int64) throws(CannotPlay) {
        let frames = try self.frames(event)
        queue.append((frames, "\(event.kind.name)\(event.began ? "" : " ended")"))
        if let first = frames.first, first.command.hasPrefix("8") {
            standing[event.kind.name] = event.began ? first : nil
        }
    }

    public mutating func opened(at now: Int64) -> [PlayedStep] { tick(at: now) }

    public mutating func tick(at now: Int64) -> [PlayedStep] {
        defer { queue = [] }
        return queue.flatMap { item in
            item.frames.map { PlayedStep.send($0.bytes, says: item.words) } + [.taken(item.words)]
        }
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PlayedStep] {
        guard byte == 0x0D || byte == 0x0A else {
            received.append(byte)
            if received.count > DSCLink.Limit.line { received.removeFirst() }
            return []
        }
        defer { received = [] }
        guard !received.isEmpty else { return [] }
        guard let frame = DSCFrame(received) else {
            return [.heard(received, says: "wrong checksum"), .send(DSCFrame("501").bytes, says: "checksum error")]
        }
        let heard = PlayedStep.heard(received, says: frame.command == "000" ? "poll" : "command \(frame.command)")
        switch frame.command {
        case "000": return [heard, .send(DSCFrame("500", "000").bytes, says: "acknowledged")]
        case "001": return [heard, .send(DSCFrame("500", "001").bytes, says: "acknowledged")] + status()
        default: return [heard, .send(DSCFrame("502", "023").bytes, says: "not available here")]
        }
    }

    private func status() -> [PlayedStep] {
        let areas = armed.union(alarms.values).union([1]).sorted().map { area in
            let isArmed = armed.contains(area)
            if alarms.values.contains(area) { return DSCFrame("654", "\(area)") }
            return DSCFrame(isArmed ? "652" : "650", isArmed ? "\(area)0" : "\(area)")
        }
        let zones = (1...64).map { DSCFrame(alarms[$0] == nil ? "610" : "609", digits($0, 3)) }
        let troubles = standing.keys.sorted().compactMap { standing[$0] }
        return (zones + areas + troubles).map { .send($0.bytes, says: "status") }
    }

    private mutating func frames(_ event: PlayedEvent) throws(CannotPlay) -> [DSCFrame] {
        let area = max(1, min(8, event.partition))
        guard event.zone <= 999 || event.kind.name.hasSuffix("arming") else {
            throw CannotPlay("an IT-100 says zones up to 999; found \(event.zone)")
        }
        let zone = digits(event.zone, 3)
        func pair(_ begins: Int, _ data: String = "") -> [DSCFrame] {
            [DSCFrame(String(event.began ? begins : begins + 1), data)]
        }
        switch event.kind.name {
        // It says the same of a smoke detector as of a door.
        case let kind where kind == "burglary" || event.zone > 0 && event.kind.urgency == .fire:
            alarms[event.zone] = event.began ? area : nil
            return pair(601, "\(area)\(zone)")
        case "tamper": return event.zone > 0 ? pair(603, "\(area)\(zone)") : pair(829)
        case "burglary-trouble": return pair(605, zone)
        case "fire": return pair(621)
        case "medical": return pair(623)
        case "panic": return pair(625)
        case "fire-smoke": return pair(631)
        case "battery": return pair(800)
        case "mains-failure": return pair(802)
        case "siren-fault": return pair(806)
        case "line-trouble": return pair(810)
        case "detector-battery": return pair(821, zone)
        case "trouble": return pair(840, "\(area)")
        case "fire-trouble": return pair(842)
        case "duress" where event.began: return [DSCFrame("620", "0000")]
        case "arming", "partial-arming":
            if event.began { armed.insert(area) } else { armed.remove(area) }
            let user = "\(area)\(digits(event.zone, 4))"
            let mode = event.kind.name == "arming" ? 0 : 1
            return event.began
                ? [DSCFrame("652", "\(area)\(mode)"), DSCFrame("700", user)]
                : [DSCFrame("655", "\(area)"), DSCFrame("750", user)]
        default:
            throw CannotPlay(
                "an IT-100 cannot say \(event.kind.name)\(event.began ? "" : "'s end"): it knows burglary, tamper, "
                    + "burglary-trouble, fire (of a zone, or the key), fire-smoke, medical, panic, duress, arming, "
                    + "partial-arming, battery, mains-failure, siren-fault, line-trouble, detector-battery, trouble, "
                    + "fire-trouble")
        }
    }

    private func digits(_ number: Int, _ count: Int) -> String {
        let text = String(max(0, number))
        return String(repeating: "0", count: max(0, count - text.count)) + text.suffix(count)
    }
}
