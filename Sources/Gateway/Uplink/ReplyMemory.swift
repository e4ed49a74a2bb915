import AlarmProtocol

/// Tells an encrypted acknowledgement of now from one that was recorded, as far as DC-09 lets anybody: it has no
/// replay protection, so what is known of the replies before is all there is (docs/security.md and decision 0024).
/// Pure; times are milliseconds of a clock that never steps, but for the receiver's.
///
/// Two things are looked at. *The bytes:* a receiver whose pad varies, as it should, never says the same twice. Where
/// the pad is constant, the reply is the same within one second of the receiver's clock and never later, so what was
/// said before this message was sent is no reply to it. *The time:* the receiver's clock goes on at the pace of ours. A
/// reply from before the one before it is not believed by itself, only together with the next: two that differ, and
/// are as far apart as they came, are a clock that was set back. So a step costs one repeat and makes no path deaf.
struct ReplyMemory: Sendable {
    enum Finding: Sendable, Equatable {
        case fresh
        /// Used before: nothing is acknowledged by it.
        case replayed
        /// From before an earlier reply, by so many milliseconds; not believed until the next one agrees.
        case wentBack(by: Int64)
        /// The next one agreed: the receiver's clock has been set back.
        case steppedBack(by: Int64)
    }

    /// Replies remembered by their bytes: at a link test a minute more than a day's.
    static let remembered = 2048
    /// How long a second is, with what clocks may differ in it.
    static let sameSecond: Int64 = 1500
    /// How far a reply's time may be off beside the time limit for replies: as far as DC-09 lets a message's.
    static let slack: Int64 = 20_000
    /// How far two replies may be off against each other where they are to confirm each other.
    static let agreement: Int64 = 5_000
    /// Clocks differ in pace by less than a thousandth: 86 seconds a day.
    static let driftDivisor: Int64 = 1000

    private struct Heard: Sendable {
        /// The receiver's time, and when it came by our clock.
        var time: Int64
        var at: Int64
        var mark: Int
        var pad: [UInt8]
    }

    /// The time limit for replies: an answer may be so late.
    private let timeout: Int64
    private var seen: Set<Int> = []
    private var order: [Int] = []
    private var oldest = 0
    /// The newest that was believed.
    private var latest: Heard?
    /// What the receiver's clock is held against. Older replies within the slack do not move it, or one by one they
    /// would move it anywhere.
    private var anchor: Heard?
    /// A reply that was not believed by itself.
    private var claim: Heard?
    private var padVaries: Bool?

    init(timeout: Int64) { self.timeout = timeout }

    /// - Parameters:
    ///   - isOfNow: its time is near that of the message, by the clock we believe the receiver to have.
    ///   - sentAt: when the message was sent, `now` when the reply came.
    mutating func look(_ seal: ReplySeal, isOfNow: Bool, sentAt: Int64, now: Int64) -> Finding {
        let heard = Heard(time: seal.time.utc, at: now, mark: seal.tail.hashValue, pad: seal.pad)
        if claim?.mark == heard.mark { return .replayed }
        if seen.contains(heard.mark), padVaries == true { return .replayed }
        if let latest, latest.mark == heard.mark {
            return sentAt <= latest.at + Self.sameSecond ? .fresh : .replayed
        }
        guard let anchor else {
            // The first: nothing to hold it against. One whose time is off is asked for again by its clock, and then
            // the same bytes are not believed.
            if isOfNow { accept(heard, asAnchor: true) } else { claim = heard }
            return .fresh
        }
        let drift = max(0, now - anchor.at) / Self.driftDivisor
        let back = anchor.time + (sentAt - anchor.at) - heard.time
        guard back > Self.slack + timeout + drift else {
            accept(heard, asAnchor: heard.time - heard.at >= anchor.time - anchor.at - drift)
            return .fresh
        }
        if let claim, abs((heard.time - claim.time) - (now - claim.at)) <= Self.agreement + (now - sentAt) {
            accept(heard, asAnchor: true)
            return .steppedBack(by: back)
        }
        claim = heard
        return .wentBack(by: back)
    }

    private mutating func accept(_ heard: Heard, asAnchor: Bool) {
        if asAnchor { anchor = heard }
        // Only pads of one length are compared: a constant one may be cut to what is needed.
        if let latest, latest.mark != heard.mark, latest.pad.count == heard.pad.count, !heard.pad.isEmpty {
            if latest.pad == heard.pad { padVaries = false } else if padVaries == nil { padVaries = true }
        }
        claim = nil
        latest = heard
        guard seen.insert(heard.mark).inserted else { return }
        if order.count < Self.remembered {
            order.append(heard.mark)
        } else {
            seen.remove(order[oldest])
            order[oldest] = heard.mark
            oldest = (oldest + 1) % Self.remembered
        }
    }
}
