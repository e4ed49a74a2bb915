import AlarmProtocol
import CLinux
import Drivers
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// The daemon: devices, outbox, uplink and control, put together for one site.
public final class Gateway: Service {
    private let site: Site
    private let clock: SystemClock
    private let outbox: Outbox
    private let logger = Logger(label: "larmnod")

    /// Takes the outbox. - Throws: `OutboxError` when it is in use, or its directory cannot be written.
    public init(_ site: Site) throws {
        // Two arenas serve our few threads as well as one for each would, in a fraction of the memory.
        mallopt(M_ARENA_MAX, 2)
        self.site = site
        let clock = SystemClock(isTrusted: site.clockIsTrusted)
        self.clock = clock
        outbox = try Outbox(
            directory: site.stateDirectory, emergency: site.runtimeDirectory, limits: site.limits,
            clock: { clock.now() })
    }

    /// Runs until a graceful shutdown is asked for.
    public func run() async throws {
        let clock = clock
        let now: @Sendable () -> Moment = { clock.now() }
        let manager = ServiceManager()
        let stopDevices = Interrupt()
        let stopRest = Interrupt()
        let lifeSign = LifeSign(now())
        let outputs = Outputs(site, outbox: outbox, uplinkSign: lifeSign, clock: now)
        outbox.onEnded { [weak outputs] in outputs?.ended($0, $1) }
        let intake = Intake(outbox: outbox, clock: now, onStored: outputs.stored)
        let testMode = TestMode(account: site.account, intake: intake, onChange: outputs.setTesting)
        let hosts = site.devices.map {
            DeviceHost($0, intake: intake, stopping: stopDevices, outputs: outputs.of($0))
        }
        let certificates = CertificateWatch(site.paths)
        let housekeeping = Housekeeping(
            intake: intake, account: site.account, devices: hosts, uplinkSign: lifeSign, manager: manager,
            stopping: stopRest,
            watch: { now, someoneHangs in
                outputs.keep(now, someoneHangs: someoneHangs) + testMode.due(now) + certificates.troubles(at: now)
            })
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let move = MoveStart.read(MoveFile(directory: site.stateDirectory), site: site, now: now().utc)
        let uplink = try await loop.submit { [outbox, site] in
            let uplink = Uplinks(
                outbox: outbox, site: site, start: move, on: loop, clock: now, lifeSign: lifeSign,
                report: { housekeeping.report($0) }, pathsChanged: outputs.pathsChanged,
                pathsCount: certificates.watch)
            uplink.start()
            return NIOLoopBound(uplink, eventLoop: loop)
        }.get()
        let control = controlServer(intake, hosts, uplink, loop, stopRest, OwnDoings(outputs, testMode))

        housekeeping.report(.started(afterCleanStop: outbox.directory.wasStoppedCleanly))
        for news in move.news { housekeeping.report(news) }
        let ended = RemovedPaths.endings(
            of: outbox.lastStates(), paths: Set(site.paths.map(\.name)), account: site.account, now: now())
        for trouble in ended { housekeeping.report(trouble) }
        let keeper = try WorkerThread("housekeeping") { housekeeping.live() }
        let controlThread = try control.map { control in try WorkerThread("control") { control.live() } }
        let threads = try hosts.map { host in try WorkerThread(host.device.name) { host.live() } }
        manager.tell("READY=1\nSTATUS=\(site.name): \(site.devices.count) devices, \(site.paths.count) paths")
        logger.notice("\(site.name): running, \(outbox.waitingCount) events waiting")

        await untilShutdown()

        // Devices first: what they have read is stored before the rest goes.
        manager.tell("STOPPING=1")
        stopDevices.set()
        for thread in threads { thread.join() }
        stopRest.set()
        keeper.join()
        controlThread?.join()
        try await loop.submit { uplink.value.stop() }.get()
        outbox.keepHouse(closing: true)
        outbox.directory.noteCleanStop()
        try await group.shutdownGracefully()
        logger.notice("stopped, \(outbox.waitingCount) events waiting")
    }

    /// Nil where its socket cannot be made: no alarm waits because nobody can ask for the status.
    private func controlServer(
        _ intake: Intake, _ hosts: [DeviceHost], _ uplink: NIOLoopBound<Uplinks>, _ loop: any EventLoop,
        _ stopping: Interrupt, _ own: OwnDoings
    ) -> ControlServer? {
        let clock = clock
        do {
            return try ControlServer(
                site: site, intake: intake, devices: hosts, uplink: uplink, loop: loop, stopping: stopping,
                clock: { clock.now() }, own: own)
        } catch {
            logger.error("\(error) Until then status, events and test cannot be asked for; alarms are sent.")
            return nil
        }
    }

    private func untilShutdown() async {
        // A stream that nobody writes to, ended by the shutdown.
        let (stream, continuation) = AsyncStream<Never>.makeStream()
        await withGracefulShutdownHandler {
            for await _ in stream {}
        } onGracefulShutdown: {
            continuation.finish()
        }
    }
}
