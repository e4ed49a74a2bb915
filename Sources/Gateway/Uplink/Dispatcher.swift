import AlarmProtocol

/// Decides which event goes over which path, and what a path's answer or silence means. Pure: input and time in, actions
/// out; the uplink carries them out. Times are milliseconds of a clock that never steps.
///
/// - Paths are used in order: the first that works carries the events (fail-over, and fall-back once it works again).
/// - A path that has kept an event waiting longer than `hesitation` is passed over: the next event goes over the next
///   path meanwhile, so that a dead path never delays a living one. An urgent event does not wait with it: it is sent
///   over the next path as well, under the same sequence number.
/// - A path whose last exchange failed is tried with link tests until it answers. Every second try is an event (a
///   receiver may not know link tests): any where no path can be trusted, else one that no other path can carry. A path
///   that answers takes over what waits on one that does not.
/// - A path that fails `attempts` times in a row is down: said once, over another path, and once when it is up again.
struct Dispatcher: Sendable {
    /// What a path must know of its settings.
    struct Rules: Sendable {
        var name: String
        var receiver: String
        var timeout: Int64
        var attempts: Int
        var poll: Int64
    }

    enum Work: Sendable, Equatable {
        case event(Int64)
        /// A link test: NULL.
        case poll
    }

    /// One frame out and its reply, on one path.
    struct Exchange: Sendable, Equatable {
        /// Grows by one for each; an answer to an older one is ignored.
        var number: Int
        var work: Work
        var started: Int64
        var deadline: Int64
        /// How often a NAK has made us correct the clock for this one.
        var corrections = 0
        /// It has been sent again because the connection turned out to have been closed by the other end.
        var wasRenewed = false
        /// It carries an event, also where that has meanwhile been delivered over another path.
        var carriesEvent = false
    }

    enum Input: Sendable, Equatable {
        /// The receiver's answer to an exchange.
        case acknowledged
        /// NAK: the receiver's time minus ours, in milliseconds; nil when it gave none.
        case wrongClock(offset: Int64?)
        /// DUH: understood as a frame, refused for good.
        case refused(why: String)
        /// The event cannot be said on this path at all; nothing was sent.
        case cannotBeSaid(why: String)
        /// The event is not there any more; nothing was sent.
        case vanished
        /// The event cannot be read from the disk at the moment; nothing was sent.
        case notNow
        /// Nothing came, or no connection; in words.
        case failed(why: String)
        /// The connection, kept from before, had been closed by the other end: not a failure.
        case connectionWasGone
    }

    enum Action: Sendable, Equatable {
        case send(path: Int, Exchange, clockOffset: Int64)
        /// Give up what runs on the path's connection and close it.
        case abandon(path: Int)
        case acknowledge(Int64, path: Int)
        case release(Int64)
        /// One receiver refused it for good; where all have, it is parked.
        case refuse(Int64, path: Int, why: String)
        case pathDown(Int, why: String, lastGood: Int64?)
        /// It answers: for the first time, or again.
        case pathUp(Int)
        /// The receiver goes on rejecting our time after `limit` corrections.
        case clockRejected(Int)
    }

    enum Health: Sendable, Equatable {
        case untried
        case working
        /// It failed, but not often enough to be called down.
        case failing(Int)
        case down(since: Int64)
    }

    struct Path: Sendable {
        var rules: Rules
        var health = Health.untried
        var exchange: Exchange?
        /// Not before this time.
        var nextTry: Int64 = 0
        var backOff: Int64 = 0
        var failures = 0
        var lastGood: Int64?
        var lastSent: Int64?
        var clockOffset: Int64 = 0
        var clockFault = false
        var lastFailure: String?
        /// How often in a row an event failed although the exchange before it had been answered. A receiver that answers
        /// link tests and no events is no way to the centre.
        var falseHopes = 0
        /// Twice at least: the first failure of a line that is cut looks the same.
        var givesFalseHopes: Bool { falseHopes >= max(2, rules.attempts) }
        /// Until when link tests alone do not make it trusted again, after too many of those.
        var mistrustedUntil: Int64 = 0
        /// It has been told down, and not up since.
        var isToldDown = false

        var isDown: Bool { if case .down = health { true } else { false } }
        /// Its last exchange did not fail: it may be given an event.
        var isTrusted: Bool { health == .working || health == .untried }
    }

    private(set) var paths: [Path]
    private var exchanges = 0

    /// A path that is silent for so long does not hold up the next event.
    static let hesitation: Int64 = 1000
    static let firstBackOff: Int64 = 500
    static let longestBackOff: Int64 = 10_000
    /// How long a path that answers link tests but no events is left out while another works.
    static let mistrust: Int64 = 60_000
    /// How often one message's clock is corrected before the path counts as failing.
    static let correctionLimit = 2

    init(_ rules: [Rules]) { paths = rules.map { Path(rules: $0) } }

    // MARK: What happened

    mutating func handle(_ input: Input, path: Int, exchange number: Int, now: Int64) -> [Action] {
        guard let exchange = paths[path].exchange, exchange.number == number else { return [] }
        switch input {
        case .acknowledged:
            paths[path].exchange = nil
            var actions = answered(exchange, path, now)
            if case .event(let id) = exchange.work {
                actions.append(.acknowledge(id, path: path))
                settleCopies(of: id)
            }
            paths[path].clockFault = false
            return actions
        case .wrongClock(let offset): return correct(exchange, path, by: offset, now)
        case .refused(let why):
            paths[path].exchange = nil
            var actions = answered(exchange, path, now)
            if case .event(let id) = exchange.work { actions.append(.refuse(id, path: path, why: why)) }
            return actions
        case .cannotBeSaid(let why):
            paths[path].exchange = nil
            guard case .event(let id) = exchange.work else { return [] }
            return [.refuse(id, path: path, why: why)]
        case .vanished:
            paths[path].exchange = nil
            return []
        case .notNow:
            paths[path].exchange = nil
            paths[path].nextTry = now + Self.firstBackOff
            guard case .event(let id) = exchange.work, carriers(of: id) == 0 else { return [] }
            return [.release(id)]
        case .failed(let why): return failed(exchange, path, why, now)
        case .connectionWasGone:
            guard !exchange.wasRenewed else {
                return failed(exchange, path, "the receiver closes the connection without an answer", now)
            }
            return [again(exchange, path) { $0.wasRenewed = true }]
        }
    }

    /// An urgent event has arrived: a path that is backing off is tried now, but at most once a second.
    mutating func hurry(now: Int64) {
        for index in paths.indices where paths[index].exchange == nil {
            paths[index].nextTry = min(paths[index].nextTry, max(now, (paths[index].lastSent ?? 0) + 1000))
        }
    }

    // MARK: What is to be done

    /// What the dispatcher asks of the outbox.
    struct Supply {
        /// The next event for a receiver over a path, marked as taken. With `leftOver`, only one that the paths before
        /// cannot carry (refused there, or pinned to this one); with a limit, only one more urgent than that.
        var take: (_ rules: Rules, _ leftOver: Bool, _ moreUrgentThan: Urgency?) -> Waiting.Taken?
        /// What an event that is on its way is worth by now; nil where this path may not carry it.
        var worth: (_ id: Int64, _ rules: Rules) -> Urgency?
    }

    /// Everything that is due now.
    mutating func decide(now: Int64, from supply: Supply) -> [Action] {
        var actions: [Action] = []
        for index in paths.indices {
            if let exchange = paths[index].exchange, now >= exchange.deadline {
                actions += failed(exchange, index, "no answer within \(paths[index].rules.timeout) ms", now)
            }
        }
        let anyTrusted = paths.contains { $0.isTrusted }
        // Events go over the first path that is trusted; one that has not answered for a while is passed over.
        var earlierCarries = false
        for index in paths.indices {
            let path = paths[index]
            if let exchange = path.exchange {
                if path.isTrusted, now - exchange.started < Self.hesitation { earlierCarries = true }
                continue
            }
            guard now >= path.nextTry else { continue }
            let event: Waiting.Taken?
            if path.isTrusted {
                let stranded = stranded(now, for: path.rules, supply)
                // A path that would take over a stranded event takes whatever is more urgent first.
                event = supply.take(path.rules, earlierCarries && stranded == nil, stranded?.urgency) ?? stranded
            } else {
                // Turn about: a link test, then an event where nobody else can take it.
                event = path.failures % 2 == 1 ? nil : supply.take(path.rules, anyTrusted, nil)
            }
            if let event {
                actions.append(begin(.event(event.id), index, now))
                if path.isTrusted { earlierCarries = true }
            } else if now >= nextPoll(path) {
                actions.append(begin(.poll, index, now))
            }
        }
        return actions
    }

    /// An event on a path that cannot be relied on: not trusted, or slow and the event urgent. A path that works sends
    /// it too; the receivers know it by its number, and the first ACK counts.
    private func stranded(_ now: Int64, for rules: Rules, _ supply: Supply) -> Waiting.Taken? {
        paths.compactMap { other -> Waiting.Taken? in
            guard let exchange = other.exchange, case .event(let id) = exchange.work, carriers(of: id) == 1,
                let urgency = supply.worth(id, rules)
            else { return nil }
            let isSlow = urgency <= .danger && now - exchange.started >= Self.hesitation
            return !other.isTrusted || isSlow ? Waiting.Taken(id: id, urgency: urgency) : nil
        }.min { ($0.urgency, $0.id) < ($1.urgency, $1.id) }
    }

    /// Over how many paths an event is on its way: two at most.
    func carriers(of id: Int64) -> Int { paths.count { $0.exchange?.work == .event(id) } }

    /// The event is delivered: what else is on its way with it only tells how its path is.
    private mutating func settleCopies(of id: Int64) {
        for index in paths.indices where paths[index].exchange?.work == .event(id) {
            paths[index].exchange?.work = .poll
        }
    }

    /// When `decide` has something to do again although nothing happens.
    func nextDeadline(now: Int64) -> Int64 {
        paths.map { path in
            if let exchange = path.exchange {
                let hesitation = exchange.started + Self.hesitation
                return hesitation > now ? min(exchange.deadline, hesitation) : exchange.deadline
            }
            return path.nextTry > now ? path.nextTry : nextPoll(path)
        }.min() ?? now + 60_000
    }

    private func nextPoll(_ path: Path) -> Int64 {
        guard path.health == .working, let last = path.lastGood else { return path.nextTry }
        return last + path.rules.poll
    }

    private mutating func begin(_ work: Work, _ path: Int, _ now: Int64) -> Action {
        exchanges += 1
        let exchange = Exchange(
            number: exchanges, work: work, started: now, deadline: now + paths[path].rules.timeout,
            carriesEvent: work != .poll)
        paths[path].exchange = exchange
        paths[path].lastSent = now
        return .send(path: path, exchange, clockOffset: paths[path].clockOffset)
    }

    /// The same message once more, under a new number, within the same time limit.
    private mutating func again(_ exchange: Exchange, _ path: Int, _ change: (inout Exchange) -> Void) -> Action {
        exchanges += 1
        var next = exchange
        next.number = exchanges
        change(&next)
        paths[path].exchange = next
        return .send(path: path, next, clockOffset: paths[path].clockOffset)
    }

    private mutating func correct(_ exchange: Exchange, _ path: Int, by offset: Int64?, _ now: Int64) -> [Action] {
        if let offset { paths[path].clockOffset = offset }
        if offset != nil, exchange.corrections < Self.correctionLimit {
            return [again(exchange, path) { $0.corrections += 1 }]
        }
        // A receiver that answers NAK to a link test whatever the time (some do) is alive all the same.
        if exchange.work == .poll {
            paths[path].exchange = nil
            return answered(exchange, path, now)
        }
        var actions: [Action] = []
        if !paths[path].clockFault {
            paths[path].clockFault = true
            actions.append(.clockRejected(path))
        }
        let why = offset == nil ? "the receiver says NAK and gives no time" : "the receiver rejects its own time"
        return actions + failed(exchange, path, why, now)
    }

    private mutating func answered(_ exchange: Exchange, _ path: Int, _ now: Int64) -> [Action] {
        let isFirst = paths[path].health == .untried
        paths[path].failures = 0
        paths[path].backOff = 0
        paths[path].nextTry = now
        paths[path].lastGood = now
        if exchange.carriesEvent {
            paths[path].falseHopes = 0
        } else if now < paths[path].mistrustedUntil {
            paths[path].nextTry = now + Self.longestBackOff
            return []
        }
        paths[path].health = .working
        // Also after a start: the path may have been told down by a daemon that was then cut off.
        guard isFirst || (paths[path].isToldDown && !paths[path].givesFalseHopes) else { return [] }
        paths[path].isToldDown = false
        return [.pathUp(path)]
    }

    private mutating func failed(_ exchange: Exchange, _ path: Int, _ why: String, _ now: Int64) -> [Action] {
        let wasTrusted = paths[path].health == .working
        paths[path].exchange = nil
        paths[path].failures += 1
        paths[path].lastFailure = why
        paths[path].backOff = min(max(Self.firstBackOff, paths[path].backOff * 2), Self.longestBackOff)
        paths[path].nextTry = now + paths[path].backOff
        if exchange.carriesEvent, wasTrusted {
            paths[path].falseHopes += 1
            if paths[path].givesFalseHopes {
                paths[path].mistrustedUntil = now + Self.mistrust
                paths[path].lastFailure = "link tests are answered, events are not: \(why)"
            }
        }
        var actions: [Action] = [.abandon(path: path)]
        if case .event(let id) = exchange.work, carriers(of: id) == 0 { actions.append(.release(id)) }
        if paths[path].failures >= paths[path].rules.attempts || paths[path].givesFalseHopes {
            if !paths[path].isDown { paths[path].health = .down(since: now) }
            guard !paths[path].isToldDown else { return actions }
            paths[path].isToldDown = true
            actions.append(
                .pathDown(path, why: paths[path].lastFailure ?? why, lastGood: paths[path].lastGood))
        } else {
            paths[path].health = .failing(paths[path].failures)
        }
        return actions
    }
}
