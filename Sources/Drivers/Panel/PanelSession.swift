import AlarmProtocol

/// One opening of a panel's line: reads, has the protocol judge, stores, answers.
struct PanelSession<Link: PanelLink> {
    /// Times in milliseconds.
    private enum Limit {
        /// Between two lines in the log about frames that failed.
        static var logPause: Int64 { 60_000 }
        /// Before a condition that could not be stored is reported again.
        static var retry: Int64 { 5000 }
    }

    /// The name of the line as a part of the device.
    static var line: String { "line" }

    private var link: Link
    private let host: any Host
    private var supervision: LineSupervision
    private var reportedCondition: Signal.Reading?
    private var retryAt: Int64?
    private var quietUntil: Int64 = .min
    /// What came while a report was stored and has not been judged yet.
    private var unread: [UInt8] = []
    private var isStopped = false
    private var shown = ShownBytes()

    init(_ link: Link, _ host: any Host, _ supervision: LineSupervision) {
        self.link = link
        self.host = host
        self.supervision = supervision
    }

    mutating func run(_ port: borrowing SerialPort) throws {
        // A panel that talks only when something happens proves nothing by its silence: open is all it can be.
        if supervision.silence == nil { host.answers() }
        try perform(link.opened(at: host.now.uptime), port)
        while !isStopped {
            switch host.wait(for: [port.descriptor], until: deadline) {
            case .stop: return
            case .deadline, .output: break
            case .ready: try take(try port.read(), port)
            }
            let now = host.now.uptime
            if let due = link.deadline, now >= due { try perform(link.tick(at: now), port) }
            if host.isWatched { shown.overdue(at: host.now.uptime).map(host.trace) }
            supervision.check(at: host.now.uptime)
            reportCondition()
        }
    }

    private var deadline: ContinuousClock.Instant? {
        let next = [retryAt, supervision.nextCheck, link.deadline, host.isWatched ? shown.deadline : nil]
            .compactMap(\.self).min()
        return next.map { .now + .milliseconds(max(0, $0 - host.now.uptime)) }
    }

    private mutating func take(_ received: [UInt8], _ port: borrowing SerialPort) throws {
        supervision.received(received)
        unread += received
        while !unread.isEmpty, !isStopped {
            let byte = unread.removeFirst()
            let now = host.now.uptime
            shown.came(byte, at: now).map(host.trace)
            try perform(link.receive(byte, at: now), port)
        }
    }

    private mutating func perform(_ steps: [PanelStep], _ port: borrowing SerialPort) throws {
        for step in steps {
            switch step {
            case .frame(let bytes, let says):
                supervision.valid(at: host.now.uptime)
                host.answers()
                shown.passages(of: bytes, says).forEach(host.trace)
            case .strange(let bytes, let why):
                shown.passages(of: bytes, "no frame: \(why)").forEach(host.trace)
                logSparingly(.warning, "bytes that are no frame (\(why)): \(hexadecimal(bytes.prefix(80)))")
            case .send(let bytes, let says): try send(bytes, says, port)
            case .report(let signals, let accept, let refuse): try report(signals, accept, refuse, port)
            case .log(let level, let message): logSparingly(level, message)
            case .lose(let why): throw DeviceError(why)
            }
        }
    }

    private func send(_ bytes: [UInt8], _ says: String, _ port: borrowing SerialPort) throws {
        try port.write(bytes)
        host.trace(Passage(.sent, bytes, says))
    }

    private mutating func report(
        _ signals: [Signal], _ accept: [UInt8]?, _ refuse: [UInt8]?, _ port: borrowing SerialPort
    ) throws {
        guard let accept else {
            isStopped = !host.deliver(signals)
            if !isStopped { try perform(link.stored(answered: false, at: host.now.uptime), port) }
            return
        }
        let before = host.now.uptime
        do { if !signals.isEmpty { try host.report(signals) } } catch {
            logSparingly(.error, "what the panel said could not be stored, it is to say it again: \(error)")
            if let refuse { try send(refuse, "refused: it could not be stored", port) }
            return
        }
        if host.now.uptime - before > Link.patience {
            let since = try port.read()
            supervision.received(since)
            unread += since
        }
        // What stands behind the report was said without waiting for our answer.
        let isLate = host.now.uptime - before > Link.patience && !unread.isEmpty
        if isLate {
            logSparingly(.warning, "storing took longer than the panel waited for its answer: it will say it again")
        } else {
            try send(accept, "accepted", port)
        }
        try perform(link.stored(answered: !isLate, at: host.now.uptime), port)
    }

    private mutating func reportCondition() {
        let now = host.now.uptime
        guard let condition = supervision.condition, condition != reportedCondition else {
            retryAt = nil
            return
        }
        guard now >= retryAt ?? now else { return }
        do {
            try host.report(Signal(point: Self.line, condition))
            reportedCondition = condition
            retryAt = nil
        } catch {
            retryAt = now + Limit.retry
        }
    }

    private mutating func logSparingly(_ level: LogLevel, _ message: String) {
        let now = host.now.uptime
        guard now >= quietUntil else { return }
        quietUntil = now + Limit.logPause
        host.log(level, message)
    }
}

/// "01 31 02": as recordings and manuals write bytes.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined(separator: " ")
}
