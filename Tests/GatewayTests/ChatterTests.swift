import AlarmProtocol
import Drivers
import Testing

@testable import Gateway

/// One point of one device, driven by a table: what is stored when.
private struct Bench {
    static let point = "gpio.c.door"
    private(set) var chatter: Chatter
    private(set) var now: Int64 = 1_000_000
    var known: [String: Bool] = [:]
    /// What was stored, in words: "+" begins, "-" ends, "!" a chatter, "…" goes on, "." ends with its count.
    var told: [String] = []
    var isWatched = true
    let urgency: Urgency

    init(_ urgency: Urgency = .intrusion, changes: Int = 4, within: Duration = .seconds(60)) {
        self.urgency = urgency
        let limit = ChatterLimit(changes: changes, within: within)
        chatter = Chatter([Self.point: limit], others: limit)
    }

    private func event(_ point: String, _ active: Bool?, _ text: String, _ qualifier: Qualifier) -> NewEvent {
        var event = sample(point, qualifier == .event ? urgency : .status, text: text, qualifier: qualifier)
        event.occurred = Moment(utc: now, uptime: now, clock: .known)
        return NewEvent(event, active: active)
    }

    mutating func take(_ outcomes: [Chatter.Outcome]) {
        for outcome in outcomes {
            switch outcome {
            case .tell(let new):
                if let active = new.active { known[new.event.point] = active }
                let sign = new.active.map { $0 ? "+" : "-" } ?? "\(new.event.text)"
                told.append("\(sign)@\((new.event.occurred.uptime - 1_000_000) / 1000)")
            case .began(let point, _, _):
                known[point + Chatter.suffix] = true
                told.append("!")
            case .goesOn(_, let changes): told.append("…\(changes)")
            case .ended(let point, _, let changes, let active, _):
                known[point + Chatter.suffix] = false
                told.append(".\(changes)\(active.map { $0 ? " active" : " at rest" } ?? "")")
            }
        }
    }

    /// As the normaliser does: a change is one from what was seen last.
    mutating func becomes(_ active: Bool, point: String = Bench.point) {
        let seen = chatter.seen(point) ?? known[point] ?? false
        guard seen != active else { return }
        let known = known
        take(chatter.judge([event(point, active, "", active ? .event : .restore)], now: now) { known[$0] })
    }

    mutating func says(_ text: String, _ qualifier: Qualifier = .event) {
        take(chatter.judge([event("espa.p.call", nil, text, qualifier)], now: now) { _ in nil })
    }

    /// Time passes, and what is due is settled when it is.
    mutating func wait(_ seconds: Int64) {
        let end = now + seconds * 1000
        while let due = chatter.nextDue, due <= end {
            now = max(now, due)
            settle()
        }
        now = end
        settle()
    }

    mutating func settle() {
        let (known, isWatched) = (known, isWatched)
        take(chatter.settle(now: now, isWatched: { _ in isWatched }, known: { known[$0] }))
    }

    mutating func resume() {
        chatter.resume(Self.point, now: now)
        known[Self.point + Chatter.suffix] = true
    }

    /// "101" with a second between two changes.
    mutating func changes(_ levels: String, every seconds: Int64 = 1) {
        for level in levels {
            becomes(level == "1")
            wait(seconds)
        }
    }
}

@Suite("A contact that changes more often than anybody can act on (promises 3, 4 and 6)")
struct ChatterTests {
    @Test(
        "More than so many changes within the time are told as chatter and then counted; the last state always arrives",
        arguments: [
            // At the limit, nothing is held back.
            ("1010", ["+@0", "-@1", "+@2", "-@3"]),
            // One more: a beginning is told at once, and stands.
            ("10101", ["+@0", "-@1", "+@2", "-@3", "+@4", "!", ".1 active"]),
            // An end waits until nothing has changed for the time, and arrives with it, dated when it happened.
            ("101010", ["+@0", "-@1", "+@2", "-@3", "+@4", "!", "-@5", ".2 at rest"]),
            ("10101010101", ["+@0", "-@1", "+@2", "-@3", "+@4", "!", ".7 active"]),
            ("101010101010", ["+@0", "-@1", "+@2", "-@3", "+@4", "!", "-@11", ".8 at rest"]),
        ])
    func lastState(levels: String, expected: [String]) {
        var bench = Bench()
        bench.changes(levels)
        bench.wait(200)
        #expect(bench.told == expected)
        #expect(bench.known[Bench.point] == (levels.last == "1"))
        #expect(bench.chatter.nextDue == nil)
    }

    @Test("It may begin with an end: that one is held back as well")
    func beginsWithAnEnd() {
        var bench = Bench(changes: 5)
        bench.changes("101010")
        #expect(bench.told == ["+@0", "-@1", "+@2", "-@3", "+@4", "!"])
        bench.wait(58)
        #expect(bench.told.count == 6)
        bench.wait(1)
        #expect(bench.told.suffix(2) == ["-@5", ".1 at rest"])
    }

    @Test("Changes that come slower than the limit are no chatter, however long it goes on")
    func slow() {
        var bench = Bench()
        for _ in 0..<100 { bench.changes("10", every: 15) }
        #expect(bench.told.count == 200 && !bench.told.contains("!"))
    }

    @Test("After its end a contact is told as always again")
    func again() {
        var bench = Bench()
        bench.changes("10101")
        bench.wait(100)
        bench.told = []
        bench.changes("0101")
        #expect(bench.told.count == 4 && !bench.told.contains("!"))
    }

    @Test(
        "The count is told four times an hour while it goes on, and nothing else: a day is bounded", arguments: [1, 7])
    func bounded(every seconds: Int64) {
        var bench = Bench()
        for _ in 0..<(86_400 / seconds / 2) { bench.changes("10", every: seconds) }
        #expect(bench.told.count <= 5 + 1 + 96)
        #expect(bench.told.dropFirst(6).allSatisfy { $0.hasPrefix("…") })
        bench.wait(100)
        #expect(bench.told.last == ".\(86_400 / seconds - 4) at rest")
        #expect(bench.told.dropLast().last?.hasPrefix("-") == true)
    }

    @Test(
        "Of fire and danger an alarm that stands is told within seconds, in the midst of its chatter, as a new alarm",
        arguments: [Urgency.fire, .danger])
    func standing(urgency: Urgency) {
        var bench = Bench(urgency)
        bench.changes("10101010101")
        #expect(bench.told.last == "!")
        bench.wait(4)
        #expect(bench.told.suffix(2) == ["-@9", "+@10"])
        #expect(bench.told.count == 8)
        bench.wait(56)
        #expect(bench.told.last == ".7 active")
    }

    @Test(
        "Of fire and danger the first alarm after a rest of seconds goes at once", arguments: [Urgency.fire, .danger])
    func afterRest(urgency: Urgency) {
        var bench = Bench(urgency)
        bench.changes("1010101010")
        bench.wait(5)
        let before = bench.told.count
        bench.becomes(true)
        #expect(bench.told.dropFirst(before) == ["-@9", "+@15"])
        // Other kinds stand as active since the chatter began.
        var door = Bench(.intrusion)
        door.changes("1010101010")
        door.wait(5)
        door.becomes(true)
        #expect(door.told.last == "!" && door.known[Bench.point] == true)
    }

    @Test("An alarm is never held back for more than seconds, whatever a fire contact does", arguments: 0..<50)
    func fireIsNeverLate(seed: Int) {
        var random = Seeded(UInt64(seed))
        var bench = Bench(.fire)
        var isActive = false
        for _ in 0..<400 {
            isActive.toggle()
            bench.becomes(isActive)
            // Active or not, the centre never has it at rest while it is active.
            #expect(!isActive || bench.known[Bench.point] == true)
            let pause = [0, 1, 1, 2, 6, 20, 90].randomElement(using: &random) ?? 1
            bench.wait(Int64(pause))
            if isActive, pause > Chatter.pause / 1000 {
                // And what stands has been told with the time at which it began to stand.
                let alarm = bench.told.last { $0.hasPrefix("+") }
                #expect(alarm == "+@\((bench.now - 1_000_000) / 1000 - Int64(pause))")
            }
        }
        bench.wait(100)
        #expect(bench.known[Bench.point] == isActive)
        // Alarm and restore by turns, each no earlier than the one before.
        let states = bench.told.filter { $0.hasPrefix("+") || $0.hasPrefix("-") }
        for (index, state) in states.enumerated() { #expect(state.hasPrefix(index % 2 == 0 ? "+" : "-")) }
        let times = states.compactMap { Int($0.dropFirst(2)) }
        #expect(times == times.sorted() && times.count == states.count)
    }

    @Test("Nobody knows that a contact stands still while it cannot be read")
    func notWatched() {
        var bench = Bench()
        bench.changes("101010")
        bench.isWatched = false
        bench.wait(1000)
        #expect(bench.told.last == "…2")
        bench.isWatched = true
        bench.wait(60)
        #expect(bench.told.suffix(2) == ["-@5", ".2 at rest"])
    }

    @Test("After a restart in the midst of it, the end is told; changes go on being counted")
    func restart() {
        var bench = Bench()
        bench.known[Bench.point] = true
        bench.resume()
        bench.wait(10)
        bench.changes("0101010")
        #expect(bench.told == [])
        bench.wait(60)
        #expect(bench.told == ["-@16", ".7 at rest"])
        var still = Bench()
        still.known[Bench.point] = true
        still.resume()
        still.wait(60)
        #expect(still.told == [".0 active"])
    }

    @Test("What differs from what a panel said last is never held back; the same words again and again are counted")
    func words() {
        var bench = Bench(.fire)
        for number in 0..<500 { bench.says("Brand rum \(number % 2)") }
        #expect(bench.told.count == 500)
        bench.told = []
        for _ in 0..<100 { bench.says("Brand rum 7") }
        #expect(bench.told == ["Brand rum 7@0", "Brand rum 7@0", "Brand rum 7@0", "Brand rum 7@0", "!"])
        bench.says("Brand rum 7", .restore)
        bench.says("Brand rum 7")
        bench.says("Brand rum 7")
        #expect(bench.told.count == 7)
        // The first after a pause, of fire and danger.
        bench.wait(5)
        bench.says("Brand rum 7")
        #expect(bench.told.last == "Brand rum 7@5")
        bench.wait(60)
        #expect(bench.told.last == ".98")
        bench.says("Brand rum 7")
        #expect(bench.told.last == "Brand rum 7@65")
    }

    @Test("Another code, zone or account in the same words is another thing, and told at once")
    func sameWords() {
        var chatter = Chatter([:], others: ChatterLimit(changes: 4, within: .seconds(60)))
        func told(_ change: (inout Event) -> Void) -> Int {
            var event = sample("receiver-line.r.zone-5", .intrusion, text: "Rum 7")
            change(&event)
            return chatter.judge([NewEvent(event)], now: 1_000_000) { _ in nil }.count { outcome in
                if case .tell = outcome { true } else { false }
            }
        }
        #expect((0..<10).map { _ in told { _ in } }.reduce(0, +) == 4)
        #expect(told { ($0.sia, $0.contactID, $0.urgency) = ("FA", "110", .fire) } == 1)
        #expect(told { $0.zone = 6 } == 1 && told { $0.partition = 2 } == 1 && told { $0.account = "1234" } == 1)
    }

    @Test("Faults of a point, and a device that is lost and found again and again, have a limit of their own")
    func faults() {
        var bench = Bench(.trouble)
        for _ in 0..<200 {
            bench.becomes(true, point: "gpio.c.fault")
            bench.wait(30)
            bench.becomes(false, point: "gpio.c.fault")
            bench.wait(31)
        }
        #expect(bench.told.prefix(10).allSatisfy { $0.hasPrefix("+") || $0.hasPrefix("-") })
        #expect(bench.told[10].hasPrefix("+") && bench.told[11] == "!")
        #expect(bench.told.dropFirst(12).allSatisfy { $0.hasPrefix("…") } && bench.told.count < 30)
        bench.wait(600)
        #expect(bench.told.suffix(2).first?.hasPrefix("-") == true)
        #expect(bench.told.last == ".390 at rest")
    }

    @Test("What could not be stored is as if it had not happened")
    func refused() {
        var bench = Bench()
        bench.changes("10101010")
        let before = bench
        bench.wait(60)
        let expected = bench.told
        // The same once more from the value before: the store had taken nothing.
        var again = before
        again.wait(60)
        #expect(again.told == expected && expected.last == ".4 at rest")
    }

    @Test("Of more points than are remembered nothing is held back")
    func manyPoints() {
        var bench = Bench()
        for number in 0..<(Chatter.pointLimit + 100) { bench.becomes(true, point: "gpio.c.p\(number)") }
        bench.told = []
        for _ in 0..<10 {
            bench.becomes(false, point: "gpio.c.p\(Chatter.pointLimit + 50)")
            bench.becomes(true, point: "gpio.c.p\(Chatter.pointLimit + 50)")
        }
        #expect(bench.told.count == 20)
        // After their time they make room.
        bench.wait(60)
        bench.changes("101010")
        #expect(bench.told.contains("!"))
    }

    @Test("What is said of it: one event when it begins, one when it ends, with the count, also of a long name")
    func saidAs() throws {
        let now = Moment(utc: 1000, uptime: 10, clock: .known)
        let kind = try #require(EventKind.named("fire"))
        let point = Point(
            name: "gpio.c.smoke", account: "AB12", kind: kind, partition: 2, zone: 3,
            text: String(repeating: "Rökdetektor ", count: 10))
        let normaliser = Normaliser(
            Device(
                name: "gpio.c", driver: Unheard(), points: [point], account: "4711", partition: 0, waitForReceiver: nil)
        )
        let limit = ChatterLimit()
        let began = normaliser.event(of: .began(point: "gpio.c.smoke", limit, saysWords: false), now: now)
        #expect(began.event.point == "gpio.c.smoke.chatter" && began.active == true)
        #expect(began.event.account == "AB12" && began.event.partition == 2 && began.event.zone == 3)
        #expect(began.event.sia == "UT" && began.event.contactID == "377" && began.event.qualifier == .event)
        #expect(began.event.text.hasSuffix("… chatters: changes over 20 times in 1min, counted from now on"))
        let goesOn = normaliser.event(of: .goesOn(point: "gpio.c.smoke", changes: 123_456), now: now)
        #expect(goesOn.active == nil && goesOn.event.qualifier == .status)
        #expect(goesOn.event.text.hasSuffix("… chatters still: 123456 changes so far"))
        let ended = normaliser.event(
            of: .ended(point: "gpio.c.smoke", limit, changes: 1_234_567, active: true, sinceStart: true), now: now)
        #expect(ended.active == false && ended.event.qualifier == .restore && ended.event.sia == "UJ")
        #expect(
            ended.event.text.hasSuffix("no change for 1min, active; 1234567 changes counted since larmnod started"))
        let fault = normaliser.event(of: .began(point: "gpio.c.smoke.fault", .faults, saysWords: false), now: now)
        #expect(fault.event.point == "gpio.c.smoke.fault.chatter" && fault.event.text.hasPrefix("fault of Rök"))
        let device = normaliser.event(of: .began(point: "gpio.c.fault", .faults, saysWords: false), now: now)
        #expect(device.event.text == "gpio.c.fault chatters: changes over 10 times in 10min, counted from now on")
    }
}

private struct Unheard: Driver {
    static let name = "unheard"
    init() {}
    init(_ settings: Settings) throws {}
    func run(_ host: any Host) throws {}
}
