import Drivers
import Glibc

@testable import Gateway

/// How long it takes from a cut line until its fault is told, for each supervision class, in virtual time: the real
/// configuration's reader works out how the paths are watched, the real dispatcher watches them. `simulate --cut`.
///
/// The worst moment: the primary path falls silent just after it has answered a link test. The other path answers after
/// 50 ms; with a single path the fault output tells at once.
enum CutLine {
    private static let answer: Int64 = 50

    /// A line for each class: its name, what it took and what it allows, in milliseconds.
    static func run() throws {
        for (name, supervision) in Supervision.classes {
            let paths = try paths(name, isDual: name.hasPrefix("DP"))
            print("\(name) \(try time(paths)) \(supervision.primary.milliseconds)")
        }
    }

    private struct Wrong: Error { var description: String }

    private static func paths(_ supervision: String, isDual: Bool) throws -> [PathSettings] {
        var text = "[site]\nname = \"x\"\naccount = \"1234\"\nclock = \"trusted\"\nsupervision = \"\(supervision)\"\n"
        for name in isDual ? ["a", "b"] : ["a"] {
            text += "[receiver.\(name)]\naddress = \"192.0.2.1:7700\"\n[path.\(name)]\nreceiver = \"\(name)\"\n"
        }
        var file = Array("/tmp/larmnod-cut-XXXXXX".utf8CString)
        let descriptor = mkstemp(&file)
        guard descriptor >= 0 else { throw Wrong(description: "no file in /tmp") }
        let name = String(decoding: file.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer {
            close(descriptor)
            unlink(name)
        }
        guard write(descriptor, text, text.utf8.count) == text.utf8.count else { throw Wrong(description: name) }
        switch SiteReader.read(file: name, drivers: []) {
        case .success(let site): return site.paths
        case .failure(let error): throw Wrong(description: "\(error)")
        }
    }

    private static func time(_ paths: [PathSettings]) throws -> Int64 {
        var dispatcher = Dispatcher(paths.map { Dispatcher.Rules($0) })
        var now: Int64 = 1_000_000
        var cutAt: Int64?
        /// The fault's event: waits, is on its way, is there.
        var waits = false
        var due: [(at: Int64, path: Int, number: Int)] = []
        for _ in 0..<1_000_000 {
            let supply = Dispatcher.Supply(
                take: { _, wanted in
                    guard waits, !wanted.leftOver, wanted.moreUrgentThan == nil else { return nil }
                    waits = false
                    return Waiting.Taken(id: 1, urgency: .trouble)
                },
                worth: { _, _ in .trouble })
            var actions = dispatcher.decide(now: now, from: supply)
            while let next = due.first, next.at <= now {
                due.removeFirst()
                actions += dispatcher.handle(.acknowledged, path: next.path, exchange: next.number, now: now)
                // It has been answered a few times: now it is cut.
                if next.path == 0, now > 1_000_000 + 5 * paths[0].poll.milliseconds, cutAt == nil { cutAt = now }
            }
            for action in actions {
                switch action {
                case .send(let path, let exchange, _) where path != 0 || cutAt == nil:
                    due.append((now + answer, path, exchange.number))
                case .pathDown(0, _, _):
                    if paths.count == 1, let cutAt { return now - cutAt }
                    waits = true
                case .acknowledge(1, _):
                    if let cutAt { return now - cutAt }
                case .release(1): waits = true
                default: break
                }
            }
            if actions.isEmpty { now = max(now + 1, min(dispatcher.nextDeadline(now: now), due.first?.at ?? .max)) }
        }
        throw Wrong(description: "the fault is never told")
    }
}
