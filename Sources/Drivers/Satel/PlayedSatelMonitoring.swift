import AlarmProtocol

/// An INTEGRA with an INT-RS module in function 1, played: answers `?`, says each event in Contact ID until it is
/// confirmed or 75 s have passed, and then later again under the next marker.
public struct PlayedSatelMonitoring: PlayedPanel {
    public static let line = SerialLine(speed: 4800, dataBits: 8, parity: .none, stopBits: 1)
    /// Milliseconds (Satel, function 1).
    private enum Time {
        static let repeats: Int64 = 75_000
        /// Nobody asks: the panel's own trouble.
        static let unasked: Int64 = 32_000
        /// After an event was given up or refused, chosen here.
        static let pause: Int64 = 5000
    }

    private var queue: [(fields: String, words: String)] = []
    private var marker: UInt8 = 0x61
    /// Since when the first of the queue is being said; nil: not yet.
    private var since: Int64?
    private var notBefore: Int64 = 0
    private var command: [UInt8] = []
    private var lastAsked: Int64 = 0
    private var isUnasked = false

    public init() {}
    public var waiting: Int { queue.count }
    public var deadline: Int64? { isUnasked ? nil : lastAsked + Time.unasked }

    public mutating func happen(_ event: PlayedEvent, at now: Int64) throws(CannotPlay) {
        guard let codes = event.kind.codes(began: event.began) else {
            throw CannotPlay("\(event.kind.name) has no end in Contact ID: say only that it begins")
        }
        guard (0...99).contains(event.partition), (0...999).contains(event.zone) else {
            throw CannotPlay(
                "Contact ID has areas 0 to 99 and zones 0 to 999, not \(event.partition) and \(event.zone)")
        }
        let fields =
            "1,1234,\(codes.qualifier.rawValue),\(codes.contactID),\(digits(event.partition, 2)),\(digits(event.zone, 3))"
        queue.append((fields, "\(event.kind.name)\(event.began ? "" : " ended")"))
    }

    public mutating func opened(at now: Int64) -> [PlayedStep] {
        lastAsked = now
        return []
    }

    public mutating func tick(at now: Int64) -> [PlayedStep] {
        guard !isUnasked, now >= lastAsked + Time.unasked else { return [] }
        isUnasked = true
        return [.trouble("no monitoring device: nobody has asked for 32 s")]
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PlayedStep] {
        guard byte == 0x0D else {
            if command.count < 8 { command.append(byte) }
            return []
        }
        let said = command
        command = []
        switch said.first {
        case 0x3F where said.count == 1: return asked(at: now)
        case 0x2B where said == [0x2B, marker] && since != nil:
            let words = queue.removeFirst().words
            advance()
            return [.heard(said, says: "confirmed"), .taken(words)]
        case 0x2D where said == [0x2D, marker] && since != nil:
            advance()
            notBefore = now + Time.pause
            return [.heard(said, says: "refused"), .trouble("the event was refused: it is said again later")]
        default: return [.heard(said, says: "not known")]
        }
    }

    private mutating func asked(at now: Int64) -> [PlayedStep] {
        var steps: [PlayedStep] = [.heard([0x3F], says: "anything new?")]
        lastAsked = now
        isUnasked = false
        if let began = since, now - began >= Time.repeats {
            advance()
            steps.append(.trouble("the event was not confirmed for 75 s"))
        }
        guard let next = queue.first, now >= notBefore else {
            return steps + [.send(Array("OK\r".utf8), says: "nothing")]
        }
        since = since ?? now
        let name = String(UnicodeScalar(marker))
        return steps + [.send(Array("EC=\(name),\(next.fields)\r".utf8), says: next.words)]
    }

    private mutating func advance() {
        since = nil
        marker = marker == 0x7A ? 0x61 : marker + 1
    }

    private func digits(_ number: Int, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
