import AlarmProtocol

/// One event of an ID3000: `IE`, node (2), code (3), day of the week (1), time (6), loop (2), zone (5); then, for what comes
/// from one device, `S` or `M`, its address and its text in quotes.
struct ID3000Event: Sendable, Hashable {
    enum Device: Sendable, Hashable {
        case sensor(Int)
        case module(Int)
    }

    var node: Int
    /// Three digits.
    var code: String
    var loop: Int
    /// 0: none.
    var zone: Int
    var device: Device?
    /// What the panel calls it.
    var text: String
    /// All of it, as the panel said it.
    var raw: String

    /// Columns of what every event has.
    private static let fixed = 21

    /// Nil: not an event, or not written so.
    init?(_ body: [UInt8], _ charset: PanelCharset) {
        guard body.count >= Self.fixed, body.starts(with: "IE".utf8),
            body[2..<Self.fixed].allSatisfy({ (48...57).contains($0) })
        else { return nil }
        node = Self.number(body[2..<4])
        code = String(decoding: body[4..<7], as: UTF8.self)
        loop = Self.number(body[14..<16])
        zone = Self.number(body[16..<21])
        raw = charset.text(body)
        var rest = body[Self.fixed...].drop { $0 == 0x20 }
        if let letter = rest.first, letter == UInt8(ascii: "S") || letter == UInt8(ascii: "M") {
            let digits = rest.dropFirst().drop { $0 == 0x20 }.prefix { (48...57).contains($0) }
            if (1...3).contains(digits.count) {
                let number = Self.number(digits)
                device = letter == UInt8(ascii: "S") ? .sensor(number) : .module(number)
                rest = rest[digits.endIndex...]
            }
        }
        let quote = UInt8(ascii: "\"")
        text = charset.text(rest.filter { $0 != quote })
    }

    /// Digits, at most five of them.
    private static func number(_ digits: ArraySlice<UInt8>) -> Int { digits.reduce(0) { $0 * 10 + Int($1) - 48 } }

    // MARK: What it means

    /// What one of the panel's codes says. Only those that are known from a published source; what is not known is told
    /// as it is, and a point of the device's table can say what it is.
    private var meaning: (said: Said.Code, began: Bool, words: String)? {
        func kind(_ name: String, _ began: Bool, _ words: String) -> (Said.Code, Bool, String)? {
            EventKind.named(name).map { (.kind($0), began, words) }
        }
        switch code {
        case "023": return kind("fire-bypass", false, "device enabled")
        case "024": return kind("fire-bypass", true, "device disabled")
        case "136": return kind("fire-bypass", false, "zone enabled")
        case "137": return kind("fire-bypass", true, "zone disabled")
        case "129": return (.sia("FR"), false, "panel reset")
        case "131": return (.sia("FL"), true, "sounders silenced")
        case "138": return kind("fire", true, "evacuation")
        case "146": return kind("power-up", true, "panel restarted")
        case "172": return kind("configuration-changed", true, "day mode")
        case "173": return kind("configuration-changed", true, "night mode")
        default: return nil
        }
    }

    /// For the technician who watches.
    var summary: String { "event \(code), \(meaning?.words ?? "not known"), \(place)" }

    /// Where: "node 2, loop 1, zone 5, sensor 45".
    private var place: String {
        var parts = ["node \(node)"]
        if loop > 0 { parts.append("loop \(loop)") }
        if zone > 0 { parts.append("zone \(zone)") }
        switch device {
        case .sensor(let number)?: parts.append("sensor \(number)")
        // Displays number modules from 101.
        case .module(let number)?:
            parts.append("module \(number % 100) (address \(number < 100 ? number + 100 : number))")
        case nil: break
        }
        return parts.joined(separator: ", ")
    }

    /// A point for it where none is configured: begin and end of one thing have one name.
    private var pointName: String {
        switch device {
        case .sensor(let number)?: "node-\(node)-loop-\(loop)-sensor-\(number)"
        case .module(let number)?: "node-\(node)-loop-\(loop)-module-\(number)"
        case nil: zone > 0 ? "node-\(node)-zone-\(zone)" : "node-\(node)"
        }
    }

    func signal(_ points: [ID3000Point]) -> Signal {
        let name = text.isEmpty ? "" : "\(text) "
        if let (point, began) = ID3000Point.point(for: self, among: points) {
            let text = "\(name)(event \(code), \(place))"
            return Signal(point: point, began ? .call : .cleared, text: text, said: Self.unknown(zone))
        }
        guard let meaning else { return Self.notKnown(raw, zone, points) }
        let words = "\(meaning.words): \(name)(\(place))"
        return Signal(
            point: pointName, meaning.began ? .call : .cleared, text: words, said: Said(meaning.said, zone: zone))
    }

    /// What a fire panel says and nobody knows may be a fire. It is not called one, and goes as early as one.
    static func notKnown(_ raw: String, _ zone: Int, _ points: [ID3000Point]) -> Signal {
        let point = points.first { $0.takesUnknown(in: zone) }?.point ?? "unclassified"
        return Signal(point: point, .call, text: "Not known, may be a fire: \(raw)", said: unknown(zone))
    }

    private static func unknown(_ zone: Int) -> Said { Said(kind: "fire-unclassified", zone: zone) }
}

/// A configured point: which of the panel's codes it takes, and of which zones.
///
/// Which codes are fire, pre-alarm and fault is not public; the panel's manual has them. A point says it.
struct ID3000Point: Sendable, Hashable {
    var point: String
    /// Codes that begin it. Where there are none, nor any that end it: whatever no other point takes and the driver does
    /// not know.
    var codes: [String] = []
    /// Codes that end it.
    var restores: [String] = []
    /// Empty: any.
    var zones: [ClosedRange<Int>] = []

    init(_ settings: Settings) {
        point = settings.name
        if settings.has("codes") { codes = Self.codes(settings, "codes") }
        if settings.has("restore-codes") { restores = Self.codes(settings, "restore-codes") }
        if settings.has("zones") { zones = CodedPoint.zones(settings, upTo: 99_999) }
    }

    private static func codes(_ settings: Settings, _ key: String) -> [String] {
        let codes = settings.strings(key)
        if codes.isEmpty {
            settings.refuse(key, "expected the panel's event codes, as \"024\"; without any leave it out")
        }
        for code in codes where code.utf8.count != 3 || !code.utf8.allSatisfy({ (48...57).contains($0) }) {
            settings.refuse(key, "expected the panel's event codes, three digits each, as \"024\", found \"\(code)\"")
        }
        return codes
    }

    private func isOf(_ zone: Int) -> Bool { zones.isEmpty || zones.contains { $0.contains(zone) } }

    func takesUnknown(in zone: Int) -> Bool { codes.isEmpty && restores.isEmpty && isOf(zone) }

    /// The first that takes it by its code, and whether it begins.
    static func point(for event: ID3000Event, among points: [ID3000Point]) -> (String, Bool)? {
        for point in points where point.isOf(event.zone) {
            if point.codes.contains(event.code) { return (point.point, true) }
            if point.restores.contains(event.code) { return (point.point, false) }
        }
        return nil
    }
}
