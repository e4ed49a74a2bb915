import Foundation
import Testing

@testable import Drivers
@testable import Gateway

/// The board files, and what `larmnod board` makes of a computer.
struct BoardTests {
    static let boards: [String] = {
        let folder = repository.appendingPathComponent("board-configs").path
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return entries.filter { $0.hasSuffix(".toml") }.map { String($0.dropLast(5)) }.sorted()
    }()

    static let catalogue = BoardCatalogue(directories: [repository.appendingPathComponent("board-configs").path])

    /// A Raspberry Pi 4 as its kernel shows it: two pins are the serial console's.
    private static let pi4 = [
        GPIOChip(
            name: "gpiochip0", label: "pinctrl-bcm2711",
            lines: (0..<58).map { offset in
                let name = offset < 2 ? ["ID_SDA", "ID_SCL"][offset] : offset < 28 ? "GPIO\(offset)" : ""
                return GPIOChip.Line(name: name, holder: offset == 8 ? "spi0 CS0" : nil)
            }),
        GPIOChip(name: "gpiochip1", label: "raspberrypi-exp-gpio", lines: [GPIOChip.Line(name: "BT_ON", holder: "")]),
    ]

    private func computer(_ files: [String: String]) throws -> Folder {
        let folder = try Folder()
        for (name, content) in files { try folder.write(name, content) }
        return folder
    }

    @Test("The boards that are promised are there, and each reads whole")
    func all() {
        #expect(Self.catalogue.problems.isEmpty)
        let known = [
            "beaglebone-black", "generic-pc-modbus", "olimex-olinuxino-lime", "orange-pi-3b", "orange-pi-5",
            "orange-pi-zero", "raspberry-pi-4", "raspberry-pi-5", "revolution-pi", "rock-5b", "rock-pi-4",
            "virtual-board",
        ]
        for board in known { #expect(Self.boards.contains(board)) }
        #expect(Self.catalogue.files.map(\.id) == Self.boards)
    }

    @Test(
        "A board file names its sources and what it was tried on, and no place twice by one kind of name",
        arguments: boards)
    func honest(board: String) throws {
        let url = repository.appendingPathComponent("board-configs/\(board).toml")
        let text = try String(contentsOf: url, encoding: .utf8)
        let head = try text.prefix(upTo: #require(text.range(of: "\n[board]")).lowerBound)
        if board != "demo" { #expect(head.contains("Sources: ")) }
        if !["demo", "virtual-board"].contains(board) {
            let words = head.split(whereSeparator: { $0 == "#" || $0.isWhitespace }).joined(separator: " ")
            #expect(words.contains("Not tried "))
        }
        let file = try #require(Self.catalogue.files.first { $0.id == board })
        #expect(file.tried != nil)
        // A second name of a place is one of another kind: PIN11 and GPIO17.
        for (place, names) in Dictionary(grouping: file.terminals, by: { "\($0.device) \($0.place)" }) {
            let kinds = names.map { $0.name.prefix { !$0.isNumber } }
            #expect(Set(kinds).count == names.count, "\(place): \(names.map(\.name))")
        }
    }

    @Test("No two boards are known by one name")
    func distinct() {
        let names = Self.catalogue.files.flatMap(\.knownAs)
        #expect(Set(names).count == names.count)
    }

    @Test("A Raspberry Pi 4 is known by its device tree, and every terminal of its file is found")
    func raspberry() throws {
        let folder = try computer([
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0",
            "sys/bus/iio/devices/iio:device0/name": "ads1115\n",
            "sys/bus/iio/devices/iio:device0/in_voltage0_raw": "1\n",
            "sys/bus/iio/devices/iio:device0/in_voltage1_raw": "2\n",
            "sys/bus/iio/devices/iio:device0/in_voltage10_raw": "2\n",
            "sys/bus/iio/devices/iio:device0/in_voltage0-voltage1_raw": "2\n",
        ])
        let ports = [
            SerialPort.Name(
                path: "/dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0", device: "/dev/ttyUSB0", product: "FT232R")
        ]
        let hardware = Hardware(root: folder.path, chips: Self.pi4, ports: ports)
        #expect(hardware.model == "Raspberry Pi 4 Model B Rev 1.4")
        #expect(hardware.names == ["raspberrypi,4-model-b", "brcm,bcm2711"])
        let fit = try #require(Self.catalogue.fits(hardware).first)
        #expect(fit.board == "raspberry-pi-4" && fit.isNamed && fit.isWhole && fit.found == 52)
        #expect(fit.held == ["GPIO8": "spi0 CS0", "PIN24": "spi0 CS0"])
        let screen = BoardScreen.detected(hardware, Self.catalogue)
        #expect(screen.count <= 24 && screen.allSatisfy { $0.count <= 80 })
        #expect(screen.contains("    board = \"raspberry-pi-4\""))
        #expect(screen.contains { $0 == "analogue iio:device0 \"ads1115\": channels 0, 1, 10, \"voltage0-voltage1\"" })
        #expect(screen.contains("serial port /dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0"))
        #expect(screen.contains("    (/dev/ttyUSB0, FT232R)"))
        #expect(BoardScreen.detected(hardware, Self.catalogue, all: true).count > 58)
    }

    @Test("A board whose lines another kernel names otherwise says which terminals are not there, and why")
    func renamed() throws {
        let folder = try computer(["proc/device-tree/compatible": "ti,am335x-bone-black\0ti,am33xx\0"])
        let lines = ["P9_11 [gpio0_30]", "GPIO1_28", "P8_7", "P8_7"].map { GPIOChip.Line(name: $0) }
        let chips = [GPIOChip(name: "gpiochip0", label: "gpio-0-31", lines: lines)]
        let hardware = Hardware(root: folder.path, chips: chips, ports: [])
        let fit = try #require(Self.catalogue.fits(hardware).first)
        #expect(fit.board == "beaglebone-black" && !fit.isWhole && fit.found == 1 && fit.missing["P9_11"] == nil)
        #expect(fit.missing["P9_12"]?.contains("no line has the name \"P9_12\"") == true)
        #expect(fit.missing["P8_7"]?.contains("2 lines have the name") == true)
        let screen = BoardScreen.detected(hardware, Self.catalogue)
        #expect(screen.count <= 24 && screen.allSatisfy { $0.count <= 80 })
    }

    @Test("A Raspberry Pi's pins are found by their numbers, whatever its kernel calls the lines")
    func linuxOwnNames() throws {
        let names = ["ID_SDA", "ID_SCL", "SDA1", "SCL1", "GPIO_GCLK"]
        let lines = (0..<58).map { GPIOChip.Line(name: $0 < names.count ? names[$0] : "") }
        let chips = [GPIOChip(name: "gpiochip0", label: "pinctrl-bcm2711", lines: lines)]
        let folder = try computer(["proc/device-tree/compatible": "raspberrypi,4-model-b\0brcm,bcm2711\0"])
        let fit = try #require(
            Self.catalogue.fits(Hardware(root: folder.path, chips: chips, ports: [])).first)
        #expect(fit.board == "raspberry-pi-4" && fit.isWhole && fit.found == 52)
    }

    @Test("A Revolution Pi of a model that no file names is known by its process image, not by its processor's lines")
    func revolution() throws {
        let folder = try computer([
            "proc/device-tree/compatible": "kunbus,revpi-flat\0brcm,bcm2711\0", "dev/piControl0": "",
        ])
        let hardware = Hardware(root: folder.path, chips: Self.pi4, ports: [])
        #expect(Self.catalogue.fits(hardware).map(\.board) == ["revolution-pi", "raspberry-pi-4"])
        let screen = BoardScreen.detected(hardware, Self.catalogue)
        #expect(screen.contains { $0.contains("because a process image is there") })
        #expect(screen.count <= 24 && screen.allSatisfy { $0.count <= 80 })
    }

    @Test("An analogue input of a BeagleBone Black is a terminal of an iio device")
    func analogue() throws {
        let file = try #require(Self.catalogue.files.first { $0.id == "beaglebone-black" })
        for name in ["AIN0", "P9_39"] {
            let terminal = try #require(file.terminals.first { $0.name == name })
            #expect(terminal.device == "iio" && terminal.place == "channel 0")
        }
    }

    @Test("A computer that says nothing of itself is proposed the board whose lines it has")
    func byLines() throws {
        let chips = [
            GPIOChip(name: "gpiochip0", label: "cabinet", lines: (1...10).map { GPIOChip.Line(name: "TERMINAL-\($0)") })
        ]
        let hardware = Hardware(root: try Folder().path, chips: chips, ports: [])
        let fits = Self.catalogue.fits(hardware)
        #expect(fits.map(\.board) == ["virtual-board"])
        #expect(fits.first?.isNamed == false)
        #expect(
            BoardScreen.detected(hardware, Self.catalogue).contains { $0.contains("not because this computer says so") }
        )
    }

    @Test("A PC without lines is told by DMI, gets no board, and what may not be opened is named")
    func computerWithoutLines() throws {
        let folder = try computer([
            "sys/class/dmi/id/sys_vendor": "QEMU\n", "sys/class/dmi/id/product_name": "Standard PC\n",
            "sys/bus/gpio/devices/gpiochip3/dev": "254:3\n", "sys/class/tty/ttyS1/type": "4\n",
            "sys/class/tty/ttyS1/device/uevent": "", "sys/class/tty/ttyS2/type": "0\n",
            "sys/class/tty/ttyS2/device/uevent": "", "sys/class/tty/tty1/dev": "4:1\n",
        ])
        let hardware = Hardware(root: folder.path, chips: [], ports: [])
        #expect(hardware.model == "QEMU Standard PC" && hardware.names == ["Standard PC"])
        #expect(hardware.unseen.count == 2)
        #expect(hardware.unseen.first?.hasPrefix("gpiochip3: may not be opened") == true)
        #expect(hardware.unseen.last?.hasPrefix("ttyS1: may not be opened") == true)
        #expect(Self.catalogue.fits(hardware).isEmpty)
        #expect(BoardScreen.detected(hardware, Self.catalogue).contains { $0.hasPrefix("No board file fits") })
    }

    @Test("Hostile words of a computer or a broken board file harm nothing")
    func hostile() throws {
        let folder = try computer([
            "proc/device-tree/model": "Evil\u{1B}[2J" + String(repeating: "x", count: 3000),
            "proc/device-tree/compatible": "\0\0\0", "boards/broken.toml": "[board]\nname = 3\n",
            "boards/good.toml":
                "[board]\nname = \"G\"\n[terminal]\nA1 = { device = \"gpio\", chip = \"c\", line = 9999999999999 }\n",
        ])
        let chips = [GPIOChip(name: "gpiochip0", label: "c", lines: [GPIOChip.Line(name: "\u{1B}[31m")])]
        let hardware = Hardware(root: folder.path, chips: chips, ports: [])
        let catalogue = BoardCatalogue(directories: ["\(folder.path)/boards", "\(folder.path)/none"])
        #expect(catalogue.problems.count == 1 && catalogue.files.map(\.id) == ["good"])
        #expect(catalogue.fits(hardware).isEmpty)
        for line in BoardScreen.detected(hardware, catalogue, all: true) { #expect(!line.contains("\u{1B}")) }
    }

    @Test("Each board's terminals are shown on a page of 80 columns", arguments: boards)
    func shown(board: String) throws {
        let file = try #require(Self.catalogue.files.first { $0.id == board })
        let page = BoardScreen.show(file)
        for terminal in file.terminals { #expect(page.contains { $0.contains(terminal.name) }) }
        let isPath = { (line: String) in line.hasPrefix("file: ") || line.hasPrefix("    /") }
        #expect(page.allSatisfy { $0.count <= 80 || isPath($0) })
        #expect(BoardScreen.list(Self.catalogue).allSatisfy { $0.count <= 80 })
    }

    @Test("A reason that many terminals are missing for is said once, and whole")
    func oneReason() throws {
        let folder = try computer(["proc/device-tree/compatible": "raspberrypi,4-model-b\0"])
        let hardware = Hardware(root: folder.path, chips: [], ports: [])
        let screen = BoardScreen.detected(hardware, Self.catalogue)
        #expect(screen.count <= 24 && screen.allSatisfy { $0.count <= 80 })
        #expect(screen.count { $0.contains("has no GPIO chip") } == 1)
        #expect(screen.joined(separator: " ").contains("gpiodetect lists chips"))
    }
}
