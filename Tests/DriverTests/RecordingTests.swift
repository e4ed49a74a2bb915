import Foundation
import Synchronization
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

    /// As `larmnod replay` does it.
    @Test(arguments: files) func replays(_ file: String) throws {
        let kind = try #require(
            try Self.recording(file).kind(among: Self.kinds), "\(file): neither its head nor its name says the driver")
        let differences = Mutex<[String]>([])
        let count = try Replay.run(
            kind, read: { try Self.recording(file, port: $0) },
            show: { news, _ in
                guard case .differs(let words, let line) = news else { return }
                differences.withLock { $0.append("\(file):\(line): \(words)") }
            })
        #expect(count == 0 && differences.withLock(\.self) == [])
    }

    @Test(arguments: [
        ("< 3", "pairs of digits"), ("< 3x", "pairs of digits"), ("?", "expected #"), ("! lost", "! opened"),
        ("+250", "expected a time"), ("+2678400001ms", "at most 31 days"), ("+-1ms", "expected a time"),
        ("= fire shouts", "expected POINT"), ("# setting x", "expected KEY"), ("// nothing", "does not say make"),
    ])
    func aWrongRecordingIsRefused(_ line: String, _ why: String) {
        let error = #expect(throws: Recording.Wrong.self) { try Recording(line, file: "x.txt", port: "/dev/x") }
        #expect(error?.description.contains(why) == true)
    }
}
