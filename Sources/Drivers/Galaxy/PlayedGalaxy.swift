import AlarmProtocol

/// A Galaxy panel, played: SIA level 3, one sequence for each event, three tries of a block, then the whole sequence again.
public struct PlayedGalaxy: PlayedPanel {
    public static let line = SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1)
    /// Milliseconds.
    private enum Time {
        static var answer: Int64 { 2000 }
        /// Before a sequence that nobody took is said again.
        static var pause: Int64 { 10_000 }
    }
    private static let tries = 3
    private static let account = "012345"

    private struct Happening {
        var event: PlayedEvent
        /// By the panel's own clock: fixed when it happens, so that a repeat says the same.
        var time: String
        var words: String { "\(event.kind.name)\(event.began ? "" : " ended")" }
    }

    private var queue: [Happening] = []
    private var blocks: [GalaxyBlock] = []
    /// The block that awaits its answer.
    private var tries = 0
    private var sentAt: Int64 = 0
    private var notBefore: Int64 = 0
    private var heard: [UInt8] = []

    public init() {}
    public var waiting: Int { queue.count }

    public mutating func happen(_ event: PlayedEvent, at now: Int64) throws(CannotPlay) {
        guard event.kind.codes(began: event.began) != nil else {
            throw CannotPlay("\(event.kind.name) has no end in SIA: say only that it begins")
        }
        let minutes = now / 60_000 % 1440
        queue.append(Happening(event: event, time: "\(digits(minutes / 60, 2)):\(digits(minutes % 60, 2))"))
    }

    public mutating func opened(at now: Int64) -> [PlayedStep] {
        blocks = []
        heard = []
        notBefore = now
        return tick(at: now)
    }

    public var deadline: Int64? {
        if !blocks.isEmpty { return sentAt + Time.answer }
        return queue.isEmpty ? nil : notBefore
    }

    public mutating func tick(at now: Int64) -> [PlayedStep] {
        if !blocks.isEmpty { return now >= sentAt + Time.answer ? again(at: now) : [] }
        guard let next = queue.first, now >= notBefore else { return [] }
        blocks = sequence(next)
        tries = 0
        return send(at: now)
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PlayedStep] {
        heard.append(byte)
        guard let header = heard.first, heard.count >= GalaxyBlock.size(header) else { return [] }
        let bytes = heard
        guard let block = GalaxyBlock(bytes[...]) else {
            heard.removeFirst()
            return [.heard(bytes, says: "no block")]
        }
        heard = []
        switch Character(UnicodeScalar(block.code)) {
        case "8": return [.heard(bytes, says: "acknowledged")] + answered(at: now)
        case "9": return [.heard(bytes, says: "rejected")] + (blocks.isEmpty ? [] : again(at: now))
        case "?": return [.heard(bytes, says: "login"), .send(GalaxyBlock("8").bytes, says: "acknowledged")]
        default: return [.heard(bytes, says: "not asked for")]
        }
    }

    private mutating func answered(at now: Int64) -> [PlayedStep] {
        guard !blocks.isEmpty else { return [] }
        blocks.removeFirst()
        tries = 0
        if !blocks.isEmpty { return send(at: now) }
        notBefore = now
        return [.taken(queue.removeFirst().words)] + tick(at: now)
    }

    private mutating func again(at now: Int64) -> [PlayedStep] {
        guard tries < Self.tries else {
            blocks = []
            notBefore = now + Time.pause
            return [.trouble("communication failed: no acknowledgement")]
        }
        return send(at: now)
    }

    private mutating func send(at now: Int64) -> [PlayedStep] {
        guard let block = blocks.first else { return [] }
        tries += 1
        sentAt = now
        heard = []
        return [.send(block.bytes, says: String(decoding: [block.code] + block.data, as: UTF8.self))]
    }

    private func sequence(_ happening: Happening) -> [GalaxyBlock] {
        let event = happening.event
        guard let codes = event.kind.codes(began: event.began) else { return [] }
        var fields = ["ti\(happening.time)"]
        if event.partition > 0 { fields.append("ri\(digits(Int64(event.partition), 2))") }
        let isOfUser = event.kind.address == .user
        if isOfUser, event.zone > 0 { fields.append("id\(digits(Int64(event.zone), 3))") }
        fields.append(codes.sia + (isOfUser || event.zone == 0 ? "" : digits(Int64(event.zone), 4)))
        let first = (event.began ? "+" : "-") + String(event.kind.name.uppercased().prefix(15))
        let columns = first + String(repeating: " ", count: 16 - first.count) + String(event.text.prefix(16))
        return [
            GalaxyBlock("#", Array(Self.account.utf8)), GalaxyBlock("N", Array(fields.joined(separator: "/").utf8)),
            GalaxyBlock("A", PanelCharset.cp850.bytes(columns)), GalaxyBlock("0"),
        ]
    }

    private func digits(_ number: Int64, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
