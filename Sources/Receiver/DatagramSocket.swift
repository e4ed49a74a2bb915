import AlarmProtocol
import NIOCore

/// The UDP socket: a frame a datagram, the answer to where it came from.
final class DatagramSocket: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>
    typealias OutboundOut = AddressedEnvelope<ByteBuffer>

    private let desk: Desk
    private var context: ChannelHandlerContext?

    init(desk: Desk) { self.desk = desk }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let datagram = unwrapInboundIn(data)
        let peer = datagram.remoteAddress
        let path = FeedRecord.Path(transport: .udp, remote: peer.words)
        switch StreamDecoder.frame(inDatagram: datagram.data.readableBytesView) {
        case .failure(let error): desk.dismiss(error, from: path)
        case .success(let frame): desk.take(frame, over: path) { [weak self] in self?.answer($0, to: peer) }
        }
    }

    /// A datagram that cannot be sent is lost, as datagrams are; the socket stays.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { desk.say("UDP: \(error)") }

    private func answer(_ answer: Desk.Answer, to peer: SocketAddress) {
        switch answer {
        case .nothing, .close: break
        case .bytes(let bytes): send(bytes, to: peer)
        case .dripped(let bytes, let pace):
            // A datagram arrives whole or not at all: it comes as late as its last byte would.
            let wait = TimeAmount.nanoseconds(Int64(bytes.count) * 1_000_000_000 / Int64(pace))
            desk.loop.assumeIsolated().scheduleTask(in: wait) { [weak self] in self?.send(bytes, to: peer) }
        }
    }

    private func send(_ bytes: [UInt8], to peer: SocketAddress) {
        guard let context, context.channel.isWritable else { return }
        let buffer = context.channel.allocator.buffer(bytes: bytes.prefix(Self.largestDatagram))
        context.writeAndFlush(wrapOutboundOut(AddressedEnvelope(remoteAddress: peer, data: buffer)), promise: nil)
    }

    /// What UDP over IPv4 can carry.
    private static let largestDatagram = 65_507
}
