import AlarmProtocol
import Drivers
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import Gateway

@Suite("The control socket: for whoever may ask, whatever they ask")
struct ControlTests {
    let scratch = Scratch()
    private var socketPath: String { scratch.path + "/control" }

    private func site(operators: String? = nil) -> Site {
        Site(
            name: "Furutorpsskolan", account: "4711", clockIsTrusted: true, stateDirectory: scratch.path + "/state",
            controlSocket: socketPath, operators: operators, limits: Limits(),
            paths: [testPath("fibre", to: "a", port: 1)], devices: [])
    }

    private func serve(
        _ box: Box, _ stopping: Interrupt, operators: String? = nil, devices: [Device] = []
    ) throws -> ControlServer {
        let clock = SystemClock(isTrusted: true)
        let intake = Intake(outbox: box.outbox, clock: { clock.now() })
        return try ControlServer(
            site: site(operators: operators), intake: intake,
            devices: devices.map { DeviceHost($0, intake: intake, stopping: stopping) },
            uplink: box.uplink, loop: box.group.next(), stopping: stopping, clock: { clock.now() })
    }

    /// Runs with a server on a thread of its own.
    private func with(_ body: (Box) async throws -> Void) async throws {
        let box = try Box(scratch.path, [testPath("fibre", to: "a", port: 1)])
        let stopping = Interrupt()
        let server = try serve(box, stopping)
        let thread = try WorkerThread("control") { server.live() }
        defer {
            stopping.set()
            thread.join()
        }
        try await body(box)
        try await box.stop()
    }

    /// What comes back when these bytes are sent; nil when the server hung up without a word.
    private func answer(_ bytes: [UInt8]) -> String? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = unixAddress(socketPath)
        let isConnected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        guard isConnected else { return nil }
        _ = bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        var text: [UInt8] = []
        var byte: UInt8 = 0
        while recv(descriptor, &byte, 1, 0) == 1, byte != UInt8(ascii: "\n") { text.append(byte) }
        return text.isEmpty ? nil : String(decoding: text, as: UTF8.self)
    }

    @Test(
        "Nonsense is refused in words, and the next asker is answered",
        arguments: [
            "", "{}", "{\"command\":\"reboot\"}", "{\"command\":\"events\",\"limit\":1e99}", "[[[[[[[[", "null",
            "{\"command\":\"discard\",\"event\":9223372036854775807,\"why\":\"x\"}", "{\"command\":\"discard\"}",
            "{\"command\":\"testPoint\",\"name\":\"\u{1B}[2J\"}", "\u{0}\u{1}\u{2}", "{\"command\":\"testPath\"}",
            String(repeating: "[", count: 4000),
        ])
    func nonsense(text: String) async throws {
        try await with { _ in
            #expect(answer(Array((text + "\n").utf8))?.contains("refused") == true)
            #expect(answer(Array("{\"command\":\"status\"}\n".utf8))?.contains("Furutorpsskolan") == true)
        }
    }

    @Test("A line without end, and an asker who says nothing, are left within seconds")
    func endless() async throws {
        try await with { _ in
            let began = ContinuousClock.now
            #expect(answer([UInt8](repeating: UInt8(ascii: "a"), count: 10_000)) == nil)
            #expect(answer(Array("half".utf8)) == nil)
            #expect(.now - began < .seconds(8))
            #expect(answer(Array("{\"command\":\"status\"}\n".utf8))?.contains("Furutorpsskolan") == true)
        }
    }

    @Test("Many askers one after the other leave no descriptor behind")
    func descriptors() async throws {
        try await with { _ in
            // The kernel lists the server's end of each connection under the socket's name.
            func ends() throws -> Int {
                let table = try FileHandle(forReadingFrom: URL(filePath: "/proc/net/unix"))
                var bytes = Data()
                // A page at a time: of all sockets of the machine ours may stand on a later one.
                while let more = try table.read(upToCount: 65536), !more.isEmpty { bytes += more }
                return String(decoding: bytes, as: UTF8.self)
                    .split(separator: "\n").count { $0.hasSuffix(socketPath) }
            }
            for _ in 0..<200 {
                #expect(answer(Array("{\"command\":\"status\"}\n".utf8)) != nil)
            }
            let isClosed = try await comesTrue { try ends() == 1 }
            #expect(isClosed)
        }
    }

    @Test("What a panel told of stands in the status though no point is configured for it, and so do faults, with why")
    func standing() async throws {
        struct Silent: Driver {
            static let name = "silent"
            init() {}
            init(_ settings: Settings) throws {}
            func run(_ host: any Drivers.Host) throws {}
        }
        let box = try Box(scratch.path, [testPath("fibre", to: "a", port: 1)])
        let panel = Device(
            name: "galaxy.school", driver: Silent(), points: [], account: "4711", partition: 0, waitForReceiver: nil,
            chatter: ChatterLimit())
        func say(_ point: String, _ active: Bool, _ text: String = "", zone: Int = 0) throws {
            let event = sample(point, text: text, zone: zone, qualifier: active ? .event : .restore)
            try box.outbox.append([NewEvent(event, active: active)])
        }
        try say("galaxy.school.zone-7", true, "Kök", zone: 7)
        try say("galaxy.school.zone-8", true, zone: 8)
        try say("galaxy.school.zone-8", false, zone: 8)
        try say("galaxy.school.line.fault", true, "galaxy.school.line: noise on /dev/ttyS1", zone: 1)
        try say("galaxy.school.zone-9.chatter", true, zone: 1)
        try say("galaxy.school.fault", true, "lost")  // has the device's own row
        try say("path.fibre", true, "down")  // has the path's
        let status = try serve(box, Interrupt(), devices: [panel]).status()
        #expect(
            status.points.map { "\($0.name) \($0.state) \($0.zone) \($0.why ?? "-") \($0.chatters ?? false)" } == [
                "galaxy.school.line fault 1 noise on /dev/ttyS1 false",
                "galaxy.school.zone-7 active 7 - false",
                "galaxy.school.zone-9 never active 1 - true",
            ])
        let rows = StatusScreen.lines(status, all: true)
        #expect(rows.contains { $0.hasPrefix("FAULT    galaxy.school.line") && $0.hasSuffix(" noise on /dev/ttyS1") })
        #expect(rows.contains { $0.hasPrefix("ACTIVE   galaxy.school.zone-7") && $0.hasSuffix(" BA/130, zone 7 Kök") })
        #expect(rows.contains { $0.hasPrefix("CHECK    galaxy.school.zone-9") && $0.contains("chatters") })
        try await box.stop()
    }

    @Test("A waiting event is discarded with the asker's name and reason, and listed so")
    func discard() async throws {
        try await with { box in
            let id = try #require(try box.outbox.append([NewEvent(sample("p", text: "åäö \u{1B}[31m"))]).first)
            let asked = answer(Array("{\"command\":\"discard\",\"event\":\(id),\"why\":\"a test\"}\n".utf8))
            #expect(asked?.contains("\"discarded\":\(id)") == true)
            let listed = try #require(answer(Array("{\"command\":\"events\"}\n".utf8)))
            #expect(listed.contains("discarded") && listed.contains("a test"))
            #expect(!listed.contains("\u{1B}"))  // JSON writes it as an escape
        }
    }

    @Test("A file of that name that is no socket stays, and the server says so")
    func notASocket() async throws {
        try Data("precious".utf8).write(to: URL(fileURLWithPath: socketPath))
        let box = try Box(scratch.path, [testPath("fibre", to: "a", port: 1)])
        let refusal = #expect(throws: ControlRefusal.self) { try serve(box, Interrupt()) }
        #expect(refusal?.description.contains("something else") == true)
        #expect(try String(contentsOfFile: socketPath, encoding: .utf8) == "precious")
        try await box.stop()
    }

    @Test("A group that does not exist is refused in words")
    func noGroup() async throws {
        let box = try Box(scratch.path, [testPath("fibre", to: "a", port: 1)])
        let refusal = #expect(throws: ControlRefusal.self) { try serve(box, Interrupt(), operators: "no-such-group") }
        #expect(refusal?.description.contains("no-such-group") == true)
        #expect(access(socketPath, F_OK) != 0)
        try await box.stop()
    }
}
