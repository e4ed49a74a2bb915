import FoundationEssentials
import Glibc

/// The commands' end of the control socket.
public final class ControlConnection {
    private let descriptor: Int32
    private var buffer: [UInt8] = []

    /// - Throws: `ControlRefusal`: no daemon there, or it may not be asked.
    public init(_ path: String) throws(ControlRefusal) {
        guard path.utf8.count < 108 else { throw ControlRefusal("\(path): too long for a socket's name (107 bytes)") }
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = unixAddress(path)
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else {
            let number = errno
            close(descriptor)
            let hint =
                switch number {
                case EACCES: "you may not ask this larmnod: use sudo, or join the group that site.operators names"
                case ENOENT, ECONNREFUSED:
                    "no larmnod runs here (systemctl status larmnod), or its socket is elsewhere: --socket"
                default: systemWords(number)
                }
            var refusal = ControlRefusal("\(path): \(hint)")
            refusal.nobodyIsThere = number == ENOENT || number == ECONNREFUSED
            throw refusal
        }
    }

    deinit { close(descriptor) }

    public func send(_ request: ControlRequest) throws(ControlRefusal) {
        guard var bytes = try? Array(JSONEncoder().encode(request)) else { throw ControlRefusal("not a request") }
        bytes.append(UInt8(ascii: "\n"))
        guard bytes.count <= 4096 else { throw ControlRefusal("that is longer than a request may be (4 KiB)") }
        let sent = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        // A daemon that has hung up has said why: `line` finds it.
        guard sent == bytes.count || errno == EPIPE else { throw ControlRefusal("larmnod hung up: \(systemWords())") }
    }

    /// The next answer, as it came; nil when there are no more.
    /// - Parameter stop: a descriptor that ends the wait when it is readable; nil is returned then.
    public func line(unless stop: Int32 = -1) throws(ControlRefusal) -> [UInt8]? {
        while true {
            if let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                if let refusal = try? JSONDecoder().decode(ControlRefusal.self, from: Data(line)) { throw refusal }
                return line
            }
            if stop >= 0 {
                var polled = [stop, descriptor].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
                guard poll(&polled, 2, -1) > 0 else { continue }
                if polled[0].revents != 0 { return nil }
            }
            var chunk = [UInt8](repeating: 0, count: 65536)
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return nil }
            buffer += chunk[..<count]
        }
    }

    /// The next answer, as a value.
    public func answer<Answer: Decodable>(_ type: Answer.Type) throws(ControlRefusal) -> Answer {
        guard let line = try line() else { throw ControlRefusal("larmnod hung up without an answer") }
        return try Self.decode(type, line)
    }

    public static func decode<Answer: Decodable>(_ type: Answer.Type, _ line: [UInt8]) throws(ControlRefusal) -> Answer
    {
        do { return try JSONDecoder().decode(type, from: Data(line)) } catch {
            throw ControlRefusal("larmnod answers in another version's words: are command and daemon the same version?")
        }
    }
}
