/// Speed and framing of a serial line as technicians write them: "9600 8N1".
public struct SerialLine: Sendable, Hashable, CustomStringConvertible {
    public enum Parity: Character, Sendable {
        case none = "N"
        case even = "E"
        case odd = "O"
    }

    /// Bits per second: one of `speeds`.
    public var speed: Int
    /// 7 or 8.
    public var dataBits: Int
    public var parity: Parity
    /// 1 or 2.
    public var stopBits: Int

    public static let speeds = [300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115_200]
    public static let expected =
        "speed and framing as \"9600 8N1\": 300 to 115200 bit/s, 7 or 8 bits, N, E or O, 1 or 2 stop bits"

    public init(speed: Int, dataBits: Int, parity: Parity, stopBits: Int) {
        self.speed = speed
        self.dataBits = dataBits
        self.parity = parity
        self.stopBits = stopBits
    }

    /// Reads "9600 8N1"; nil for anything else, speeds outside `speeds` included.
    public init?(_ text: String) {
        let parts = text.split(separator: " ")
        guard parts.count == 2, parts[1].count == 3, let speed = Int(parts[0]), Self.speeds.contains(speed) else {
            return nil
        }
        let framing = Array(parts[1].uppercased())
        guard framing.count == 3, let parity = Parity(rawValue: framing[1]) else { return nil }
        switch framing[0] {
        case "7": dataBits = 7
        case "8": dataBits = 8
        default: return nil
        }
        switch framing[2] {
        case "1": stopBits = 1
        case "2": stopBits = 2
        default: return nil
        }
        self.speed = speed
        self.parity = parity
    }

    public var description: String { "\(speed) \(dataBits)\(parity.rawValue)\(stopBits)" }
}
