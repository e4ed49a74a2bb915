import Testing

@testable import Receiver

@Suite struct MisbehaviourTests {
    @Test(arguments: [
        ("drop", Misbehaviour.Fault.drop, 1...Int.max, 1),
        ("close@2", .close, 2...2, 1),
        ("nak@3-5", .nak, 3...5, 1),
        ("duh:every=3", .duh, 1...Int.max, 3),
        ("silent:every=2@10-", .silent, 10...Int.max, 2),
        ("delay:0.25", .delay(.milliseconds(250)), 1...Int.max, 1),
        ("garbage:64@1-4", .garbage(64), 1...4, 1),
        ("slow:10:every=2@3-9", .slow(10), 3...9, 2),
        ("wrong-sequence", .wrongSequence, 1...Int.max, 1),
    ])
    func reads(_ text: String, _ fault: Misbehaviour.Fault, _ frames: ClosedRange<Int>, _ every: Int) throws {
        let misbehaviour = try #require(try Misbehaviour.parse(text))
        #expect(misbehaviour.fault == fault)
        #expect(misbehaviour.frames == frames)
        #expect(misbehaviour.every == every)
        #expect("\(misbehaviour)" == text)
    }

    @Test func noneIsNone() throws { #expect(try Misbehaviour.parse("none") == nil) }

    @Test(arguments: [
        "", "nap", "nak:3", "delay", "delay:", "delay:-1", "delay:nan", "delay:1e9", "garbage:0", "garbage:x", "slow:0",
        "nak@", "nak@0", "nak@5-3", "nak@1-x", "nak:every=0", "nak:every=", "drop:1:2", "nak@1@2", "every=2", "@3",
        "none@2",
    ])
    func refusesAndSaysWhatWasExpected(_ text: String) {
        let error = #expect(throws: Misbehaviour.Unknown.self) { try Misbehaviour.parse(text) }
        #expect(error?.description.contains("Expected") == true)
        #expect(error?.description.contains("\"\(text)\"") == true)
    }

    @Test func strikesWhereItShould() throws {
        let few = try #require(try Misbehaviour.parse("nak:every=3@2-8"))
        #expect((1...12).filter(few.strikes) == [4, 7])
        let third = try #require(try Misbehaviour.parse("nak:every=3"))
        #expect((1...9).filter(third.strikes) == [3, 6, 9])
        let all = try #require(try Misbehaviour.parse("nak@2-3"))
        #expect((1...5).filter(all.strikes) == [2, 3])
    }
}
