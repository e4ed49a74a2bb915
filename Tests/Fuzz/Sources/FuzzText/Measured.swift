import AlarmProtocol

@testable import Drivers

/// Numbers that a converter or a process image gives.
func measured(_ input: [UInt8]) {
    loop(input)
    image(input)
}

/// Eight bytes are a reading, whatever number they are, and the next how long after the one before.
private func loop(_ input: [UInt8]) {
    let names: [(String, SettingNode.Value)] = [
        ("full-scale", .integer(Int64(input.first ?? 0) << 8 | 255)), ("pull-up", .string("4k7")),
        ("normal", .string("4k7")), ("alarm", .integer(9400)), ("masked", .integer(47_000)),
    ]
    let table = SettingNode.Value.table(names.map { SettingNode.Entry(key: $0.0, node: node($0.1)) })
    let settings = Settings(
        node(.table([SettingNode.Entry(key: "end-of-line", node: node(table))])), path: "device.iio.x.point.a",
        problems: Problems())
    guard var loop = SupervisedLoop(settings) else { return }
    var now = ContinuousClock.now
    var told: Set<String> = []
    for start in stride(from: 0, to: input.count - 8, by: 9) {
        let bits = input[start..<start + 8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        // Most doubles are far from any reading.
        let reading = bits & 1 == 0 ? Double(bitPattern: bits) : Double(bits >> 1) / Double(UInt64.max >> 1)
        now += .milliseconds(Int64(input[start + 8]) * 20)
        let moment = Moment(utc: 0, uptime: 0, clock: .known)
        for signal in loop.take(reading, at: now, moment: moment) {
            precondition(!signal.summary.isEmpty)
            told.insert(signal.point)
        }
        _ = loop.take(Int(truncatingIfNeeded: bits) >> 8, at: now, moment: moment)
        precondition(!loop.reading(reading).described.isEmpty && !loop.reading(Double(bits)).described.isEmpty)
    }
    precondition(told.count <= 3, "a loop has more names than it said")
}

private final class PlayedImage: ProcessImage {
    let input: [UInt8]
    init(_ input: [UInt8]) { self.input = input }

    func find(_ name: String) throws(DeviceError) -> ProcessVariable? {
        guard input.count >= PiControl.variableSize else { return nil }
        return ProcessVariable(found: Array(input.prefix(PiControl.variableSize)))
    }
    func modules() throws(DeviceError) -> [ProcessModule] {
        stride(from: 0, to: input.count - PiControl.moduleSize, by: PiControl.moduleSize).map {
            ProcessModule(listed: Array(input[$0..<$0 + PiControl.moduleSize]))
        }
    }
    func bytes(_ range: Range<Int>) throws(DeviceError) -> [UInt8] { range.map { input[$0 % input.count] } }
}

private func image(_ input: [UInt8]) {
    let settings = Settings(
        node(
            .table([
                .init(key: "variable", node: node(.string("I_1"))),
                .init(key: "contact", node: node(.string("normally-open"))),
            ])), path: "device.revpi.x.point.a", problems: Problems())
    var point = RevPiInput(RevPiDriver.Point(settings))
    let image = PlayedImage(input)
    guard !input.isEmpty, let modules = try? image.modules() else { return }
    for time in 0..<4 {
        _ = try? point.look(in: image, modules)
        guard let place = point.place, let bytes = try? image.bytes(place.address..<place.address + 1) else { return }
        let moment = Moment(utc: 0, uptime: Int64(time) * 50, clock: .known)
        for signal in point.read(bytes, from: place.address, at: ContactClocks(Int64(time) * 50_000_000, moment)) {
            precondition(!signal.summary.isEmpty)
        }
    }
}
