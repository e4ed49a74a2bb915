import Testing

@testable import Gateway

@Suite("Which of two keys a path uses")
struct KeyRingTests {
    /// Sends over and over to a receiver that takes some keys: what it was sent under until the first was taken.
    private func tries(
        _ ring: inout KeyRing, taking keys: Set<KeyRing.Turn>, atMost: Int = 12, now: Int64 = 0
    ) -> (sent: [KeyRing.Turn], told: KeyRing.Turn?) {
        var sent: [KeyRing.Turn] = []
        for number in 0..<atMost {
            // As the dispatcher does it: an event, then a link test and an event by turns.
            let use = ring.next(isLinkTest: number % 2 == 1, mayTry: true, now: now)
            sent.append(use.turn)
            if keys.contains(use.turn) { return (sent, ring.acknowledged(use, now: now)) }
            ring.failed(use)
        }
        return (sent, nil)
    }

    @Test("The new key first; then the old one, which is told once; then the new one again, told as the end")
    func siteFirst() {
        var ring = KeyRing(hasOld: true)
        var result = tries(&ring, taking: [.old])
        #expect(result.sent == [.new, .old])
        #expect(result.told == .old)
        result = tries(&ring, taking: [.old])
        #expect(result.sent == [.old])
        #expect(result.told == nil)
        // The centre has changed: the old key is not taken any more.
        result = tries(&ring, taking: [.new])
        #expect(result.sent == [.old, .old, .new])
        #expect(result.told == .new)
        #expect(ring.current == .new)
    }

    @Test("The centre first: the new key from the first frame, and nothing is told")
    func centreFirst() {
        var ring = KeyRing(hasOld: true)
        let result = tries(&ring, taking: [.new, .old])
        #expect(result.sent == [.new])
        #expect(result.told == nil)
    }

    @Test("A new key that works is held to through three lost answers, and given up when the centre goes back")
    func heldTo() {
        var ring = KeyRing(hasOld: true)
        _ = tries(&ring, taking: [.new])
        for _ in 0..<3 { ring.failed(ring.next(isLinkTest: false, mayTry: true, now: 0)) }
        #expect(ring.next(isLinkTest: false, mayTry: true, now: 0).turn == .new)
        _ = tries(&ring, taking: [.new])
        let result = tries(&ring, taking: [.old])
        #expect(result.sent == [.new, .new, .new, .new, .old])
        #expect(result.told == .old)
    }

    @Test("While nothing answers, both keys go with events and with link tests", arguments: [true, false])
    func bothWithBoth(_ isProven: Bool) {
        var ring = KeyRing(hasOld: true)
        if isProven { _ = tries(&ring, taking: [.old]) }
        var met: Set<[Bool]> = []
        for number in 0..<16 {
            let use = ring.next(isLinkTest: number % 2 == 1, mayTry: false, now: 0)
            met.insert([number % 2 == 1, use.turn == .new])
            ring.failed(use)
        }
        #expect(met.count == 4)
    }

    @Test("The new key is tried with a link test after 15 minutes, with nothing else and not while urgent events wait")
    func trial() {
        var ring = KeyRing(hasOld: true)
        _ = tries(&ring, taking: [.old], now: 1000)
        let due = 1000 + KeyRing.trialInterval
        #expect(!ring.next(isLinkTest: true, mayTry: true, now: due - 1).isTrial)
        #expect(!ring.next(isLinkTest: false, mayTry: true, now: due).isTrial)
        #expect(!ring.next(isLinkTest: true, mayTry: false, now: due).isTrial)
        let trial = ring.next(isLinkTest: true, mayTry: true, now: due)
        #expect(trial.isTrial && trial.turn == .new)
        ring.failed(trial)
        // It failed, and is no failure of the path: the old key goes on.
        #expect(ring.next(isLinkTest: true, mayTry: true, now: due).turn == .old)
        let next = ring.next(isLinkTest: true, mayTry: true, now: due + KeyRing.trialInterval)
        #expect(next.isTrial)
        #expect(ring.acknowledged(next, now: due) == .new)
        #expect(ring.next(isLinkTest: false, mayTry: true, now: due).turn == .new)
    }

    @Test(
        "After a restart with the old key in use: it carries events at once, and the first link test tries the new one")
    func restart() {
        var ring = KeyRing(hasOld: true, oldWasInUse: true, now: 7)
        #expect(ring.next(isLinkTest: false, mayTry: true, now: 7).turn == .old)
        #expect(ring.next(isLinkTest: true, mayTry: true, now: 7).isTrial)
        let use = ring.next(isLinkTest: true, mayTry: true, now: 8)
        #expect(use.turn == .old)
        #expect(ring.acknowledged(use, now: 8) == nil)
    }

    @Test("Once old-key is taken out of the file, what was told of it ends with the first acknowledgement")
    func takenOut() {
        var ring = KeyRing(hasOld: false, oldWasInUse: true)
        let use = ring.next(isLinkTest: true, mayTry: true, now: 0)
        #expect(use == ring.next(isLinkTest: true, mayTry: true, now: .max))
        #expect(use.turn == .new && !use.isTrial)
        #expect(ring.acknowledged(use, now: 0) == .new)
        #expect(ring.second(after: use) == nil)
    }

    @Test("A message is tried once under each key; NAK counts when it goes on; many connections fail once")
    func rules() {
        var ring = KeyRing(hasOld: true)
        let first = ring.next(isLinkTest: false, mayTry: true, now: 0)
        let second = ring.second(after: first)
        #expect(second?.turn == .old)
        #expect(second.flatMap { ring.second(after: $0) } == nil)

        ring.doubted(first)
        #expect(ring.next(isLinkTest: false, mayTry: true, now: 0).turn == .new)
        ring.doubted(first)
        #expect(ring.next(isLinkTest: false, mayTry: true, now: 0).turn == .old)

        ring = KeyRing(hasOld: true)
        let uses = (0..<4).map { _ in ring.next(isLinkTest: false, mayTry: true, now: 0) }
        for use in uses { ring.failed(use) }
        #expect(ring.next(isLinkTest: false, mayTry: true, now: 0).turn == .old)
    }
}
