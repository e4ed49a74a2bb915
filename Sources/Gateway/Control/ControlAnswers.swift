import AlarmProtocol
import Dispatch
import NIOCore
import Synchronization

/// What the daemon answers.
extension ControlServer {
    func status() throws -> SiteStatus {
        let now = clock()
        let paths = try paths()
        let summary = intake.outbox.summary()
        let oldest = summary.oldest.flatMap { intake.outbox.event($0) }
        return withOwnDoings(
            SiteStatus(
                site: site.name, account: site.account, version: Version.current,
                running: (now.uptime - started.uptime) / 1000, now: now.utc, clockIsKnown: now.clock == .known,
                waiting: summary.waiting, mostUrgent: summary.mostUrgent.map { "\($0)" },
                oldestWaits: oldest.map { intake.outbox.age(of: $0, at: now) / 1000 }, parked: summary.parked,
                storeTrouble: summary.trouble, paths: paths, devices: devices.map(describe),
                points: points(), move: try centre(ControlRequest(.receiver), "").move,
                supervision: site.supervision.map { .init(name: $0.title, remark: $0.remark) },
                availability: now.clock == .unknown ? nil : intake.outbox.availability(only: Month(utc: now.utc))))
    }

    private func describe(_ host: DeviceHost) -> SiteStatus.Device {
        let why = host.trouble
        return SiteStatus.Device(
            name: host.device.name, state: why != nil ? "lost" : host.hasAnswered ? "answers" : "not heard yet",
            why: why,
            points: host.device.points.count)
    }

    /// The configured points, and what stands though no point is configured for it: a zone that a panel told of, noise
    /// on a line.
    private func points() -> [SiteStatus.Point] {
        let standing = intake.standing()
        var told = Set(site.points.map(\.name))
        told.formUnion(devices.flatMap { [$0.device.name] + $0.device.outputs.map(\.name) })
        let others = Set(standing.keys.map(Self.point)).subtracting(told)
            .filter { name in devices.contains { name.hasPrefix($0.device.name + ".") } }
        return site.points.map { describe($0, standing) } + others.sorted().map { describe($0, standing) }
    }

    /// The point that a state's name is about: without what says that it is a fault, or chatters.
    private static func point(_ state: String) -> String {
        for suffix in [".fault", Chatter.suffix] where state.hasSuffix(suffix) {
            return String(state.dropLast(suffix.count))
        }
        return state
    }

    private func describe(_ point: Point, _ standing: [String: Int64]) -> SiteStatus.Point {
        SiteStatus.Point(
            name: point.name, text: point.text, kind: point.kind.name, state: state(of: point.name), zone: point.zone,
            why: event(point.name + ".fault", standing)?.text, chatters: standing[point.name + Chatter.suffix] != nil)
    }

    private func describe(_ name: String, _ standing: [String: Int64]) -> SiteStatus.Point {
        let fault = event(name + ".fault", standing)
        let event = event(name, standing) ?? fault ?? event(name + Chatter.suffix, standing)
        return SiteStatus.Point(
            name: name, text: event?.text ?? "", kind: event.map { "\($0.sia)/\($0.contactID)" } ?? "",
            state: state(of: name), zone: event?.zone ?? 0,
            why: fault.map { $0.text.hasPrefix("\(name): ") ? String($0.text.dropFirst(name.count + 2)) : $0.text },
            chatters: standing[name + Chatter.suffix] != nil)
    }

    private func event(_ point: String, _ standing: [String: Int64]) -> Event? {
        standing[point].flatMap { intake.outbox.event($0)?.event }
    }

    private func state(of point: String) -> String {
        if intake.state(of: point + ".fault") == true { return "fault" }
        return switch intake.state(of: point) {
        case true?: "active"
        case false?: "at rest"
        case nil: "never active"
        }
    }

    func events(_ request: ControlRequest, _ client: ControlClient) {
        let unsent = request.unsent ?? false
        let faults = request.faults ?? false
        let count = min(max(1, request.limit ?? 50), 10_000)
        let first =
            faults ? intake.outbox.latestFaults(count) : intake.outbox.latest(count, unsentOnly: unsent)
        for event in first { guard client.send(EventLife(event)) else { return } }
        guard request.follow ?? false else { return }
        // Told again when its life goes on: an event is shown when it is stored, and when its wait ends.
        var last = first.last?.id ?? 0
        var open = Set(first.filter { $0.state == .waiting }.map(\.id))
        while !stopping.isSet {
            for event in intake.outbox.list(after: last, limit: 500) {
                last = event.id
                guard !faults || event.isPathFault else { continue }
                if event.state == .waiting { open.insert(event.id) }
                guard client.send(EventLife(event)) else { return }
            }
            for id in intake.outbox.ended(among: open) {
                open.remove(id)
                guard let event = intake.outbox.event(id) else { continue }
                guard client.send(EventLife(event)) else { return }
            }
            // An asker that has gone away is noticed by the poll.
            guard client.isThere(after: 200) else { return }
        }
    }

    func testPoint(_ name: String, _ person: String) throws -> TestResult {
        guard let point = site.points.first(where: { $0.name == name }) else {
            throw ControlRefusal("there is no point \"\(name)\"; the points are: \(list(site.points.map(\.name)))")
        }
        let codes = Kinds.manualTest.saying(began: true)
        return try test(
            Event(
                account: point.account, point: point.name, partition: point.partition, zone: point.zone, sia: codes.sia,
                contactID: codes.contactID, qualifier: codes.qualifier, urgency: codes.urgency,
                text: "test of \(point.text.isEmpty ? point.name : point.text)".limited, occurred: clock()), over: nil,
            person)
    }

    func testPath(_ name: String, _ person: String) throws -> TestResult {
        guard site.paths.contains(where: { $0.name == name }) else {
            throw ControlRefusal("there is no path \"\(name)\"; the paths are: \(list(site.paths.map(\.name)))")
        }
        let codes = Kinds.manualTest.saying(began: true)
        return try test(
            Event(
                account: site.account, point: "test.\(name)", sia: codes.sia, contactID: codes.contactID,
                qualifier: codes.qualifier, urgency: codes.urgency, text: "test of path \(name)".limited,
                occurred: clock()), over: name, person)
    }

    /// How long a test waits for its ACK.
    private static let patience = Duration.seconds(30)

    private func test(_ event: Event, over path: String?, _ person: String) throws -> TestResult {
        let ids = try intake.outbox.append([NewEvent(event, onlyOver: path)])
        guard let id = ids.first else { throw ControlRefusal("the test event was not stored") }
        let began = clock()
        let answer = intake.outbox.waitForReceiver([id], atMost: Self.patience)
        let stored = intake.outbox.event(id)
        let took = clock().uptime - began.uptime
        let acknowledged = answer == .acknowledged
        if answer == .timeUp {
            // A test that nobody waits for any more must not arrive an hour later.
            _ = intake.outbox.discard(id, by: person, why: "the test was given up after \(Self.patience.described)")
        }
        let receiver = site.paths.first { $0.name == stored?.path }?.receiver
        let troubles = try paths().filter { path == nil || $0.name == path }.compactMap { path in
            path.why.map { "\(path.name): \($0)" }
        }
        return TestResult(
            event: id, sequence: StoredEvent.sequence(of: id), acknowledged: acknowledged,
            took: acknowledged ? took : nil, path: stored?.path, receiver: receiver,
            why: acknowledged
                ? nil
                : answer == .refused
                    ? stored?.reason : troubles.isEmpty ? "no receiver has answered" : troubles.joined(separator: "; "))
    }

    /// How the paths are, as the uplink's loop knows. - Throws: `ControlRefusal` where the loop stands still.
    private func paths() throws(ControlRefusal) -> [SiteStatus.Path] {
        let answer = PathAnswer()
        let uplink = uplink
        loop.execute { answer.give(uplink.value.describePaths()) }
        guard let paths = answer.wait(.seconds(2)) else {
            throw ControlRefusal("the uplink has not answered for 2 s: see the log, and restart larmnod if it stays so")
        }
        return paths
    }

    func discard(_ request: ControlRequest, _ person: String) throws -> DiscardResult {
        guard let id = request.event, let why = request.why, !why.isEmpty else {
            throw ControlRefusal("discard needs the event's number and a reason")
        }
        guard intake.outbox.discard(id, by: person, why: why) else {
            throw ControlRefusal("event \(id) neither waits nor is parked: larmnod events --unsent lists those that do")
        }
        return DiscardResult(discarded: id, by: person)
    }

    private func list(_ names: [String]) -> String {
        names.prefix(20).joined(separator: ", ") + (names.count > 20 ? ", … (\(names.count) in all)" : "")
    }
}

/// Handed from the uplink's loop to a thread that waits for it.
private final class PathAnswer: Sendable {
    private let paths = Mutex<[SiteStatus.Path]?>(nil)
    private let isGiven = DispatchSemaphore(value: 0)

    func give(_ answer: [SiteStatus.Path]) {
        paths.withLock { $0 = answer }
        isGiven.signal()
    }

    func wait(_ limit: DispatchTimeInterval) -> [SiteStatus.Path]? {
        _ = isGiven.wait(timeout: .now() + limit)
        return paths.withLock { $0 }
    }
}

extension Uplink {
    /// For `status`.
    func describePaths() -> [SiteStatus.Path] {
        zip(dispatcher.paths, zip(pathSettings, figures)).map { path, rest in
            let (settings, figures) = rest
            let state: String
            switch path.health {
            case .untried: state = "untried"
            case .working: state = "works"
            case .failing: state = "failing"
            case .down: state = "down"
            }
            return SiteStatus.Path(
                name: settings.name, receiver: settings.receiver, address: "\(settings.host):\(settings.port)",
                state: state, why: path.isTrusted ? nil : path.lastFailure,
                lastAnswer: path.lastGood.map { (uptime - $0) / 1000 }, roundTrip: figures.lastRoundTrip,
                clockOffset: Double(path.clockOffset) / 1000, acknowledged: figures.acknowledged,
                failures: figures.failures, encrypted: settings.key != nil, tls: settings.tls != nil,
                connections: openConnections(of: settings.name))
        }.enumerated().map { index, path in trust[index].described(path) }
    }
}

/// What this build calls itself. CHANGELOG.md tells what is in it.
public enum Version {
    public static let current = "0.1.0"
}
