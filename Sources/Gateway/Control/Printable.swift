/// Texts from panels, peers and files, on their way to a terminal or the log.
extension String {
    /// With a dot in place of whatever would move the cursor, change colours, turn the direction of writing or begin a
    /// new line: a text that somebody else chose must not be able to forge what is shown beside it.
    public var printable: String {
        guard unicodeScalars.contains(where: \.isUnprintable) else { return self }
        var shown = String.UnicodeScalarView()
        for scalar in unicodeScalars { shown.append(scalar.isUnprintable ? "·" : scalar) }
        return String(shown)
    }

    /// How many columns of a terminal it takes.
    var columns: Int { reduce(0) { $0 + $1.columns } }

    /// As much of it as fits so many columns, with a sign where something is left out.
    func fitted(to width: Int) -> String {
        guard columns > width else { return self }
        var used = 1
        let kept = prefix { character in
            used += character.columns
            return used <= width
        }
        return kept + "…"
    }
}

extension Unicode.Scalar {
    fileprivate var isUnprintable: Bool {
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: true
        // Marks of writing direction, and others that are not seen.
        case .format: self != "\u{200D}"  // joins the parts of one emoji
        default: false
        }
    }
}

extension Character {
    /// Two for the scripts and signs that terminals show wide (Unicode Standard Annex 11, East Asian Width W and F).
    fileprivate var columns: Int {
        guard let first = unicodeScalars.first else { return 0 }
        let isWide =
            switch first.value {
            case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xA960...0xA97C, 0xAC00...0xD7A3, 0xF900...0xFAFF,
                0xFE30...0xFE6F, 0xFF01...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1F64F, 0x1F680...0x1F6FF,
                0x1F900...0x1F9FF, 0x1FA70...0x1FAFF, 0x20000...0x3FFFD:
                true
            default: false
            }
        return isWide ? 2 : 1
    }
}
