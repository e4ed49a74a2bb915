import AlarmProtocol
import NIOCore
import NIOSSL
import NIOTLS

/// One TCP connection: bytes to frames, answers to bytes, in the order of the frames.
///
/// Reads only when it has room for the answers, so that a sender that never listens holds no more than a few kilobytes.
final class StreamConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// Frames that may wait for their answers before reading stops.
    static let answerLimit = 64

    private let desk: Desk
    private let register: ConnectionRegister
    private var path: FeedRecord.Path
    private var decoder = StreamDecoder()
    private var context: ChannelHandlerContext?

    /// Answers in the order of their frames; nil where one is not known yet.
    private var answers = CircularBuffer<Desk.Answer?>()
    private var answersSent = 0
    private var isDripping = false
    private var isReading = false
    private var inputClosed = false
    private var isClosed = false

    /// When the last whole frame came, or the connection.
    private(set) var lastFrame = NIODeadline.now()
    /// Since when a frame has been half here, or TLS half set up.
    private(set) var halfFrameSince: NIODeadline?

    init(desk: Desk, register: ConnectionRegister, isSecure: Bool) {
        self.desk = desk
        self.register = register
        path = FeedRecord.Path(transport: isSecure ? .tls : .tcp, remote: "unknown")
    }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelActive(context: ChannelHandlerContext) {
        path.remote = context.remoteAddress?.words ?? "unknown"
        register.add(self)
        if path.transport == .tls { halfFrameSince = .now() }
        readIfRoom()
    }

    func channelInactive(context: ChannelHandlerContext) { register.remove(self) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var buffer = unwrapInboundIn(data)
        // Frame by frame, not read by read: however much comes at once, little of it is kept.
        while let slice = buffer.readBytes(length: min(buffer.readableBytes, 1_024)), !slice.isEmpty {
            decoder.append(slice)
            while !isClosed, let result = decoder.next() {
                switch result {
                case .success(let frame): take(frame)
                case .failure(let error): desk.dismiss(error, from: path)
                }
            }
        }
        halfFrameSince = decoder.isInFrame ? halfFrameSince ?? .now() : nil
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        context.flush()
        readIfRoom()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) { readIfRoom() }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // The peer has said its last word but may still listen: answer first, then close.
        if event as? ChannelEvent == .inputClosed {
            inputClosed = true
            closeWhenAnswered()
        } else if case .handshakeCompleted? = event as? TLSUserEvent {
            halfFrameSince = nil
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case NIOSSLError.handshakeFailed(let why) = error {
            desk.say("\(path.remote): TLS was not set up: \(Self.words(for: why))")
        }
        close()
    }

    /// What the library calls it, without the places in its sources.
    private static func words(for error: BoringSSLError) -> String {
        guard case .sslError(let stack) = error else { return "\(error)" }
        let words = stack.map(\.description).joined(separator: " ").split(separator: " ")
        let names = words.filter { $0.contains("OPENSSL_internal:") }.compactMap { $0.split(separator: ":").last }
        return names.isEmpty ? "the handshake failed" : names.joined(separator: ", ")
    }

    func close(saying words: String) {
        desk.say("\(path.remote): closed: \(words)")
        close()
    }

    /// What has been read and not judged by now is lost, as on a line that is cut.
    private func close() {
        isClosed = true
        context?.close(promise: nil)
    }

    private func take(_ frame: [UInt8]) {
        lastFrame = .now()
        halfFrameSince = nil
        let number = answersSent + answers.count
        answers.append(nil)
        desk.take(frame, over: path) { [weak self] in self?.answer($0, to: number) }
    }

    private func answer(_ answer: Desk.Answer, to number: Int) {
        guard context != nil, answers.indices.count > number - answersSent else { return }
        answers[offset: number - answersSent] = answer
        sendAnswers()
    }

    private func sendAnswers() {
        guard let context, !isDripping, !isClosed else { return }
        var hasWritten = false
        while !isDripping, let next = answers.first, let answer = next {
            answers.removeFirst()
            answersSent += 1
            switch answer {
            case .nothing: break
            case .bytes(let bytes):
                // One write for one frame: some peers take every read for a frame (DC-09 reference 12.20).
                context.write(wrapOutboundOut(context.channel.allocator.buffer(bytes: bytes)), promise: nil)
                hasWritten = true
            case .dripped(let bytes, let pace): drip(bytes[...], pace)
            case .close: return close()
            }
        }
        if hasWritten { context.flush() }
        closeWhenAnswered()
        readIfRoom()
    }

    /// One byte at a time, or as many as make twenty pieces a second.
    private func drip(_ bytes: ArraySlice<UInt8>, _ pace: Int) {
        guard let context else { return }
        isDripping = !bytes.isEmpty
        guard isDripping else { return sendAnswers() }
        let piece = bytes.prefix(max(1, pace / 20))
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: piece)), promise: nil)
        let pause = TimeAmount.nanoseconds(Int64(piece.count) * 1_000_000_000 / Int64(pace))
        desk.loop.assumeIsolated().scheduleTask(in: pause) { [weak self] in
            self?.drip(bytes.dropFirst(piece.count), pace)
        }
    }

    private func closeWhenAnswered() {
        if inputClosed, answers.isEmpty, !isDripping { close() }
    }

    private func readIfRoom() {
        guard let context, !isReading, !inputClosed, !isClosed, answers.count < Self.answerLimit,
            context.channel.isWritable
        else { return }
        isReading = true
        context.read()
    }
}

/// The open TCP connections: not too many, and none that is silent for ever.
final class ConnectionRegister {
    private var connections: [ObjectIdentifier: StreamConnection] = [:]
    private let limits: ReceiverOptions.Limits
    private(set) var closed = 0

    init(limits: ReceiverOptions.Limits) { self.limits = limits }

    /// Where there are too many, the one that has been silent longest gives way: a site that speaks is worth more than
    /// one that does not, and it will connect again when it has something to say.
    func add(_ connection: StreamConnection) {
        if connections.count >= limits.connections,
            let oldest = connections.values.min(by: { $0.lastFrame < $1.lastFrame })
        {
            close(oldest, saying: "more than \(limits.connections) connections, and this one was silent longest")
        }
        connections[ObjectIdentifier(connection)] = connection
    }

    func remove(_ connection: StreamConnection) { connections[ObjectIdentifier(connection)] = nil }

    /// Closes those that have been silent, or stuck within a frame, for too long.
    func sweep(at now: NIODeadline) {
        for connection in Array(connections.values) {
            if let since = connection.halfFrameSince, now - since > TimeAmount(limits.frameTime) {
                close(connection, saying: "a frame, or TLS, that had begun was not finished within \(limits.frameTime)")
            } else if now - connection.lastFrame > TimeAmount(limits.idleTime) {
                close(connection, saying: "no frame within \(limits.idleTime)")
            }
        }
    }

    private func close(_ connection: StreamConnection, saying words: String) {
        closed += 1
        remove(connection)
        connection.close(saying: words)
    }
}

extension SocketAddress {
    /// "192.0.2.1:7700", "[2001:db8::1]:7700"
    var words: String {
        guard let address = ipAddress, let port else { return description }
        return address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    }
}
