import Glibc
import Synchronization
import Testing

@testable import Drivers

/// A process image in memory, with one module of 14 inputs, as the kernel's driver would keep it.
private final class StandInImage: ProcessImage, Sendable {
    struct State {
        var bytes = [UInt8](repeating: 0, count: 64)
        var variables: [String: ProcessVariable] = [:]
        var modules = [ProcessModule(address: 32, isActive: true, inputs: 11..<17)]
        var isGone = false
    }

    let state = Mutex(State())

    init() {
        state.withLock { state in
            for n in 0..<14 {
                state.variables["I_\(n + 1)"] = ProcessVariable(address: 11 + n / 8, bit: n % 8, length: 1)
            }
            state.variables["Input_word"] = ProcessVariable(address: 11, bit: 0, length: 16)
            state.variables["O_1"] = ProcessVariable(address: 20, bit: 0, length: 1)
        }
    }

    func set(_ number: Int, _ isClosed: Bool) {
        state.withLock { state in
            let bit = UInt8(1) << ((number - 1) % 8)
            if isClosed {
                state.bytes[11 + (number - 1) / 8] |= bit
            } else {
                state.bytes[11 + (number - 1) / 8] &= ~bit
            }
        }
    }

    func find(_ name: String) throws(DeviceError) -> ProcessVariable? { state.withLock { $0.variables[name] } }
    func modules() throws(DeviceError) -> [ProcessModule] { state.withLock { $0.modules } }
    func bytes(_ range: Range<Int>) throws(DeviceError) -> [UInt8] {
        guard let bytes = state.withLock({ $0.isGone ? nil : Array($0.bytes[range]) }) else {
            throw DeviceError("the process image is gone")
        }
        return bytes
    }
}

@Suite struct RevPiDriverTests {
    private let image = StandInImage()

    private func driver(
        _ variables: [(String, String, String)], _ more: [(String, SettingNode.Value)] = []
    ) throws -> RevPiDriver {
        let tables = variables.map { name, variable, contact in
            (
                name,
                [
                    ("variable", SettingNode.Value.string(variable)), ("contact", .string(contact)),
                    ("debounce", .string("10ms")),
                ] + more
            )
        }
        let (settings, problems) = table("device.revpi.test", [("interval", .string("5ms")), points(tables)])
        var driver = try RevPiDriver(settings)
        settings.refuseUnread()
        try #require(problems.all.isEmpty, "\(problems.all)")
        let image = image
        driver.open = { _ in image }
        return driver
    }

    private func isFault(_ reading: Signal.Reading?, _ words: String) -> Bool {
        if case .fault(let why)? = reading { why.contains(words) } else { false }
    }

    @Test("Contacts are told as they stand, then as they change, each by its bit and sense")
    func contacts() async throws {
        image.set(2, true)
        let host = FieldHost()
        host.start(
            try driver([
                ("door", "I_1", "normally-open"), ("fault", "I_2", "normally-closed"),
                ("far", "I_14", "normally-open"),
            ]))
        #expect(await host.until { $0.last("door") == .active(false) && $0.last("fault") == .active(false) })
        image.set(14, true)
        #expect(await host.until { $0.last("far") == .active(true) })
        image.set(2, false)
        #expect(await host.until { $0.last("fault") == .active(true) })
        #expect(host.readings(of: "door").last == .active(false))
        _ = await host.stop()
    }

    @Test("What does not last for the hold time is not told; what lasts is told with the time when it began")
    func hold() async throws {
        let host = FieldHost()
        host.start(try driver([("door", "I_1", "fail-safe")], [("hold", .string("1s"))]))
        #expect(await host.until { $0.last("door") == .active(true) })
        let before = host.now
        image.set(1, true)
        usleep(100_000)  // a task that sleeps is woken when the other tests let it
        image.set(1, false)
        try await Task.sleep(for: .milliseconds(1200))
        #expect(host.readings(of: "door") == [.healthy, .active(true)])
        image.set(1, true)
        #expect(await host.until { $0.last("door") == .active(false) })
        let told = host.now
        let occurred = try #require(host.state.withLock { $0.signals.last?.occurred })
        #expect(occurred.uptime >= before.uptime + 1300 && occurred.uptime <= told.uptime - 1000)
        _ = await host.stop()
    }

    @Test("Contacts on one supply that open together have a common cause")
    func supply() async throws {
        image.set(1, true)
        image.set(2, true)
        let host = FieldHost()
        host.start(
            try driver(
                [("fault", "I_1", "fail-safe"), ("door", "I_2", "normally-closed")], [("supply", .string("24v"))]))
        #expect(await host.until { $0.last("supply-24v") == .active(false) })
        image.set(1, false)
        image.set(2, false)
        #expect(await host.until { $0.last("supply-24v") == .active(true) })
        #expect(host.readings(of: "fault").last == .active(true) && host.readings(of: "door").last == .active(true))
        _ = await host.stop()
    }

    @Test("A variable that is not there, is a word, or is an output is a fault; the others are watched")
    func wrongVariables() async throws {
        let host = FieldHost()
        host.start(
            try driver([
                ("door", "I_1", "normally-open"), ("typo", "I_99", "normally-open"),
                ("word", "Input_word", "normally-open"), ("relay", "O_1", "normally-open"),
            ]))
        #expect(await host.until { isFault($0.last("typo"), "there is no variable I_99") })
        #expect(await host.until { isFault($0.last("word"), "16 bits") })
        #expect(await host.until { isFault($0.last("relay"), "no module's input") })
        image.set(1, true)
        #expect(await host.until { $0.last("door") == .active(true) })
        // Configured meanwhile.
        image.state.withLock { $0.variables["I_99"] = ProcessVariable(address: 13, bit: 0, length: 1) }
        #expect(await host.until { $0.last("typo") == .active(false) })
        #expect(host.readings(of: "typo").contains(.healthy))
        _ = await host.stop()
    }

    @Test("A module that is pulled off is a fault of its points, not their rest; put back, its state is told anew")
    func moduleGone() async throws {
        image.state.withLock { $0.modules.append(ProcessModule(address: 33, isActive: true, inputs: 30..<32)) }
        image.state.withLock { $0.variables["I_1_i03"] = ProcessVariable(address: 30, bit: 0, length: 1) }
        image.set(1, true)
        let host = FieldHost()
        host.start(try driver([("door", "I_1", "normally-open"), ("other", "I_1_i03", "normally-open")]))
        #expect(await host.until { $0.last("door") == .active(true) && $0.last("other") == .active(false) })
        image.state.withLock { $0.modules[0].isActive = false }
        image.set(1, false)
        #expect(await host.until { isFault($0.last("door"), "module 32 of variable I_1 does not answer") })
        #expect(!host.readings(of: "door").contains(.active(false)))
        image.state.withLock { $0.modules[0].isActive = true }
        #expect(await host.until { $0.last("door") == .active(false) })
        #expect(host.readings(of: "other") == [.healthy, .active(false)])
        _ = await host.stop()
    }

    @Test("Where nothing can be read, or the image is gone, the device is lost")
    func lost() async throws {
        let nothing = try driver([("typo", "I_99", "normally-open")])
        let host = FieldHost()
        host.start(nothing)
        #expect(await host.until { $0.outcome != nil })
        let other = FieldHost()
        other.start(try driver([("door", "I_1", "normally-open")]))
        #expect(await other.until { $0.last("door") == .active(false) })
        image.state.withLock { $0.isGone = true }
        #expect(await other.until { $0.outcome != nil })
    }

    @Test("The kernel's structures are read at their places, and a file that is no process image is refused")
    func structures() throws {
        var variable = [UInt8](repeating: 0, count: PiControl.variableSize)
        variable.replaceSubrange(32..<38, with: [0x0B, 0x01, 5, 0, 1, 0])
        #expect(ProcessVariable(found: variable) == ProcessVariable(address: 0x10B, bit: 5, length: 1))
        // The ninth bit of a word.
        variable[34] = 8
        #expect(ProcessVariable(found: variable) == ProcessVariable(address: 0x10C, bit: 0, length: 1))
        var module = [UInt8](repeating: 0, count: PiControl.moduleSize)
        module[0] = 32
        module[20] = 6
        module.replaceSubrange(28..<30, with: [0x0B, 0x01])
        module[39] = 1
        let expected = ProcessModule(address: 32, isActive: true, inputs: 0x10B..<0x111)
        #expect(ProcessModule(listed: module) == expected)
        let file = try PiControl("/proc/self/status")
        #expect(throws: DeviceError.self) { try file.find("I_1") }
        #expect(throws: DeviceError.self) { try file.modules() }
        #expect(throws: DeviceError.self) { try file.bytes(1_000_000..<1_000_001) }
        #expect(throws: DeviceError.self) { try PiControl("/dev/piControl0") }
    }

    @Test("Two points of one variable, a name that is too long and a device without points are refused")
    func refused() throws {
        let contact = ("contact", SettingNode.Value.string("normally-open"))
        let long = SettingNode.Value.string(String(repeating: "I", count: 32))
        for tables in [
            [("a", [("variable", .string("I_1")), contact]), ("b", [("variable", .string("I_1")), contact])],
            [("a", [("variable", long), contact])], [],
        ] {
            let (settings, problems) = table("device.revpi.test", [points(tables)])
            _ = try RevPiDriver(settings)
            #expect(!problems.all.isEmpty)
        }
    }
}
