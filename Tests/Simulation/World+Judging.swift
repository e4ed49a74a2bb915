import AlarmProtocol
import CSimulatedDisk

@testable import Gateway

/// Checks while the world goes on, and at its end.
extension World {
    /// How long a path must have been well before anything can be asked of it, in milliseconds: the dispatcher mistrusts
    /// one that let it down for a minute, and tries every ten seconds.
    private static let convalescence: Int64 = 130_000
    /// Within how long fire and danger arrive where a path is well; and all else, where hardly anything waits.
    private static let urgentLimit: Int64 = 12_000
    private static let otherLimit: Int64 = 60_000
    /// After a second the dispatcher takes another path as well.
    private static let slowest: Int64 = 1200

    // MARK: Promises 4 and 10: in time

    func expectDelivery(of id: Int64) {
        guard let entry = ledger[id], entry.takenBy.isEmpty else { return }
        let isUrgent = entry.event.urgency <= .danger
        if !isUrgent, ledger.open.count > 3 { return }
        let (since, life) = (loop.time, lives)
        // Those of one point go one after the other, each at most a second on a path that works and is slow.
        let company = Int64(ledger.open.count) * Self.slowest
        let limit = isUrgent ? Self.urgentLimit + company : Self.otherLimit
        loop.afterOuter(limit) { [self] in
            checkDelivery(id, since, life, isUrgent)
        }
    }

    private func checkDelivery(_ id: Int64, _ since: Int64, _ life: Int, _ isUrgent: Bool) {
        guard let daemon, life == lives, !isDead, let entry = ledger[id], !entry.isEnded, entry.takenBy.isEmpty,
            entry.refusedBy.isEmpty, diskSoundSince.map({ $0 <= since }) ?? false
        else { return }
        let well = daemon.plan.paths.first {
            network($0.name).healthySince.map { $0 <= since - Self.convalescence } ?? false
        }
        guard let well, since - daemon.startedAt >= 0 else { return }
        // Older events of its own point go before it; one that was refused may still be there.
        let seconds = (loop.time - since) / 1000
        violate(
            isUrgent ? .fireFirst : .independent,
            "\(entry.what) has waited \(seconds) s, though path \(well.name) was well all the time")
    }

    // MARK: Promises 3 and 4: nothing less urgent goes first

    func checkUrgency(_ entry: Ledger.Entry, _ path: PathSettings) {
        guard let daemon, ledger.open.count > 1, entry.refusedBy.isEmpty, !entry.isVolatile else { return }
        let carried = Set(inFlight.values)
        guard !carried.contains(entry.id) else { return }
        var heads: [String: Ledger.Entry] = [:]
        // What a point's first is worth: as much as the most urgent behind it.
        var worths: [String: Urgency] = [:]
        for id in ledger.open {
            guard let other = ledger[id], !other.isEnded, daemon.outbox.isWaiting(id), other.refusedBy.isEmpty else {
                continue
            }
            worths[other.event.point] = min(worths[other.event.point] ?? .status, other.event.urgency)
            if let head = heads[other.event.point], head.id < id { continue }
            heads[other.event.point] = other
        }
        let busy = Set(carried.compactMap { daemon.outbox.isWaiting($0) ? ledger[$0]?.event.point : nil })
        let worth = worths[entry.event.point] ?? entry.event.urgency
        for head in heads.values where head.id != entry.id && head.event.point != entry.event.point {
            if busy.contains(head.event.point) { continue }
            let value = worths[head.event.point] ?? .status
            guard !carried.contains(head.id), head.storedAt < loop.time, value < worth else { continue }
            // Late ones go at the rate that was agreed; fire and danger do not wait for it.
            if path.catchUpRate != nil, value > .danger, daemon.outbox.isLate(head.id) { continue }
            violate(
                value == .fire ? .fireFirst : .ordered,
                "\(entry.what) was sent on path \(path.name) while \(head.what), worth \(value), waited")
            return
        }
    }

    /// What is on its way on another connection, and is no copy of this one.
    func checkCompany(of entry: Ledger.Entry) {
        guard let daemon else { return }
        for id in inFlight.values where id != entry.id && daemon.outbox.isWaiting(id) {
            guard let other = ledger[id], other.event.point == entry.event.point, other.refusedBy.isEmpty else {
                continue
            }
            violate(.ordered, "\(entry.what) was sent while event \(id) of the same point was on its way")
        }
    }

    // MARK: Promise 5: never silent

    func expectPathDown(_ path: PathSettings) {
        guard let daemon else { return }
        let (since, life) = (loop.time, lives)
        let attempt = path.timeout.milliseconds + Dispatcher.longestBackOff
        let limit = path.poll.milliseconds + Int64(path.attempts + 1) * attempt + 60_000
        guard daemon.plan.paths.contains(where: { $0.name == path.name }) else { return }
        loop.afterOuter(limit) { [self] in
            let summary = self.daemon?.outbox.summary()
            let unsent = (summary?.waiting ?? 0) + (summary?.parked ?? 0)
            guard let daemon = self.daemon, life == lives, !isDead, network(path.name).deadSince == since,
                diskSoundSince.map({ $0 <= since }) ?? false, unsent < daemon.plan.limits.waitingEvents / 2
            else { return }
            if daemon.intake.state(of: "path.\(path.name)") != true {
                violate(.neverSilent, "path \(path.name) has been dead for \(limit / 1000) s, and no event says so")
            }
        }
    }

    func checkStart(_ event: Event) {
        let saysCutOff = event.text.contains("cut off")
        if wasKilled, lastLifeStored, !saysCutOff {
            violate(.neverSilent, "larmnod was cut off, and says that it had been stopped in good order")
        }
    }

    // MARK: Promise 6: limits

    func checkLimits() {
        guard let daemon else { return }
        let summary = daemon.outbox.summary()
        let unsent = summary.waiting + summary.parked
        if unsent > daemon.plan.limits.waitingEvents {
            violate(.bounded, "\(unsent) events wait or are parked, the limit is \(daemon.plan.limits.waitingEvents)")
        }
    }

    // MARK: The end

    /// A trouble that was told has not been told to be over.
    private func stands(_ point: String) -> Bool { !isForgotten(point) && ledger.states[point]?.active ?? false }

    /// What was told last of it lay in memory only, and a cut may have taken it: nothing on the board remembers.
    private func isForgotten(_ point: String) -> Bool { ledger.uncertain.contains(point) }

    func judgeTheEnd() {
        guard let daemon, !isDead else { return violate(.delivered, "larmnod does not run at the end") }
        settle()
        absorb()
        for id in ledger.open.sorted() {
            guard let entry = ledger[id] else { continue }
            violate(
                .delivered,
                "\(entry.what), stored at \(Trace.clock(entry.storedAt)), \(entry.takenBy.isEmpty ? "never reached a receiver" : "still waits though \(entry.takenBy.sorted()) took it")"
            )
        }
        for entry in ledger.entries.values.sorted(by: { $0.id < $1.id })
        where entry.takenBy.isEmpty && entry.refusedBy.isEmpty && !entry.isWithdrawn && !ledger.open.contains(entry.id)
        {
            violate(
                .delivered, "\(entry.what), stored at \(Trace.clock(entry.storedAt)), is gone, and no receiver has it")
        }
        for field in fields {
            for (point, active) in field.actual.sorted(by: { $0.key < $1.key })
            where !isForgotten("\(field.name).\(point)")
                && (ledger.states["\(field.name).\(point)"]?.active ?? false) != active
            {
                violate(
                    .neverSilent,
                    "\(field.name).\(point) is \(active ? "active" : "at rest"), and the last that was told is the opposite"
                )
            }
            for text in field.promised where !ledger.holds(text: text) {
                violate(.durable, "the panel was told that \"\(text)\" was received, and it is nowhere")
            }
            if !daemon.outbox.kept(of: field.name).isEmpty {
                violate(.neverSilent, "\(field.name): what was kept is still not told")
            }
            for call in field.calls { violate(.neverSilent, "the panel is still not rid of \"\(call.text)\"") }
            if stands(field.name + ".fault") {
                violate(.neverSilent, "\(field.name) answers, and still counts as lost")
            }
        }
        for path in daemon.plan.paths where stands("path.\(path.name)") {
            violate(.neverSilent, "path \(path.name) is well, and still counts as down")
        }
        for point in ["larmnod.disk", "larmnod.queue", "larmnod.clock"] where stands(point) {
            violate(.neverSilent, "the trouble of \(point) is over, and its end was not told")
        }
        if !isNewStore, ledger.entries.values.contains(where: { $0.event.point == "larmnod.store" }) {
            violate(.durable, "the store counts as damaged, and nothing but power cuts and refused writes befell it")
        }
        let frames = figures.events * 60 + Int(loop.time / 1000)
        if figures.frames > frames { violate(.bounded, "\(figures.frames) frames for \(figures.events) events") }
    }
}
