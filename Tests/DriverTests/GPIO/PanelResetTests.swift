import Testing

@testable import Drivers

private func ms(_ time: Int) -> Int64 { Int64(time) * 1_000_000 }
private func level(_ level: Bool, _ time: Int) -> Contact.Change { .level(level, since: ms(time)) }

@Suite struct PanelResetTests {
    private func told(_ changes: [Contact.Change], within: Int = 5000, until end: Int = 100_000) -> [PanelReset.Told] {
        var reset = PanelReset(within: ms(within), activeLevel: true)
        var told: [PanelReset.Told] = []
        for change in changes {
            if case .level(_, let since) = change { told += reset.take([change], at: since) }
        }
        told += reset.take([], at: ms(end))
        // What is read late and together is told alike.
        var late = PanelReset(within: ms(within), activeLevel: true)
        #expect(late.take(changes, at: ms(end)) == told)
        return told
    }

    @Test func aContactThatComesBackIsOneAlarmRaisedAgain() {
        let changes = [level(false, 0), level(true, 1000), level(false, 60_000), level(true, 63_000)]
        #expect(
            told(changes) == [
                .change(level(false, 0)), .change(level(true, 1000)), .again(at: ms(63_000), after: ms(3000)),
            ])
        #expect(told(changes, within: 0) == changes.map { .change($0) })
    }

    @Test(arguments: [4999, 5000, 5001]) func theEndThatLastsIsAnEnd(length: Int) {
        let changes = [level(false, 0), level(true, 1000), level(false, 60_000), level(true, 60_000 + length)]
        let again = PanelReset.Told.again(at: ms(60_000 + length), after: ms(length))
        #expect(
            told(changes).dropFirst(2)
                == (length < 5000 ? [again] : [.change(level(false, 60_000)), .change(level(true, 60_000 + length))]))
    }

    @Test func theEndIsToldInTime() {
        var reset = PanelReset(within: ms(5000), activeLevel: false)
        #expect(reset.take([level(false, 10)], at: ms(10)) == [.change(level(false, 10))])
        #expect(reset.take([level(true, 1000)], at: ms(1000)) == [] && reset.deadline == ms(6000))
        #expect(reset.take([], at: ms(5999)) == [])
        #expect(reset.take([], at: ms(6000)) == [.change(level(true, 1000))] && reset.deadline == nil)
    }

    /// A first reading at rest is told at once, and faults always are.
    @Test func onlyTheEndOfAnAlarmIsHeldBack() {
        var reset = PanelReset(within: ms(5000), activeLevel: true)
        #expect(
            reset.take([.calm(at: 0), level(false, 0)], at: 0) == [.change(.calm(at: 0)), .change(level(false, 0))])
        _ = reset.take([level(true, 1000), level(false, 2000)], at: ms(2000))
        #expect(reset.take([.restless("x", at: ms(3000))], at: ms(3000)) == [.change(.restless("x", at: ms(3000)))])
    }
}
