/// Contacts on a Revolution Pi's digital input modules: `[device.revpi.NAME]`. See README.md beside this file.
public struct RevPiDriver: Driver {
    public static let name = "revpi"

    struct Point: Sendable, Hashable {
        var variable: String
        var contact: ContactSettings

        var name: String { contact.name }
    }

    let image: String
    let interval: Duration
    let points: [Point]
    /// Opens the process image; a test has one of its own.
    var open: @Sendable (String) throws(DeviceError) -> any ProcessImage = { path throws(DeviceError) in
        try PiControl(path)
    }

    /// At every change and this often the modules are asked for, and every variable is looked up again: the configuration
    /// may have changed.
    static let review: Duration = .seconds(2)

    public init(_ settings: Settings) throws {
        image = settings.string("image", default: "/dev/piControl0", expected: "the process image's path in quotes")
        interval = settings.duration("interval", in: .milliseconds(5) ... .seconds(1), default: .milliseconds(20))
        points = settings.points.map { Point($0) }
        if points.isEmpty { settings.refuse("point", "expected at least one point, [\(settings.path).point.NAME]") }
        var users: [String: String] = [:]
        for (point, table) in zip(points, settings.points) {
            if let other = users.updateValue(point.name, forKey: point.variable) {
                table.refuse("variable", "the same variable as point \(other)")
            }
        }
        SupplyWatch.check(points.map(\.contact), settings.points)
    }

    public func run(_ host: any Host) throws {
        let image = try open(image)
        var inputs = points.map { RevPiInput($0) }
        var supplies = SupplyWatch.all(of: points.map(\.contact))
        var nextReview = ContinuousClock.now
        var last: [UInt8] = []
        while true {
            let now = ContinuousClock.now
            var signals: [Signal] = []
            var seen = try look(at: inputs, in: image)
            // A module that dies may take its bits with it: before a change is believed, it is asked whether it lives.
            if now >= nextReview || seen.bytes != last || inputs.contains(where: \.isMoving) {
                nextReview = now + Self.review
                let places = inputs.map(\.place)
                let modules = try image.modules()
                for index in inputs.indices { signals += try inputs[index].look(in: image, modules) }
                if let why = inputs.compactMap(\.trouble).first, inputs.allSatisfy({ $0.trouble != nil }) {
                    throw DeviceError(why)
                }
                if inputs.map(\.place) != places { seen = try look(at: inputs, in: image) }
            }
            last = seen.bytes
            let clocks = ContactClocks(host)
            for index in inputs.indices { signals += inputs[index].read(seen.bytes, from: seen.first, at: clocks) }
            signals.sort { ($0.occurred?.uptime ?? .max) < ($1.occurred?.uptime ?? .max) }
            signals += supplies.judge(inputs.compactMap(\.contact), occurred: host.now)
            host.answers()
            guard host.deliver(signals), host.wait(until: now + interval) != .stop else { return }
        }
    }

    /// The bytes that hold all inputs whose place is known, and where the first of them is.
    private func look(
        at inputs: [RevPiInput], in image: any ProcessImage
    ) throws(DeviceError) -> (first: Int, bytes: [UInt8]) {
        let places = inputs.compactMap { $0.place?.address }
        guard let first = places.min(), let last = places.max() else { return (0, []) }
        return (first, try image.bytes(first..<last + 1))
    }
}

extension RevPiDriver.Point {
    init(_ settings: Settings) {
        // Said by the board's file in terms of the variable before we see it; here only known.
        _ = settings.optionalString("terminal", expected: "a terminal's name in quotes, as \"I1\"")
        variable = settings.string(
            "variable", expected: "a variable's name in quotes, as PiCtory has it: \"I_1\"",
            limit: PiControl.nameSize - 1)
        contact = ContactSettings(settings)
    }
}

/// A point and its bit of the image.
struct RevPiInput {
    let point: RevPiDriver.Point
    /// Nil while it is in trouble.
    private(set) var place: ProcessVariable?
    /// Why the point cannot be read; nil when it can.
    private(set) var trouble: String?
    /// Nil while it cannot be read.
    private(set) var contact: WatchedContact?
    /// Its contact has moved, and it is not told yet.
    var isMoving: Bool { contact?.isMoving ?? false }

    init(_ point: RevPiDriver.Point) { self.point = point }

    /// Looks the variable up and whether its module is there; gives the fault that begins.
    mutating func look(in image: any ProcessImage, _ modules: [ProcessModule]) throws(DeviceError) -> [Signal] {
        let found = try image.find(point.variable)
        let before = trouble
        trouble = nil
        if let found {
            let module = modules.first { $0.inputs.contains(found.address) }
            if found.length != 1 {
                trouble =
                    "variable \(point.variable) is no single input but \(found.length) bits; use one of a digital input"
            } else if let module, !module.isActive {
                trouble =
                    "module \(module.address) of variable \(point.variable) does not answer; check its plug and its supply"
            } else if module == nil {
                trouble =
                    "variable \(point.variable) is no module's input; outputs and settings cannot be read as points"
            }
        } else {
            trouble = "there is no variable \(point.variable); configure the module in PiCtory, or correct the name"
        }
        let next = trouble == nil ? found : nil
        // Another bit, or one that could not be read meanwhile: its state begins anew.
        if next != place { contact = nil }
        place = next
        guard let trouble, trouble != before else { return [] }
        return [Signal(point: point.name, .fault("point \(point.name): \(trouble)"))]
    }

    /// Takes the point's bit out of these bytes of the image.
    mutating func read(_ bytes: [UInt8], from first: Int, at clocks: ContactClocks) -> [Signal] {
        guard let place, bytes.indices.contains(place.address - first) else { return [] }
        let level = bytes[place.address - first] >> place.bit & 1 == 1
        var contact = self.contact ?? WatchedContact(point.contact, level: level, at: clocks.edges)
        defer { self.contact = contact }
        return contact.observe(level: level, at: clocks)
    }
}
