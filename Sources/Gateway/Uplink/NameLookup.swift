import Glibc
import Logging
import NIOCore

/// Finds the addresses of a path's receiver. The system's lookup blocks for as long as its name servers are silent, so
/// each runs on a thread of its own, and at most one at a time for each path: dead name servers delay no other path.
/// Nor do they delay this one for long: what the name had last serves until they answer. Lives on the uplink's event
/// loop.
final class NameLookup {
    typealias Ask = @Sendable (_ host: String, _ port: Int) throws -> [SocketAddress]

    private let host: String
    private let port: Int
    private let loop: any EventLoop
    private let book: AddressBook?
    private let ask: Ask
    private var running: EventLoopFuture<[SocketAddress]>?
    /// The last look-up failed, or took too long: nobody waits for the next where last known addresses will do.
    private var isSlow = false
    /// Said in the log, once until it is over.
    private var isTold = false
    private let logger = Logger(label: "names")

    /// Longer than this nobody waits for a name whose last addresses are known.
    static let patience = TimeAmount.seconds(2)

    init(
        host: String, port: Int, book: AddressBook? = nil, on loop: any EventLoop,
        ask: @escaping Ask = { try NameLookup.ask($0, $1) }
    ) {
        self.host = host
        self.port = port
        self.book = book
        self.loop = loop
        self.ask = ask
    }

    /// At least one address, those that the system prefers first. Fails with `LookupError`.
    /// - Parameter timeout: the time that all of the exchange has: half of it at most goes into waiting for the name.
    func addresses(within timeout: Duration = .seconds(60)) -> EventLoopFuture<[SocketAddress]> {
        if let literal = try? SocketAddress(ipAddress: host, port: port) {
            return loop.makeSucceededFuture([literal])
        }
        let fresh = running ?? begin()
        let known = book?.addresses(of: host, port: port) ?? []
        guard !known.isEmpty else { return fresh }
        if isSlow { return loop.makeSucceededFuture(known) }
        let last = "its last known addresses are used: \(known.compactMap(\.ipAddress).joined(separator: ", "))"
        let promise = loop.makePromise(of: [SocketAddress].self)
        let bound = NIOLoopBound(self, eventLoop: loop)
        let limit = loop.scheduleTask(in: min(Self.patience, .milliseconds(timeout.milliseconds / 2))) {
            bound.value.isSlow = true
            if !bound.value.isTold {
                bound.value.logger.warning("\(bound.value.host): no name server answers; \(last)")
            }
            bound.value.isTold = true
            promise.succeed(known)
        }
        fresh.whenComplete { result in
            // Where the limit has passed this says nothing new; the promise keeps what came first.
            limit.cancel()
            switch result {
            case .success(let found): promise.succeed(found)
            case .failure(let error):
                if !bound.value.isTold { bound.value.logger.warning("\(error); \(last)") }
                bound.value.isTold = true
                promise.succeed(known)
            }
        }
        return promise.futureResult
    }

    private func begin() -> EventLoopFuture<[SocketAddress]> {
        let promise = loop.makePromise(of: [SocketAddress].self)
        running = promise.futureResult
        let bound = NIOLoopBound(self, eventLoop: loop)
        promise.futureResult.whenComplete { result in
            let lookup = bound.value
            lookup.running = nil
            switch result {
            case .success(let found):
                lookup.isSlow = false
                lookup.isTold = false
                lookup.book?.note(found, for: lookup.host, port: lookup.port)
            case .failure: lookup.isSlow = true
            }
        }
        let (host, port, ask) = (host, port, ask)
        do {
            try WorkerThread("lookup") { promise.completeWith(Result { try ask(host, port) }) }.detach()
        } catch { promise.fail(error) }
        return promise.futureResult
    }

    static func ask(_ host: String, _ port: Int) throws -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        // No IPv6 address where the box has none itself.
        hints.ai_flags = AI_ADDRCONFIG
        var first: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, "\(port)", &hints, &first)
        defer { if first != nil { freeaddrinfo(first) } }
        var found: [SocketAddress] = []
        var next = first
        while code == 0, let entry = next, found.count < AddressBook.mostAddresses {
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
