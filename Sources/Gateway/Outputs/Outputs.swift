import AlarmProtocol
import Drivers
import Synchronization

/// Keeps what outputs are judged by in step with the rest of the daemon, in memory: nothing here waits for a disk or a
/// network. Told by the uplink (paths), the intake (states, events), the outbox (acknowledgements) and housekeeping;
/// asked by the drivers that have outputs, each on its own thread.
final class Outputs: Sendable {
    private struct State {
        var pathsWork: [Bool?]
        var activePoints: Set<String>
        var troubles: Set<String>
        var watch: ReceptionWatch
        var isTesting = false
        var hasParked = false
        var someoneHangs = false
        /// What waited when the daemon started has been looked through.
        var hasLookedBack = false
    }

    private let outbox: Outbox
    private let clock: @Sendable () -> Moment
    /// The threads without which no alarm goes out.
    private let vital: [LifeSign]
    private let keeperSign: LifeSign
    private let points: [String: Point]
    private let names: TroubleNames
    private let state: Mutex<State>
    private let devices: [String: DeviceOutputs.Lines]

    init(_ site: Site, outbox: Outbox, uplinkSign: LifeSign, clock: @escaping @Sendable () -> Moment) {
        self.outbox = outbox
        self.clock = clock
        keeperSign = LifeSign(clock())
        vital = [uplinkSign, keeperSign]
        points = Dictionary(site.points.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        names = TroubleNames(site)
        var watched: [String: Int64?] = [:]
        for point in site.points { if let limit = point.receivedWithin { watched[point.name] = limit.milliseconds } }
        for output in site.outputs {
            if case .received(let point) = output.shows, watched[point] == nil { watched[point] = .some(nil) }
        }
        let active = outbox.lastStates().filter(\.value).map(\.key)
        var watch = ReceptionWatch(watched)
        for name in active where name.hasSuffix(Self.overdue) {
            watch.resumeTold(String(name.dropLast(Self.overdue.count)))
        }
        state = Mutex(
            State(
                pathsWork: Array(repeating: nil, count: site.paths.count),
                activePoints: Set(active.filter { [points] in points[$0] != nil }),
                troubles: Set(active.filter { [names] in names.isTrouble($0) }), watch: watch))
        devices = Dictionary(
            site.devices.filter { !$0.outputs.isEmpty }.map { ($0.name, DeviceOutputs.Lines($0)) },
            uniquingKeysWith: { first, _ in first })
    }

    /// What a point's name is followed by in the name of its state "overdue".
    static let overdue = ".overdue"

    // MARK: For drivers

    /// A device's outputs; nil where it has none.
    func of(_ device: Device) -> DeviceOutputs? { devices[device.name].map { DeviceOutputs($0, of: self) } }

    func isOn(_ output: Output) -> Bool { condition().isOn(output.shows) }

    /// How the site is at this moment.
    func condition() -> SiteCondition {
        let now = clock()
        let takesNothing = outbox.takesNothing
        let isSilent = vital.contains { $0.silence(at: now) > Housekeeping.longestSilence }
        return state.withLock { state in
            SiteCondition(
                pathsWork: state.pathsWork, storeTakesNothing: takesNothing,
                isOverdue: state.watch.isOverdue(at: now.uptime), isHanging: isSilent || state.someoneHangs,
                isTesting: state.isTesting, hasTrouble: !state.troubles.isEmpty || state.hasParked,
                activePoints: state.activePoints, receivedPoints: state.watch.received)
        }
    }

    /// The points that wait for an acknowledgement longer than they may.
    var overduePoints: [String] {
        let now = clock().uptime
        return state.withLock { $0.watch.overduePoints(at: now) }
    }

    private func change(_ body: (inout State) -> Void) {
        state.withLock { body(&$0) }
        for lines in devices.values { lines.ring() }
    }

    // MARK: What happened

    /// How the paths are, in their order. One that has failed, but not often enough to be called down, is as it was.
    func pathsChanged(_ paths: [PathState]) {
        change { state in
            for (index, path) in paths.enumerated() where state.pathsWork.indices.contains(index) {
                if path.isDown { state.pathsWork[index] = false } else if path.works { state.pathsWork[index] = true }
            }
        }
    }

    func setTesting(_ isTesting: Bool) { change { $0.isTesting = isTesting } }

    /// Events are on disk, under these identifiers.
    func stored(_ events: [NewEvent], _ ids: [Int64]) {
        let now = clock().uptime
        var begun: [Int64] = []
        change { state in
            for (id, new) in zip(ids, events) {
                note(new, &state)
                guard state.watch.watches(new.event.point), let point = points[new.event.point] else { continue }
                if new.event.isBeginning(of: point.kind) {
                    state.watch.began(id, of: point.name, since: min(now, new.event.occurred.uptime))
                    begun.append(id)
                } else if new.active == false || new.event.isEnd(of: point.kind) {
                    state.watch.rests(point.name)
                }
            }
        }
        // A receiver may have been quicker than we.
        for id in begun where !outbox.isWaiting(id) { lookAgain(at: id) }
    }

    private func note(_ new: NewEvent, _ state: inout State) {
        guard let active = new.active else { return }
        if points[new.event.point] != nil {
            if active { state.activePoints.insert(new.event.point) } else { state.activePoints.remove(new.event.point) }
        } else if names.isTrouble(new.event.point) {
            if active { state.troubles.insert(new.event.point) } else { state.troubles.remove(new.event.point) }
        }
    }

    /// The wait for an event is over. What every receiver refuses is not received: it goes on counting.
    func ended(_ id: Int64, _ outcome: StoredEvent.State) {
        switch outcome {
        case .waiting, .parked: return
        case .acknowledged, .discarded:
            change { $0.watch.ended(id, isAcknowledged: outcome == .acknowledged) }
        }
    }

    private func lookAgain(at id: Int64) { ended(id, outbox.event(id)?.state ?? .discarded) }

    // MARK: Housekeeping

    /// Once a second, on the housekeeping thread, whose sign of life it is.
    /// - Returns: what there is to tell the centre.
    func keep(_ now: Moment, someoneHangs: Bool) -> [BoxTrouble] {
        keeperSign.show(now)
        if !state.withLock(\.hasLookedBack) { lookBack(now) }
        let hasParked = outbox.hasParked
        let overdue = state.withLock { state in
            state.someoneHangs = someoneHangs
            state.hasParked = hasParked
            return state.watch.overdueEvents(at: now.uptime)
        }
        // Also one that a damaged store has lost.
        for id in overdue where !outbox.isWaiting(id) { lookAgain(at: id) }
        let changes = state.withLock { $0.watch.changes(at: now.uptime) }
        return changes.compactMap { event($0, now) }.map { .made($0) }
    }

    private func event(_ change: ReceptionWatch.Change, _ now: Moment) -> NewEvent? {
        guard let point = points[change.point] else { return nil }
        let codes = Kinds.transmissionOverdue.saying(began: change.isOverdue)
        let what = point.text.isEmpty ? point.name : point.text
        let limit = Duration.milliseconds(change.limit).described
        let words: String
        switch (change.isOverdue, change.isAgeKnown, change.wasAcknowledged) {
        case (true, true, _): words = "not acknowledged within \(limit)"
        case (true, false, _): words = "not acknowledged within \(limit) of a start; how long before is not known"
        case (false, _, true): words = "acknowledged after all"
        case (false, _, false): words = "waits no longer, not acknowledged"
        }
        return NewEvent(
            Event(
                account: point.account, point: point.name + Self.overdue, partition: point.partition, zone: point.zone,
                sia: codes.sia, contactID: codes.contactID, qualifier: codes.qualifier, urgency: codes.urgency,
                text: "\(what): \(words)".limited, occurred: now),
            active: change.isOverdue)
    }

    /// How many events are read at a time when what waited at the start is looked through.
    private static let page = 500

    /// What waits since before the start: how old it is; and which alarms that stand have been acknowledged.
    private func lookBack(_ now: Moment) {
        let last = outbox.lastEvents()
        for point in points.keys where state.withLock({ $0.watch.watches(point) && $0.activePoints.contains(point) }) {
            guard let id = last[point], let event = outbox.event(id) else { continue }
            change { $0.watch.resume(id, of: point, isReceived: event.state == .acknowledged) }
        }
        var after = (outbox.summary().oldest ?? .max) - 1
        while true {
            let some = outbox.list(after: after, limit: Self.page)
            guard let next = some.last?.id else { break }
            for event in some where event.state == .waiting { lookBack(at: event, last, now) }
            after = next
        }
        for id in outbox.parkedEvents { if let event = outbox.event(id) { lookBack(at: event, last, now) } }
        change { $0.hasLookedBack = true }
    }

    private func lookBack(at stored: StoredEvent, _ last: [String: Int64], _ now: Moment) {
        guard let point = points[stored.event.point], stored.event.isBeginning(of: point.kind) else { return }
        let age = ReceptionWatch.age(of: stored, boot: outbox.boot, now: now)
        change {
            // A call has no state: the newest that waits is the present one.
            $0.watch.began(
                stored.id, of: point.name, since: age.since, isAgeKnown: age.isKnown,
                isPresent: last[point.name] == nil)
        }
        if !outbox.isWaiting(stored.id) { lookAgain(at: stored.id) }
    }
}

extension Event {
    /// It says that a point of this kind has come into its state: no fault of the point, no test of it.
    fileprivate func isBeginning(of kind: EventKind) -> Bool {
        let codes = kind.saying(began: true)
        return sia == codes.sia && contactID == codes.contactID && qualifier == codes.qualifier
    }

    fileprivate func isEnd(of kind: EventKind) -> Bool {
        let codes = kind.saying(began: false)
        return sia == codes.sia && contactID == codes.contactID && qualifier == codes.qualifier
    }
}
