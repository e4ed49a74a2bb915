import Drivers

// Drivers that only read their tables: what the gateway says of a configuration must not change with a real driver.

let plainDrivers: [any Driver.Type] = [ContactBox.self, Bus.self, Pager.self]

struct ContactBox: Driver {
    static let name = "gpio"
    let chips: [String]
    let lines: [String]

    init(_ settings: Settings) throws {
        let chip = settings.optionalString("chip")
        var chips: [String] = []
        lines = settings.points.map { point in
            chips.append(point.optionalString("chip") ?? chip ?? "none")
            _ = point.choice("contact", of: [("normally-open", 0), ("normally-closed", 1)])
            return point.string("line", expected: "a line's name in quotes")
        }
        self.chips = chips
        for output in settings.outputs { _ = output.string("line", expected: "a line's name in quotes") }
    }

    func run(_ host: any Host) throws {}
}

struct Bus: Driver {
    static let name = "modbus"

    init(_ settings: Settings) throws {
        if settings.optionalString("port") == nil { _ = settings.string("address") }
        for point in settings.points {
            _ = point.integer("unit", in: 1...247)
            _ = point.integer("register", in: 0...65_535)
        }
    }

    func run(_ host: any Host) throws {}
}

struct Pager: Driver {
    static let name = "espa"

    init(_ settings: Settings) throws {
        guard settings.string("port").hasPrefix("/") else { throw DeviceError("expected a port's path from the root") }
        _ = settings.string("line", default: "9600 8N1")
    }

    func run(_ host: any Host) throws {}
}
