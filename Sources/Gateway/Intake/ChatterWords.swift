import AlarmProtocol
import Drivers

extension Chatter {
    /// For a device and its points.
    init(_ device: Device) {
        self.init(
            Dictionary(device.points.map { ($0.name, $0.chatter) }, uniquingKeysWith: { first, _ in first }),
            others: device.chatter)
    }
}

extension Normaliser {
    /// What is stored of an outcome: the event itself, or one of the point's chatter.
    func event(of outcome: Chatter.Outcome, now: Moment) -> NewEvent {
        switch outcome {
        case .tell(let new): return new
        case .began(let point, let limit, let saysWords):
            let what = saysWords ? "says the same over \(limit.changes) times" : "changes over \(limit.changes) times"
            return chatter(
                of: point, active: true, "chatters: \(what) in \(limit.within.described), counted from now on", now)
        case .goesOn(let point, let changes):
            return chatter(of: point, active: nil, "chatters still: \(changes) changes so far", now)
        case .ended(let point, let limit, let changes, let active, let sinceStart):
            let state = active.map { $0 ? ", active" : ", at rest" } ?? ""
            let count =
                "\(changes) change\(changes == 1 ? "" : "s") counted\(sinceStart ? " since larmnod started" : "")"
            return chatter(
                of: point, active: false, "no change for \(limit.within.described)\(state); \(count)", now)
        }
    }

    /// - Parameter active: whether it begins or ends; nil where it goes on.
    private func chatter(of name: String, active: Bool?, _ words: String, _ now: Moment) -> NewEvent {
        let isFault = name.hasSuffix(".fault")
        let point = points[isFault ? String(name.dropLast(".fault".count)) : name]
        let codes = Kinds.pointChattering.saying(began: active ?? true)
        let what = point.map { $0.text.isEmpty ? $0.name : $0.text } ?? name
        // The count must not be cut away by a long name.
        let short = what.count <= 40 ? what : what.prefix(39) + "…"
        let isOfFault = isFault && point != nil
        return NewEvent(
            Event(
                account: point?.account ?? account, point: name + Chatter.suffix,
                partition: point?.partition ?? partition, zone: point?.zone ?? 0, sia: codes.sia,
                contactID: codes.contactID, qualifier: active == nil ? .status : codes.qualifier,
                urgency: active == nil ? .status : codes.urgency,
                text: "\(isOfFault ? "fault of \(short)" : short) \(words)".limited, occurred: now),
            active: active)
    }
}
