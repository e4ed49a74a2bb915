import Drivers

/// What persons wish of a move, and how it is shown.
extension Uplinks {
    enum Wish: Sendable {
        case status
        /// Read and checked, with the receiver's paths as they will be.
        case move(CentreMove.Record, [PathSettings])
        /// Try again from the beginning, for so many milliseconds, or for as long as before.
        case prolong(Int64?)
        case switchOver
        case comeBack
        case keep
    }

    /// Does what a person wishes, and answers with how it is then, or why not.
    func ask(_ wish: Wish, by person: String, _ answer: @escaping Answer) {
        if case .status = wish { return answer(.success(status())) }
        if case .move(let record, let paths) = wish { return begin(record, paths, by: person, answer) }
        guard let record = move?.record else {
            if case .comeBack = wish, let unusable {
                let text = "the move of \(unusable), which could not go on, is given up, by \(person)"
                return change(to: nil, telling: text, anyway: false, answer: answer)
            }
            return answer(.failure(ControlRefusal("no receiver is moving: larmnod receiver move begins it")))
        }
        let (name, to, now) = (record.receiver, record.to.joined(separator: ", "), clock().utc)
        func refuse(_ words: String) { answer(.failure(ControlRefusal("\(words). Nothing was changed."))) }
        switch wish {
        case .prolong(let shadow):
            guard !record.phase.newCounts else { return refuse("\(name) has switched to the new centre already") }
            var next = record.entering(.shadow, by: person, now)
            next.shadow = shadow ?? record.shadow
            let span = Duration.milliseconds(next.shadow).described
            change(
                to: next, telling: "the trial of \(name)'s new centre begins again, for \(span), by \(person)",
                test: true,
                answer: answer)
        case .switchOver:
            guard !record.phase.newCounts else { return refuse("\(name) has switched to the new centre already") }
            change(
                to: record.entering(.switched, by: person, now), telling: "\(name) now leads to \(to), by \(person)",
                answer: answer)
        case .keep:
            guard record.phase == .switched else {
                return refuse(
                    record.phase == .kept
                        ? "the new centre of \(name) is kept already"
                        : "the new centre of \(name) does not count yet: larmnod receiver switch")
            }
            change(
                to: record.entering(.kept, by: person, now),
                telling: "\(name) leads to \(to) for good, by \(person)", answer: answer)
        case .comeBack:
            let from = record.from.joined(separator: ", ")
            let text =
                record.phase.newCounts
                ? "\(name) leads to \(from) again, by \(person)"
                : "the trial of \(name)'s new centre is given up, by \(person)"
            end(record, telling: text, failed: false, answer: answer)
        case .status, .move: break
        }
    }

    private func begin(
        _ record: CentreMove.Record, _ paths: [PathSettings], by person: String, _ answer: @escaping Answer
    ) {
        if let under = move?.record {
            let hint =
                under.phase == .kept
                ? "put the new centre into \(site.file) and restart larmnod, or go back with larmnod receiver return"
                : "larmnod receiver shows how far it is; return or keep it first"
            return answer(.failure(ControlRefusal("\(under.receiver) is moving already: \(hint)")))
        }
        var record = record
        record.by = person
        record.since = clock().utc
        let span =
            record.shadow > 0
            ? "for \(Duration.milliseconds(record.shadow).described)" : "until its test is acknowledged"
        let text =
            "\(record.receiver): \(record.to.joined(separator: ", ")) is tried beside the present centre \(span), by \(person)"
        change(to: record, with: paths, telling: text, test: true, answer: answer)
    }

    func status() -> CentreStatus {
        var receivers: [CentreStatus.Receiver] = []
        for path in main.describePaths() {
            if let index = receivers.firstIndex(where: { $0.name == path.receiver }) {
                receivers[index].paths.append(path)
            } else {
                receivers.append(CentreStatus.Receiver(name: path.receiver, paths: [path]))
            }
        }
        return CentreStatus(
            receivers: receivers, move: describeMove(),
            last: lastEnd
                ?? unusable.map {
                    "the move of \($0) could not go on at the start (larmnod events tells why): begin it again, or give it up "
                        + "with larmnod receiver return"
                })
    }

    func describeMove() -> CentreStatus.Move? {
        guard let move else { return nil }
        let (record, now) = (move.record, clock().uptime)
        let objections = move.comparison.objections(within: record.within, now)
        let isTrial = !record.phase.newCounts
        return CentreStatus.Move(
            receiver: record.receiver, phase: record.phase.rawValue, by: record.by, since: record.since,
            from: record.from,
            to: record.to, encrypted: new.allSatisfy(\.isSealed), within: record.within / 1000,
            left: record.phase == .shadow ? move.shadowLeft(now) / 1000 : nil,
            why: record.phase == .held ? record.reasons : isTrial ? objections : [],
            compared: isTrial ? CentreStatus.Compared(move.comparison, within: record.within, now) : nil,
            paths: beside?.uplink.describePaths() ?? [], settings: record.phase == .kept ? record.settings : nil,
            siteFile: site.file)
    }
}

extension CentreMove.Record {
    func entering(_ phase: CentreMove.Phase, by person: String, _ now: Int64) -> CentreMove.Record {
        var next = self
        next.phase = phase
        next.by = person
        next.since = now
        next.reasons = []
        return next
    }
}
