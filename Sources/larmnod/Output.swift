import Gateway
import Glibc

/// A line for whoever reads the errors.
func printError(_ text: String) { writeAll(Charset.ofTerminal.bytes(of: text + "\n"), to: STDERR_FILENO) }

/// A line that is out before the next is made: `events --follow` is read while it runs.
func printLine(_ bytes: [UInt8]) { writeAll(bytes + [UInt8(ascii: "\n")], to: STDOUT_FILENO) }

/// For people: texts of panels and receivers are in it, so nothing in it may steer their terminal.
func printLine(_ text: String) { printLine(Charset.ofTerminal.bytes(of: text.printable)) }

private func writeAll(_ bytes: [UInt8], to descriptor: Int32) {
    var rest = bytes[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
        if count < 0, errno == EINTR { continue }
        if count < 0, errno == EAGAIN {
            var room = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
            guard poll(&room, 1, 1000) > 0 else { return }
            continue
        }
        guard count > 0 else { return }
        rest = rest.dropFirst(count)
    }
}

/// How a terminal writes letters, by its locale as the environment names it (LC_ALL, LC_CTYPE, LANG): the locale itself
/// need not be installed on the box. Where nothing is said it is UTF-8.
enum Charset: Sendable {
    case utf8
    /// ISO 8859-1, and -15 as far as they are the same.
    case latin1
    /// "C" or "POSIX": letters lose their marks.
    case ascii

    static let ofTerminal = Charset(locale: environment("LC_ALL") ?? environment("LC_CTYPE") ?? environment("LANG"))

    private static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    init(locale: String?) {
        guard let locale, locale != "C", locale != "POSIX" else {
            self = locale == nil ? .utf8 : .ascii
            return
        }
        let named = locale.split(separator: ".", maxSplits: 1).dropFirst().first ?? "iso88591"
        let name = named.prefix { $0 != "@" }.lowercased().filter { $0.isLetter || $0.isNumber }
        switch name {
        case "utf8": self = .utf8
        case "iso88591", "iso885915", "latin1", "latin9": self = .latin1
        default: self = .ascii
        }
    }

    func bytes(of text: String) -> [UInt8] {
        if case .utf8 = self { return Array(text.utf8) }
        return text.unicodeScalars.map { scalar in
            switch scalar.value {
            case ..<0x80: UInt8(scalar.value)
            case 0xA0...0xFF where self == .latin1: UInt8(scalar.value)
            case 0xC0...0xFF: Self.withoutMarks[Int(scalar.value - 0xC0)]
            case 0xB7: UInt8(ascii: ".")
            case 0x2026: UInt8(ascii: "+")  // the sign that something is left out
            case 0x2013, 0x2014: UInt8(ascii: "-")
            default: UInt8(ascii: "?")
            }
        }
    }

    /// What somebody has typed or written: UTF-8, or what it can be else.
    static func text(of bytes: some Collection<UInt8>) -> String {
        String(validating: bytes, as: UTF8.self)
            ?? String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }

    /// U+00C0 to U+00FF.
    private static let withoutMarks = Array("AAAAAAACEEEEIIIIDNOOOOOxOUUUUYTsaaaaaaaceeeeiiiidnooooo:ouuuuyty".utf8)
}
