import Glibc

/// Tells systemd how we are (sd_notify(3)): a datagram to the socket that it names. Without systemd, nothing happens.
struct ServiceManager: Sendable {
    private let address: String?
    /// How often the watchdog wants to hear of us, in milliseconds; nil when it does not watch.
    let watchdogInterval: Int64?

    init() {
        address = Self.environment("NOTIFY_SOCKET")
        let own = Self.environment("WATCHDOG_PID").map { Int32($0) == getpid() } ?? true
        watchdogInterval = own ? Self.environment("WATCHDOG_USEC").flatMap { Int64($0) }.map { $0 / 1000 } : nil
    }

    private static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    func tell(_ state: String) {
        guard let address, address.utf8.count < 108 else { return }
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        var name = unixAddress(address)
        // "@…" names an abstract socket: its first byte is zero.
        if address.first == "@" { withUnsafeMutableBytes(of: &name.sun_path) { $0[0] = 0 } }
        let size = socklen_t(MemoryLayout<sa_family_t>.size + address.utf8.count)
        var text = state
        text.withUTF8 { bytes in
            withUnsafePointer(to: &name) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    _ = sendto(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL), $0, size)
                }
            }
        }
    }
}

/// A socket address in the file system. The path is cut to the 107 bytes that fit.
func unixAddress(_ path: String) -> sockaddr_un {
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: path.utf8.prefix(107)) }
    return name
}
