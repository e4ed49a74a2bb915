import Foundation
import Testing

@testable import Drivers

@Suite struct RecordingTests {
    private static let folder = SerialSupport.folder.appending(path: "Recordings")
    private static let kinds: [any Driver.Type] = panelDrivers

    static let files: [String] =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
        .filter { $0.hasSuffix(".txt") }.sorted()

    private static func recording(_ file: String, port: String = "/dev/x") throws -> Recording {
        let text = try String(contentsOf: folder.appending(path: file), encoding: .utf8)
        return try Recording(text, file: file, port: port)
    }

    @Test func everyKindHasRecordings() throws {
        let there = try Self.files.map { try Self.recording($0).kind(among: Self.kinds)?.name }
        for kind in Self.kinds { #expect(there.contains(kind.name), "none of \(kind.name)") }
    }

    @Test(arguments: files) func replays(_ file: String) throws {
        let line = try PseudoTerminal()
        let recording = try Self.recording(file, port: line.path)
        let kind = try #require(
            recording.kind(among: Self.kinds), "\(file): neither its head nor its name says the driver")
        let settings = recording.table(of: kind.name, port: line.path)
        let driver = try kind.init(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [])
        let host = ScriptHost(line, recording.steps.map(\.step.script))
        try driver.run(host)
        #expect(!host.signals.isEmpty)
    }

    /// The tool that a technician has says the same of each.
    @Test(arguments: files) func replaysAsACommand(_ file: String) throws {
        let kind = try #require(try Self.recording(file).kind(among: Self.kinds))
        #expect(try Replay.run(kind, read: { try Self.recording(file, port: $0) }) == 0)
    }

    @Test(arguments: [
        ("< 3", "pairs of digits"), ("< 3x", "pairs of digits"), ("?", "expected #"), ("+250", "expected a time"),
        ("= fire shouts", "expected POINT"), ("# setting x", "expected KEY"), ("// nothing", "does not say make"),
    ])
    func aWrongRecordingIsRefused(_ line: String, _ why: String) {
        let error = #expect(throws: Recording.Wrong.self) { try Recording(line, file: "x.txt", port: "/dev/x") }
        #expect(error?.description.contains(why) == true)
    }
}

extension Recording.Step {
    var script: ScriptHost.Step {
        switch self {
        case .received(let bytes): .send(bytes)
        case .sent(let bytes): .expect(bytes)
        case .pass(let milliseconds): .pass(milliseconds: milliseconds)
        case .reported(let summary): .reported(summary)
        }
    }
}
