import AlarmProtocol
import Testing

@testable import Gateway

/// What a site's paths do, step by step, on a clock that the test moves. Seconds; the uplink looks every five.
private struct World {
    var book = Availability()
    var now = Moment(utc: World.november, uptime: 1_000_000, clock: .known)
    var down: Set<String> = []
    var lastGood: [String: Int64] = [:]
    var paths = ["fibre", "mobile"]
    /// 2026-11-10 00:00:00 UTC.
    static let november: Int64 = 1_794_268_800_000

    mutating func look() {
        for path in paths where !down.contains(path) { lastGood[path] = now.uptime }
        observe()
    }

    mutating func observe() {
        _ = book.observe(
            paths.map { Availability.Fact(name: $0, isDown: down.contains($0), lastGood: lastGood[$0]) }, at: now)
    }

    mutating func step(_ seconds: Int64) {
        now.uptime += 1000 * seconds
        now.utc += 1000 * seconds
    }

    mutating func run(_ seconds: Int64, every period: Int64 = 5) {
        var left = seconds
        while left > 0 {
            step(min(period, left))
            left -= period
            look()
        }
    }

    /// A cut `ago` seconds before it is found: the last good answer stays where it was.
    mutating func fall(_ path: String) {
        down.insert(path)
        observe()
    }

    mutating func rise(_ path: String) {
        down.remove(path)
        look()
    }

    func line(_ path: String = Availability.whole, _ month: String = "2026-11") -> AvailabilityMonth? {
        book.report(now: now.clock == .unknown ? nil : now.utc).first { $0.path == path && $0.month == month }
    }
}

@Suite("Availability by month, per path and of the whole")
struct AvailabilityTests {
    @Test("A path is down since its last good answer, not since that was found; the whole works on")
    func sinceLastGood() throws {
        var world = World()
        world.look()
        world.run(1000)
        // Cut; the next link tests fail, which takes 50 s to find.
        for _ in 0..<10 {
            world.step(5)
            for path in ["mobile"] { world.lastGood[path] = world.now.uptime }
            world.observe()
        }
        world.fall("fibre")
        world.run(100)
        world.rise("fibre")
        world.run(50)
        let fibre = try #require(world.line("fibre"))
        #expect(fibre.down == 150 && fibre.works == 1050 && fibre.faults == 1 && fibre.longestFault == 150)
        #expect(fibre.notWatched == 0 && fibre.availability == 87.5)
        let whole = try #require(world.line())
        #expect(whole.down == 0 && whole.works == 1200 && whole.faults == 0 && whole.percent == "100 %")
    }

    @Test("The whole is down while all are: since the last good answer of the last, until the first is up again")
    func whole() throws {
        var world = World()
        world.look()
        world.run(100)
        world.fall("fibre")
        world.run(100)
        world.step(30)
        world.fall("mobile")  // last good 30 s ago
        world.run(200)
        world.rise("fibre")
        world.run(70)
        world.rise("mobile")
        let whole = try #require(world.line())
        #expect(whole.down == 230 && whole.works == 270 && whole.faults == 1 && whole.longestFault == 230)
        #expect(world.line("fibre")?.down == 330)
        #expect(world.line("mobile")?.down == 300)
    }

    @Test("A path that has never answered is down since it was first looked at")
    func neverAnswered() throws {
        var world = World()
        world.paths = ["fibre"]
        world.observe()
        world.step(20)
        world.observe()
        world.fall("fibre")
        world.run(80)
        #expect(world.line("fibre")?.down == 100)
        #expect(world.line("fibre")?.availability == 0)
        #expect(world.line()?.faults == 1)
    }

    static let ends: [(Int64, String, String)] = [
        // The last second of the month, the month and the next.
        (Int64(1_709_251_199_000), "2024-02", "2024-03"), (1_677_628_799_000, "2023-02", "2023-03"),
        (1_798_761_599_000, "2026-12", "2027-01"), (951_868_799_000, "2000-02", "2000-03"),
        (4_107_542_399_000, "2100-02", "2100-03"),
    ]

    @Test(
        "A fault over the end of a month lies in both, each with its part; also in a leap February",
        arguments: ends)
    func months(end: Int64, month: String, next: String) throws {
        var world = World()
        world.now.utc = end - 99_000
        world.look()
        world.run(50)
        world.fall("fibre")
        world.run(250)
        world.rise("fibre")
        let first = try #require(world.line("fibre", month))
        let second = try #require(world.line("fibre", next))
        #expect(first.works == 50 && first.down == 50 && first.faults == 1 && first.longestFault == 50)
        #expect(second.works == 0 && second.down == 200 && second.faults == 1 && second.longestFault == 200)
        #expect(first.notWatched == 0 && second.notWatched == 0)
        #expect(world.line(Availability.whole, month)?.works == 100)
    }

    static let steps: [Int64] = [
        Int64(3600), -3600, 7 * 3600, -30 * 86_400, 400 * 86_400, -400 * 86_400, -1_794_268_800, 200 * 365 * 86_400,
        Int64.max / 4000,
    ]

    @Test(
        "The wall clock steps by hours, days, years, forward and back: no length changes, none is negative",
        arguments: steps)
    func clockSteps(seconds: Int64) throws {
        var world = World()
        world.look()
        world.run(300)
        world.fall("fibre")
        world.run(60)
        world.now.utc += 1000 * seconds
        world.run(60)
        world.rise("fibre")
        world.run(300)
        let lines = world.book.report(now: world.now.utc)
        let fibre = lines.filter { $0.path == "fibre" }
        #expect(fibre.map(\.down).reduce(0, +) == 120)
        #expect(fibre.map(\.works).reduce(0, +) == 600)
        for line in lines {
            #expect(line.notWatched >= 0 && line.works >= 0 && line.down >= 0)
            #expect(line.notWatched <= 31 * 86_400 && line.longestFault <= line.down)
            #expect((0...100).contains(line.availability ?? 0))
        }
    }

    @Test("What was seen before the clock was known goes to the months it turns out to belong to")
    func unknownClock() throws {
        var world = World()
        world.now = Moment(utc: 0, uptime: 1_000_000, clock: .unknown)
        world.look()
        world.run(1000)
        world.fall("mobile")
        world.run(500)
        #expect(world.book.report(now: nil).isEmpty)
        // It is 200 s into December.
        world.now.utc = 1_796_083_200_000 + 200_000
        world.now.clock = .known
        world.run(60)
        let november = try #require(world.line("mobile"))
        let december = try #require(world.line("mobile", "2026-12"))
        #expect(november.works == 1000 && november.down == 300)
        #expect(december.works == 0 && december.down == 260)
        #expect(november.notWatched == 0)
    }

    @Test("Days without a known clock, with a path that comes and goes: bounded, and what is forgotten was not watched")
    func unknownForLong() throws {
        var world = World()
        world.now.clock = .unknown
        for _ in 0..<3000 {
            world.fall("fibre")
            world.run(10)
            world.rise("fibre")
            world.run(10)
        }
        world.now.clock = .known
        world.run(60)
        let fibre = try #require(world.line("fibre"))
        #expect(fibre.works + fibre.down < 60_060 && fibre.works + fibre.down > 10_000)
    }

    @Test("While the box is off, or stands still, nothing was watched; whole months too")
    func gaps() throws {
        var world = World()
        world.look()
        world.run(600)
        let rows = world.book.withAllCounted().rows
        // Off for an hour; another process reads what was written.
        world.book = Availability(rows)
        world.step(3600)
        world.lastGood = [:]
        world.look()
        world.run(300)
        #expect(world.line("fibre")?.works == 900)
        #expect(world.line("fibre")?.notWatched == 3600)
        // Stopped for ten minutes, then found down with an old answer: none of it is counted as down.
        world.step(600)
        world.fall("fibre")
        world.run(100)
        #expect(world.line("fibre")?.down == 100)
        #expect(world.line("fibre")?.notWatched == 4200)
        // Off for all of December.
        world.book = Availability(world.book.withAllCounted().rows)
        world.now.utc = 1_798_761_600_000 + 86_400_000
        world.down = []
        world.look()
        world.run(60)
        let december = try #require(world.line("fibre", "2026-12"))
        #expect(december.notWatched == 31 * 86_400 && december.availability == nil && december.percent == "not watched")
        #expect(world.line("fibre", "2027-01")?.notWatched == 86_400)
    }

    @Test("A path that was renamed keeps its history, and the new one begins its own")
    func renamed() throws {
        var world = World()
        world.look()
        world.run(600)
        world.book = Availability(world.book.withAllCounted().rows)
        world.paths = ["fibre", "lte"]
        world.run(300)
        #expect(world.line("mobile")?.works == 600)
        #expect(world.line("lte")?.works == 295 && world.line("lte")?.notWatched == 0)
    }

    @Test("Two years and the current month are kept, of any number of paths a bounded number of rows")
    func kept() {
        var rows: [Availability.Key: Availability.Figures] = [:]
        for month in 0..<60 {
            for path in 0..<100 {
                rows[.init(month: Month(number: 600 + month), path: "p\(path)")] = .init(works: 1, from: 0)
            }
        }
        let kept = Availability(rows).rows
        #expect(kept.count == Availability.rowsKept)
        #expect(kept.keys.map(\.month).min() ?? Month(number: 0) >= Month(number: 633))
        #expect(kept[.init(month: Month(number: 659), path: "p99")] != nil)
        #expect(Set(Availability(rows.filter { $0.key.path == "p1" }).rows.keys.map(\.month)).count == 27)
    }

    static let shares: [(Int64, Int64, String)] = [
        (Int64(1_000_000_000), Int64(0), "100 %"), (999_999_999, 1, "99.999 %"), (1, 999_999_999, "0 %"),
        (9998, 2, "99.98 %"), (1, 1, "50 %"), (995, 5, "99.5 %"), (1 << 52, 1 << 52, "50 %"),
    ]

    @Test(
        "A percentage is cut, never rounded up",
        arguments: shares)
    func percent(works: Int64, down: Int64, words: String) {
        let key = Availability.Key(month: Month(number: 682), path: "x")
        let line = Availability([key: .init(works: works, down: down, from: 0)]).report(now: nil).first
        #expect(line?.percent == words)
        #expect(line?.csv.hasPrefix("2026-11,x,\(words.dropLast(2)),") == true)
    }

    @Test("Months of all years meet without a gap")
    func calendar() {
        #expect(Month(utc: World.november).description == "2026-11")
        #expect(Month("2026-11")?.start == 1_793_491_200_000)
        for number in 0..<(8030 * 12 - 1) {
            let month = Month(number: number)
            let days = (month.end - month.start) / 86_400_000
            guard (28...31).contains(days), month.next.start == month.end, Month(utc: month.start) == month,
                Month(utc: month.end - 1) == month, Month("\(month)") == month
            else {
                Issue.record("\(month): \(days) days")
                return
            }
        }
        for text in [
            "", "2026", "2026-13", "2026-00", "26-11", "2026-1", "1969-12", "2026-11-01", "２０２６-11", "+026-11",
        ] {
            #expect(Month(text) == nil, "\(text)")
        }
        #expect(Month(utc: .min).description == "1970-01" && Month(utc: .max).description == "9999-12")
    }

    @Test("Whatever paths and clocks do, every second between is counted once")
    func whatever() {
        for seed in 1...40 {
            var random = Seeded(UInt64(seed))
            var world = World()
            world.now.utc = .random(in: 0...4_000_000_000_000, using: &random)
            world.look()
            let begin = world.now.uptime
            for _ in 0..<300 {
                let path = Bool.random(using: &random) ? "fibre" : "mobile"
                switch Int.random(in: 0..<6, using: &random) {
                case 0: world.fall(path)
                case 1: world.rise(path)
                case 2: world.now.utc = .random(in: -1_000_000...4_000_000_000_000, using: &random)
                case 3: world.now.clock = Bool.random(using: &random) ? .unknown : .known
                default: world.run(.random(in: 1...5000, using: &random), every: 50)
                }
            }
            world.now.clock = .known
            world.now.utc = 2_000_000_000_000
            world.run(5)
            let seconds = (world.now.uptime - begin) / 1000
            let rows = world.book.withAllCounted().rows
            for path in ["fibre", "mobile", Availability.whole] {
                let own = rows.filter { $0.key.path == path }.map(\.value)
                let sum = own.map { $0.works + $0.down }.reduce(0, +) / 1000
                // A clock before 1970 says nothing of the month; the rest is all there, unless too many months came.
                #expect(sum <= seconds)
                #expect(own.allSatisfy { $0.works >= 0 && $0.down >= 0 && $0.longest <= $0.down })
                #expect(own.allSatisfy { $0.faults > 0 || $0.down == 0 })
            }
        }
    }
}
