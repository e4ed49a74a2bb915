import AlarmProtocol
import CLinux
import Drivers
import Glibc
import Logging
import Synchronization

/// What a driver sees of the gateway, and the thread it runs on. Opens the device again with back-off when it is lost,
/// and tells its trouble and restore, once, for all kinds of device.
final class DeviceHost: Host {
    let device: Device
    let normaliser: Normaliser
    let intake: Intake
    private let logger: Logger
    private let stopping: Interrupt
    /// The line is to be opened anew as soon as it is quiet.
    private let beginningAnew = Interrupt()
    private let outputs: DeviceOutputs?
    let state: Mutex<State>
    /// Uptime in milliseconds when the driver last showed itself: the watchdog's evidence.
    private let lastSign: Atomic<Int64>
    /// What passes on its line, for whoever watches.
    let watch = LineWatch()

    struct State {
        var chatter: Chatter
        /// What is due of chatter could not be stored: not before this uptime, in milliseconds.
        var chatterNotBefore: Int64 = 0
        /// Points heard of since the device was (re)opened.
        var heard: Set<String> = []
        var answersSince: ContinuousClock.Instant?
        var isLost = false
        /// A trouble may stand since before the daemon started: its end is told with the first answer.
        var mayStandSinceBefore = true
        var why: String?
        /// The trouble could not be stored yet.
        var owesTrouble = false
        /// Answers were seen while the trouble stood: the restore is owed.
        var owesRestore = false
        /// The events of the last report; those that the receiver did not acknowledge while we waited for it.
        var reported: [Int64] = []
        var waitedInVain: [Int64] = []
    }

    /// How long `wait` may take at most before it shows that the thread lives.
    private static let longestWait = Duration.seconds(5)
    /// A line on which nothing has come for so long is quiet.
    private static let quiet = Duration.milliseconds(200)
    /// Before what is kept: whether an event has told it, or is still to.
    static let told: [UInt8] = [1]
    static let untold: [UInt8] = [0]
    private static let backOffs: [Duration] = [.seconds(1), .seconds(2), .seconds(5), .seconds(10), .seconds(30)]

    init(_ device: Device, intake: Intake, stopping: Interrupt, outputs: DeviceOutputs? = nil) {
        self.device = device
        self.outputs = outputs
        self.intake = intake
        self.stopping = stopping
        normaliser = Normaliser(device)
        var chatter = Chatter(device)
        for point in Self.chattering(device, intake) { chatter.resume(point, now: intake.clock().uptime) }
        state = Mutex(State(chatter: chatter))
        var logger = Logger(label: device.name)
        logger.logLevel = .info
        self.logger = logger
        lastSign = Atomic(intake.clock().uptime)
    }

    // MARK: Host

    var now: Moment { intake.clock() }

    func report(_ signals: [Signal]) throws { try store(signals, keeping: nil) }

    func report(_ signals: [Signal], keeping bytes: [UInt8]) throws {
        let marked = bytes.isEmpty ? [] : Self.told + bytes
        // More than may be kept is not: the event goes first.
        let kept = marked.count <= Outbox.keptLimit ? marked : []
        try store(signals, keeping: Kept(device: device.name, bytes: kept))
    }

    private func store(_ signals: [Signal], keeping kept: Kept?) throws {
        showLife()
        let heard = state.withLock { $0.heard }
        let ids: [Int64]
        do {
            ids = try take(keeping: kept) { known in
                normaliser.events(signals, heard: heard, now: now, known: known)
            }
        } catch {
            tellWatchers(.notStored(signals, error.description))
            throw ReportError(error.description)
        }
        tellWatchers(.reported(signals, ids))
        state.withLock { state in
            state.reported = ids
            // Only a lasting state has a first reading, and a panel may say any number of other names.
            for signal in signals {
                if case .active = signal.reading { state.heard.insert("\(device.name).\(signal.point)") }
            }
        }
    }

    /// Waits for the receiver's acknowledgement; the events are on disk either way. A receiver that has let us wait in vain
    /// is not waited for again until it has acknowledged that: else a panel with much to say would be heard one event
    /// each `limit` for as long as the centre is away, and its fire would stand behind all of them.
    func awaitReceiver() {
        guard let limit = device.waitForReceiver else { return }
        let (ids, before) = state.withLock { ($0.reported, $0.waitedInVain) }
        guard !ids.isEmpty else { return }
        if !before.isEmpty, intake.outbox.waitForReceiver(before, atMost: .zero) == .timeUp { return }
        let answer = waitForReceiver(ids, atMost: limit)
        state.withLock { $0.waitedInVain = answer == .timeUp ? ids : [] }
        switch answer {
        case .acknowledged: break
        case .refused: log(.warning, "refused by every receiver; it is kept on disk")
        case .timeUp:
            log(
                .warning,
                "not acknowledged within \(limit.described); it is on disk and will be sent. Until it is acknowledged the "
                    + "device hears \"received\" when its events are on disk")
        }
    }

    /// In slices, so that the watchdog sees life and a stop is heard.
    private func waitForReceiver(_ ids: [Int64], atMost limit: Duration) -> Outbox.Answer {
        let deadline = ContinuousClock.now + limit
        while !stopping.isSet {
            showLife()
            let left = ContinuousClock.now.duration(to: deadline)
            if left <= .zero { break }
            let answer = intake.outbox.waitForReceiver(ids, atMost: min(left, .seconds(1)))
            if answer != .timeUp { return answer }
        }
        return .timeUp
    }

    func keep(_ bytes: [UInt8]) throws {
        showLife()
        let marked = bytes.isEmpty ? [] : Self.untold + bytes
        do { try intake.outbox.keep(marked, of: device.name) } catch { throw ReportError(error.description) }
    }

    var kept: [UInt8] { Array(intake.outbox.kept(of: device.name).dropFirst()) }

    func answers() {
        showLife()
        let owes = state.withLock { state -> Bool in
            if state.answersSince == nil { state.answersSince = .now }
            guard state.isLost || state.mayStandSinceBefore else { return false }
            state.mayStandSinceBefore = false
            state.isLost = false
            state.why = nil
            return true
        }
        if owes { tell(lost: false, "") }
    }

    func wait(for descriptors: [Int32], until deadline: ContinuousClock.Instant?) -> Wake {
        // A descriptor below zero is passed over (poll(2)).
        // Whoever waits for no line has something to store first.
        let mayBeginAnew = !descriptors.isEmpty
        let own = [stopping.descriptor, outputs?.descriptor ?? -1, mayBeginAnew ? beginningAnew.descriptor : -1]
        var polled = (own + descriptors).map {
            pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
        }
        while true {
            showLife()
            if stopping.isSet { return .stop }
            settleDebts()
            if outputs?.haveChanged() ?? false { return .output }
            let unasked = outputs == nil ? Self.longestWait : DeviceOutputs.longestWait
            var longest = min(settleChatter() ?? unasked, unasked)
            let beginsAnew = mayBeginAnew && beginningAnew.isSet
            if beginsAnew {
                longest = min(longest, Self.quiet)
                polled[2].fd = -1
            }
            let left = deadline.map { min(max(.zero, ContinuousClock.now.duration(to: $0)), longest) } ?? longest
            // Rounded up: a wait that ends a hair early would make a driver spin.
            let timeout = Int32((left + .microseconds(999)).milliseconds)
            let count = poll(&polled, nfds_t(polled.count), timeout)
            if stopping.isSet { return .stop }
            if count > 0, polled[1].revents != 0 || polled[2].revents != 0 { continue }
            if count > 0 { return .ready(polled.dropFirst(own.count).filter { $0.revents != 0 }.map(\.fd)) }
            if count < 0, errno != EINTR { return .ready(descriptors) }  // reading them will tell what is wrong
            if let deadline, ContinuousClock.now >= deadline { return .deadline }
            if beginsAnew, count == 0 { return .stop }
        }
    }

    /// Has the device's line closed and opened again as soon as it is quiet: what the driver asks then, and what the panel
    /// answers, is seen from the beginning. Only for devices without outputs, which would be switched off.
    func beginAnew() { beginningAnew.set() }

    func output(_ name: String) -> Bool { !stopping.isSet && (outputs?.isOn(name) ?? false) }

    func log(_ level: LogLevel, _ message: String) {
        switch level {
        case .debug: logger.debug("\(message)")
        case .notice: logger.notice("\(message)")
        case .warning: logger.warning("\(message)")
        case .error: logger.error("\(message)")
        }
    }

    // MARK: The thread

    /// Runs the driver until told to stop.
    func live() {
        var attempt = 0
        while !stopping.isSet {
            beginningAnew.clear()
            opening()
            let began = ContinuousClock.now
            var why: String?
            do {
                try device.driver.run(self)
                if !beginningAnew.isSet { why = "the driver ended without being told to" }
            } catch { why = "\(error)" }
            if stopping.isSet { return }
            guard let why else { continue }
            lose(why)
            // A device that had worked for a minute starts again at the short end.
            if .now - began > .seconds(60) { attempt = 0 }
            let pause = Self.backOffs[min(attempt, Self.backOffs.count - 1)]
            attempt += 1
            // An output that changes meanwhile shortens no pause.
            let end = ContinuousClock.now + pause
            while .now < end { if wait(for: [], until: end) == .stop { return } }
        }
    }

    /// The device is about to be opened: what it says first of each point is a first reading again.
    func opening() {
        tellWatchers(.opening)
        state.withLock { state in
            state.heard = []
            state.answersSince = nil
        }
    }

    /// The device is lost; told once.
    func lose(_ why: String) {
        let isNews = state.withLock { state -> Bool in
            defer {
                state.isLost = true
                state.why = why
            }
            return state.why != why
        }
        if isNews { log(.error, "lost: \(why)") }
        tellWatchers(.lost(why))
        tell(lost: true, why)
    }

    /// Stores the device's trouble or its end; what cannot be stored now is owed.
    private func tell(lost: Bool, _ why: String) {
        do {
            _ = try take { known in
                guard known(troublePoint) ?? false != lost else { return [] }
                return [normaliser.deviceTrouble(active: lost, text: why, now: now)]
            }
            state.withLock { state in
                state.owesTrouble = false
                state.owesRestore = false
            }
        } catch {
            state.withLock { state in
                state.owesTrouble = lost
                state.owesRestore = !lost
            }
        }
    }

    /// Tells what could not be stored before.
    func settleDebts() {
        let (trouble, restore, why) = state.withLock { ($0.owesTrouble, $0.owesRestore, $0.why) }
        if trouble { tell(lost: true, why ?? "no reason known") } else if restore { tell(lost: false, "") }
    }

    private func showLife() { lastSign.store(intake.clock().uptime, ordering: .relaxed) }

    /// How long ago the driver last called its host, in milliseconds. Above the watchdog's limit it hangs.
    func silence(at now: Moment) -> Int64 { now.uptime - lastSign.load(ordering: .relaxed) }

    /// For `status`: nil when the device answers or has not been tried yet.
    var trouble: String? { state.withLock { $0.isLost ? $0.why : nil } }
    var hasAnswered: Bool { state.withLock { $0.answersSince != nil } }
}

/// A flag that also wakes a `poll`: how threads are told to stop.
final class Interrupt: Sendable {
    let descriptor: Int32
    private let flag = Atomic(false)

    init() { descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK)) }
    deinit { close(descriptor) }

    var isSet: Bool { flag.load(ordering: .acquiring) }

    /// For one thread alone, which does what it was woken for after this.
    func clear() {
        var count: eventfd_t = 0
        _ = eventfd_read(descriptor, &count)
        flag.store(false, ordering: .releasing)
    }

    func set() {
        flag.store(true, ordering: .releasing)
        eventfd_write(descriptor, 1)
    }
}
