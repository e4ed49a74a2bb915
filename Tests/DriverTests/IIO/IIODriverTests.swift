import AlarmProtocol
import Foundation
import Testing

@testable import Drivers

private typealias Entries = [(String, SettingNode.Value)]

/// A directory that looks as the kernel's /sys/bus/iio/devices does.
private final class Converters {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("iio-\(UUID().uuidString)").path

    init(_ name: String = "mcp3208", number: Int = 3, label: String? = nil) throws {
        try add(name, number: number, label: label)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func add(_ name: String, number: Int, label: String? = nil) throws {
        try FileManager.default.createDirectory(
            atPath: "\(directory)/iio:device\(number)", withIntermediateDirectories: true)
        try write("name", name, number: number)
        if let label { try write("label", label, number: number) }
    }

    /// In its place, as the kernel's files change.
    func write(_ file: String, _ text: String, number: Int = 3) throws {
        let path = "\(directory)/iio:device\(number)/\(file)"
        let descriptor = open(path, O_WRONLY | O_CREAT, 0o644)
        try #require(descriptor >= 0)
        let bytes = Array((text + "\n").utf8)
        // Padded, so that it never is empty in between.
        let padded = bytes + [UInt8](repeating: UInt8(ascii: "\n"), count: max(0, 16 - bytes.count))
        pwrite(descriptor, padded, padded.count, 0)
        close(descriptor)
    }

    func raw(_ channel: Int, _ count: Int) throws { try write("in_voltage\(channel)_raw", "\(count)") }

    func driver(_ points: [(String, Entries)], _ more: Entries = [("device", .string("mcp3208"))]) throws -> IIODriver {
        let (driver, problems) = try read(points, more)
        try #require(problems == [])
        return driver
    }

    func read(_ tables: [(String, Entries)], _ more: Entries) throws -> (IIODriver, [String]) {
        let (settings, problems) = table(
            "device.iio.test",
            more + [("directory", .string(directory)), ("interval", .string("100ms")), points(tables)])
        let driver = try IIODriver(settings)
        settings.refuseUnread()
        return (driver, problems.sorted.map(\.message))
    }
}

private func loop(_ values: Entries) -> (String, SettingNode.Value) { ("end-of-line", tableValue(values)) }

private let twelveBits: Entries = [
    ("full-scale", .integer(4095)), ("pull-up", .string("1k")), ("normal", .string("1k")), ("alarm", .string("2k")),
]
private let ofReference: Entries = [
    ("pull-up", .string("1k")), ("normal", .string("1k")), ("alarm", .string("2k")),
]
private func channel(_ number: Int64) -> (String, SettingNode.Value) { ("channel", .integer(number)) }
private let withReference: Entries = [("device", .string("mcp3208")), ("reference", .integer(7))]

@Suite struct IIODriverTests {
    @Test func everyStateOfALoopIsReported() async throws {
        let converters = try Converters()
        try converters.raw(0, 2048)
        let host = FieldHost()
        host.start(try converters.driver([("door", [channel(0), loop(twelveBits)])]))
        #expect(await host.until { $0.last("door") == .active(false) })
        try converters.raw(0, 2730)
        #expect(await host.until { $0.last("door") == .active(true) })
        try converters.raw(0, 4095)
        #expect(await host.until { $0.last("door-tamper") == .active(true) })
        try converters.raw(0, 2048)
        #expect(await host.until { $0.last("door") == .active(false) && $0.last("door-tamper") == .active(false) })
        try converters.raw(0, 0)
        #expect(await host.until { $0.last("door-tamper") == .active(true) })
        #expect(
            host.readings(of: "door") == [
                .healthy, .active(false), .active(true), .active(false),
            ])
        let outcome = await host.stop()
        #expect(throws: Never.self) { try outcome?.get() }
    }

    /// The supply sinks to a half, and so do all readings: nothing has happened.
    @Test func aReferenceChannelTakesTheSupplyOut() async throws {
        let converters = try Converters()
        try converters.raw(7, 4000)
        try converters.raw(2, 2000)
        let host = FieldHost()
        host.start(try converters.driver([("door", [channel(2), loop(ofReference)])], withReference))
        #expect(await host.until { $0.last("door") == .active(false) })
        for step in 1...10 {
            try converters.raw(2, 2000 - step * 100)
            try converters.raw(7, 4000 - step * 200)
            try await Task.sleep(for: .milliseconds(50))
        }
        try converters.raw(2, 1333)
        #expect(await host.until { $0.last("door") == .active(true) })
        #expect(host.readings(of: "door") == [.healthy, .active(false), .active(true)])
        #expect(host.readings(of: "door-tamper").allSatisfy { $0 == .active(false) })
        _ = await host.stop()
    }

    @Test func offsetAndScaleOfTheChannelCount() async throws {
        let converters = try Converters()
        try converters.write("in_voltage_scale", "0.5")
        try converters.write("in_voltage7_scale", "1.000000000")
        try converters.write("in_voltage2_offset", "-100")
        try converters.raw(7, 1000)
        try converters.raw(2, 1100)  // (1100 - 100) * 0.5 of 1000: a half
        let host = FieldHost()
        host.start(try converters.driver([("door", [channel(2), loop(ofReference)])], withReference))
        #expect(await host.until { $0.last("door") == .active(false) })
        _ = await host.stop()
    }

    @Test func differentialChannelsShareAScaleOfTheirOwn() async throws {
        let converters = try Converters()
        try converters.write("in_voltage_scale", "1")
        try converters.write("in_voltage-voltage_scale", "0.25")
        try converters.raw(7, 1000)
        try converters.write("in_voltage0-voltage1_raw", "2000")  // 2000 * 0.25 of 1000: a half
        let host = FieldHost()
        let difference = ("channel", SettingNode.Value.string("voltage0-voltage1"))
        host.start(try converters.driver([("door", [difference, loop(ofReference)])], withReference))
        #expect(await host.until { $0.last("door") == .active(false) })
        _ = await host.stop()
    }

    @Test func convertersAndChannelsAreFoundByName() async throws {
        let converters = try Converters("ads1115", number: 0, label: "cabinet")
        try converters.add("ads1115", number: 1, label: "roof")
        try converters.write("in_voltage4_raw", "2048", number: 1)
        try converters.write("in_voltage4_label", "AIN1", number: 1)
        let host = FieldHost()
        host.start(
            try converters.driver(
                [("door", [("channel", .string("AIN1")), loop(twelveBits)])], [("device", .string("roof"))]))
        #expect(await host.until { $0.last("door") == .active(false) })
        _ = await host.stop()
    }

    @Test func whatCannotBeFoundIsToldWithWhatThereIs() async throws {
        let converters = try Converters("ads1115", number: 0)
        try converters.add("ads1115", number: 1)
        try converters.add("mcp3208", number: 2)
        let cases: [(Entries, String)] = [
            ([("device", .string("ads1115"))], "2 analogue converters have the name \"ads1115\""),
            ([("device", .string("mcp3204"))], "did you mean \"mcp3208\"?"),
            ([("device", .string("mcp3208"))], "has no channel 0; there are: none"),
            ([("device", .string("mcp3208")), ("reference", .integer(7))], "has no channel 7"),
        ]
        for (more, words) in cases {
            let loop = more.count == 2 ? ofReference : twelveBits
            let host = FieldHost()
            host.start(try converters.driver([("door", [channel(0), ("end-of-line", tableValue(loop))])], more))
            let error = await failure(host)
            #expect(error.contains(words), "\(words): \(error)")
        }
    }

    @Test func oneChannelThatCannotBeReadKeepsNoOtherFromBeingWatched() async throws {
        let converters = try Converters()
        try converters.raw(0, 2048)
        try converters.raw(1, 2048)
        let host = FieldHost()
        host.start(
            try converters.driver([
                ("door", [channel(0), loop(twelveBits)]), ("hatch", [channel(1), loop(twelveBits)]),
                ("gate", [channel(2), loop(twelveBits)]),
            ]))
        #expect(await host.until { $0.last("door") == .active(false) && $0.last("hatch") == .active(false) })
        #expect(await host.until { isFault($0.last("gate"), "has no channel 2") })
        try converters.write("in_voltage1_raw", "busy")
        #expect(await host.until { isFault($0.last("hatch"), "says \"busy\", which is no number") })
        try converters.raw(0, 2730)
        #expect(await host.until { $0.last("door") == .active(true) })
        try converters.raw(1, 2730)
        #expect(await host.until { $0.last("hatch") == .active(true) })
        #expect(host.readings(of: "hatch").filter { $0 == .healthy }.count >= 2)
        try converters.raw(2, 2048)
        #expect(await host.until { $0.last("gate") == .active(false) })
        _ = await host.stop()
    }

    @Test func aConverterThatIsGoneIsALostDevice() async throws {
        let converters = try Converters()
        try converters.raw(0, 2048)
        let driver = try converters.driver([("door", [channel(0), loop(twelveBits)])])
        let host = FieldHost()
        host.start(driver)
        #expect(await host.until { $0.last("door") == .active(false) })
        try FileManager.default.removeItem(atPath: "\(converters.directory)/iio:device3")
        let gone = await failure(host)
        #expect(gone.contains("\"mcp3208\" is gone"), "\(gone)")
        // It comes back with another number, in alarm.
        try converters.add("mcp3208", number: 5)
        try converters.write("in_voltage0_raw", "2730", number: 5)
        let second = FieldHost()
        second.start(driver)
        #expect(await second.until { $0.last("door") == .active(true) })
        _ = await second.stop()
    }

    @Test func aLostReferenceIsALostDevice() async throws {
        let converters = try Converters()
        try converters.raw(7, 4000)
        try converters.raw(0, 2000)
        let host = FieldHost()
        host.start(try converters.driver([("door", [channel(0), loop(ofReference)])], withReference))
        #expect(await host.until { $0.last("door") == .active(false) })
        try converters.raw(7, 0)
        let error = await failure(host)
        #expect(error.contains("the reference, channel 7, reads 0") && error.contains("supply"), "\(error)")
        #expect(!host.readings(of: "door").contains(.active(true)))
    }

    @Test func whatIsWrongIsTold() throws {
        let converters = try Converters()
        let cases: [([(String, Entries)], Entries, String)] = [
            ([], withReference, "at least one point"),
            ([("door", [channel(0)])], withReference, "expected what the loop reads"),
            ([("door", [loop(ofReference)])], withReference, "channel is missing"),
            ([("door", [channel(7), loop(ofReference)])], withReference, "the same channel as reference"),
            (
                [("a", [channel(1), loop(ofReference)]), ("b", [channel(1), loop(ofReference)])], withReference,
                "the same channel as point a"
            ),
            ([("door", [channel(0), loop(ofReference)])], [("device", .string("x"))], "full-scale is missing"),
            ([("door", [channel(0), loop(twelveBits)])], [], "device is missing"),
        ]
        for (points, more, words) in cases {
            let (_, problems) = try converters.read(points, more)
            #expect(problems.contains { $0.contains(words) }, "\(words): \(problems)")
        }
    }

    private func isFault(_ reading: Signal.Reading?, _ words: String) -> Bool {
        if case .fault(let why)? = reading { why.contains(words) } else { false }
    }

    private func failure(_ host: FieldHost) async -> String {
        guard case .failure(let error)? = await host.outcome(within: .seconds(6)) else {
            return "(the driver did not fail)"
        }
        return error is DeviceError ? "\(error)" : "(not a DeviceError) \(error)"
    }
}
