/// A line as the configuration names it.
struct LineName: Sendable, Hashable {
    /// The chip's label or kernel name; nil: whichever chip has a line of that name.
    var chip: String?
    var line: Settings.NameOrNumber
}

/// A chip as the kernel describes it.
struct ChipDescription: Sendable, Hashable {
    /// "gpiochip0". Not the same after every start: the label is.
    var name: String
    /// "pinctrl-bcm2711"
    var label: String
    /// The lines' names by their offset, empty where a line has none.
    var lines: [String]

    var described: String { "\(name) \"\(label)\"" }
}

/// Where a line was found: which of the chips, and which of its lines.
struct LinePlace: Sendable, Hashable {
    var chip: Int
    var offset: Int
}

/// Finds lines among the chips that exist. Libgpiod itself takes the first of several lines of the same name, which may
/// be the wrong one after the next start: here a name that fits more than one line is refused.
struct LineFinder: Sendable {
    let chips: [ChipDescription]

    /// How many names an error lists.
    private static let listed = 60

    /// - Throws: `DeviceError` that says what exists, when the name fits no line or several.
    func find(_ wanted: LineName) throws(DeviceError) -> LinePlace {
        guard !chips.isEmpty else {
            throw DeviceError(
                "this board has no GPIO chip (/dev/gpiochip*); check that its driver is loaded: gpiodetect lists chips")
        }
        var candidates = Array(chips.indices)
        if let name = wanted.chip { candidates = [try chip(name)] }
        switch wanted.line {
        case .number(let offset): return try line(offset, in: candidates)
        case .name(let name): return try line(name, in: candidates)
        }
    }

    private func chip(_ name: String) throws(DeviceError) -> Int {
        let found = chips.indices.filter { chips[$0].label == name || chips[$0].name == name }
        if found.count > 1 {
            throw DeviceError(
                "\"\(name)\" is the label of \(found.count) chips: \(list(found)); set chip to one of the names")
        }
        guard let only = found.first else {
            throw DeviceError(
                "no GPIO chip has the label or name \"\(name)\"; there are: \(list(Array(chips.indices)))"
                    + nearest(to: name, among: chips.map(\.label)))
        }
        return only
    }

    private func line(_ offset: Int, in candidates: [Int]) throws(DeviceError) -> LinePlace {
        guard candidates.count == 1 else {
            throw DeviceError("line \(offset) needs a chip; there are: \(list(candidates))")
        }
        let chip = candidates[0]
        guard chips[chip].lines.indices.contains(offset) else {
            throw DeviceError(
                "\(chips[chip].described) has no line \(offset); it has lines 0 to \(chips[chip].lines.count - 1)")
        }
        return LinePlace(chip: chip, offset: offset)
    }

    private func line(_ name: String, in candidates: [Int]) throws(DeviceError) -> LinePlace {
        func lines(where fits: (String) -> Bool) -> [LinePlace] {
            candidates.flatMap { chip in
                chips[chip].lines.indices.filter { fits(chips[chip].lines[$0]) }.map {
                    LinePlace(chip: chip, offset: $0)
                }
            }
        }
        var found = lines { $0 == name }
        // Device trees of the BeagleBone say what else a pin does behind its name, not all the same: "P9_12 [gpio1_28]".
        if found.isEmpty { found = lines { $0.hasPrefix("\(name) [") } }
        if found.count > 1 {
            let places = found.map { "\(chips[$0.chip].described) line \($0.offset)" }.joined(separator: ", ")
            throw DeviceError(
                "\(found.count) lines have the name \"\(name)\": \(places); set chip, or give the line by its number")
        }
        guard let only = found.first else {
            let names = candidates.flatMap { chips[$0].lines }.filter { !$0.isEmpty }
            let some = names.prefix(Self.listed).joined(separator: ", ") + (names.count > Self.listed ? " …" : "")
            throw DeviceError(
                "no line has the name \"\(name)\" on \(list(candidates))\(nearest(to: name, among: names)); "
                    + (names.isEmpty ? "no line there has a name: give the line's number" : "there are: \(some)"))
        }
        return only
    }

    private func list(_ some: [Int]) -> String {
        some.map { "\(chips[$0].described) (\(chips[$0].lines.count) lines)" }.joined(separator: ", ")
    }
}
