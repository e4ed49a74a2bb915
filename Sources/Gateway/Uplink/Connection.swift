import AlarmProtocol
import Glibc
import NIOCore
import NIOPosix

/// A path's way to its receiver: a TCP connection that is kept, with or without TLS, or a UDP socket. Frames in and out; knows nothing of
/// what they mean. Lives on the uplink's event loop.
final class Connection {
    enum Happening {
        /// A whole frame, LF to CR.
        case frame([UInt8])
        /// Something that fits no frame, the first in this exchange: how it begins, fit to be shown.
        case nonsense(String)
        /// It is closed. `wasKept`: it had been open since an earlier exchange and nothing has come on it in this one.
        case closed(why: String, wasKept: Bool)
    }

    private let settings: PathSettings
    private let loop: any EventLoop
    private let happened: (Happening) -> Void
    private var channel: (any Channel)?
    /// Grows with each connection, so that a late word of an old one is not taken for the new one's.
    private var generation = 0
    private var isConnecting = false
    private var unsent: [UInt8]?
    private var exchangesOnThis = 0
    private var heardInThis = false
    private var repeats: Scheduled<Void>?
    private var garbage = 0
    private var nonsense: String?
    private var frames = 0
    private let lookup: NameLookup
    /// Where among the receiver's addresses the next connection begins: after a failure at the next one.
    private var turn = 0

    /// More than this much that fits no frame, within one exchange, and the other end is no receiver.
    private static let garbageLimit = 16 * 1024
    /// The same for whole frames: one is the answer, a few may be late or repeated.
    private static let frameLimit = 100
    /// UDP: the same datagram again, after so long (products do so five times; dc09 reference 14).
    private static let datagramInterval = TimeAmount.seconds(1)

    init(
        _ settings: PathSettings, book: AddressBook? = nil, on loop: any EventLoop,
        happened: @escaping (Happening) -> Void
    ) {
        self.settings = settings
        self.loop = loop
        self.happened = happened
        lookup = NameLookup(host: settings.host, port: settings.port, book: book, on: loop)
    }

    /// Sends one frame, connecting first where there is no connection. One write, so that one segment carries it.
    /// - Parameter now: uptime in milliseconds.
    func send(_ frame: [UInt8], at now: Int64) {
        usedAt = now
        repeats?.cancel()
        heardInThis = false
        garbage = 0
        nonsense = nil
        frames = 0
        if let channel, channel.isActive {
            exchangesOnThis += 1
            write(frame, to: channel)
        } else {
            unsent = frame
            connect()
        }
    }

    var isOpen: Bool { channel != nil }
    /// When the last frame was sent, in milliseconds of uptime.
    private(set) var usedAt: Int64 = 0

    /// Closes without a word to the owner, who has given up what was sent last.
    func close() {
        if !heardInThis { turn += 1 }
        drop()
    }

    private func drop() {
        generation += 1
        repeats?.cancel()
        unsent = nil
        isConnecting = false
        channel?.close(promise: nil)
        channel = nil
    }

    private func write(_ frame: [UInt8], to channel: any Channel) {
        channel.writeAndFlush(ByteBuffer(bytes: frame), promise: nil)
        guard settings.transport == .udp else { return }
        let bound = NIOLoopBound((self, generation), eventLoop: loop)
        repeats = loop.scheduleTask(in: Self.datagramInterval) {
            let (connection, generation) = bound.value
            guard connection.generation == generation, !connection.heardInThis, channel.isActive else { return }
            connection.write(frame, to: channel)
        }
    }

    private func connect() {
        guard !isConnecting else { return }
        isConnecting = true
        generation += 1
        exchangesOnThis = 1
        let bound = NIOLoopBound((self, generation), eventLoop: loop)
        let turn = turn
        lookup.addresses(within: settings.timeout).flatMap { addresses in
            let (connection, generation) = bound.value
            let start = turn % addresses.count
            return connection.opened(addresses[start...] + addresses[..<start], generation)
        }.whenComplete { result in
            let (connection, generation) = bound.value
            connection.finishConnecting(result, generation)
        }
    }

    /// Tries one address after the other, as long as each is refused at once; silence is left to the exchange's deadline.
    private func opened(
        _ addresses: ArraySlice<SocketAddress>, _ generation: Int
    ) -> EventLoopFuture<any Channel> {
        guard let address = addresses.first, generation == self.generation else {
            return loop.makeFailedFuture(ChannelError.connectTimeout(.nanoseconds(0)))
        }
        let bound = NIOLoopBound(self, eventLoop: loop)
        return opened(address).flatMapError { error in
            guard addresses.count > 1, error is IOError else { return bound.eventLoop.makeFailedFuture(error) }
            return bound.value.opened(addresses.dropFirst(), generation)
        }
    }

    private func finishConnecting(_ result: Result<any Channel, any Error>, _ generation: Int) {
        guard generation == self.generation else {
            if case .success(let channel) = result { channel.close(promise: nil) }
            return
        }
        isConnecting = false
        switch result {
        case .success(let channel):
            self.channel = channel
            guard let frame = unsent else { return }
            unsent = nil
            write(frame, to: channel)
        case .failure(let error):
            // What its channel may still say is not for the next one.
            self.generation += 1
            unsent = nil
            happened(.closed(why: words(for: error), wasKept: false))
        }
    }

    private func opened(_ address: SocketAddress) -> EventLoopFuture<any Channel> {
        let bound = NIOLoopBound((self, generation), eventLoop: loop)
        let interface = settings.interface
        let isDatagram = settings.transport == .udp
        let handshake = settings.tls.map { Handshake($0, of: settings, on: loop) }
        let initialise: @Sendable (any Channel) -> EventLoopFuture<Void> = { channel in
            let handler = FrameHandler(isDatagram: isDatagram) { happening in
                let (connection, generation) = bound.value
                guard connection.generation == generation else { return }
                connection.heard(happening)
            }
            do {
                try handshake?.begin(on: channel)
                try channel.pipeline.syncOperations.addHandler(handler)
            } catch {
                return channel.eventLoop.makeFailedFuture(error)
            }
            guard let interface else { return channel.eventLoop.makeSucceededVoidFuture() }
            return bind(channel, to: interface)
        }
        switch settings.transport {
        case .tcp, .tls:
            let connected = ClientBootstrap(group: loop)
                .channelOption(.tcpOption(.tcp_nodelay), value: 1)
                .channelOption(.socketOption(.so_keepalive), value: 1)
                .connectTimeout(.milliseconds(settings.timeout.milliseconds))
                .channelInitializer(initialise)
                .connect(to: address)
            return handshake?.done(after: connected) ?? connected
        case .udp:
            return DatagramBootstrap(group: loop)
                .channelInitializer(initialise)
                .connect(to: address)
        }
    }

    private func heard(_ happening: FrameHandler.Happening) {
        switch happening {
        case .frame(let frame):
            heardInThis = true
            frames += 1
            guard frames > Self.frameLimit else { return happened(.frame(frame)) }
            drop()
            happened(.closed(why: "\(settings.host):\(settings.port) sends frames without end", wasKept: false))
        case .stranger(let words):
            drop()
            happened(.closed(why: "\(settings.host):\(settings.port) \(words)", wasKept: false))
        case .garbage(let count, let beginning):
            garbage += count
            if nonsense == nil {
                let words = Stranger.shown(beginning)
                nonsense = words
                happened(.nonsense("it begins \"\(words)\""))
            }
            guard garbage > Self.garbageLimit else { return }
            drop()
            happened(
                .closed(
                    why: "\(settings.host):\(settings.port) sends something that is not DC-09: is it the receiver?",
                    wasKept: false))
        case .closed(let why):
            let wasKept = exchangesOnThis > 1 && !heardInThis && nonsense == nil
            let said = nonsense.map { "; what it said is not DC-09 and begins \"\($0)\"" } ?? ""
            drop()
            happened(.closed(why: "\(settings.host):\(settings.port): \(why)\(said)", wasKept: wasKept))
        }
    }

    private func words(for error: any Error) -> String {
        let end = "\(settings.host):\(settings.port)" + (settings.interface.map { " over \($0)" } ?? "")
        switch error {
        case let error as IOError: return "no connection to \(end): \(systemWords(error.errnoCode))"
        case ChannelError.connectTimeout: return "no connection to \(end) within \(settings.timeout.described)"
        case let error as InterfaceError: return error.description
        case let error as LookupError: return error.description
        case let error as SecureError: return "\(end): \(error)"
        default: return "no connection to \(end): \(error)"
        }
    }
}

struct InterfaceError: Error, CustomStringConvertible {
    var description: String
}

/// Binds a socket to a network interface: the path is that interface and no other (SO_BINDTODEVICE).
private func bind(_ channel: any Channel, to interface: String) -> EventLoopFuture<Void> {
    guard let socket = channel as? any SocketOptionProvider else {
        return channel.eventLoop.makeFailedFuture(
            InterfaceError(description: "the connection cannot be bound to \(interface)"))
    }
    // IFNAMSIZ bytes, the name and zeros.
    var name: (UInt64, UInt64) = (0, 0)
    withUnsafeMutableBytes(of: &name) { $0.copyBytes(from: interface.utf8.prefix(Int(IFNAMSIZ) - 1)) }
    return socket.unsafeSetSocketOption(
        level: .socket, name: NIOBSDSocket.Option(rawValue: CInt(SO_BINDTODEVICE)), value: name
    )
    .flatMapErrorThrowing { error in
        let why = (error as? IOError).map { systemWords($0.errnoCode) } ?? "\(error)"
        throw InterfaceError(
            description: "interface \(interface): \(why). Is it there (ip link), and may larmnod bind to it?")
    }
}

/// Bytes to frames. Bounded: what fits no frame is counted and dropped.
private final class FrameHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    enum Happening {
        case frame([UInt8])
        /// So many bytes, and how they begin.
        case garbage(Int, [UInt8])
        /// No receiver, for certain: what it is, in words.
        case stranger(String)
        case closed(String)
    }

    private let isDatagram: Bool
    private let happened: (Happening) -> Void
    private var decoder = StreamDecoder()
    private var stranger = Stranger()
    private var isOver = false

    init(isDatagram: Bool, _ happened: @escaping (Happening) -> Void) {
        self.isDatagram = isDatagram
        self.happened = happened
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let dropped = decoder.dropped
        guard !isDatagram else {
            let datagram = DatagramUnwrapper().unwrapInboundIn(data).data
            switch StreamDecoder.frame(inDatagram: datagram.readableBytesView) {
            case .success(let frame): happened(.frame(frame))
            case .failure:
                var stranger = Stranger()
                if let words = stranger.look(datagram.readableBytesView) { return happened(.stranger(words)) }
                happened(.garbage(datagram.readableBytes, Array(datagram.readableBytesView.prefix(Stranger.looked))))
            }
            return
        }
        let bytes = unwrapInboundIn(data).readableBytesView
        if let words = stranger.look(bytes) { return happened(.stranger(words)) }
        decoder.append(bytes)
        while let result = decoder.next() {
            switch result {
            case .success(let frame): happened(.frame(frame))
            case .failure: break
            }
        }
        if decoder.dropped > dropped {
            happened(.garbage(decoder.dropped - dropped, Array(bytes.prefix(Stranger.looked))))
        }
    }

    func channelInactive(context: ChannelHandlerContext) { end("the receiver closed the connection") }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end((error as? IOError).map { systemWords($0.errnoCode) } ?? "\(error)")
        context.close(promise: nil)
    }

    private func end(_ why: String) {
        guard !isOver else { return }
        isOver = true
        happened(.closed(why))
    }
}

/// A datagram arrives with its sender's address around it.
private struct DatagramUnwrapper {
    func unwrapInboundIn(_ data: NIOAny) -> AddressedEnvelope<ByteBuffer> { Typed().unwrapInboundIn(data) }

    private final class Typed: ChannelInboundHandler {
        typealias InboundIn = AddressedEnvelope<ByteBuffer>
    }
}
