import CSerialPort
import Glibc

/// An open serial port, locked for us alone and set to its line. Closes when it goes out of scope.
///
/// What speaks a protocol reads and writes the descriptor, so that it is tested over a pseudo-terminal.
public struct SerialPort: ~Copyable {
    /// For `Host.wait`. Non-blocking. Only this port closes it.
    public let descriptor: Int32
    /// The port as configured, for messages.
    public let path: String
    /// What the path led to when it was opened.
    public let device: String
    private let handshake: Bool
    private let before485: serial_rs485?
    private let errorsBefore: LineErrors?

    /// Opens, locks and sets the port, and drops what had been received before.
    /// - Throws: `DeviceError` that says who holds it, which group may use it, or which ports there are.
    public init(_ settings: SerialSettings) throws {
        path = settings.path
        handshake = settings.handshake
        let opened = try openSerialPort(settings)
        (descriptor, device, before485) = (opened.descriptor, opened.device, opened.before485)
        errorsBefore = LineErrors(of: opened.descriptor)
    }

    deinit {
        // Output that the other end holds off would keep close() waiting for half a minute.
        if handshake { tcflush(descriptor, TCOFLUSH) }
        if var before485 { _ = larmnod_set_rs485(descriptor, &before485) }
        close(descriptor)
    }

    /// What has been received, at most `limit` bytes; nothing when nothing waits. Never blocks.
    /// - Throws: `DeviceError` when the port is gone (unplugged, hung up).
    public func read(limit: Int = 512) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: limit)
        while true {
            let count = Glibc.read(descriptor, &buffer, limit)
            if count > 0 { return Array(buffer[..<count]) }
            if count == 0 { throw lost("the line hung up") }
            switch errno {
            case EINTR: continue
            case EAGAIN: return []
            default: throw lost(errorText(errno))
            }
        }
    }

    /// Writes all of it, waiting at most `limit` milliseconds for room.
    /// - Throws: `DeviceError` when the port is gone or takes nothing (handshake held off, cable fault).
    public func write(_ bytes: [UInt8], within limit: Int32 = 1000) throws {
        let deadline = ContinuousClock.now + .milliseconds(limit)
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
                continue
            }
            switch errno {
            case EINTR: continue
            case EAGAIN: break
            default: throw lost(errorText(errno))
            }
            let left = (deadline - ContinuousClock.now).milliseconds
            guard left > 0 else {
                let why = isHeldOff ? Self.heldOff : "check the handshake and the cable"
                throw lost("it took no byte for \(limit) ms; \(why)")
            }
            var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = Glibc.poll(&poll, 1, Int32(left))
        }
    }

    /// Drops what has been received and not yet read.
    public func flushInput() { tcflush(descriptor, TCIFLUSH) }

    /// What a port that is held off lacks, in words.
    static let heldOff = "the other end holds CTS down: is it on, is it set to RTS/CTS, and are RTS and CTS crossed?"

    /// With the handshake: something waits to be sent and the other end does not let us.
    public var isHeldOff: Bool {
        guard handshake else { return false }
        var waiting: Int32 = 0
        var lines: Int32 = 0
        return ioctl(descriptor, UInt(TIOCOUTQ), &waiting) == 0 && waiting > 0
            && ioctl(descriptor, UInt(TIOCMGET), &lines) == 0 && lines & TIOCM_CTS == 0
    }

    /// The other end's DTR is up; nil where the port has no such line.
    public var isDataSetReady: Bool? {
        var lines: Int32 = 0
        return ioctl(descriptor, UInt(TIOCMGET), &lines) == 0 ? lines & TIOCM_DSR != 0 : nil
    }

    /// Characters that came wrong since the port was opened; nil where the port does not count them.
    public var errors: LineErrors? {
        guard let errorsBefore, let now = LineErrors(of: descriptor) else { return nil }
        return now - errorsBefore
    }

    /// Where the path leads now, if that is another port than the one that is open: an adapter was plugged in elsewhere, or
    /// another of its kind took its name. A name that is gone for the moment is no move.
    public var movedTo: String? {
        guard let now = realPath(path), now != device else { return nil }
        return now
    }

    private func lost(_ why: String) -> DeviceError { DeviceError("serial port \(path) is lost: \(why)") }
}

/// The system's words for an error number: "Input/output error".
func errorText(_ number: Int32) -> String {
    strerror(number).map { String(cString: $0) } ?? "error \(number)"
}
