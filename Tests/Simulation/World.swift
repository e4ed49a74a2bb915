import AlarmProtocol
import CSimulatedDisk
import Drivers

@testable import Gateway

/// One seed's world: a site with its box, two centres and the networks between, and whatever befalls them.
final class World {
    let seed: UInt64
    let loop = SimulatedLoop()
    let trace: Trace
    let box: Box
    var dice: Dice
    var plan: Plan
    let nature: Nature
    var ledger = Ledger()
    private(set) var violations: [String] = []
    /// The trace up to the first of them.
    private(set) var linesBefore: [String] = []
    var daemon: Daemon?
    private(set) var networks: [String: Network] = [:]
    let centres: [String: Centre]
    private(set) var fields: [Field] = []
    /// How many times the daemon has been started.
    private(set) var lives = 0
    private var boots: UInt64 = 0
    private var isRestartDue = false
    private var nextRound: SimulatedLoop.Happening?
    private var stirredAt: Int64 = 0
    var figures = Figures()

    /// What became of a run, for the summary.
    struct Figures: CustomStringConvertible {
        var events = 0
        var frames = 0
        var kills = 0
        var powerCuts = 0
        var operations: Int64 = 0

        var description: String {
            "\(events) events, \(frames) frames, \(kills) kills, \(powerCuts) power cuts, \(operations) disk operations"
        }
    }

    /// A run is no better for the hundredth violation of one bug.
    private static let violationLimit = 20

    init(seed: UInt64, printsTrace: Bool) {
        self.seed = seed
        dice = Dice(seed)
        trace = Trace(printsAll: printsTrace)
        disk_begin(dice.next())
        nature = Nature(&dice)
        plan = Plan(&dice)
        // Some days around the ends of February, and of the year.
        let days = [20_511, 20_696, 21_243, 20_818, 20_819].map { Int64($0) * 86_400_000 }
        box = Box(loop, beginning: dice.pick(days) + dice.within(0...86_400_000), isClockKnown: plan.hasClockBattery)
        centres = Dictionary(
            uniqueKeysWithValues: Plan.receivers.map { name in (name, Centre(name, clockError: 0)) })
        for name in Plan.receivers where dice.percent(20) {
            centres[name]?.clockError = dice.within(-7_200_000...7_200_000)
        }
        fields = plan.devices.map { device in
            Field(
                device, isPanel: plan.panels.contains(device.name), keeps: plan.keepers.contains(device.name), in: self)
        }
        if !plan.hasClockBattery { box.setClockError(Nature.unsetClock - box.beginning) }
        TraceLog.world = self
        disk_set_waiting { milliseconds in
            guard let world = TraceLog.world, !disk_is_dead() else { return -1 }
            // Somebody waits because his event lies in memory only: it is seen while it does.
            world.absorb()
            return world.loop.pass(milliseconds)
        }
    }

    /// The process, or the board, is dead; what it does from here on comes to nothing.
    var isDead: Bool { disk_is_dead() || daemon == nil }

    func note(_ text: String) { trace.note(loop.time, text) }

    func violate(_ promise: Promise, _ what: String) {
        note("VIOLATED \(promise): \(what)")
        if violations.isEmpty { linesBefore = Array(trace.last) }
        if violations.count < Self.violationLimit {
            violations.append("\(Trace.clock(loop.time))  promise \(promise): \(what)")
        }
    }

    func heardLog(_ label: String, _ text: String) {
        if disk_is_dead() { return }
        // The simulated devices do not show their lives to the watchdog.
        if text.contains("makes no progress") { return }
        note("\(label): \(text)")
        watchForSecrets(text, "the log")
    }

    func watchForSecrets(_ text: String, _ place: String) {
        if text.uppercased().contains(Plan.secret) { violate(.quiet, "a key stands in \(place)") }
    }

    // MARK: A day, and the calm after it

    func live(hours: Int64) {
        boot()
        start()
        for field in fields { field.begin() }
        befall()
        loop.run(until: hours * 3_600_000) { [self] in afterEach() }
        calm()
        loop.run(until: loop.time + Nature.calm) { [self] in afterEach() }
        judgeTheEnd()
        figures.operations = disk_operations()
        TraceLog.world = nil
        daemon?.bury()
        daemon = nil
    }

    private func afterEach() {
        if disk_is_dead() { die() }
        if isRestartDue, daemon == nil {
            isRestartDue = false
            loop.afterOuter(dice.within(500...nature.longestRestart)) { [self] in start() }
        }
    }

    private func boot() {
        boots += 1
        disk_set_boot(seed &* 1000 &+ boots)
        box.boot()
    }

    // MARK: The daemon's lives

    func start() {
        guard daemon == nil else { return }
        lives += 1
        lastLifeStored = hasStored
        hasStored = false
        note("larmnod starts, life \(lives)")
        // Sometimes it is cut off again before it has come up.
        if !isCalm, nature.crashes, dice.onceIn(wasJustKilled ? 3 : 8) { expectDeath(operations: dice.within(0...30)) }
        do {
            let daemon = try Daemon(plan, in: self)
            guard !disk_is_dead() else {
                daemon.bury()
                return
            }
            self.daemon = daemon
            bootTimes[daemon.outbox.boot] = box.bootedAt
            reconcile(with: daemon)
            daemon.begin()
            for field in fields { field.opened() }
            ringForHousekeeping()
        } catch {
            note("it does not start: \(error)")
            if disk_is_dead() { return }
            disk_process_ended()
            isRestartDue = true
        }
    }

    /// Sets the moment of death, by what is done to the disk.
    func expectDeath(operations: Int) {
        isPowerCutNext = dice.percent(60)
        disk_die_after(Int64(operations))
    }

    private var isPowerCutNext = false

    private func die() {
        let losesPower = isPowerCutNext
        inFlight = [:]
        note(losesPower ? "the power is cut" : "larmnod is killed")
        daemon?.bury()
        daemon = nil
        loop.forgetDaemon()
        nextRound?.cancel()
        disk_process_ended()

        wasKilled = true
        wasJustKilled = !losesPower
        guard losesPower else {
            figures.kills += 1
            isRestartDue = true
            return
        }
        figures.powerCuts += 1
        disk_power_cut()
        boot()
        if !plan.hasClockBattery {
            box.isClockKnown = false
            box.setClockError(Nature.unsetClock - box.trueTime)
            clockWillBeSet()
        }
        for field in fields { field.powerCut() }
        isRestartDue = true
    }

    /// The last end was no orderly stop.
    var wasKilled = false
    /// It was killed while the power stayed on: what it had written and not synced is there, as long as that lasts.
    private var wasJustKilled = false

    func stopOrderly() {
        guard let daemon, !disk_is_dead() else { return }
        note("larmnod is stopped")
        for field in fields { field.stop() }
        guard !disk_is_dead() else { return }
        daemon.stopOrderly()
        guard !disk_is_dead() else { return }
        settle()
        absorb()
        self.daemon = nil
        inFlight = [:]
        loop.forgetDaemon()
        nextRound?.cancel()
        wasKilled = false
        wasJustKilled = false
        disk_process_ended()
        if dice.percent(50) {
            note("configuration: \(plan.change(&dice))")
            // Another receiver may be behind a path: how it is begins to count now.
            for path in plan.paths {
                networks[path.name]?.healthySince = nil
                networks[path.name]?.deadSince = nil
                refreshHealth(path.name)
            }
        }
        isRestartDue = true
    }

    // MARK: Housekeeping

    /// The daemon's housekeeping thread wakes: at once, and then every second as long as something goes on.
    func ringForHousekeeping() {
        stirredAt = loop.time
        scheduleRound(2)
    }

    private func scheduleRound(_ delay: Int64) {
        if let nextRound, nextRound.at <= loop.time + delay, nextRound.isPending { return }
        nextRound?.cancel()
        nextRound = loop.afterOuter(delay) { [self] in keepHouse() }
    }

    private func keepHouse() {
        guard let daemon, !isDead else { return }
        daemon.keepHouse()
        guard !isDead else { return }
        for host in daemon.hosts {
            host.settleDebts()
            _ = host.settleChatter()
        }
        guard !isDead else { return }
        absorb()
        settle()
        checkLimits()
        // Nothing changes while nothing happens: the rounds that would find nothing are left out, most of them.
        let isBusy = loop.time - stirredAt < 15_000
        scheduleRound(isBusy ? 1000 : dice.within(5000...60_000))
    }

    // MARK: Networks

    func network(_ path: String) -> Network { networks[path] ?? Network() }

    func change(_ path: String, _ change: (inout Network) -> Void) {
        var network = network(path)
        change(&network)
        network.edition += 1
        networks[path] = network
        refreshHealth(path)
    }

    /// Whether a path can be relied on from now on, or not at all.
    func refreshHealth(_ path: String) {
        guard let settings = plan.paths.first(where: { $0.name == path }) else { return }
        var network = network(path)
        let mood = centres[settings.receiver]?.mood ?? .well
        let isHealthy = network.isClear && mood == .well
        network.healthySince = isHealthy ? network.healthySince ?? loop.time : nil
        let isDead = network.isDead || [.wrongSequence, .mute].contains(mood)
        network.deadSince = isDead ? network.deadSince ?? loop.time : nil
        networks[path] = network
        if network.deadSince == loop.time { expectPathDown(settings) }
    }

    func stirred() { stirredAt = loop.time }

    var isCalm = false
    /// Since when the disk takes what it is given; nil while it does not.
    var diskSoundSince: Int64? = 0
    /// What each connection carries, as far as the world has seen.
    var inFlight: [ObjectIdentifier: Int64] = [:]
    /// When each boot was, by the outbox's number for it.
    var bootTimes: [Int64: Int64] = [:]
    /// This life has stored something, and the last one had: it leaves a trace, however it ended.
    var hasStored = false
    private(set) var lastLifeStored = false
    /// What the daemon last knew of every point while the disk worked: it must know it after any cut.
    private(set) var remembered: [String: Bool] = [:]
    /// Points of which something was told from memory since.
    var toldFromMemory: Set<String> = []

    func remember(_ daemon: Daemon) {
        remembered = daemon.intake.lastStates()
        toldFromMemory = []
    }

    /// Something beyond the start itself has ever been stored on the disk.
    var hasEverStored = false
    /// The file was found empty before anything was in it.
    var isNewStore = false
}
