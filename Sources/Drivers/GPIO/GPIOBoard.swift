import CGPIO
import Glibc

/// The board's GPIO chips, held open for as long as a line of theirs is in use. Lives within one `run`, on its thread.
final class GPIOBoard {
    private let finder: LineFinder
    private let chips: [OpaquePointer]

    /// More chips than any board has.
    private static let capacity = 64

    init() throws(DeviceError) {
        var found = [OpaquePointer?](repeating: nil, count: Self.capacity)
        let count = Int(gpio_open_chips(&found, Int32(Self.capacity)))
        guard count >= 0 else {
            throw DeviceError(
                "cannot open the GPIO chips (/dev/gpiochip*): \(errorText(Int32(-count))); check that the daemon's user "
                    + "is in their group (ls -l /dev/gpiochip*)")
        }
        var chips: [OpaquePointer] = []
        var descriptions: [ChipDescription] = []
        for case let chip? in found.prefix(count) {
            // A chip may have a second device file, a link of an older name: the kernel's name tells them apart.
            guard let description = Self.describe(chip), !descriptions.contains(where: { $0.name == description.name })
            else {
                gpiod_chip_close(chip)
                continue
            }
            chips.append(chip)
            descriptions.append(description)
        }
        self.chips = chips
        self.finder = LineFinder(chips: descriptions)
    }

    deinit { for chip in chips { gpiod_chip_close(chip) } }

    /// Where the point's line is.
    func find(_ point: GPIOPoint) throws(DeviceError) -> LinePlace {
        do { return try finder.find(point.line) } catch { throw DeviceError("point \(point.name): \(error)") }
    }

    /// Where the output's line is.
    func find(_ output: GPIOOutput) throws(DeviceError) -> LinePlace {
        do { return try finder.find(output.line) } catch { throw DeviceError("output \(output.name): \(error)") }
    }

    /// Takes a line as output; it is off from the first moment.
    func open(_ output: GPIOOutput, at place: LinePlace) throws(DeviceError) -> GPIOOutputLine {
        var line = gpio_output()
        let chip = chips[place.chip]
        let result = gpio_output_open(
            &line, chip, UInt32(place.offset), "larmnod \(output.name)".clipped(to: Int(GPIO_NAME_SIZE) - 1),
            output.activeLow)
        let name = "\(finder.chips[place.chip].described) line \(place.offset)"
        guard result == 0 else {
            let why =
                -result == EBUSY
                ? held(name, chip, place.offset) : "cannot take \(name) as output: \(errorText(-result))"
            throw DeviceError("output \(output.name): \(why)")
        }
        return GPIOOutputLine(line, of: self, name: "\(output.name) (\(name))")
    }

    /// Takes a line as input, with edges.
    func open(_ point: GPIOPoint, at place: LinePlace) throws(DeviceError) -> GPIOInput {
        var input = gpio_input()
        let chip = chips[place.chip]
        let result = gpio_input_open(
            &input, chip, UInt32(place.offset), "larmnod \(point.name)".clipped(to: Int(GPIO_NAME_SIZE) - 1),
            point.activeLow, point.bias.inC)
        guard result == 0 else {
            let line = "\(finder.chips[place.chip].described) line \(place.offset)"
            throw DeviceError("point \(point.name): \(refusal(-result, of: line, chip, place.offset, point))")
        }
        return GPIOInput(
            input, of: self, name: "\(point.name) (\(finder.chips[place.chip].described) line \(place.offset))")
    }

    private func refusal(
        _ error: Int32, of line: String, _ chip: OpaquePointer, _ offset: Int, _ point: GPIOPoint
    ) -> String {
        switch error {
        case EBUSY: return held(line, chip, offset)
        case EOPNOTSUPP, EINVAL, Self.notSupported:
            guard point.bias != .asIs else { return "cannot take \(line) as input: \(errorText(error))" }
            return "\(line) cannot do what is asked (\(errorText(error))); set bias = \"as-is\" and use a resistor"
        default:
            return "cannot take \(line) as input: \(errorText(error))"
        }
    }

    /// The kernel's own ENOTSUPP, which some drivers of chips let out.
    private static let notSupported: Int32 = 524

    private func held(_ line: String, _ chip: OpaquePointer, _ offset: Int) -> String {
        let holder = Self.names { gpio_line_about(chip, UInt32(offset), $0, $1) }?.second ?? ""
        let who = holder.isEmpty ? "another program or the kernel" : "\"\(holder)\""
        return "\(line) is held by \(who); stop that, or choose another line (gpioinfo lists them)"
    }

    private static func describe(_ chip: OpaquePointer) -> ChipDescription? {
        guard let about = names({ gpio_chip_about(chip, $0, $1) }) else { return nil }
        let lines = (0..<about.result).map { offset in
            names { gpio_line_about(chip, UInt32(offset), $0, $1) }?.first ?? ""
        }
        return ChipDescription(name: about.first, label: about.second, lines: lines)
    }

    /// Calls what fills in two names; nil when it fails.
    static func names(
        _ call: (UnsafeMutablePointer<CChar>, UnsafeMutablePointer<CChar>) -> Int32
    ) -> (result: Int, first: String, second: String)? {
        let size = Int(GPIO_NAME_SIZE)
        return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 2 * size) { buffer in
            guard let first = buffer.baseAddress else { return nil }
            buffer.initialize(repeating: 0)
            let result = call(first, first + size)
            return result < 0 ? nil : (Int(result), String(cString: first), String(cString: first + size))
        }
    }
}

/// One line, taken as input until it is let go.
final class GPIOInput {
    private var input: gpio_input
    /// Closing a chip lets its lines go.
    private let board: GPIOBoard
    private let name: String
    let descriptor: Int32

    fileprivate init(_ input: gpio_input, of board: GPIOBoard, name: String) {
        self.input = input
        self.board = board
        self.name = name
        var input = input
        descriptor = gpio_input_fd(&input)
    }

    deinit { gpio_input_close(&input) }

    /// The line's level now: true for 1, after `active-low`.
    func level() throws(DeviceError) -> Bool {
        let level = gpio_input_level(&input)
        guard level >= 0 else { throw lost(-level) }
        return level == 1
    }

    /// The edges that nobody has read yet. Never blocks.
    func edges() throws(DeviceError) -> (edges: [Contact.Edge], lost: Bool) {
        var edges = [gpio_edge](repeating: gpio_edge(), count: Int(gpio_unread_edges))
        var lost = false
        let count = gpio_input_edges(&input, &edges, &lost)
        guard count >= 0 else { throw self.lost(-count) }
        let read = edges.prefix(Int(count)).map { Contact.Edge(at: $0.at, level: $0.rising, isAfterGap: $0.after_gap) }
        return (read, lost)
    }

    private func lost(_ error: Int32) -> DeviceError {
        let removed = error == ENODEV ? "its GPIO chip was removed" : errorText(error)
        return DeviceError("point \(name) cannot be read: \(removed); check the expander's cable and supply")
    }
}

/// One line, taken as output until it is let go. What its level is then, is the kernel's business.
final class GPIOOutputLine {
    private var output: gpio_output
    /// Closing a chip lets its lines go.
    private let board: GPIOBoard
    private let name: String

    fileprivate init(_ output: gpio_output, of board: GPIOBoard, name: String) {
        self.output = output
        self.board = board
        self.name = name
    }

    deinit { gpio_output_close(&output) }

    /// Drives the line, and reads it back where the chip can.
    /// - Returns: what the chip says of it; nil where it cannot say.
    func set(_ isOn: Bool) throws(DeviceError) -> Bool? {
        let result = gpio_output_set(&output, isOn)
        guard result == 0 else {
            let removed = -result == ENODEV ? "its GPIO chip was removed" : errorText(-result)
            throw DeviceError("output \(name) cannot be driven: \(removed); check the expander's cable and supply")
        }
        let level = gpio_output_level(&output)
        return level < 0 ? nil : level == 1
    }
}

extension GPIOPoint.Bias {
    fileprivate var inC: gpio_bias {
        switch self {
        case .asIs: gpio_bias_as_is
        case .disabled: gpio_bias_disabled
        case .pullUp: gpio_bias_pull_up
        case .pullDown: gpio_bias_pull_down
        }
    }
}

extension String {
    /// The beginning of the text, at most so many bytes.
    fileprivate func clipped(to limit: Int) -> String {
        var text = self
        while text.utf8.count > limit { text.removeLast() }
        return text
    }
}
