import Testing

@testable import Drivers

/// A link and a played panel on one line that may lose what is sent. Nothing in it depends on real time.
struct PlayedLine<Link: PanelLink, Played: PlayedPanel> {
    var harness: PanelHarness<Link>
    var panel: Played
    /// Of a hundred messages, so many are lost.
    var loss = 0
    var isCut = false
    private(set) var taken: [String] = []
    private(set) var troubles: [String] = []
    private var cursor = 0
    private var numbers: SeededNumbers

    init(_ link: Link, _ panel: Played, seed: UInt64 = 1) {
        harness = PanelHarness(link)
        self.panel = panel
        numbers = SeededNumbers(seed)
    }

    var now: Int64 { harness.now }
    var signals: [Signal] { harness.signals }

    mutating func open() {
        heard(panel.opened(at: now))
        harness.open()
        exchange()
    }

    mutating func happen(_ event: PlayedEvent) throws {
        try panel.happen(event, at: now)
        exchange()
    }

    mutating func pass(_ milliseconds: Int64) {
        let end = now + milliseconds
        while true {
            let due = [harness.link.deadline, panel.deadline, end].compactMap { $0 }.min() ?? end
            let next = min(end, max(due, now))
            harness.pass(next - now)
            if let due = panel.deadline, now >= due { heard(panel.tick(at: now)) }
            exchange()
            if now >= end { return }
            if harness.link.deadline ?? end <= now, harness.link.deadline == due {
                Issue.record("the protocol spins")
                return
            }
        }
    }

    /// Until neither has anything more to say.
    private mutating func exchange() {
        var rounds = 0
        while cursor < harness.sent.count {
            let message = harness.sent[cursor]
            cursor += 1
            rounds += 1
            guard rounds < 100_000 else {
                Issue.record("they never stop")
                return
            }
            if isLost() { continue }
            for byte in message { heard(panel.receive(byte, at: now)) }
        }
    }

    private mutating func heard(_ steps: [PlayedStep]) {
        for step in steps {
            switch step {
            case .send(let bytes, _): if !isLost() { harness.feed(bytes) }
            case .taken(let words): taken.append(words)
            case .trouble(let words): troubles.append(words)
            case .heard: break
            }
        }
    }

    private mutating func isLost() -> Bool {
        isCut || (loss > 0 && Int.random(in: 0..<100, using: &numbers) < loss)
    }
}
