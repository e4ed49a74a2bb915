import Drivers
import Testing

@testable import Gateway

@Suite("Supervision classes: a fault is known and told within the reporting time (measured against, never certified)")
struct SupervisionTests {
    let folder: Folder
    init() throws { folder = try Folder() }

    /// Reporting times as norms write them down: primary, alternate, alternate while the primary is down. Seconds.
    static let table: [(String, Int64, Int64?, Int64?)] = [
        ("SP1", 2_764_800, nil, nil), ("SP2", 90_000, nil, nil), ("SP3", 1800, nil, nil), ("SP4", 180, nil, nil),
        ("SP5", 90, nil, nil), ("SP6", 20, nil, nil), ("DP1", 90_000, 180_000, 90_000), ("DP2", 1800, 90_000, 1800),
        ("DP3", 180, 90_000, 180), ("DP4", 90, 18_000, 90),
    ]

    private func file(_ supervision: String, paths: [String]) -> String {
        """
        [site]
        name = "Provplatsen"
        account = "4711"
        supervision = \(supervision)

        """
            + paths.enumerated().map { index, lines in
                """
                [receiver.r\(index)]
                address = "192.0.2.\(index + 1):7700"
                [path.p\(index)]
                receiver = "r\(index)"
                interface = "eth\(index)"
                \(lines)

                """
            }.joined()
    }

    private func site(_ supervision: String, paths: [String]) throws -> Site {
        try SiteReader.read(
            file: folder.write("site.toml", file(supervision, paths: paths)), drivers: plainDrivers
        ).get()
    }

    private func refusal(_ supervision: String, paths: [String]) throws -> String {
        folder.refusal(of: try folder.write("site.toml", file(supervision, paths: paths)))
    }

    /// The longest time from a cut right after a good answer until it is told, step by step as the dispatcher goes.
    private func walk(_ poll: Int64, _ path: PathSettings, others: [PathSettings]) -> Int64 {
        var time = poll
        var wait: Int64 = 500
        for attempt in 1...path.attempts {
            time += path.timeout.milliseconds
            if attempt < path.attempts {
                time += wait
                wait = min(2 * wait, 10_000)
            }
        }
        // Told over another path: its first try may meet a dead connection, its second does not.
        return time + (others.map { 2 * $0.timeout.milliseconds + 500 }.max() ?? 0)
    }

    @Test("Every class with one to three paths: told within its time, and three link tests in it", arguments: table)
    func classes(name: String, primary: Int64, alternate: Int64?, alone: Int64?) throws {
        for count in (alternate == nil ? 1 : 2)...3 {
            let paths = try site("\"\(name)\"", paths: Array(repeating: "", count: count)).paths
            for (index, path) in paths.enumerated() {
                let others = paths.filter { $0.name != path.name }
                let within = 1000 * (index == 0 ? primary : alternate ?? primary)
                #expect(path.reportWithin == .milliseconds(within))
                #expect(walk(path.poll.milliseconds, path, others: others) < within)
                #expect(3 * (path.poll + path.timeout).milliseconds <= within)
                #expect((.seconds(1)...(.seconds(86_400))).contains(path.poll))
                guard index > 0, let alone else {
                    #expect(path.pollAlone == nil)
                    continue
                }
                let quick = path.pollAlone ?? path.poll
                #expect(quick <= path.poll)
                #expect(walk(quick.milliseconds, path, others: others) < 1000 * alone)
                #expect(3 * (quick + path.timeout).milliseconds <= 1000 * alone)
            }
        }
    }

    /// The real dispatcher with lines that are cut right after a good answer, one after the other.
    /// - Returns: how long after its cut the last of them is found to be down.
    private func found(_ paths: [PathSettings], cut order: [Int]) throws -> Int64 {
        var dispatcher = Dispatcher(
            paths.map {
                Dispatcher.Rules(
                    name: $0.name, receiver: $0.receiver, timeout: $0.timeout.milliseconds, attempts: $0.attempts,
                    poll: $0.poll.milliseconds, pollAlone: $0.pollAlone?.milliseconds)
            })
        let nothing = Dispatcher.Supply(take: { _, _ in nil }, worth: { _, _ in nil })
        var now: Int64 = 1_000_000
        var order = order
        var dead: Set<Int> = []
        var cutAt = now
        var foundAfter: Int64?
        for _ in 0..<100_000 where foundAfter == nil {
            let waitsFor = order.first
            for action in dispatcher.decide(now: now, from: nothing) {
                switch action {
                case .send(let path, let exchange, _) where !dead.contains(path):
                    _ = dispatcher.handle(.acknowledged, path: path, exchange: exchange.number, now: now)
                    // The next cut comes when what was cut before is known to be down.
                    guard path == waitsFor, dead.allSatisfy({ dispatcher.paths[$0].isDown }) else { continue }
                    dead.insert(path)
                    order.removeFirst()
                    cutAt = now
                case .pathDown where order.isEmpty: foundAfter = now - cutAt
                default: break
                }
            }
            now = max(now + 1, dispatcher.nextDeadline(now: now))
        }
        return try #require(foundAfter)
    }

    @Test(
        "The dispatcher finds a cut soon enough to tell it in time: of every path, also with the primary down",
        arguments: table)
    func dispatched(name: String, primary: Int64, alternate: Int64?, alone: Int64?) throws {
        for count in (alternate == nil ? 1 : 2)...3 {
            let paths = try site("\"\(name)\"", paths: Array(repeating: "", count: count)).paths
            for index in paths.indices {
                let others = paths.indices.filter { $0 != index }.map { paths[$0].timeout.milliseconds }
                let telling = PathWatch.telling(over: others)
                let within = 1000 * (index == 0 ? primary : alternate ?? primary)
                #expect(try found(paths, cut: [index]) + telling < within)
                guard index > 0 else { continue }
                #expect(try found(paths, cut: [0, index]) + telling < 1000 * (alone ?? primary))
            }
        }
    }

    @Test("What DP4 and SP6 come to, said once in numbers")
    func numbers() throws {
        let dual = try site("\"DP4\"", paths: ["", ""])
        #expect(dual.paths.map(\.poll) == [.seconds(25), .seconds(99 * 60)])
        #expect(dual.paths.map(\.pollAlone) == [nil, .seconds(25)])
        #expect(dual.paths.map(\.timeout) == [.seconds(5), .seconds(5)])
        #expect(dual.supervisionWords.first == "supervision DP4: numbers unconfirmed; measured against, not certified")
        #expect(dual.supervisionWords.count == 3)
        #expect(dual.notices.filter { $0.message.contains("supervision") }.isEmpty)
        let single = try site("\"SP6\"", paths: [""])
        #expect(single.paths[0].poll == .seconds(5))
        #expect(single.paths[0].timeout == .milliseconds(1100))
    }

    @Test("Without the key all is as it was")
    func without() throws {
        let plain = file("\"DP4\"", paths: ["", ""]).replacing("supervision = \"DP4\"\n", with: "")
        let site = try SiteReader.read(file: folder.write("site.toml", plain), drivers: plainDrivers).get()
        #expect(site.supervision == nil && site.supervisionWords.isEmpty)
        #expect(site.paths.allSatisfy { $0.poll == .seconds(60) && $0.timeout == .seconds(5) && $0.attempts == 3 })
        #expect(site.paths.allSatisfy { $0.reportWithin == nil && $0.pollAlone == nil })
    }

    @Test("Own numbers, and what a path says for itself")
    func ownNumbers() throws {
        let site = try site(
            "{ primary = \"2min\", alternate = \"1h\", alternate-alone = \"5min\" }",
            paths: ["poll = \"30s\"\ntimeout = \"8s\"", "attempts = 2"])
        #expect(site.supervision?.name == nil)
        #expect(site.paths[0].poll == .seconds(30) && site.paths[0].timeout == .seconds(8))
        #expect(site.paths[1].attempts == 2 && site.paths[1].reportWithin == .seconds(3600))
        #expect(site.paths[1].pollAlone == .seconds(95))
        #expect(site.supervisionWords[0].contains("own numbers"))
        // A path that is polled often anyway needs no other interval.
        let often = try self.site("\"DP4\"", paths: ["", "poll = \"20s\""])
        #expect(often.paths[1].poll == .seconds(20) && often.paths[1].pollAlone == nil)
        // One number is for every path.
        let one = try self.site("{ primary = \"90s\" }", paths: ["", ""])
        #expect(one.paths.allSatisfy { $0.reportWithin == .seconds(90) && $0.pollAlone == nil })
    }

    static let refusals: [(String, [String], String)] = [
        (
            "\"DP4\"", ["poll = \"63s\"", ""],
            "path.p0.poll: a fault must be reported within 90s (site.supervision), but a link test after 63s, 3 "
                + "attempts of 5s, 1500ms between them, 10500ms to tell it over another path and 1s in reserve come to "
                + "91s: poll may be 62s at most"
        ),
        ("\"DP4\"", ["", "poll = \"5h\""], "come to 18028s: poll may be 17972s at most"),
        ("\"DP4\"", ["timeout = \"30s\"", ""], "shorten this path's timeout or attempts, or the others' timeout"),
        ("\"DP4\"", ["attempts = 20", ""], "path.p0.attempts: a fault must be reported within 90s"),
        ("\"DP4\"", ["", "timeout = \"1min\""], "path.p0.poll: a fault must be reported within 90s"),
        (
            "\"DP4\"", ["", "timeout = \"1min\""],
            "path.p1.timeout: a fault must be reported within 90s while the primary"
        ),
        ("\"SP6\"", ["timeout = \"10s\""], "path.p0.timeout: a fault must be reported within 20s"),
        ("\"DP1\"", [""], "DP1 is for two paths or more, and there is 1: add a [path.NAME]"),
        ("{ primary = \"90s\", alternate = \"5h\" }", [""], "alternate is for two paths or more"),
        ("\"dp4\"", ["", ""], "did you mean \"DP4\"?"),
        ("\"DP5\"", ["", ""], "expected one of \"SP1\", \"SP2\""),
        ("4", ["", ""], "site.supervision: expected a class in quotes, as \"DP4\""),
        ("{ alternate = \"5h\" }", ["", ""], "site.supervision: primary is missing"),
        ("{ primary = \"5s\" }", [""], "expected a time from 10s to 768h"),
        (
            "{ primary = \"90s\", alternate = \"90s\", alternate-alone = \"5h\" }", ["", ""],
            "site.supervision.alternate-alone: expected no more than alternate, 90s"
        ),
        ("{ primary = \"90s\", secondary = \"5h\" }", ["", ""], "site.supervision.secondary: no such setting"),
    ]

    @Test(
        "Refused, with the sum or the reason",
        arguments: refusals)
    func refused(supervision: String, paths: [String], words: String) throws {
        let refusal = try refusal(supervision, paths: paths)
        #expect(refusal.contains(words), "\(refusal)")
    }

    @Test("Two paths that share an interface or a receiver are remarked upon")
    func shared() throws {
        func notices(_ content: String) throws -> [String] {
            try SiteReader.read(file: folder.write("site.toml", content), drivers: plainDrivers).get().notices
                .map(\.message).filter { $0.contains("EN 50136-1 table 1") }
        }
        let right = file("\"DP4\"", paths: ["", ""])
        #expect(try notices(right).isEmpty)
        #expect(try notices(right.replacing("eth1", with: "eth0")).first?.contains("leave by one interface") == true)
        #expect(
            try notices(right.replacing("interface = \"eth1\"", with: "")).first?.contains("set for path p1") == true)
        #expect(
            try notices(right.replacing("192.0.2.2", with: "192.0.2.1")).first?.contains("lead to one receiver") == true
        )
    }

    @Test("Whatever a path says, it is kept or refused with a sum that is too large")
    func whatever() throws {
        var random = Seeded(38)
        for _ in 0..<300 {
            let watch = PathWatch(
                poll: 1000, timeout: .random(in: 200...60_000, using: &random),
                attempts: .random(in: 1...20, using: &random),
                telling: .random(in: 0...120_000, using: &random))
            let time = Int64.random(in: 10_000...400_000_000, using: &random)
            guard let poll = watch.suitablePoll(within: time) else {
                #expect(watch.worst > time)
                continue
            }
            var set = watch
            set.poll = poll
            #expect(set.worst <= time && poll >= 1000 && poll <= 86_400_000 && poll % 1000 == 0)
        }
    }
}
