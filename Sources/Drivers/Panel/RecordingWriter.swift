/// Writes a recording, line by line, of what is seen while a device works. Pure: what was seen and when in, text out.
public struct RecordingWriter: Sendable {
    /// Bytes written on one line, as 80 columns hold.
    private static let bytesOnLine = 24
    /// An answer within so many milliseconds is written without a pause before it.
    private static let prompt: Int64 = 20

    private let port: String
    private let secrets: [[UInt8]]
    private var last: Int64?

    /// - Parameter secrets: values of settings that are not to be found in what is written.
    public init(port: String, secrets: [String] = []) {
        self.port = port
        self.secrets = secrets.filter { $0.utf8.count >= 3 }.map { Array($0.utf8) }
    }

    /// Something passed. - Parameter now: milliseconds of a clock that never steps.
    public mutating func passed(_ passage: Passage, at now: Int64) -> [String] {
        let isReceived = passage.direction == .received
        let mark = isReceived ? "<" : ">"
        guard !passage.bytes.isEmpty else {
            return passage.meaning.isEmpty ? [] : remark("\(mark) \(passage.meaning) is left out: it is a secret")
        }
        let lines = pause(at: now, atLeast: isReceived ? 1 : Self.prompt)
        guard !holdsSecret(passage.bytes) else {
            return lines + remark("\(mark) \(passage.bytes.count) bytes with a secret setting are left out")
        }
        // What is sent is compared as one piece.
        guard isReceived else { return lines + ["\(mark) \(hexadecimal(passage.bytes))"] }
        return lines
            + stride(from: 0, to: passage.bytes.count, by: Self.bytesOnLine).map { start in
                let end = min(start + Self.bytesOnLine, passage.bytes.count)
                return "\(mark) \(hexadecimal(passage.bytes[start..<end]))"
            }
    }

    /// The driver has reported a signal, as `Signal.summary` writes it.
    public mutating func reported(_ summary: String, at now: Int64) -> [String] {
        let isFault = summary.split(separator: " ").dropFirst().first == "fault"
        let words =
            isFault
            ? summary.split(separator: port, omittingEmptySubsequences: false).joined(separator: "PORT") : summary
        return pause(at: now, atLeast: Self.prompt) + ["= \(words.onOneLine)"]
    }

    /// The line is opened anew.
    public mutating func opened(at now: Int64) -> [String] { pause(at: now, atLeast: 1) + ["! opened"] }

    /// Something is missing here.
    public func remark(_ words: String) -> [String] { ["// \(words.onOneLine)"] }

    private mutating func pause(at now: Int64, atLeast limit: Int64) -> [String] {
        guard let before = last else {
            last = now
            return []
        }
        guard now - before >= limit else { return [] }
        last = now
        return ["+\(now - before)ms"]
    }

    private func holdsSecret(_ bytes: [UInt8]) -> Bool {
        secrets.contains { secret in
            bytes.count >= secret.count
                && (0...bytes.count - secret.count).contains { bytes[$0..<$0 + secret.count].elementsEqual(secret) }
        }
    }
}

extension RecordingWriter {
    /// The head: what is known of the panel, and the driver's settings and points.
    /// - Parameters:
    ///   - about: make, model, firmware, line and provenance; what is missing is "unknown".
    ///   - table: the device's table in the site file.
    /// - Returns: the lines; the secrets that were left out, by their values; whether what passes means nothing without the
    ///   driver's first questions; nil where the driver refuses the table.
    public static func head(
        _ about: [String: String], of table: SettingNode, kind: any Driver.Type
    ) -> (lines: [String], secrets: [String], beginsAtOpening: Bool)? {
        let problems = Problems()
        let settings = Settings(table, path: "device.\(kind.name).recording", problems: problems)
        guard let driver = try? kind.init(settings), problems.all.isEmpty else { return nil }
        var about = about
        if about["line"] == nil { about["line"] = lineSettings(of: driver)?.description }
        var head = Head()
        head.lines = ["# driver: \(kind.name)"]
        head.lines += Recording.headKeys.map { "# \($0): \((about[$0] ?? "unknown").onOneLine)" }
        head.add(table, settings, under: [])
        // What it is where the table does not say: a driver's usual time may become another.
        if let panel = driver as? any PanelDriver, settings.isKnown("silence"), !settings.has("silence") {
            head.lines.append("# setting silence = \((panel.silence ?? .zero).described)")
        }
        return (head.lines + [""], head.secrets, (driver as? any PanelDriver)?.asksAtOpening ?? false)
    }

    private static func lineSettings(of driver: any Driver) -> SerialLine? {
        (driver as? any PanelDriver)?.serial.line
    }

    /// What is of the port and not of the panel: a replay has another port, and hears no echo.
    private static let ofThePort = [
        "port", "line", "handshake", "rs-485", "rts-to-send", "delay-before-send", "delay-after-send", "dtr", "rts",
        "output",
    ]

    /// Whether a setting of this name is a secret, also where its driver does not read it as one: a key, a person's code,
    /// a password. The code of an event is none.
    static func isSecret(_ key: String) -> Bool {
        let words = key.lowercased().split { $0 == "-" || $0 == "_" }
        if words.contains("event") || words.contains("restore") { return false }
        return words.contains { ["key", "code", "password", "passphrase", "pin", "secret"].contains($0) }
    }

    private struct Head {
        var lines: [String] = []
        var secrets: [String] = []

        /// What the driver itself has asked for; kind, zone and what else is the gateway's is of no use to it.
        mutating func add(_ node: SettingNode, _ settings: Settings, under path: [String]) {
            guard case .table(let entries) = node.value else { return }
            for entry in entries where settings.isKnown(entry.key) {
                let isOfDevice = path.isEmpty
                if isOfDevice, RecordingWriter.ofThePort.contains(entry.key) { continue }
                if isOfDevice, entry.key == "point" {
                    addPoints(entry.node, settings)
                } else if case .table = entry.node.value, let below = settings.table(entry.key) {
                    add(entry.node, below, under: path + [entry.key])
                } else {
                    let isSecret = settings.isSecret(entry.key)
                    add(entry.key, entry.node.value, "setting \(path.map { $0 + "." }.joined())", isSecret)
                }
            }
        }

        private mutating func addPoints(_ node: SettingNode, _ settings: Settings) {
            guard case .table(let points) = node.value else { return }
            for point in points {
                lines.append("# point \(point.key)")
                guard case .table(let conditions) = point.node.value,
                    let table = settings.points.first(where: { $0.name == point.key })
                else { continue }
                for condition in conditions where table.isKnown(condition.key) {
                    add(condition.key, condition.node.value, "point \(point.key) ", table.isSecret(condition.key))
                }
            }
        }

        private mutating func add(_ key: String, _ value: SettingNode.Value, _ before: String, _ isSecret: Bool) {
            if isSecret || RecordingWriter.isSecret(key) {
                if case .string(let secret) = value { secrets.append(secret) }
                if case .integer(let secret) = value { secrets.append("\(secret)") }
                lines.append("// \(before)\(key) is left out: it is a secret")
            } else if let written = value.recorded {
                lines.append("# \(before)\(key) = \(written)")
            } else {
                lines.append("// \(before)\(key) is left out: a recording cannot hold such a value")
            }
        }
    }
}

extension String {
    /// With a dot for whatever would begin a new line or steer a terminal.
    var onOneLine: String {
        String(
            String.UnicodeScalarView(
                unicodeScalars.map {
                    switch $0.properties.generalCategory {
                    case .control, .lineSeparator, .paragraphSeparator: "·"
                    default: $0
                    }
                }))
    }
}
