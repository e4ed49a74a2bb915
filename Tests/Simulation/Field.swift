import AlarmProtocol
import CSimulatedDisk
import Drivers

@testable import Gateway

/// A device in the field and its driver: contacts that open and close, or a panel that calls and calls again until it is
/// told "received". There are panels that want to hear that before they have said all: the call is kept, and told later.
final class Field {
    let name: String
    private let isPanel: Bool
    private let keeps: Bool
    private let points: [String]
    private unowned let world: World
    /// What each contact is, whether or not anybody looks.
    private(set) var actual: [String: Bool] = [:]
    private var isConnected = true
    private var isOpen = false
    private var isToldLost = false
    private var changed: Set<String> = []
    private(set) var calls: [Signal] = []
    /// What the panel was told "received" for.
    private(set) var promised: [String] = []
    /// What the driver has kept and not told yet, and what it told last.
    private var pending: Signal?
    private var told: String?
    /// What could not be kept, and was reported at once: nobody knows it when the panel says it again after a crash.
    private var unkept: Set<String> = []
    private var next: SimulatedLoop.Happening?

    init(_ device: Device, isPanel: Bool, keeps: Bool, in world: World) {
        name = device.name
        self.isPanel = isPanel
        self.keeps = keeps
        self.world = world
        points = device.points.map { String($0.name.dropFirst(device.name.utf8.count + 1)) }
        if !isPanel { for point in points { actual[point] = false } }
    }

    private var host: DeviceHost? { world.daemon?.hosts.first { $0.device.name == name } }

    // MARK: What befalls it

    func begin() { scheduleChange() }

    private func scheduleChange() {
        world.loop.afterOuter(world.dice.interval(world.nature.eventInterval)) { [self] in
            guard !world.isCalm else { return }
            if world.dice.onceIn(40) { storm() } else { happen() }
            scheduleChange()
        }
    }

    /// Many at once, as when a house loses its mains.
    private func storm() {
        let count = world.dice.within(10...120)
        world.note("\(name): a storm of \(count)")
        for index in 0..<count {
            world.loop.afterOuter(Int64(index) * world.dice.within(1...400)) { [self] in
                if !world.isCalm { happen() }
            }
        }
    }

    private func happen() {
        if world.dice.onceIn(60) { return lose(for: world.dice.within(1000...600_000)) }
        guard !points.isEmpty else { return }
        if isPanel {
            // Now and then from a place that is not configured.
            let point = world.dice.onceIn(10) ? "ward-\(world.dice.within(1...3))" : world.dice.pick(points)
            guard calls.count < 200 else { return }
            calls.append(
                Signal(
                    point: point, world.dice.percent(85) ? .call : .cleared,
                    text: "Anrop \(promised.count + calls.count + 1) \(point) \(name)"))
        } else {
            let point = world.dice.pick(points)
            actual[point] = !(actual[point] ?? false)
            changed.insert(point)
        }
        attend()
    }

    private func lose(for time: Int64) {
        guard isConnected else { return }
        isConnected = false
        close()
        attend()
        world.loop.afterOuter(time) { [self] in reconnect() }
    }

    func reconnect() {
        isConnected = true
        attend()
    }

    /// A panel has its calls in a memory of its own; a contact is as it is.
    func powerCut() { close() }

    /// The driver forgets all.
    private func close() {
        isOpen = false
        pending = nil
        told = nil
    }

    // MARK: The driver

    /// The daemon runs again.
    func opened() {
        close()
        isToldLost = false
        attend(after: world.dice.within(10...800))
    }

    private func attend(after delay: Int64 = 0) {
        if let next, next.isPending, next.at <= world.loop.time + delay { return }
        next?.cancel()
        next = world.loop.afterOuter(delay) { [self] in drive() }
    }

    private func drive() {
        guard let host, !world.isDead else { return }
        guard isConnected else {
            if !isToldLost {
                isToldLost = true
                host.lose("no answer from \(name)")
                world.ringForHousekeeping()
                world.absorb()
            }
            return
        }
        if !isOpen {
            host.opening()
            changed = Set(points)
        }
        let signals = isPanel ? Array(calls.prefix(1)) : changed.sorted().map(reading)
        do {
            if keeps { try keep(signals.first, host) } else { try host.report(signals) }
            guard !disk_is_dead() else { return }
        } catch {
            if disk_is_dead() { return }
            world.note("\(name): not taken: \(error)")
            return attend(after: world.dice.within(1000...3000))
        }
        isOpen = true
        isToldLost = false
        changed = []
        world.absorb()
        if isPanel, !signals.isEmpty { received(calls.removeFirst().text) }
        host.answers()
        world.ringForHousekeeping()
        world.absorb()
        if !calls.isEmpty { attend(after: 20) }
        if pending != nil { attend(after: world.dice.within(20...3000)) }
    }

    /// Tells what was kept; keeps the next call.
    private func keep(_ call: Signal?, _ host: DeviceHost) throws {
        if !isOpen { pending = Self.signal(kept: host.kept) }
        if let pending {
            try host.report([pending], keeping: [])
            guard !disk_is_dead() else { return }
            told = pending.text
            self.pending = nil
        }
        guard let call, call.text != told else { return }
        // Cut off twice, before the panel had its answer and when what was kept had just been told: it says it again, and
        // nothing is known of that (docs/decisions/0073).
        if world.ledger.told(call.text) != nil { unkept.insert(call.text) }
        do { try host.keep(Self.bytes(call)) } catch {
            guard !disk_is_dead() else { return }
            unkept.insert(call.text)
            try host.report([call])
            told = call.text
            return
        }
        pending = call
    }

    /// The daemon is about to end: what is kept is told.
    func stop() {
        guard let host, isOpen, let pending, (try? host.report([pending], keeping: [])) != nil else { return }
        self.pending = nil
        world.absorb()
    }

    private static func bytes(_ call: Signal) -> [UInt8] {
        Array("\(call.point)\n\(call.reading == .call ? "c" : "e")\n\(call.text)".utf8)
    }

    private static func signal(kept bytes: [UInt8]) -> Signal? {
        let parts = String(decoding: bytes, as: UTF8.self).split(separator: "\n", maxSplits: 2)
        guard parts.count == 3 else { return nil }
        return Signal(point: String(parts[0]), parts[1] == "c" ? .call : .cleared, text: String(parts[2]))
    }

    /// Whether this is told once, however often the daemon is cut off.
    func tellsOnce(_ text: String) -> Bool {
        keeps && text.hasPrefix("Anrop ") && text.hasSuffix(" \(name)") && !unkept.contains(text)
    }

    /// After a start: what the panel was told "received" for is stored or kept, and never both.
    func checkKept(in daemon: Daemon) {
        guard keeps else { return }
        let kept = Self.signal(kept: daemon.outbox.kept(of: name))?.text
        if let last = promised.last, world.ledger.told(last) == nil, kept != last {
            world.violate(
                .durable, "the panel was told that \"\(last)\" was received, and it is neither stored nor kept")
        }
        if let kept, tellsOnce(kept), let entry = world.ledger.told(kept), !entry.isVolatile {
            world.violate(.restart, "\(entry.what) is stored, and still kept: it would be told again")
        }
    }

    /// The panel is told, and forgets the call.
    private func received(_ text: String) {
        promised.append(text)
        if !keeps, !world.ledger.holds(text: text) {
            world.violate(.durable, "the panel was told that \"\(text)\" was received, and it is not stored")
        }
    }

    private func reading(_ point: String) -> Signal {
        var occurred: Moment?
        if isOpen, world.dice.percent(30) {
            let debounce: Int64 = world.dice.within(1...300)
            var moment = world.box.now
            // A moment before the clock was stepped cannot be worked out from now.
            if world.loop.time - (world.box.errors.last?.since ?? 0) > 1000 {
                moment.utc -= debounce
                moment.uptime -= debounce
                occurred = moment
            }
        }
        return Signal(point: point, .active(actual[point] ?? false), occurred: occurred)
    }
}
