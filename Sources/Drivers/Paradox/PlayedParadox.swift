import AlarmProtocol

/// An APR-PRT3 on an EVO panel with eight areas, 192 zones and 99 users, played: answers questions, and tells what
/// happens once, for nobody acknowledges.
public struct PlayedParadox: PlayedPanel {
    public static let line = SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1)
    private static let longest = 64

    private var queue: [(line: String, words: String)] = []
    private var received: [UInt8] = []
    private var armed: Set<Int> = []
    /// Zones in alarm, and those that burn.
    private var alarms: Set<Int> = []
    private var fires: Set<Int> = []

    public init() {}
    public var waiting: Int { queue.count }
    public var deadline: Int64? { queue.isEmpty ? nil : 0 }

    public mutating func opened(at now: Int64) -> [PlayedStep] {
        [send("COMM&ok", says: "the module hears its panel")] + tick(at: now)
    }

    public mutating func tick(at now: Int64) -> [PlayedStep] {
        defer { queue = [] }
        return queue.flatMap { [send($0.line, says: $0.words), .taken($0.words)] }
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PlayedStep] {
        guard byte == 0x0D else {
            received.append(byte)
            if received.count > Self.longest { received.removeFirst() }
            return []
        }
        defer { received = [] }
        let question = String(decoding: received, as: UTF8.self)
        let answer = answer(String(question.prefix(2)), Int(question.dropFirst(2)) ?? 0)
        return [
            .heard(received, says: question),
            send(question.prefix(5) + (answer ?? "&fail"), says: answer == nil ? "there is none" : "answer"),
        ]
    }

    private func answer(_ word: String, _ number: Int) -> String? {
        func padded(_ text: String) -> String { text + String(repeating: " ", count: max(0, 16 - text.count)) }
        switch (word, number) {
        case ("RA", 1...8):
            let alarm = number == 1 && !(alarms.isEmpty && fires.isEmpty)
            return "\(armed.contains(number) ? "A" : "D")OOOO\(alarm ? "AS" : "OO")"
        case ("RZ", 1...192):
            let (alarm, fire) = (alarms.contains(number), fires.contains(number))
            return "\(alarm || fire ? "O" : "C")\(alarm || fire ? "A" : "O")\(fire ? "F" : "O")OO"
        case ("ZL", 1...192): return padded("Zone \(number)")
        case ("AL", 1...8): return padded("Area \(number)")
        case ("UL", 1...99): return padded("User \(number)")
        default: return nil
        }
    }

    public mutating func happen(_ event: PlayedEvent, at now: Int64) throws(CannotPlay) {
        guard let form = Self.forms[event.kind.name], let group = event.began ? form.begins : form.ends else {
            throw CannotPlay(
                "a PRT3 cannot say \(event.kind.name)\(event.began ? "" : "'s end"): it knows "
                    + Self.forms.keys.sorted().joined(separator: ", "))
        }
        let number = form.number ?? event.zone
        let area = max(1, min(8, event.partition))
        switch event.kind.name {
        case "burglary": if event.began { alarms.insert(number) } else { alarms.remove(number) }
        case "fire": if event.began { fires.insert(number) } else { fires.remove(number) }
        case "arming": if event.began { armed.insert(area) } else { armed.remove(area) }
        default: break
        }
        queue.append(
            (
                "G\(digits(group))N\(digits(number))A\(digits(area))",
                "\(event.kind.name)\(event.began ? "" : " ended")"
            ))
    }

    private static let forms: [String: (begins: Int, ends: Int?, number: Int?)] = [
        "burglary": (24, 26, nil), "fire": (25, 27, nil), "tamper": (33, 34, nil), "arming": (10, 14, nil),
        "detector-battery": (41, 43, nil), "detector-lost": (42, 44, nil), "duress": (31, nil, nil),
        "panic": (30, nil, 0), "medical": (30, nil, 1), "line-trouble": (36, 37, 0), "mains-failure": (36, 37, 1),
        "battery": (36, 37, 2), "siren-fault": (36, 37, 5), "fire-trouble": (36, 37, 7),
    ]

    private func send(_ line: String, says: String) -> PlayedStep { .send(Array(line.utf8) + [0x0D], says: says) }

    private func digits(_ number: Int) -> String {
        let text = String(max(0, min(999, number)))
        return String(repeating: "0", count: 3 - text.count) + text
    }
}
