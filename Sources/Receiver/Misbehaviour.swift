import Synchronization

/// How the receiver answers badly on purpose, so that a transmitter can be tried: `WHAT[:VALUE][:every=K][@N-M]`.
///
/// `nak`, `delay:5`, `garbage:64@3-5` (only the third to fifth frame from now), `silent:every=3` (every third frame).
public struct Misbehaviour: Sendable, Hashable, CustomStringConvertible {
    public enum Fault: Sendable, Hashable {
        /// The frame is lost on its way here: not judged, not stored, not answered.
        case drop
        /// The frame is lost, and so is the connection (over UDP as `drop`).
        case close
        /// Refused as if its time were wrong: nothing is stored.
        case nak
        /// Refused as if it could not be understood: nothing is stored.
        case duh
        /// Judged and stored as usual, but the answer is lost.
        case silent
        /// Judged and stored as usual, answered this much later.
        case delay(Duration)
        /// Judged and stored as usual, answered with this many random bytes.
        case garbage(Int)
        /// Judged and stored as usual, answered at this many bytes a second.
        case slow(Int)
        /// Judged and stored as usual, acknowledged under the next sequence number.
        case wrongSequence
    }

    public var fault: Fault
    /// Which frames, counted from 1 when the misbehaviour is switched on. Link tests count.
    public var frames: ClosedRange<Int>
    /// 1: every frame within `frames`; 3: every third.
    public var every: Int
    private let text: String

    /// Longest delay, most garbage, fastest dripping.
    static let delayLimit = 3_600.0
    static let garbageLimit = 1_000_000
    static let slowLimit = 1_000_000

    public static let grammar =
        "drop, close, nak, duh, silent, delay:SECONDS, garbage:BYTES, slow:BYTES_PER_SECOND or wrong-sequence, "
        + "then if wanted :every=K, then if wanted @N, @N-M or @N-; or none"

    /// What is wrong with the words, and what was expected.
    public struct Unknown: Error, Sendable, Hashable, CustomStringConvertible {
        public var description: String
    }

    /// - Returns: nil for "none".
    public static func parse(_ text: some StringProtocol) throws(Unknown) -> Misbehaviour? {
        text == "none" ? nil : try Misbehaviour(String(text))
    }

    init(_ text: String) throws(Unknown) {
        let halves = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        var words = halves[0].split(separator: ":", omittingEmptySubsequences: false)[...]
        every = 1
        if let last = words.last, last.hasPrefix("every=") {
            every = try Self.number(last.dropFirst(6), 1...1_000_000_000, "K of every=K", in: text)
            words.removeLast()
        }
        frames = halves.count == 2 ? try Self.range(halves[1], in: text) : 1...Int.max
        let name = words.popFirst() ?? ""
        let value = words.popFirst()
        guard words.isEmpty else { throw Self.wrong(text, "has too many parts") }
        switch (name, value) {
        case ("drop", nil): fault = .drop
        case ("close", nil): fault = .close
        case ("nak", nil): fault = .nak
        case ("duh", nil): fault = .duh
        case ("silent", nil): fault = .silent
        case ("wrong-sequence", nil): fault = .wrongSequence
        case ("delay", let value?):
            guard let seconds = Double(value), (0...Self.delayLimit).contains(seconds) else {
                throw Self.wrong(text, "SECONDS of delay is \"\(value)\", expected 0 to \(Int(Self.delayLimit))")
            }
            fault = .delay(.milliseconds(Int64(seconds * 1_000)))
        case ("garbage", let value?):
            fault = .garbage(try Self.number(value, 1...Self.garbageLimit, "BYTES of garbage", in: text))
        case ("slow", let value?):
            fault = .slow(try Self.number(value, 1...Self.slowLimit, "BYTES_PER_SECOND of slow", in: text))
        default: throw Self.wrong(text, "is not known")
        }
        self.text = text
    }

    /// Whether the frame of this number, from 1, is answered badly.
    func strikes(_ frame: Int) -> Bool { frames.contains(frame) && (frame - frames.lowerBound + 1) % every == 0 }

    public var description: String { text }

    private static func range(_ text: Substring, in whole: String) throws(Unknown) -> ClosedRange<Int> {
        let ends = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        let first = try number(ends[0], 1...1_000_000_000, "the first frame after @", in: whole)
        guard ends.count == 2 else { return first...first }
        guard !ends[1].isEmpty else { return first...Int.max }
        return first...(try number(ends[1], first...1_000_000_000, "the last frame after @", in: whole))
    }

    private static func number(
        _ text: Substring, _ range: ClosedRange<Int>, _ what: String, in whole: String
    ) throws(Unknown) -> Int {
        guard let number = Int(text), range.contains(number) else {
            throw wrong(whole, "\(what) is \"\(text)\", expected a whole number from \(range.lowerBound)")
        }
        return number
    }

    private static func wrong(_ text: String, _ why: String) -> Unknown {
        Unknown(description: "misbehave \"\(text)\": \(why). Expected \(grammar)")
    }
}

/// The misbehaviour that is switched on, if any. May be switched from any thread, for the next frame on.
final class Manners: Sendable {
    private let state: Mutex<(misbehaviour: Misbehaviour?, frames: Int)>

    init(_ misbehaviour: Misbehaviour?) { state = Mutex((misbehaviour, 0)) }

    /// Frames are counted from here.
    func change(to misbehaviour: Misbehaviour?) { state.withLock { $0 = (misbehaviour, 0) } }

    /// Counts a frame, and says how to mistreat it.
    func fault() -> Misbehaviour.Fault? {
        state.withLock { state in
            guard let misbehaviour = state.misbehaviour else { return nil }
            state.frames += 1
            return misbehaviour.strikes(state.frames) ? misbehaviour.fault : nil
        }
    }
}
