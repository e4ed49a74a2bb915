import Foundation
import Testing

@Suite struct VocabularyGeneratorTests {
    @Test func generatedFilesAreFresh() throws {
        let (status, output) = try generate(["--check"], in: Tables.root)
        #expect(status == 0, "\(output)")
    }

    @Test func staleFilesAreShown() throws {
        try withCopy { root in
            let table = root.appending(path: "Sources/Protocol/Event/KindTable.swift")
            let text = try String(contentsOf: table, encoding: .utf8)
            try text.replacing("\"brandlarm\"", with: "\"bandlarm\"").write(
                to: table, atomically: true, encoding: .utf8)
            let (status, output) = try generate(["--check"], in: root)
            #expect(status == 1)
            #expect(output.contains("bandlarm"))
            #expect(try generate([], in: root).status == 0)
            #expect(try generate(["--check"], in: root).status == 0)
        }
    }

    /// A table that is wrong is refused by name and line, and nothing is written.
    @Test(arguments: [
        (
            "event-codes.csv", "SIA,BA,Intrusion zone in alarm,intrusion,alarm", "SIA,BA,Intrusion,intrusive,alarm",
            "intrusive"
        ),
        (
            "event-codes.csv", "SIA,BA,Intrusion zone in alarm,intrusion,alarm", "SIA,BA,Intrusion,intrusion,larm",
            "larm"
        ),
        ("event-codes.csv", "SIA,AN,", "SIA,AR,", "AR is there twice"),
        ("event-codes.csv", "SIA,AN,", "SIB,AN,", "SIB"),
        ("event-codes.csv", ",zone,BH;BR,BC,1130,", ",zone,BH;BR,BC,1139B,", "1139B"),
        ("event-codes.csv", ",zone,BH;BR,BC,1130,", ",zone,BH;BR,BC,,", "line 8"),
        ("nearest-codes.csv", "SIA,AA,1316,", "SIA,AA,1999B,", "1999B"),
        ("nearest-codes.csv", "SIA,AA,1316,\n", "", "line 2"),
        ("kinds.csv", "fire-smoke,", "Fire smoke,", "Fire smoke"),
        ("kinds.csv", "fire-smoke,", "fire,", "fire"),
        ("kinds.csv", ",FA,FR,1111,3111,fire,zone,", ",FA,,1111,3111,fire,zone,", "restore"),
        ("kinds.csv", ",FA,FR,1111,3111,fire,zone,", ",FA,FR,6111,3111,fire,zone,", "6111"),
        ("kinds.csv", ",FA,FR,1111,3111,fire,zone,", ",F1,FR,1111,3111,fire,zone,", "F1"),
        ("kinds.csv", ",FA,FR,1111,3111,fire,zone,", ",FA,FR,1111,3111,hot,zone,", "urgency"),
        ("kinds.csv", ",FA,FR,1111,3111,fire,zone,", ",FA,FR,1111,3111,fire,zone", "fields"),
    ])
    func badTablesAreRefused(table: String, text: String, replacement: String, complaint: String) throws {
        try withCopy { root in
            let file = root.appending(path: "data/\(table)")
            let good = try String(contentsOf: file, encoding: .utf8)
            let bad = good.replacing(text, with: replacement, maxReplacements: 1)
            #expect(bad != good)
            try bad.write(to: file, atomically: true, encoding: .utf8)
            let before = try contents(of: root)
            let (status, output) = try generate([], in: root)
            #expect(status == 1)
            #expect(output.contains(complaint) && output.contains(".csv") && !output.contains("Traceback"), "\(output)")
            #expect(try contents(of: root) == before)
        }
    }

    private static let generated = [
        "Sources/Protocol/Event/SIACodeTable.swift", "Sources/Protocol/Event/ContactIDCodeTable.swift",
        "Sources/Protocol/Event/KindTable.swift", "docs/events.md",
    ]

    private func contents(of root: URL) throws -> [String] {
        try Self.generated.map { try String(contentsOf: root.appending(path: $0), encoding: .utf8) }
    }

    /// Calls with a copy of the tables, the generator and what it writes, which is gone afterwards.
    private func withCopy(_ body: (URL) throws -> Void) throws {
        let files = FileManager.default
        let copy = files.temporaryDirectory.appending(path: "vocabulary-\(UUID().uuidString)")
        defer { try? files.removeItem(at: copy) }
        for path in [
            "data/event-codes.csv", "data/nearest-codes.csv", "data/kinds.csv", "scripts/generate-vocabulary.py",
        ] + Self.generated {
            let target = copy.appending(path: path)
            try files.createDirectory(at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
            try files.copyItem(at: Tables.root.appending(path: path), to: target)
        }
        try body(copy)
    }

    private func generate(_ arguments: [String], in root: URL) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["python3", root.appending(path: "scripts/generate-vocabulary.py").path()] + arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }
}
