import CSerialPort

/// What a port's hardware has counted of characters that came wrong.
public struct LineErrors: Sendable, Hashable {
    /// A stop bit was missing: the speed or the number of bits is wrong, or noise.
    public var framing = 0
    public var parity = 0
    /// The line stood at "space" for longer than a character: cut, or wired to the wrong terminal.
    public var breaks = 0
    /// Characters that came faster than the port was read.
    public var overruns = 0

    public init(framing: Int = 0, parity: Int = 0, breaks: Int = 0, overruns: Int = 0) {
        self.framing = framing
        self.parity = parity
        self.breaks = breaks
        self.overruns = overruns
    }

    /// nil: the port does not count (a pseudo-terminal, some USB adapters).
    init?(of descriptor: Int32) {
        var counts = serial_icounter_struct()
        guard larmnod_get_counts(descriptor, &counts) == 0 else { return nil }
        self.init(
            framing: Int(counts.frame), parity: Int(counts.parity), breaks: Int(counts.brk),
            overruns: Int(counts.overrun) + Int(counts.buf_overrun))
    }

    /// The counters begin with the computer; what matters is since the port was opened.
    static func - (a: LineErrors, b: LineErrors) -> LineErrors {
        LineErrors(
            framing: max(0, a.framing - b.framing), parity: max(0, a.parity - b.parity),
            breaks: max(0, a.breaks - b.breaks), overruns: max(0, a.overruns - b.overruns))
    }

    /// "12 framing errors and 3 parity errors"; nil for none.
    var words: String? {
        let counted = [
            (framing, "framing error"), (parity, "parity error"), (breaks, "break"), (overruns, "overrun"),
        ]
        .filter { $0.0 > 0 }.map { "\($0.0) \($0.1)\($0.0 == 1 ? "" : "s")" }
        guard let last = counted.last else { return nil }
        return counted.count == 1 ? last : counted.dropLast().joined(separator: ", ") + " and " + last
    }

    /// What they mean of the line's settings: "12 framing errors counted: …"; nil where they say nothing.
    var advice: String? {
        guard let words else { return nil }
        let meaning =
            if framing > 0 {
                "the speed is wrong, or the number of bits"
            } else if parity > 0 {
                "the speed is right and the parity is wrong"
            } else if breaks > 0 {
                "the line is cut, or wired to a terminal that is none"
            } else {
                "the computer read too late"
            }
        return "\(words) counted: \(meaning)"
    }
}
