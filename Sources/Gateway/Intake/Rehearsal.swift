import AlarmProtocol
import Drivers

/// What events a device's signals would become, where nothing is stored and nothing sent: for `larmnod replay`.
public struct Rehearsal {
    private let normaliser: Normaliser
    private let configured: Set<String>
    private var states: [String: Bool] = [:]
    private var heard: Set<String> = []

    /// - Parameters:
    ///   - device: its full name.
    ///   - configured: names of points whose kinds only the site file knows.
    public init(device: String, driver: any Driver, configured: [String]) {
        normaliser = Normaliser(
            Device(name: device, driver: driver, points: [], account: "0000", partition: 0, waitForReceiver: nil))
        self.configured = Set(configured)
    }

    /// One event each, in words.
    public mutating func events(of signal: Signal, at now: Moment) -> [String] {
        let events = normaliser.events([signal], heard: heard, now: now) { states[$0] }
        if case .active = signal.reading { heard.insert("\(normaliser.device).\(signal.point)") }
        for new in events { if let active = new.active { states[new.event.point] = active } }
        return events.map { new in
            let isPoint = configured.contains(signal.point) && new.event.point == "\(normaliser.device).\(signal.point)"
            guard isPoint else { return new.event.watched }
            let words = signal.text.isEmpty ? "" : ": \(signal.text)"
            let end = new.event.qualifier == .event ? "" : "the end of "
            return "\(end)\(signal.point), of the kind that the site file gives it\(words)"
        }
    }
}
