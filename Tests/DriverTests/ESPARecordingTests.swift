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
    var points: ESPASupport.Points = []
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
        case "<": steps.append(.send(try ESPASupport.bytes(rest)))
        case ">": steps.append(.expect(try ESPASupport.bytes(rest)))
        case "+":
            guard rest.hasSuffix("ms"), let milliseconds = Int64(rest.dropLast(2)) else {
                throw Wrong(description: "expected a time, as +250ms")
            }
            steps.append(.pass(milliseconds: milliseconds))
        case "=": steps.append(.report(try Self.signal(rest.replacingOccurrences(of: "PORT", with: port))))
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
        if key.hasPrefix("address") || key == "control-station" { return (key, .string(value)) }
        return (key, Int64(value).map { .integer($0) } ?? .string(value))
    }

    private static func signal(_ text: String) throws -> Signal {
        let words = text.split(separator: " ", maxSplits: 2).map(String.init)
        let rest = words.count == 3 ? words[2] : ""
        switch words.dropFirst().first {
        case "call": return Signal(point: words[0], .call, text: rest)
        case "cleared": return Signal(point: words[0], .cleared, text: rest)
        case "fault": return Signal(point: words[0], .fault(rest))
        case "healthy": return Signal(point: words[0], .healthy)
        case "active": return Signal(point: words[0], .active(rest == "true"))
        default: throw Wrong(description: "expected POINT call, cleared, fault, healthy or active")
        }
    }
}

@Suite struct ESPARecordingTests {
    private static let folder = ESPASupport.folder.appending(path: "Recordings")

    static let files: [String] =
        ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? [])
        .filter { $0.hasPrefix("espa-") && $0.hasSuffix(".txt") }.sorted()

    @Test func thereAreRecordings() { #expect(Self.files.count >= 4) }

    @Test(arguments: files) func replays(_ file: String) throws {
        let line = try PseudoTerminal()
        let text = try String(contentsOf: Self.folder.appending(path: file), encoding: .utf8)
        let recording = try Recording(text, file: file, port: line.path)
        let settings = recording.settings + [("line", .string(recording.head["line"] ?? ""))]
        let driver = try ESPASupport.driver(port: line.path, settings, points: recording.points)
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
