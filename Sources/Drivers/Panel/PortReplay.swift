import Glibc

/// Plays a recording onto a port, as the panel said it: to try a transmitter that runs elsewhere.
public enum PortReplay {
    /// Milliseconds within which an answer must come, however fast the rest is played.
    public static let patience: Int64 = 5000

    /// - Parameters:
    ///   - speedUp: how many times faster the pauses pass.
    ///   - stop: a descriptor that ends it when it is readable.
    ///   - show: is told what happens, with the milliseconds since the beginning as played.
    /// - Returns: how many answers were not as recorded.
    /// - Throws: `DeviceError` when the port is lost.
    public static func run(
        _ recording: Recording, on end: PanelEnd, speedUp: Int64, stop: Int32, show: (Replay.News, Int64) -> Void
    ) throws -> Int {
        let began = ContinuousClock.now
        var differences = 0
        var unread: [UInt8] = []
        func elapsed() -> Int64 { began.duration(to: .now).milliseconds }
        for (step, line) in recording.steps {
            switch step {
            case .received(let bytes):
                try end.write(bytes)
                show(.received(bytes, ""), elapsed())
            case .pass(let milliseconds):
                if waits(milliseconds / max(1, speedUp), for: stop) { return differences }
            case .sent(let bytes):
                let answer = try answer(of: bytes.count, after: &unread, on: end, stop: stop)
                if !answer.isEmpty { show(.answered(answer, ""), elapsed()) }
                guard answer != bytes else { continue }
                differences += 1
                let came = answer.isEmpty ? "nothing within \(patience / 1000) s" : hexadecimal(answer)
                show(.differs("answered \(came); recorded is \(hexadecimal(bytes))", line: line), elapsed())
            case .reported, .opened: continue  // what the transmitter makes of it is not seen from here
            }
        }
        return differences
    }

    /// - Parameter unread: what has come before and belongs to no answer yet.
    private static func answer(
        of count: Int, after unread: inout [UInt8], on end: PanelEnd, stop: Int32
    ) throws -> [UInt8] {
        let deadline = ContinuousClock.now + .milliseconds(patience)
        while unread.count < count {
            let left = ContinuousClock.now.duration(to: deadline).milliseconds
            guard left > 0 else { break }
            if end.isHungUp {
                if waits(min(100, left), for: stop) { break }
                continue
            }
            var polled = [end.descriptor, stop].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&polled, 2, Int32(left)) > 0 else { continue }
            if polled[1].revents != 0 { break }
            unread += try end.read()
        }
        defer { unread = Array(unread.dropFirst(count)) }
        return Array(unread.prefix(count))
    }

    /// - Returns: true when it is to stop.
    private static func waits(_ milliseconds: Int64, for stop: Int32) -> Bool {
        var polled = pollfd(fd: stop, events: Int16(POLLIN), revents: 0)
        return poll(&polled, 1, Int32(min(milliseconds, 86_400_000))) > 0
    }
}
