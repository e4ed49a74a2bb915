import AlarmProtocol
import CSimulatedDisk

@testable import Gateway

/// How rough a seed's world is: every world is rough in some ways and mild in others.
struct Nature {
    /// Between two happenings at one device, on average, in milliseconds.
    let eventInterval: Int64
    let crashInterval: Int64
    let cutInterval: Int64
    let moodInterval: Int64
    let faultInterval: Int64
    let longestRestart: Int64
    let longestCut: Int64
    let crashes: Bool
    let hasDiskFaults: Bool
    let stepsClock: Bool

    /// What a board without a battery takes the time for at a boot: 1 January 2025.
    static let unsetClock: Int64 = 1_735_689_600_000
    /// After the day, in milliseconds: all is well, and what waits is delivered.
    static let calm: Int64 = 3 * 3_600_000

    init(_ dice: inout Dice) {
        eventInterval = dice.pick([400_000, 900_000, 1_800_000, 3_600_000])
        crashInterval = dice.pick([1_200_000, 3_600_000, 10_800_000])
        cutInterval = dice.pick([900_000, 3_600_000, 14_400_000])
        moodInterval = dice.pick([3_600_000, 14_400_000])
        faultInterval = dice.pick([3_600_000, 14_400_000])
        longestRestart = dice.pick([2000, 30_000, 600_000])
        longestCut = dice.pick([20_000, 600_000, 10_800_000])
        crashes = dice.percent(75)
        hasDiskFaults = dice.percent(50)
        stepsClock = dice.percent(40)
    }
}

/// What befalls the world.
extension World {
    func befall() {
        if nature.crashes { every(nature.crashInterval) { world in world.crash() } }
        every(6 * 3_600_000) { world in world.stopOrderly() }
        every(4 * 3_600_000) { world in world.clearAway() }
        every(nature.cutInterval) { world in world.trouble(of: world.dice.pick(world.plan.paths).name) }
        every(nature.moodInterval) { world in world.moodSwing() }
        if nature.hasDiskFaults { every(nature.faultInterval) { world in world.diskFault() } }
        if nature.stepsClock, plan.hasClockBattery { every(3 * 3_600_000) { world in world.stepClock() } }
        if !plan.hasClockBattery { clockWillBeSet() }
        for path in plan.paths { refreshHealth(path.name) }
    }

    private func every(_ mean: Int64, _ body: @escaping (World) -> Void) {
        loop.afterOuter(dice.interval(mean)) { [self] in
            guard !isCalm else { return }
            body(self)
            every(mean, body)
        }
    }

    private func crash() {
        guard !isDead else { return }
        let operations = dice.pick([0, 0, dice.within(0...12), dice.within(0...60)])
        note("it will be cut off \(operations) operations from now")
        expectDeath(operations: operations)
        if operations == 0 { disk_kill() }
        // Where nothing is written, it is cut off all the same.
        let life = lives
        loop.afterOuter(600_000) { [self] in
            if life == lives, !isDead, !isCalm { disk_kill() }
        }
    }

    /// A named person gives up what every receiver has refused.
    func clearAway() {
        guard let daemon, !isDead else { return }
        settle()
        for id in daemon.outbox.queue.withLock({ $0.parked }).sorted()
        where !daemon.outbox.discard(id, by: "the simulation", why: "refused everywhere") && !isDead {
            violate(.delivered, "event \(id) is parked, and cannot be discarded")
        }
    }

    private func trouble(of path: String) {
        let time: Int64 = dice.within(500...nature.longestCut)
        change(path) { network in
            switch dice.within(0...9) {
            case 0, 1: network.cut = .silent
            case 2: network.cut = .refused
            case 3: network.cut = .halfOpen
            case 4: network.loss = dice.within(1...60)
            case 5: network.delay = dice.pick([200...900, 1000...4000, 50...12_000])
            case 6: network.repetition = dice.within(5...80)
            case 7: network.garbling = dice.within(1...50)
            default:
                network.loss = dice.within(0...20)
                network.repetition = dice.within(0...20)
                network.garbling = dice.within(0...20)
                network.delay = 5...dice.within(50...3000)
            }
        }
        note("path \(path) for \(time / 1000) s: \(network(path).words)")
        loop.afterOuter(time) { [self] in
            guard !isCalm else { return }
            clear(path)
        }
    }

    private func clear(_ path: String) {
        note("path \(path) is clear")
        change(path) { network in
            network.cut = .none
            network.loss = 0
            network.repetition = 0
            network.garbling = 0
            network.delay = 5...40
        }
    }

    private func moodSwing() {
        guard let centre = centres[dice.pick(Plan.receivers)] else { return }
        set(dice.pick(Centre.Mood.allCases), of: centre)
        // A storm of DUH everywhere parks what comes, as it should; it is worth a short look now and then.
        loop.afterOuter(dice.within(2000...1_800_000)) { [self] in
            if !isCalm { set(.well, of: centre) }
        }
    }

    private func set(_ mood: Centre.Mood, of centre: Centre) {
        note("\(centre.name) is \(mood)")
        centre.mood = mood
        for path in plan.paths { refreshHealth(path.name) }
    }

    private func diskFault() {
        let kinds = [disk_input_output_error, disk_full, disk_read_only]
        let kind = dice.pick(kinds)
        let operations: Int64 = dice.percent(40) ? dice.within(1...6) : 0
        let time: Int64 = dice.within(1000...1_800_000)
        note("the disk: fault \(kind.rawValue), \(operations > 0 ? "\(operations) operations" : "\(time / 1000) s")")
        diskSoundSince = nil
        disk_set_fault(Int32(kind.rawValue), operations)
        loop.afterOuter(time) { [self] in
            if !isCalm { heal() }
        }
    }

    private func heal() {
        note("the disk is sound")
        disk_set_fault(Int32(disk_sound.rawValue), 0)
        // The daemon tries it again every five seconds.
        diskSoundSince = loop.time + 20_000
    }

    private func stepClock() {
        let step: Int64 = dice.pick([
            3_600_000, -3_600_000, 7_200_000, -86_400_000, 1000, -1000, dice.within(-40_000_000...40_000_000),
        ])
        note("the wall clock is stepped by \(step / 1000) s")
        box.setClockError(box.clockError + step)
    }

    func clockWillBeSet() {
        let boot = box.bootedAt
        loop.afterOuter(dice.within(1000...7_200_000)) { [self] in
            guard boot == box.bootedAt else { return }
            setClock()
        }
    }

    private func setClock() {
        guard !box.isClockKnown else { return }
        note("the clock is set by the network")
        box.setClockError(dice.within(-300...300))
        box.isClockKnown = true
    }

    /// Everything is well from now on.
    func calm() {
        note("calm")
        isCalm = true
        disk_die_after(-1)
        heal()
        setClock()
        for centre in centres.values { centre.clockError = 0 }
        for name in Plan.receivers { if let centre = centres[name] { set(.well, of: centre) } }
        for path in plan.paths { clear(path.name) }
        for field in fields { field.reconnect() }
        // What was refused just before is refused for good.
        loop.afterOuter(3_600_000) { [self] in clearAway() }
    }
}

extension Network {
    var words: String {
        "\(cut), loss \(loss) %, repetition \(repetition) %, garbling \(garbling) %, delay \(delay) ms"
    }
}
