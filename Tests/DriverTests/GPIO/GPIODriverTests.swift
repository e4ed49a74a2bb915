import CGPIO
import Foundation
import Testing

@testable import Drivers

/// Chips of the libgpiod stand-in (Tests/Standins/libgpiod), which `make test` puts before the real library. One board
/// for the whole test process; each test adds chips of its own.
struct StandInChip {
    let name: String
    let label: String
    /// How much had been told of outputs before: by earlier runs, too.
    private let toldBefore: Int

    init(_ name: String, label: String? = nil, lines: Int = 8) throws {
        self.name = name
        self.label = label ?? "label-of-\(name)"
        toldBefore = Self.driven().count
        let version = String(cString: gpio_library_version())
        try #require(
            version.hasSuffix("(stand-in)"),
            "these tests need LARMNOD_FAKE_GPIO and LD_LIBRARY_PATH; see Tests/Standins/libgpiod/README.md")
        try say("chip \(name) \(self.label) \(lines)")
    }

    func say(_ lines: String...) throws {
        let directory = try #require(ProcessInfo.processInfo.environment["LARMNOD_FAKE_GPIO"])
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: "\(directory)/board"))
        defer { try? file.close() }
        try file.seekToEnd()
        try file.write(contentsOf: Data((lines.joined(separator: "\n") + "\n").utf8))
    }

    private static func driven() -> [Substring] {
        let directory = ProcessInfo.processInfo.environment["LARMNOD_FAKE_GPIO"] ?? ""
        let text = (try? String(contentsOfFile: "\(directory)/driven", encoding: .utf8)) ?? ""
        return text.split(separator: "\n")
    }

    /// What the voltage of an output's line has been, in order: "0", "1", and "-" when it was let go.
    func driven(_ offset: Int) -> String {
        let lines = Self.driven().dropFirst(toldBefore).filter { $0.hasPrefix("\(name) \(offset) ") }
        return lines.compactMap(\.last).map(String.init).joined()
    }

    func set(_ offset: Int, _ levels: String) throws { try say("set \(name) \(offset) \(levels)") }

    func driver(
        _ points: [(String, [(String, SettingNode.Value)])], outputs: [(String, [(String, SettingNode.Value)])] = []
    ) throws -> GPIODriver {
        let outputs = ("output", tableValue(outputs.map { ($0.0, tableValue($0.1)) }))
        let (settings, problems) = table(
            "device.gpio.test", [("chip", .string(label)), pointTables(points), outputs])
        let driver = try GPIODriver(settings)
        settings.refuseUnread()
        try #require(problems.all.isEmpty, "\(problems.all)")
        return driver
    }
}

private func pointTables(_ tables: [(String, [(String, SettingNode.Value)])]) -> (String, SettingNode.Value) {
    points(tables)
}

private let open = ("contact", SettingNode.Value.string("normally-open"))
private let closed = ("contact", SettingNode.Value.string("normally-closed"))
private func line(_ number: Int) -> (String, SettingNode.Value) { ("line", .integer(Int64(number))) }

/// One at a time: they share one file, and their edges are timed.
/// Those of outputs are in GPIOOutputTests.swift.
@Suite(.serialized) struct GPIODriverTests {
    @Test func presentStateThenEveryChange() async throws {
        let chip = try StandInChip("gpiochip1")
        try chip.say("name gpiochip1 2 DOOR")
        try chip.set(3, "1")
        let host = FieldHost()
        host.start(
            try chip.driver([
                ("door", [("line", .string("DOOR")), open]), ("window", [line(3), closed]),
                ("hatch", [line(4), closed, ("active-low", .boolean(true))]),
                ("fault", [line(5), closed]),
            ]))
        #expect(await host.until { $0.signals.count == 8 })
        #expect(host.readings(of: "door") == [.healthy, .active(false)])
        #expect(host.readings(of: "window") == [.healthy, .active(false)])
        #expect(host.readings(of: "hatch") == [.healthy, .active(false)])
        #expect(host.readings(of: "fault") == [.healthy, .active(true)])

        let before = host.now
        try chip.set(2, "10101")
        #expect(await host.until { $0.last("door") == .active(true) })
        try chip.set(3, "0")
        #expect(await host.until { $0.last("window") == .active(true) })
        try chip.set(2, "0")
        #expect(await host.until { $0.last("door") == .active(false) })
        #expect(host.readings(of: "door") == [.healthy, .active(false), .active(true), .active(false)])
        let occurred = host.state.withLock {
            $0.signals.filter { $0.point == "door" }.dropFirst(2).compactMap(\.occurred)
        }
        #expect(occurred.count == 2)
        #expect(occurred.allSatisfy { $0.utc >= before.utc - 1 && $0.utc <= host.now.utc })
        #expect(host.state.withLock { $0.answers } > 0)
        #expect(throws: Never.self) { try (host.state.withLock { $0.outcome })?.get() }
        let outcome = await host.stop()
        #expect(throws: Never.self) { try outcome?.get() }
        #expect(outcome != nil)
    }

    @Test func aShortPulseIsNotHidden() async throws {
        let chip = try StandInChip("gpiochip2")
        let host = FieldHost()
        host.state.withLock { $0.slowness = .milliseconds(300) }
        host.start(try chip.driver([("door", [line(0), open]), ("bell", [line(1), open])]))
        #expect(await host.until { $0.signals.count == 4 })
        // While the report of the first change is held up, a pulse comes and goes.
        try chip.say("set gpiochip2 0 1", "wait 50", "set gpiochip2 1 1", "wait 60", "set gpiochip2 1 0")
        #expect(await host.until { $0.signals.count == 7 })
        #expect(host.readings(of: "bell") == [.healthy, .active(false), .active(true), .active(false)])
        _ = await host.stop()
    }

    /// 25 edges unread and the kernel keeps the first 16, whose last says 0: the line stands at 1.
    @Test func overflowEndsWithTheTrueLevel() async throws {
        let chip = try StandInChip("gpiochip3")
        let host = FieldHost()
        host.start(try chip.driver([("door", [line(0), open])]))
        #expect(await host.until { $0.last("door") == .active(false) })
        try chip.set(0, String(repeating: "10", count: 12) + "1")
        #expect(await host.until(within: .seconds(3)) { $0.last("door") == .active(true) })
        #expect(host.readings(of: "door") == [.healthy, .active(false), .active(true)])
        _ = await host.stop()
    }

    @Test func aHeldLineNamesItsHolder() async throws {
        let chip = try StandInChip("gpiochip4")
        try chip.say("take gpiochip4 1 gpio-keys")
        let host = FieldHost()
        host.start(try chip.driver([("door", [line(1), open])]))
        let error = await failure(host)
        #expect(error.contains("point door") && error.contains("line 1 is held by \"gpio-keys\""), "\(error)")
    }

    @Test func aHeldLineKeepsNoOtherFromBeingWatched() async throws {
        let chip = try StandInChip("gpiochip10")
        try chip.say("take gpiochip10 1 gpio-keys", "set gpiochip10 1 1")
        let host = FieldHost()
        host.start(try chip.driver([("door", [line(1), open]), ("window", [line(2), open])]))
        #expect(await host.until { $0.last("window") == .active(false) })
        let isFault = await host.until {
            if case .fault(let why)? = $0.last("door") { why.contains("gpio-keys") } else { false }
        }
        #expect(isFault)
        try chip.set(2, "1")
        #expect(await host.until { $0.last("window") == .active(true) })
        try chip.say("free gpiochip10 1")
        #expect(await host.until { $0.last("door") == .active(true) })
        #expect(host.readings(of: "door").count == 3 && host.readings(of: "door")[1] == .healthy)
        _ = await host.stop()
    }

    @Test func aMissingPullResistorIsExplained() async throws {
        let chip = try StandInChip("gpiochip5")
        try chip.say("no-bias gpiochip5")
        let host = FieldHost()
        host.start(try chip.driver([("door", [line(1), open, ("bias", .string("pull-up"))])]))
        let error = await failure(host)
        #expect(error.contains("bias = \"as-is\""), "\(error)")
    }

    @Test func aRemovedChipIsALostDeviceUntilItIsBack() async throws {
        let chip = try StandInChip("gpiochip6")
        let driver = try chip.driver([("door", [line(1), open])])
        let host = FieldHost()
        host.start(driver)
        #expect(await host.until { $0.last("door") == .active(false) })
        try chip.say("remove gpiochip6")
        let removed = await failure(host)
        #expect(removed.contains("point door") && removed.contains("removed"), "\(removed)")

        let second = FieldHost()
        second.start(driver)
        let missing = await failure(second)
        #expect(missing.contains("no GPIO chip has the label or name \"label-of-gpiochip6\""), "\(missing)")

        try chip.say("insert gpiochip6", "set gpiochip6 1 1")
        let third = FieldHost()
        third.start(driver)
        #expect(await third.until { $0.last("door") == .active(true) })
        _ = await third.stop()
    }

    /// The pulse was read, and then the other chip's line was found to be gone.
    @Test func aLostLineTakesNothingWithItOfWhatTheOthersSaid() async throws {
        let chip = try StandInChip("gpiochip25")
        let other = try StandInChip("gpiochip26")
        let host = FieldHost()
        host.state.withLock { $0.slowness = .milliseconds(400) }
        host.start(
            try chip.driver([
                ("door", [line(0), open]), ("bell", [line(1), open]),
                ("far", [("chip", .string(other.label)), line(0), open]),
            ]))
        #expect(await host.until { $0.signals.count == 6 })
        // While the report of the door is held up, a pulse comes and goes on the bell.
        try chip.say(
            "set gpiochip25 0 1", "wait 60", "set gpiochip25 1 1", "wait 60", "set gpiochip25 1 0", "wait 60",
            "remove gpiochip26")
        let error = await failure(host)
        #expect(error.contains("point far"), "\(error)")
        #expect(host.readings(of: "bell") == [.healthy, .active(false), .active(true), .active(false)])
    }

    /// On every version of the library: a kernel that debounced would say nothing of it for as long as it lasts.
    @Test func aContactThatNeverStandsStillIsAFault() async throws {
        let chip = try StandInChip("gpiochip27")
        let host = FieldHost()
        host.start(
            try chip.driver([("door", [line(0), open, ("debounce", .string("200ms"))]), ("bell", [line(1), open])]))
        #expect(await host.until { $0.last("door") == .active(false) && $0.last("bell") == .active(false) })
        try chip.say(Array(repeating: "set gpiochip27 0 10\nwait 20", count: 130).joined(separator: "\n"))
        try chip.set(1, "1")
        let isFault = await host.until(within: .seconds(10)) {
            if case .fault(let why)? = $0.last("door") { why.contains("has not stood still for 200 ms") } else { false }
        }
        #expect(isFault, "\(host.readings(of: "door"))")
        #expect(!host.readings(of: "door").contains(.active(true)))
        // What was written for this test has all been done.
        #expect(await host.until(within: .seconds(10)) { $0.last("bell") == .active(true) })
        _ = await host.stop()
    }

    @Test func chipsOfOneLabelAreRefused() async throws {
        let chip = try StandInChip("gpiochip7", label: "twins")
        _ = try StandInChip("gpiochip8", label: "twins")
        let host = FieldHost()
        host.start(try chip.driver([("door", [line(1), open])]))
        let error = await failure(host)
        #expect(error.contains("gpiochip7") && error.contains("gpiochip8"), "\(error)")
    }

    @Test func whatDoesNotLastIsNotReported() async throws {
        let chip = try StandInChip("gpiochip11")
        let host = FieldHost()
        host.start(
            try chip.driver([("door", [line(0), open, ("hold", .string("400ms"))]), ("bell", [line(1), open])]))
        #expect(await host.until { $0.last("door") == .active(false) && $0.last("bell") == .active(false) })
        try chip.say("set gpiochip11 0 1", "wait 100", "set gpiochip11 0 0", "wait 500", "set gpiochip11 1 1")
        #expect(await host.until { $0.last("bell") == .active(true) })
        #expect(host.readings(of: "door") == [.healthy, .active(false)])
        try chip.set(0, "1")
        #expect(await host.until { $0.last("door") == .active(true) })
        _ = await host.stop()
    }

    @Test func aLostSupplyIsSaidBesideTheAlarms() async throws {
        let chip = try StandInChip("gpiochip12")
        try chip.say("set gpiochip12 0 1", "set gpiochip12 1 1")
        let supply = ("supply", SettingNode.Value.string("24v"))
        let host = FieldHost()
        host.start(
            try chip.driver([
                ("fire", [line(0), closed, supply]),
                ("fault", [line(1), ("contact", .string("fail-safe")), supply]),
            ]))
        #expect(await host.until { $0.last("supply-24v") == .active(false) })
        try chip.say("set gpiochip12 0 0", "wait 20", "set gpiochip12 1 0")
        #expect(await host.until { $0.last("supply-24v") == .active(true) })
        #expect(host.readings(of: "fire").last == .active(true) && host.readings(of: "fault").last == .active(true))
        try chip.set(0, "1")
        #expect(await host.until { $0.last("supply-24v") == .active(false) })
        let said = host.state.withLock { $0.signals.last { $0.point == "supply-24v" }?.said?.summary }
        #expect(said == "power-supply")
        _ = await host.stop()
    }

    /// Without debouncing every edge counts, and more come than any kernel keeps: the final level is right.
    @Test(arguments: [(13, 25), (14, 26), (15, 99), (16, 200)]) func unreadEdgesEndWithTheTrueLevel(
        chip number: Int, edges: Int
    ) async throws {
        let chip = try StandInChip("gpiochip\(number)")
        let host = FieldHost()
        host.start(try chip.driver([("door", [line(0), open, ("debounce", .string("0ms"))])]))
        #expect(await host.until { $0.last("door") == .active(false) })
        try chip.set(0, String(String(repeating: "10", count: edges / 2 + 1).prefix(edges)))
        #expect(
            await host.until { state in
                state.signals.last { if case .active = $0.reading { true } else { false } }?.reading
                    == .active(edges % 2 == 1) && state.signals.count > 2
            })
        try await Task.sleep(for: .milliseconds(400))
        let last = host.readings(of: "door").last { if case .active = $0 { true } else { false } }
        #expect(last == .active(edges % 2 == 1))
        _ = await host.stop()
    }

    @Test func whatCouldNotBeStoredIsReportedAgain() async throws {
        let chip = try StandInChip("gpiochip9")
        let host = FieldHost()
        host.state.withLock { $0.refusals = 2 }
        host.start(try chip.driver([("door", [line(1), open])]))
        #expect(await host.until { $0.signals.count == 2 })
        #expect(host.state.withLock { $0.log.filter { $0.contains("the disk is full") }.count } == 2)
        _ = await host.stop()
    }

    func failure(_ host: FieldHost) async -> String {
        guard case .failure(let error)? = await host.outcome(within: .seconds(5)) else {
            return "(the driver did not fail)"
        }
        return error is DeviceError ? "\(error)" : "(not a DeviceError) \(error)"
    }
}
