import AlarmProtocol
import CSimulatedDisk

@testable import Gateway

/// The daemon, from one start to its end: everything that `Gateway` puts together, but for threads, sockets and control.
final class Daemon {
    let outbox: Outbox
    let intake: Intake
    let hosts: [DeviceHost]
    let uplink: Uplink
    private let housekeeping: Housekeeping
    private var rounds: Housekeeping.Rounds
    let wasStoppedCleanly: Bool
    let startedAt: Int64
    let plan: Plan

    static let state = "/simulated/state"
    static let memory = "/simulated/run"

    init(_ plan: Plan, in world: World) throws {
        self.plan = plan
        startedAt = world.loop.time
        let box = world.box
        let clock: @Sendable () -> Moment = { box.now }
        outbox = try Outbox(directory: Self.state, emergency: Self.memory, limits: plan.limits, clock: clock)
        intake = Intake(outbox: outbox, clock: clock)
        let stopping = Interrupt()
        hosts = plan.devices.map { [intake] in DeviceHost($0, intake: intake, stopping: stopping) }
        let lifeSign = LifeSign(box.now)
        let housekeeping = Housekeeping(
            intake: intake, account: Plan.account, devices: hosts, uplinkSign: lifeSign, manager: ServiceManager(),
            stopping: stopping)
        self.housekeeping = housekeeping
        wasStoppedCleanly = outbox.directory.wasStoppedCleanly
        rounds = housekeeping.begin()
        uplink = Uplink(
            outbox: outbox, paths: plan.paths, on: world.loop, clock: clock, lifeSign: lifeSign,
            connect: { [unowned world] settings, _, happened in
                SimulatedLink(settings, in: world, happened: happened)
            },
            report: { [unowned world] trouble in
                housekeeping.report(trouble)
                world.ringForHousekeeping()
            })
    }

    /// From here on it sends.
    func begin() {
        uplink.start()
        housekeeping.report(.started(afterCleanStop: wasStoppedCleanly))
    }

    func keepHouse() { housekeeping.round(&rounds) }

    /// As `Gateway.run` ends.
    func stopOrderly() {
        housekeeping.round(&rounds)
        uplink.stop()
        outbox.keepHouse(closing: true)
        outbox.directory.noteCleanStop()
        outbox.directory.unlock()
    }

    /// It is dead: nothing of it is to run again.
    func bury() { uplink.stop() }
}

/// The board: its clocks, and whether the wall clock can be believed.
///
/// `@unchecked Sendable`: everything runs on the one thread of the program; the daemon's clock is a `@Sendable` closure.
final class Box: @unchecked Sendable {
    private let loop: SimulatedLoop
    /// True time at the beginning of the simulation, in milliseconds since 1970.
    let beginning: Int64
    /// The wall clock minus the true time, since when.
    private(set) var errors: [(since: Int64, error: Int64)] = [(0, 0)]
    var isClockKnown: Bool
    private(set) var bootedAt: Int64
    /// What uptime begins with at a boot.
    private static let firstUptime: Int64 = 20_000

    init(_ loop: SimulatedLoop, beginning: Int64, isClockKnown: Bool) {
        self.loop = loop
        self.beginning = beginning
        self.isClockKnown = isClockKnown
        bootedAt = loop.time
    }

    var trueTime: Int64 { beginning + loop.time }
    var clockError: Int64 { errors[errors.count - 1].error }
    var now: Moment {
        Moment(
            utc: trueTime + clockError, uptime: loop.time - bootedAt + Self.firstUptime,
            clock: isClockKnown ? .known : .unknown)
    }

    func boot() { bootedAt = loop.time }
    func setClockError(_ error: Int64) { errors.append((loop.time, error)) }

    /// The wall clock's error at a moment of the simulation; before and after, where it was stepped just then.
    func clockErrors(at time: Int64) -> [Int64] {
        [errors.last { $0.since <= time }?.error, errors.last { $0.since < time }?.error].compactMap { $0 }
    }
    /// When in the simulation this boot's uptime was so much.
    func time(ofUptime uptime: Int64, bootedAt boot: Int64?) -> Int64 { uptime - Self.firstUptime + (boot ?? bootedAt) }
}
