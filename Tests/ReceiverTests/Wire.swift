import AlarmProtocol
import Glibc

/// A plain socket, as a transmitter holds it. Every call is bounded to a few seconds.
final class Wire {
    private let descriptor: Int32
    private var read: [UInt8] = []

    struct Failure: Error { var what: String }

    /// - Parameter receiveBuffer: bytes that the system keeps for us unread; nil for its own choice.
    init(port: Int, udp: Bool = false, receiveBuffer: Int32? = nil) throws {
        descriptor = socket(AF_INET, Int32((udp ? SOCK_DGRAM : SOCK_STREAM).rawValue), 0)
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        if var size = receiveBuffer {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Failure(what: "connect: \(String(cString: strerror(errno)))") }
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) throws {
        var done = 0
        while done < bytes.count {
            let count = bytes[done...].withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard count > 0 else { throw Failure(what: "send: \(String(cString: strerror(errno)))") }
            done += count
        }
    }

    /// Sends the same again and again until nothing is taken for half a second.
    /// - Returns: how many bytes were taken, at most the limit.
    func sendUntilStuck(_ bytes: [UInt8], limit: Int) -> Int {
        var taken = 0
        while taken < limit {
            var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard Glibc.poll(&poll, 1, 500) > 0 else { return taken }
            let rest = bytes[(taken % bytes.count)...]
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
            }
            guard count > 0 || errno == EAGAIN else { return taken }
            taken += max(0, count)
        }
        return taken
    }

    /// The next frame, or nil when none came in time or the other end closed.
    func receive(within milliseconds: Int = 5_000) -> [UInt8]? {
        while true {
            if let end = read.firstIndex(of: 0x0D) {
                defer { read.removeSubrange(...end) }
                return Array(read[...end])
            }
            guard let more = receiveSome(within: milliseconds), !more.isEmpty else { return nil }
            read += more
        }
    }

    /// Whatever comes next; empty at the end, nil when nothing came in time.
    func receiveSome(within milliseconds: Int = 5_000) -> [UInt8]? {
        var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard Glibc.poll(&poll, 1, Int32(milliseconds)) > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count < 0 ? [] : Array(bytes[..<count])
    }

    func exchange(_ bytes: [UInt8], within milliseconds: Int = 5_000) throws -> [UInt8]? {
        try send(bytes)
        return receive(within: milliseconds)
    }

    /// Says that nothing more will be sent, and still listens.
    func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }
}
