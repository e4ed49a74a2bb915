import AlarmProtocol

/// A receiver at the alarm centre, and all the ways in which one can be wrong.
final class Centre {
    enum Mood: CaseIterable {
        case well
        /// Takes messages and says nothing.
        case mute
        /// NAK to whatever comes, with a time that is wrong.
        case naks
        /// DUH to every event; link tests are answered.
        case duhs
        /// ACK of the next number. The message is not taken.
        case wrongSequence
        /// ACK in clear to encrypted messages. The message is not taken.
        case plainly
        /// Sends earlier answers again, and nothing of now.
        case replays
        /// Answers link tests and no events.
        case falseHopes
        case nonsense
    }

    struct Heard {
        var replies: [[UInt8]] = []
        /// An event that the receiver has stored and will answer for.
        var taken: Message?
        /// The receiver knows it for a message that it has had.
        var isRepeat = false
        var refused: Message?
        var isPoll = false
        /// In clear, on a path that has a key.
        var isExposed = false
    }

    let name: String
    var mood = Mood.well
    /// Its clock minus the true time, in milliseconds.
    var clockError: Int64
    private var marks: [Mark] = []
    private var answers: [[UInt8]] = []

    /// A message is known again by these (DC-09: sequence number and content).
    private struct Mark: Equatable {
        var account: String
        var sequence: Int
        var data: [UInt8]
        var extended: [ExtendedBlock]
    }
    /// Few enough that the numbers do not come round within them, however often the disk fails.
    private static let remembered = 100

    init(_ name: String, clockError: Int64) {
        self.name = name
        self.clockError = clockError
    }

    func hear(_ frame: [UInt8], key: Key?, at trueTime: Int64, _ dice: inout Dice) -> Heard {
        var heard = Heard()
        let now = Timestamp(utc: trueTime + clockError)
        // Nothing is said to what cannot be read.
        guard let envelope = try? Envelope.parse(frame) else { return heard }
        if key != nil, !envelope.isEncrypted {
            heard.isExposed = true
            heard.replies = [Reply.refuse(envelope.header)]
            return heard
        }
        guard let message = try? envelope.opened(with: key) else { return heard }
        heard.isPoll = message.token.isLinkTest
        switch mood {
        case .mute where heard.isPoll: return heard
        case .naks:
            heard.replies = [Reply.correctTime(Timestamp(utc: now.utc + dice.within(-86_400_000...86_400_000)))]
            return heard
        case .falseHopes where !heard.isPoll: return heard
        case .nonsense:
            heard.replies = [(0..<dice.within(1...300)).map { _ in UInt8(truncatingIfNeeded: dice.next()) }]
            return heard
        case .replays:
            heard.replies = (0..<3).compactMap { _ in answers.isEmpty ? nil : dice.pick(answers) }
            return heard
        case .wrongSequence:
            var other = message
            other.header.sequence = message.header.sequence % 9999 + 1
            heard.replies = [acknowledgement(other, key, now)]
            return heard
        case .plainly where key != nil:
            heard.replies = [Reply.acknowledge(message.header)]
            return heard
        case .duhs where !heard.isPoll:
            heard.refused = message
            heard.replies = [Reply.refuse(message.header)]
            return heard
        default: break
        }
        if message.wasEncrypted, !TimeWindow.accepts(message.timestamp, now: now.utc) {
            heard.replies = [Reply.correctTime(now)]
            return heard
        }
        if message.token.isPayload { take(message, &heard) }
        if mood != .mute {
            heard.replies = [acknowledgement(message, key, now)]
            if answers.count < 50 { answers += heard.replies } else { answers[dice.within(0...49)] = heard.replies[0] }
        }
        return heard
    }

    private func take(_ message: Message, _ heard: inout Heard) {
        heard.taken = message
        let mark = Mark(
            account: message.header.account, sequence: message.header.sequence, data: message.data,
            extended: message.extended)
        heard.isRepeat = marks.contains(mark)
        guard !heard.isRepeat else { return }
        marks.append(mark)
        if marks.count > 2 * Self.remembered { marks.removeFirst(Self.remembered) }
    }

    private func acknowledgement(_ message: Message, _ key: Key?, _ now: Timestamp) -> [UInt8] {
        guard message.wasEncrypted, let key else { return Reply.acknowledge(message.header) }
        return (try? Reply.acknowledge(message.header, key: key, time: now)) ?? []
    }
}
