import Testing

@testable import Drivers

@Suite struct GPIOSettingsTests {
    private func read(
        _ points: (String, SettingNode.Value), device: [(String, SettingNode.Value)] = []
    ) throws -> (GPIODriver, [String]) {
        let (settings, problems) = table("device.gpio.cabinet", device + [points])
        let driver = try GPIODriver(settings)
        settings.refuseUnread()
        return (driver, problems.sorted.map(\.message))
    }

    @Test func everySettingHasItsMeaning() throws {
        let (driver, problems) = try read(
            points([
                ("door", [("line", .string("GPIO17")), ("contact", .string("normally-closed"))]),
                (
                    "tamper",
                    [
                        ("chip", .string("pcf8574")), ("line", .integer(3)), ("contact", .string("normally-open")),
                        ("active-low", .boolean(true)), ("bias", .string("pull-up")), ("debounce", .string("100ms")),
                        ("terminal", .string("IN1")),
                    ]
                ),
            ]),
            device: [("chip", .string("pinctrl-bcm2711"))])
        #expect(problems == [])
        let door = try #require(driver.points.first)
        let tamper = try #require(driver.points.last)
        #expect(door.line == LineName(chip: "pinctrl-bcm2711", line: .name("GPIO17")))
        #expect(door.contact.activeLevel == false && door.activeLow == false && door.bias == .asIs)
        #expect(door.contact.debounce == .milliseconds(30))
        #expect(tamper.line == LineName(chip: "pcf8574", line: .number(3)))
        #expect(tamper.contact.activeLevel == true && tamper.activeLow == true && tamper.bias == .pullUp)
        #expect(tamper.contact.debounce == .milliseconds(100))
    }

    @Test func whatIsWrongIsTold() throws {
        let cases: [([(String, SettingNode.Value)], String)] = [
            ([("line", .string("GPIO17"))], "contact is missing"),
            ([("contact", .string("normally-open"))], "line is missing"),
            ([("line", .integer(17)), ("contact", .string("normally-open"))], "needs chip"),
            ([("line", .string("GPIO17")), ("contact", .string("normaly-open"))], "did you mean \"normally-open\"?"),
            ([("line", .boolean(true)), ("contact", .string("normally-open"))], "expected a name in quotes, or"),
            ([("line", .integer(-1)), ("contact", .string("normally-open"))], "from 0 to 65535, found -1"),
            (
                [("line", .string("a")), ("contact", .string("normally-open")), ("debounce", .string("6s"))],
                "expected a time from 0s to 5s"
            ),
            (
                [("line", .string("a")), ("contact", .string("normally-open")), ("biass", .string("pull-up"))],
                "did you mean \"bias\"?"
            ),
        ]
        for (entries, words) in cases {
            let (_, problems) = try read(points([("door", entries)]))
            #expect(problems.contains { $0.contains(words) }, "\(words): \(problems)")
        }
    }

    @Test func twoPointsOnOneLineAreRefused() throws {
        let contact = ("contact", SettingNode.Value.string("normally-open"))
        let line = ("line", SettingNode.Value.string("GPIO17"))
        let (_, problems) = try read(points([("a", [line, contact]), ("b", [line, contact])]))
        #expect(problems == ["device.gpio.cabinet.point.b.line: the same line as point a"])
    }

    @Test func aDeviceWithoutPointsIsRefused() throws {
        let (_, problems) = try read(("point", tableValue([])))
        #expect(problems.contains { $0.contains("at least one point") })
    }
}
