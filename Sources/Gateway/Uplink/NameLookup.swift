import Glibc
import NIOCore

/// Finds the addresses of a path's receiver. The system's lookup blocks for as long as its name servers are silent, so
/// each runs on a thread of its own, and at most one at a time for each path: dead name servers delay no other path.
/// Lives on the uplink's event loop.
final class NameLookup {
    private let host: String
    private let port: Int
    private let loop: any EventLoop
    private var running: EventLoopFuture<[SocketAddress]>?

    init(host: String, port: Int, on loop: any EventLoop) {
        self.host = host
        self.port = port
        self.loop = loop
    }

    /// At least one address, those that the system prefers first. Fails with `LookupError`.
    func addresses() -> EventLoopFuture<[SocketAddress]> {
        if let literal = try? SocketAddress(ipAddress: host, port: port) {
            return loop.makeSucceededFuture([literal])
        }
        if let running { return running }
        let promise = loop.makePromise(of: [SocketAddress].self)
        running = promise.futureResult
        let bound = NIOLoopBound(self, eventLoop: loop)
        promise.futureResult.whenComplete { _ in bound.value.running = nil }
        let (host, port) = (host, port)
        do {
            try WorkerThread("lookup") { promise.completeWith(Result { try Self.ask(host, port) }) }.detach()
        } catch { promise.fail(error) }
        return promise.futureResult
    }

    private static func ask(_ host: String, _ port: Int) throws -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        // No IPv6 address where the box has none itself.
        hints.ai_flags = AI_ADDRCONFIG
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, "\(port)", &hints, &first)
        defer { if first != nil { freeaddrinfo(first) } }
        var found: [SocketAddress] = []
        var next = first
        while code == 0, let entry = next, found.count < 16 {
            defer { next = entry.pointee.ai_next }
            guard let address = entry.pointee.ai_addr else { continue }
            let raw = UnsafeRawPointer(address)
            switch entry.pointee.ai_family {
            case AF_INET: found.append(SocketAddress(raw.loadUnaligned(as: sockaddr_in.self)))
            case AF_INET6: found.append(SocketAddress(raw.loadUnaligned(as: sockaddr_in6.self)))
            default: continue
            }
        }
        guard !found.isEmpty else {
            let words = code == EAI_SYSTEM ? systemWords() : String(cString: gai_strerror(code))
            throw LookupError(description: "the name \(host) cannot be resolved: \(words)")
        }
        return found
    }
}

struct LookupError: Error, CustomStringConvertible {
    var description: String
}
