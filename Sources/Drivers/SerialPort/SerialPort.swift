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
    private let handshake: Bool

    /// Opens, locks and sets the port, and drops what had been received before.
    /// - Throws: `DeviceError` that says who holds it, which group may use it, or which ports there are.
    public init(_ settings: SerialSettings) throws {
        path = settings.path
        handshake = settings.handshake
        descriptor = try openSerialPort(settings)
    }

    deinit {
        // Output that the other end holds off would keep close() waiting for half a minute.
        if handshake { tcflush(descriptor, TCOFLUSH) }
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
            guard left > 0 else { throw lost("it took no byte for \(limit) ms; check the handshake and the cable") }
            var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            _ = Glibc.poll(&poll, 1, Int32(left))
        }
    }

    /// Drops what has been received and not yet read.
    public func flushInput() { tcflush(descriptor, TCIFLUSH) }

    private func lost(_ why: String) -> DeviceError { DeviceError("serial port \(path) is lost: \(why)") }
}

/// The system's words for an error number: "Input/output error".
func errorText(_ number: Int32) -> String {
    strerror(number).map { String(cString: $0) } ?? "error \(number)"
}
