import Testing

@testable import Drivers

@Suite struct ESPARuleTests {
    private static func matcher(_ points: SerialSupport.Points) throws -> ESPAMatcher {
        ESPAMatcher(try SerialSupport.driver(port: "/dev/ttyS9", points: points).rules)
    }

    private static func call(
        _ text: String = "", address: String = "999", priority: String? = nil, beep: String? = nil,
        type: String? = nil, header: String = "1"
    ) throws -> ESPACall {
        var body = "\(header)\u{02}1\u{1F}\(address)\u{1E}2\u{1F}\(text)"
        if let beep { body += "\u{1E}3\u{1F}\(beep)" }
        if let type { body += "\u{1E}4\u{1F}\(type)" }
        if let priority { body += "\u{1E}6\u{1F}\(priority)" }
        return ESPACall(try ESPABlock(Array(body.utf8)), .utf8)
    }

    @Test func theFirstThatFitsTakesTheCall() throws {
        let matcher = try Self.matcher([
            ("fault", [("text-contains", .string("Fault"))]),
            ("fire", [("text-contains", .string("fire alarm")), ("priority", .integer(1))]),
            ("rest", []),
        ])
        #expect(matcher.point(for: try Self.call("Fire Alarm  Fault -  x", priority: "1")) == "fault")
        #expect(matcher.point(for: try Self.call("FIRE ALARM - ZONE 1", priority: "1")) == "fire")
        #expect(
            matcher.point(for: try Self.call("Fire    Alarm", priority: "1")) == "fire", "cells are filled with blanks")
        #expect(matcher.point(for: try Self.call("Fire Alarm", priority: "2")) == "rest")
        #expect(matcher.point(for: try Self.call("Fire Alarm")) == "rest", "no priority is no match")
    }

    @Test func everyConditionIsLookedAt() throws {
        let matcher = try Self.matcher([
            ("address", [("address", .array([.string("8401"), .string("85*")].map { SerialSupport.node($0) }))]),
            ("beep", [("beep", .integer(5)), ("call-type", .integer(2))]),
            (
                "words",
                [("text-contains", .array([.string("BRÅDSKA"), .string("genast")].map { SerialSupport.node($0) }))]
            ),
            ("pattern", [("text-pattern", .string(#"zon\s\d+$"#))]),
            ("status", [("header", .integer(2))]),
            ("own", [("header", .integer(5))]),
        ])
        #expect(matcher.point(for: try Self.call(address: "8401")) == "address")
        #expect(matcher.point(for: try Self.call(address: "8512")) == "address")
        #expect(matcher.point(for: try Self.call(address: "84012")) == nil)
        #expect(matcher.point(for: try Self.call(beep: "5", type: "2")) == "beep")
        #expect(matcher.point(for: try Self.call(beep: "5", type: "3")) == nil)
        #expect(matcher.point(for: try Self.call("Larm, brådska!")) == "words")
        #expect(matcher.point(for: try Self.call("kom GENAST")) == "words")
        #expect(matcher.point(for: try Self.call("Brand ZON     12")) == "pattern")
        #expect(matcher.point(for: try Self.call("Brand zon 12 b")) == nil)
        #expect(matcher.point(for: try Self.call("x", header: "2")) == "status")
        #expect(matcher.point(for: try Self.call("x", header: "5")) == "own")
        #expect(matcher.point(for: try Self.call("x", header: "4")) == nil)
    }

    /// A table's values, and what must be said of them.
    @Test(
        arguments: [
            ([("addresses", .string("12"))], "addresses: expected station addresses, each one digit"),
            ([("addresses", .array([]))], "addresses: expected station addresses"),
            ([("addresses", .string("1"))], "is the control station's own address"),
            ([("control-station", .string("x"))], "control-station: expected station addresses"),
            ([("line", .string("9600 8X1"))], "line: expected speed and framing"),
            ([("line", .string("9601 8N1"))], "line: expected speed and framing"),
            ([("port", .string("ttyUSB0"))], "port: expected a path that begins with /"),
            ([("select", .string("strikt"))], "did you mean \"strict\"?"),
            ([("charset", .string("latin1"))], "did you mean \"latin-1\"?"),
            ([("silence", .string("2 minutes"))], "silence: expected a time from 0s to 168h"),
            ([("reply-delay", .string("1s"))], "reply-delay: expected a time from 0s to 500ms"),
            ([("speed", .integer(9600))], "speed: no such setting"),
        ] as [([(String, SettingNode.Value)], String)])
    func aWrongTableIsRefused(_ values: [(String, SettingNode.Value)], _ message: String) throws {
        try Self.refused(values, [], message)
    }

    @Test(
        arguments: [
            ([("a", [("text-pattern", .string("("))])], "\"(\" is not a regular expression"),
            ([("a", [("address", .array([]))])], "address: expected called addresses"),
            ([("a", [("address", .string("12345678901234567"))])], "address: expected called addresses"),
            ([("a", [("text-contains", .string("  "))])], "text-contains: expected words"),
            ([("a", [("priority", .integer(11))])], "priority: expected a whole number from 0 to 9"),
            ([("a", [("header", .integer(6))])], "header: expected a whole number from 1 to 5"),
            ([("line", [("beep", .integer(1))])], "the driver itself uses the name \"line\""),
            ([("a", []), ("b", [("beep", .integer(1))])], "point.b: no call can reach it: \"a\""),
            ([("a", [("prio", .integer(1))])], "prio: no such setting"),
        ] as [(SerialSupport.Points, String)])
    func aWrongPointIsRefused(_ points: SerialSupport.Points, _ message: String) throws {
        try Self.refused([], points, message)
    }

    private static func refused(
        _ values: [(String, SettingNode.Value)], _ points: SerialSupport.Points, _ message: String
    ) throws {
        let port: [(String, SettingNode.Value)] =
            values.contains { $0.0 == "port" } ? [] : [("port", .string("/dev/ttyS9"))]
        let settings = SerialSupport.settings(port + values, points: points)
        _ = try ESPADriver(settings)
        settings.refuseUnread()
        let all = settings.problems.sorted
        #expect(all.count == 1 && all[0].description.contains(message), "said: \(all)")
    }

    @Test func aPortIsNeeded() throws {
        let settings = SerialSupport.settings([])
        _ = try ESPADriver(settings)
        #expect(settings.problems.all.map(\.message).joined().contains("port is missing"))
    }
}
