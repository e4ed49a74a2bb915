import AlarmProtocol

/// A Sur-Gard receiver, played: link tests, messages in Contact ID, three tries of each.
public struct PlayedReceiver: PlayedPanel {
    public static let line = SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1)
    /// Milliseconds, as in the Sur-Gard manuals.
    private enum Time {
        static let answer: Int64 = 4000
        static let heartbeat: Int64 = 30_000
    }
    private static let tries = 3

    private var queue: [(message: [UInt8], words: String)] = []
    /// What awaits its answer: nil words are a link test.
    private var sent: (message: [UInt8], words: String?, tries: Int, at: Int64)?
    private var nextHeartbeat: Int64 = 0
    /// Nobody answered: messages wait until a link test is answered.
    private var isFailed = false

    public init() {}
    public var waiting: Int { queue.count }

    public mutating func happen(_ event: PlayedEvent, at now: Int64) throws(CannotPlay) {
        guard let codes = event.kind.codes(began: event.began) else {
            throw CannotPlay("\(event.kind.name) has no end in Contact ID: say only that it begins")
        }
        let qualifier = codes.qualifier == .event ? "E" : codes.qualifier == .restore ? "R" : "P"
        let message = "5011 181234\(qualifier)\(codes.contactID)\(digits(event.partition, 2))\(digits(event.zone, 3))"
        queue.append((Array(message.utf8) + [0x14], "\(event.kind.name)\(event.began ? "" : " ended")"))
    }

    public mutating func opened(at now: Int64) -> [PlayedStep] {
        nextHeartbeat = now
        return tick(at: now)
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PlayedStep] {
        guard let message = sent else { return [.heard([byte], says: "nobody asked")] }
        switch byte {
        case 0x06:
            sent = nil
            isFailed = false
            var steps: [PlayedStep] = [.heard([byte], says: "ACK")]
            if let words = message.words {
                queue.removeFirst()
                steps.append(.taken(words))
            }
            return steps + tick(at: now)
        case 0x15: return [.heard([byte], says: "NAK")] + again(message, at: now)
        default: return [.heard([byte], says: "neither ACK nor NAK")]
        }
    }

    public mutating func tick(at now: Int64) -> [PlayedStep] {
        if let message = sent {
            return now >= message.at + Time.answer ? again(message, at: now) : []
        }
        if !isFailed, let next = queue.first { return send(next.message, next.words, tries: 1, at: now) }
        guard now >= nextHeartbeat else { return [] }
        return send(Array("1011           @    ".utf8) + [0x14], nil, tries: 1, at: now)
    }

    public var deadline: Int64? { sent.map { $0.at + Time.answer } ?? (queue.isEmpty || isFailed ? nextHeartbeat : 0) }

    private mutating func send(_ message: [UInt8], _ words: String?, tries: Int, at now: Int64) -> [PlayedStep] {
        sent = (message, words, tries, now)
        nextHeartbeat = now + Time.heartbeat
        return [.send(message, says: words ?? "link test")]
    }

    private mutating func again(
        _ message: (message: [UInt8], words: String?, tries: Int, at: Int64), at now: Int64
    ) -> [PlayedStep] {
        guard message.tries < Self.tries else {
            sent = nil
            isFailed = true
            nextHeartbeat = now + Time.heartbeat
            return [.trouble("computer port failed: no ACK")]
        }
        return send(message.message, message.words, tries: message.tries + 1, at: now)
    }

    private func digits(_ number: Int, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
