import Foundation
import Testing

@testable import Drivers

private typealias Entries = [(String, SettingNode.Value)]

private func line(_ number: Int, _ more: Entries = []) -> Entries { [("line", .integer(Int64(number)))] + more }

private let pulse: (String, SettingNode.Value) = ("drive", .string("pulse"))

extension GPIODriverTests {
    @Test func anOutputIsOffAtFirstThenAsAsked() async throws {
        let chip = try StandInChip("gpiochip20")
        let host = FieldHost()
        host.start(
            try chip.driver([], outputs: [("relay", line(3)), ("lamp", line(4, [("active-low", .boolean(true))]))]))
        #expect(await host.until { $0.last("relay") == .healthy && $0.last("lamp") == .healthy })
        #expect(chip.driven(3) == "0" && chip.driven(4) == "1")
        host.turnOn("relay", "lamp")
        #expect(await host.until { _ in chip.driven(3) == "01" && chip.driven(4) == "10" })
        host.turnOn("lamp")
        #expect(await host.until { _ in chip.driven(3) == "010" })
        #expect(chip.driven(4) == "10")
        #expect(await host.stop() != nil)
        // Off, then let go.
        #expect(chip.driven(3) == "010-" && chip.driven(4) == "101-")
    }

    @Test func aPulsingOutputChangesWhileItIsOnAndStandsStillWhenNot() async throws {
        let chip = try StandInChip("gpiochip21")
        let host = FieldHost()
        host.turnOn("relay")
        host.start(try chip.driver([], outputs: [("relay", line(0, [pulse, ("period", .string("50ms"))]))]))
        #expect(await host.until { _ in chip.driven(0).hasPrefix("010101") })
        host.turnOn()
        #expect(await host.until { _ in chip.driven(0).last == "0" })
        try await Task.sleep(for: .milliseconds(200))
        let still = chip.driven(0)
        try await Task.sleep(for: .milliseconds(400))
        #expect(chip.driven(0) == still && still.last == "0")
        _ = await host.stop()
    }

    /// Nothing can be stored: just then an output has something to show.
    @Test func outputsAreDrivenWhileNothingCanBeStored() async throws {
        let chip = try StandInChip("gpiochip22")
        let host = FieldHost()
        host.state.withLock { $0.refusals = 1_000_000 }
        host.turnOn("relay")
        host.start(
            try chip.driver(
                [("door", line(1, [("contact", .string("normally-open"))]))],
                outputs: [("relay", line(0)), ("pump", line(2, [pulse, ("period", .string("100ms"))]))]))
        #expect(await host.until { !$0.log.isEmpty })
        host.turnOn("pump")
        #expect(await host.until { _ in chip.driven(0) == "010" && chip.driven(2).hasPrefix("010101") })
        _ = await host.stop()
    }

    @Test func anOutputThatCannotBeDrivenIsAFaultOfItsOwn() async throws {
        let chip = try StandInChip("gpiochip23")
        try chip.say("take gpiochip23 1 gpio-leds", "stick gpiochip23 2 0")
        let host = FieldHost()
        host.turnOn("held", "short")
        host.start(
            try chip.driver(
                [("door", line(0, [("contact", .string("normally-open"))]))],
                outputs: [("held", line(1)), ("short", line(2))]))
        func fault(_ state: FieldHost.State, _ name: String, _ words: String) -> Bool {
            if case .fault(let why)? = state.last(name) { why.contains(words) } else { false }
        }
        #expect(await host.until { fault($0, "held", "held by \"gpio-leds\"") })
        #expect(await host.until { fault($0, "short", "reads back as off") })
        #expect(await host.until { $0.last("door") == .active(false) })
        try chip.say("free gpiochip23 1", "unstick gpiochip23 2")
        #expect(await host.until { $0.last("held") == .healthy && $0.last("short") == .healthy })
        #expect(chip.driven(1) == "01")
        _ = await host.stop()
    }

    @Test func aRemovedChipOfAnOutputIsALostDevice() async throws {
        let chip = try StandInChip("gpiochip24")
        let host = FieldHost()
        host.start(try chip.driver([], outputs: [("relay", line(3))]))
        #expect(await host.until { $0.last("relay") == .healthy })
        try chip.say("remove gpiochip24")
        host.turnOn("relay")
        let why = await failure(host)
        #expect(why.contains("output relay") && why.contains("removed"), "\(why)")
    }
}

@Suite struct GPIOOutputSettingsTests {
    private func problems(_ output: Entries, points: Entries? = nil) throws -> [String] {
        var entries: Entries = [("output", tableValue([("relay", tableValue(output))]))]
        if let points { entries.append(("point", tableValue([("door", tableValue(points))]))) }
        let (settings, problems) = table("device.gpio.cabinet", entries)
        _ = try GPIODriver(settings)
        for output in settings.outputs { _ = output.has("shows") }
        settings.refuseUnread()
        return problems.sorted.map(\.message)
    }

    @Test func whatIsWrongIsTold() throws {
        let name: (String, SettingNode.Value) = ("line", .string("GPIO17"))
        #expect(try problems([name]) == [])
        #expect(try problems([name, pulse, ("period", .string("1s"))]) == [])
        let cases: [(Entries, String)] = [
            ([], "line is missing"), (line(17), "needs chip"), ([name, ("drive", .string("puls"))], "did you mean"),
            ([name, ("period", .string("1s"))], "it goes with drive"),
            ([name, pulse, ("period", .string("20ms"))], "a time from 50ms to 10s"),
            ([name, ("contact", .string("normally-open"))], "no such setting"),
        ]
        for (output, words) in cases {
            let found = try problems(output)
            #expect(found.contains { $0.contains(words) }, "\(words): \(found)")
        }
        let same = try problems([name], points: [name, ("contact", .string("normally-open"))])
        #expect(same == ["device.gpio.cabinet.output.relay.line: the same line as door"])
    }
}

@Suite struct OutputDrivingTests {
    private let start = ContinuousClock.now

    @Test func pulses() {
        var driving = OutputDriving(.pulse(period: .milliseconds(500)))
        // Milliseconds, asked for, driven, and when to come again.
        let steps: [(Int, Bool, Bool, Int?)] = [
            (0, false, false, nil), (10, true, true, nil), (100, true, true, 260), (260, true, false, 510),
            (300, true, false, 510), (600, true, true, 850), (700, false, false, nil), (2000, true, true, nil),
        ]
        for (time, isOn, level, next) in steps {
            let now = start + .milliseconds(time)
            #expect(driving.next(isOn: isOn, at: now) == level, "at \(time)")
            if let next { #expect(driving.deadline(isOn: isOn) == start + .milliseconds(next), "at \(time)") }
        }
    }

    @Test func twoReadingsMakeAFaultAndOneEndsIt() {
        var driving = OutputDriving(.steady)
        _ = driving.next(isOn: true, at: start)
        #expect(driving.readBack(false) == nil)
        guard case .fault(let why)? = driving.readBack(false) else {
            Issue.record("no fault")
            return
        }
        #expect(why.contains("driven to on and reads back as off"))
        #expect(driving.readBack(false) == nil && driving.isInFault)
        #expect(driving.readBack(true) == .healthy)
        #expect(driving.readBack(true) == nil)
        // A chip that cannot say is believed.
        #expect(driving.readBack(nil) == nil && !driving.isInFault)
    }
}
