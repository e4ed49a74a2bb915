import AlarmProtocol
import Foundation
import Testing

@testable import Drivers

/// What a protocol makes of bytes, carried out without a line: reports are stored at once.
struct PanelHarness<Link: PanelLink> {
    var link: Link
    var now: Int64 = 1_000_000
    /// What was reported, frames and answers, in order: "reported zone-5 call …", "sent 06", "frame link test".
    private(set) var log: [String] = []
    private(set) var signals: [Signal] = []
    private(set) var sent: [[UInt8]] = []
    private(set) var frames: [String] = []
    private(set) var strange: [[UInt8]] = []
    /// Storing fails.
    var refuses = false
    /// Only reports can be stored.
    var keepsNothing = false
    /// What is stored is not answered any more: we die in between.
    var diesBeforeAnswer = false
    /// What outlives a crash.
    var kept: [UInt8] = []

    init(_ link: Link) { self.link = link }

    mutating func open() {
        if !kept.isEmpty { perform(link.resume(kept, at: now)) }
        perform(link.opened(at: now))
    }

    /// Feeds bytes, each so many milliseconds after the one before.
    mutating func feed(_ bytes: some Sequence<UInt8>, every gap: Int64 = 0) {
        for byte in bytes {
            now += gap
            perform(link.receive(byte, at: now))
        }
    }

    /// Lets time pass, with every tick that the protocol asks for on the way.
    mutating func pass(_ milliseconds: Int64) {
        let end = now + milliseconds
        var ticks = 0
        while let due = link.deadline, due <= end {
            now = max(now, due)
            perform(link.tick(at: now))
            ticks += 1
            guard ticks < 100_000 else {
                Issue.record("the protocol spins: its deadline stays \(due)")
                return
            }
        }
        now = end
    }

    private mutating func perform(_ steps: [PanelStep]) {
        for step in steps {
            switch step {
            case .frame(_, let says):
                frames.append(says)
                log.append("frame \(says)")
            case .strange(let bytes, let why):
                strange.append(bytes)
                log.append("strange \(why)")
            case .send(let bytes, _): send(bytes)
            case .report(let reported, let accept, let refuse, let knownBy):
                if refuses {
                    if let refuse { send(refuse) }
                    continue
                }
                signals += reported
                log += reported.map { "reported \($0.summary)" }
                if !reported.isEmpty || accept == nil { kept = knownBy }
                if diesBeforeAnswer { continue }
                if let accept {
                    send(accept)
                    kept = []
                }
                perform(link.stored(answered: accept != nil, at: now))
            case .keep(let bytes, let accept, let otherwise, let refuse):
                if keepsNothing || refuses {
                    perform([.report(otherwise, accept: accept, refuse: refuse)])
                    continue
                }
                kept = bytes
                log.append("kept")
                send(accept)
                link.kept(at: now)
            case .sendSecret(let bytes, _): send(bytes)
            case .log: break
            case .notUnderstood(let why): log.append("not understood \(why)")
            case .lose(let why): log.append("lost \(why)")
            }
        }
    }

    private mutating func send(_ bytes: [UInt8]) {
        sent.append(bytes)
        log.append("sent \(hexadecimal(bytes))")
    }
}

/// Noise of a line: the same every time for a seed.
func noise(_ seed: UInt64, count: Int = 1024) -> [UInt8] {
    var numbers = SeededNumbers(seed)
    return (0..<count).map { _ in UInt8.random(in: 0...255, using: &numbers) }
}

/// The vectors of one protocol, `Vectors/NAME-vectors.json`: frames, and sessions of frames.
struct PanelVectors: Decodable, Sendable {
    struct Vector: Decodable, Sendable, CustomTestStringConvertible {
        var id: String
        var direction: String
        var hex: String
        /// accept, reject-nak or drop.
        var expect: String
        /// What our driver is to report of it, as `Signal.summary`, in order.
        var signals: [String]?
        /// What it is to send, in hexadecimal, in order.
        var answers: [String]?
        var testDescription: String { id }
        var bytes: [UInt8] { (try? SerialSupport.bytes(hex)) ?? [] }
    }

    var vectors: [Vector]

    static func read(_ name: String) -> [Vector] {
        do {
            let file = SerialSupport.folder.appending(path: "Vectors/\(name)-vectors.json")
            return try JSONDecoder().decode(PanelVectors.self, from: Data(contentsOf: file)).vectors
        } catch {
            Issue.record("the vectors cannot be read: \(error)")
            return []
        }
    }
}
