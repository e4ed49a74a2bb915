import AlarmProtocol
import Drivers
import Foundation
import Testing

@testable import Gateway

@Suite("Watching a device's line") struct WatchTests {
    private static let at = Moment(utc: 1_795_000_000_123, uptime: 5000, clock: .known)

    private func passage(_ bytes: [UInt8], _ text: String, at: Moment = Self.at) -> WatchedLine {
        WatchedLine("espa.panel", Passage(.received, bytes, text), at: at)
    }

    @Test("Nobody watches: nothing is kept. A slow watcher loses what is too much, and is told how many")
    func bounded() {
        let watch = LineWatch()
        #expect(!watch.isWatched)
        let (one, other) = (Watcher(), Watcher())
        watch.add(one)
        watch.add(other)
        #expect(watch.isWatched)
        let sight = Sight(device: "d", at: Self.at, what: .passed(Passage(.received, [1, 2], "poll")))
        for _ in 0..<Watcher.Limit.sights + 7 { watch.tell(sight) }
        let (sights, lost) = one.take()
        #expect(sights.count == Watcher.Limit.sights && lost == 7)
        #expect(one.take().sights.isEmpty && one.take().lost == 0)
        let large = Passage(.received, [UInt8](repeating: 0, count: 100_000), "")
        for _ in 0..<5 { watch.tell(Sight(device: "d", at: Self.at, what: .passed(large))) }
        #expect(one.take().sights.count == 2, "in bytes as well")
        watch.remove(one)
        #expect(watch.isWatched)
        watch.remove(other)
        #expect(!watch.isWatched)
        watch.tell(sight)
        #expect(one.take().sights.isEmpty)
    }

    @Test("A screen has at most 80 columns, whatever a panel says, and nothing in it steers the terminal")
    func columns() {
        let texts = [
            "poll", String(repeating: "ordlös", count: 80), String(repeating: "火災 ", count: 60),
            "\u{1B}[2J\n\r\u{202E}x",
            "", String(repeating: "a b ", count: 300),
        ]
        for text in texts {
            for count in [0, 1, 8, 9, 33, 2048] {
                for hex in [false, true] {
                    var screen = LineScreen(hexadecimal: hex, all: true, namesDevices: true)
                    let bytes = (0..<count).map { UInt8($0 & 255) }
                    let rows = screen.rows(passage(bytes, text))
                    #expect(!rows.isEmpty && rows.allSatisfy { $0.columns <= 80 }, "\(rows)")
                    #expect(rows.allSatisfy { !$0.unicodeScalars.contains { $0.value < 0x20 || $0 == "\u{202E}" } })
                    if !hex { #expect(rows.count <= 8) }
                }
            }
        }
    }

    @Test("The bytes stand beside what they mean; a long frame is folded; repeats are counted")
    func layout() {
        var screen = LineScreen()
        let row = "11:06:40.123 < 04 32 05" + String(repeating: " ", count: 16) + "poll"
        #expect(screen.rows(passage([0x04, 0x32, 0x05], "poll")) == [row])
        #expect(screen.rows(passage([0x04, 0x32, 0x05], "poll")) == [])
        #expect(screen.rows(passage([0x04, 0x32, 0x05], "poll")) == [])
        let rows = screen.rows(passage((0..<60).map { UInt8($0) }, "a long one"))
        #expect(rows[0] == "               … 2 as before")
        #expect(rows[1].hasSuffix("00 01 02 03 04 05 06 07 a long one"))
        #expect(rows.count == 5 && rows[4].hasSuffix("… 36 more (--hex)"))
        // An answer that is as before is shown with what it answers, and counted with what is counted.
        let ack = WatchedLine("espa.panel", Passage(.sent, [6], "ACK"), at: Self.at)
        #expect(screen.rows(ack).count == 1)
        #expect(screen.rows(passage([9], "new")).count == 1 && screen.rows(ack).count == 1)
        #expect(screen.rows(passage([9], "new")) == [] && screen.rows(ack) == [])
        #expect(screen.takeRepeats() == ["               … 2 as before"])
        var late = Self.at
        late.uptime += 20_000
        #expect(screen.rows(passage([0x04, 0x32, 0x05], "poll")) == [])
        #expect(screen.rows(passage([0x04, 0x32, 0x05], "poll", at: late)) == ["               … 2 as before"])
    }
}
