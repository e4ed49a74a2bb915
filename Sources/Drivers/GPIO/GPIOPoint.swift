import AlarmProtocol

/// Where a contact is found on the board, and what it means: `[device.gpio.NAME.point.POINT]`.
struct GPIOPoint: Sendable, Hashable {
    enum Bias: Sendable, Hashable { case asIs, disabled, pullUp, pullDown }

    var name: String
    var line: LineName
    /// The line reads 1 when its voltage is low.
    var activeLow: Bool
    /// The level that means "active": 1 for a contact that is open at rest, 0 for one that is closed at rest. A closed
    /// contact reads as 1, after `activeLow`.
    var activeLevel: Bool
    var bias: Bias
    /// How long a level must stand to count.
    var debounce: Duration
    /// How long a change must last, once it has settled.
    var hold: Duration
    /// The name of what the contact is wetted with, where several are judged together; nil: by itself.
    var supply: String?

    init(_ settings: Settings, chip deviceChip: String?) {
        name = settings.name
        line = LineName(settings, chip: deviceChip)
        // A relay that is held while all is well and drops out on fault or loss of power: open is active.
        activeLevel = settings.choice(
            "contact", of: [("normally-open", true), ("normally-closed", false), ("fail-safe", false)])
        activeLow = settings.boolean("active-low", default: false)
        bias = settings.choice(
            "bias",
            of: [("as-is", .asIs), ("disabled", .disabled), ("pull-up", .pullUp), ("pull-down", .pullDown)],
            default: .asIs)
        debounce = settings.duration("debounce", in: .zero ... .seconds(5), default: .milliseconds(30))
        hold = settings.duration("hold", in: .zero ... .seconds(1), default: .zero)
        let isFire = EventKind.named(settings.optionalString("kind") ?? "")?.urgency == .fire
        if isFire, hold > Self.longestFireHold {
            settings.refuse(
                "hold",
                "a fire alarm is held back for at most \(Self.longestFireHold.described), found \(hold.described)")
        }
        supply = settings.optionalString("supply", expected: "the name of what feeds the contact, as \"24v\"")
        if let supply, !supply.utf8.allSatisfy(Self.isNameByte) || supply.utf8.count > 32 {
            settings.refuse("supply", "expected a name of 1 to 32 letters a-z, digits and hyphens, found \"\(supply)\"")
        }
    }

    /// A fire alarm is not to be held back for the sake of fewer false ones: the panel has judged it already.
    private static let longestFireHold = Duration.milliseconds(100)

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || byte == UInt8(ascii: "-")
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
