import CGPIO
import Glibc

/// A GPIO chip as it is now, for people to read.
public struct GPIOChip: Sendable, Hashable {
    public struct Line: Sendable, Hashable {
        /// Empty where it has none.
        public var name: String
        /// Who holds it: a program, or a driver of the kernel. Nil: it is free.
        public var holder: String?

        public init(name: String, holder: String? = nil) {
            self.name = name
            self.holder = holder
        }
    }

    /// "gpiochip0". Not the same after every start: the label is.
    public var name: String
    /// "pinctrl-bcm2711"
    public var label: String
    /// By their offset.
    public var lines: [Line]

    public init(name: String, label: String, lines: [Line]) {
        self.name = name
        self.label = label
        self.lines = lines
    }

    /// More chips than any board has.
    private static let most = 64

    /// Every chip that may be opened, with its lines as they are now. Takes none of them.
    public static func all() -> [GPIOChip] {
        var found = [OpaquePointer?](repeating: nil, count: most)
        let count = Int(gpio_open_chips(&found, Int32(most)))
        var chips: [GPIOChip] = []
        for case let chip? in found.prefix(max(0, count)) {
            defer { gpiod_chip_close(chip) }
            guard let about = GPIOBoard.names({ gpio_chip_about(chip, $0, $1) }),
                !chips.contains(where: { $0.name == about.first })
            else { continue }
            let lines = (0..<about.result).map { offset in
                let line = GPIOBoard.names { gpio_line_about(chip, UInt32(offset), $0, $1) }
                return Line(name: line?.first ?? "", holder: (line?.result ?? 0) > 0 ? line?.second : nil)
            }
            chips.append(GPIOChip(name: about.first, label: about.second, lines: lines))
        }
        return chips
    }
}

extension [GPIOChip] {
    /// Finds a line as the `gpio` driver would, from what a point or a terminal says of it.
    /// - Parameters:
    ///   - chip: its label or name; nil: whichever chip has a line of that name.
    /// - Throws: `DeviceError` that says what there is instead.
    public func line(_ line: Settings.NameOrNumber, chip: String?) throws(DeviceError) -> GPIOChip.Line {
        let finder = LineFinder(
            chips: map { ChipDescription(name: $0.name, label: $0.label, lines: $0.lines.map(\.name)) })
        let place = try finder.find(LineName(chip: chip, line: line))
        return self[place.chip].lines[place.offset]
    }
}
