import AlarmProtocol
import Foundation
import Testing

@testable import Receiver

@Suite struct FeedTests {
    /// The lines that a frame puts in the feed, read back by another's JSON.
    private func lines(
        _ frame: [UInt8], key: Key? = nil, account: String = "1234"
    ) throws -> [[String: any Sendable]] {
        var judge = try key.map { try Judge([.init(account: account, key: $0)]) } ?? Judge()
        let judgement = judge.judge(frame, at: noon)
        return try FeedRecord.records(of: judgement, frame: frame, received: noon + 7, path: .test).map { record in
            var bytes: [UInt8] = []
            record.write(to: &bytes)
            #expect(bytes.filter { $0 == 0x0A }.count == 1 && bytes.last == 0x0A)
            return try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: any Sendable])
        }
    }

    /// Fields as text, for comparing: "null" where there is nothing.
    private func fields(_ line: [String: any Sendable], _ names: String...) -> [String] {
        names.map { name in
            guard let value = line[name] else { return "missing" }
            return value is NSNull ? "null" : "\(value)"
        }
    }

    @Test func siaEvent() throws {
        let time = ExtendedBlock(.timeOfOccurrence, Timestamp(utc: noon - 2_000).bytes)
        let sent = try frame(data: "#5678|Nri1/BA5|AHuvudentré", extended: [time], at: noon)
        let line = try #require(try lines(sent).first)
        #expect(fields(line, "version", "type", "received") == ["1", "event", "2026-11-23T12:00:00.007Z"])
        #expect(fields(line, "account", "transmitter", "sequence") == ["5678", "1234", "1"])
        #expect(fields(line, "sia", "contactId", "qualifier", "urgency") == ["BA", "130", "event", "intrusion"])
        #expect(fields(line, "category", "kind") == ["intrusion", "alarm"])
        #expect(fields(line, "partition", "zone", "user", "address") == ["1", "5", "null", "5"])
        #expect(fields(line, "text", "occurred", "clock") == ["Huvudentré", "2026-11-23T11:59:58.000Z", "known"])
        #expect(fields(line, "part", "parts", "token", "line", "receiver") == ["1", "1", "SIA-DCS", "0", "null"])
        let raw = try #require(line["raw"] as? String)
        #expect(raw.unicodeScalars.map { UInt8($0.value) } == sent)
        let path = try #require(line["path"] as? [String: any Sendable])
        #expect(fields(path, "transport", "remote") == ["tcp", "192.0.2.1:40000"])
        #expect(path["encrypted"] as? Bool == false)
    }

    @Test func contactIDRestoreByUser() throws {
        let line = try #require(try lines(try frame(.admCID, data: "#1234|3401 01 007", at: noon)).first)
        #expect(fields(line, "sia", "contactId", "qualifier", "urgency") == ["CL", "401", "restore", "status"])
        #expect(fields(line, "partition", "zone", "user", "addressIs") == ["1", "null", "7", "user"])
        #expect(fields(line, "kind", "occurred", "clock") == ["close", "2026-11-23T12:00:00.000Z", "sending"])
    }

    @Test(arguments: [
        ("1110 01 015", "fire", "event"), ("3110 01 015", "status", "restore"), ("6110 01 015", "status", "status"),
        ("1301 00 000", "trouble", "event"), ("1602 00 000", "status", "event"),
    ])
    func urgencyFollowsCodeAndQualifier(_ data: String, _ urgency: String, _ qualifier: String) throws {
        let line = try #require(try lines(try frame(.admCID, data: "#1234|\(data)")).first)
        #expect(fields(line, "urgency", "qualifier") == [urgency, qualifier])
    }

    @Test func codesThatNobodyKnowsPass() throws {
        let sia = try #require(try lines(try frame(data: "#1234|Nri1/ZX1")).first)
        #expect(fields(sia, "sia", "contactId", "kind", "meaning", "zone") == ["ZX", "null", "unknown", "null", "1"])
        let contactID = try #require(try lines(try frame(.admCID, data: "#1234|1799 01 001")).first)
        #expect(fields(contactID, "contactId", "qualifier") == ["799", "event"])
        for line in [sia, contactID] { #expect(fields(line, "urgency") != ["null"]) }
    }

    @Test func aTextAloneIsAnEventToo() throws {
        let line = try #require(try lines(try frame(data: "#1234|AStart of dialler")).first)
        #expect(
            fields(line, "sia", "kind", "text", "clock", "occurred") == [
                "null", "unknown", "Start of dialler", "unknown", "null",
            ])
    }

    @Test func hexadecimalAddressIsKeptAsText() throws {
        let line = try #require(try lines(try frame(data: "#1234|NBA1F")).first)
        #expect(fields(line, "zone", "address") == ["null", "1F"])
    }

    @Test func severalEventsHaveALineEach() throws {
        let all = try lines(try frame(data: "#1234|Nri1/BA5/ri2/FA7"))
        #expect(
            all.map { fields($0, "part", "parts", "sia", "zone") } == [["1", "2", "BA", "5"], ["2", "2", "FA", "7"]])
        #expect(fields(all[1], "raw", "data", "extended") == ["null", "null", "null"])
    }

    @Test func bytesOfEveryValueSurvive() throws {
        let bytes = (0...255).map { UInt8($0) }
        var output: [UInt8] = []
        JSON.array([.bytes(bytes), .string("å\u{1F525}\u{2028}\"\\\n\u{7F}")]).write(to: &output)
        let read = try #require(try JSONSerialization.jsonObject(with: Data(output)) as? [String])
        #expect(read[0].unicodeScalars.map(\.value) == bytes.map(UInt32.init))
        #expect(read[1] == "å\u{1F525}\u{2028}\"\\\n\u{7F}")
        #expect(output.allSatisfy { $0 >= 0x20 && $0 != 0x7F })
        #expect(output.prefix { $0 != UInt8(ascii: ",") }.allSatisfy { $0 < 0x7F })
    }

    // MARK: The schema

    /// Every frame of the vectors that is taken makes lines that the schema allows.
    @Test func linesAreAsTheSchemaSays() throws {
        let schema = try FeedSchema()
        var count = 0
        for vector in VectorTests.all where vector.isForReceiver {
            let key = try vector.keyHex.map { try Key(hex: $0) }
            guard let sent = try? StreamDecoder.frame(inDatagram: vector.bytes).get() else { continue }
            var judge = try Judge(vector.accounts(with: key).map { try Accounts.Entry(account: $0, key: key) })
            let judgement = judge.judge(sent, at: try vector.clock)
            for record in FeedRecord.records(of: judgement, frame: sent, received: noon, path: .test) {
                var bytes: [UInt8] = []
                record.write(to: &bytes)
                let faults = schema.faults(in: try JSONSerialization.jsonObject(with: Data(bytes)))
                #expect(faults.isEmpty, "\(vector.id)")
                count += 1
            }
        }
        #expect(count > 80)
    }

    /// The line that docs/feed.md shows is the one that its own frame makes.
    @Test func theDocumentedLineIsReal() throws {
        let text = try String(contentsOf: FeedSchema.docs.appending(path: "feed.md"), encoding: .utf8)
        let shown = text.split(separator: "\n").drop { !$0.hasPrefix("    {") }.prefix { $0.hasPrefix("    ") }
        let documented = try #require(
            try JSONSerialization.jsonObject(with: Data(shown.joined().utf8)) as? [String: any Sendable])
        #expect(try FeedSchema().faults(in: documented).isEmpty)
        let raw = try #require(documented["raw"] as? String).unicodeScalars.map { UInt8($0.value) }
        let real = try #require(try lines(raw).first)
        #expect(real.count == documented.count)
        for name in real.keys where name != "received" && name != "path" {
            #expect(fields(real, name) == fields(documented, name))
        }
    }

    @Test(arguments: ["zone", "raw", "version"]) func theSchemaWantsEveryField(_ name: String) throws {
        var line = try #require(try lines(try frame()).first)
        let schema = try FeedSchema()
        #expect(schema.faults(in: line).isEmpty)
        line[name] = nil
        #expect(!schema.faults(in: line).isEmpty)
        line[name] = "nonsense"
        #expect(!schema.faults(in: line).isEmpty)
    }
}

/// As much of JSON Schema 2020-12 as docs/feed.schema.json uses; a word that it does not know is a fault.
struct FeedSchema {
    static let docs = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "docs")
    private let root: [String: Any]

    init() throws {
        let data = try Data(contentsOf: Self.docs.appending(path: "feed.schema.json"))
        root = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    func faults(in value: Any) -> [String] { faults(value, root, "line") }

    private func faults(_ value: Any, _ schema: [String: Any], _ place: String) -> [String] {
        schema.flatMap { word, rule -> [String] in
            holds(value, word, rule, schema, place) ?? ["\(place): \(word) \(rule), found \(value)"]
        }
    }

    /// Nil when the rule is broken here; else what is broken below.
    private func holds(_ value: Any, _ word: String, _ rule: Any, _ schema: [String: Any], _ place: String) -> [String]?
    {
        let object = value as? [String: Any]
        let text = value as? String
        switch word {
        case "$schema", "$defs", "title", "description", "then", "else", "items", "additionalProperties": return []
        case "$ref":
            let name = (rule as? String)?.split(separator: "/").last.map(String.init) ?? ""
            guard let found = (root["$defs"] as? [String: Any])?[name] as? [String: Any] else { return nil }
            return faults(value, found, place)
        case "type":
            let types = (rule as? [String]) ?? [rule as? String ?? ""]
            guard types.contains(where: { isOf($0, value) }) else { return nil }
            guard let array = value as? [Any], let items = schema["items"] as? [String: Any] else { return [] }
            return array.flatMap { faults($0, items, "\(place)[]") }
        case "const": return isEqual(value, rule) ? [] : nil
        case "enum": return (rule as? [Any])?.contains { isEqual(value, $0) } == true ? [] : nil
        case "minimum":
            return (value as? NSNumber).map { $0.doubleValue >= (rule as? Double ?? .infinity) } ?? true ? [] : nil
        case "maximum": return (value as? NSNumber).map { $0.doubleValue <= (rule as? Double ?? -1) } ?? true ? [] : nil
        case "minLength": return text.map { $0.unicodeScalars.count >= (rule as? Int ?? .max) } ?? true ? [] : nil
        case "maxLength": return text.map { $0.unicodeScalars.count <= (rule as? Int ?? -1) } ?? true ? [] : nil
        case "pattern":
            guard let text, let pattern = rule as? String else { return [] }
            let expression = try? NSRegularExpression(pattern: pattern)
            let range = NSRange(location: 0, length: text.utf16.count)
            return expression?.firstMatch(in: text, range: range) != nil ? [] : nil
        case "required":
            guard let object, let names = rule as? [String] else { return [] }
            return names.filter { object[$0] == nil }.map { "\(place): \($0) is missing" }
        case "properties":
            guard let object, let properties = rule as? [String: [String: Any]] else { return [] }
            return properties.flatMap { name, below in object[name].map { faults($0, below, "\(place).\(name)") } ?? []
            }
        case "oneOf":
            let fits = (rule as? [[String: Any]] ?? []).filter { faults(value, $0, place).isEmpty }
            return fits.count == 1 ? [] : nil
        case "allOf": return (rule as? [[String: Any]] ?? []).flatMap { faults(value, $0, place) }
        case "if":
            guard let condition = rule as? [String: Any] else { return nil }
            let branch = faults(value, condition, place).isEmpty ? schema["then"] : schema["else"]
            return (branch as? [String: Any]).map { faults(value, $0, place) } ?? []
        default: return nil
        }
    }

    private func isOf(_ type: String, _ value: Any) -> Bool {
        switch type {
        case "null": value is NSNull
        case "string": value is String
        case "object": value is [String: Any]
        case "array": value is [Any]
        case "boolean": isBoolean(value)
        case "integer": !isBoolean(value) && value is NSNumber && value as? Int != nil
        default: false
        }
    }

    private func isBoolean(_ value: Any) -> Bool {
        (value as? NSNumber).map { String(cString: $0.objCType) == "c" } ?? false
    }

    private func isEqual(_ a: Any, _ b: Any) -> Bool { (a as? NSObject)?.isEqual(b) ?? false }
}
