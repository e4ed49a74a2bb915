import AlarmProtocol

/// Counts what came on a path in the place of replies, and says when that is worth telling. Pure; times are milliseconds
/// of a clock that never steps.
///
/// A reply that comes late or twice, as UDP and slow networks bring them, is no stranger: it is counted apart.
struct StrangeReplies: Sendable {
    /// What is to be told, once when it begins and once when it has ended.
    enum News: Sendable, Equatable {
        case began(String)
        case ended(String)
    }

    struct Remark: Sendable, Equatable {
        /// At most one line a minute for each kind.
        var isLogged = false
        var news: News?
    }

    /// So long without another, and it has ended.
    static let quiet: Int64 = 3_600_000
    /// What an accident may bring too is told when it has come so often within so long.
    static let threshold = 3
    static let thresholdTime: Int64 = 600_000
    static let logInterval: Int64 = 60_000
    /// How long, and how many, messages and answers are remembered to know what is late or comes twice.
    static let lateness: Int64 = 120_000
    static let repetition: Int64 = 10_000
    static let remembered = 64

    private struct Sent: Sendable {
        var sequence: Int
        var at: Int64
        var answered: Int64?
    }

    private(set) var counts: [StrangeReply: Int] = [:]
    /// Late, or the same once more.
    private(set) var lateOrRepeated = 0
    /// Told, and not over.
    private(set) var isTold: Bool
    /// The newest, in words.
    private(set) var lastWhy: String?

    /// Since the last end.
    private var episode: [StrangeReply: Int] = [:]
    private var last: Int64
    private var recent: [Int64] = []
    private var logged: [StrangeReply: Int64] = [:]
    private var sent: [Sent] = []
    private var answers: [(mark: Int, at: Int64)] = []

    /// - Parameter isTold: they were told before the daemon started, and their end was not.
    init(isTold: Bool = false, now: Int64 = 0) {
        self.isTold = isTold
        last = now
    }

    /// A message goes out.
    mutating func sent(_ sequence: Int, now: Int64) {
        if let index = sent.firstIndex(where: { $0.sequence == sequence }) { sent.remove(at: index) }
        sent.append(Sent(sequence: sequence, at: now))
        if sent.count > Self.remembered { sent.removeFirst() }
    }

    /// A frame was taken as the answer.
    mutating func answered(_ frame: [UInt8], to sequence: Int, now: Int64) {
        for index in sent.indices where sent[index].sequence == sequence { sent[index].answered = now }
        answers.append((frame.hashValue, now))
        if answers.count > Self.remembered { answers.removeFirst() }
    }

    /// Whether it is only late, or the same once more; then it is counted as that.
    /// - Parameter isDatagram: the network may bring it twice; a connection brings what was sent, once.
    mutating func isLate(_ kind: StrangeReply, _ frame: [UInt8], header: Header?, isDatagram: Bool, now: Int64) -> Bool
    {
        let mark = frame.hashValue
        let isRepeat = isDatagram && answers.contains { $0.mark == mark && now - $0.at <= Self.repetition }
        // What has been answered is answered again only where the message, too, was sent again: as datagrams are.
        let isLate =
            kind == .otherSequence
            && sent.contains {
                $0.sequence == header?.sequence && now - $0.at <= Self.lateness
                    && ($0.answered.map { isDatagram && now - $0 <= Self.repetition } ?? true)
            }
        guard isRepeat || isLate else { return false }
        lateOrRepeated += 1
        return true
    }

    /// One more, of this kind.
    mutating func note(_ kind: StrangeReply, _ why: String, now: Int64) -> Remark {
        var remark = Remark()
        counts[kind, default: 0] += 1
        episode[kind, default: 0] += 1
        last = now
        lastWhy = why
        if now - (logged[kind] ?? .min / 2) >= Self.logInterval {
            logged[kind] = now
            remark.isLogged = true
        }
        recent.append(now)
        if recent.count > Self.threshold { recent.removeFirst() }
        let isOften = recent.count == Self.threshold && now - (recent.first ?? now) <= Self.thresholdTime
        if !isTold, kind.isNoAccident || isOften {
            isTold = true
            remark.news = .began("\(Self.words(episode)); newest: \(why)")
        }
        return remark
    }

    /// Whether it is over.
    mutating func settle(now: Int64) -> News? {
        guard now - last >= Self.quiet else { return nil }
        defer {
            episode = [:]
            last = now
        }
        guard isTold else { return nil }
        isTold = false
        let total = episode.values.reduce(0, +)
        return .ended("no strange reply for an hour; in all \(total)\(total > 0 ? ": \(Self.words(episode))" : "")")
    }

    private static func words(_ counts: [StrangeReply: Int]) -> String {
        StrangeReply.allCases.compactMap { kind in counts[kind].map { "\($0) \(kind.words)" } }.joined(separator: ", ")
    }
}

extension StrangeReply {
    /// No network and no mistake brings it by itself.
    var isNoAccident: Bool {
        switch self {
        case .plainToEncrypted, .otherAccount, .replayed, .timeWentBack: true
        case .otherSequence, .otherKey, .notAReply, .garbage: false
        }
    }

    /// As in "3 in clear": what each of them was.
    var words: String {
        switch self {
        case .plainToEncrypted: "in clear to encrypted"
        case .otherSequence: "to another number"
        case .otherAccount: "to another account"
        case .otherKey: "under another key"
        case .replayed: "used before"
        case .timeWentBack: "older than one before"
        case .notAReply: "no reply"
        case .garbage: "unreadable"
        }
    }
}
