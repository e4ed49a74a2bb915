import AlarmProtocol
import Foundation
import Synchronization

@testable import Gateway

/// A clock that the test moves.
final class TestClock: Sendable {
    private let state = Mutex(Moment(utc: 1_795_000_000_000, uptime: 5_000_000, clock: .known))
    var now: Moment { state.withLock { $0 } }
    func advance(_ milliseconds: Int64) {
        state.withLock {
            $0.utc += milliseconds
            $0.uptime += milliseconds
        }
    }
}

func sample(
    _ point: String = "gpio.cabinet.door", _ urgency: Urgency = .intrusion, text: String = "", zone: Int = 1,
    qualifier: Qualifier = .event
) -> Event {
    Event(
        account: "4711", point: point, zone: zone, sia: qualifier == .event ? "BA" : "BR", contactID: "130",
        qualifier: qualifier, urgency: urgency, text: text,
        occurred: Moment(utc: 1_795_000_000_000, uptime: 5_000_000, clock: .known))
}

/// A directory of its own, gone with the object.
final class Scratch {
    let path: String
    init() {
        path = NSTemporaryDirectory() + "larmnod-\(UUID().uuidString.prefix(8))"
        try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// The same numbers every time: a failing seed fails again (SplitMix64).
struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
