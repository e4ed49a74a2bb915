import AlarmProtocol
import Drivers

/// Makes events of what devices say. Pure: settings, the last known states and the signals in, events out.
struct Normaliser: Sendable {
    var account: String
    var partition: Int
    /// The device's full name: "gpio.cabinet".
    var device: String
    let points: [String: Point]
    private let outputs: Set<String>

    init(_ device: Device) {
        self.device = device.name
        account = device.account
        partition = device.partition
        outputs = Set(device.outputs.map(\.name))
        points = Dictionary(device.points.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// What the box knew before it heard a signal.
    private struct Known {
        /// The point's last state, and whether its fault stands; nil when nothing was ever stored.
        var state: Bool?
        var fault: Bool?
        /// Nothing has been heard of this point since the daemon started or the device came back: a difference from the
        /// last known state happened some time while nobody was listening.
        var isFirstReading: Bool
        var now: Moment
    }

    /// The events that the signals make, in their order. A state that is as it was makes none.
    /// - Parameters:
    ///   - heard: the full names of the points heard of since the daemon started or the device came back.
    ///   - known: the last stored state of a point, by its full name; nil when none ever was.
    func events(_ signals: [Signal], heard: Set<String>, now: Moment, known: (String) -> Bool?) -> [NewEvent] {
        var changed: [String: Bool] = [:]
        var events: [NewEvent] = []
        // Of two readings of a point in one report only the first can tell what happened while nobody listened.
        var read: Set<String> = []
        for signal in signals {
            let name = "\(device).\(signal.point)"
            let fault = name + ".fault"
            let known = Known(
                state: changed[name] ?? known(name), fault: changed[fault] ?? known(fault),
                isFirstReading: !heard.contains(name) && !read.contains(name), now: now)
            if case .active = signal.reading { read.insert(name) }
            guard let new = event(signal, name, known) else { continue }
            if let active = new.active { changed[new.event.point] = active }
            events.append(new)
        }
        return events
    }

    private func event(_ signal: Signal, _ name: String, _ known: Known) -> NewEvent? {
        switch signal.reading {
        case .active(let active):
            guard active != (known.state ?? false) else { return nil }
            // The first reading of all is no news unless somebody ought to know of it.
            let late = (known.isFirstReading || signal.isUnwatched) && known.state != nil
            return say(
                signal, name, began: active, state: active, note: late ? "changed while not watched" : nil, known)
        case .call: return say(signal, name, began: true, state: nil, note: nil, known)
        case .cleared: return say(signal, name, began: false, state: nil, note: nil, known)
        case .fault(let why):
            return known.fault == true ? nil : fault(name, active: true, text: why, signal, known)
        case .healthy:
            return known.fault == true ? fault(name, active: false, text: "", signal, known) : nil
        }
    }

    private func say(
        _ signal: Signal, _ name: String, began: Bool, state: Bool?, note: String?, _ known: Known
    ) -> NewEvent {
        let point = points[name]
        let codes = codes(of: signal.said, point, began: began)
        // A panel's own words beat ours; a contact has none. However long they are, the note is read.
        let words = signal.text.isEmpty ? point?.text ?? "" : signal.text
        let behind = note.map { words.isEmpty ? "(\($0))" : " (\($0))" } ?? ""
        let text = words.limited(to: String.longestText - behind.count) + behind
        let (area, zone) = (point?.partition ?? 0, point?.zone ?? 0)
        return NewEvent(
            Event(
                account: point?.account ?? signal.said?.account ?? account, point: name,
                partition: area > 0 ? area : signal.said?.partition ?? partition,
                zone: zone > 0 ? zone : signal.said?.zone ?? 0, sia: codes.sia, contactID: codes.contactID,
                qualifier: codes.qualifier, urgency: codes.urgency, text: text,
                occurred: signal.occurred ?? known.now),
            active: state)
    }

    /// A configured kind goes first, then what the panel said; what neither says is an alarm of no stated kind.
    private func codes(of said: Said?, _ point: Point?, began: Bool) -> Vocabulary.Saying {
        if let point { return point.kind.saying(began: began) }
        if case .kind(let kind)? = said?.code { return kind.saying(began: began) }
        return said?.codes(began: began) ?? Kinds.unclassified.saying(began: began)
    }

    private func fault(
        _ name: String, active: Bool, text: String, _ signal: Signal, _ known: Known
    ) -> NewEvent {
        let point = points[name]
        let part = outputs.contains(name) ? Kinds.outputFault : Kinds.deviceLost
        let codes = (point == nil ? part : Kinds.pointFault).saying(began: active)
        let what = point.map { $0.text.isEmpty ? $0.name : $0.text } ?? name
        let words = active ? "\(what): \(text)" : "\(what): answers again"
        return NewEvent(
            Event(
                account: point?.account ?? account, point: name + ".fault", partition: point?.partition ?? partition,
                zone: point?.zone ?? 0, sia: codes.sia, contactID: codes.contactID, qualifier: codes.qualifier,
                urgency: codes.urgency, text: words.limited, occurred: signal.occurred ?? known.now),
            active: active)
    }

    /// The device as a whole cannot be read, or can be again.
    func deviceTrouble(active: Bool, text: String, now: Moment) -> NewEvent {
        let codes = Kinds.deviceLost.saying(began: active)
        return NewEvent(
            Event(
                account: account, point: device + ".fault", partition: partition, sia: codes.sia,
                contactID: codes.contactID, qualifier: codes.qualifier, urgency: codes.urgency,
                text: (active ? "\(device) lost: \(text)" : "\(device) answers again").limited, occurred: now),
            active: active)
    }
}

extension EventKind {
    /// As `codes`, but the end of a kind for which the trade has no restore is said as an untyped restore with the same
    /// Contact ID event: a state that ends must be told and stored, or its next beginning would be taken for old news.
    func saying(began: Bool) -> Vocabulary.Saying {
        codes(began: began) ?? (sia: "UR", contactID: contactID, qualifier: .restore, urgency: .status)
    }
}

extension String {
    /// What an event's text holds, in characters.
    static let longestText = 128

    /// At most as much as an event's text holds.
    var limited: String { limited(to: Self.longestText) }
    func limited(to longest: Int) -> String { count <= longest ? self : prefix(longest - 1) + "…" }
}

/// The kinds that the box itself uses. Their names are rows of data/kinds.csv; a test holds them to it.
enum Kinds {
    static let unclassified = kind("unclassified")
    static let deviceLost = kind("device-lost")
    static let pointFault = kind("point-fault")
    static let pointChattering = kind("point-chattering")
    static let pathDown = kind("path-down")
    static let eventParked = kind("event-parked")
    static let queueFilling = kind("queue-filling")
    static let storeDamaged = kind("store-damaged")
    static let diskFailing = kind("disk-failing")
    static let clockUnknown = kind("clock-unknown")
    static let powerUp = kind("power-up")
    static let restart = kind("restart")
    static let manualTest = kind("manual-test")
    static let certificateExpiring = kind("certificate-expiring")
    static let testMode = kind("test-mode")
    static let transmissionOverdue = kind("transmission-overdue")
    static let outputFault = kind("output-fault")
    static let centreMove = kind("centre-move")
    static let centreMoveFailed = kind("centre-move-failed")
    static let oldKeyInUse = kind("old-key-in-use")
    static let strangeReplies = kind("strange-replies")

    static let names = [
        "unclassified",
        "device-lost",
        "point-fault",
        "path-down",
        "event-parked",
        "queue-filling",
        "store-damaged",
        "disk-failing",
        "clock-unknown",
        "power-up",
        "restart",
        "manual-test",
        "certificate-expiring",
        "test-mode",
        "transmission-overdue",
        "output-fault",
        "centre-move",
        "centre-move-failed",
        "point-chattering",
        "old-key-in-use",
        "strange-replies",
    ]

    /// The table is ours and a test reads every name above, so the fallback is never met; it is an alarm all the same.
    private static func kind(_ name: String) -> EventKind {
        EventKind.named(name) ?? EventKind.named("unclassified") ?? EventKind.all[0]
    }
}
