import AlarmProtocol
import Glibc
import NIOCore
import NIOPosix
import NIOSSL

/// A running alarm receiver: the centre's end of DC-09, for tests, demonstrations and acceptance on site.
///
/// What it takes is on disk before it is acknowledged, and is handed on once, as `FeedRecord`s (docs/feed.md).
public final class ReceiverService: Sendable {
    /// The port that it listens on.
    public let port: Int
    /// What was found in the store; nil without one.
    public let opening: Store.Opening?

    private let group: MultiThreadedEventLoopGroup
    private let writer: NIOThreadPool
    private let desk: NIOLoopBound<Desk>
    private let register: NIOLoopBound<ConnectionRegister>
    private let stream: any Channel
    /// Nil with TLS.
    private let datagram: (any Channel)?
    private let sweeping: RepeatedTask
    private let manners: Manners

    private init(
        group: MultiThreadedEventLoopGroup, writer: NIOThreadPool, core: Core, stream: any Channel,
        datagram: (any Channel)?, sweeping: RepeatedTask, manners: Manners, port: Int, opening: Store.Opening?
    ) {
        self.group = group
        self.writer = writer
        self.manners = manners
        desk = core.desk
        register = core.register
        self.stream = stream
        self.datagram = datagram
        self.sweeping = sweeping
        self.port = port
        self.opening = opening
    }

    /// What lives on the loop.
    private struct Core: Sendable {
        let desk: NIOLoopBound<Desk>
        let register: NIOLoopBound<ConnectionRegister>
    }

    /// Opens the store, listens, and returns.
    /// - Parameters:
    ///   - clock: milliseconds since 1970-01-01 00:00 UTC.
    ///   - feed: given what was taken, in order, after it was stored. Runs on the writer's thread and may block: then
    ///     nothing more is acknowledged. Throw when the feed's reader is gone.
    ///   - log: whole sentences for people. May be called on any thread.
    /// - Throws: `StoreError`, or `ListenError` naming the address.
    public static func start(
        _ options: ReceiverOptions, clock: @escaping @Sendable () -> Int64 = wallClock,
        feed: @escaping @Sendable ([FeedRecord]) throws -> Void, log: @escaping @Sendable (String) -> Void = { _ in }
    ) async throws -> ReceiverService {
        var window = DuplicateWindow(depth: options.repeatDepth)
        let store = try options.store.map { path in
            try Store(path: path) { message in
                guard let mark = DuplicateWindow.Mark(message) else { return }
                window.insert(mark, of: message.transmitter)
            }
        }
        let judge = Judge(accounts: options.accounts, window: window)
        let manners = Manners(options.misbehaviour)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let writer = NIOThreadPool(numberOfThreads: 1)
        writer.start()
        do {
            let loop = group.next()
            let core = try await loop.submit {
                let desk = Desk(
                    loop: loop, writer: writer, store: store, judge: judge, manners: manners, options: options,
                    clock: clock, feed: feed, log: log)
                return Core(
                    desk: NIOLoopBound(desk, eventLoop: loop),
                    register: NIOLoopBound(ConnectionRegister(limits: options.limits), eventLoop: loop))
            }.get()
            let (stream, datagram) = try await listen(options, loop, core)
            let period = min(TimeAmount.seconds(1), TimeAmount(min(options.limits.frameTime, options.limits.idleTime)))
            let sweeping = loop.scheduleRepeatedTask(initialDelay: period, delay: period) { _ in
                core.register.value.sweep(at: .now())
            }
            return ReceiverService(
                group: group, writer: writer, core: core, stream: stream, datagram: datagram, sweeping: sweeping,
                manners: manners, port: stream.localAddress?.port ?? options.port, opening: store?.opening)
        } catch {
            try? await writer.shutdownGracefully()
            try? await group.shutdownGracefully()
            throw error
        }
    }

    /// Switches misbehaviour on, or off with nil, from the next frame on; that frame is number 1.
    public func misbehave(_ misbehaviour: Misbehaviour?) { manners.change(to: misbehaviour) }

    public func counters() async throws -> Counters {
        let closed = try await register.execute { $0.closed }
        var counters = try await desk.execute { $0.counters }
        counters.closed = closed
        return counters
    }

    /// Stops listening, lets what waits for the disk be kept and answered, closes everything.
    public func stop() async throws {
        sweeping.cancel()
        try? await stream.close()
        let idle = stream.eventLoop.makePromise(of: Void.self)
        try await desk.execute { $0.whenIdle { idle.succeed() } }
        try await idle.futureResult.get()
        try? await datagram?.close()
        try await writer.shutdownGracefully()
        try await group.shutdownGracefully()
    }

    /// The system's clock: milliseconds since 1970-01-01 00:00 UTC.
    public static let wallClock: @Sendable () -> Int64 = {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return Int64(now.tv_sec) * 1_000 + Int64(now.tv_nsec) / 1_000_000
    }

    // MARK: Sockets

    private static func listen(
        _ options: ReceiverOptions, _ loop: any EventLoop, _ core: Core
    ) async throws -> (stream: any Channel, datagram: (any Channel)?) {
        var attempt = 1
        while true {
            let stream = try await listenTCP(options, loop, core)
            guard options.tls == nil else { return (stream, nil) }
            let port = stream.localAddress?.port ?? options.port
            do {
                return (stream, try await listenUDP(options, port: port, loop, core))
            } catch {
                try? await stream.close()
                // A port that the system chose may be free for TCP and taken for UDP: let it choose again.
                guard options.port == 0, attempt < 10 else { throw error }
                attempt += 1
            }
        }
    }

    private static func listenTCP(
        _ options: ReceiverOptions, _ loop: any EventLoop, _ core: Core
    ) async throws -> any Channel {
        let bootstrap = ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 1)
            .childChannelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 4_096))
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let tls = options.tls {
                        try channel.pipeline.syncOperations.addHandler(NIOSSLServerHandler(context: tls.context))
                    }
                    try channel.pipeline.syncOperations.addHandler(
                        StreamConnection(
                            desk: core.desk.value, register: core.register.value, isSecure: options.tls != nil))
                }
            }
        do {
            return try await bootstrap.bind(host: options.host, port: options.port).get()
        } catch {
            throw ListenError(options.host, options.port, "TCP", error)
        }
    }

    private static func listenUDP(
        _ options: ReceiverOptions, port: Int, _ loop: any EventLoop, _ core: Core
    ) async throws -> any Channel {
        let bootstrap = DatagramBootstrap(group: loop)
            // Room for a frame and for whatever a peer puts behind it.
            .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: 8_192))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(DatagramSocket(desk: core.desk.value))
                }
            }
        do {
            return try await bootstrap.bind(host: options.host, port: port).get()
        } catch {
            throw ListenError(options.host, port, "UDP", error)
        }
    }
}

/// The receiver cannot listen.
public struct ListenError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String

    init(_ host: String, _ port: Int, _ transport: String, _ error: any Error) {
        let why = (error as? IOError).map { String(cString: strerror($0.errnoCode)) } ?? "\(error)"
        description =
            "Cannot listen on \(host) port \(port), \(transport): \(why). "
            + "Name an address of this machine and a port that is free, as --listen 127.0.0.1:7700."
    }
}

extension NIOLoopBound {
    /// Runs on the loop that the value is bound to.
    fileprivate func execute<Result: Sendable>(_ body: @escaping @Sendable (Value) throws -> Result) async throws
        -> Result
    {
        try await eventLoop.submit { try body(self.value) }.get()
    }
}
