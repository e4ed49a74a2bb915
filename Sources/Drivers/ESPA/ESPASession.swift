/// One opening of the line: reads, judges, reports, answers.
struct ESPASession {
    /// Times in milliseconds.
    private enum Limit {
        /// Beyond this a report may have outlasted the panel's patience.
        static let promptReport: Int64 = 1000
        /// Between two lines in the log about blocks that failed.
        static let logPause: Int64 = 60_000
        /// Before a condition that could not be stored is reported again.
        static let retry: Int64 = 5000
        /// Polls after which strict selecting is doubted.
        static let doubtfulPolls = 20
    }

    private let driver: ESPADriver
    private let host: any Host
    private let matcher: ESPAMatcher
    private var link: ESPALink
    private var supervision: LineSupervision
    private var reportedCondition: Signal.Reading?
    private var retryAt: Int64?
    private var quietUntil: Int64 = .min
    private var hinted = false
    private var shown = ShownBytes()

    init(_ driver: ESPADriver, _ host: any Host) {
        self.driver = driver
        self.host = host
        matcher = ESPAMatcher(driver.rules)
        link = ESPALink(
            addresses: driver.addresses, controlStation: driver.controlStation, lenient: driver.lenient)
        // An EOT stands alone, after a call and before a poll.
        supervision = LineSupervision(
            driver.serial, lacks: "no poll or call", driver.silence, host.now, ignoring: [ESPACharacter.eot])
    }

    mutating func run(_ port: borrowing SerialPort) throws {
        // A panel that talks only when something happens proves nothing by its silence: open is all it can be.
        if driver.silence == nil { host.answers() }
        while true {
            switch host.wait(for: [port.descriptor], until: deadline) {
            case .stop: return
            case .deadline, .output: break
            case .ready: try serve(try port.read(), port)
            }
            if host.isWatched { shown.overdue(at: host.now.uptime).map(host.trace) }
            supervision.check(at: host.now.uptime)
            reportCondition()
        }
    }

    private var deadline: ContinuousClock.Instant? {
        let next = [retryAt, supervision.nextCheck, host.isWatched ? shown.deadline : nil].compactMap(\.self).min()
        return next.map { .now + .milliseconds(max(0, $0 - host.now.uptime)) }
    }

    /// Takes what was read, and what came while it was dealt with.
    ///
    /// An answer belongs to the last thing that the panel said. When storing took so long that the panel went on without
    /// it, the answer is not sent: the panel would take it for the answer to what it said since, and might strike a call
    /// that is not stored. It repeats the unanswered call, and the repeat is answered.
    private mutating func serve(_ received: [UInt8], _ port: borrowing SerialPort) throws {
        var bytes = received
        var overdue = false
        var index = 0
        host.log(.debug, "< \(hexadecimal(received))")
        supervision.received(received)
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            let before = host.now.uptime
            shown.came(byte, at: before).map(host.trace)
            guard let outcome = link.receive(byte, at: before) else {
                // It stands alone, and nothing comes of it.
                if byte == ESPACharacter.eot { shown.passages(of: [byte], "EOT").forEach(host.trace) }
                continue
            }
            if host.isWatched { shown.passages(of: nil, outcome.meaning).forEach(host.trace) }
            let answer = judge(outcome, at: before)
            if host.now.uptime - before > Limit.promptReport {
                let since = try port.read()
                if !since.isEmpty {
                    host.log(.warning, "storing took longer than the panel waited for its answer: it will repeat")
                    host.log(.debug, "< \(hexadecimal(since))")
                    supervision.received(since)
                    bytes += since
                    overdue = true
                }
            }
            guard let answer, !overdue || index == bytes.count else { continue }
            try send(answer, port)
            if case .block = outcome, answer == ESPALink.Answer.accepted { link.acknowledged() }
        }
    }

    private func send(_ answer: [UInt8], _ port: borrowing SerialPort) throws {
        // A stop ends the wait early and is told again by the next one; the answer is due all the same.
        if driver.replyDelay > .zero { _ = host.wait(until: .now + driver.replyDelay) }
        try port.write(answer)
        host.log(.debug, "> \(hexadecimal(answer))")
        if host.isWatched { host.trace(Passage(.sent, answer, ESPALink.Answer.meaning(answer))) }
    }

    /// What to answer; nil for nothing. Returns when a call is stored.
    private mutating func judge(_ outcome: ESPALink.Outcome, at now: Int64) -> [UInt8]? {
        if outcome != .corrupt {
            supervision.valid(at: now)
            host.answers()
        }
        switch outcome {
        case .overheard: return nil
        case .polled:
            hint()
            return ESPALink.Answer.nothingToSend
        case .selected: return ESPALink.Answer.accepted
        case .corrupt:
            logSparingly("a block with a wrong checksum: asked for it again")
            return ESPALink.Answer.corrupt
        case .block(_, again: true): return ESPALink.Answer.accepted
        case .block(let body, again: false): return take(body)
        }
    }

    private mutating func take(_ body: [UInt8]) -> [UInt8] {
        do {
            let block = try ESPABlock(body)
            supervision.understood()
            let signals = signals(of: block)
            if !signals.isEmpty { try host.report(signals) }
            link.remember(body, at: host.now.uptime)
            return ESPALink.Answer.accepted
        } catch let error as ESPABlock.NotUnderstood {
            supervision.notUnderstood("\(error.why), in \(ESPACharset.latin1.text(Array(body.prefix(60))))")
            logSparingly("a block was not understood (\(error.why)): \(hexadecimal(body))")
            return ESPALink.Answer.notUnderstood
        } catch {
            logSparingly("a call could not be stored, the panel is told to try again: \(error)")
            return ESPALink.Answer.busy
        }
    }

    /// A status says no more of a call than the call itself, unless the transmitter failed (section 4.3, record 8). A
    /// status request asks for an answer that only a poll could fetch; we have none.
    private func signals(of block: ESPABlock) -> [Signal] {
        let call = ESPACall(block, driver.charset)
        let reading: Signal.Reading = call.isReset ? .cleared : .call
        if let point = matcher.point(for: call) { return [Signal(point: point, reading, text: call.text)] }
        if !block.header.isCall {
            guard block.header == .statusInformation, let status = block.value(.systemStatus) else { return [] }
            let failed = status == 1
            return [
                Signal(
                    point: ESPADriver.Part.transmitter,
                    failed ? .fault("the panel's bus reports a failed pager transmitter") : .healthy, text: call.text)
            ]
        }
        host.log(.notice, "no point takes it: \(call.summary): \"\(call.text)\"")
        return [
            Signal(
                point: ESPADriver.Part.unclassified, reading, text: call.text.isEmpty ? call.summary : call.text)
        ]
    }

    private mutating func reportCondition() {
        let now = host.now.uptime
        guard let condition = supervision.condition, condition != reportedCondition else {
            retryAt = nil
            return
        }
        guard now >= retryAt ?? now else { return }
        do {
            try host.report(Signal(point: ESPADriver.Part.line, condition))
            reportedCondition = condition
            retryAt = nil
        } catch {
            retryAt = now + Limit.retry
        }
    }

    private mutating func hint() {
        guard !hinted, link.pollsWithoutSelfPoll >= Limit.doubtfulPolls else { return }
        hinted = true
        host.log(
            .notice,
            "polled \(Limit.doubtfulPolls) times and never selected by the book (1 ENQ, 2 ENQ): if no call gets through, "
                + "this panel selects without polling itself first; then set select = \"lenient\"")
    }

    private mutating func logSparingly(_ message: String) {
        let now = host.now.uptime
        guard now >= quietUntil else { return }
        quietUntil = now + Limit.logPause
        host.log(.warning, message)
    }
}
