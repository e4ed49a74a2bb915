/// Which of a path's keys the next frame is encrypted with, while its centre goes over from an old key to a new one
/// (`key` and `old-key`). Pure; times are milliseconds of a clock that never steps.
///
/// Either end may change first. The new key is tried first. What fails under one key is tried under the other; the one
/// that an acknowledgement has come under is kept. While that is the old one, a link test is sent under the new one now
/// and then: never while something urgent waits, given up as soon as it does, and no failure of the path.
///
/// Only an ACK under a key proves it: DUH and NAK can be made by anybody, and a receiver is known to acknowledge, under
/// its own key, what it cannot decrypt (DC-09 reference 12).
struct KeyRing: Sendable {
    enum Turn: Sendable, Hashable { case new, old }

    /// How a frame was encrypted.
    struct Use: Sendable, Equatable {
        var turn: Turn
        /// A link test under the new key while the old one works.
        var isTrial = false
        /// Failures of frames sent in the same round count once, however many connections there are.
        fileprivate var round: Int
        /// It is the second of two tries of one message: what is refused under both keys is refused.
        var isSecond = false
    }

    /// How long after a try of the new key the next one is due.
    static let trialInterval: Int64 = 15 * 60 * 1000
    /// Failures in a row under a key before the other is tried: one that has not been acknowledged since the start, the
    /// old one, the new one. Two tries each from then on, since of two one is a link test and one an event.
    static let patience = (unproven: 1, old: 2, new: 4)
    /// So many NAKs without an ACK count as a failure: some receivers say it to what they cannot decrypt.
    static let doubtLimit = 2

    let hasOld: Bool
    /// The key that works, or that is hoped to.
    private(set) var current: Turn
    private var isProven = false
    private var failures = 0
    private var doubts = 0
    private var round = 0
    private var nextTrial: Int64
    /// What has been told.
    private var told: Turn

    /// - Parameter oldWasInUse: as was told last, before the daemon started: then the old key carries what is urgent,
    ///   and the first link test tries the new one.
    init(hasOld: Bool, oldWasInUse: Bool = false, now: Int64 = 0) {
        self.hasOld = hasOld
        current = hasOld && oldWasInUse ? .old : .new
        told = oldWasInUse ? .old : .new
        nextTrial = now
    }

    /// How the next frame is to be encrypted.
    /// - Parameter mayTry: nothing urgent waits.
    mutating func next(isLinkTest: Bool, mayTry: Bool, now: Int64) -> Use {
        guard hasOld else { return Use(turn: .new, round: round) }
        if current == .old, isLinkTest, mayTry, failures == 0, now >= nextTrial {
            nextTrial = now + Self.trialInterval
            return Use(turn: .new, isTrial: true, round: round)
        }
        let patience = !isProven ? Self.patience.unproven : current == .old ? Self.patience.old : Self.patience.new
        let isOthersTurn = failures >= patience && (failures - patience) / 2 % 2 == 0
        return Use(turn: isOthersTurn ? current.other : current, round: round)
    }

    /// The same message under the other key, at once; nil where both have been tried or there is one only.
    func second(after use: Use) -> Use? {
        guard hasOld, !use.isSecond else { return nil }
        return Use(turn: use.turn.other, round: use.round, isSecond: true)
    }

    /// An acknowledgement came under this key.
    /// - Returns: what is to be told: the key that is in use from here on, where that is another than was told last.
    mutating func acknowledged(_ use: Use, now: Int64) -> Turn? {
        if use.turn != current, use.turn == .old { nextTrial = now + Self.trialInterval }
        current = use.turn
        isProven = true
        failures = 0
        doubts = 0
        round += 1
        guard told != current else { return nil }
        told = current
        return current
    }

    /// The path failed with a frame under this key. A trial does not count: the old key works.
    mutating func failed(_ use: Use) {
        guard !use.isTrial, use.round == round else { return }
        round += 1
        failures += 1
    }

    /// NAK. One may be about the clock.
    mutating func doubted(_ use: Use) {
        guard hasOld, !use.isTrial else { return }
        doubts += 1
        guard doubts >= Self.doubtLimit else { return }
        doubts = 0
        failed(use)
    }
}

extension KeyRing.Turn {
    var other: Self { self == .new ? .old : .new }
}
