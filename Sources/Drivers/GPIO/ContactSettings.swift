import AlarmProtocol

/// What a contact means and how long its changes must last: what a point on any digital input says of its contact.
struct ContactSettings: Sendable, Hashable {
    /// The point's.
    var name: String
    /// The level that means "active": 1 for a contact that is open at rest, 0 for one that is closed at rest. A closed
    /// contact reads as 1.
    var activeLevel: Bool
    /// How long a level must stand to count.
    var debounce: Duration
    /// How long a change must last, once it has settled.
    var hold: Duration
    /// A contact that is let go and comes back within this time was reset at its panel: zero where that is not looked for.
    var resetWithin: Duration
    /// For the operator, as the gateway reads it.
    var text: String
    /// The name of what the contact is wetted with, where several are judged together; nil: by itself.
    var supply: String?

    init(_ settings: Settings) {
        name = settings.name
        // A relay that is held while all is well and drops out on fault or loss of power: open is active.
        activeLevel = settings.choice(
            "contact", of: [("normally-open", true), ("normally-closed", false), ("fail-safe", false)])
        debounce = settings.duration("debounce", in: .zero ... .seconds(5), default: .milliseconds(30))
        hold = settings.duration("hold", in: .zero ... .seconds(1), default: .zero)
        let isFire = EventKind.named(settings.optionalString("kind") ?? "")?.urgency == .fire
        if isFire, hold > Self.longestFireHold {
            settings.refuse(
                "hold",
                "a fire alarm is held back for at most \(Self.longestFireHold.described), found \(hold.described)")
        }
        resetWithin = settings.duration("reset-within", in: .zero ... .seconds(30), default: .zero)
        text = settings.optionalString("text") ?? name
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
