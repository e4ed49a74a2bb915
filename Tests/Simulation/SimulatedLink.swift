import AlarmProtocol
import CSimulatedDisk

@testable import Gateway

/// A network between the box and a receiver: what it does to frames, and whether it is there at all.
struct Network {
    enum Cut {
        /// It works.
        case none
        /// Nothing comes through, and nobody says so.
        case silent
        /// The near end knows: connections are refused or broken at once.
        case refused
        /// What is connected seems to be so still; a new connection gets through.
        case halfOpen
    }

    var cut = Cut.none
    /// In percent of the frames, either way.
    var loss = 0
    var repetition = 0
    var garbling = 0
    /// One way, in milliseconds.
    var delay: ClosedRange<Int64> = 5...40
    /// Since when events can get through and be answered, without any doubt; nil while they may not.
    var healthySince: Int64?
    /// Since when nothing at all can get through.
    var deadSince: Int64?
    /// Grows with each change.
    var edition = 0

    var isClear: Bool { cut == .none && loss == 0 && repetition == 0 && garbling == 0 && delay.upperBound <= 200 }
    var isDead: Bool { cut == .silent || cut == .refused }
}

/// One connection, or one UDP socket, over a simulated network: does what `Connection` does to the uplink.
final class SimulatedLink: Link {
    private let settings: PathSettings
    private unowned let world: World
    private let happened: (Connection.Happening) -> Void
    /// Grows with each connection: what comes on an old one is not heard.
    private var generation = 0
    private(set) var isOpen = false
    private(set) var usedAt: Int64 = 0
    /// The connection is from before the network was cut.
    private var opened = 0
    private var unsent: [UInt8]?
    private var exchanges = 0
    private var hasHeard = false
    private var decoder = StreamDecoder()
    private var repeats: SimulatedLoop.Happening?
    private var garbage = 0

    var name: String { settings.name }

    init(_ settings: PathSettings, in world: World, happened: @escaping (Connection.Happening) -> Void) {
        self.settings = settings
        self.world = world
        self.happened = happened
    }

    private var network: Network { world.network(name) }

    func send(_ frame: [UInt8], at now: Int64) {
        guard !disk_is_dead() else { return }
        usedAt = now
        world.sent(frame, over: settings, by: self)
        repeats?.cancel()
        hasHeard = false
        garbage = 0
        guard settings.transport == .tcp else { return sendDatagram(frame, times: 5) }
        if isOpen {
            exchanges += 1
            put(frame)
        } else {
            unsent = frame
            connect()
        }
    }

    func close() {
        world.inFlight[ObjectIdentifier(self)] = nil
        drop()
    }

    private func drop() {
        generation += 1
        isOpen = false
        unsent = nil
        repeats?.cancel()
        decoder.reset()
    }

    /// UDP: the same again each second until something comes.
    private func sendDatagram(_ frame: [UInt8], times: Int) {
        put(frame)
        guard times > 1 else { return }
        let generation = generation
        repeats = world.loop.after(1000) { [weak self] in
            guard let self, generation == self.generation, !hasHeard else { return }
            sendDatagram(frame, times: times - 1)
        }
    }

    private func connect() {
        generation += 1
        let generation = generation
        let network = network
        if network.cut == .silent { return }
        let delay = 2 * world.dice.within(network.delay)
        world.loop.after(delay) { [weak self] in
            guard let self, generation == self.generation, let frame = unsent else { return }
            guard self.network.cut != .refused else {
                drop()
                return happened(.closed(why: "no connection to \(name): refused", wasKept: false))
            }
            guard self.network.cut != .silent else { return }
            unsent = nil
            isOpen = true
            opened = self.network.edition
            exchanges = 1
            put(frame)
        }
    }

    private func put(_ frame: [UInt8]) {
        let network = network
        if settings.transport == .tcp, opened != network.edition, network.cut != .none || world.dice.percent(30) {
            // Half-open: the other end has forgotten this connection, and may or may not say so.
            guard network.cut == .none || (network.cut == .halfOpen && world.dice.percent(40)) else { return }
            return reset(after: world.dice.within(network.delay))
        }
        guard !network.isDead else {
            if network.cut == .refused { reset(after: 2) }
            return
        }
        let generation = generation
        carry(frame) { link, bytes in link.arrive(bytes, on: generation) }
    }

    private func reset(after delay: Int64) {
        let generation = generation
        world.loop.after(delay) { [weak self] in
            guard let self, generation == self.generation else { return }
            let wasKept = exchanges > 1 && !hasHeard
            drop()
            happened(.closed(why: "\(name): connection reset", wasKept: wasKept))
        }
    }

    /// Over the network, with all that it does to a frame.
    private func carry(_ frame: [UInt8], to end: @escaping (SimulatedLink, [UInt8]) -> Void) {
        let network = network
        let copies = world.dice.percent(network.repetition) ? 2 : 1
        for _ in 0..<copies {
            if world.dice.percent(network.loss) { continue }
            var bytes = frame
            if world.dice.percent(network.garbling) { garble(&bytes) }
            let carried = bytes
            world.loop.after(world.dice.within(network.delay)) { end(self, carried) }
        }
    }

    private func garble(_ bytes: inout [UInt8]) {
        for _ in 0..<world.dice.within(1...4) where !bytes.isEmpty {
            let at = world.dice.within(0...bytes.count - 1)
            switch world.dice.within(0...3) {
            case 0: bytes.remove(at: at)
            case 1: bytes.insert(UInt8(truncatingIfNeeded: world.dice.next()), at: at)
            case 2: bytes[at] ^= 1 << UInt8(world.dice.within(0...7))
            default: bytes.removeLast(bytes.count - at)
            }
        }
    }

    /// At the receiver's. It has what it has, whatever becomes of the connection.
    private func arrive(_ bytes: [UInt8], on generation: Int) {
        guard !network.isDead else { return }
        let replies = world.arrived(bytes, over: settings)
        for reply in replies {
            carry(reply) { link, bytes in
                guard generation == link.generation, !link.network.isDead else { return }
                link.hear(bytes)
            }
        }
    }

    private func hear(_ bytes: [UInt8]) {
        guard !disk_is_dead() else { return }
        if settings.transport == .udp {
            switch StreamDecoder.frame(inDatagram: bytes) {
            case .success(let frame): tell(frame)
            case .failure: break
            }
            return
        }
        decoder.append(bytes)
        while let next = decoder.next() {
            if case .success(let frame) = next { tell(frame) }
        }
    }

    private func tell(_ frame: [UInt8]) {
        guard !disk_is_dead() else { return }
        hasHeard = true
        happened(.frame(frame))
        world.answered(by: self)
    }
}
