import AlarmProtocol
import Testing

@testable import Gateway

@Suite("Troubles of a path that is not configured any more")
struct RemovedPathsTests {
    @Test("Each is told as ended, under its own point and kind; those of present paths and everything else stand")
    func endings() throws {
        let states = [
            "path.mobile": true, "path.mobile.certificate": true, "path.mobile.key": true, "path.mobile.replies": true,
            "larmnod.clock.mobile": true, "path.old": false, "path.fibre": true, "larmnod.clock.fibre": true,
            "larmnod.clock": true, "larmnod.disk": true, "gpio.cabinet.path": true,
        ]
        let now = Moment(utc: 1_790_000_000_000, uptime: 5, clock: .known)
        let endings = RemovedPaths.endings(of: states, paths: ["fibre"], account: "4711", now: now)
        let events = endings.compactMap { $0.event(account: "4711", now: now) { states[$0] } }
        #expect(
            events.map(\.event.point) == [
                "larmnod.clock.mobile", "path.mobile", "path.mobile.certificate", "path.mobile.key",
                "path.mobile.replies",
            ])
        #expect(events.allSatisfy { $0.active == false && $0.event.qualifier == .restore })
        #expect(events[1].event.sia == EventKind.named("path-down")?.codes(began: false)?.sia)
    }
}
