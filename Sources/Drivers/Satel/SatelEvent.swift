import AlarmProtocol

/// A record of the panel's event log (8C).
struct SatelEvent: Sendable, Hashable {
    /// Contact ID's number from 100 to 979; below and above Satel's own.
    var code: Int
    var isRestore: Bool
    /// 1–32.
    var partition: Int
    /// As it stands: zone, module, keypad or user, as the code has it.
    var source: Int
    /// Adds 128 to a zone on the INTEGRA 256 PLUS.
    var isHighZone: Bool
    /// By the panel's own clock, as is the day.
    var minuteOfDay: Int
    var day: Int
    var month: Int
    /// Of the year the panel keeps the remainder by four only.
    private var year: Int

    /// - Parameter record: 8 bytes. Nil: an empty record, the end of the log.
    init?(_ record: ArraySlice<UInt8>) {
        let bytes = Array(record)
        guard bytes.count == 8, bytes[0] & 0x20 != 0 else { return nil }
        year = Int(bytes[0] >> 6)
        day = Int(bytes[1] & 0x1F)
        month = Int(bytes[2] >> 4)
        minuteOfDay = Int(bytes[2] & 0x0F) << 8 | Int(bytes[3])
        partition = Int(bytes[4] >> 3) + 1
        isRestore = bytes[4] & 0x04 != 0
        code = Int(bytes[4] & 0x03) << 8 | Int(bytes[5])
        source = Int(bytes[6])
        isHighZone = bytes[7] & 0x1F == 1
    }

    /// 1–256, where the source is a zone.
    var zone: Int? {
        if isHighZone { return (1...128).contains(source) ? source + 128 : nil }
        return (1...128).contains(source) ? source : nil
    }

    /// "23 Nov 12:05"
    var time: String {
        let (hour, minute) = (minuteOfDay / 60, minuteOfDay % 60)
        guard hour < 24 else { return "unknown time" }
        let clock = "\(hour < 10 ? "0" : "")\(hour):\(minute < 10 ? "0" : "")\(minute)"
        return Self.months.indices.contains(month - 1) ? "\(day) \(Self.months[month - 1]) \(clock)" : clock
    }
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// By the panel's clock it happened well before the other one: more than an hour's change of the clock explains.
    func isLongBefore(_ other: SatelEvent) -> Bool {
        let round = 4 * 12 * 31 * 1440
        let later = ((other.minutes - minutes) % round + round) % round
        return later > 120 && later < round / 2
    }

    private var minutes: Int { ((year * 12 + month) * 31 + day) * 1440 + minuteOfDay }

    var summary: String {
        "event \(code)\(isRestore ? " restore" : "") source \(source) partition \(partition) at \(time)"
    }

    /// What becomes of it.
    enum Meaning: Sendable, Hashable {
        /// The states tell it; the event says of which kind the zone's alarm is.
        case zoneAlarm(zone: Int, contactID: String)
        case zoneTamper(zone: Int)
        /// The partition is armed (true) or disarmed, in Contact ID.
        case arming(Bool, String)
        /// Told as it is: no state tells it.
        case told(Said)
        /// Everyday, or told by a state.
        case passedOver
        case unknown
    }

    var meaning: Meaning {
        switch code {
        case 100...136, 138, 139, 146, 150...155, 157...163, 200...206, 220:
            if code == 126 { return .told(said("126")) }
            guard code != 121, let zone else { return code == 139 ? .told(said("139")) : .told(said("\(code)")) }
            return .zoneAlarm(zone: zone, contactID: "\(code)")
        case 137, 144, 156, 370, 373, 383:
            return zone.map { .zoneTamper(zone: $0) } ?? .told(said("\(code)"))
        case 400...405, 407...409, 441, 442: return .arming(isRestore, "\(code)")
        case 1003: return .arming(false, "401")
        case let own where Self.own[own] != nil: return .told(said(Self.own[own] ?? ""))
        case let known where Self.toldCodes.contains(known): return .told(said("\(known)"))
        case let known where Self.passedOverCodes.contains(known): return .passedOver
        case 1...99, 980...1023: return .passedOver
        default: return .unknown
        }
    }

    private func said(_ event: String) -> Said {
        Said(.contactID(event, isRestore ? .restore : .event), partition: partition, zone: zone ?? source)
    }

    /// Satel's own codes that say what the trade has a number for: wrong codes, doors, tampers of modules, zones that are
    /// never or always violated, masking, the network.
    private static let own: [Int: String] = [
        33: "305", 34: "305", 83: "461", 84: "145", 85: "423", 88: "330", 92: "145", 93: "145", 94: "145", 97: "380",
        98: "391", 984: "144", 1000: "380", 1001: "443", 1002: "350", 1014: "330", 1020: "330",
    ]
    /// Those of Contact ID that no state tells.
    private static let toldCodes: Set<Int> = [
        143, 145, 303, 305, 306, 339, 380, 388, 406, 411, 412, 413, 423, 454, 461, 575, 601, 602, 604, 607, 621, 625,
    ]
    /// The states of troubles and bypasses tell these, or nobody need know: doors, guard rounds, zone tests, service.
    private static let passedOverCodes: Set<Int> = [
        300, 301, 302, 312, 330, 333, 344, 350, 351, 381, 384, 421, 422, 458, 462, 570, 571, 572, 573, 574, 611, 612,
        613, 614, 615, 622, 623, 627, 628, 800, 801, 802, 803, 804, 805,
    ]
}
