import Testing

@testable import Gateway

@Suite("How a site says what chatter is")
struct ConfigurationChatterTests {
    @Test("A point says it for itself, a device for its points, and without a word it is 20 changes in a minute")
    func levels() throws {
        let folder = try Folder()
        let file = try folder.write(
            "site.toml",
            """
            [site]
            name = "S"
            account = "4711"
            [receiver.centre]
            address = "127.0.0.1:7700"
            [path.fibre]
            receiver = "centre"
            [device.gpio.a.point.plain]
            kind = "burglary"
            line = "L"
            contact = "normally-open"
            [device.gpio.b]
            chatter = { changes = 1000, within = "1h" }
            [device.gpio.b.point.as-device]
            kind = "fire"
            line = "L"
            contact = "normally-open"
            [device.gpio.b.point.own]
            kind = "fire"
            line = "L"
            contact = "normally-open"
            chatter = { changes = 4, within = "1s" }
            [device.gpio.b.point.half]
            kind = "fire"
            line = "L"
            contact = "normally-open"
            [device.gpio.b.point.half.chatter]
            within = "5min"
            """)
        let site = try SiteReader.read(file: file, drivers: plainDrivers).get()
        #expect(
            site.points.map(\.chatter) == [
                ChatterLimit(changes: 20, within: .seconds(60)), ChatterLimit(changes: 1000, within: .seconds(3600)),
                ChatterLimit(changes: 4, within: .seconds(1)), ChatterLimit(changes: 1000, within: .seconds(300)),
            ])
        #expect(site.devices.map(\.chatter.changes) == [20, 1000])
    }
}
