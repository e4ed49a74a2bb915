import Testing

@testable import Drivers

@Suite struct LineFinderTests {
    private let board = LineFinder(chips: [
        ChipDescription(name: "gpiochip0", label: "pinctrl-bcm2711", lines: ["ID_SDA", "ID_SCL", "GPIO2", "GPIO3"]),
        ChipDescription(name: "gpiochip1", label: "pcf8574", lines: ["IN1", "", "GPIO3"]),
        ChipDescription(name: "gpiochip2", label: "pcf8574", lines: ["", "", "BUTTON", "BUTTON"]),
    ])

    @Test(arguments: [
        (LineName(chip: "pinctrl-bcm2711", line: .name("GPIO2")), LinePlace(chip: 0, offset: 2)),
        (LineName(chip: "gpiochip1", line: .name("IN1")), LinePlace(chip: 1, offset: 0)),
        (LineName(chip: "gpiochip1", line: .name("GPIO3")), LinePlace(chip: 1, offset: 2)),
        (LineName(chip: "gpiochip2", line: .number(3)), LinePlace(chip: 2, offset: 3)),
        (LineName(chip: nil, line: .name("ID_SCL")), LinePlace(chip: 0, offset: 1)),
    ]) func finds(name: LineName, place: LinePlace) throws {
        #expect(try board.find(name) == place)
    }

    @Test(arguments: [
        (LineName(chip: "pcf8574", line: .number(0)), "is the label of 2 chips: gpiochip1 \"pcf8574\" (3 lines)"),
        (LineName(chip: "0", line: .number(0)), "no GPIO chip has the label or name \"0\"; there are: gpiochip0"),
        (LineName(chip: "pinctrl-bcm2712", line: .number(0)), "did you mean \"pinctrl-bcm2711\"?"),
        (
            LineName(chip: nil, line: .name("GPIO3")),
            "gpiochip0 \"pinctrl-bcm2711\" line 3, gpiochip1 \"pcf8574\" line 2"
        ),
        (LineName(chip: "gpiochip2", line: .name("BUTTON")), "2 lines have the name \"BUTTON\""),
        (LineName(chip: "gpiochip0", line: .name("GPIO22")), "there are: ID_SDA, ID_SCL, GPIO2, GPIO3"),
        (LineName(chip: "gpiochip0", line: .number(4)), "has no line 4; it has lines 0 to 3"),
        (LineName(chip: "gpiochip0", line: .number(-1)), "has no line -1"),
        (LineName(chip: nil, line: .number(4)), "line 4 needs a chip"),
    ]) func refuses(name: LineName, saying words: String) {
        let error = #expect(throws: DeviceError.self) { try board.find(name) }
        #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    }

    /// The BeagleBone's device trees: what else the pin does stands behind its name, and differs between kernels.
    @Test func aPinIsFoundByItsNameAlone() throws {
        let bone = LineFinder(chips: [
            ChipDescription(
                name: "gpiochip0", label: "gpio-0-31",
                lines: ["P9_1", "P9_12 [gpio1_28]", "P9_13 [uart4_txd]", "P9_13"]),
            ChipDescription(name: "gpiochip1", label: "gpio-32-63", lines: ["P9_14 [a]", "P9_15 [a]", "P9_15 [b]"]),
        ])
        func find(_ name: String) throws -> LinePlace { try bone.find(LineName(chip: nil, line: .name(name))) }
        #expect(try find("P9_12") == LinePlace(chip: 0, offset: 1))
        #expect(try find("P9_12 [gpio1_28]") == LinePlace(chip: 0, offset: 1))
        #expect(try find("P9_13") == LinePlace(chip: 0, offset: 3))
        #expect(try find("P9_14") == LinePlace(chip: 1, offset: 0))
        let error = #expect(throws: DeviceError.self) { try find("P9_15") }
        #expect(error?.description.contains("2 lines have the name") == true)
        #expect(throws: DeviceError.self) { try find("P9") }
    }

    @Test func aBoardWithoutChipsSaysSo() {
        let error = #expect(throws: DeviceError.self) {
            try LineFinder(chips: []).find(LineName(chip: nil, line: .name("GPIO2")))
        }
        #expect(error?.description.contains("no GPIO chip") == true)
    }
}
