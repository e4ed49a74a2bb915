import AlarmProtocol
import Drivers

/// One thing that was seen of a device: an answer to `watch`, and a line of `larmnod monitor --json`.
public struct WatchedLine: Codable, Sendable, Hashable {
    public enum What: String, Codable, Sendable {
        /// The device from which this comes is watched from now on.
        case watching
        /// The driver opens the device, anew where it was open before.
        case opening
        /// It came from the device; it was sent to it.
        case received, sent
        /// The driver made a signal of it, as `Signal.summary` writes it; the signal became an event.
        case signal, event
        /// Nothing of it could be stored: the device is to say it again, or it is tried again.
        case notStored = "not-stored"
        case lost
        /// So many were not shown, because the watcher was too slow.
        case missed
        /// A driver's log where no daemon runs, and what a replay or a played panel says besides; never the daemon's.
        case log, differs
    }

    public var device: String
    public var what: What
    /// Milliseconds since 1970 UTC; milliseconds of a clock that never steps.
    public var at: Int64
    public var uptime: Int64
    /// In hexadecimal, with blanks; left out where there are none.
    public var bytes: String?
    public var text: String?
    /// The event's number in the store.
    public var event: Int64?
    public var count: Int?

    public init(
        _ device: String, _ what: What, at: Moment, bytes: [UInt8] = [], text: String? = nil, event: Int64? = nil,
        count: Int? = nil
    ) {
        self.device = device
        self.what = what
        self.at = at.utc
        self.uptime = at.uptime
        self.bytes = bytes.isEmpty ? nil : hexadecimal(bytes)
        self.text = text
        self.event = event
        self.count = count
    }

    /// A passage, as lines say it.
    public init(_ device: String, _ passage: Passage, at: Moment) {
        self.init(
            device, passage.direction == .received ? .received : .sent, at: at, bytes: passage.bytes,
            text: passage.meaning)
    }
}

extension ControlServer {
    /// Bytes that the kernel holds for a watcher: a few seconds of a console of 9600 bit/s.
    private static let heldForWatcher: Int32 = 4096

    /// Tells what passes on the device's line until the asker goes away.
    func watch(_ request: ControlRequest, _ client: ControlClient) throws {
        // "fire-panel" is enough for "espa.fire-panel".
        let hosts = devices.filter { host in
            request.name.map { host.device.name == $0 || host.device.name.hasSuffix(".\($0)") } ?? true
        }
        guard !hosts.isEmpty else {
            let names = devices.isEmpty ? "none" : devices.map(\.device.name).joined(separator: ", ")
            throw ControlRefusal("there is no device \"\(request.name ?? "")\"; the devices are: \(names)")
        }
        let watcher = Watcher()
        client.limitBuffer(to: Self.heldForWatcher)
        var outgoing = hosts.flatMap {
            ControlClient.line(
                of: WatchedLine(
                    $0.device.name, .watching, at: clock(), text: $0.trouble.map { "lost: \($0)" } ?? $0.outward))
        }
        let beginsAnew = request.anew ?? false
        guard !beginsAnew || hosts.count == 1 && hosts[0].device.outputs.isEmpty else {
            throw ControlRefusal("only one device, without outputs, can be opened anew")
        }
        for host in hosts { host.watch.add(watcher) }
        defer { for host in hosts { host.watch.remove(watcher) } }
        if beginsAnew { hosts[0].beginAnew() }
        while !stopping.isSet {
            guard client.push(&outgoing, within: 100) else { return }
            guard outgoing.isEmpty else { continue }
            let (sights, lost) = watcher.take()
            for sight in sights { for line in lines(of: sight) { outgoing += ControlClient.line(of: line) } }
            if lost > 0 {
                outgoing += ControlClient.line(of: WatchedLine("", .missed, at: clock(), count: lost))
            }
        }
    }

    /// Looked up here, on the asker's thread: a watcher costs the driver nothing but the list.
    private func lines(of sight: Sight) -> [WatchedLine] {
        let (device, at) = (sight.device, sight.at)
        switch sight.what {
        case .passed(let passage): return [WatchedLine(device, passage, at: at)]
        case .measured(let reading): return [WatchedLine(device, .received, at: at, text: reading.described)]
        case .reported(let signals, let ids):
            let events = ids.map { id in
                WatchedLine(device, .event, at: at, text: intake.outbox.event(id).map { $0.event.watched }, event: id)
            }
            return signals.map { WatchedLine(device, .signal, at: at, text: $0.summary) } + events
        case .notStored(let signals, let why):
            return signals.map { WatchedLine(device, .notStored, at: at, text: "\($0.summary): \(why)") }
        case .opening: return [WatchedLine(device, .opening, at: at)]
        case .lost(let why): return [WatchedLine(device, .lost, at: at, text: why)]
        }
    }
}

extension DeviceHost {
    fileprivate var outward: String { hasAnswered ? "answers" : "nothing heard of it yet" }
}

extension Event {
    /// "fire FA/110 event zone 5 of 1234: Brand i kök", as lists of events say it.
    var watched: String {
        let words = text.isEmpty ? "" : ": \(text)"
        return "\(urgency) \(sia)/\(contactID) \(qualifier) zone \(zone) of \(account)\(words)"
    }
}

/// "01 31 02".
func hexadecimal(_ bytes: [UInt8]) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined(separator: " ")
}

extension WatchedLine {
    /// As `larmnod monitor --json` prints it.
    public var json: [UInt8] { Array(ControlClient.line(of: self).dropLast()) }
}
