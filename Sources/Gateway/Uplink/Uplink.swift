import AlarmProtocol
import Logging
import NIOCore
import NIOPosix

/// A path's way to its receiver as the uplink uses it: a `Connection`, or a simulation's.
protocol Link: AnyObject {
    var isOpen: Bool { get }
    /// When it was last used, in milliseconds of uptime.
    var usedAt: Int64 { get }
    /// Sends one frame, connecting first where there is no connection.
    func send(_ frame: [UInt8], at now: Int64)
    /// Closes without a word to the owner, who has given up what was sent last.
    func close()
}

extension Connection: Link {}

/// The asynchronous half: carries out what the dispatcher decides, from the outbox to the receivers. Everything here
/// runs on one event loop; it reads the outbox and never waits for the disk's syncs.
final class Uplink {
    private let outbox: any EventSource
    private let settings: [PathSettings]
    private let clock: @Sendable () -> Moment
    private let loop: any EventLoop
    /// Troubles of the box itself become events; that is a sync, so it happens elsewhere.
    private let report: (BoxTrouble) -> Void
    private let logger = Logger(label: "uplink")
    private(set) var dispatcher: Dispatcher
    /// Of each path, one for each of its lanes.
    private var connections: [[any Link]] = []
    /// Makes a path's link, one for each lane, which tells what it hears.
    typealias Connect = (PathSettings, any EventLoop, _ happened: @escaping (Connection.Happening) -> Void) -> any Link
    private let connect: Connect
    private var sending: [[Sending?]]
    /// How the paths are, told on the loop whenever one begins or ceases to work, or is down: at once, with no disk in
    /// between.
    private let pathsChanged: ([PathState]) -> Void
    private var toldPaths: [PathState] = []
    private var observedAt: Int64 = 0
    /// What was answered last, for the mark of its event.
    private var lastAnswered: Sending?
    private var timer: Scheduled<Void>?
    /// When, in milliseconds of uptime.
    private var timerRings: Int64 = 0
    private var isDeciding = false
    private(set) var figures: [Figures]
    /// Keys and strange replies, for each path.
    private(set) var trust: [PathTrust]
    /// The watchdog's evidence that the loop runs.
    private let lifeSign: LifeSign

    /// What is on its way on one path.
    private struct Sending {
        var exchange: Int
        var whole: Dispatcher.Exchange
        var clockOffset: Int64
        var message: PathTrust.Sent
        var work: Dispatcher.Work
        var sentAt: Moment
    }

    struct Figures {
        var sent = 0
        var acknowledged = 0
        var failures = 0
        var lastRoundTrip: Int64?
    }

    /// How often each waiting event has been tried. Forgotten with the event, or when those of discarded events
    /// outnumber the others.
    private var tries: [Int64: Tries] = [:]

    private struct Tries {
        var count = 0
        /// It was first said without its time, because the clock was not set: a receiver knows a repeat by its content,
        /// so it is never said otherwise.
        var isUndated = false
        /// It was first said late, to a receiver that takes no H block: the time stands in its text, each time.
        var saysWhen: Bool?
    }
    private var isStopped = false
    /// A receiver said ACK to an event.
    var onAcknowledged: (_ id: Int64, _ receiver: String) -> Void = { _, _ in }
    /// Asked before an event that every receiver has refused is parked; where it may not be, it waits for others.
    var mayPark: (_ id: Int64) -> Bool = { _ in true }

    /// - Parameters:
    ///   - known: the last stored states of points.
    ///   - book: the last good addresses of receivers.
    init(
        outbox: any EventSource, paths: [PathSettings], on loop: any EventLoop, clock: @escaping @Sendable () -> Moment,
        lifeSign: LifeSign, connect: Connect? = nil, report: @escaping (BoxTrouble) -> Void,
        pathsChanged: @escaping ([PathState]) -> Void = { _ in }, known: [String: Bool] = [:],
        book: AddressBook? = nil
    ) {
        self.connect = connect ?? { Connection($0, book: book, on: $1, happened: $2) }
        self.outbox = outbox
        settings = paths
        self.clock = clock
        self.loop = loop
        self.report = report
        self.lifeSign = lifeSign
        self.pathsChanged = pathsChanged
        dispatcher = Dispatcher(paths.map { Dispatcher.Rules($0) })
        sending = paths.map { Array(repeating: nil, count: $0.connections) }
        figures = Array(repeating: Figures(), count: paths.count)
        let now = clock().uptime
        trust = paths.map { PathTrust($0, now: now) { known[$0] } }
    }

    /// Takes over from one that has stopped: what was said without its time is said so again.
    func goOn(from other: Uplink) { tries.merge(other.tries) { $0.isUndated ? $0 : $1 } }

    /// Begins. From now on the outbox wakes it.
    func start() {
        let loop = loop
        connections = settings.enumerated().map { index, path in
            (0..<path.connections).map { lane in
                connect(path, loop) { [weak self] in self?.heard($0, on: index, lane) }
            }
        }
        let bound = NIOLoopBound(self, eventLoop: loop)
        outbox.onStored { loop.execute { bound.value.woken() } }
        decide()
    }

    func stop() {
        isStopped = true
        timer?.cancel()
        outbox.onStored {}
        for id in dispatcher.inFlight { outbox.release(id) }
        for connection in connections.joined() { connection.close() }
    }

    var pathSettings: [PathSettings] { settings }

    func openConnections(of path: String) -> Int {
        zip(settings, connections).first { $0.0.name == path }?.1.count(where: \.isOpen) ?? 0
    }

    var uptime: Int64 { clock().uptime }

    private func woken() {
        if isUrgentWaiting {
            dispatcher.hurry(now: clock().uptime)
            endTrials()
        }
        decide()
    }

    private var isUrgentWaiting: Bool { outbox.mostUrgentWaiting.map { $0 <= .danger } ?? false }

    // MARK: The dispatcher's wishes

    private func decide() {
        // Carrying out an action may bring an answer at once; that answer decides again, in the loop below.
        guard !isDeciding, !isStopped else { return }
        isDeciding = true
        defer { isDeciding = false }
        let moment = clock()
        let now = moment.uptime
        lifeSign.show(moment)
        for index in trust.indices { trust[index].settle(now: now).map(report) }
        while true {
            let actions = dispatcher.decide(now: now, from: supply)
            if actions.isEmpty { break }
            for action in actions { carryOut(action) }
        }
        let isNews = tellPaths()
        restLanes(now)
        if isNews || now - observedAt >= Self.observation {
            observedAt = now
            outbox.observe(
                dispatcher.paths.map {
                    Availability.Fact(name: $0.rules.name, isDown: $0.isDown, lastGood: $0.lastGood)
                }, at: moment)
        }
        schedule(now)
    }

    /// How often the paths' availability is noted while nothing changes, in milliseconds.
    private static let observation: Int64 = 1000

    /// - Returns: whether there was something to tell.
    private func tellPaths() -> Bool {
        let states = dispatcher.paths.map {
            PathState(
                name: $0.rules.name, works: $0.health == .working && !$0.givesFalseHopes, isDown: $0.isDown,
                lastGood: $0.lastGood)
        }
        let isNews = !states.elementsEqual(toldPaths) { $0.works == $1.works && $0.isDown == $1.isDown }
        guard isNews else { return false }
        toldPaths = states
        pathsChanged(states)
        return true
    }

    /// A connection that was opened for catching up is not kept for ever.
    private func restLanes(_ now: Int64) {
        for (path, lanes) in connections.enumerated() {
            for (lane, connection) in lanes.enumerated().dropFirst()
            where connection.isOpen && sending[path][lane] == nil && now - connection.usedAt > Self.laneIdle {
                connection.close()
            }
        }
    }

    /// After so long without a frame, in milliseconds, a path's further connections are closed.
    private static let laneIdle: Int64 = 30_000

    private var supply: Dispatcher.Supply {
        let outbox = outbox
        return Dispatcher.Supply(
            take: { rules, wanted in
                outbox.take(
                    for: rules.receiver, over: rules.name, leftOver: wanted.leftOver,
                    moreUrgentThan: wanted.moreUrgentThan, withoutLate: wanted.withoutLate)
            },
            worth: { id, rules in outbox.worth(of: id, for: rules.receiver, over: rules.name) })
    }

    private func schedule(_ now: Int64) {
        // At least every five seconds, so that the watchdog sees the loop alive.
        let delay = min(max(1, dispatcher.nextDeadline(now: now) - now), 5000)
        // One that rings too early finds nothing to do; setting it anew for each frame would cost more than that.
        if timer != nil, timerRings > now, timerRings <= now + delay { return }
        timer?.cancel()
        timerRings = now + delay
        let bound = NIOLoopBound(self, eventLoop: loop)
        timer = loop.scheduleTask(in: .milliseconds(delay)) {
            // It is over, whatever our clock says: it and the loop's differ by a hair.
            bound.value.timer = nil
            bound.value.decide()
        }
    }

    private func handle(_ input: Dispatcher.Input, path: Int, exchange: Int) {
        guard !isStopped else { return }
        for action in dispatcher.handle(input, path: path, exchange: exchange, now: clock().uptime) { carryOut(action) }
        decide()
    }

    private func carryOut(_ action: Dispatcher.Action) {
        switch action {
        case .send(let path, let exchange, let offset): send(exchange, over: path, clockOffset: offset)
        case .abandon(let path, let lane):
            figures[path].failures += 1
            if let use = sending[path][lane]?.message.use { trust[path].failed(use) }
            sending[path][lane] = nil
            connections[path][lane].close()
        case .acknowledge(let id, let path): acknowledged(id, over: path)
        case .release(let id): outbox.release(id)
        case .refuse(let id, let path, let why): refused(id, over: path, why)
        case .pathDown(let path, let why, let lastGood):
            logger.error("path \(settings[path].name) is down: \(why)")
            let found = clock()
            let now = Self.when(found.uptime, at: found)
            var good = lastGood.map { "last good \(Self.when($0, at: found))" } ?? "never good"
            // The day once, and not the address: the centre's operator has 128 characters.
            good.replace("last good \(now.prefix(10)) ", with: "last good ")
            let end = "\(settings[path].host):\(settings[path].port): "
            let reason = why.hasPrefix(end) ? String(why.dropFirst(end.count)) : why
            let text = "down, found \(now), \(good), \(outbox.waitingCount) waiting: \(reason)"
            report(.path(settings[path].name, isDown: true, text: text))
        case .pathUp(let path, let downSince):
            logger.notice("path \(settings[path].name) works")
            let now = clock()
            let lasted = downSince.map { since in
                let span = StatusScreen.span((now.uptime - since) / 1000)
                return ", was down \(span) from \(Self.when(since, at: now)), \(outbox.waitingCount) waiting"
            }
            report(.path(settings[path].name, isDown: false, text: "works again" + (lasted ?? "")))
            // A daemon before this one may have told of a rejected time.
            if !dispatcher.paths[path].clockFault.isTold {
                report(.clockRejected(path: settings[path].name, isRejected: false))
            }
        case .clockRejected(let path):
            logger.error("path \(settings[path].name): the receiver goes on rejecting our time")
            report(.clockRejected(path: settings[path].name, isRejected: true))
        case .clockAccepted(let path): report(.clockRejected(path: settings[path].name, isRejected: false))
        }
    }

    /// A moment of this daemon's life in words: by the wall clock, or as an age where that is not known.
    private static func when(_ uptime: Int64, at now: Moment) -> String {
        now.clock == .unknown
            ? "\((now.uptime - uptime) / 1000) s ago" : "\(StatusScreen.utc(now.utc - now.uptime + uptime))Z"
    }

    private func acknowledged(_ id: Int64, over path: Int) {
        let sentAt = lastAnswered?.sentAt.utc ?? clock().utc
        figures[path].acknowledged += 1
        onAcknowledged(id, settings[path].receiver)
        outbox.acknowledge(
            id, sent: sentAt, path: settings[path].name, tries: tries.removeValue(forKey: id)?.count ?? 1)
    }

    private func refused(_ id: Int64, over path: Int, _ why: String) {
        let isRefusedByAll = outbox.refuse(
            id, by: settings[path].receiver, of: Set(settings.map(\.receiver)),
            isStillSent: dispatcher.carriers(of: id) > 0)
        logger.warning("\(settings[path].receiver) refuses event \(StoredEvent.sequence(of: id)): \(why)")
        guard isRefusedByAll, mayPark(id) else { return }
        let point = outbox.event(id)?.event.point ?? "?"
        outbox.park(id, reason: "refused by every receiver: \(why)", tries: tries.removeValue(forKey: id)?.count ?? 1)
        // A report of a refusal that is itself refused would go round for ever.
        guard point != BoxTrouble.parkedPoint else { return }
        report(.parked(sequence: StoredEvent.sequence(of: id), point: point, why: why))
    }

    // MARK: Frames

    /// - Parameter second: the message has been tried under the other key.
    private func send(
        _ exchange: Dispatcher.Exchange, over path: Int, clockOffset: Int64, second: KeyRing.Use? = nil
    ) {
        let now = clock()
        let message: Message
        switch exchange.work {
        case .poll: message = poll(path, at: now.utc + clockOffset)
        case .event(let id):
            switch read(id, for: path, at: now, clockOffset: clockOffset) {
            case .success(let sayable): message = sayable
            case .failure(let obstacle): return handleLater(obstacle.input, path: path, exchange: exchange.number)
            }
            tries[id, default: Tries()].count += 1
            if tries.count > 2 * outbox.waitingCount + 1000 { tries = tries.filter { outbox.isWaiting($0.key) } }
        }
        do {
            let lane = exchange.lane
            let use =
                second
                ?? trust[path].nextUse(
                    isLinkTest: exchange.work == .poll, mayTry: !isUrgentWaiting, now: now.uptime)
            let key = trust[path].key(for: use)
            let frame = try message.frame(key: key)
            let sent = PathTrust.Sent(
                expectation: ReplyExpectation(header: message.header, encrypted: key != nil, sent: message.timestamp),
                use: use, at: now.uptime)
            sending[path][lane] = Sending(
                exchange: exchange.number, whole: exchange, clockOffset: clockOffset, message: sent,
                work: exchange.work, sentAt: now)
            trust[path].sent(sent)
            if use.isTrial { limitTrial(of: exchange.number, on: path, lane) }
            figures[path].sent += 1
            connections[path][lane].send(frame, at: now.uptime)
        } catch {
            handleLater(
                .cannotBeSaid(why: "it cannot be said on this path: \(error)"), path: path, exchange: exchange.number)
        }
    }

    /// Why an event cannot be sent now, and what that is to the dispatcher.
    private struct Obstacle: Error {
        var input: Dispatcher.Input
    }

    private func read(
        _ id: Int64, for path: Int, at now: Moment, clockOffset: Int64
    ) -> Result<Message, Obstacle> {
        let stored: StoredEvent?
        do { stored = try outbox.read(id) } catch {
            logger.error("event \(StoredEvent.sequence(of: id)) cannot be read now: \(error)")
            guard outbox.isSetAside(id) else { return .failure(Obstacle(input: .notNow)) }
            if dispatcher.carriers(of: id) <= 1 { outbox.release(id) }
            return .failure(Obstacle(input: .vanished))
        }
        guard let stored else {
            outbox.park(id, reason: "it is not in the store", tries: tries.removeValue(forKey: id)?.count ?? 0)
            report(.parked(sequence: StoredEvent.sequence(of: id), point: "?", why: "it is not in the store"))
            return .failure(Obstacle(input: .vanished))
        }
        do { return .success(try say(stored, over: path, now: now, clockOffset: clockOffset)) } catch {
            return .failure(Obstacle(input: .cannotBeSaid(why: "it cannot be said on this path: \(error)")))
        }
    }

    /// An answer that is known before anything was sent: told after the action that asked is over.
    private func handleLater(_ input: Dispatcher.Input, path: Int, exchange: Int) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.execute { bound.value.handle(input, path: path, exchange: exchange) }
    }

    private func poll(_ path: Int, at time: Int64) -> Message {
        let settings = settings[path]
        return Message(
            token: .null,
            header: Header(
                sequence: 0, receiver: settings.receiverNumber, line: settings.line,
                account: settings.account ?? settings.siteAccount),
            data: [], extended: [], timestamp: Timestamp(utc: time))
    }

    private func say(
        _ stored: StoredEvent, over path: Int, now: Moment, clockOffset: Int64
    ) throws(FrameError) -> Message {
        let settings = settings[path]
        var event = stored.event
        if tries[stored.id]?.isUndated ?? false { event.occurred.clock = .unknown }
        if event.occurred.clock == .unknown { tries[stored.id, default: Tries()].isUndated = true }
        let saysWhen = tries[stored.id]?.saysWhen ?? outbox.isLate(stored.id)
        tries[stored.id, default: Tries()].saysWhen = saysWhen
        if saysWhen, !settings.extendedBlocks.contains(.timeOfOccurrence), event.occurred.clock != .unknown {
            event.text = "\(StatusScreen.utc(event.occurred.utc))Z \(event.text)".limited
        }
        return try event.message(
            as: settings.format, sequence: stored.sequence, receiver: settings.receiverNumber, line: settings.line,
            account: settings.account, characterSet: settings.characterSet, extended: settings.extendedBlocks,
            sendingTime: Timestamp(utc: now.utc + clockOffset))
    }

    private func heard(_ happening: Connection.Happening, on path: Int, _ lane: Int) {
        switch happening {
        case .frame(let frame): heard(frame, on: path, lane)
        case .nonsense(let words):
            var said = PathTrust.Said()
            trust[path].heardNonsense(words, now: clock().uptime, &said)
            tell(said)
        case .closed(let why, let wasKept):
            guard let current = sending[path][lane] else { return }
            guard !current.message.use.isTrial else { return endTrial(on: path, lane) }
            let exchange = current.exchange
            handle(wasKept ? .connectionWasGone : .failed(why: why), path: path, exchange: exchange)
        }
    }

    private func heard(_ frame: [UInt8], on path: Int, _ lane: Int) {
        let now = clock()
        let current = sending[path][lane]
        var said = PathTrust.Said()
        let outcome = trust[path].judge(frame, after: current?.message, now: now.uptime, &said)
        tell(said)
        guard let current else { return }
        switch outcome {
        case .ignore, .reply(.ignored), .reply(.response): return
        case .endTrial: endTrial(on: path, lane)
        case .sendAgain(let use): send(current.whole, over: path, clockOffset: current.clockOffset, second: use)
        case .reply(.acknowledged):
            figures[path].lastRoundTrip = now.uptime - current.sentAt.uptime
            settle(.acknowledged, path, lane, current)
        case .reply(.clock(let theirs)):
            settle(.wrongClock(offset: theirs.map { $0.utc - now.utc }), path, lane, current)
        case .reply(.refused): settle(.refused(why: "the receiver says DUH"), path, lane, current)
        }
    }

    /// The exchange has its answer: what else comes on this connection belongs to nothing.
    private func settle(_ input: Dispatcher.Input, _ path: Int, _ lane: Int, _ answered: Sending) {
        sending[path][lane] = nil
        lastAnswered = answered
        handle(input, path: path, exchange: answered.exchange)
    }

    private func tell(_ said: PathTrust.Said) {
        for line in said.log { logger.warning("\(line)") }
        for trouble in said.troubles { report(trouble) }
    }

    // MARK: Trying a new key

    /// A link test under the new key may take half the time limit: then the old one tells how the path is.
    private func limitTrial(of exchange: Int, on path: Int, _ lane: Int) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.scheduleTask(in: .milliseconds(max(1, settings[path].timeout.milliseconds / 2))) {
            guard bound.value.sending[path][lane]?.exchange == exchange else { return }
            bound.value.endTrial(on: path, lane)
        }
    }

    /// Given up without a word on the path: the next frame goes under the old key.
    private func endTrial(on path: Int, _ lane: Int) {
        guard let current = sending[path][lane], current.message.use.isTrial else { return }
        sending[path][lane] = nil
        handle(.vanished, path: path, exchange: current.exchange)
    }

    private func endTrials() {
        for path in sending.indices { for lane in sending[path].indices { endTrial(on: path, lane) } }
    }
}

/// How a path is, as the uplink's loop knows.
struct PathState: Sendable, Equatable {
    var name: String
    /// Its last exchange was answered.
    var works: Bool
    /// It has failed as often in a row as makes it down.
    var isDown: Bool
    /// Uptime in milliseconds of the last answer; nil when there never was one.
    var lastGood: Int64?
}

extension Dispatcher.Rules {
    init(_ path: PathSettings) {
        self.init(
            name: path.name, receiver: path.receiver, timeout: path.timeout.milliseconds, attempts: path.attempts,
            poll: path.poll.milliseconds, pollAlone: path.pollAlone?.milliseconds, connections: path.connections,
            catchUpRate: path.catchUpRate)
    }
}
