import Testing

@testable import Drivers

/// A contact with a counter and a latch as modules have them, read in random moments: every pulse is told once.
@Suite struct PulseWatchTests {
    private let counter = ModbusCounter(place: ModbusPlace(table: .inputRegister, register: 0))

    private func begins(_ signals: [Signal]) -> Int { signals.count { $0.reading == .active(true) } }

    @Test(arguments: [false, true], [false, true]) func everyPulseIsCountedOnce(inverted: Bool, falls: Bool) {
        for seed in UInt64(1)...200 {
            var random = Lehmer(seed)
            var counter = counter
            counter.countsFalls = falls
            var watch = PulseWatch()
            var level = inverted
            var count = UInt32(random.next(65_536))
            var activations = 0
            var told = 0
            var wasActive: Bool?
            func toggle() {
                level.toggle()
                if level != falls { count = (count + 1) & 0xFFFF }
                if level != inverted { activations += 1 }
            }
            for _ in 0..<60 {
                for _ in 0..<random.next(4) { toggle() }
                let seenCount = count
                // What happens between the two readings; the first is where counting begins.
                if wasActive != nil { for _ in 0..<random.next(3) { toggle() } }
                let isActive = level != inverted
                let pulses = watch.pulses(
                    count: seenCount, of: counter, isActive: isActive, inverted: inverted, elapsed: .milliseconds(250))
                if let wasActive {
                    told += begins(
                        PulseWatch.signals(
                            "p", from: wasActive, to: isActive, pulses: pulses, words: { $0 }, away: false))
                } else {
                    activations = 0
                }
                wasActive = isActive
            }
            // The last readings see what came between the last two.
            for _ in 0..<2 {
                let isActive = level != inverted
                let pulses = watch.pulses(
                    count: count, of: counter, isActive: isActive, inverted: inverted, elapsed: .milliseconds(250))
                told += begins(
                    PulseWatch.signals(
                        "p", from: wasActive ?? false, to: isActive, pulses: pulses, words: { $0 }, away: false))
                wasActive = isActive
            }
            #expect(told == activations, "seed \(seed)")
            #expect(!watch.countsNothing)
        }
    }

    @Test func aCountGoesOnBehindItsEnd() {
        var wide = counter
        wide.words = 2
        #expect(counter.distance(65_535, 2) == 3)
        #expect(wide.distance(.max, 2) == 3)
        #expect(wide.value([1, 2]) == 65_538)
        wide.lowFirst = true
        #expect(wide.value([1, 2]) == 131_073)
        var watch = PulseWatch()
        #expect(pulses(&watch, 65_534) == 0)
        #expect(pulses(&watch, 1) == 3)
    }

    private func pulses(_ watch: inout PulseWatch, _ count: UInt32, active: Bool = false) -> Int {
        watch.pulses(count: count, of: counter, isActive: active, inverted: false, elapsed: .milliseconds(250))
    }

    @Test func aCounterThatWasSetBackBeganAtNought() {
        var watch = PulseWatch()
        #expect(pulses(&watch, 30_000) == 0)
        #expect(pulses(&watch, 0) == 0)
        #expect(pulses(&watch, 2) == 2)
        #expect(pulses(&watch, 40_000) == 40_000)
        #expect(pulses(&watch, 3) == 3)
        // It was without power for a minute: what lies between its last count and its end was no pulse.
        #expect(pulses(&watch, 40_000) == 40_000)
        let later = watch.pulses(
            count: 2, of: counter, isActive: false, inverted: false, elapsed: .seconds(60))
        #expect(later == 2)
        #expect(pulses(&watch, 65_000) == 65_000)
        let over = watch.pulses(
            count: 100, of: counter, isActive: false, inverted: false, elapsed: .seconds(60))
        #expect(over == 636, "a count that ran over its end while the unit did not answer")
    }

    @Test func manyPulsesAreToldUpToALimitAndTheirNumberIsSaid() {
        let signals = PulseWatch.signals("p", from: false, to: false, pulses: 37, words: { "door \($0)" }, away: false)
        #expect(begins(signals) == PulseWatch.mostTold && signals.count == 20)
        #expect(signals.dropLast().last?.text == "door (37 pulses between two readings, 10 told)")
        #expect(signals.first?.text == "door (pulse between two readings)")
        let huge = PulseWatch.signals("p", from: true, to: true, pulses: .max, words: { $0 }, away: true)
        #expect(huge.count == 20 && huge.first?.reading == .active(false) && huge.last?.reading == .active(true))
    }

    @Test func aCounterThatStandsStillIsFound() {
        var watch = PulseWatch()
        var active = false
        for _ in 0..<12 {
            #expect(pulses(&watch, 7, active: active) == 0)
            active.toggle()
        }
        #expect(watch.countsNothing)
        #expect(pulses(&watch, 8, active: true) == 0)
        #expect(!watch.countsNothing)
    }

    @Test func aLatchTellsWhatNobodySaw() {
        var watch = PulseWatch()
        // Set before the first reading, and at rest: it has been active some time.
        #expect(watch.pulses(latched: true, isActive: false, wasActive: nil) == 1)
        // Not cleared yet: it is not told twice.
        #expect(watch.pulses(latched: true, isActive: false, wasActive: false) == 0)
        watch.latchIsKnown = false
        #expect(watch.pulses(latched: true, isActive: false, wasActive: false) == 1)
        #expect(watch.pulses(latched: false, isActive: false, wasActive: false) == 0)
        // Set by what is seen, and still set when that is over.
        #expect(watch.pulses(latched: true, isActive: true, wasActive: false) == 0)
        #expect(watch.pulses(latched: true, isActive: false, wasActive: true) == 0)
        watch.latchIsKnown = false
        // It rose after the latch was read, and is over now.
        #expect(watch.pulses(latched: false, isActive: true, wasActive: false) == 0)
        #expect(watch.pulses(latched: true, isActive: false, wasActive: true) == 0)
    }

    @Test(arguments: [
        ("coil 64", "coil 64"), ("holding-register 65535", "holding-register 65535"), ("coil 65536", nil),
        ("coil", nil),
        ("coil -1", nil), ("lamp 3", nil), ("", nil), ("coil 1 2", nil),
    ]) func places(text: String, read: String?) { #expect(ModbusPlace(text)?.description == read) }
}

/// Random numbers that are the same for the same seed.
private struct Lehmer {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }
    mutating func next(_ below: UInt64) -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 33) % below
    }
}
