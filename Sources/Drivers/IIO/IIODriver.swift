import AlarmProtocol

/// Supervised loops on the analogue inputs of Linux (Industrial I/O): `[device.iio.NAME]`. See README.md beside this file.
public struct IIODriver: LoopDriver {
    public static let name = "iio"

    /// The converter's name or label.
    let device: String
    /// The channel that measures the loops' reference; nil: `full-scale` of each point says what an open loop reads.
    let reference: IIOChannelName?
    let points: [IIOPoint]
    let interval: Duration
    /// Where the kernel shows its converters.
    let directory: String

    /// With a reference channel a reading is in parts of it: so many are the whole.
    static let partsOfReference = 10_000
    /// A channel that cannot be read so many times in a row is in fault.
    private static let patience = 3
    /// Whether it is still the same converter is looked at this often, and missing channels are looked for again.
    private static let review: Duration = .seconds(2)
    /// A round that takes longer reads too seldom to judge by.
    private static let longestRound: Duration = .milliseconds(500)

    public init(_ settings: Settings) throws {
        device = settings.string(
            "device", expected: "the converter's name or label in quotes, as \"mcp3208\"", limit: 64)
        directory = settings.string("directory", default: IIOConverter.directory)
        reference = settings.has("reference") ? IIOChannelName(settings, "reference") : nil
        interval = settings.duration(
            "interval", in: .milliseconds(100) ... .milliseconds(500), default: .milliseconds(150))
        let fullScale = reference == nil ? nil : Self.partsOfReference
        points = settings.points.compactMap { IIOPoint($0, fullScale: fullScale) }
        if settings.points.isEmpty {
            settings.refuse("point", "expected at least one point, [\(settings.path).point.NAME]")
        }
        SupervisedLoop.refuseNames(settings.points)
        var users: [IIOChannelName: String] = [:]
        // A point without a loop has been refused, and is not among the points.
        for point in points {
            guard let table = settings.points.first(where: { $0.name == point.name }) else { continue }
            if point.channel == reference { table.refuse("channel", "the same channel as reference") }
            if let other = users.updateValue(point.name, forKey: point.channel) {
                table.refuse("channel", "the same channel as point \(other)")
            }
        }
    }

    public var loopFacts: [LoopFacts] { points.map(\.loop.facts) }

    public func run(_ host: any Host) throws {
        let converter = try IIOConverter(device, in: directory)
        let reference = try reference.map { name throws(DeviceError) in try converter.channel(name) }
        var watched = points.map { Watched($0) }
        var failures = 0
        var next = ContinuousClock.now
        var nextReview = next
        var hasWarned = false
        while true {
            let began = ContinuousClock.now
            var signals: [Signal] = []
            if began >= nextReview {
                try converter.checkThatItIsThere()
                signals += watched.indices.compactMap { watched[$0].open(converter) }
                nextReview = began + Self.review
            }
            do throws(DeviceError) {
                let whole = try reference.map { channel throws(DeviceError) in try Self.whole(channel) }
                var good = 0
                for index in watched.indices where watched[index].isOpen {
                    let (news, isGood) = watched[index].read(whole: whole, host.now)
                    signals += news
                    good += isGood ? 1 : 0
                }
                if good > 0 {
                    failures = 0
                    host.answers()
                } else {
                    throw watched.lazy.compactMap(\.error).first ?? DeviceError("\(device): no channel can be read")
                }
            } catch {
                failures += 1
                if failures >= Self.patience { throw error }
            }
            if host.isWatched { for reading in watched.compactMap(\.reading) { host.measured(reading) } }
            guard host.deliver(signals) else { return }
            // What was missed is not made up for.
            next = max(next + interval, .now)
            let round = ContinuousClock.now - began
            if round > Self.longestRound, signals.isEmpty, !hasWarned {
                hasWarned = true
                host.log(.warning, "reading all channels took \(round.described): too long to judge loops by")
            }
            if host.wait(until: next) == .stop { return }
        }
    }

    private static func whole(_ channel: IIOChannel) throws(DeviceError) -> Double {
        let value = try channel.value()
        guard value > 0 else {
            throw DeviceError("the reference, channel \(channel.name), reads \(value): check the supply of the loops")
        }
        return value
    }

    /// A point and its channel.
    private struct Watched {
        let point: IIOPoint
        private var loop: SupervisedLoop
        private var channel: IIOChannel?
        private var failures = 0
        private var isInFault = false
        private(set) var error: DeviceError?
        /// What this round read of it.
        private(set) var reading: LoopReading?

        init(_ point: IIOPoint) {
            self.point = point
            loop = point.loop
        }

        var isOpen: Bool { channel != nil }

        /// Finds the channel where there is none yet.
        /// - Returns: the point's fault when it cannot be had.
        mutating func open(_ converter: IIOConverter) -> Signal? {
            guard channel == nil else { return nil }
            do throws(DeviceError) {
                channel = try converter.channel(point.channel)
                return nil
            } catch {
                self.error = error
                return fault(error)
            }
        }

        private mutating func fault(_ error: DeviceError) -> Signal? {
            defer { isInFault = true }
            return isInFault ? nil : Signal(point: point.name, .fault("point \(point.name): \(error)"))
        }

        /// One reading: what there is to report, and whether it could be read.
        mutating func read(whole: Double?, _ moment: Moment) -> ([Signal], Bool) {
            reading = nil
            guard let channel else { return ([], false) }
            do throws(DeviceError) {
                let value = try channel.reading(relativeTo: whole)
                let count = value * (whole == nil ? 1 : Double(IIODriver.partsOfReference))
                failures = 0
                error = nil
                var signals: [Signal] = []
                if isInFault {
                    isInFault = false
                    signals.append(Signal(point: point.name, .healthy))
                }
                signals += loop.take(count / Double(max(1, loop.fullScale)), at: .now, moment: moment)
                reading = loop.reading(count)
                return (signals, true)
            } catch {
                self.error = error
                failures += 1
                guard failures >= IIODriver.patience else { return ([], false) }
                // What comes after is a first reading again.
                loop.pause()
                return ([fault(error)].compactMap(\.self), false)
            }
        }
    }
}

/// Where a loop is found on the converter: `[device.iio.NAME.point.POINT]`.
struct IIOPoint: Sendable {
    let name: String
    let channel: IIOChannelName
    let loop: SupervisedLoop

    init?(_ settings: Settings, fullScale: Int?) {
        name = settings.name
        // Said by the board's file in terms of channel before we see it; here only known.
        _ = settings.optionalString("terminal", expected: "a terminal's name in quotes, as \"AI1\"")
        channel = IIOChannelName(settings, "channel")
        guard let loop = SupervisedLoop(settings, fullScale: fullScale) else {
            settings.refuse(
                "end-of-line",
                "expected what the loop reads, as { pull-up = \"1k\", normal = \"1k\", alarm = \"2k\" }")
            return nil
        }
        self.loop = loop
    }
}

/// A channel as the configuration names it: its number, `0` for in_voltage0, or its label.
enum IIOChannelName: Sendable, Hashable, CustomStringConvertible {
    case number(Int)
    case label(String)

    init(_ settings: Settings, _ key: String) {
        switch settings.nameOrNumber(key, in: 0...255) {
        case .number(let number): self = .number(number)
        case .name(let label): self = .label(label)
        }
    }

    var description: String {
        switch self {
        case .number(let number): "\(number)"
        case .label(let label): "\"\(label)\""
        }
    }
}
