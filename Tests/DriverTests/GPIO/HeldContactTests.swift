import AlarmProtocol
import Testing

@testable import Drivers

private func ms(_ time: Int) -> Int64 { Int64(time) * 1_000_000 }

extension HeldContact {
    fileprivate mutating func see(_ edges: [(Int, Bool)] = [], level: Bool, at now: Int) -> [Contact.Change] {
        observe(edges: edges.map { Contact.Edge(at: ms($0.0), level: $0.1) }, level: level, lost: false, at: ms(now))
    }
}

@Suite struct HeldContactTests {
    private func atRest(hold: Int = 400) -> HeldContact {
        var contact = HeldContact(level: false, at: 0, debounce: ms(30), hold: ms(hold))
        #expect(contact.see(level: false, at: 30) == (hold == 0 ? [.calm(at: 0), .level(false, since: 0)] : []))
        if hold > 0 { #expect(contact.see(level: false, at: hold) == [.calm(at: 0), .level(false, since: 0)]) }
        return contact
    }

    @Test(arguments: [(399, 0), (400, 2), (401, 2)]) func aChangeMustLast(length: Int, changes: Int) {
        var contact = atRest()
        // Read in time, and late and together.
        #expect(contact.see([(1000, true), (1000 + length, false)], level: false, at: 3000).count == changes)
        var watched = atRest()
        var count = watched.see([(1000, true)], level: true, at: 1000).count
        for time in stride(from: 1001, to: 1000 + length, by: 1) { count += watched.see(level: true, at: time).count }
        count += watched.see([(1000 + length, false)], level: false, at: 1000 + length).count
        count += watched.see(level: false, at: 3000).count
        #expect(count == changes)
    }

    @Test func itIsSaidSinceTheLastEdge() {
        var contact = atRest()
        #expect(contact.see([(1000, true), (1003, false), (1005, true)], level: true, at: 1006) == [])
        #expect(contact.deadline == ms(1035))
        #expect(contact.see(level: true, at: 1035) == [])
        #expect(contact.deadline == ms(1405))
        #expect(contact.see(level: true, at: 1404) == [])
        #expect(contact.see(level: true, at: 1405) == [.level(true, since: ms(1005))])
        #expect(contact.deadline == nil)
    }

    /// A bounce within the hold time does not begin it anew.
    @Test func aShortBounceDoesNotBeginItAnew() {
        var contact = atRest()
        _ = contact.see([(1000, true)], level: true, at: 1040)
        #expect(contact.see([(1200, false), (1202, true)], level: true, at: 1250) == [])
        #expect(contact.see(level: true, at: 1400) == [.level(true, since: ms(1000))])
    }

    /// On and off for 200 ms each, for ever: no change lasts 400 ms, and that is a fault, not silence.
    @Test func whatNeverLastsIsAFault() {
        var contact = atRest()
        var changes: [Contact.Change] = []
        for step in 0..<30 {
            let time = 1000 + step * 200
            changes += contact.see([(time, step % 2 == 0)], level: step % 2 == 0, at: time)
            for later in 1...19 { changes += contact.see(level: step % 2 == 0, at: time + later * 10) }
        }
        #expect(changes.count == 1, "\(changes)")
        guard case .restless(let why, _)? = changes.first else { return }
        #expect(why.contains("not stood still for 400 ms"))
        #expect(contact.see(level: false, at: 7300) == [.level(false, since: ms(6800))] || contact.told == false)
        let calm = contact.see(level: false, at: 30_000)
        #expect(calm.count == 1, "\(calm)")
    }

    @Test func withoutHoldItIsAContact() {
        var contact = atRest(hold: 0)
        #expect(contact.see([(100, true)], level: true, at: 131) == [.level(true, since: ms(100))])
        #expect(contact.told == true)
    }

    /// Whatever the edges, once the line stands still its level is what was told last, and nothing is told twice.
    @Test(arguments: 0..<100) func theFinalLevelIsAlwaysTold(seed: Int) {
        var random = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 | 1
        func below(_ limit: UInt64) -> Int {
            random ^= random << 13
            random ^= random >> 7
            random ^= random << 17
            return Int(random % limit)
        }
        var contact = HeldContact(level: false, at: 0, debounce: ms(30), hold: ms(300))
        var now = 0
        var level = false
        var last: Bool?
        func note(_ changes: [Contact.Change]) {
            for change in changes {
                if case .level(let told, _) = change {
                    #expect(told != last)
                    last = told
                }
            }
        }
        for _ in 0..<100 {
            var edges: [(Int, Bool)] = []
            for _ in 0..<below(5) {
                now += below(600)
                level.toggle()
                edges.append((now, level))
            }
            note(contact.see(edges, level: level, at: now))
        }
        note(contact.see(level: level, at: now + 31))
        note(contact.see(level: level, at: now + 400))
        #expect(last == level && contact.told == level)
    }
}

@Suite struct SupplyWatchTests {
    private func contacts() throws -> [ContactSettings] {
        let contacts = [("fire", "normally-closed"), ("fault", "fail-safe"), ("door", "normally-open")]
        let tables = contacts.enumerated().map { index, contact -> (String, [(String, SettingNode.Value)]) in
            (
                contact.0,
                [
                    ("chip", .string("c")), ("line", .integer(Int64(index))), ("contact", .string(contact.1)),
                    ("supply", .string("24v")),
                ]
            )
        }
        let (settings, problems) = table("device.gpio.cabinet", [pointTables(tables)])
        let driver = try GPIODriver(settings)
        #expect(problems.all.isEmpty)
        return driver.points.map(\.contact)
    }

    private let now = Moment(utc: 1, uptime: 1, clock: .known)

    /// Time in milliseconds, contact, and whether it is closed from then on; what is reported after the last.
    private func said(_ steps: [(Int, String, Bool)]) throws -> [Signal.Reading] {
        var watch = SupplyWatch("24v", try contacts())
        return steps.compactMap { time, point, isClosed in
            watch.take(point, isClosed: isClosed, since: Int64(time) * 1_000_000)
            return watch.report(occurred: now)?.reading
        }
    }

    private let rest = [(0, "fire", true), (0, "fault", true), (0, "door", false)]

    @Test func contactsThatOpenTogetherHaveACommonCause() throws {
        #expect(try said(rest) == [.active(false)])
        #expect(
            try said(rest + [(5000, "fire", false), (5900, "fault", false), (9000, "fault", true)])
                == [.active(false), .active(true), .active(false)])
        // Apart, they are an alarm, and later a fault.
        #expect(try said(rest + [(5000, "fire", false), (6001, "fault", false)]) == [.active(false)])
        // A contact that is closed has a supply.
        #expect(
            try said(rest + [(4000, "door", true), (5000, "fire", false), (5100, "fault", false)]) == [.active(false)])
        #expect(
            try said(
                rest + [(4000, "door", true), (5000, "fire", false), (5100, "fault", false), (5200, "door", false)])
                == [.active(false), .active(true)])
    }

    @Test func whatWasOpenAtTheStartMayHaveOpenedTogether() throws {
        #expect(try said([(0, "fire", false), (0, "fault", false), (0, "door", false)]) == [.active(true)])
        #expect(
            try said([(0, "fire", false), (0, "fault", true), (0, "door", false), (900, "fault", false)])
                == [.active(false)])
        // Nothing is said before all are known.
        #expect(try said([(0, "fire", false), (0, "fault", false)]) == [])
    }

    @Test func whatIsWrongIsTold() throws {
        let line: (Int64) -> [(String, SettingNode.Value)] = {
            [("chip", .string("c")), ("line", .integer($0)), ("contact", .string("normally-open"))]
        }
        let cases: [([(String, [(String, SettingNode.Value)])], String)] = [
            ([("a", line(1) + [("supply", .string("24v"))])], "at least two points"),
            ([("a", line(1) + [("supply", .string("24 V"))])], "a name of 1 to 32 letters"),
            ([("supply-x", line(1)), ("b", line(2) + [("supply", .string("x"))])], "reports by this name"),
            ([("a", line(1) + [("hold", .string("2s"))])], "a time from 0s to 1s"),
            ([("a", line(1) + [("hold", .string("400ms")), ("kind", .string("fire"))])], "at most 100ms"),
        ]
        for (tables, words) in cases {
            let (settings, problems) = table("device.gpio.cabinet", [pointTables(tables)])
            _ = try GPIODriver(settings)
            #expect(problems.all.contains { $0.message.contains(words) }, "\(words): \(problems.all)")
        }
    }
}

private func pointTables(_ tables: [(String, [(String, SettingNode.Value)])]) -> (String, SettingNode.Value) {
    points(tables)
}
