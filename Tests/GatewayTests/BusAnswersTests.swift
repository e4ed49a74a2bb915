import AlarmProtocol
import Foundation
import NIOCore
import Testing

@testable import Drivers
@testable import Gateway

/// A daemon's control socket with real drivers behind it, which do not run.
private final class AskedDaemon {
    let scratch = Scratch()
    let hosts: [DeviceHost]
    let testMode: TestMode
    private let box: Box
    private let stopping: Interrupt
    private let thread: WorkerThread
    private let socketPath: String

    init(_ devices: String) throws {
        socketPath = scratch.path + "/control"
        let file = scratch.path + "/site.toml"
        try """
        [site]
        name = "Furutorpsskolan"
        account = "4711"
        clock = "trusted"
        state = "\(scratch.path)/state"
        socket = "\(socketPath)"
        [receiver.centre]
        address = "127.0.0.1:7700"
        [path.fibre]
        receiver = "centre"
        \(devices)
        """.write(toFile: file, atomically: true, encoding: .utf8)
        let site = try SiteReader.read(file: file, drivers: [ModbusDriver.self, IIODriver.self]).get()
        let box = try Box(scratch.path, [testPath("fibre", to: "a", port: 1)])
        let stopping = Interrupt()
        let clock = SystemClock(isTrusted: true)
        let intake = Intake(outbox: box.outbox, clock: { clock.now() })
        let outputs = Outputs(site, outbox: box.outbox, uplinkSign: LifeSign(clock.now()), clock: { clock.now() })
        let testMode = TestMode(account: site.account, intake: intake, onChange: outputs.setTesting)
        let hosts = site.devices.map { DeviceHost($0, intake: intake, stopping: stopping) }
        let server = try ControlServer(
            site: site, intake: intake, devices: hosts, uplink: box.uplink, loop: box.group.next(), stopping: stopping,
            clock: { clock.now() }, own: OwnDoings(outputs, testMode))
        thread = try WorkerThread("control") { server.live() }
        (self.box, self.hosts, self.testMode, self.stopping) = (box, hosts, testMode, stopping)
    }

    func end() async throws {
        stopping.set()
        thread.join()
        try await box.stop()
    }

    func ask(_ request: ControlRequest) throws(ControlRefusal) -> ControlConnection {
        let connection = try ControlConnection(socketPath)
        try connection.send(request)
        return connection
    }

    /// All answers until the daemon hangs up.
    func answers<Answer: Decodable>(_ type: Answer.Type, to request: ControlRequest) throws(ControlRefusal) -> [Answer]
    {
        let connection = try ask(request)
        var all: [Answer] = []
        while let line = try connection.line() { all.append(try ControlConnection.decode(type, line)) }
        return all
    }
}

private let twoBuses = """
    [device.modbus.cellar]
    port = "/dev/ttyS9"
    line = "9600 8N1"
    [device.modbus.cellar.point.door]
    unit = 1
    table = "discrete-input"
    register = 0
    kind = "burglary"
    [device.modbus.cellar.point.gate]
    unit = 7
    table = "discrete-input"
    register = 0
    kind = "burglary"
    [device.modbus.roof]
    address = "10.0.0.5:502"
    interval = "100ms"
    [device.modbus.roof.point.hatch]
    unit = 1
    table = "coil"
    register = 3
    kind = "burglary"
    """

private let oneLoop = """
    [device.iio.loops]
    device = "mcp3208"
    reference = 7
    [device.iio.loops.point.door]
    channel = 0
    kind = "burglary"
    zone = 1
    end-of-line = { pull-up = "1k", normal = "1k", alarm = "2k" }
    [device.iio.loops.point.hatch]
    channel = 1
    kind = "burglary"
    zone = 2
    end-of-line = { pull-up = "1k", normal = "1k", alarm = "2k" }
    """

@Suite("What the daemon answers of its buses and loops")
struct BusAnswersTests {
    @Test("Every bus, or the one that is named, as it was measured; another name is refused with those there are")
    func buses() async throws {
        let daemon = try AskedDaemon(twoBuses)
        let start = ContinuousClock.now
        let driver = try #require(daemon.hosts[0].device.driver as? ModbusDriver)
        driver.memory.with { memory in
            memory.units[1, default: UnitFigures()].answered(from: start, at: start + .milliseconds(30))
            memory.units[7, default: UnitFigures()].failed("no reply within 313ms", isDead: true)
        }
        let all = try daemon.answers(BusReport.self, to: ControlRequest(.bus))
        #expect(all.map(\.device) == ["modbus.cellar", "modbus.roof"])
        #expect(all.allSatisfy { $0.measured && $0.warning == nil })
        #expect(all[0].bus == "/dev/ttyS9, 9600 8N1" && all[1].bus == "10.0.0.5:502" && all[1].interval == 100)
        #expect(all[0].units.map(\.unit) == [1, 7] && all[0].units.map(\.state) == ["answers", "dead"])
        #expect(all[0].units[0].mean == 30 && all[0].units[1].why == "no reply within 313ms")
        #expect(all[1].units.map(\.state) == ["not heard yet"])
        for name in ["roof", "modbus.roof"] {
            let one = try daemon.answers(BusReport.self, to: ControlRequest(.bus, name: name))
            #expect(one.map(\.device) == ["modbus.roof"])
        }
        let refusal = #expect(throws: ControlRefusal.self) {
            try daemon.answers(BusReport.self, to: ControlRequest(.bus, name: "attic"))
        }
        #expect(
            refusal?.description == "there is no Modbus bus \"attic\"; there is modbus.cellar, modbus.roof",
            "\(String(describing: refusal))")
        try await daemon.end()
    }

    @Test("A site without a bus has none to tell of, and says so of a named one")
    func noBus() async throws {
        let daemon = try AskedDaemon(oneLoop)
        #expect(try daemon.answers(BusReport.self, to: ControlRequest(.bus)).isEmpty)
        let refusal = #expect(throws: ControlRefusal.self) {
            try daemon.answers(BusReport.self, to: ControlRequest(.bus, name: "loops"))
        }
        #expect(refusal?.description == "there is no Modbus bus \"loops\"; this site has none")
        try await daemon.end()
    }

    @Test(
        "A loop is learned in test mode only, by its name; its readings come, others' do not; the end of test mode ends it"
    )
    func learning() async throws {
        let daemon = try AskedDaemon(oneLoop)
        func refusal(_ device: String, _ point: String) -> String {
            var words = "(none)"
            do throws(ControlRefusal) {
                _ = try daemon.ask(ControlRequest(.learn, name: device, point: point)).answer(LearnLine.self)
            } catch { words = error.description }
            return words
        }
        #expect(refusal("loops", "door").contains("test-mode on"))
        #expect(
            refusal("cellar", "door").contains("no device \"cellar\"")
                && refusal("cellar", "door").contains("door, hatch"))
        #expect(refusal("iio.loops", "window").contains("iio.loops has no supervised loop \"window\""))

        _ = try daemon.testMode.begin(by: "anna", for: .seconds(600), why: "")
        let connection = try daemon.ask(ControlRequest(.learn, name: "loops", point: "door"))
        let first = try connection.answer(LearnLine.self)
        #expect(first.device == "iio.loops" && first.facts?.point == "door" && first.facts?.normal == 5000)
        #expect((590...600).contains(first.testModeLeft ?? 0))
        let host = daemon.hosts[0]
        #expect(await comesTrue { host.isWatched })
        for (point, count) in [("hatch", 1.0), ("door", 5010.0)] {
            host.measured(LoopReading(point: point, count: count, fullScale: 10_000, state: "normal"))
        }
        var line = try connection.answer(LearnLine.self)
        while line.count == nil { line = try connection.answer(LearnLine.self) }
        #expect(line.count == 5010 && line.state == "normal")
        // Nothing is read: that is said.
        while line.trouble == nil { line = try connection.answer(LearnLine.self) }
        #expect(line.trouble == "the loop cannot be read")
        try daemon.testMode.end(by: "anna")
        let ended = #expect(throws: ControlRefusal.self) { while try connection.line() != nil {} }
        #expect(ended?.description.contains("test mode is not on") == true)
        #expect(await comesTrue { !host.isWatched })
        try await daemon.end()
    }

    @Test("Somebody who watches everything sees each loop once a second, and one who learns sees each reading")
    func pace() {
        let (screen, learner) = (Watcher(), Watcher(.readings(of: "door")))
        let door = LoopReading(point: "door", count: 5, fullScale: 100, state: "short")
        var hatch = door
        hatch.point = "hatch"
        for tick in 0..<20 {
            let at = Moment(utc: 0, uptime: Int64(tick) * 150, clock: .known)
            for reading in [door, hatch] {
                for watcher in [screen, learner] { watcher.add(Sight(device: "d", at: at, what: .measured(reading))) }
            }
        }
        learner.add(Sight(device: "d", at: Moment(utc: 0, uptime: 0, clock: .known), what: .opening))
        #expect(learner.take().sights.count == 20)
        #expect(screen.take().sights.count == 6, "at 0, 1.05 and 2.1 s, of each")
        #expect(screen.take().lost == 0)
    }
}
