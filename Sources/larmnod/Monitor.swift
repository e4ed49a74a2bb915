import AlarmProtocol
import ArgumentParser
import Drivers
import Gateway
import Glibc
import Synchronization

/// `larmnod monitor`: a device's line, live.
struct Monitor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show what passes on a device's line, both ways, and what becomes of it. Ends with Ctrl-C.",
        discussion: """
            < came from the device, > was sent to it, = is what the driver reported, * the event that it became. The \
            bytes stand beside what they mean; what repeats is counted. Watching slows nothing down: a screen that is \
            too slow misses lines, and is told how many.
            """)

    @OptionGroup var daemon: Daemon
    @OptionGroup var site: SiteFile
    @Argument(help: "The device, as larmnod status names it; all of them where none is named.") var device: String?
    @Flag(help: "Every byte, sixteen on a row with its letters.") var hex = false
    @Flag(help: "Every passage, also those that repeat.") var all = false
    @Flag(
        help:
            "Where no larmnod runs: open the device here and listen. Nothing is stored, nothing is sent to a centre, and no panel gets an answer."
    ) var alone = false

    func validate() throws {
        guard !alone || device != nil else { throw ValidationError("With --alone, name the device.") }
    }

    func run() throws {
        if alone { return try watchAlone() }
        var screen = LineScreen(hexadecimal: hex, all: all, namesDevices: device == nil)
        do throws(ControlRefusal) {
            let connection = try ControlConnection(daemon.socket)
            try connection.send(ControlRequest(.watch, name: device))
            while let line = try connection.line() {
                if daemon.json {
                    printLine(line)
                } else {
                    for row in screen.rows(try ControlConnection.decode(WatchedLine.self, line)) { printLine(row) }
                }
            }
        } catch {
            printError("larmnod: \(error.description.printable)")
            if error.nobodyIsThere {
                printError(
                    "Start it and ask again, or open the device here, to listen only: larmnod monitor \(device ?? "DEVICE") --alone"
                )
            }
            throw ExitCode(1)
        }
        printError("larmnod has stopped, or hung up.")
        throw ExitCode(1)
    }

    // MARK: Without the daemon

    private func watchAlone() throws {
        let site = try site.read()
        try refuseIfRunning(site)
        let name = device ?? ""
        guard let device = site.devices.first(where: { $0.name == name || $0.name.hasSuffix(".\(name)") }) else {
            throw refused(
                "there is no device \"\(name)\"; the devices are: \(site.devices.map(\.name).joined(separator: ", "))")
        }
        guard device.outputs.isEmpty else {
            throw refused("\(device.name) has outputs, which would be switched off: start larmnod, and monitor that")
        }
        let host = AloneHost(device.name, LineScreen(hexadecimal: hex, all: all), json: daemon.json)
        let driver = device.driver
        let listen: () throws -> Void
        if let panel = driver as? any PanelDriver {
            listen = { try panel.listen(host) }
        } else if let bus = driver as? ModbusDriver {
            listen = { try bus.listen(host) }
        } else if driver is GPIODriver || driver is IIODriver || driver is RevPiDriver {
            listen = { try driver.run(host) }
        } else {
            throw refused(
                "\(device.name) must be answered to say anything, and an answer would tell the panel that its calls "
                    + "are kept: start larmnod, and monitor that")
        }
        printError("LISTENS ONLY, to \(device.name): NOTHING IS STORED, NOTHING REACHES THE CENTRE,")
        printError("and a panel gets no answer. Ctrl-C ends it; then start larmnod again.")
        do { try listen() } catch { throw refused("\(error)") }
    }

    private func refuseIfRunning(_ site: Site) throws {
        do throws(ControlRefusal) {
            _ = try ControlConnection(site.controlSocket)
        } catch {
            if error.nobodyIsThere { return }
            throw refused(error.description)
        }
        throw refused("larmnod runs here, and has the device: leave --alone out")
    }

    private func refused(_ why: String) -> ExitCode {
        printError("larmnod: \(why.printable)")
        return ExitCode(1)
    }
}

/// A host that shows and keeps nothing. It never lets a driver believe that a report is stored where a panel would be
/// told so: such drivers are only listened to (`PanelDriver.listen`).
private final class AloneHost: Host {
    private let device: String
    private let screen: Mutex<LineScreen>
    /// When each loop's reading was last shown: they come many times a second.
    private let shown = Mutex<[String: Int64]>([:])
    private let isJSON: Bool
    private let clock = SystemClock(isTrusted: true)

    init(_ device: String, _ screen: LineScreen, json: Bool) {
        self.device = device
        self.screen = Mutex(screen)
        isJSON = json
    }

    var isWatched: Bool { true }
    var now: Moment { clock.now() }
    func answers() {}
    func output(_ name: String) -> Bool { false }
    func trace(_ passage: Passage) { show(WatchedLine(device, passage, at: now)) }
    func measured(_ reading: LoopReading) {
        let now = now
        let isDue = shown.withLock { shown in
            guard shown[reading.point].map({ now.uptime - $0 >= 1000 }) ?? true else { return false }
            shown[reading.point] = now.uptime
            return true
        }
        if isDue { show(WatchedLine(device, .received, at: now, text: reading.described)) }
    }
    func log(_ level: LogLevel, _ message: String) { show(WatchedLine(device, .log, at: now, text: message)) }

    func report(_ signals: [Signal]) throws {
        for signal in signals { show(WatchedLine(device, .signal, at: now, text: signal.summary)) }
    }

    func wait(for descriptors: [Int32], until deadline: ContinuousClock.Instant?) -> Wake {
        while true {
            var polled = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            let left = deadline.map { max(0, ($0 - .now + .microseconds(999)).milliseconds) } ?? 60_000
            if poll(&polled, nfds_t(polled.count), Int32(min(left, 60_000))) > 0 {
                return .ready(polled.filter { $0.revents != 0 }.map(\.fd))
            }
            if let deadline, .now >= deadline { return .deadline }
        }
    }

    private func show(_ line: WatchedLine) {
        if isJSON { return printLine(line.json) }
        for row in screen.withLock({ $0.rows(line) }) { printLine(row) }
    }
}
