/// Which port, and how it is set: what every driver on a serial line asks its table for.
public struct SerialSettings: Sendable, Hashable {
    /// The port's path; better "/dev/serial/by-id/…" than "/dev/ttyUSB0", which changes with the order of plugging in.
    public var path: String
    public var line: SerialLine
    /// RTS/CTS. Off: the lines are raised at opening and left so.
    public var handshake: Bool
    /// How the direction is switched on a line of two wires; nil: not RS-485, or nothing to switch.
    public var rs485: RS485?
    /// What DTR and RTS are put to at opening; nil: as the port has them, which is up.
    public var dtr: Bool?
    public var rts: Bool?
    /// XON/XOFF: the other end, a panel that takes us for its printer, is held off while we can take nothing.
    public var xonXoff = false
    /// DTR and RTS fall when we close or die, so that a panel that watches them knows.
    public var hangsUp = false
    /// Whether the other end's DTR, our DSR, is watched; nil: not.
    public var dsr: ReadyLine?

    public enum ReadyLine: Sendable, Hashable {
        /// Down is a fault once it has been up: the cable has that wire.
        case onceUp
        /// Down is a fault.
        case required
    }

    public init(
        path: String, line: SerialLine, handshake: Bool = false, rs485: RS485? = nil, dtr: Bool? = nil, rts: Bool? = nil
    ) {
        self.path = path
        self.line = line
        self.handshake = handshake
        self.rs485 = rs485
        self.dtr = dtr
        self.rts = rts
    }

    /// Reads `port`, `line`, `handshake`, `rs-485`, `dtr` and `rts` from a device's table; what is wrong is told to
    /// `settings`.
    /// - Parameter offersXONXOFF: `handshake = "xon-xoff"` as well; only where no frame can hold those two characters.
    public init(_ settings: Settings, defaultLine: SerialLine, offersXONXOFF: Bool = false) {
        path = settings.string("port", expected: "the path of a serial port, as \"/dev/serial/by-id/usb-FTDI…\"")
        if !path.isEmpty, !path.hasPrefix("/") {
            settings.refuse("port", "expected a path that begins with /, found \"\(path)\"")
        }
        line = defaultLine
        let text = settings.string("line", default: defaultLine.description, expected: SerialLine.expected)
        if let read = SerialLine(text) {
            line = read
        } else if !text.isEmpty {
            settings.refuse("line", "expected \(SerialLine.expected), found \"\(text.prefix(40))\"")
        }
        let handshakes = ["none", "rts-cts"] + (offersXONXOFF ? ["xon-xoff"] : [])
        let chosen = settings.choice("handshake", of: handshakes.map { ($0, $0) }, default: "none")
        handshake = chosen == "rts-cts"
        xonXoff = chosen == "xon-xoff"
        rs485 = RS485(settings)
        if rs485 != nil, handshake {
            settings.refuse("handshake", "RTS/CTS is of RS-232: with rs-485 it must be \"none\"")
        }
        dtr = settings.has("dtr") ? settings.boolean("dtr", default: true) : nil
        rts = settings.has("rts") ? settings.boolean("rts", default: true) : nil
        guard rts != nil else { return }
        if handshake { settings.refuse("rts", "the handshake works RTS by itself: remove one of the two") }
        if case .port = rs485 { settings.refuse("rts", "RS-485 switches direction by RTS: remove one of the two") }
    }
}
