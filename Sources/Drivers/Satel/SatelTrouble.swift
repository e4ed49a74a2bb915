import AlarmProtocol

/// A run of bits in the answers to 1B–1F, 2C and 2D: one kind of trouble of several things.
///
/// Source: Satel, "INT-RS short technical description", 2014-04-02, troubles part 1 to 7. Zones are numbered as the panel
/// numbers them in Contact ID: expanders from 129, keypads from 193.
struct SatelTrouble: Sendable {
    var command: UInt8
    /// The byte of the first bit.
    var byte: Int
    /// The first bit in it.
    var bit: Int
    var count: Int
    /// The point's name before the number, or by itself where there is one only.
    var name: String
    /// Contact ID's event.
    var event: String
    /// Added to 1 for the first; nil: told without a zone.
    var zoneBase: Int?
    var words: String

    private init(
        _ command: UInt8, _ byte: Int, bit: Int = 0, _ count: Int, _ name: String, _ event: String, zones: Int? = nil,
        _ words: String
    ) {
        (self.command, self.byte, self.bit, self.count) = (command, byte, bit, count)
        (self.name, self.event, self.zoneBase, self.words) = (name, event, zones, words)
    }

    /// Which of them are active, in order.
    func states(_ data: [UInt8]) -> [Bool] {
        (0..<count).map { index in
            let place = byte * 8 + bit + index
            return place / 8 < data.count && data[place / 8] >> (place % 8) & 1 == 1
        }
    }

    func point(_ index: Int) -> String { count == 1 ? name : "\(name)-\(number(index))" }
    func said(_ index: Int, active: Bool) -> Said {
        let qualifier = active ? Qualifier.event : .restore
        return Said(.contactID(event, qualifier), zone: zoneBase.map { $0 + index + 1 } ?? 0)
    }
    func text(_ index: Int) -> String { count == 1 ? words : "\(words) \(number(index))" }

    /// As a person counts them. Parts 6 and 7 go on where others end.
    private func number(_ index: Int) -> Int {
        switch command {
        case 0x2C: index + 121
        case 0x2D: index + 129
        default: index + 1
        }
    }

    static let all: [SatelTrouble] = part1 + system + parts2and3 + part4 + laterParts

    private static let part1 = [
        SatelTrouble(0x1B, 0, 128, "technical-zone", "150", zones: 0, "technical zone"),
        SatelTrouble(0x1B, 16, 64, "expander-mains", "342", zones: 128, "mains failure of expander"),
        SatelTrouble(0x1B, 24, 64, "expander-battery", "338", zones: 128, "battery fault of expander"),
        SatelTrouble(0x1B, 32, 64, "expander-battery-missing", "338", zones: 128, "no battery in expander"),
        SatelTrouble(0x1B, 43, 8, "keypad-mains", "342", zones: 192, "mains failure of keypad module"),
        SatelTrouble(0x1B, 44, 8, "keypad-battery", "338", zones: 192, "battery fault of keypad module"),
        SatelTrouble(0x1B, 45, 8, "keypad-battery-missing", "338", zones: 192, "no battery in keypad module"),
        SatelTrouble(0x1B, 46, 8, "network-module", "330", zones: 192, "fault of network module"),
    ]

    /// The panel itself: bytes 40 to 42 of part 1. Bit 7 of the third is a memory and no state.
    private static let system = [
        SatelTrouble(0x1B, 40, 4, "output-overload", "312", zones: 0, "overload of output"),
        SatelTrouble(0x1B, 40, bit: 4, 1, "keypad-supply", "312", "supply output +KPD"),
        SatelTrouble(0x1B, 40, bit: 5, 1, "expander-supply", "312", "supply output +EX"),
        SatelTrouble(0x1B, 40, bit: 6, 1, "battery", "302", "battery fault of the panel"),
        SatelTrouble(0x1B, 40, bit: 7, 1, "mains", "301", "mains failure of the panel"),
        SatelTrouble(0x1B, 41, 2, "expander-bus", "333", "fault of expander bus"),
        SatelTrouble(0x1B, 41, bit: 2, 1, "keypad-bus", "333", "fault of the keypad bus"),
        SatelTrouble(0x1B, 41, bit: 3, 1, "clock", "626", "the panel's clock"),
        SatelTrouble(0x1B, 41, bit: 4, 1, "dtr-signal", "330", "no DTR signal"),
        SatelTrouble(0x1B, 41, bit: 5, 1, "battery-missing", "311", "no battery in the panel"),
        SatelTrouble(0x1B, 41, bit: 6, 1, "modem-initialisation", "330", "external modem does not initialise"),
        SatelTrouble(0x1B, 41, bit: 7, 1, "modem-command", "330", "external modem takes no command"),
        SatelTrouble(
            0x1B, 42, 1, "telephone-voltage", "351", "no voltage on the telephone line, or the auxiliary processor"),
        SatelTrouble(0x1B, 42, bit: 1, 1, "telephone-bad-signal", "351", "bad signal on the telephone line"),
        SatelTrouble(0x1B, 42, bit: 2, 1, "telephone-no-signal", "351", "no signal on the telephone line"),
        SatelTrouble(0x1B, 42, bit: 3, 2, "monitoring-station", "350", "no transmission to monitoring station"),
        SatelTrouble(0x1B, 42, bit: 5, 1, "settings-memory", "304", "the panel's settings memory or clock circuit"),
        SatelTrouble(0x1B, 42, bit: 6, 1, "memory", "303", "the panel's memory"),
    ]

    private static let parts2and3 = [
        SatelTrouble(0x1C, 0, 64, "reader-a", "330", zones: 128, "card reader A of expander"),
        SatelTrouble(0x1C, 8, 64, "reader-b", "330", zones: 128, "card reader B of expander"),
        SatelTrouble(0x1C, 16, 64, "expander-overload", "312", zones: 128, "overload of expander"),
        SatelTrouble(0x1C, 24, 16, "radio-jamming", "344", "jammed or shorted: radio module"),
        SatelTrouble(0x1D, 15, 120, "radio-battery", "384", "low battery in radio device"),
        SatelTrouble(0x1D, 30, 120, "radio-lost", "381", "no connection with radio device"),
        SatelTrouble(0x1D, 45, 120, "radio-output-lost", "333", "no connection with radio output"),
    ]

    private static let part4 = [
        SatelTrouble(0x1E, 0, 64, "expander-lost", "333", zones: 128, "no connection with expander"),
        SatelTrouble(0x1E, 8, 64, "expander-exchanged", "341", zones: 128, "another device in place of expander"),
        SatelTrouble(0x1E, 16, 8, "keypad-lost", "333", zones: 192, "no connection with keypad"),
        SatelTrouble(0x1E, 17, 8, "keypad-exchanged", "341", zones: 192, "another device in place of keypad"),
        SatelTrouble(0x1E, 18, 8, "network-cable", "350", zones: 192, "no network at network module"),
        SatelTrouble(0x1E, 19, 64, "expander-tamper", "341", zones: 128, "tamper of expander"),
        SatelTrouble(0x1E, 27, 8, "keypad-tamper", "341", zones: 192, "tamper of keypad"),
        SatelTrouble(0x1E, 28, 8, "keypad-initialisation", "330", zones: 192, "keypad does not initialise"),
        SatelTrouble(0x1E, 29, 8, "auxiliary-processor", "330", "auxiliary processor"),
    ]

    private static let laterParts = [
        SatelTrouble(0x1F, 0, 8, "master-key-fob-battery", "384", "low battery in the key fob of master"),
        SatelTrouble(0x1F, 1, 240, "key-fob-battery", "384", "low battery in the key fob of user"),
        SatelTrouble(0x2C, 0, 120, "radio-battery", "384", "low battery in radio device"),
        SatelTrouble(0x2C, 15, 120, "radio-lost", "381", "no connection with radio device"),
        SatelTrouble(0x2C, 30, 120, "radio-output-lost", "333", "no connection with radio output"),
        SatelTrouble(0x2D, 0, 128, "technical-zone", "150", zones: 128, "technical zone"),
    ]
}
