import CSerialPort
import Glibc

/// A port's descriptor, locked and non-blocking.
struct OpenedPort {
    var descriptor: Int32
    /// The device behind the path's links.
    var device: String
    /// How the port's driver switched direction before; nil where it was not asked to.
    var before485: serial_rs485?
}

/// Opens a port and sets its line.
///
/// libserialport 0.1.1 sets real ports, but opens neither symbolic links nor pseudo-terminals, takes no lock, leaves
/// HUPCL set and puts CRTSCTS into the wrong word. So the descriptor is ours, the link is resolved here, and termios has
/// the last word on whatever the library misses.
func openSerialPort(_ settings: SerialSettings) throws -> OpenedPort {
    let path = settings.path
    guard let device = realPath(path) else { throw DeviceError(missing(path, errno)) }
    let descriptor = open(device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
    guard descriptor >= 0 else { throw DeviceError(refused(path, device, errno)) }
    do {
        guard isatty(descriptor) == 1 else {
            throw DeviceError("serial port \(path): \(device) is not a serial port; \(portsHere())")
        }
        // Before the first setting is touched: whoever holds the port keeps it as it was.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { throw DeviceError(held(path, device, descriptor)) }
        if !device.hasPrefix("/dev/pts/") { configureByLibrary(device, settings.line) }
        try configure(descriptor, settings, device)
        var before485: serial_rs485?
        if case .port(let turning) = settings.rs485 { before485 = try switchToRS485(descriptor, turning, path: path) }
        try put(settings.dtr, TIOCM_DTR, "dtr", descriptor, path)
        try put(settings.rts, TIOCM_RTS, "rts", descriptor, path)
        guard ioctl(descriptor, UInt(TIOCEXCL), 0) == 0 else {
            throw DeviceError("serial port \(path): it cannot be kept for this program alone: \(errorText(errno))")
        }
        tcflush(descriptor, TCIOFLUSH)
        return OpenedPort(descriptor: descriptor, device: device, before485: before485)
    } catch {
        close(descriptor)
        throw error
    }
}

/// Sets a real port through libserialport, which knows the drivers' peculiarities. The settings stay with the port while
/// our own descriptor holds it open. A port that the library cannot handle (a USB gadget has no modem lines) is left to
/// termios alone; `configure` checks the result.
private func configureByLibrary(_ device: String, _ line: SerialLine) {
    var found: OpaquePointer?
    guard sp_get_port_by_name(device, &found) == SP_OK, let port = found else { return }
    defer { sp_free_port(port) }
    guard sp_open(port, SP_MODE_READ_WRITE) == SP_OK else { return }
    defer { sp_close(port) }
    let parity =
        switch line.parity {
        case .none: SP_PARITY_NONE
        case .even: SP_PARITY_EVEN
        case .odd: SP_PARITY_ODD
        }
    sp_set_baudrate(port, Int32(line.speed))
    sp_set_bits(port, Int32(line.dataBits))
    sp_set_parity(port, parity)
    sp_set_stopbits(port, Int32(line.stopBits))
    sp_set_flowcontrol(port, SP_FLOWCONTROL_NONE)
}

private func configure(_ descriptor: Int32, _ settings: SerialSettings, _ device: String) throws {
    let path = settings.path
    var wanted = termios()
    guard tcgetattr(descriptor, &wanted) == 0 else {
        throw DeviceError("serial port \(path): its settings cannot be read: \(errorText(errno))")
    }
    let framing = settings.line.controlFlags
    cfmakeraw(&wanted)
    // A character with a parity or framing error reads as NUL, which no protocol takes for a character of its own.
    wanted.c_iflag = tcflag_t(INPCK)
    wanted.c_cflag &= ~(SerialLine.framingMask | tcflag_t(CRTSCTS) | tcflag_t(HUPCL))
    // Without HUPCL, DTR stays up when we close: the other end is not reset by our restart.
    if settings.hangsUp { wanted.c_cflag |= tcflag_t(HUPCL) }
    wanted.c_cflag |= framing | tcflag_t(CLOCAL | CREAD) | (settings.handshake ? tcflag_t(CRTSCTS) : 0)
    // So that "nothing received" (EAGAIN) differs from "hung up" (0 bytes).
    wanted.c_cc.6 = 1  // VMIN
    wanted.c_cc.5 = 0  // VTIME
    let speed = settings.line.speedCode
    guard cfsetspeed(&wanted, speed) == 0, tcsetattr(descriptor, TCSANOW, &wanted) == 0 else {
        throw DeviceError("serial port \(path) cannot be set to \(settings.line): \(errorText(errno))")
    }
    // tcsetattr is content when any one setting took. A pseudo-terminal always answers 8 bits without parity.
    var got = termios()
    guard !device.hasPrefix("/dev/pts/"), tcgetattr(descriptor, &got) == 0 else { return }
    guard got.c_cflag & SerialLine.framingMask == framing, cfgetispeed(&got) == speed else {
        throw DeviceError(
            "serial port \(path) does not do \(settings.line): its driver refused the speed or framing; use another port "
                + "or adapter, or set the panel and `line` to what it does")
    }
    guard !settings.handshake || got.c_cflag & tcflag_t(CRTSCTS) != 0 else {
        throw DeviceError(
            "serial port \(path) has no RTS/CTS: use another port or adapter, or set the panel and `handshake` to none")
    }
}

/// Puts a modem line up or down where the configuration says so, and makes sure of it.
private func put(_ up: Bool?, _ line: Int32, _ key: String, _ descriptor: Int32, _ path: String) throws {
    guard let up else { return }
    var wanted = line
    var got: Int32 = 0
    guard ioctl(descriptor, UInt(up ? TIOCMBIS : TIOCMBIC), &wanted) == 0, ioctl(descriptor, UInt(TIOCMGET), &got) == 0,
        (got & line != 0) == up
    else { throw DeviceError("serial port \(path) cannot put its \(key.uppercased()) line: remove `\(key)`") }
}

extension SerialLine {
    static let framingMask = tcflag_t(CSIZE | PARENB | PARODD | CSTOPB)

    /// The framing as c_cflag bits (termios(3)).
    var controlFlags: tcflag_t {
        var flags = dataBits == 7 ? CS7 : CS8
        switch parity {
        case .none: break
        case .even: flags |= PARENB
        case .odd: flags |= PARENB | PARODD
        }
        if stopBits == 2 { flags |= CSTOPB }
        return tcflag_t(flags)
    }

    /// The speed as termios counts it.
    var speedCode: speed_t {
        let codes = [B300, B600, B1200, B2400, B4800, B9600, B19200, B38400, B57600, B115200]
        return speed_t(zip(Self.speeds, codes).first { $0.0 == speed }?.1 ?? B9600)
    }
}

// MARK: What went wrong, in words.

private func missing(_ path: String, _ number: Int32) -> String {
    guard number == ENOENT || number == ENOTDIR else { return "serial port \(path): \(errorText(number))" }
    return "serial port \(path): no such device; check its cable and power, or correct `port`; \(portsHere())"
}

private func refused(_ path: String, _ device: String, _ number: Int32) -> String {
    switch number {
    case EACCES, EPERM:
        var status = stat()
        guard stat(device, &status) == 0 else { return "serial port \(path): no permission" }
        let group = getgrgid(status.st_gid).map { String(cString: $0.pointee.gr_name) } ?? "number \(status.st_gid)"
        let user = getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name) } ?? "number \(geteuid())"
        return "serial port \(path): user \(user) has no permission; \(device) belongs to group \(group): "
            + "`usermod -aG \(group) \(user)`, then restart"
    case EBUSY: return held(path, device, nil)
    case ENXIO, ENODEV, EIO: return "serial port \(path): \(device) has no hardware behind it; \(portsHere())"
    default: return missing(path, number)
    }
}

private func held(_ path: String, _ device: String, _ descriptor: Int32?) -> String {
    let holders = holders(of: device, except: descriptor)
    let who =
        holders.isEmpty
        ? "another program (`fuser -v \(device)` as root shows which)" : holders.joined(separator: " and ")
    return "serial port \(path) is held by \(who): stop it, or give the device another port"
}

private func portsHere() -> String {
    let ports = SerialPort.available().prefix(8).map(\.path)
    return ports.isEmpty ? "no serial port is here" : "ports here: \(ports.joined(separator: ", "))"
}
