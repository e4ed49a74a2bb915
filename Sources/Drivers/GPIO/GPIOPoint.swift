/// Where a contact is found on the board, and what it means: `[device.gpio.NAME.point.POINT]`.
struct GPIOPoint: Sendable, Hashable {
    enum Bias: Sendable, Hashable { case asIs, disabled, pullUp, pullDown }

    var line: LineName
    /// The line reads 1 when its voltage is low.
    var activeLow: Bool
    var bias: Bias
    /// Its level is counted after `activeLow`.
    var contact: ContactSettings

    var name: String { contact.name }

    init(_ settings: Settings, chip deviceChip: String?) {
        line = LineName(settings, chip: deviceChip)
        activeLow = settings.boolean("active-low", default: false)
        bias = settings.choice(
            "bias",
            of: [("as-is", .asIs), ("disabled", .disabled), ("pull-up", .pullUp), ("pull-down", .pullDown)],
            default: .asIs)
        contact = ContactSettings(settings)
    }
}

extension LineName {
    /// As a point or an output says it.
    init(_ settings: Settings, chip deviceChip: String?) {
        // Said by the board's file in terms of chip and line before we see it; here only known.
        _ = settings.optionalString("terminal", expected: "a terminal's name in quotes, as \"IN1\"")
        let chip = settings.optionalString("chip", expected: "a GPIO chip's label in quotes") ?? deviceChip
        self.init(chip: chip, line: settings.nameOrNumber("line", in: 0...65_535))
        if case .number = line, chip == nil {
            settings.refuse("line", "a line given by its number needs chip = \"LABEL\", here or for the whole device")
        }
    }
}
