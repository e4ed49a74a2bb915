import AlarmProtocol
import CSimulatedDisk

@testable import Gateway

/// Keeping the ledger: what was stored, sent, taken and given up, and whether it was right.
extension World {
    /// Notes what has been stored since the last time.
    func absorb() {
        guard let daemon, !disk_is_dead() else { return }
        let isVolatile = daemon.outbox.summary().trouble != nil
        while true {
            let news = daemon.outbox.list(after: ledger.lastID, limit: 100)
            for stored in news { note(stored, isVolatile) }
            if news.count < 100 { break }
        }
        if !isVolatile { remember(daemon) }
    }

    private func note(_ stored: StoredEvent, _ isVolatile: Bool) {
        stirred()
        if !isVolatile { hasStored = true }
        // A file that was being made when the power was cut is empty, and may have been anything.
        if stored.event.point == "larmnod.store", !hasEverStored { isNewStore = true }
        if !isVolatile, stored.event.point != "larmnod.start" { hasEverStored = true }
        figures.events += 1
        let happenedAt = box.time(ofUptime: stored.event.occurred.uptime, bootedAt: bootTimes[stored.boot])
        var entry = Ledger.Entry(
            id: stored.id, event: stored.event, active: stored.active, storedAt: loop.time, boot: stored.boot,
            happenedAt: happenedAt)
        entry.isVolatile = isVolatile
        if isVolatile { toldFromMemory.insert(entry.event.point) }
        note("stored\(isVolatile ? " in memory" : ""): \(entry.what), \"\(stored.event.text)\"")
        watchForSecrets(stored.event.text, entry.what)
        if stored.event.occurred.clock == .known {
            let right = box.clockErrors(at: happenedAt).map { box.beginning + happenedAt + $0 }
            if !right.contains(stored.event.occurred.utc) {
                violate(
                    .honestTime,
                    "\(entry.what) happened at \(right) by the board's clock, stored as \(stored.event.occurred.utc)")
            }
        }
        if let before = ledger.told(stored.event.text), !before.isVolatile,
            fields.contains(where: { $0.tellsOnce(stored.event.text) })
        {
            violate(.restart, "\(entry.what) tells again what was kept and told before: \"\(stored.event.text)\"")
        }
        if !ledger.add(entry) {
            violate(.restart, "\(entry.what) tells a state that had been told before: \"\(stored.event.text)\"")
        }
        if stored.event.text.contains("started after it was cut off") || stored.event.text == "larmnod started" {
            checkStart(stored.event)
        }
        expectDelivery(of: entry.id)
    }

    /// After a start: what was there before must be there still.
    func reconcile(with daemon: Daemon) {
        let (waiting, parked) = daemon.outbox.queue.withLock { (Set($0.waiting.all), $0.parked) }
        for id in ledger.open.sorted() {
            guard let entry = ledger[id] else { continue }
            let stored = daemon.outbox.event(id)
            guard stored?.event.said != entry.event.said else { continue }
            if entry.isVolatile {
                ledger.change(id) {
                    $0.isWithdrawn = $0.takenBy.isEmpty
                    $0.isEnded = true
                }
            } else if entry.frames > 0 {
                violate(.durable, "\(entry.what) had been sent, and is not in the store after the restart")
                ledger.change(id) { $0.isEnded = true }
            } else {
                violate(.durable, "\(entry.what) was stored, and is not in the store after the restart")
                ledger.change(id) { $0.isEnded = true }
            }
        }
        // A mark that was lost costs a repeat.
        for id in waiting where ledger[id]?.isEnded ?? false { ledger.change(id) { $0.isEnded = false } }
        for id in ledger.open where parked.contains(id) { ledger.change(id) { $0.isEnded = true } }
        ledger.forget(beyond: daemon.outbox.latest(1).last?.id ?? 0)
        ledger.rebuildStates { !$0.isWithdrawn }
        let unknown = absorbUnknown(daemon)
        for (point, active) in remembered.sorted(by: { $0.key < $1.key })
        where !unknown.contains(point) && !toldFromMemory.contains(point) && daemon.intake.state(of: point) != active {
            violate(
                .restart,
                "\(point) was known to be \(active ? "active" : "at rest") before the cut, and is not after it")
        }
        if daemon.outbox.summary().trouble == nil {
            remember(daemon)
            for field in fields { field.checkKept(in: daemon) }
        }
        for id in ledger.open { expectDelivery(of: id) }
    }

    /// What was committed when the process died, and nobody had been told.
    /// - Returns: their points.
    private func absorbUnknown(_ daemon: Daemon) -> Set<String> {
        var points: Set<String> = []
        for stored in daemon.outbox.latest(100) {
            let known = ledger[stored.id]
            // The same words under the same number may be another event: the number lay in memory before.
            if let known, known.event.said == stored.event.said,
                known.event.occurred.uptime == stored.event.occurred.uptime
            {
                continue
            }
            note(stored, false)
            points.insert(stored.event.point)
        }
        return points
    }

    /// Notes what no longer waits, and judges why.
    func settle() {
        guard let daemon, !disk_is_dead() else { return }
        for id in ledger.open.sorted() where !daemon.outbox.isWaiting(id) { ended(id, daemon) }
    }

    private func ended(_ id: Int64, _ daemon: Daemon) {
        guard let entry = ledger[id] else { return }
        ledger.change(id) { $0.isEnded = true }
        guard entry.takenBy.isEmpty else { return note("delivered: \(entry.what)") }
        if daemon.outbox.queue.withLock({ $0.parked.contains(id) }) {
            note("parked: \(entry.what)")
            if !entry.refusedBy.isSuperset(of: daemon.plan.paths.map(\.receiver)) {
                violate(.delivered, "\(entry.what) is parked, and was refused by \(entry.refusedBy.sorted()) only")
            }
        } else if entry.isVolatile {
            ledger.change(id) { $0.isWithdrawn = true }
            ledger.rebuildStates { !$0.isWithdrawn }
        } else {
            violate(.delivered, "\(entry.what) counts as delivered, and no receiver has taken it")
        }
    }

    // MARK: Frames

    /// A frame has left the box.
    func sent(_ frame: [UInt8], over path: PathSettings, by link: SimulatedLink) {
        figures.frames += 1
        guard let message = try? Envelope.parse(frame).opened(with: path.key), message.wasEncrypted == (path.key != nil)
        else { return violate(.quiet, "a frame on path \(path.name) is not encrypted with its key, or is none") }
        let before = inFlight.removeValue(forKey: ObjectIdentifier(link))
        guard message.token.isPayload else { return }
        let sequence = message.header.sequence
        if ledger.id(ofSequence: sequence) == nil { absorb() }
        guard let id = ledger.id(ofSequence: sequence), let entry = ledger[id] else {
            return violate(
                .durable, "a frame numbered \(sequence) left on path \(path.name), and no stored event has that number")
        }
        note("\(path.name): \(id) sent\(entry.frames > 0 ? " again" : "")")
        checkContent(message, entry, path)
        // The same again by the receiver's clock, or over a new connection, is still the same exchange.
        if before != id { checkUrgency(entry, path) }
        if entry.refusedBy.isEmpty, !entry.isVolatile { checkCompany(of: entry) }
        ledger.change(id) { $0.frames += 1 }
        inFlight[ObjectIdentifier(link)] = id
    }

    private func checkContent(_ message: Message, _ entry: Ledger.Entry, _ path: PathSettings) {
        if !isContent(message, of: entry, path) {
            violate(
                .delivered,
                "\(entry.what) was sent as \"\(String(decoding: message.data, as: UTF8.self))\": another event under its number"
            )
        }
        checkTime(message, entry)
    }

    /// What a message about this event says, whoever it is sent to.
    private func isContent(_ message: Message, of entry: Ledger.Entry, _ path: PathSettings) -> Bool {
        func said(_ event: Event) -> Bool {
            let right = try? event.message(
                as: path.format, sequence: message.header.sequence, characterSet: path.characterSet,
                extended: path.extendedBlocks)
            let hasText = { (block: ExtendedBlock) in block.kind == .text }
            return right?.data == message.data
                && right?.extended.filter(hasText) == message.extended.filter(hasText)
        }
        if said(entry.event) { return true }
        // Late, to a receiver that takes no H block: with the time in its text.
        let times =
            entry.event.occurred.clock == .known
            ? [entry.event.occurred.utc] : (-2...2).map { box.beginning + entry.happenedAt + 1000 * $0 }
        return times.contains { time in
            var event = entry.event
            event.text = "\(StatusScreen.utc(time))Z \(event.text)".limited
            return said(event)
        }
    }

    private func checkTime(_ message: Message, _ entry: Ledger.Entry) {
        guard let block = message.extended.first(where: { $0.kind == .timeOfOccurrence }) else { return }
        let trueTime = box.beginning + entry.happenedAt
        let said = Timestamp(block.value)?.utc ?? 0
        switch entry.event.occurred.clock {
        case .known:
            if said != Timestamp(utc: entry.event.occurred.utc).utc {
                violate(
                    .honestTime,
                    "\(entry.what) is said to have occurred at \(said), the board's clock said \(entry.event.occurred.utc)"
                )
            }
        default:
            if abs(said - trueTime) > 2000 {
                violate(.honestTime, "\(entry.what) occurred at \(trueTime), and is said to have occurred at \(said)")
            }
        }
    }

    /// A frame has come to a receiver. - Returns: what it answers.
    func arrived(_ frame: [UInt8], over path: PathSettings) -> [[UInt8]] {
        guard let centre = centres[path.receiver] else { return [] }
        let heard = centre.hear(frame, key: path.key, at: box.trueTime, &dice)
        if heard.isExposed { violate(.quiet, "path \(path.name) has a key, and a frame came in clear") }
        if let refused = heard.refused, let id = ledger.id(ofSequence: refused.header.sequence) {
            note("\(centre.name) refuses \(id)")
            ledger.change(id) { $0.refusedBy.insert(centre.name) }
        }
        if let message = heard.taken, let id = ledger.id(ofSequence: message.header.sequence), let entry = ledger[id] {
            note("\(centre.name) takes \(id)\(heard.isRepeat ? ", a repeat" : "")")
            // A frame that was long on its way, of a number that has come again.
            guard isContent(message, of: entry, path) else { return heard.replies }
            if heard.isRepeat, !entry.takenBy.contains(centre.name),
                !ledger.passing.contains(message.header.sequence)
            {
                violate(.delivered, "\(entry.what) was taken for the repeat of another event")
            }
            if let newer = ledger.arrive(entry), !entry.isVolatile, entry.refusedBy.isEmpty,
                ledger[newer]?.refusedBy.isEmpty ?? true
            {
                violate(.ordered, "\(entry.what) arrived after event \(newer) of the same point")
            }
            ledger.change(id) { $0.takenBy.insert(centre.name) }
        }
        return heard.replies
    }

    /// The daemon has heard something on a path: what ends now is judged now.
    func answered(by link: SimulatedLink) {
        guard let daemon, !disk_is_dead(), let id = inFlight[ObjectIdentifier(link)], ledger.open.contains(id) else {
            return
        }
        if !daemon.outbox.isWaiting(id) { ended(id, daemon) }
        stirred()
    }
}

extension Event {
    /// What it says, whatever its time, which may be worked out later.
    var said: [String] {
        [account, point, "\(partition)", "\(zone)", sia, contactID, "\(qualifier)", "\(urgency)", text]
    }
}
