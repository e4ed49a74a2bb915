import Glibc

/// An analogue-to-digital converter as the kernel shows it (Documentation/ABI/testing/sysfs-bus-iio), found by its name or
/// label, never by its number. Lives within one `run`, on its thread.
struct IIOConverter {
    /// Where the kernel shows its converters.
    static let directory = "/sys/bus/iio/devices"
    /// More converters than any board has, and more channels than any converter.
    private static let mostDevices = 64
    private static let mostChannels = 64

    private let path: String
    private let name: String
    private let wanted: String

    /// - Throws: `DeviceError` that says what exists, when the name fits no converter or several.
    init(_ wanted: String, in directory: String) throws(DeviceError) {
        var all: [(path: String, name: String, label: String)] = []
        for entry in names(in: directory).filter({ $0.hasPrefix("iio:device") }).prefix(Self.mostDevices) {
            let path = "\(directory)/\(entry)"
            all.append((path, text(of: "\(path)/name") ?? "", text(of: "\(path)/label") ?? ""))
        }
        func list(_ some: [(path: String, name: String, label: String)]) -> String {
            some.map { "\($0.path) \"\($0.name)\"" + ($0.label.isEmpty ? "" : " labelled \"\($0.label)\"") }
                .joined(separator: ", ")
        }
        guard !all.isEmpty else {
            throw DeviceError(
                "this board has no analogue converter in \(directory); check that its driver is loaded and the device tree "
                    + "names it")
        }
        let found = all.filter { $0.name == wanted || $0.label == wanted }
        guard found.count < 2 else {
            throw DeviceError(
                "\(found.count) analogue converters have the name \"\(wanted)\": \(list(found)); give them labels in the "
                    + "device tree, and set device to one of those")
        }
        guard let only = found.first else {
            throw DeviceError(
                "no analogue converter has the name or label \"\(wanted)\"; there are: \(list(all))"
                    + nearest(to: wanted, among: all.map(\.name)))
        }
        (path, name) = (only.path, only.name)
        self.wanted = wanted
    }

    /// The kernel may give the number to another converter.
    func checkThatItIsThere() throws(DeviceError) {
        guard text(of: "\(path)/name") == name else {
            throw DeviceError("the analogue converter \"\(wanted)\" is gone from \(path): check its cable and supply")
        }
    }

    /// Opens a channel.
    func channel(_ wanted: IIOChannelName) throws(DeviceError) -> IIOChannel {
        // "in_voltage3_raw", or "in_voltage0-voltage1_raw" for the difference of two.
        let all = names(in: path).filter { $0.hasPrefix("in_voltage") && $0.hasSuffix("_raw") }
            .map { String($0.dropLast(4)) }.sorted().prefix(Self.mostChannels)
        func label(_ channel: String) -> String? { text(of: "\(path)/\(channel)_label") }
        let found: [String] =
            switch wanted {
            case .number(let number): all.filter { $0 == "in_voltage\(number)" }
            case .label(let name): all.filter { label($0) == name || $0 == "in_\(name)" }
            }
        guard found.count < 2 else {
            throw DeviceError(
                "\(found.count) channels of \(self.wanted) are labelled \(wanted): give the channel by number")
        }
        guard let only = found.first else {
            let known = all.map { channel in
                channel.dropFirst("in_".count) + (label(channel).map { " \"\($0)\"" } ?? "")
            }
            throw DeviceError(
                "\(self.wanted) has no channel \(wanted); there are: "
                    + (known.isEmpty ? "none that measures a voltage" : known.joined(separator: ", ")))
        }
        return try IIOChannel(
            name: wanted, path: "\(path)/\(only)_raw",
            offset: try setting("offset", of: only) ?? 0, scale: try setting("scale", of: only) ?? 1)
    }

    /// "in_voltage3_scale", or one for all channels, "in_voltage_scale", of differential ones "in_voltage-voltage_scale"
    /// (the kernel's Documentation/ABI/testing/sysfs-bus-iio); nil where there is none.
    private func setting(_ what: String, of channel: String) throws(DeviceError) -> Double? {
        let shared = channel.contains("-") ? "in_voltage-voltage" : "in_voltage"
        for file in ["\(path)/\(channel)_\(what)", "\(path)/\(shared)_\(what)"] {
            guard let text = text(of: file) else { continue }
            guard let value = Double(text), value.isFinite, what != "scale" || value > 0 else {
                throw DeviceError("\(file) says \"\(text)\", which is no \(what)")
            }
            return value
        }
        return nil
    }
}

/// One channel of a converter, held open: when its converter is taken away, reading it fails and never reads another.
final class IIOChannel {
    let name: IIOChannelName
    private let path: String
    private let offset: Double
    private let scale: Double
    private let descriptor: Int32

    fileprivate init(name: IIOChannelName, path: String, offset: Double, scale: Double) throws(DeviceError) {
        (self.name, self.path, self.offset, self.scale) = (name, path, offset, scale)
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        if descriptor < 0 { throw DeviceError("cannot open \(path): \(errorText(errno))") }
    }

    deinit { close(descriptor) }

    /// The voltage on the channel in the converter's unit (millivolts, after the kernel's offset and scale).
    func value() throws(DeviceError) -> Double { try count() * scale }

    /// As a part of the reference, or, where there is none, in counts after the offset.
    func reading(relativeTo whole: Double?) throws(DeviceError) -> Double {
        guard let whole else { return try count() }
        return try value() / whole
    }

    private func count() throws(DeviceError) -> Double {
        // A number; the kernel's longest has 20 digits.
        var bytes = [UInt8](repeating: 0, count: 32)
        let read = pread(descriptor, &bytes, bytes.count, 0)
        guard read >= 0 else {
            let removed = errno == ENODEV ? "its converter was removed" : errorText(errno)
            throw DeviceError(
                "channel \(name) (\(path)) cannot be read: \(removed); check the converter's cable and supply")
        }
        let text = String(decoding: bytes.prefix(read), as: UTF8.self).prefix { $0 != "\n" }
        guard let raw = Int(text), abs(Double(raw)) < 1e15 else {
            throw DeviceError("channel \(name) (\(path)) says \"\(text)\", which is no number")
        }
        return Double(raw) + offset
    }
}

/// The first line of a small file, at most 64 bytes; nil where it cannot be read.
private func text(of path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = read(file, &bytes, bytes.count)
    guard count >= 0 else { return nil }
    return String(decoding: bytes.prefix(count).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
}

/// What lies in a directory, in order of the names; nothing where it cannot be read.
private func names(in directory: String) -> [String] {
    guard let stream = opendir(directory) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    // A directory of the kernel's has some dozens of files.
    while names.count < 4096, let entry = readdir(stream) {
        names.append(
            withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) })
    }
    return names.sorted()
}
