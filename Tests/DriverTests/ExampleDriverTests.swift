import Foundation
import Testing

@testable import Drivers

/// The driver that docs/drivers.md shows works as it says there.
@Suite struct ExampleDriverTests {
    /// A directory of files that stand for the kernel's.
    private final class Attributes {
        let folder = FileManager.default.temporaryDirectory.appending(path: "larmnod-attributes-\(UUID().uuidString)")
        init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }
        deinit { try? FileManager.default.removeItem(at: folder) }

        func path(_ name: String) -> String { folder.appending(path: name).path }
        func say(_ name: String, _ text: String) throws {
            try Data("\(text)\n".utf8).write(to: folder.appending(path: name), options: .atomic)
        }
        func remove(_ name: String) throws { try FileManager.default.removeItem(at: folder.appending(path: name)) }

        func driver(_ names: String...) throws -> AttributeDriver {
            let tables = names.map {
                ($0, [("file", SettingNode.Value.string(path($0))), ("active", .string("0"))])
            }
            let (settings, problems) = table(
                "device.attribute.board", [("interval", .string("100ms")), points(tables)])
            let driver = try AttributeDriver(settings)
            settings.refuseUnread()
            try #require(problems.all.isEmpty, "\(problems.all)")
            return driver
        }
    }

    @Test func presentStateThenEveryChange() async throws {
        let attributes = try Attributes()
        try attributes.say("mains", "0")
        try attributes.say("lid", "1")
        let host = FieldHost()
        host.start(try attributes.driver("mains", "lid"))
        #expect(await host.until { $0.last("mains") == .active(true) && $0.last("lid") == .active(false) })
        try attributes.say("mains", "1")
        #expect(await host.until { $0.last("mains") == .active(false) })
        #expect(host.state.withLock { $0.answers } > 0)
        guard case .success = await host.stop() else {
            Issue.record("it did not stop")
            return
        }
    }

    @Test func oneFileThatIsGoneIsItsPointsFault() async throws {
        let attributes = try Attributes()
        try attributes.say("mains", "1")
        let host = FieldHost()
        host.start(try attributes.driver("mains", "lid"))
        let gone = Signal.Reading.fault("\(attributes.path("lid")): No such file or directory")
        #expect(await host.until { $0.last("lid") == gone && $0.last("mains") == .active(false) })
        try attributes.say("lid", "0")
        #expect(await host.until { $0.last("lid") == .active(true) })
        #expect(host.readings(of: "lid").contains(.healthy))
        _ = await host.stop()
    }

    @Test func whenNoneCanBeReadTheDeviceIsLost() async throws {
        let attributes = try Attributes()
        try attributes.say("mains", "1")
        let host = FieldHost()
        host.start(try attributes.driver("mains"))
        #expect(await host.until { $0.last("mains") == .active(false) })
        try attributes.remove("mains")
        let outcome = await host.outcome(within: .seconds(10))
        let error = #expect(throws: DeviceError.self) { try #require(outcome).get() }
        #expect(error?.description.contains(attributes.path("mains")) == true)
    }

    @Test func whatCouldNotBeStoredIsReportedAgain() async throws {
        let attributes = try Attributes()
        try attributes.say("mains", "0")
        let host = FieldHost()
        host.state.withLock { $0.refusals = 1 }
        host.start(try attributes.driver("mains"))
        #expect(await host.until { $0.last("mains") == .active(true) })
        #expect(host.state.withLock { $0.log.contains { $0.hasPrefix("error: 2 readings could not be stored") } })
        _ = await host.stop()
    }

    @Test func whatIsWrongIsTold() throws {
        let wrong: [(String, SettingNode.Value)] = [("file", .string("online")), ("active", .integer(0))]
        let (settings, problems) = table(
            "device.attribute.board", [("interval", .string("1ms")), points([("mains", wrong)])])
        _ = try AttributeDriver(settings)
        let told = problems.all.map(\.message)
        #expect(told.count == 3, "\(told)")
        for part in ["interval: expected a time from 100ms to 1min", "file: expected a path from", "active: expected"] {
            #expect(told.contains { $0.contains(part) }, "\(part)")
        }
        let (empty, none) = table("device.attribute.board", [])
        _ = try AttributeDriver(empty)
        #expect(
            none.all.map(\.message) == [
                "device.attribute.board.point: expected at least one point, [device.attribute.board.point.NAME]"
            ])
    }
}
