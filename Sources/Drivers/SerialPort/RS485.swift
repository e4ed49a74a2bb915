import CSerialPort
import Glibc

/// Who switches the direction of a line of two wires, where one sends at a time.
public enum RS485: Sendable, Hashable {
    /// The converter turns round by itself. What we send may come back to us, and is then left out.
    case adapter
    /// The port's driver in the kernel, by its RTS line.
    case port(Turning)

    /// How RTS switches the transmitter.
    public struct Turning: Sendable, Hashable {
        /// RTS is up while we send; else it is down then and up for the rest.
        public var rtsUpToSend: Bool
        /// Milliseconds from switching to the first bit, and from the last bit to switching back: 0 to 100.
        public var before: UInt32
        public var after: UInt32

        public init(rtsUpToSend: Bool = true, before: UInt32 = 0, after: UInt32 = 0) {
            self.rtsUpToSend = rtsUpToSend
            self.before = before
            self.after = after
        }
    }

    /// The kernel takes no longer delays (serial_core, RS485_MAX_RTS_DELAY).
    private static let longestDelay = Duration.milliseconds(100)

    /// Reads `rs-485`, `rts-to-send`, `delay-before-send` and `delay-after-send`; nil for a line that needs no switching.
    init?(_ settings: Settings) {
        enum Way { case off, port, adapter }
        let way = settings.choice(
            "rs-485", of: [("none", Way.off), ("port", .port), ("adapter", .adapter)], default: .off)
        let keys = ["rts-to-send", "delay-before-send", "delay-after-send"]
        let given = keys.filter { settings.has($0) }
        switch way {
        case .port:
            self = .port(
                Turning(
                    rtsUpToSend: settings.choice("rts-to-send", of: [("up", true), ("down", false)], default: true),
                    before: Self.delay(settings, keys[1]), after: Self.delay(settings, keys[2])))
        case .off, .adapter:
            for key in given { settings.refuse(key, "is only for rs-485 = \"port\", where the port's driver switches") }
            if way == .off { return nil }
            self = .adapter
        }
    }

    private static func delay(_ settings: Settings, _ key: String) -> UInt32 {
        UInt32(clamping: settings.duration(key, in: .zero...longestDelay, default: .zero).milliseconds)
    }
}

extension RS485.Turning {
    /// As the kernel has it (linux/serial.h).
    /// - Parameter board: how the port was. What its board needs besides, as its terminating resistor, stays.
    func wire(over board: serial_rs485 = serial_rs485()) -> serial_rs485 {
        var wire = board
        wire.flags &= ~(Flag.onSend | Flag.afterSend)
        wire.flags |= Flag.enabled | (rtsUpToSend ? Flag.onSend : Flag.afterSend)
        wire.delay_rts_before_send = before
        wire.delay_rts_after_send = after
        return wire
    }

    /// Reads back what a driver made of it: drivers leave out silently what they cannot do.
    init?(_ wire: serial_rs485) {
        guard wire.flags & Flag.enabled != 0 else { return nil }
        self.init(
            rtsUpToSend: wire.flags & Flag.onSend != 0, before: wire.delay_rts_before_send,
            after: wire.delay_rts_after_send)
    }

    private enum Flag {
        static let enabled: UInt32 = 1 << 0
        static let onSend: UInt32 = 1 << 1
        static let afterSend: UInt32 = 1 << 2
    }

    /// What is wrong with what the driver does, in words; nil where it is what was asked for.
    func fault(in got: RS485.Turning?) -> String? {
        guard let got else { return "its driver took the setting and did not switch RS-485 on" }
        if got.rtsUpToSend != rtsUpToSend {
            return "its driver sends with RTS \(got.rtsUpToSend ? "up" : "down") only: set rts-to-send = "
                + "\"\(got.rtsUpToSend ? "up" : "down")\" if the transceiver is wired so"
        }
        if got.before != before || got.after != after {
            return
                "its driver waits \(got.before) ms before and \(got.after) ms after sending, not \(before) and \(after): "
                + "set delay-before-send and delay-after-send to that, or remove them"
        }
        return nil
    }
}

/// Has the port's driver switch direction.
/// - Returns: how the port was before, to put back at closing.
func switchToRS485(_ descriptor: Int32, _ turning: RS485.Turning, path: String) throws -> serial_rs485 {
    var before = serial_rs485()
    var isSet = larmnod_get_rs485(descriptor, &before) == 0
    if isSet {
        var wanted = turning.wire(over: before)
        isSet = larmnod_set_rs485(descriptor, &wanted) == 0
    }
    guard isSet else {
        throw DeviceError(
            "serial port \(path): its driver cannot switch the direction of RS-485 (\(errorText(errno))): use a port whose "
                + "driver can (on some boards its overlay must be loaded first), or a converter that turns round by itself "
                + "and rs-485 = \"adapter\"")
    }
    var got = serial_rs485()
    let fault =
        larmnod_get_rs485(descriptor, &got) == 0
        ? turning.fault(in: RS485.Turning(got)) : "its state cannot be read back"
    if let fault {
        _ = larmnod_set_rs485(descriptor, &before)
        throw DeviceError("serial port \(path): RS-485: \(fault)")
    }
    return before
}
