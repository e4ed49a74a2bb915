/// The reading commands of function 2 that are used here. There is none that changes anything in the panel, and none that
/// takes a user's code.
enum SatelCommand {
    static let zonesViolated: UInt8 = 0x00
    static let zonesTamper: UInt8 = 0x01
    static let zonesAlarm: UInt8 = 0x02
    static let zonesTamperAlarm: UInt8 = 0x03
    static let zonesAlarmMemory: UInt8 = 0x04
    static let zonesTamperMemory: UInt8 = 0x05
    static let zonesBypassed: UInt8 = 0x06
    /// Never asked here either.
    static let armedShown: UInt8 = 0x09
    static let armed: UInt8 = 0x0A
    static let partitionsAlarm: UInt8 = 0x13
    static let partitionsFire: UInt8 = 0x14
    static let partitionsAlarmMemory: UInt8 = 0x15
    static let partitionsFireMemory: UInt8 = 0x16
    static let status: UInt8 = 0x1A
    static let zonesIsolated: UInt8 = 0x26
    static let moduleVersion: UInt8 = 0x7C
    /// Never asked here; understood where it passes.
    static let temperature: UInt8 = 0x7D
    static let panelType: UInt8 = 0x7E
    static let news: UInt8 = 0x7F
    static let event: UInt8 = 0x8C
    /// The answer to what is refused.
    static let result: UInt8 = 0xEF

    /// Read first, the most urgent before: all that may be an alarm.
    static let fast: [UInt8] = [
        partitionsFire, zonesAlarm, partitionsAlarm, zonesTamperAlarm, zonesTamper, zonesViolated, partitionsFireMemory,
        zonesAlarmMemory, partitionsAlarmMemory, zonesTamperMemory, armed,
    ]
    /// Read when those are done. 2C and 2D are of the INTEGRA 256 PLUS.
    static let slow: [UInt8] = [zonesBypassed, zonesIsolated, status, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x2C, 0x2D]

    static let ofZones: Set<UInt8> = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x26]
    static let ofPartitions: Set<UInt8> = [0x09, 0x0A, 0x13, 0x14, 0x15, 0x16]

    /// How much data an answer has, in bytes; empty: not a command that is used here.
    static func lengths(_ command: UInt8) -> [Int] {
        if ofZones.contains(command) { return [16, 32] }
        if ofPartitions.contains(command) { return [4] }
        switch command {
        case status: return [9]
        case 0x1B: return [47]
        case 0x1C: return [26]
        case 0x1D: return [60]
        case 0x1E: return [30]
        case 0x1F: return [31]
        case 0x2C: return [45]
        case 0x2D: return [47]
        case moduleVersion: return [12]
        case panelType: return [14]
        case news: return [5, 6]
        case event: return [14]
        case temperature: return [3]
        case result: return [1]
        default: return []
        }
    }

    static func words(_ command: UInt8) -> String {
        names[command] ?? "command \(hexadecimal([command]))"
    }

    private static let names: [UInt8: String] = [
        zonesViolated: "zones violated", zonesTamper: "zones tampered", zonesAlarm: "zones in alarm",
        zonesTamperAlarm: "zones in tamper alarm", zonesAlarmMemory: "zones with alarm in memory",
        zonesTamperMemory: "zones with tamper alarm in memory", zonesBypassed: "zones bypassed",
        zonesIsolated: "zones isolated", armed: "partitions armed", armedShown: "partitions shown as armed",
        partitionsAlarm: "partitions in alarm",
        partitionsFire: "partitions in fire alarm", partitionsAlarmMemory: "partitions with alarm in memory",
        partitionsFireMemory: "partitions with fire alarm in memory", status: "clock and status",
        0x1B: "troubles part 1", 0x1C: "troubles part 2", 0x1D: "troubles part 3", 0x1E: "troubles part 4",
        0x1F: "troubles part 5", 0x2C: "troubles part 6", 0x2D: "troubles part 7", moduleVersion: "module version",
        temperature: "zone temperature", panelType: "panel type", news: "new data", event: "event log",
        result: "result",
    ]
}

/// The numbers of the bits that are set: item 1 is the lowest bit of the first byte.
func satelNumbers(_ bytes: some Sequence<UInt8>) -> [Int] {
    var numbers: [Int] = []
    for (index, byte) in bytes.enumerated() where byte != 0 {
        for bit in 0..<8 where byte & (1 << UInt8(bit)) != 0 { numbers.append(index * 8 + bit + 1) }
    }
    return numbers
}

/// The models of the INTEGRA family, as 7E names them.
struct SatelModel: Sendable, Hashable {
    var name: String
    var zones: Int
    var partitions: Int

    /// The largest that a module without 32-byte answers serves: what is not there is at rest.
    static let unknown = SatelModel(name: "INTEGRA", zones: 128, partitions: 32)

    init(name: String, zones: Int, partitions: Int) {
        self.name = name
        self.zones = zones
        self.partitions = partitions
    }

    /// - Parameter type: the first byte of the answer to 7E.
    init(type: UInt8) {
        switch type {
        case 0: self.init(name: "INTEGRA 24", zones: 24, partitions: 4)
        case 1: self.init(name: "INTEGRA 32", zones: 32, partitions: 16)
        case 2: self.init(name: "INTEGRA 64", zones: 64, partitions: 32)
        case 3: self.init(name: "INTEGRA 128", zones: 128, partitions: 32)
        case 4, 132: self.init(name: "INTEGRA 128-WRL", zones: 128, partitions: 32)
        case 66: self.init(name: "INTEGRA 64 PLUS", zones: 64, partitions: 32)
        case 67: self.init(name: "INTEGRA 128 PLUS", zones: 128, partitions: 32)
        case 72: self.init(name: "INTEGRA 256 PLUS", zones: 256, partitions: 32)
        default: self = .unknown
        }
    }
}
