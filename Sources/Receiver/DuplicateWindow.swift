/// What one transmitter has said lately, so that a repeat is handed on once.
///
/// A repeat has the same account, sequence, data and extended blocks; its timestamp is fresh, because an encrypted frame
/// must be (SIA DC-09, timestamp rule), and is therefore not compared. It is looked for among the account's most recent
/// `depth` messages, not within a time: a transmitter that lost its last path may repeat a message days later. The depth
/// is less than half of the 9,999 numbers, so that when the numbers have come round, equal content under the same number
/// is again a new event, with the other half as margin for a transmitter whose backlog arrives out of order.
/// Sequence 0000 numbers nothing and is never a repeat: losing an alarm is worse than hearing it twice.
public struct DuplicateWindow: Sendable {
    /// Messages remembered for each account.
    public static let defaultDepth = 4_000
    /// Accounts remembered; beyond it, the account that has been silent longest is forgotten.
    static let accountLimit = 4_096
    /// Messages remembered in all (some 40 bytes each): bounds the memory that hostile senders can take.
    static let messageLimit = 1_000_000

    /// A message's identity within its account: a keyed hash, so that no sender can aim for another's.
    struct Mark: Sendable, Hashable {
        let value: Int

        init?(sequence: Int, data: [UInt8], extended: [[UInt8]]) {
            guard sequence != 0 else { return nil }
            var hasher = Hasher()
            hasher.combine(sequence)
            hasher.combine(data)
            hasher.combine(extended)
            value = hasher.finalize()
        }
    }

    private struct Recent: Sendable {
        var order: [Mark?] = []  // a ring once it is full; nil where one was taken back
        var next = 0
        var marks: Set<Mark> = []
        var heard = 0
    }

    let depth: Int
    private var accounts: [String: Recent] = [:]
    private var total = 0
    private var clock = 0

    /// - Parameter depth: 1 to 9,999 messages.
    public init(depth: Int = defaultDepth) { self.depth = min(max(depth, 1), 9_999) }

    func contains(_ mark: Mark, of account: String) -> Bool { accounts[account]?.marks.contains(mark) ?? false }

    mutating func insert(_ mark: Mark, of account: String) {
        if accounts[account] == nil, accounts.count >= Self.accountLimit { forgetMostSilent() }
        clock += 1
        var recent = accounts.removeValue(forKey: account) ?? Recent()
        recent.heard = clock
        if recent.marks.insert(mark).inserted {
            if recent.order.count < depth {
                recent.order.append(mark)
                total += 1
            } else {
                if let oldest = recent.order[recent.next] { recent.marks.remove(oldest) }
                recent.order[recent.next] = mark
                recent.next = (recent.next + 1) % depth
            }
        }
        accounts[account] = recent
        while total > Self.messageLimit, accounts.count > 1 { forgetMostSilent() }
    }

    /// Takes back what was inserted but could not be stored: its repeat must not be taken for known.
    mutating func remove(_ mark: Mark, of account: String) {
        guard accounts[account]?.marks.remove(mark) != nil, let place = accounts[account]?.order.lastIndex(of: mark)
        else { return }
        accounts[account]?.order[place] = nil
    }

    private mutating func forgetMostSilent() {
        guard let silent = accounts.min(by: { $0.value.heard < $1.value.heard }) else { return }
        total -= silent.value.order.count
        accounts[silent.key] = nil
    }
}
