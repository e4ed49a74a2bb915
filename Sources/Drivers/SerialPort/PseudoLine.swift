import Glibc

/// A serial line that needs no hardware: a pseudo-terminal, held at the panel's end. A driver opens `path` as its port.
public final class PseudoLine: Sendable {
    /// Non-blocking.
    public let descriptor: Int32
    /// "/dev/pts/3".
    public let path: String

    /// - Throws: `DeviceError` when the system has no more of them.
    public init() throws {
        descriptor = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)
        // grantpt and unlockpt are hidden from Swift; on Linux they are these two requests (ioctl_tty(2)).
        var locked: Int32 = 0
        var number: Int32 = 0
        guard descriptor >= 0, ioctl(descriptor, 0x4004_5431, &locked) == 0,
            ioctl(descriptor, 0x8004_5430, &number) == 0
        else {
            let why = errorText(errno)
            if descriptor >= 0 { close(descriptor) }
            throw DeviceError("no pseudo-terminal can be had: \(why)")
        }
        path = "/dev/pts/\(number)"
        // Until somebody opens it, what is sent must not come back as an echo.
        var settings = termios()
        if tcgetattr(descriptor, &settings) == 0 {
            cfmakeraw(&settings)
            tcsetattr(descriptor, TCSANOW, &settings)
        }
    }

    deinit { close(descriptor) }
}

/// The panel's end of a line: of a real port, or of a pseudo-terminal.
public final class PanelEnd {
    /// What the driver opens, or the port that is used.
    public let path: String
    public let descriptor: Int32
    private let port: SerialPort?
    private let pseudo: PseudoLine?

    /// A real port; the panel's own line settings.
    public init(_ settings: SerialSettings) throws {
        let opened = try SerialPort(settings)
        path = settings.path
        descriptor = opened.descriptor
        pseudo = nil
        port = consume opened
    }

    public init(_ line: PseudoLine) {
        path = line.path
        descriptor = line.descriptor
        pseudo = line
        port = nil
    }

    /// Nobody has the other end of a pseudo-terminal open any more. What is sent then is lost, as with a pulled cable.
    public var isHungUp: Bool {
        guard pseudo != nil else { return false }
        var state = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&state, 1, 0) > 0 && state.revents & Int16(POLLHUP) != 0
    }

    /// What has come; nothing when nothing has. - Throws: `DeviceError` when a real port is lost.
    public func read() throws -> [UInt8] {
        if port != nil { return try port?.read() ?? [] }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        return count > 0 ? Array(buffer[..<count]) : []
    }

    /// - Throws: `DeviceError` when a real port is lost or takes nothing.
    public func write(_ bytes: [UInt8]) throws {
        if port != nil {
            try port?.write(bytes)
        } else if !isHungUp {
            _ = Glibc.write(descriptor, bytes, bytes.count)
        }
    }
}
