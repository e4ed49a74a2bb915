import AlarmProtocol

/// Whether a serial line can be trusted: bytes come, and they fit frames.
///
/// Pure: bytes and times in milliseconds in, the line's condition out.
struct LineSupervision: Sendable {
    /// The name of the line as a part of the device.
    static let point = "line"

    enum Limit {
        /// So many bytes without one frame, and
        static let strangeBytes = 20
        /// so long after the last of them, are a line with wrong settings.
        static let strangeTime: Int64 = 30_000
        /// So many times, and so many bytes, within so long, between right frames, are noise.
        static let noiseTimes = 10
        static let noiseBytes = 100
        static let noiseTime: Int64 = 600_000
        /// So long without being let send is a fault of the line; looked at so often.
        static let held: Int64 = 2000
    }

    let port: String
    let line: SerialLine
    /// What its silence lacks: "no poll or call".
    let lacks: String
    /// Bytes that stand alone and count for nothing.
    let ignored: Set<UInt8>
    /// Longest silence in milliseconds; nil: the panel talks only when something happens.
    let silence: Int64?
    private let readyLine: SerialSettings.ReadyLine?

    private var lastValid: Int64
    private var strange = 0
    private var oddOnes = 0
    private var highOnes = 0
    private var lineFault: String?
    private var blockFault: String?
    private var heardSomething = false
    private var noise: (since: Int64, times: Int, bytes: Int)?
    private var noiseFault: String?
    private var heldSince: Int64?
    private var heldFault: String?
    private var nextHeldCheck: Int64?
    private var wasReady = false
    private var unreadySince: Int64?
    private var unreadyFault: String?

    init(
        _ serial: SerialSettings, lacks: String, _ silence: Duration?, _ opened: Moment,
        ignoring ignored: Set<UInt8> = []
    ) {
        port = serial.path
        line = serial.line
        readyLine = serial.dsr
        self.lacks = lacks
        self.ignored = ignored
        self.silence = silence?.milliseconds
        lastValid = opened.uptime
    }

    /// The line's condition now; nil until something is known of it. A port's stable name is long, and a text that is
    /// sent is cut: so it stands last.
    var condition: Signal.Reading? {
        if let fault = unreadyFault ?? heldFault ?? lineFault ?? blockFault ?? noiseFault { return .fault(fault) }
        return heardSomething ? .healthy : nil
    }

    /// Bytes came; what they meant, if anything, is told by the other calls.
    mutating func received(_ bytes: some Collection<UInt8>) {
        guard strange < 10_000 else { return }
        for byte in bytes where !ignored.contains(byte) {
            strange += 1
            if byte.nonzeroBitCount % 2 == 1 { oddOnes += 1 }
            if byte >= 0x80 { highOnes += 1 }
        }
    }

    /// A frame, whole and right.
    mutating func valid(at now: Int64) {
        lastValid = now
        (strange, oddOnes, highOnes) = (0, 0, 0)
        heardSomething = true
        lineFault = nil
    }

    mutating func understood() { blockFault = nil }

    /// So long, in milliseconds, the panel was kept waiting, or not listened to: that is no silence of its own.
    mutating func paused(for time: Int64) { lastValid += max(0, time) }

    /// The first stands until a block is understood.
    mutating func notUnderstood(_ why: String) {
        guard blockFault == nil else { return }
        blockFault = "a call was refused as not understood: \(why); look at the panel (\(port))"
    }

    /// Bytes that are no frame, or a wrong one. Between right frames, and again and again, they are noise.
    mutating func strange(_ count: Int, at now: Int64) {
        guard heardSomething, lineFault == nil else { return }
        var seen = noise ?? (now, 0, 0)
        seen.times = min(seen.times + 1, 10_000)
        seen.bytes = min(seen.bytes + count, 1_000_000)
        noise = seen
        guard seen.times >= Limit.noiseTimes, seen.bytes >= Limit.noiseBytes else { return }
        noiseFault =
            "noise: between right frames bytes that fit none, \(Limit.noiseTimes) times within "
            + "\(Limit.noiseTime / 60_000) minutes: check the shield, the earth and the termination, and that no two send "
            + "at once (\(port))"
    }

    /// Whether the other end keeps us from sending, by the handshake.
    mutating func held(_ isHeld: Bool, at now: Int64) {
        guard isHeld else {
            (heldSince, heldFault, nextHeldCheck) = (nil, nil, nil)
            return
        }
        let since = heldSince ?? now
        heldSince = since
        nextHeldCheck = now + Limit.held
        if now - since >= Limit.held { heldFault = "nothing that we say gets out: \(SerialPort.heldOff) (\(port))" }
    }

    /// Whether the other end's DTR is up, by which a module says that it is connected with its panel.
    mutating func ready(_ isUp: Bool?, at now: Int64) {
        guard let readyLine, let isUp else { return }
        guard !isUp else {
            (wasReady, unreadySince, unreadyFault) = (true, nil, nil)
            return
        }
        guard wasReady || readyLine == .required else { return }
        let since = unreadySince ?? now
        unreadySince = since
        if now - since >= Limit.held {
            unreadyFault =
                "the other end holds its DTR (DSR here) down on \(port): it has lost its panel's bus or its power, or the "
                + "cable is loose"
        }
    }

    /// Looks at the time.
    /// - Parameter errors: what the port has counted, asked for only where a fault is found.
    mutating func check(at now: Int64, errors: @autoclosure () -> LineErrors? = nil) {
        if let seen = noise, now - seen.since >= Limit.noiseTime {
            if seen.times < Limit.noiseTimes || seen.bytes < Limit.noiseBytes { noiseFault = nil }
            noise = noiseFault == nil ? nil : (now, 0, 0)
        }
        guard lineFault == nil else { return }
        let quiet = now - lastValid
        if strange >= Limit.strangeBytes, quiet >= Limit.strangeTime {
            lineFault = "bytes arrive but no frame fits: wrong speed or parity? \(advice(errors())) (\(strange) bytes)"
        } else if let silence, quiet >= silence {
            let time = silence % 1000 == 0 ? "\(silence / 1000) s" : "\(silence) ms"
            if strange > 0 {
                lineFault =
                    "\(lacks) for \(time), but bytes that fit no frame: wrong speed or parity? \(advice(errors()))"
            } else if let counted = errors()?.advice {
                lineFault = "\(lacks) for \(time), \(counted) (\(port))"
            } else {
                lineFault = "\(lacks) for \(time): check the cable and that the panel is on (\(port))"
            }
        }
    }

    /// When `check` may find something new; nil: only after more bytes.
    var nextCheck: Int64? {
        let strangeAt = strange >= Limit.strangeBytes ? lastValid + Limit.strangeTime : nil
        let silentAt = silence.map { lastValid + $0 }
        let lineAt = lineFault == nil ? [strangeAt, silentAt] : []
        let unreadyAt = unreadyFault == nil ? unreadySince.map { $0 + Limit.held } : nil
        return (lineAt + [nextHeldCheck, unreadyAt, noise.map { $0.since + Limit.noiseTime }]).compactMap(\.self).min()
    }

    private func advice(_ errors: LineErrors?) -> String {
        [errors?.advice, advice].compactMap(\.self).joined(separator: ". ")
    }

    /// Seven bits with parity, read as eight bits without, all have the same parity and some the eighth bit.
    private var advice: String {
        guard line.dataBits == 8, line.parity == .none, highOnes > 0, oddOnes == 0 || oddOnes == strange else {
            return "Here \(port) is at \(line): compare with the panel's settings"
        }
        return "The bytes look like \"\(line.speed) 7\(oddOnes == 0 ? "E" : "O")1\"; here \(port) is at \(line)"
    }
}
