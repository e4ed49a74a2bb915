import Logging

/// What happened, line by line: the last lines for whoever must find out why, and a sum over all, by which two runs of
/// one seed are the same or not.
final class Trace {
    private var lines: [String] = []
    private(set) var sum: UInt64 = 0xCBF2_9CE4_8422_2325
    private(set) var count = 0
    private let printsAll: Bool
    private static let kept = 40

    init(printsAll: Bool) { self.printsAll = printsAll }

    func note(_ time: Int64, _ text: String) {
        let line = "\(Self.clock(time))  \(text)"
        for byte in line.utf8 { sum = (sum ^ UInt64(byte)) &* 0x100_0000_01B3 }
        count += 1
        if printsAll { say(line) }
        lines.append(line)
        if lines.count > 2 * Self.kept { lines.removeFirst(Self.kept) }
    }

    var last: ArraySlice<String> { lines.suffix(Self.kept) }

    /// "0 13:04:59.123": day, hour, minute, second of the simulation.
    static func clock(_ time: Int64) -> String {
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let milliseconds = "\(1000 + time % 1000)".dropFirst()
        return
            "\(time / 86_400_000) \(two(time / 3_600_000 % 24)):\(two(time / 60_000 % 60)):\(two(time / 1000 % 60)).\(milliseconds)"
    }
}

/// Sends the daemon's log to the running world's trace.
struct TraceLog: LogHandler {
    /// The world whose daemon runs now. One thread: `nonisolated(unsafe)` says what the compiler cannot see.
    nonisolated(unsafe) static weak var world: World?

    let label: String
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { Self.world?.heardLog(label, "\(event.message)") }
}
