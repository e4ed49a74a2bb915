import AlarmProtocol

@testable import Drivers

/// What libFuzzer calls, with bytes that it has grown from the recorded frames. The first byte says which panel, the
/// second with which settings; the rest is what happens on its line: bytes that come, time that passes, reports that cannot
/// be stored, crashes. A trap, a failed check or a run of more than a few seconds is a finding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count >= 2, !subjects.isEmpty else { return 0 }
    let variants = subjects[Int(start[0]) % subjects.count]
    variants[Int(start[1]) % variants.count].play(Array(UnsafeBufferPointer(start: start + 2, count: count - 2)))
    return 0
}

/// Sizes that nothing that a panel sends may go beyond.
enum Bound {
    static let text = 4096
    static let pointName = 128
    /// The first reading of a large panel tells the state of every zone and trouble that it has.
    static let signals = 2048
    static let frame = 8192
    /// What a host keeps of a device.
    static let kept = 4096
    /// Steps out of one byte or one tick.
    static let steps = 1024
    /// Ticks at one moment before the deadline has moved on.
    static let ticks = 64
}

/// One end of a panel's line.
struct Subject: Sendable {
    let play: @Sendable ([UInt8]) -> Void
}

/// Every panel driver, in the order of the names (as scripts/fuzz-seeds.py has them): with the settings of its example, with
/// each word of a setting that it must have, and with none; and the played panel of each.
let subjects: [[Subject]] = panelDrivers.sorted { $0.name < $1.name }.map { subjects(of: $0) }

private func subjects<Panel: PanelDriver>(of kind: Panel.Type) -> [Subject] {
    var drivers: [Panel] = []
    let bare = driver(kind, [])
    drivers += [bare.driver].compactMap(\.self)
    // "format is missing, expected one of "a", "b"": each of them.
    for problem in bare.problems {
        let words = problem.split(separator: "\"").enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
        guard let key = problem.split(separator: " ").dropFirst().first?.split(separator: ".").last,
            problem.contains("is missing, expected one of")
        else { continue }
        for word in words {
            let entry = SettingNode.Entry(key: String(key), node: node(.string(String(word))))
            drivers += [driver(kind, [entry]).driver].compactMap(\.self)
        }
    }
    for example in examples where example.driver == kind.name {
        guard case .table(let entries) = example.table else { continue }
        drivers += [driver(kind, entries).driver].compactMap(\.self)
    }
    precondition(!drivers.isEmpty, "\(kind.name) cannot be made without its own settings")
    return drivers.map { driver in Subject { input in Line(driver.link()).play(input) } }
        + [Subject { input in PlayedLine(Panel.Played()).play(input) }]
}

private func driver<Panel: PanelDriver>(
    _ kind: Panel.Type, _ entries: [SettingNode.Entry]
) -> (driver: Panel?, problems: [String]) {
    let port = SettingNode.Entry(key: "port", node: node(.string("/dev/null")))
    let settings = Settings(
        node(.table([port] + entries.filter { $0.key != "port" })), path: "device.\(kind.name).fuzz",
        problems: Problems())
    let driver = try? kind.init(settings)
    return (driver, settings.problems.all.map(\.description))
}

func node(_ value: SettingNode.Value) -> SettingNode {
    SettingNode(value, at: Place(file: "fuzz.toml", line: 1, column: 1))
}

/// What happens on a line, one after the other, out of the fuzzer's bytes.
enum Happening {
    case bytes(ArraySlice<UInt8>)
    case passes(milliseconds: Int64)
    case pause(milliseconds: Int64)
    case toggleRefusal
    case toggleAnswers
    /// The daemon dies and starts again.
    case crash

    static func all(in input: [UInt8]) -> [Happening] {
        var all: [Happening] = []
        var rest = input[...]
        while let operation = rest.popFirst() {
            guard operation >= 0x80 else {
                all.append(.bytes(rest.prefix(Int(operation) + 1)))
                rest = rest.dropFirst(Int(operation) + 1)
                continue
            }
            switch operation & 15 {
            case 0: all.append(.pause(milliseconds: 0))
            case 1: all.append(.pause(milliseconds: 20))
            case 2: all.append(.passes(milliseconds: 100))
            case 3: all.append(.passes(milliseconds: 1000))
            case 4: all.append(.passes(milliseconds: 5000))
            case 5: all.append(.passes(milliseconds: 70_000))
            case 6: all.append(.toggleRefusal)
            case 7: all.append(.crash)
            default: all.append(.toggleAnswers)
            }
        }
        return all
    }
}

/// Our end, as `PanelSession` would carry it out.
private struct Line<Link: PanelLink> {
    private let fresh: Link
    private var link: Link
    private var now: Int64 = 1_000_000
    private var refuses = false
    private var answers = true
    private var kept: [UInt8] = []
    /// What is kept has been told: it is that by which its repeat is known.
    private var isTold = true

    init(_ link: Link) {
        fresh = link
        self.link = link
    }

    consuming func play(_ input: [UInt8]) {
        var line = self
        line.perform(line.link.opened(at: line.now), 0)
        var pause: Int64 = 1
        for happening in Happening.all(in: input) {
            switch happening {
            case .bytes(let bytes):
                for byte in bytes {
                    line.pass(pause)
                    line.perform(line.link.receive(byte, at: line.now), 0)
                }
            case .passes(let milliseconds): line.pass(milliseconds)
            case .pause(let milliseconds): pause = milliseconds
            case .toggleRefusal: line.refuses.toggle()
            case .toggleAnswers: line.answers.toggle()
            case .crash: line.open(0)
            }
        }
        line.pass(200_000)
        line.open(0)
        line.refuses = false
        line.pass(200_000)
        precondition(line.isTold, "what was kept is not told after a start")
    }

    /// The line is opened anew; what was kept is told first.
    private mutating func open(_ depth: Int) {
        link = fresh
        if !kept.isEmpty { perform(link.resume(kept, at: now), depth + 1) }
        perform(link.opened(at: now), depth + 1)
    }

    private mutating func pass(_ milliseconds: Int64) {
        let end = now + milliseconds
        var ticks = 0
        while let due = link.deadline, due <= end {
            ticks = due > now ? 1 : ticks + 1
            precondition(ticks <= Bound.ticks, "the deadline does not move on")
            now = max(now, due)
            perform(link.tick(at: now), 0)
        }
        now = end
    }

    private mutating func perform(_ steps: [PanelStep], _ depth: Int) {
        precondition(steps.count <= Bound.steps && depth <= 8, "steps without an end")
        for step in steps {
            switch step {
            case .frame(let bytes, let says), .send(let bytes, let says), .strange(let bytes, let says),
                .sendSecret(let bytes, let says):
                precondition(bytes.count <= Bound.frame && says.utf8.count <= 4 * Bound.frame)
            case .report(let signals, let accept, _, let knownBy):
                precondition(knownBy.count <= Bound.kept)
                report(signals, accept, knownBy, depth)
            case .keep(let bytes, let accept, let otherwise, _):
                precondition((1...Bound.kept).contains(bytes.count))
                check(otherwise)
                if refuses {
                    report(otherwise, accept, [], depth)
                } else {
                    (kept, isTold) = (bytes, false)
                    link.kept(at: now)
                }
            case .log(_, let words), .notUnderstood(let words): precondition(words.utf8.count <= 4 * Bound.frame)
            case .lose: return open(depth)
            }
        }
    }

    private mutating func report(_ signals: [Signal], _ accept: [UInt8]?, _ knownBy: [UInt8], _ depth: Int) {
        check(signals)
        // Without an answer it is tried until it is stored.
        if refuses, accept != nil { return }
        kept = accept != nil && answers ? [] : knownBy
        isTold = true
        perform(link.stored(answered: accept != nil && answers, at: now), depth + 1)
    }

    private func check(_ signals: [Signal]) {
        precondition(signals.count <= Bound.signals, "\(signals.count) signals at once")
        for signal in signals {
            precondition((1...Bound.pointName).contains(signal.point.utf8.count), "a point named \(signal.point)")
            precondition(signal.text.unicodeScalars.count <= Bound.text, "a text of \(signal.text.utf8.count) bytes")
            precondition(!signal.summary.isEmpty)
        }
    }
}

/// The panel's end.
private struct PlayedLine<Panel: PlayedPanel> {
    private var panel: Panel
    private var now: Int64 = 1_000_000

    init(_ panel: Panel) { self.panel = panel }

    consuming func play(_ input: [UInt8]) {
        var line = self
        line.check(line.panel.opened(at: line.now))
        var events = 0
        for happening in Happening.all(in: input) {
            switch happening {
            case .bytes(let bytes):
                for byte in bytes {
                    line.pass(1)
                    line.check(line.panel.receive(byte, at: line.now))
                }
            case .passes(let milliseconds), .pause(let milliseconds): line.pass(milliseconds)
            case .toggleRefusal, .toggleAnswers, .crash:
                events += 1
                let kind = EventKind.all[events * 7 % EventKind.all.count]
                let event = PlayedEvent(
                    kind, began: events % 3 != 0, partition: events % 100, zone: events * 31 % 10_000, text: "Källare")
                try? line.panel.happen(event, at: line.now)
            }
        }
        line.pass(100_000)
    }

    private mutating func pass(_ milliseconds: Int64) {
        let end = now + milliseconds
        var ticks = 0
        while let due = panel.deadline, due <= end {
            ticks = due > now ? 1 : ticks + 1
            precondition(ticks <= Bound.ticks, "the played panel's deadline does not move on")
            now = max(now, due)
            check(panel.tick(at: now))
        }
        now = end
    }

    private func check(_ steps: [PlayedStep]) {
        precondition(steps.count <= Bound.steps && panel.waiting >= 0)
        for case .send(let bytes, _) in steps { precondition(bytes.count <= Bound.frame) }
    }
}
