/// The paging system's half of the ESPA 4.4.4 link, without a line or a clock: bytes and times in, outcomes out.
///
/// The control station polls and selects with `ADDRESS ENQ`. By the book an ENQ that follows an EOT is a poll (answered
/// EOT: nothing to send), and a station that has a call polls itself first: `1 ENQ`, `2 ENQ` is a select (answered ACK).
/// Then come blocks until EOT (section 3).
struct ESPALink: Sendable {
    /// What a byte completed. All but `.corrupt` prove that the line and its settings are right.
    enum Outcome: Equatable, Sendable {
        /// Traffic of the control station with itself or with others. No answer.
        case overheard
        /// Polled: answer EOT.
        case polled
        /// Selected: answer ACK.
        case selected
        /// A block with a wrong checksum: answer `1 NAK`; the control station sends it once more.
        case corrupt
        /// A block with a right checksum, from after SOH to before ETX: answer when it is judged. `again` when it is the
        /// repeat of the block stored last, whose acknowledgement did not get through.
        case block([UInt8], again: Bool)
    }

    enum Answer {
        static let nothingToSend: [UInt8] = [ESPACharacter.eot]
        static let accepted: [UInt8] = [ESPACharacter.ack]
        static let corrupt: [UInt8] = [0x31, ESPACharacter.nak]
        static let busy: [UInt8] = [0x32, ESPACharacter.nak]
        static let notUnderstood: [UInt8] = [0x33, ESPACharacter.nak]
    }

    /// Times in milliseconds, sizes in bytes.
    enum Limit {
        /// From the control station's poll of itself to its select of us.
        static let selfPoll: Int64 = 2500
        /// From the select, or the last answer, to the next block; and for one block.
        static let selection: Int64 = 15_000
        /// Between two characters of a block.
        static let gap: Int64 = 3000
        /// Between a block's ETX and its checksum.
        static let checksum: Int64 = 1000
        /// Of a block: twenty times what the specification's longest records need.
        static let block = 4096
        /// How long the block stored last is remembered.
        static let memory: Int64 = 60_000
        /// A control station that has our ACK goes on within this time. Later it has waited for it in vain,
        static let goesOn: Int64 = 1000
        /// and tries the call anew within this time.
        static let anew: Int64 = 15_000
    }

    /// Our addresses, as characters; the control station's own.
    let addresses: [UInt8]
    let controlStation: UInt8
    /// Every `ADDRESS ENQ` is a select.
    let lenient: Bool

    private var previous: UInt8 = 0
    private var previousAt: Int64 = 0
    /// When the control station polled itself, with no EOT since.
    private var selfPolledAt: Int64?
    /// When we were selected or last answered a block; nil when we are not selected.
    private var selectedAt: Int64?
    private var selection = 0
    private var body: [UInt8]?
    private var bodyAt: Int64 = 0
    private var checksumIsNext = false
    private var stored: Stored?
    private var answeredAt: Int64 = 0
    /// How often we were polled before the control station ever polled itself.
    private(set) var pollsWithoutSelfPoll = 0
    private var everSelfPolled = false

    init(addresses: [UInt8], controlStation: UInt8 = 0x31, lenient: Bool = false) {
        self.addresses = addresses
        self.controlStation = controlStation
        self.lenient = lenient
    }

    /// Takes one byte, received at a time in milliseconds that never steps.
    mutating func receive(_ byte: UInt8, at now: Int64) -> Outcome? {
        expire(now)
        defer {
            previous = byte
            previousAt = now
        }
        // By position: a checksum may have any value, control characters included.
        if checksumIsNext, let body { return check(body, byte, now) }
        switch byte {
        case ESPACharacter.enq:
            forgetBlock()
            return enquiry(previous, now)
        case ESPACharacter.eot:
            // Within a block it is either the end or a broken character: a repeat of the block is taken either way.
            if body == nil { selectedAt = nil }
            if stored?.isAnswered == true, stored?.selection == selection, now - answeredAt > Limit.goesOn {
                stored?.givenUpAt = now
            }
            forgetBlock()
            selfPolledAt = nil
        case ESPACharacter.soh where selectedAt != nil:
            body = []
            bodyAt = now
        case ESPACharacter.etx where body != nil:
            checksumIsNext = true
        default:
            body?.append(byte)
            if let body, body.count > Limit.block { forgetBlock() }
        }
        return nil
    }

    /// A block is stored and about to be answered. Until it is, its repeat may also come in a later selection: a panel
    /// that waited in vain ends the selection and tries anew.
    mutating func remember(_ body: [UInt8], at now: Int64) {
        stored = Stored(body: body, selection: selection, at: now)
        selectedAt = now
    }

    /// The block stored last was answered. Now it is a repeat only within this selection, where the panel tries twice; in a
    /// later one it is a new call that happens to say the same, unless the panel ended this one as if it had heard nothing.
    mutating func acknowledged(at now: Int64) {
        stored?.isAnswered = true
        stored?.givenUpAt = nil
        stored?.selection = selection
        answeredAt = now
    }

    /// The block stored last.
    private struct Stored {
        var body: [UInt8]
        var selection: Int
        var at: Int64
        var isAnswered = false
        /// The control station ended the selection long after our ACK: it may not have heard it.
        var givenUpAt: Int64?

        func isAgain(_ body: [UInt8], in selection: Int, at now: Int64) -> Bool {
            guard self.body == body, now - at <= Limit.memory else { return false }
            return self.selection == selection || !isAnswered || givenUpAt.map { now - $0 <= Limit.anew } ?? false
        }
    }

    private mutating func enquiry(_ address: UInt8, _ now: Int64) -> Outcome? {
        guard (0x30...0x39).contains(address) else { return nil }
        selectedAt = nil
        if address == controlStation {
            selfPolledAt = now
            everSelfPolled = true
            return .overheard
        }
        guard addresses.contains(address) else { return .overheard }
        guard lenient || selfPolledAt != nil else {
            if !everSelfPolled { pollsWithoutSelfPoll += 1 }
            return .polled
        }
        selectedAt = now
        selection += 1
        return .selected
    }

    private mutating func check(_ body: [UInt8], _ checksum: UInt8, _ now: Int64) -> Outcome {
        forgetBlock()
        selectedAt = now
        // The exclusive or of all that follows SOH, ETX included (section 4.1).
        guard body.reduce(ESPACharacter.etx, ^) == checksum else {
            // Where the checksum was lost, this is the beginning of the next try.
            if checksum == ESPACharacter.soh { (self.body, bodyAt) = ([], now) }
            return .corrupt
        }
        return .block(body, again: stored?.isAgain(body, in: selection, at: now) ?? false)
    }

    private mutating func forgetBlock() {
        body = nil
        checksumIsNext = false
    }

    private mutating func expire(_ now: Int64) {
        if let since = selfPolledAt, now - since > Limit.selfPoll { selfPolledAt = nil }
        let gap = checksumIsNext ? Limit.checksum : Limit.gap
        if body != nil, now - previousAt > gap || now - bodyAt > Limit.selection { forgetBlock() }
        if let since = selectedAt, body == nil, now - since > Limit.selection { selectedAt = nil }
    }
}
