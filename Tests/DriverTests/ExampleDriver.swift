import Glibc

@testable import Drivers

/// Files in which the kernel shows how a part of the board is, as /sys/class/power_supply/ac/online:
/// `[device.attribute.NAME]`.
struct AttributeDriver: Driver {
    static let name = "attribute"

    /// One point: active when its file says this.
    private struct Input {
        var point: String
        var file: String
        var active: String
    }

    private let interval: Duration
    private let inputs: [Input]

    init(_ settings: Settings) throws {
        interval = settings.duration("interval", in: .milliseconds(100) ... .seconds(60), default: .seconds(1))
        inputs = settings.points.map { table in
            let file = table.string("file", expected: "a file's path from the root, in quotes")
            if !file.isEmpty, !file.hasPrefix("/") {
                table.refuse("file", "expected a path from the root, found \"\(file)\"")
            }
            let active = table.string("active", expected: "what the file says when the point is active, in quotes")
            return Input(point: table.name, file: file, active: active)
        }
        if inputs.isEmpty { settings.refuse("point", "expected at least one point, [\(settings.path).point.NAME]") }
    }

    func run(_ host: any Host) throws {
        while true {
            let readings = inputs.map(read)
            if readings.allSatisfy({ if case .failure = $0 { true } else { false } }), let first = inputs.first {
                throw DeviceError("none of its files can be read, \(first.file) first: is its driver loaded?")
            }
            host.answers()
            guard host.deliver(zip(inputs, readings).flatMap(signals)) else { return }
            if host.wait(until: .now + interval) == .stop { return }
        }
    }

    /// The state is told at every reading: the host tells the centre of changes only.
    private func signals(of input: Input, _ reading: Result<String, DeviceError>) -> [Signal] {
        switch reading {
        case .success(let text):
            [Signal(point: input.point, .healthy), Signal(point: input.point, .active(text == input.active))]
        case .failure(let error): [Signal(point: input.point, .fault(error.description))]
        }
    }

    /// What the file says, without its line's end. At most 255 bytes, which is more than any of these files holds.
    private func read(_ input: Input) -> Result<String, DeviceError> {
        let descriptor = open(input.file, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return .failure(DeviceError("\(input.file): \(errorText(errno))")) }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 255)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        guard count >= 0 else { return .failure(DeviceError("\(input.file): \(errorText(errno))")) }
        return .success(String(decoding: bytes[..<count].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
    }
}
