import AlarmProtocol
import Testing

@testable import Gateway

@Suite("One screen of status")
struct StatusScreenTests {
    private func status(devices: Int = 1, lost: Int = 0) -> SiteStatus {
        SiteStatus(
            site: "Furutorpsskolan", account: "4711", version: "1", running: 90_000, now: 1_795_412_942_586,
            clockIsKnown: true, waiting: 0, mostUrgent: nil, oldestWaits: nil, parked: 0, storeTrouble: nil,
            paths: [
                .init(
                    name: "fibre", receiver: "centre-a", address: "a:1", state: "works", why: nil, lastAnswer: 3,
                    roundTrip: 12, clockOffset: 0, acknowledged: 5, failures: 0, encrypted: true)
            ],
            devices: (0..<devices).map {
                .init(
                    name: "modbus.unit-with-a-rather-long-name-\($0)", state: $0 < lost ? "lost" : "answers",
                    why: $0 < lost ? String(repeating: "no answer ", count: 20) : nil, points: 4)
            },
            points: [.init(name: "gpio.c.door", text: "Dörr", kind: "burglary", state: "active", zone: 7)])
    }

    @Test("It fits 80 columns and 24 lines, however much there is", arguments: [1, 10, 100])
    func fits(devices: Int) {
        let lines = StatusScreen.lines(status(devices: devices, lost: devices / 2))
        #expect(lines.count <= 23)  // the prompt needs one
        #expect(lines.allSatisfy { $0.count <= 80 })
        if devices == 100 { #expect(lines.last?.contains("more lines") == true) }
        #expect(StatusScreen.lines(status(devices: devices), all: true).count == 3 + 3 + devices)
    }

    @Test("A path that works with its old key, or among strange replies, needs a look")
    func keysAndReplies() {
        var status = status()
        status.paths[0].keyInUse = "new"
        #expect(StatusScreen.lines(status, all: true).contains { $0.hasPrefix("ok") && $0.contains("path fibre") })
        status.paths[0].keyInUse = "old"
        #expect(
            StatusScreen.lines(status, all: true).contains {
                $0.hasPrefix("CHECK") && $0.contains("with the old key: the new one is not taken yet")
            })
        status.paths[0].strange = "a plain ACK to an encrypted message\u{1B}[2J"
        let line = StatusScreen.lines(status, all: true).first { $0.hasPrefix("CHECK") }
        #expect(line?.contains("but strange replies: a plain ACK to an encrypted message·[2J") == true)
    }

    @Test("What a panel or a peer says cannot steer the terminal, nor push a line over its end")
    func hostileTexts() {
        var status = status(devices: 1, lost: 1)
        status.site = "\u{1B}]0;evil\u{07}\u{9B}2J\r\nALL WELL"
        status.devices[0].why = "\u{1B}[2Jgone\u{202E}\u{2028}\t" + String(repeating: "火災", count: 100)
        status.points[0].text = "Dörr 日本語 👩‍🚒 é"
        for all in [false, true] {
            let text = StatusScreen.lines(status, all: all).joined()
            #expect(!text.unicodeScalars.contains { $0.value < 0x20 || (0x7F..<0xA0).contains($0.value) })
            #expect(!text.contains("\u{202E}") && !text.contains("\u{2028}"))
            #expect(text.contains("Dörr 日本語 👩‍🚒 é"))
        }
        #expect(StatusScreen.lines(status).allSatisfy { $0.columns <= 80 })
        #expect(StatusScreen.lines(status).contains { $0.columns >= 79 && $0.hasSuffix("…") })
        #expect("日本語".columns == 6 && "åäö".columns == 3 && "e\u{301}".columns == 1)
        #expect("日本語".fitted(to: 4) == "日…" && "abcd".fitted(to: 4) == "abcd" && "".fitted(to: 3) == "")
    }

    @Test("The worst first, and the verdict on top")
    func worstFirst() {
        let lines = StatusScreen.lines(status(devices: 2, lost: 1))
        #expect(lines[1].hasPrefix("2 THINGS NEED ATTENTION"))
        #expect(lines[3].hasPrefix("FAULT") && lines[4].hasPrefix("ACTIVE") && lines[5].hasPrefix("ok"))
    }

    @Test("An output that cannot be driven, an alarm that is overdue, test mode: each has its line")
    func ownDoings() {
        var status = status()
        status.outputs = [
            .init(name: "gpio.r.relay", shows: "transmission-fault", on: true, fault: false),
            .init(name: "gpio.r.lamp", shows: "received gpio.c.smoke", on: false, fault: true),
        ]
        status.overdue = ["gpio.c.smoke"]
        let running = TestMode.Running(person: "anna", why: "årsprov", until: 180_000)
        status.testMode = TestModeState(running, at: Moment(utc: 0, uptime: 0, clock: .known))
        let lines = StatusScreen.lines(status)
        for start in [
            "ok       gpio.r.relay                on, shows transmission-fault",
            "FAULT    gpio.r.lamp                 cannot be driven; off, shows received",
            "FAULT    gpio.c.smoke                not acknowledged within its time limit",
            "CHECK    test mode                   by anna, 3 min left; all is sent: årsprov",
        ] { #expect(lines.contains { $0.hasPrefix(start) }, "\(start)\n\(lines.joined(separator: "\n"))") }
        #expect(lines[1].hasPrefix("4 THINGS NEED ATTENTION"), "\(lines[1])")
    }

    @Test(
        "Times are written as people read them",
        arguments: [
            (0, "1970-01-01 00:00:00"), (951_782_400_000, "2000-02-29 00:00:00"),
            (1_795_412_942_586, "2026-11-23 05:49:02"), (-1000, "1969-12-31 23:59:59"),
            (4_107_542_399_000, "2100-02-28 23:59:59"), (4_107_542_400_000, "2100-03-01 00:00:00"),
        ] as [(Int64, String)])
    func times(milliseconds: Int64, text: String) { #expect(StatusScreen.utc(milliseconds) == text) }
}
