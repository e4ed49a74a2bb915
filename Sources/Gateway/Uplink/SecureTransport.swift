import AlarmProtocol
import NIOCore
import NIOSSL
import Synchronization

/// TLS below a path: whom it trusts, how it shows itself, and what the receiver showed last. Built once, when the
/// configuration is read; used by all connections of the path.
///
/// There is no way from here to a plain connection: whatever goes wrong ends the connection, and is a failure of the
/// path like any other.
final class SecureTransport: Sendable {
    enum Trust: Sendable {
        /// The receiver's own certificate is one of these, byte for byte.
        case pinned([Certificate])
        /// It is issued, over any number of others, by one of these, and has this name. `file` is where they stand.
        case authority([Certificate], file: String, ServerName)
    }

    let trust: Trust
    /// Our own certificate and those that vouch for it; empty where the receiver knows us by our account alone.
    let own: [Certificate]
    private let context: NIOSSLContext
    private let askedName: String?
    private let clock: @Sendable () -> Moment
    private let lastShown = Mutex<Certificate?>(nil)

    /// - Parameters:
    ///   - name: the host's name asked for in the handshake.
    ///   - key: belongs to the first of `own`.
    ///   - clock: dates are judged only where it is known.
    /// - Throws: `NIOSSLError` or `BoringSSLError` where these do not go together.
    init(
        trust: Trust, authorities: [NIOSSLCertificate], name: ServerName, own: [NIOSSLCertificate],
        key: NIOSSLPrivateKey?, clock: @escaping @Sendable () -> Moment
    ) throws {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        // Never the system's authorities. A pinned certificate is judged by `refusal(ofPinned:)` in the place of all
        // other verification, and a name by `refusal(ofName:)` after it.
        configuration.trustRoots = .certificates(authorities)
        configuration.certificateVerification = .noHostnameVerification
        configuration.certificateChain = own.map { .certificate($0) }
        configuration.privateKey = key.map { .privateKey($0) }
        // How long a connection that is given up waits for the receiver's goodbye.
        configuration.shutdownTimeout = .seconds(1)
        context = try NIOSSLContext(configuration: configuration)
        self.trust = trust
        self.own = own.compactMap { Certificate($0) }
        self.clock = clock
        askedName = name.asked
    }

    /// What the receiver showed in the last handshake that succeeded; nil before the first.
    var presented: Certificate? { lastShown.withLock { $0 } }

    /// The two handlers that make a channel speak TLS, for its beginning.
    /// - Parameters:
    ///   - limit: how long the handshake may take.
    ///   - handshake: succeeds when the receiver is known to be the right one, fails with `SecureError`.
    func handlers(
        within limit: TimeAmount, _ handshake: EventLoopPromise<Void>
    ) throws -> (tls: NIOSSLClientHandler, guardian: HandshakeHandler) {
        let guardian = HandshakeHandler(self, within: limit, handshake)
        guard case .pinned = trust else {
            return (try NIOSSLClientHandler(context: context, serverHostname: askedName), guardian)
        }
        let tls = try NIOSSLClientHandler(context: context, serverHostname: askedName) { chain, verdict in
            let refusal = self.refusal(ofPinned: chain.first)
            guardian.refusal = refusal
            verdict.succeed(refusal == nil ? .certificateVerified : .failed)
        }
        return (tls, guardian)
    }

    /// What is wrong with a certificate where certain ones are expected; nil where nothing is.
    func refusal(ofPinned certificate: NIOSSLCertificate?) -> String? {
        guard case .pinned(let pins) = trust else { return nil }
        guard let certificate, let found = Certificate(certificate) else { return "the receiver shows no certificate" }
        guard pins.contains(found) else {
            let others = pins.count == 1 ? "" : " or \(pins.count - 1) more"
            return "the receiver's certificate is not the pinned one: SHA-256 \(found.shortFingerprint), expected "
                + "\(pins.first?.shortFingerprint ?? "none")\(others)"
        }
        return dateObjection(to: found)
    }

    /// After the chain was found good: what is wrong with the name, and if nothing is, the certificate is remembered.
    func refusal(ofName certificate: NIOSSLCertificate?) -> String? {
        guard let certificate, let found = Certificate(certificate) else { return "the receiver shows no certificate" }
        if case .authority(_, _, let name) = trust, !name.isNamed(in: certificate) {
            return "the receiver's certificate is for \(ServerName.words(for: certificate)), expected \(name): "
                + "is it the right receiver? Else set server-name"
        }
        lastShown.withLock { $0 = found }
        return nil
    }

    /// Why the library found no way from the receiver's certificate to an authority.
    func objection(toUnverified certificate: NIOSSLCertificate?) -> String {
        guard case .authority(_, let file, _) = trust else { return "the receiver's certificate is refused" }
        // Here the library has judged the dates itself, by the board's clock whether it is known or not.
        if let found = certificate.flatMap({ Certificate($0) }) {
            switch found.age(at: clock().utc) {
            case .expired: return expired(found)
            case .notYet: return early(found)
            case .good, .expiring: break
            }
        }
        return "the receiver's certificate is not issued by the authority in \(file), or one between them has expired"
    }

    private func dateObjection(to certificate: Certificate) -> String? {
        let now = clock()
        // A board that does not know the time yet trusts what it knows byte for byte.
        guard now.clock == .known else { return nil }
        switch certificate.age(at: now.utc) {
        case .expired: return expired(certificate)
        case .notYet: return early(certificate)
        case .good, .expiring: return nil
        }
    }

    private func expired(_ certificate: Certificate) -> String {
        "the receiver's certificate expired on \(certificate.lastDay): the centre must renew it"
    }

    private func early(_ certificate: Certificate) -> String {
        "the receiver's certificate is valid from \(certificate.firstDay), and this board's clock says "
            + "\(Certificate.day(clock().utc)): is the clock set?"
    }
}

/// Why a connection cannot be used: words that say what to do.
struct SecureError: Error, CustomStringConvertible {
    var description: String
}

/// One connection's handshake, from before there is a channel to when frames may be written.
struct Handshake: Sendable {
    private let transport: SecureTransport
    private let limit: TimeAmount
    private let promise: EventLoopPromise<Void>

    /// The handshake ends a little before the exchange does, so that its own words are heard.
    init(_ transport: SecureTransport, of path: PathSettings, on loop: any EventLoop) {
        self.transport = transport
        limit = .milliseconds(path.timeout.milliseconds * 9 / 10)
        promise = loop.makePromise()
    }

    /// On the channel's loop, before any other handler is added.
    func begin(on channel: any Channel) throws {
        let handlers = try transport.handlers(within: limit, promise)
        try channel.pipeline.syncOperations.addHandlers([handlers.tls, handlers.guardian])
    }

    /// The channel, once it may be used. A frame written before would wait in memory, unseen.
    func done(after connected: EventLoopFuture<any Channel>) -> EventLoopFuture<any Channel> {
        connected.whenFailure { promise.fail($0) }
        return connected.flatMap { channel in promise.futureResult.map { channel } }
    }
}
