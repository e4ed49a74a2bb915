import Gateway
import Glibc

/// A line for whoever reads the errors.
func printError(_ text: String) {
    var line = text + "\n"
    line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// A line that is out before the next is made: `events --follow` is read while it runs.
func printLine(_ bytes: [UInt8]) {
    let line = bytes + [UInt8(ascii: "\n")]
    line.withUnsafeBytes { _ = write(STDOUT_FILENO, $0.baseAddress, $0.count) }
}

/// For people: texts of panels and receivers are in it, so nothing in it may steer their terminal.
func printLine(_ text: String) { printLine(Array(text.printable.utf8)) }
