import AlarmProtocol

/// An ID3000, played: half duplex, answers polls, says an event until it is acknowledged. Its codes for fire, pre-alarm and
/// fault are made up, for the panel's own are not published.
public struct PlayedID3000: PlayedPanel {
    public static let line = SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1)
    /// Milliseconds; the panel's own are not published.
    private enum Time {
        static var answer: Int64 { 2000 }
        static var pause: Int64 { 10_000 }
    }
    private static let tries = 3
    private static let status = "IS0001C000000000000"

    private var queue: [(body: [UInt8], words: String)] = []
    private var sentAt: Int64?
    private var tries = 0
    private var notBefore: Int64 = 0
    private var heard: [UInt8] = []
    private var count: Int64 = 0

    public init() {}
    public var waiting: Int { queue.count }

    public mutating func happen(_ event: PlayedEvent, at now: Int64) throws(CannotPlay) {
        let code = try Self.code(event)
        // Two things never happen in the same second here: a panel's events are told apart by their time.
        count += 1
        let second = now / 1000 + count
        let clock = [second / 3600 % 24, second / 60 % 60, second % 60].map { digits($0, 2) }.joined()
        let text = event.text.isEmpty && !code.isPublished ? event.kind.english : event.text
        let device =
            text.isEmpty ? "" : "S\(digits(Int64(event.zone % 100), 2)) \"\(text.filter { $0 != "\"" })\""
        let body = "IE01\(code.digits)\(second / 86_400 % 7)\(clock)01\(digits(Int64(event.zone), 5))\(device)"
        let remark = code.isPublished ? "" : " (code \(code.digits) is made up)"
        queue.append(
            (PanelCharset.latin1.bytes(body), "\(event.kind.name)\(event.began ? "" : " ended")\(remark)"))
    }

    /// Codes that are published, and for all else made-up ones: nobody knows the panel's own. A driver that knows none of
    /// them tells such an event as unclassified; points with these codes rehearse what points with the panel's will do.
    private static func code(_ event: PlayedEvent) throws(CannotPlay) -> (digits: String, isPublished: Bool) {
        let hasPlace = event.zone > 0 && !event.text.isEmpty
        switch (event.kind.name, event.began) {
        case ("fire-bypass", true): return (hasPlace ? "024" : "137", true)
        case ("fire-bypass", false): return (hasPlace ? "023" : "136", true)
        case ("power-up", true): return ("146", true)
        case ("fire", true) where event.zone == 0: return ("138", true)
        case ("fire-warning", let began): return (began ? "903" : "904", false)
        case ("fire-trouble", let began): return (began ? "905" : "906", false)
        case ("mains-failure", let began): return (began ? "907" : "908", false)
        case ("battery", let began): return (began ? "909" : "910", false)
        case ("detector-maintenance", let began): return (began ? "911" : "912", false)
        case (_, let began) where event.kind.urgency == .fire: return (began ? "901" : "902", false)
        default:
            throw CannotPlay(
                """
                an ID3000 is a fire panel and cannot say \(event.kind.name)\(event.began ? "" : " ended"): it is played \
                with every kind of fire, fire-warning, fire-trouble, fire-bypass, detector-maintenance, mains-failure, \
                battery, power-up
                """)
        }
    }

    public mutating func opened(at now: Int64) -> [PlayedStep] {
        sentAt = nil
        heard = []
        return tick(at: now)
    }

    public var deadline: Int64? { sentAt.map { $0 + Time.answer } ?? (queue.isEmpty ? nil : notBefore) }

    public mutating func tick(at now: Int64) -> [PlayedStep] {
        guard let next = queue.first else { return [] }
        if let sentAt {
            guard now >= sentAt + Time.answer else { return [] }
            self.sentAt = nil
            if tries >= Self.tries {
                tries = 0
                notBefore = now + Time.pause
                return [.trouble("host does not answer")]
            }
        }
        guard now >= notBefore else { return [] }
        tries += 1
        sentAt = now
        return [.send(ID3000Frame.bytes(next.body, .crc16), says: next.words)]
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PlayedStep] {
        if byte == ID3000Frame.start { heard = [] }
        heard.append(byte)
        if heard.count > 16 { heard.removeFirst() }
        guard byte == ID3000Frame.end else { return [] }
        defer { heard = [] }
        switch heard {
        case ID3000Frame.poll:
            let status = ID3000Frame.bytes(Array(Self.status.utf8), .crc16)
            return [.heard(heard, says: "poll"), .send(status, says: "status")]
        case ID3000Frame.acknowledge:
            guard sentAt != nil, !queue.isEmpty else { return [.heard(heard, says: "IACK of nothing")] }
            sentAt = nil
            tries = 0
            return [.heard(heard, says: "IACK"), .taken(queue.removeFirst().words)] + tick(at: now)
        default: return [.heard(heard, says: "not known")]
        }
    }

    private func digits(_ number: Int64, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
