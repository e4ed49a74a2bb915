import AlarmProtocol
import Testing

@testable import Gateway

@Suite("Alarms that must be acknowledged in time (EN 54-21)")
struct ReceptionWatchTests {
    private func watch() -> ReceptionWatch { ReceptionWatch(["smoke": 100_000, "heat": 240_000, "door": nil]) }

    @Test("Acknowledged in time: received until the point is at rest, and nothing to tell")
    func inTime() {
        var watch = watch()
        watch.began(1, of: "smoke", since: 1000)
        #expect(watch.received.isEmpty && watch.changes(at: 100_999).isEmpty)
        watch.ended(1, isAcknowledged: true)
        #expect(watch.received == ["smoke"] && watch.changes(at: 500_000).isEmpty)
        watch.rests("smoke")
        #expect(watch.received.isEmpty)
    }

    @Test("Not in time: told once, and its end once when a receiver has acknowledged it")
    func late() {
        var watch = watch()
        watch.began(1, of: "smoke", since: 1000)
        watch.began(2, of: "heat", since: 2000)
        #expect(!watch.isOverdue(at: 100_999) && watch.isOverdue(at: 101_000))
        #expect(
            watch.changes(at: 101_000) == [
                .init(
                    point: "smoke", isOverdue: true, event: 1, limit: 100_000, isAgeKnown: true, wasAcknowledged: true)
            ])
        #expect(watch.changes(at: 150_000).isEmpty && watch.overduePoints(at: 150_000) == ["smoke"])
        #expect(
            watch.overduePoints(at: 242_000) == ["heat", "smoke"]
                && watch.overdueEvents(at: 242_000).sorted() == [1, 2])
        // At rest again does not mean that anybody knows of it.
        watch.rests("smoke")
        #expect(watch.isOverdue(at: 150_000))
        watch.ended(1, isAcknowledged: true)
        #expect(watch.isOverdue(at: 150_000), "until its end has been told")
        #expect(watch.changes(at: 150_000).map(\.isOverdue) == [false])
        #expect(!watch.isOverdue(at: 150_000) && watch.received.isEmpty)
    }

    @Test("Of several alarms of a point, the oldest that waits decides; the newest is the present one")
    func several() {
        var watch = watch()
        for id in 1...3 { watch.began(Int64(id), of: "smoke", since: Int64(id) * 1000) }
        watch.began(2, of: "smoke", since: 0)  // met a second time
        watch.ended(1, isAcknowledged: true)
        #expect(watch.received.isEmpty, "the present alarm is the third")
        #expect(!watch.isOverdue(at: 101_999) && watch.isOverdue(at: 102_000))
        watch.ended(3, isAcknowledged: true)
        #expect(watch.received == ["smoke"] && watch.isOverdue(at: 102_000))
        watch.ended(2, isAcknowledged: false)
        #expect(!watch.isOverdue(at: 102_000) && watch.received == ["smoke"])
    }

    @Test("A point without a time limit is shown as received, and never overdue; one that is not watched is nothing")
    func without() {
        var watch = watch()
        watch.began(1, of: "door", since: 0)
        watch.began(2, of: "window", since: 0)
        #expect(!watch.isOverdue(at: .max / 2))
        watch.ended(1, isAcknowledged: true)
        watch.ended(2, isAcknowledged: true)
        #expect(watch.received == ["door"])
    }

    @Test("After a start: what was received still is, what was told overdue is ended when nothing waits")
    func resumed() {
        var watch = watch()
        watch.resume(5, of: "smoke", isReceived: true)
        watch.resumeTold("heat")
        #expect(watch.received == ["smoke"] && watch.isOverdue(at: 0))
        #expect(watch.changes(at: 0).map { "\($0.point) \($0.isOverdue)" } == ["heat false"])
        #expect(!watch.isOverdue(at: 0))
        // One that waits since before is not what the point says now.
        watch.began(4, of: "smoke", since: 0, isPresent: false)
        #expect(watch.received == ["smoke"])
    }

    struct Age: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var boot: Int64 = 1
        var occurredUptime: Int64 = 1000
        var clockThen = ClockQuality.known
        var clockNow = ClockQuality.known
        var nowUptime: Int64 = 61_000
        /// Wall clock, milliseconds from storing to now.
        var wall: Int64 = 60_000
        var since: Int64
        var isKnown = true
    }

    @Test(
        "How old an event is that waits at a start: by the uptime of the same boot, else by a clock that was known, else not known",
        arguments: [
            Age(testDescription: "same boot", since: 1000),
            Age(testDescription: "same boot, clock unknown", clockThen: .unknown, clockNow: .unknown, since: 1000),
            Age(testDescription: "same boot, clock stepped", wall: -9_999_999, since: 1000),
            Age(testDescription: "another boot", boot: 2, nowUptime: 5000, wall: 60_000, since: -55_000),
            Age(testDescription: "another boot, clock stepped back", boot: 2, nowUptime: 5000, wall: -10, since: 5000),
            Age(
                testDescription: "another boot, clock unknown then", boot: 2, clockThen: .unknown, nowUptime: 5000,
                since: 5000, isKnown: false),
            Age(
                testDescription: "another boot, clock unknown now", boot: 2, clockNow: .unknown, nowUptime: 5000,
                since: 5000, isKnown: false),
            Age(
                testDescription: "the same boot's number by chance", occurredUptime: 90_000, nowUptime: 5000,
                wall: 60_000, since: -55_000),
        ])
    func age(example: Age) {
        var event = sample("smoke", .fire)
        event.occurred = Moment(utc: 1_000_000, uptime: example.occurredUptime, clock: example.clockThen)
        let stored = StoredEvent(
            id: 1, event: event, state: .waiting, active: true, stored: 1_000_000, boot: example.boot, tries: 0)
        let now = Moment(utc: 1_000_000 + example.wall, uptime: example.nowUptime, clock: example.clockNow)
        let age = ReceptionWatch.age(of: stored, boot: 1, now: now)
        #expect(age.since == example.since && age.isKnown == example.isKnown)
    }
}
