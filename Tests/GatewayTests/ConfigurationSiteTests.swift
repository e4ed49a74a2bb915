import AlarmProtocol
import Drivers
import Testing

@testable import Gateway

/// What a good site file comes to.
struct ConfigurationSiteTests {
    let folder: Folder
    init() throws { folder = try Folder() }

    private func read(_ content: String) throws -> Site {
        try SiteReader.read(file: folder.write("site.toml", content), drivers: plainDrivers).get()
    }

    private static let least = """
        [site]
        name = "Furutorpsskolan"
        account = "04fe"
        [receiver.centre]
        address = "larm.example.se:7700"
        [path.fibre]
        receiver = "centre"

        """

    @Test("The least that a site needs, and every default")
    func defaults() throws {
        let site = try read(Self.least)
        #expect(site.name == "Furutorpsskolan")
        #expect(site.account == "04FE")
        #expect(!site.clockIsTrusted)
        #expect(site.stateDirectory == "/var/lib/larmnod")
        #expect(site.controlSocket == "/run/larmnod/control")
        #expect(site.operators == nil)
        #expect(site.limits == Limits())
        #expect(site.devices.isEmpty)

        let path = try #require(site.paths.first)
        #expect(site.paths.count == 1)
        #expect(path.name == "fibre")
        #expect(path.receiver == "centre")
        #expect(path.host == "larm.example.se")
        #expect(path.port == 7700)
        #expect(path.interface == nil)
        #expect(path.transport == .tcp)
        #expect(path.account == nil)
        #expect(path.siteAccount == "04FE")
        #expect(path.receiverNumber == nil)
        #expect(path.line == "0")
        #expect(path.key == nil)
        #expect(path.format == .siaDCS)
        #expect(path.characterSet == .windows1252)
        #expect(path.extendedBlocks == [.timeOfOccurrence])
        #expect(path.poll == .seconds(60))
        #expect(path.timeout == .seconds(5))
        #expect(path.attempts == 3)
    }

    @Test("What is worth a look, though allowed")
    func notices() throws {
        let site = try read(Self.least + "[receiver.reserve]\naddress = \"192.0.2.1:7700\"\n")
        let folder = folder.path + "/"
        #expect(
            site.notices.map { $0.description.dropFirst(folder.count) } == [
                "site.toml:6:1: path.fibre: no key, so anybody on the way can read and forge what is sent",
                "site.toml:8:1: receiver.reserve: no path leads to this receiver",
                "site.toml:1:1: no device: nothing is heard at this site",
            ])
    }

    @Test("Everything said, and a path that has some of it in another way")
    func everything() throws {
        try folder.write("a.key", "hex:00112233445566778899AABBCCDDEEFF\n")
        try folder.write("b.key", "text:sixteen letters!\r\n", mode: 0o400)
        let site = try read(
            """
            [site]
            name = "Å"
            account = "0471"
            clock = "trusted"
            state = "/tmp/state"
            socket = "/tmp/control"
            operators = "larm"
            [limits]
            waiting-events = 500
            log-events = 0
            store-megabytes = 16
            [receiver.centre]
            address = "[2001:db8::7]:7700"
            account = "99aa"
            receiver-number = "1f"
            line = "2"
            key = "a.key"
            format = "contact-id"
            character-set = "utf-8"
            extended-data = ["I", "H"]
            [path.second]
            receiver = "centre"
            interface = "wwan0"
            transport = "udp"
            poll = "5min"
            timeout = "1500ms"
            attempts = 1
            [path.first]
            receiver = "centre"
            address = "192.0.2.1:7701"
            account = "1234567890"
            line = "3"
            key = "b.key"
            format = "sia-dcs"
            character-set = "ascii"
            extended-data = []
            """)
        #expect(site.clockIsTrusted)
        #expect(site.stateDirectory == "/tmp/state")
        #expect(site.controlSocket == "/tmp/control")
        #expect(site.operators == "larm")
        #expect(site.limits.waitingEvents == 500)
        #expect(site.limits.logEvents == 0)
        #expect(site.limits.storeBytes == 16 * 1_048_576)

        try #require(site.paths.map(\.name) == ["second", "first"], "the file's order is the order of preference")
        let second = site.paths[0]
        let first = site.paths[1]
        #expect(second.host == "2001:db8::7")
        #expect(second.account == "99AA")
        #expect(second.receiverNumber == "1F")
        #expect(second.line == "2")
        #expect(try second.key == Key(hex: "00112233445566778899aabbccddeeff"))
        #expect(second.format == .contactID)
        #expect(second.characterSet == .utf8)
        #expect(second.extendedBlocks == [.timeOfOccurrence, .text])
        #expect(second.interface == "wwan0")
        #expect(second.transport == .udp)
        #expect(second.poll == .seconds(300))
        #expect(second.timeout == .milliseconds(1500))
        #expect(second.attempts == 1)
        #expect(first.host == "192.0.2.1")
        #expect(first.port == 7701)
        #expect(first.account == "1234567890")
        #expect(first.receiverNumber == "1F")
        #expect(first.line == "3")
        #expect(try first.key == Key(text: "sixteen letters!"))
        #expect(first.format == .siaDCS)
        #expect(first.characterSet == .ascii)
        #expect(first.extendedBlocks.isEmpty)
    }

    @Test("Devices and points: names, order, and what a point has from its device and the site")
    func points() throws {
        let site = try read(
            Self.least + """
                [device.gpio.cabinet.point.zulu]
                chip = "a"
                line = "GPIO5"
                contact = "normally-closed"
                kind = "burglary"
                zone = 7
                text = "Huvudentré"
                [device.gpio.cabinet.point.alfa]
                chip = "a"
                line = "GPIO6"
                contact = "normally-open"
                kind = "fire"
                account = "9abc"
                partition = 3
                [device.gpio.cabinet]
                partition = 2
                [device.espa.panel]
                port = "/dev/ttyS1"
                account = "5000"
                wait-for-receiver = "10s"
                point.fire = { kind = "fire", zone = 11 }
                """)
        try #require(site.devices.map(\.name) == ["gpio.cabinet", "espa.panel"])
        #expect(
            site.points.map(\.name) == ["gpio.cabinet.zulu", "gpio.cabinet.alfa", "espa.panel.fire"],
            "in the order of the file")
        let burglary = try #require(EventKind.named("burglary"))
        let fire = try #require(EventKind.named("fire"))
        #expect(
            site.points[0]
                == Point(
                    name: "gpio.cabinet.zulu", account: "04FE", kind: burglary, partition: 2, zone: 7,
                    text: "Huvudentré"))
        #expect(
            site.points[1]
                == Point(
                    name: "gpio.cabinet.alfa", account: "9ABC", kind: fire, partition: 3, zone: 0, text: "",
                    receivedWithin: .seconds(100)))
        #expect(
            site.points[2]
                == Point(
                    name: "espa.panel.fire", account: "5000", kind: fire, partition: 0, zone: 11, text: "",
                    receivedWithin: .seconds(100)))
        #expect(site.devices[0].account == "04FE")
        #expect(site.devices[0].partition == 2)
        #expect(site.devices[0].waitForReceiver == nil)
        #expect(site.devices[1].account == "5000")
        #expect(site.devices[1].waitForReceiver == .seconds(10))
    }

    @Test("A terminal is found on the board before the driver looks")
    func terminals() throws {
        try folder.write(
            "testboard.toml",
            """
            [board]
            name = "Test"
            [terminal.IN1]
            device = "gpio"
            chip = "pinctrl"
            line = "GPIO17"
            """)
        let site = try read(
            Self.least.replacing("[receiver", with: "board = \"testboard\"\n[receiver") + """
                [device.gpio.cabinet]
                chip = "other"
                [device.gpio.cabinet.point.door]
                terminal = "IN1"
                contact = "normally-open"
                kind = "burglary"
                """)
        let driver = try #require(site.devices.first?.driver as? ContactBox)
        #expect(driver.lines == ["GPIO17"])
        #expect(driver.chips == ["pinctrl"])
    }

    @Test("The board beside the site goes before the one beneath it in boards/, and both before the system's")
    func boardOrder() throws {
        let board = "[board]\nname = \"%\"\n[terminal]\nIN1 = { device = \"gpio\", line = \"%\" }\n"
        let content =
            Self.least.replacing("[receiver", with: "board = \"b\"\n[receiver")
            + "[device.gpio.c.point.d]\nterminal = \"IN1\"\ncontact = \"normally-open\"\nkind = \"fire\"\n"
        try folder.write("b.toml", board.replacing("%", with: "beside"))
        #expect(try (read(content).devices.first?.driver as? ContactBox)?.lines == ["beside"])
        try folder.write("boards/b.toml", board.replacing("%", with: "beneath"))
        #expect(try (read(content).devices.first?.driver as? ContactBox)?.lines == ["beneath"])
    }

    @Test(
        "Addresses",
        arguments: [
            ("larm.example.se:7700", "larm.example.se", 7700), ("192.0.2.7:1", "192.0.2.7", 1),
            ("[2001:db8::7]:65535", "2001:db8::7", 65535), ("[fe80::1%eth0]:7700", "fe80::1%eth0", 7700),
            ("larm_a:7700", "larm_a", 7700),
        ])
    func address(text: String, host: String, port: Int) throws {
        let address = try #require(Address(text))
        #expect(address.host == host)
        #expect(address.port == port)
    }

    @Test(
        "No addresses",
        arguments: [
            "", ":", ":7700", "a", "a:", "a:0", "a:65536", "a:-1", "a:99999999999999999999", "a:7 ", "[]:7700",
            "[2001:db8::7]", "[2001:db8::7:7700", "2001:db8::7]:7700", "a b:7700", "å:7700", "-a:7700", ".a:7700",
            "a..b:7700", "a:٧",
            "[:::]:7700", "[2001:db8::7%]:7700", "[1.2.3.4]:7700", "256.1.1.1:7700", "1.2.3:7700", "7700:7700",
            String(repeating: "a", count: 254) + ":7700",
        ])
    func noAddress(text: String) {
        #expect(Address(text) == nil)
    }

    @Test("What may be shown of a message")
    func shownMessages() {
        #expect(shown("hex:00112233445566778899aabbccddeeff!") == "hex:(hidden)!")
        #expect(shown("account 0123456789ABCDEF") == "account 0123456789ABCDEF")
        #expect(shown("a\u{1b}[2J\u{202e}\n\u{85}å") == "aU+001B[2JU+202EU+000AU+0085å")
    }
}
