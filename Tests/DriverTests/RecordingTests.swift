import Foundation
import Testing

@testable import Drivers

/// A recording of a serial panel, read as Recordings/README.md tells.
struct Recording: Sendable, CustomTestStringConvertible {
    struct Wrong: Error, CustomStringConvertible {
        var description: String
    }

    var file: String
    var head: [String: String] = [:]
    var settings: [(String, SettingNode.Value)] = []
    var points: SerialSupport.Points = []
    /// The steps, given the port's path.
    var steps: [ScriptHost.Step] = []
    var testDescription: String { file }

    init(_ text: String, file: String, port: String) throws {
        self.file = file
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            do {
                try read(line.trimmingCharacters(in: .whitespaces), port)
            } catch {
                throw Wrong(description: "\(file):\(number + 1): \(error): \(line)")
            }
        }
        for key in ["make", "model", "firmware", "line", "provenance"] where head[key] == nil {
            throw Wrong(description: "\(file): the head does not say \(key)")
        }
    }

    private mutating func read(_ line: String, _ port: String) throws {
        if line.isEmpty || line.hasPrefix("//") { return }
        let rest = line.dropFirst().trimmingCharacters(in: .whitespaces)
        switch line.prefix(1) {
        case "#": try readHead(rest)
        case "<": steps.append(.send(try SerialSupport.bytes(rest)))
        case ">": steps.append(.expect(try SerialSupport.bytes(rest)))
        case "+":
            guard rest.hasSuffix("ms"), let milliseconds = Int64(rest.dropLast(2)) else {
                throw Wrong(description: "expected a time, as +250ms")
            }
            steps.append(.pass(milliseconds: milliseconds))
        case "=":
            let words = rest.split(separator: " ")
            guard words.count >= 2, ["call", "cleared", "fault", "healthy", "active"].contains(words[1]) else {
                throw Wrong(description: "expected POINT call, cleared, fault, healthy or active")
            }
            steps.append(.reported(rest.replacingOccurrences(of: "PORT", with: port)))
        default: throw Wrong(description: "expected #, <, >, +, = or //")
        }
    }

    private mutating func readHead(_ line: String) throws {
        let words = line.split(separator: " ", maxSplits: 1).map(String.init)
        switch words.first {
        case "setting": settings.append(try Self.value(words.last ?? ""))
        case "point":
            let parts = (words.last ?? "").split(separator: " ", maxSplits: 1).map(String.init)
            guard let name = parts.first else { throw Wrong(description: "expected a point's name") }
            let conditions = parts.count == 2 ? [try Self.value(parts[1])] : []
            if let index = points.firstIndex(where: { $0.0 == name }) {
                points[index].1 += conditions
            } else {
                points.append((name, conditions))
            }
        default:
            guard let colon = line.firstIndex(of: ":") else { return }
            head[String(line[..<colon])] = line[line.index(after: colon)...].trimmingCharacters(in: .whitespaces)
        }
    }

    private static func value(_ text: String) throws -> (String, SettingNode.Value) {
        guard let equals = text.firstIndex(of: "=") else { throw Wrong(description: "expected KEY = VALUE") }
        let key = text[..<equals].trimmingCharacters(in: .whitespaces)
        let value = text[text.index(after: equals)...].trimmingCharacters(in: .whitespaces)
        // A station's address and a called address are texts, digits or not.
        if value.hasPrefix("\""), value.hasSuffix("\""), value.count >= 2 {
            return (key, .string(String(value.dropFirst().dropLast())))
        }
        if key.hasPrefix("address") || key == "control-station" { return (key, .string(value)) }
        if value == "true" || value == "false" { return (key, .boolean(value == "true")) }
        return (key, Int64(value).map { .integer($0) } ?? .string(value))
    }
}

@Suite struct RecordingTests {
    private static let folder = SerialSupport.folder.appending(path: "Recordings")
    private static let kinds: [any Driver.Type] = panelDrivers

    static let files: [String] =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
        .filter { $0.hasSuffix(".txt") }.sorted()

    /// The kind whose name a file begins with; the longest where several fit.
    private static func kind(of file: String) -> (any Driver.Type)? {
        kinds.filter { file.hasPrefix("\($0.name)-") }.max { $0.name.count < $1.name.count }
    }

    @Test func everyKindHasRecordings() {
        for kind in Self.kinds {
            #expect(Self.files.contains { Self.kind(of: $0)?.name == kind.name }, "none of \(kind.name)")
        }
    }

    @Test(arguments: files) func replays(_ file: String) throws {
        let kind = try #require(Self.kind(of: file), "\(file): its name begins with no driver's name")
        let line = try PseudoTerminal()
        let text = try String(contentsOf: Self.folder.appending(path: file), encoding: .utf8)
        let recording = try Recording(text, file: file, port: line.path)
        let entries =
            [("port", .string(line.path)), ("line", .string(recording.head["line"] ?? ""))] + recording.settings
        let settings = SerialSupport.settings(entries, points: recording.points)
        let driver = try kind.init(settings)
        settings.refuseUnread()
        #expect(settings.problems.all == [])
        let host = ScriptHost(line, recording.steps)
        try driver.run(host)
        #expect(!host.signals.isEmpty)
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
