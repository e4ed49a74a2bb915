import AlarmProtocol

/// One opening of a panel's line: reads, has the protocol judge, stores, answers.
struct PanelSession<Link: PanelLink> {
    /// Times in milliseconds.
    private enum Limit {
        /// Between two lines in the log about frames that failed.
        static var logPause: Int64 { 60_000 }
        /// Before a condition that could not be stored is reported again.
        static var retry: Int64 { 5000 }
        /// Between two looks at where the port's name leads.
        static var portCheck: Int64 { 10_000 }
        /// After opening, for a panel to say again what was not answered before; later it is not kept any more.
        static var again: Int64 { 60_000 }
        /// Bytes that are kept while nothing can be stored, of a panel that says nothing twice: a minute at 9600 bit/s.
        static var unread: Int { 65536 }
        /// Of these, before the panel is held off, where it can be.
        static var unreadBeforeHold: Int { 2048 }
    }

    private var link: Link
    private let host: any Host
    private var supervision: LineSupervision
    private let replyDelay: Duration
    private var echo: EchoFilter?
    /// XON/XOFF is used, and whether the panel is held off now.
    private let holdsOff: Bool
    private var isHolding = false
    private var portCheckAt: Int64
    private var reportedCondition: Signal.Reading?
    private var retryAt: Int64?
    /// Each level by itself, so that what matters little does not silence what matters.
    private var quietUntil: [LogLevel: Int64] = [:]
    /// What came while a report was stored and has not been judged yet.
    private var unread: ArraySlice<UInt8> = []
    /// Storing took so long that the panel went on: what it said meanwhile is answered only where nothing stands behind it.
    private var isOverdue = false
    private var isStopped = false
    /// The host keeps what the next report will say, or by what the panel's repeat is known.
    private var isKeeping = false
    /// When what was kept before the opening is forgotten, if nothing else has come of it.
    private var forgetAt: Int64?
    private var shown = ShownBytes()

    init(
        _ link: Link, _ host: any Host, _ supervision: LineSupervision, replyDelay: Duration = .zero,
        echo: EchoFilter? = nil, holdsOff: Bool = false
    ) {
        self.link = link
        self.host = host
        self.supervision = supervision
        self.replyDelay = replyDelay
        self.echo = echo
        self.holdsOff = holdsOff
        portCheckAt = host.now.uptime + Limit.portCheck
    }

    mutating func run(_ port: borrowing SerialPort) throws {
        // A panel that talks only when something happens proves nothing by its silence: open is all it can be.
        if supervision.silence == nil { host.answers() }
        // Whoever had the line before may have held it off.
        if holdsOff { try send([0x11], "XON: go on", port) }
        let kept = host.kept
        isKeeping = !kept.isEmpty
        if isKeeping {
            forgetAt = host.now.uptime + Limit.again
            try perform(link.resume(kept, at: host.now.uptime), port)
        }
        try perform(link.opened(at: host.now.uptime), port)
        while !isStopped {
            switch host.wait(for: [port.descriptor], until: deadline) {
            case .stop: return try finish(port)
            case .deadline, .output: break
            case .ready: note(try port.read())
            }
            try judge(port)
            let now = host.now.uptime
            if let due = link.deadline, now >= due {
                try perform(link.tick(at: now), port)
                try judge(port)
            }
            if host.isWatched { shown.overdue(at: host.now.uptime).map(host.trace) }
            try look(at: port)
            reportCondition()
            if let due = forgetAt, host.now.uptime >= due { forgetKept() }
        }
    }

    private mutating func look(at port: borrowing SerialPort) throws {
        let now = host.now.uptime
        supervision.held(port.isHeldOff, at: now)
        supervision.ready(port.isDataSetReady, at: now)
        supervision.check(at: now, errors: port.errors)
        guard now >= portCheckAt else { return }
        portCheckAt = now + Limit.portCheck
        if let other = port.movedTo {
            throw DeviceError(
                "serial port \(port.path) now leads to \(other), no longer to \(port.device): opened anew")
        }
    }

    private var deadline: ContinuousClock.Instant? {
        let next = [
            portCheckAt, retryAt, forgetAt, supervision.nextCheck, link.deadline,
            host.isWatched ? shown.deadline : nil,
        ].compactMap(\.self).min()
        return next.map { .now + .milliseconds(max(0, $0 - host.now.uptime)) }
    }

    private mutating func judge(_ port: borrowing SerialPort) throws {
        while !unread.isEmpty, !isStopped {
            let byte = unread.removeFirst()
            let now = host.now.uptime
            shown.came(byte, at: now).map(host.trace)
            try perform(link.receive(byte, at: now), port)
        }
        isOverdue = false
    }

    private mutating func note(_ read: [UInt8]) {
        let now = host.now.uptime
        let received = echo?.others(in: read, at: now) ?? read
        guard !received.isEmpty else { return }
        if !shown.hidesDigits { host.log(.debug, "< \(hexadecimal(received))") }
        supervision.received(received)
        unread += received
    }

    private mutating func perform(_ steps: [PanelStep], _ port: borrowing SerialPort) throws {
        for step in steps where !isStopped {
            switch step {
            case .frame(let bytes, let says):
                supervision.valid(at: host.now.uptime)
                host.answers()
                shown.passages(of: bytes, says).forEach(host.trace)
            case .strange(let bytes, let why):
                supervision.strange(bytes.count, at: host.now.uptime)
                shown.passages(of: bytes, "no frame: \(why)", isFrame: false).forEach(host.trace)
                logSparingly(.warning, "bytes that are no frame (\(why)): \(hexadecimal(bytes.prefix(80)))")
            case .send(let bytes, let says): if !isOverdue || unread.isEmpty { try send(bytes, says, port) }
            case .notUnderstood(let why):
                supervision.notUnderstood(why)
                logSparingly(.warning, "a right frame was not understood: \(why)")
            case .report(let signals, let accept, let refuse, let knownBy):
                try report(signals, accept, refuse, knownBy, port)
            case .keep(let bytes, let accept, let otherwise, let refuse):
                try keep(bytes, accept, otherwise, refuse, port)
            case .sendSecret(let bytes, let says):
                shown.hidesDigits = true
                try send(bytes, says, port, isSecret: true)
            case .log(let level, let message): logSparingly(level, message)
            case .lose(let why): throw DeviceError(why)
            }
        }
    }

    private mutating func send(
        _ bytes: [UInt8], _ says: String, _ port: borrowing SerialPort, isSecret: Bool = false
    ) throws {
        // A stop ends the wait early and is told again by the next one; the answer is due all the same.
        if replyDelay > .zero { _ = host.wait(until: .now + replyDelay) }
        try port.write(bytes)
        let now = host.now.uptime
        echo?.sent(bytes, at: now)
        if !shown.hidesDigits { host.log(.debug, "> \(hexadecimal(bytes))") }
        host.trace(Passage(.sent, isSecret ? [] : bytes, says))
    }

    private mutating func report(
        _ signals: [Signal], _ accept: [UInt8]?, _ refuse: [UInt8]?, _ knownBy: [UInt8], _ port: borrowing SerialPort
    ) throws {
        supervision.understood()
        let before = host.now.uptime
        // The panel waits for us, and we for the disk or the receiver: its silence meanwhile is no fault.
        defer { supervision.paused(for: host.now.uptime - before) }
        guard let accept else {
            isStopped = !deliver(signals, knownBy, port)
            if isStopped { return }
            (isKeeping, forgetAt) = (!knownBy.isEmpty, nil)
            return try perform(link.stored(answered: false, at: host.now.uptime), port)
        }
        var isStored = true
        do { try storeForAnswer(signals, knownBy) } catch {
            isStored = false
            logSparingly(.warning, "what the panel said could not be stored, it is to say it again: \(error)")
        }
        let isAnswered =
            isStored
            ? try answer(accept, "accepted", since: before, port)
            : try answer(refuse, "refused: it could not be stored", since: before, port)
        guard isStored else { return }
        if isAnswered { forgetKept() } else if isKeeping { forgetAt = host.now.uptime + Limit.again }
        try perform(link.stored(answered: isAnswered, at: host.now.uptime), port)
    }

    private mutating func storeForAnswer(_ signals: [Signal], _ knownBy: [UInt8]) throws {
        guard !signals.isEmpty else { return }
        if isKeeping || !knownBy.isEmpty {
            try host.report(signals, keeping: knownBy)
            (isKeeping, forgetAt) = (!knownBy.isEmpty, nil)
        } else {
            try host.report(signals)
        }
        host.awaitReceiver()
    }

    private mutating func keep(
        _ bytes: [UInt8], _ accept: [UInt8], _ otherwise: [Signal], _ refuse: [UInt8]?, _ port: borrowing SerialPort
    ) throws {
        let before = host.now.uptime
        do { try host.keep(bytes) } catch { return try report(otherwise, accept, refuse, [], port) }
        defer { supervision.paused(for: host.now.uptime - before) }
        (isKeeping, forgetAt) = (true, nil)
        _ = try answer(accept, "accepted", since: before, port)
        link.kept(at: host.now.uptime)
    }

    /// What is kept is told now: the device may not come back under this name.
    private mutating func finish(_ port: borrowing SerialPort) throws {
        if isKeeping { try perform(link.resume(host.kept, at: host.now.uptime), port) }
    }

    private mutating func forgetKept() {
        forgetAt = nil
        guard isKeeping else { return }
        do {
            try host.keep([])
            isKeeping = false
        } catch { logSparingly(.warning, "what was kept of the panel's last event could not be removed: \(error)") }
    }

    /// - Returns: false when the answer would come too late and was not sent.
    private mutating func answer(
        _ bytes: [UInt8]?, _ says: String, since before: Int64, _ port: borrowing SerialPort
    ) throws -> Bool {
        if host.now.uptime - before > Link.patience {
            // What stands behind the report was said without waiting for our answer.
            note(try port.read())
            isOverdue = true
        }
        guard !isOverdue || unread.isEmpty else {
            logSparingly(.warning, "storing took longer than the panel waited for its answer: it will say it again")
            return false
        }
        if let bytes { try send(bytes, says, port) }
        return true
    }

    /// Until it is stored. What comes meanwhile is read and kept: the system's own buffer holds four seconds of it.
    private mutating func deliver(_ signals: [Signal], _ knownBy: [UInt8], _ port: borrowing SerialPort) -> Bool {
        defer { hold(false, port) }
        return host.deliver(signals, keeping: isKeeping || !knownBy.isEmpty ? knownBy : nil) {
            // A port that is lost is told by the next reading, when this is stored.
            while unread.count < Limit.unread, let more = try? port.read(), !more.isEmpty {
                note(more)
            }
            if unread.count >= Limit.unreadBeforeHold { hold(true, port) }
            return nil
        }
    }

    /// Tells a panel to wait, or to go on, where it takes us for a printer that does.
    private mutating func hold(_ isHeld: Bool, _ port: borrowing SerialPort) {
        guard holdsOff, isHeld != isHolding else { return }
        do {
            try send([isHeld ? 0x13 : 0x11], isHeld ? "XOFF: wait" : "XON: go on", port)
            isHolding = isHeld
        } catch { logSparingly(.warning, "the panel could not be told to \(isHeld ? "wait" : "go on"): \(error)") }
    }

    private mutating func reportCondition() {
        let now = host.now.uptime
        guard let condition = supervision.condition, condition != reportedCondition else {
            retryAt = nil
            return
        }
        guard now >= retryAt ?? now else { return }
        do {
            try host.report(Signal(point: LineSupervision.point, condition))
            reportedCondition = condition
            retryAt = nil
        } catch {
            retryAt = now + Limit.retry
        }
    }

    private mutating func logSparingly(_ level: LogLevel, _ message: String) {
        let now = host.now.uptime
        guard now >= quietUntil[level] ?? now else { return }
        quietUntil[level] = now + Limit.logPause
        host.log(level, message)
    }
}

/// "01 31 02": as recordings and manuals write bytes.
func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
    bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined(separator: " ")
}
