import NIOCore
import NIOSSL
import NIOTLS

/// Behind the TLS handler: lets nothing through before the receiver is known to be the right one, ends a handshake that
/// takes too long, and says in words why one failed.
final class HandshakeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private enum Stage {
        case handshaking, open
        /// Given up: whatever still comes is not for us.
        case over
    }

    private let transport: SecureTransport
    private let limit: TimeAmount
    private let promise: EventLoopPromise<Void>
    private var stage = Stage.handshaking
    private var timer: Scheduled<Void>?
    private var hasHeard = false
    /// What is wrong with the receiver's certificate, as soon as it is known.
    var refusal: String?

    init(_ transport: SecureTransport, within limit: TimeAmount, _ promise: EventLoopPromise<Void>) {
        self.transport = transport
        self.limit = limit
        self.promise = promise
    }

    func channelActive(context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: limit) {
            let (handler, context) = bound.value
            handler.giveUp(context, "TLS is not set up within the path's timeout: is the receiver's port one for TLS?")
        }
        context.fireChannelActive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard stage == .handshaking, case .handshakeCompleted? = event as? TLSUserEvent else {
            return context.fireUserInboundEventTriggered(event)
        }
        if let refusal = transport.refusal(ofName: peer(context)) { return giveUp(context, refusal) }
        stage = .open
        timer?.cancel()
        promise.succeed()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard stage == .open else { return }
        hasHeard = true
        context.fireChannelRead(data)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch stage {
        case .handshaking: giveUp(context, words(for: error, context))
        case .open:
            // An end without a goodbye is an end; channelInactive follows.
            if case NIOSSLError.uncleanShutdown = error { return }
            let isOurs = error is NIOSSLError || error is BoringSSLError
            context.fireErrorCaught(isOurs ? SecureError(description: words(for: error, context)) : error)
        case .over: break
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        switch stage {
        case .handshaking: giveUp(context, Self.cutOff)
        case .open where !hasHeard:
            // With TLS 1.3 a receiver judges our certificate after we believe that all is well.
            context.fireErrorCaught(
                SecureError(
                    description: "the receiver closed the connection right after TLS was set up: "
                        + "does it want another client-certificate?"))
        case .open, .over: break
        }
        stage = .over
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        // A channel that never became active tells its connect's failure; the promise must not be left alone.
        if stage == .handshaking { promise.fail(SecureError(description: Self.cutOff)) }
        stage = .over
    }

    private static let cutOff = "the connection ended while TLS was set up: is the receiver's port one for TLS?"

    private func giveUp(_ context: ChannelHandlerContext, _ why: String) {
        guard stage == .handshaking else { return }
        stage = .over
        timer?.cancel()
        promise.fail(SecureError(description: why))
        // Not while the TLS handler is in the middle of telling us something.
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.eventLoop.execute { bound.value.close(promise: nil) }
    }

    private func peer(_ context: ChannelHandlerContext) -> NIOSSLCertificate? {
        (try? context.pipeline.syncOperations.nioSSL_peerCertificate()) ?? nil
    }

    // MARK: Words

    private func words(for error: any Error, _ context: ChannelHandlerContext) -> String {
        if let refusal { return refusal }
        switch error {
        case NIOSSLError.handshakeFailed(.sslError(let stack)), BoringSSLError.sslError(let stack):
            let reason = stack.map(\.description).joined(separator: " ")
            if reason.contains("CERTIFICATE_VERIFY_FAILED") { return transport.objection(toUnverified: peer(context)) }
            return Self.words(forReason: reason)
                ?? (reason.contains("EOF") ? Self.cutOff : "TLS fails: \(Self.name(in: reason))")
        case let error as IOError: return "\(systemWords(error.errnoCode)), while TLS was set up"
        default: return "TLS fails: \(error)"
        }
    }

    /// What the library calls it, without the places in its sources.
    private static func name(in reason: String) -> String {
        let names = reason.split(separator: " ").filter { $0.contains("OPENSSL_internal:") }
            .compactMap { $0.split(separator: ":").last }
        return names.isEmpty ? "the handshake failed" : names.joined(separator: ", ")
    }

    /// What the library says, and what it means on site. The first that fits; alerts by RFC 8446 section 6.
    private static func words(forReason reason: String) -> String? {
        meanings.first { meaning in meaning.reasons.contains { reason.contains($0) } }?.words
    }

    private static let meanings: [(reasons: [String], words: String)] = [
        (
            ["ALERT_CERTIFICATE_REQUIRED"],
            "the receiver wants a certificate of ours: set client-certificate and client-key"
        ),
        (
            [
                "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_UNSUPPORTED_CERTIFICATE", "ALERT_DECRYPT_ERROR",
                "ALERT_CERTIFICATE_UNKNOWN", "ALERT_CERTIFICATE_REVOKED", "ALERT_CERTIFICATE_EXPIRED",
                "ALERT_ACCESS_DENIED", "ALERT_NO_CERTIFICATE",
            ], "the receiver refuses our client-certificate: does the centre know it, and is it still valid?"
        ),
        (
            ["ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_SSL_VERSION"],
            "the receiver has no TLS 1.2 or later: an older one is not used"
        ),
        (
            ["WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNEXPECTED_RECORD", "INVALID_OUTER"],
            "what answers does not speak TLS: is the receiver's port one for TLS?"
        ),
        (
            ["ALERT_HANDSHAKE_FAILURE"],
            "the receiver refuses TLS: does it want a client-certificate, or are its methods too old?"
        ),
        (["ALERT_UNRECOGNIZED_NAME"], "the receiver does not know itself by the name asked for: see server-name"),
        (["ALERT_INTERNAL_ERROR"], "the receiver has an error of its own while TLS is set up"),
    ]
}
