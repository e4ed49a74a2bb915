/// One reading of a supervised loop, for a person who watches it or learns its values.
public struct LoopReading: Sendable, Hashable {
    public var point: String
    /// As the device counts, and what an open loop counts.
    public var count: Double
    public var fullScale: Int
    /// What this reading is taken for, as the loop is described now: "alarm".
    public var state: String

    /// "door 2731 of 4095 (67 %): alarm".
    public var described: String {
        let ratio = count / Double(max(1, fullScale))
        guard ratio.isFinite, abs(count) < 1e15 else { return "\(point): no number" }
        return "\(point) \(Int(count.rounded())) of \(fullScale) (\(Int((ratio * 100).rounded())) %): \(state)"
    }
}

/// How a supervised loop is described now: what must be known to learn it anew. Values are counts.
public struct LoopFacts: Codable, Sendable, Hashable {
    public var point: String
    /// What an open loop counts.
    public var fullScale: Int
    /// The device measures the reference itself: full-scale is no setting.
    public var fullScaleIsKnown: Bool
    public var normal: Int
    public var alarm: Int
    public var masked: Int?
    /// What a shorted and an open loop count, where that has been learned.
    public var short: Int?
    public var open: Int?
    /// Normal, alarm and masked are worked out from resistors.
    public var isInOhms: Bool
}

/// A driver that measures supervised loops.
public protocol LoopDriver: Driver {
    /// Of all its points that are supervised loops.
    var loopFacts: [LoopFacts] { get }
}
