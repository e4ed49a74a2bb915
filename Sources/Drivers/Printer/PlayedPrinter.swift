import AlarmProtocol

/// A fire panel's log printer, played: one line in Swedish for each thing that happens, to nobody in particular.
public struct PlayedPrinter: PlayedPanel {
    public static let line = SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1)

    private var queue: [(line: String, words: String)] = []

    public init() {}
    public var waiting: Int { queue.count }
    public var deadline: Int64? { queue.isEmpty ? nil : 0 }

    private static let words = [
        "fire": "BRANDLARM", "fire-trouble": "FEL", "fire-warning": "FÖRLARM", "fire-bypass": "URKOPPLAD",
        "mains-failure": "NÄTFEL", "battery": "BATTERIFEL", "manual-test": "PROV", "burglary": "INBROTTSLARM",
        "tamper": "SABOTAGE",
    ]

    public mutating func happen(_ event: PlayedEvent, at now: Int64) throws(CannotPlay) {
        guard let word = Self.words[event.kind.name] else {
            throw CannotPlay(
                "this printer has no words for \(event.kind.name): it knows "
                    + Self.words.keys.sorted().joined(separator: ", "))
        }
        let parts = [
            event.began ? word : "ÅTERSTÄLLD \(word)", event.zone > 0 ? "SEKTION \(event.zone)" : "", event.text,
        ]
        queue.append(
            (
                parts.filter { !$0.isEmpty }.joined(separator: " "),
                "\(event.kind.name)\(event.began ? "" : " ended")"
            ))
    }

    public mutating func opened(at now: Int64) -> [PlayedStep] { tick(at: now) }
    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PlayedStep] {
        [.heard([byte], says: "a printer is not spoken to")]
    }

    public mutating func tick(at now: Int64) -> [PlayedStep] {
        defer { queue = [] }
        return queue.flatMap { item in
            // Latin-1; what it has no letter for becomes a question mark.
            let bytes = item.line.unicodeScalars.map { $0.value < 0x100 ? UInt8($0.value) : UInt8(ascii: "?") }
            return [PlayedStep.send(bytes + [0x0D, 0x0A], says: item.words), .taken(item.words)]
        }
    }
}
