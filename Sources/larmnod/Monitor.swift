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
        usage: "larmnod monitor [<device>] [--hex] [--all] [--json] [--alone] [<options>]",
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
            "Where no larmnod runs: open the device here and listen. Nothing is stored, nothing is sent to a centre, and no panel gets an answer. Not for a device with outputs."
    ) var alone = false

    func validate() throws {
        guard !alone || device != nil else { throw ValidationError("With --alone, name the device.") }
    }

    func run() throws {
        if alone { return try watchAlone() }
        let screen = Screen(LineScreen(hexadecimal: hex, all: all, namesDevices: device == nil))
        let stop = StopSignal()
        do throws(ControlRefusal) {
            let connection = try ControlConnection(daemon.socket)
            try connection.send(ControlRequest(.watch, name: device))
            while let line = try connection.line(unless: stop.descriptor) {
                if daemon.json {
                    printLine(line)
                } else {
                    screen.show(try ControlConnection.decode(WatchedLine.self, line))
                }
            }
            screen.end()
            if stop.isGiven { return }
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
        let stop = StopSignal()
        let host = AloneHost(
            device.name, Screen(LineScreen(hexadecimal: hex, all: all)), stop: stop.descriptor, json: daemon.json)
        defer { host.end() }
        printError("LISTENS ONLY, to \(device.name): NOTHING IS STORED, NOTHING REACHES THE CENTRE.")
        if let panel = device.driver as? any PanelDriver {
            printError("The panel gets no answer, and shows its fault as it should.")
            if panel.asksAtOpening { printError("It is used to be asked, and may say nothing, or little.") }
        }
        printError("Ctrl-C ends it; then start larmnod again.")
        do {
            try withExtendedLifetime(stop) {
                // Everything else is only read, and no other device believes that it has been heard.
                if let panel = device.driver as? any PanelDriver {
                    try panel.listen(host)
                } else if let bus = device.driver as? ModbusDriver {
                    try bus.listen(host)
                } else {
                    try device.driver.run(host)
                }
            }
        } catch { throw refused("\(error)") }
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
    private let screen: Screen
    private let stop: Int32
    /// When each loop's reading was last shown: they come many times a second.
    private let shown = Mutex<[String: Int64]>([:])
    private let isJSON: Bool
    private let clock = SystemClock(isTrusted: true)

    init(_ device: String, _ screen: Screen, stop: Int32, json: Bool) {
        self.device = device
        self.screen = screen
        self.stop = stop
        isJSON = json
    }

    func end() { screen.end() }

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
            var polled = ([stop] + descriptors).map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            let left = deadline.map { max(0, ($0 - .now + .microseconds(999)).milliseconds) } ?? 60_000
            if poll(&polled, nfds_t(polled.count), Int32(min(left, 60_000))) > 0 {
                if polled[0].revents != 0 { return .stop }
                return .ready(polled.filter { $0.revents != 0 }.map(\.fd))
            }
            if let deadline, .now >= deadline { return .deadline }
        }
    }

    private func show(_ line: WatchedLine) {
        if isJSON { printLine(line.json) } else { screen.show(line) }
    }
}
