import Testing

@testable import Drivers

/// Times in the tests are milliseconds.
private func ms(_ time: Int) -> Int64 { Int64(time) * 1_000_000 }

/// A contact that was at rest (0) long ago.
private func atRest(debounce: Int = 30) -> Contact {
    var contact = Contact(level: false, at: 0, debounce: ms(debounce))
    _ = contact.observe(edges: [], level: false, lost: false, at: ms(debounce))
    return contact
}

extension Contact {
    fileprivate mutating func see(
        _ edges: [(Int, Bool)] = [], level: Bool, lost: Bool = false, at now: Int
    ) -> [Change] {
        observe(edges: edges.map { Edge(at: ms($0.0), level: $0.1) }, level: level, lost: lost, at: ms(now))
    }
}

@Suite struct ContactTests {
    @Test func firstLevelIsToldWhenItHasStoodStill() {
        var contact = Contact(level: true, at: 0, debounce: ms(30))
        #expect(contact.see(level: true, at: 10) == [])
        #expect(contact.deadline == ms(30))
        #expect(contact.see(level: true, at: 30) == [.calm(at: 0), .level(true, since: 0)])
        #expect(contact.deadline == nil)
        #expect(contact.see(level: true, at: 2000) == [])
    }

    @Test func bounceIsOneChangeAtTheLastEdge() {
        var contact = atRest()
        #expect(contact.see([(100, true), (103, false), (105, true)], level: true, at: 106) == [])
        #expect(contact.see(level: true, at: 135) == [.level(true, since: ms(105))])
    }

    @Test func shorterThanTheDebounceIsNothing() {
        var contact = atRest()
        #expect(contact.see([(100, true), (129, false)], level: false, at: 130) == [])
        #expect(contact.see(level: false, at: 300) == [])
    }

    @Test func aPulseReadLateAndWholeIsTold() {
        var contact = atRest()
        #expect(
            contact.see([(100, true), (140, false)], level: false, at: 500)
                == [.level(true, since: ms(100)), .level(false, since: ms(140))])
    }

    @Test(arguments: [(29, 0), (30, 2), (31, 2)]) func pulseLength(length: Int, changes: Int) {
        var contact = atRest()
        #expect(contact.see([(100, true), (100 + length, false)], level: false, at: 500).count == changes)
    }

    @Test func withoutDebounceEveryEdgeCounts() {
        var contact = atRest(debounce: 0)
        #expect(
            contact.see([(100, true), (101, false), (102, true)], level: true, at: 102)
                == [.level(true, since: ms(100)), .level(false, since: ms(101)), .level(true, since: ms(102))])
        #expect(contact.deadline == nil)
    }

    @Test func theLevelIsBelievedWhenAnEdgeIsMissing() {
        var contact = atRest()
        #expect(contact.see(level: true, at: 2000) == [])
        #expect(contact.see(level: true, at: 2030) == [.level(true, since: ms(2000))])
    }

    @Test func theEdgeThatComesAfterItsLevelChangesNothing() {
        var contact = atRest()
        #expect(contact.see(level: true, at: 2000) == [])
        #expect(contact.see([(1999, true)], level: true, at: 2001) == [])
        #expect(contact.see(level: true, at: 2030) == [.level(true, since: ms(2000))])
    }

    /// 25 edges unread, of which the kernel kept 16: the last one kept says 0, the line stands at 1.
    @Test func overflowEndsWithTheTrueLevel() {
        var contact = atRest()
        let kept = (0..<16).map { (100 + $0, $0 % 2 == 0) }
        #expect(kept.last?.1 == false)
        #expect(contact.see(kept, level: true, lost: true, at: 126) == [])
        #expect(contact.see(level: true, at: 156) == [.level(true, since: ms(126))])
    }

    @Test func whatMayHaveBeenMissedIsAFault() {
        var contact = atRest()
        let kept = (0..<16).map { (100 + $0, $0 % 2 == 0) }
        let changes = contact.see(kept, level: false, lost: true, at: 1115)
        #expect(
            changes == [
                .restless(
                    "it changed more often than could be read; changes of up to 1000 ms were missed", at: ms(1115))
            ])
        #expect(contact.see(level: false, at: 1145) == [])
        #expect(contact.deadline == ms(1115) + Contact.recovery)
        #expect(contact.see(level: false, at: 11_115) == [.calm(at: ms(11_115))])
        #expect(contact.deadline == nil)
    }

    /// What a line was between the edges that are known is not known, so nothing is made of it: neither that it stood, nor
    /// that it moved.
    @Test(arguments: [(29, false), (30, true), (500, true)]) func whatWasLostBeforeAnEdgeIsNoLevel(
        gap: Int, isFault: Bool
    ) {
        var contact = atRest()
        #expect(contact.see([(100, true)], level: true, at: 101) == [])
        let after = Contact.Edge(at: ms(100 + gap), level: false, isAfterGap: true)
        let changes = contact.observe(edges: [after], level: false, lost: false, at: ms(101 + gap))
        let why = "it changed more often than could be read; changes of up to \(gap) ms were missed"
        #expect(changes == (isFault ? [.restless(why, at: ms(100 + gap))] : []))
        #expect(contact.see(level: false, at: 2000) == [])
        #expect(contact.told == false)
    }

    @Test func theLevelAfterAGapIsTold() {
        var contact = atRest()
        let after = Contact.Edge(at: ms(100), level: true, isAfterGap: true)
        #expect(
            contact.observe(edges: [after], level: true, lost: false, at: ms(140)).last == .level(true, since: ms(100)))
    }

    /// Every line is looked at each 2 seconds: one that is to stand for longer is not in fault for that.
    @Test(arguments: [2000, 3000, 5000]) func aLongDebounceIsNoChatter(debounce: Int) {
        var contact = Contact(level: false, at: 0, debounce: ms(debounce))
        var changes: [Contact.Change] = []
        for time in stride(from: 500, through: 6500, by: 500) { changes += contact.see(level: false, at: time) }
        #expect(changes == [.calm(at: 0), .level(false, since: 0)])
        changes = contact.see([(7000, true)], level: true, at: 7000)
        for time in stride(from: 7500, through: 12_500, by: 500) { changes += contact.see(level: true, at: time) }
        #expect(changes == [.level(true, since: ms(7000))])
        // And one that never stands so long is.
        for time in stride(from: 13_000, through: 33_000, by: 500) {
            changes += contact.see([(time, time / 500 % 2 == 0)], level: time / 500 % 2 == 0, at: time)
        }
        #expect(changes.count == 2)
    }

    @Test func chatterIsOneFaultAndOneRecovery() {
        var contact = atRest()
        var changes: [Contact.Change] = []
        for time in stride(from: 1000, to: 9000, by: 20) {
            let level = time / 20 % 2 == 1
            changes += contact.see([(time, level)], level: level, at: time)
        }
        #expect(changes == [.restless("it has not stood still for 30 ms in 2 s", at: ms(3000))])
        #expect(contact.see(level: true, at: 9100) == [.level(true, since: ms(8980))])
        #expect(contact.see(level: true, at: 18_979) == [])
        #expect(contact.see(level: true, at: 18_981) == [.calm(at: ms(18_981))])
    }

    @Test func aClockThatStepsBackHarmsNothing() {
        var contact = atRest()
        #expect(contact.see([(50_000, true), (3, false)], level: false, at: 100) == [])
        #expect(contact.see(level: false, at: 200) == [])
        #expect(contact.told == false)
    }

    /// Whatever the edges, once the line stands still its level is what was told last.
    @Test(arguments: 0..<200) func theFinalLevelIsAlwaysTold(seed: UInt64) {
        var random = Sequence(seed: seed)
        var contact = Contact(level: random.bit(), at: 0, debounce: ms(30))
        var now = 0
        var level = false
        var last: Bool?
        for _ in 0..<200 {
            var edges: [(Int, Bool)] = []
            for _ in 0..<random.below(18) {
                now += random.below(60)
                level.toggle()
                edges.append((now, level))
            }
            let lost = edges.count >= 16
            for change in contact.see(Array(edges.prefix(16)), level: level, lost: lost, at: now) {
                if case .level(let told, _) = change {
                    #expect(told != last, "the same state told twice")
                    last = told
                }
            }
        }
        for change in contact.see(level: level, at: now + 30) {
            if case .level(let told, _) = change { last = told }
        }
        #expect(last == level)
        #expect(contact.told == level)
    }
}

/// Numbers from a seed (SplitMix64).
private struct Sequence {
    var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }
    mutating func bit() -> Bool { next() & 1 == 1 }
}
