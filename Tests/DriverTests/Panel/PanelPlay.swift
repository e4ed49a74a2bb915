import AlarmProtocol
import Testing

@testable import Drivers

/// A played panel and our end of its line, joined by a line that loses and garbles whole messages. What is stored is
/// stored at once; a crash of our end may be had at any answer.
struct PanelPlay<Link: PanelLink, Panel: PlayedPanel> {
    /// What becomes of a message on its way, given its number.
    enum Fate: Sendable { case arrives, isLost, isGarbled }

    private enum Message {
        case toHost([UInt8])
        case toPanel([UInt8])
    }

    var panel = Panel()
    private let makeLink: () -> Link
    private var link: Link
    private(set) var now: Int64 = 5_000_000
    private(set) var signals: [Signal] = []
    private(set) var taken: [String] = []
    private(set) var troubles = 0
    private var kept: [UInt8] = []
    private var messages: [Message] = []
    private var count = 0
    /// Our end dies after this many answers, once, and starts again.
    var diesAfterAnswers: Int?
    /// It dies between storing what it has not answered for the so-many-th time, and answering it; once.
    var diesBeforeAnswers: Int?
    var fate: (Int) -> Fate = { _ in .arrives }

    init(_ makeLink: @escaping () -> Link) {
        self.makeLink = makeLink
        link = makeLink()
    }

    mutating func open() {
        perform(link.opened(at: now))
        perform(panel.opened(at: now))
        run()
    }

    mutating func happen(_ event: PlayedEvent) throws {
        try panel.happen(event, at: now)
        perform(panel.tick(at: now))
        run()
    }

    mutating func pass(_ milliseconds: Int64) {
        let end = now + milliseconds
        var turns = 0
        while let due = [link.deadline, panel.deadline].compactMap(\.self).min(), due <= end, turns < 200_000 {
            turns += 1
            now = max(now, due)
            if let due = link.deadline, due <= now { perform(link.tick(at: now)) }
            if let due = panel.deadline, due <= now { perform(panel.tick(at: now)) }
            run()
        }
        #expect(turns < 200_000, "somebody spins")
        now = end
    }

    private mutating func run() {
        while !messages.isEmpty {
            let message = messages.removeFirst()
            count += 1
            let fate = fate(count)
            if fate == .isLost { continue }
            now += 30
            switch message {
            case .toHost(let bytes):
                for byte in garbled(bytes, fate) { perform(link.receive(byte, at: now)) }
            case .toPanel(let bytes):
                for byte in garbled(bytes, fate) { perform(panel.receive(byte, at: now)) }
            }
        }
    }

    private func garbled(_ bytes: [UInt8], _ fate: Fate) -> [UInt8] {
        guard fate == .isGarbled, !bytes.isEmpty else { return bytes }
        var bytes = bytes
        bytes[bytes.count / 2] ^= 0x04
        return bytes
    }

    private mutating func perform(_ steps: [PlayedStep]) {
        for step in steps {
            switch step {
            case .send(let bytes, _): messages.append(.toHost(bytes))
            case .heard: break
            case .taken(let words): taken.append(words)
            case .trouble: troubles += 1
            }
        }
    }

    private mutating func perform(_ steps: [PanelStep]) {
        for step in steps {
            switch step {
            case .send(let bytes, _), .sendSecret(let bytes, _): messages.append(.toPanel(bytes))
            case .report(let reported, let accept, _, let knownBy):
                signals += reported
                if !reported.isEmpty { kept = accept == nil ? [] : knownBy }
                if accept != nil, diesBefore() { return }
                if let accept { messages.append(.toPanel(accept)) }
                if accept != nil { kept = [] }
                perform(link.stored(answered: accept != nil, at: now))
                if accept != nil, dies() { return }
            case .keep(let bytes, let accept, _, _):
                kept = bytes
                messages.append(.toPanel(accept))
                link.kept(at: now)
                if dies() { return }
            case .frame, .strange, .notUnderstood, .log, .lose: break
            }
        }
    }

    private mutating func diesBefore() -> Bool {
        guard let left = diesBeforeAnswers else { return false }
        diesBeforeAnswers = left > 1 ? left - 1 : nil
        if left <= 1 { restart() }
        return left <= 1
    }

    private mutating func dies() -> Bool {
        guard let left = diesAfterAnswers else { return false }
        diesAfterAnswers = left > 1 ? left - 1 : nil
        if left <= 1 { restart() }
        return left <= 1
    }

    private mutating func restart() {
        link = makeLink()
        let kept = kept
        if !kept.isEmpty { perform(link.resume(kept, at: now)) }
        perform(link.opened(at: now))
    }
}
