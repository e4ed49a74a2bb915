import AlarmProtocol
import Glibc

/// Plays a panel's part on a line: carries out what `PlayedPanel` does, and has happen what a script or a person says.
public struct PanelPlayer<Panel: PlayedPanel> {
    /// What a person sees of it.
    public enum News: Sendable, Hashable {
        /// The panel has sent this; it has heard this.
        case said([UInt8], String)
        case heard([UInt8], String)
        case happens(String)
        case taken(String)
        case trouble(String)
        /// This cannot be played; which line of the script.
        case refused(String)
        case silence(Duration)
    }

    /// What a typed line, a script's end or Ctrl-C asks for.
    public enum Command {
        case actions([PlayScript.Action], words: String)
        case wrong(String)
        case stop
        /// There will be no more of them.
        case none
    }

    private var panel = Panel()
    private let end: PanelEnd
    private let show: (News) -> Void
    private var pending: [(action: PlayScript.Action, words: String)] = []
    private var pausedUntil: Int64?
    private var silentUntil: Int64?
    private var isStopped = false
    /// When something of the script was last done, or taken.
    private var progressAt: Int64 = 0
    public private(set) var taken = 0
    public private(set) var refused = 0
    public var waiting: Int { panel.waiting }

    public init(on end: PanelEnd, show: @escaping (News) -> Void) {
        self.end = end
        self.show = show
    }

    /// Does this after what is still to be done.
    public mutating func add(_ lines: [PlayScript.Line]) {
        for line in lines {
            let words = "line \(line.number): \(line.words)"
            pending += line.actions.map { ($0, words) }
        }
    }

    /// Plays until told to stop.
    /// - Parameters:
    ///   - commands: descriptors to wait for beside the line; `next` is asked when one has something.
    ///   - isDone: asked while there is nothing to do but to wait: how much has not been taken, and for how many
    ///     milliseconds nothing has happened. Whether that is the end.
    /// - Throws: `DeviceError` when a real port is lost.
    public mutating func run(
        listeningTo commands: [Int32], next: (Int32) -> [Command], isDone: (_ waiting: Int, _ since: Int64) -> Bool
    ) throws {
        var commands = commands
        progressAt = now
        try perform(panel.opened(at: now))
        while !isStopped {
            try act()
            let onlyWaits = pending.first.map { $0.action == .untilTaken } ?? true
            if onlyWaits, pausedUntil == nil, silentUntil == nil {
                if isDone(panel.waiting, now - progressAt) { return }
            } else {
                progressAt = now
            }
            let ready = wait(for: commands)
            for descriptor in ready where descriptor != end.descriptor {
                for command in next(descriptor) {
                    switch command {
                    case .actions(let actions, let words): pending += actions.map { ($0, words) }
                    case .wrong(let why): show(.refused(why))
                    case .stop: return
                    case .none: commands.removeAll { $0 == descriptor }
                    }
                }
            }
            if ready.contains(end.descriptor) { try hear() }
            if silentUntil == nil, let due = panel.deadline, now >= due { try perform(panel.tick(at: now)) }
        }
    }

    private var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    private func wait(for commands: [Int32]) -> [Int32] {
        let dues = [silentUntil == nil ? panel.deadline : nil, pausedUntil, silentUntil].compactMap(\.self)
        let left = dues.min().map { min(1000, max(0, $0 - now)) } ?? 1000
        // A pseudo-terminal that nobody has open would end every wait at once.
        let isAlone = end.isHungUp
        var polled = ((isAlone ? [] : [end.descriptor]) + commands).map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        guard poll(&polled, nfds_t(polled.count), Int32(isAlone ? min(left, 100) : left)) > 0 else { return [] }
        return polled.filter { $0.revents != 0 }.map(\.fd)
    }

    private mutating func hear() throws {
        let bytes = try end.read()
        guard silentUntil == nil else { return }
        for byte in bytes { try perform(panel.receive(byte, at: now)) }
    }

    private mutating func act() throws {
        if let until = silentUntil, now >= until { silentUntil = nil }
        while !isStopped, silentUntil == nil {
            if let until = pausedUntil {
                guard now >= until else { return }
                pausedUntil = nil
            }
            guard let (action, words) = pending.first else { return }
            if action == .untilTaken, panel.waiting > 0 { return }
            pending.removeFirst()
            switch action {
            case .happen(let event): try happen(event, words)
            case .pause(let time): pausedUntil = now + time.milliseconds
            case .untilTaken: break
            case .silence(let time):
                show(.silence(time))
                silentUntil = now + time.milliseconds
            case .end: isStopped = true
            }
        }
    }

    private mutating func happen(_ event: PlayedEvent, _ words: String) throws {
        do throws(CannotPlay) {
            try panel.happen(event, at: now)
        } catch {
            refused += 1
            show(.refused("\(words): \(error)"))
            return
        }
        show(.happens(words))
        if let due = panel.deadline, now >= due { try perform(panel.tick(at: now)) }
    }

    private mutating func perform(_ steps: [PlayedStep]) throws {
        for step in steps {
            switch step {
            case .send(let bytes, let says):
                try end.write(bytes)
                show(.said(bytes, says))
            case .heard(let bytes, let says): show(.heard(bytes, says))
            case .taken(let words):
                taken += 1
                progressAt = now
                show(.taken(words))
            case .trouble(let words): show(.trouble(words))
            }
        }
    }
}

extension PanelDriver {
    /// What the played panel can be made to say: each kind of event, whether it tells its end too, and whether only of a
    /// zone or user that is named. Found by trying it.
    public static var playedEvents: [(kind: EventKind, hasEnd: Bool, needsZone: Bool)] {
        func says(_ kind: EventKind, zone: Int, _ ends: [Bool]) -> Bool {
            var panel = Played()
            _ = panel.opened(at: 0)
            return ends.allSatisfy { began in
                (try? panel.happen(PlayedEvent(kind, began: began, partition: zone, zone: zone), at: 0)) != nil
            }
        }
        return EventKind.all.compactMap { kind in
            let withoutZone = says(kind, zone: 0, [true])
            guard withoutZone || says(kind, zone: 1, [true]) else { return nil }
            let hasEnd = says(kind, zone: 0, [true, false]) || says(kind, zone: 1, [true, false])
            return (kind, hasEnd, !withoutZone)
        }
    }

    /// The line settings that the played panel has where nothing else is said.
    public static var playedLine: SerialLine { Played.line }
}
