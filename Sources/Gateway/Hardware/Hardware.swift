import Drivers
import Glibc

/// The computer that this runs on, by what Linux tells of it: what it is called, and what field wiring can be brought to.
public struct Hardware: Sendable, Hashable, Encodable {
    /// An analogue converter (Linux IIO).
    public struct Converter: Sendable, Hashable, Encodable {
        /// "iio:device0"
        public var device: String
        /// The chip's name, "ads1115"; empty where it has none.
        public var name: String
        /// The voltage channels, "voltage0".
        public var channels: [String]
    }

    public struct Port: Sendable, Hashable, Encodable {
        /// The name to write into a site file: it follows the adapter where there is such a name.
        public var path: String
        /// "/dev/ttyUSB0"
        public var device: String
        /// What the adapter says of itself; empty where it says nothing.
        public var product: String
    }

    /// "Raspberry Pi 4 Model B Rev 1.4"; nil where nothing says it.
    public var model: String?
    /// What it is known as, the most exact first: "raspberrypi,4-model-b", or a PC's product name.
    public var names: [String]
    public var chips: [GPIOChip]
    public var ports: [Port]
    public var converters: [Converter]
    /// A Revolution Pi's process image is there.
    public var hasProcessImage: Bool
    /// What is there and could not be looked at, and why, in words.
    public var unseen: [String]

    /// Looks at the computer.
    /// - Parameters:
    ///   - root: where proc, sys and dev lie. Another than "/" is for tests.
    ///   - chips: the GPIO chips that may be opened.
    ///   - ports: the serial ports.
    public init(
        root: String = "/", chips: [GPIOChip] = GPIOChip.all(), ports: [SerialPort.Name] = SerialPort.available()
    ) {
        let root = root.hasSuffix("/") ? String(root.dropLast()) : root
        let tree = "\(root)/proc/device-tree"
        let dmi = "\(root)/sys/class/dmi/id"
        let maker = Self.text("\(dmi)/sys_vendor")
        let product = Self.text("\(dmi)/product_name")
        let board = Self.text("\(dmi)/board_name")
        model =
            Self.texts("\(tree)/model").first
            ?? product.map { product in [maker, product].compactMap { $0 }.joined(separator: " ") }
        names = Self.texts("\(tree)/compatible") + [product, board].compactMap { $0 }
        self.chips = chips.sorted {
            $0.name.utf8.count == $1.name.utf8.count ? $0.name < $1.name : $0.name.utf8.count < $1.name.utf8.count
        }
        self.ports = ports.map { Port(path: $0.path, device: $0.device, product: $0.product) }
        converters = Self.converters(in: "\(root)/sys/bus/iio/devices")
        hasProcessImage = access("\(root)/dev/piControl0", F_OK) == 0
        unseen = []
        let seen = Set(chips.map(\.name))
        let hidden = Self.entries(of: "\(root)/sys/bus/gpio/devices").filter {
            $0.hasPrefix("gpiochip") && !seen.contains($0)
        }
        if !hidden.isEmpty {
            unseen.append(
                "\(listed(hidden)): may not be opened; run this as root, or as a user of the group of /dev/gpiochip*")
        }
        let known = Set(ports.map(\.device))
        let silent = Self.entries(of: "\(root)/sys/class/tty").filter { name in
            !known.contains("/dev/\(name)") && Self.isReal(name, in: "\(root)/sys/class/tty")
                && access("\(root)/dev/\(name)", R_OK | W_OK) != 0
        }
        if !silent.isEmpty {
            unseen.append("\(listed(silent)): may not be opened; run this as root, or as a user of the group dialout")
        }
    }

    /// A port that some device drives. Linux has an entry for each that there could be; those have no port or interrupt.
    private static func isReal(_ name: String, in folder: String) -> Bool {
        guard access("\(folder)/\(name)/device", F_OK) == 0 else { return false }
        return text("\(folder)/\(name)/type") != "0"
    }

    private static func converters(in folder: String) -> [Converter] {
        entries(of: folder).filter { $0.hasPrefix("iio:device") }.map { device in
            let channels = entries(of: "\(folder)/\(device)").filter {
                $0.hasPrefix("in_voltage") && $0.hasSuffix("_raw")
            }
            .map { String($0.dropFirst(3).dropLast(4)) }
            return Converter(device: device, name: text("\(folder)/\(device)/name") ?? "", channels: channels)
        }
    }

    /// A file of the kernel's with one text.
    private static func text(_ path: String) -> String? {
        texts(path).first.map { text in
            var text = Substring(text)
            while text.last?.isWhitespace == true { text.removeLast() }
            return String(text)
        }.flatMap { $0.isEmpty ? nil : $0 }
    }

    /// A file of the kernel's with texts that each end with a zero.
    private static func texts(_ path: String) -> [String] {
        guard case .success(let bytes) = TextFile.read(path, limit: 4096) else { return [] }
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The names in a directory, sorted; none where it cannot be read.
    static func entries(of path: String, most: Int = 4096) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while names.count < most, let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}

extension GPIOChip: Encodable {
    private enum Keys: String, CodingKey { case name, label, lines }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(name, forKey: .name)
        try container.encode(label, forKey: .label)
        try container.encode(lines, forKey: .lines)
    }
}

extension GPIOChip.Line: Encodable {
    private enum Keys: String, CodingKey { case name, holder }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Keys.self)
        try container.encode(name, forKey: .name)
        try container.encodeIfPresent(holder, forKey: .holder)
    }
}
