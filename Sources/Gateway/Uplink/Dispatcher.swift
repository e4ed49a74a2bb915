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
/// - A path on which an event has failed is left out until that event is delivered, even if it answers link tests, as
///   long as another carries well: else an event would go to and fro between two that carry none.
/// - A path that fails `attempts` times in a row is down: said once, over another path, and once when it is up again; of
///   a path that goes up and down all the time, the ups are told only once they last.
/// - Each path is polled on its own timer; while the primary path (the first) is down, the others at its interval.
/// - A path may have several connections, its lanes. The first carries link tests and events like a path with only one;
///   the others carry events as long as the path works. One of them failing says nothing of the path: it rests.
/// - Late events, of before an outage, go at the rate that the receiver agreed to. Fire and danger do not wait for it.
struct Dispatcher: Sendable {
    /// What a path must know of its settings.
    struct Rules: Sendable {
        var name: String
        var receiver: String
        var timeout: Int64
        var attempts: Int
        var poll: Int64
        /// The interval of link tests while the primary path is down; nil: the same.
        var pollAlone: Int64?
        var connections = 1
        /// Late events a second; nil: no limit.
        var catchUpRate: Int?
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
        /// Over which of the path's connections, from 0.
        var lane = 0
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
        /// The event is not there any more, or has been set aside; nothing was sent.
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
        /// Give up what runs on one of the path's connections and close it.
        case abandon(path: Int, lane: Int = 0)
        case acknowledge(Int64, path: Int)
        case release(Int64)
        /// One receiver refused it for good; where all have, it is parked.
        case refuse(Int64, path: Int, why: String)
        case pathDown(Int, why: String, lastGood: Int64?)
        /// It answers: for the first time, or again after it has been told down at a time.
        case pathUp(Int, downSince: Int64? = nil)
        /// The receiver goes on rejecting our time after `limit` corrections.
        case clockRejected(Int)
        /// It takes our time again.
        case clockAccepted(Int)
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
        /// What is on its way, on each connection.
        var lanes: [Exchange?]
        /// The other lanes are left alone until then, after one of them failed.
        var lanesRestUntil: Int64 = 0
        /// Not before this time.
        var nextTry: Int64 = 0
        var backOff: Int64 = 0
        var failures = 0
        var lastGood: Int64?
        var lastSent: Int64?
        var clockOffset: Int64 = 0
        var clockFault = ClockFault()
        var lastFailure: String?
        /// How often in a row an event failed although the exchange before it had been answered. A receiver that answers
        /// link tests and no events is no way to the centre.
        var falseHopes = 0
        /// Twice at least: the first failure of a line that is cut looks the same.
        var givesFalseHopes: Bool { falseHopes >= max(2, rules.attempts) }
        /// The event that failed on it, and until when it is left out for that at the latest, while another carries well.
        var doubt: (event: Int64, until: Int64)?
        /// Until when link tests alone do not make it trusted again, after too many of those.
        var mistrustedUntil: Int64 = 0
        /// When it was told down, if it has not been told up since.
        var toldDown: Int64?
        /// When it was told down within the last hour, the latest of them.
        var recentFalls: [Int64] = []
        var worksSince: Int64 = 0

        init(rules: Rules) {
            self.rules = rules
            lanes = Array(repeating: nil, count: max(1, rules.connections))
        }

        /// What is on its way on the first connection.
        var exchange: Exchange? { lanes[0] }
        func lane(of number: Int) -> Int? { lanes.firstIndex { $0?.number == number } }

        /// How long it must have worked before it is told up: the more often it fell of late, the longer. Where it gave
        /// false hopes and has not carried an event since, as an alternate path has no chance to, longest of all.
        var probation: Int64 {
            if givesFalseHopes { return Dispatcher.longestProbation }
            let often = recentFalls.count - Dispatcher.freeFalls
            return often <= 0 ? 0 : min(Dispatcher.firstProbation << Int64(often - 1), Dispatcher.longestProbation)
        }

        var isDown: Bool { if case .down = health { true } else { false } }
        /// Its last exchange did not fail: it may be given an event.
        var isTrusted: Bool { health == .working || health == .untried }
    }

    private(set) var paths: [Path]
    private var exchanges = 0
    /// When a receiver may be sent its next late event, in microseconds.
    private var nextLate: [String: Int64] = [:]

    /// A path that is silent for so long does not hold up the next event.
    static let hesitation: Int64 = 1000
    static let firstBackOff: Int64 = 500
    static let longestBackOff: Int64 = 10_000
    /// How long a path is left out at most on which an event has failed, while another carries well: so long, and until
    /// each path may have failed with it once.
    static let longestDoubt: Int64 = 10_000
    /// How long link tests alone do not make a path trusted that answers them and no events.
    static let mistrust: Int64 = 60_000
    /// How often one message's clock is corrected before the path counts as failing.
    static let correctionLimit = 2
    /// How long a path's further connections are left alone when one of them has failed.
    static let lanesRest: Int64 = 60_000
    /// A path that was told down more often than this within an hour is told up only after it has worked for a minute, two,
    /// four, up to half an hour: two events for each, and no more than some twenty an hour.
    static let freeFalls = 4
    static let firstProbation: Int64 = 60_000
    static let longestProbation: Int64 = 1_800_000
    /// How much the sending of late events may lag behind its rate and still make up for it, in microseconds.
    static let catchUpCredit: Int64 = 100_000

    init(_ rules: [Rules]) { paths = rules.map { Path(rules: $0) } }

    // MARK: What happened

    mutating func handle(_ input: Input, path: Int, exchange number: Int, now: Int64) -> [Action] {
        guard let lane = paths[path].lane(of: number), let exchange = paths[path].lanes[lane] else { return [] }
        switch input {
        case .acknowledged:
            paths[path].lanes[lane] = nil
            var actions = answered(exchange, path, now)
            if case .event(let id) = exchange.work {
                actions.append(.acknowledge(id, path: path))
                settleCopies(of: id)
            }
            if paths[path].clockFault.taken(withEvent: exchange.carriesEvent, now) {
                actions.append(.clockAccepted(path))
            }
            return actions
        case .wrongClock(let offset): return correct(exchange, path, by: offset, now)
        case .refused(let why):
            paths[path].lanes[lane] = nil
            var actions = answered(exchange, path, now)
            if case .event(let id) = exchange.work { actions.append(.refuse(id, path: path, why: why)) }
            return actions
        case .cannotBeSaid(let why):
            paths[path].lanes[lane] = nil
            guard case .event(let id) = exchange.work else { return [] }
            return [.refuse(id, path: path, why: why)]
        case .vanished:
            paths[path].lanes[lane] = nil
            return []
        case .notNow:
            paths[path].lanes[lane] = nil
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
        /// The next event for a receiver over a path, marked as taken.
        var take: (_ rules: Rules, _ wanted: Wanted) -> Waiting.Taken?
        /// What an event that is on its way is worth by now; nil where this path may not carry it.
        var worth: (_ id: Int64, _ rules: Rules) -> Urgency?
    }

    /// Which events will do.
    struct Wanted: Equatable {
        /// Only one that the paths before cannot carry (refused there, or pinned to this one).
        var leftOver = false
        var moreUrgentThan: Urgency?
        /// None that is late, but fire and danger.
        var withoutLate = false
    }

    /// Everything that is due now.
    mutating func decide(now: Int64, from supply: Supply) -> [Action] {
        var actions: [Action] = []
        for index in paths.indices {
            for case let exchange? in paths[index].lanes where now >= exchange.deadline {
                actions += failed(exchange, index, "no answer within \(paths[index].rules.timeout) ms", now)
            }
            actions += tellRecovery(index, now)
        }
        // What has just been given up may be the most urgent of all: it is free again before anything else is taken.
        guard actions.isEmpty else { return actions }
        let anyTrusted = paths.contains { $0.isTrusted }
        // Events go over the first path that is trusted; one that has not answered for a while is passed over.
        var earlierCarries = false
        for index in paths.indices {
            if paths[index].exchange == nil, now >= paths[index].nextTry {
                if let event = next(for: index, now, supply, anyTrusted: anyTrusted, earlierCarries: earlierCarries) {
                    actions.append(begin(.event(event.id), index, lane: 0, now))
                } else if now >= nextPoll(index) {
                    actions.append(begin(.poll, index, lane: 0, now))
                }
            }
            actions += fillLanes(of: index, now, supply, earlierCarries: earlierCarries)
            if paths[index].isTrusted, !isLeftOut(index, now), carries(index, now) { earlierCarries = true }
        }
        return actions
    }

    private func carries(_ index: Int, _ now: Int64) -> Bool {
        paths[index].lanes.contains { $0.map { $0.carriesEvent && now - $0.started < Self.hesitation } ?? false }
            || paths[index].exchange.map { now - $0.started < Self.hesitation } ?? false
    }

    /// An event has failed on it and is not delivered yet, and another path carries well.
    private func isLeftOut(_ index: Int, _ now: Int64) -> Bool {
        guard let doubt = paths[index].doubt, now < doubt.until else { return false }
        return paths.contains {
            $0.isTrusted && $0.falseHopes == 0 && ($0.exchange.map { now - $0.started < Self.hesitation } ?? true)
        }
    }

    /// The event for a path's first connection.
    private mutating func next(
        for index: Int, _ now: Int64, _ supply: Supply, anyTrusted: Bool, earlierCarries: Bool
    ) -> Waiting.Taken? {
        let rules = paths[index].rules
        guard paths[index].isTrusted else {
            // Turn about: a link test, then an event where nobody else can take it.
            return paths[index].failures % 2 == 1 ? nil : take(Wanted(leftOver: anyTrusted), rules, now, supply)
        }
        if isLeftOut(index, now) { return take(Wanted(leftOver: true), rules, now, supply) }
        let stranded = stranded(now, for: rules, supply)
        // A path that would take over a stranded event takes whatever is more urgent first.
        let wanted = Wanted(leftOver: earlierCarries && stranded == nil, moreUrgentThan: stranded?.urgency)
        return take(wanted, rules, now, supply) ?? stranded
    }

    /// Events for a working path's other connections.
    private mutating func fillLanes(of index: Int, _ now: Int64, _ supply: Supply, earlierCarries: Bool) -> [Action] {
        guard paths[index].lanes.count > 1, paths[index].health == .working, paths[index].exchange != nil,
            now >= paths[index].lanesRestUntil
        else { return [] }
        var actions: [Action] = []
        for lane in paths[index].lanes.indices.dropFirst() where paths[index].lanes[lane] == nil {
            guard let event = take(Wanted(leftOver: earlierCarries), paths[index].rules, now, supply) else { break }
            actions.append(begin(.event(event.id), index, lane: lane, now))
        }
        return actions
    }

    /// The next event, late ones at their rate.
    private mutating func take(_ wanted: Wanted, _ rules: Rules, _ now: Int64, _ supply: Supply) -> Waiting.Taken? {
        guard let rate = rules.catchUpRate else { return supply.take(rules, wanted) }
        var wanted = wanted
        let due = nextLate[rules.receiver] ?? 0
        wanted.withoutLate = now * 1000 < due
        let taken = supply.take(rules, wanted)
        if taken?.isLate ?? false {
            nextLate[rules.receiver] = max(due, now * 1000 - Self.catchUpCredit) + 1_000_000 / Int64(rate)
        }
        return taken
    }

    /// An event on a path that cannot be relied on: not trusted, or slow and the event urgent. A path that works sends
    /// it too; the receivers know it by its number, and the first ACK counts.
    private func stranded(_ now: Int64, for rules: Rules, _ supply: Supply) -> Waiting.Taken? {
        var found: [Waiting.Taken] = []
        for other in paths {
            for case let exchange? in other.lanes {
                guard case .event(let id) = exchange.work, carriers(of: id) == 1, let urgency = supply.worth(id, rules)
                else { continue }
                let isSlow = urgency <= .danger && now - exchange.started >= Self.hesitation
                if !other.isTrusted || isSlow { found.append(Waiting.Taken(id: id, urgency: urgency)) }
            }
        }
        return found.min { ($0.urgency, $0.id) < ($1.urgency, $1.id) }
    }

    /// Over how many paths an event is on its way: two at most.
    func carriers(of id: Int64) -> Int {
        paths.reduce(0) { $0 + $1.lanes.count { $0?.work == .event(id) } }
    }

    /// The events that are on their way.
    var inFlight: Set<Int64> {
        Set(paths.flatMap(\.lanes).compactMap { if case .event(let id)? = $0?.work { id } else { nil } })
    }

    /// The event is delivered: what else is on its way with it only tells how its path is.
    private mutating func settleCopies(of id: Int64) {
        for index in paths.indices {
            if paths[index].doubt?.event == id { paths[index].doubt = nil }
            for lane in paths[index].lanes.indices where paths[index].lanes[lane]?.work == .event(id) {
                paths[index].lanes[lane]?.work = .poll
            }
        }
    }

    /// When `decide` has something to do again although nothing happens.
    func nextDeadline(now: Int64) -> Int64 {
        var next = now + 60_000
        for index in paths.indices {
            let path = paths[index]
            for case let exchange? in path.lanes {
                let hesitation = exchange.started + Self.hesitation
                next = min(next, hesitation > now ? min(exchange.deadline, hesitation) : exchange.deadline)
            }
            if path.exchange == nil { next = min(next, path.nextTry > now ? path.nextTry : nextPoll(index)) }
            if path.toldDown != nil, path.health == .working {
                next = min(next, path.worksSince + path.probation)
            }
            // Something late may wait for its turn.
            if let late = nextLate[path.rules.receiver], late > now * 1000 { next = min(next, (late + 999) / 1000) }
        }
        return next
    }

    private func nextPoll(_ index: Int) -> Int64 {
        let path = paths[index]
        guard path.health == .working, let last = path.lastGood else { return path.nextTry }
        let interval = index > 0 && paths[0].isDown ? path.rules.pollAlone : nil
        return last + min(path.rules.poll, interval ?? path.rules.poll)
    }

    private mutating func begin(_ work: Work, _ path: Int, lane: Int, _ now: Int64) -> Action {
        exchanges += 1
        let exchange = Exchange(
            number: exchanges, lane: lane, work: work, started: now, deadline: now + paths[path].rules.timeout,
            carriesEvent: work != .poll)
        paths[path].lanes[lane] = exchange
        paths[path].lastSent = now
        return .send(path: path, exchange, clockOffset: paths[path].clockOffset)
    }

    /// The same message once more, under a new number, within the same time limit.
    private mutating func again(_ exchange: Exchange, _ path: Int, _ change: (inout Exchange) -> Void) -> Action {
        exchanges += 1
        var next = exchange
        next.number = exchanges
        change(&next)
        paths[path].lanes[exchange.lane] = next
        return .send(path: path, next, clockOffset: paths[path].clockOffset)
    }

    private mutating func correct(_ exchange: Exchange, _ path: Int, by offset: Int64?, _ now: Int64) -> [Action] {
        if let offset { paths[path].clockOffset = offset }
        if offset != nil, exchange.corrections < Self.correctionLimit {
            return [again(exchange, path) { $0.corrections += 1 }]
        }
        // A receiver that answers NAK to a link test whatever the time (some do) is alive all the same.
        if exchange.work == .poll {
            paths[path].lanes[exchange.lane] = nil
            return answered(exchange, path, now)
        }
        var actions: [Action] = []
        if paths[path].clockFault.rejected(now) { actions.append(.clockRejected(path)) }
        let why = offset == nil ? "the receiver says NAK and gives no time" : "the receiver rejects its own time"
        return actions + failed(exchange, path, why, now)
    }

    private mutating func answered(_ exchange: Exchange, _ path: Int, _ now: Int64) -> [Action] {
        // Also after a start: the path may have been told down by a daemon that was then cut off.
        let isFirst = paths[path].lastGood == nil && paths[path].toldDown == nil
        paths[path].failures = 0
        paths[path].backOff = 0
        paths[path].nextTry = now
        paths[path].lastGood = now
        if exchange.carriesEvent {
            paths[path].falseHopes = 0
            paths[path].doubt = nil
        } else if now < paths[path].mistrustedUntil {
            paths[path].nextTry = now + Self.longestBackOff
            return []
        }
        if paths[path].health != .working { paths[path].worksSince = now }
        paths[path].health = .working
        return isFirst ? [.pathUp(path)] : tellRecovery(path, now)
    }

    private mutating func tellRecovery(_ path: Int, _ now: Int64) -> [Action] {
        guard let since = paths[path].toldDown, paths[path].health == .working,
            now - paths[path].worksSince >= paths[path].probation
        else { return [] }
        paths[path].toldDown = nil
        return [.pathUp(path, downSince: since)]
    }

    private mutating func failed(_ exchange: Exchange, _ path: Int, _ why: String, _ now: Int64) -> [Action] {
        paths[path].lanes[exchange.lane] = nil
        var actions: [Action] = [.abandon(path: path, lane: exchange.lane)]
        if case .event(let id) = exchange.work, carriers(of: id) == 0 { actions.append(.release(id)) }
        guard exchange.lane == 0 else {
            // The receiver may not take so many connections. Whether the path works, the first one tells.
            paths[path].lanesRestUntil = now + Self.lanesRest
            return actions
        }
        let wasTrusted = paths[path].health == .working
        paths[path].failures += 1
        paths[path].lastFailure = why
        paths[path].backOff = min(max(Self.firstBackOff, paths[path].backOff * 2), Self.longestBackOff)
        paths[path].nextTry = now + paths[path].backOff
        if exchange.carriesEvent, wasTrusted {
            paths[path].falseHopes += 1
            if case .event(let id) = exchange.work {
                paths[path].doubt = (id, now + paths.reduce(Self.longestDoubt) { $0 + $1.rules.timeout })
            }
            if paths[path].givesFalseHopes {
                paths[path].mistrustedUntil = now + Self.mistrust
                paths[path].lastFailure = "link tests are answered, events are not: \(why)"
            }
        }
        guard paths[path].failures >= paths[path].rules.attempts || paths[path].givesFalseHopes else {
            paths[path].health = .failing(paths[path].failures)
            return actions
        }
        if !paths[path].isDown { paths[path].health = .down(since: now) }
        guard paths[path].toldDown == nil else { return actions }
        paths[path].toldDown = now
        let hour: Int64 = 3_600_000
        paths[path].recentFalls = paths[path].recentFalls.filter { now - $0 < hour } + [now]
        return actions
            + [.pathDown(path, why: paths[path].lastFailure ?? why, lastGood: paths[path].lastGood)]
    }
}
