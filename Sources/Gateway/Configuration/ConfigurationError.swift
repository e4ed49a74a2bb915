import Drivers

/// A configuration that was refused, with everything that is wrong in it.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
    /// In the order of the files. Never empty; never shows a key, nor a character that could steer a terminal.
    public let problems: [Problem]

    /// How many problems are printed. Nobody reads more before correcting the first.
    static let mostPrinted = 100

    /// - Parameter tables: tables, by their place and path, in which nothing counts as missing, since another problem
    ///   is the reason for it. What a table misses is told at its beginning.
    init(_ problems: Problems, nothingMissingIn tables: [Place: String] = [:]) {
        self.problems = problems.sorted
            .filter { problem in
                guard let table = tables[problem.place], problem.message.hasPrefix(table) else { return true }
                return problem.message.hasPrefix("\(table): kind is missing")
            }
            .map { Problem($0.place, shown($0.message)) }
    }

    /// One problem a line, and a last line that says what became of the configuration.
    public var description: String {
        var lines = problems.prefix(Self.mostPrinted).map(\.description)
        if problems.count > Self.mostPrinted { lines.append("and \(problems.count - Self.mostPrinted) more") }
        lines.append("\(problems.count) error\(problems.count == 1 ? "" : "s"); the configuration was not used")
        return lines.joined(separator: "\n")
    }
}

/// A message as it may be shown and logged: control characters are named, and what looks like a key is hidden.
///
/// The reader never puts a key into a message. This is the second lock, for a key that somebody wrote where another
/// setting belongs: 17 hexadecimal digits are more than any account has, and fewer than any key.
func shown(_ message: String) -> String {
    var result = ""
    var run: [Character] = []
    func end() {
        result += run.count > 16 ? "(hidden)" : String(run)
        run = []
    }
    for character in message {
        if character.isHexDigit {
            run.append(character)
            continue
        }
        end()
        for scalar in character.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse:
                result += "U+" + hex(scalar.value)
            default: result.unicodeScalars.append(scalar)
            }
        }
    }
    end()
    return result
}

/// Four or more hexadecimal digits, as Unicode writes its characters.
func hex(_ number: UInt32) -> String {
    let digits = String(number, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}
