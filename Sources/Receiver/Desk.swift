import AlarmProtocol
import NIOCore
import NIOPosix

/// Where frames from all connections are judged, kept and answered. Lives on one event loop.
///
/// A disk syncs slowly, so it is never waited for here: what arrives while one commit runs goes into the next one
/// together, and is answered when that one is on disk. Frames that need no disk are answered at once.
final class Desk {
    /// What a connection is to do about a frame.
    enum Answer: Sendable {
        case nothing
        case bytes([UInt8])
        /// So many bytes a second.
        case dripped([UInt8], Int)
        case close
    }

    /// A message on its way to disk, and who waits for it.
    private struct Waiting {
        var records: [FeedRecord]
        var lines: [UInt8]
        /// To be forgotten again if it cannot be stored.
        var mark: (DuplicateWindow.Mark, of: String)?
        var answer: Answer
        var delay: Duration?
        var respond: (Answer) -> Void
    }

    let loop: any EventLoop
    private(set) var counters = Counters()
    private var judge: Judge
    private let manners: Manners
    private let writer: NIOThreadPool
    private let store: Store?
    private let feed: @Sendable ([FeedRecord]) throws -> Void
    private let options: ReceiverOptions
    private let clock: @Sendable () -> Int64
    private var voice: Voice

    private var waiting: [Waiting] = []
    private var waitingBytes = 0
    private var isCommitting = false
    private var whenIdle: [() -> Void] = []

    init(
        loop: any EventLoop, writer: NIOThreadPool, store: Store?, judge: Judge, manners: Manners,
        options: ReceiverOptions, clock: @escaping @Sendable () -> Int64,
        feed: @escaping @Sendable ([FeedRecord]) throws -> Void,
        log: @escaping @Sendable (String) -> Void
    ) {
        self.loop = loop
        self.writer = writer
        self.store = store
        self.judge = judge
        self.manners = manners
        self.options = options
        self.clock = clock
        self.feed = feed
        voice = Voice(log)
    }

    /// Bytes that were no frame: counted, and said now and then.
    func dismiss(_ error: FrameError, from path: FeedRecord.Path) {
        counters.ignored += 1
        say("\(path.remote): not answered: \(error)")
    }

    func say(_ words: String) { voice.say(words, at: clock()) }

    /// Judges a whole frame and sees to its answer, which may come at once or later, and comes exactly once.
    func take(_ frame: [UInt8], over path: FeedRecord.Path, respond: @escaping (Answer) -> Void) {
        counters.frames += 1
        let now = clock()
        let fault = manners.fault()
        if fault != nil { counters.misbehaved += 1 }
        switch fault {
        case .drop: return respond(.nothing)
        case .close: return respond(.close)
        case .nak: return respond(.bytes(Reply.correctTime(Timestamp(utc: now))))
        case .duh:
            let header = (try? Envelope.parse(frame))?.header
            return respond(header.map { .bytes(Reply.refuse($0)) } ?? .nothing)
        default: break
        }
        let judgement = judge.judge(frame, at: now)
        count(judgement.verdict)
        if let reason = judgement.reason { say("\(path.remote): \(judgement.verdict.words): \(reason)") }

        var answer = judgement.reply.map(Answer.bytes) ?? .nothing
        var delay: Duration?
        switch fault {
        case .silent: answer = .nothing
        case .delay(let time): delay = time
        case .garbage(let count): answer = .bytes((0..<count).map { _ in UInt8.random(in: 0...255) })
        case .slow(let pace): if case .bytes(let reply) = answer { answer = .dripped(reply, pace) }
        case .wrongSequence: answer = judgement.wronglyNumberedReply(at: now).map(Answer.bytes) ?? answer
        case .drop, .close, .nak, .duh, nil: break
        }

        let records = FeedRecord.records(of: judgement, frame: frame, received: now, path: path)
        switch judgement.verdict {
        case .ignored, .refused, .wrongTime: finish(answer, after: delay, respond)
        case .poll:
            finish(answer, after: delay, respond)
            if options.showsPolls { hand(records) }
        case .event, .repeated:
            let lines = records.reduce(into: [UInt8]()) { $1.write(to: &$0) }
            guard waiting.count < options.limits.waitingFrames,
                waitingBytes + lines.count <= options.limits.waitingBytes
            else {
                forget(judgement.mark)
                counters.failed += 1
                say(
                    "\(path.remote): not answered: \(waiting.count) frames already wait for the disk or for the feed's reader"
                )
                return finish(.nothing, after: nil, respond)
            }
            waitingBytes += lines.count
            waiting.append(
                Waiting(
                    records: records, lines: lines, mark: judgement.mark, answer: answer, delay: delay, respond: respond
                ))
            commit()
        }
    }

    /// Calls back when nothing waits for the disk any more.
    func whenIdle(_ done: @escaping () -> Void) {
        if isCommitting || !waiting.isEmpty { whenIdle.append(done) } else { done() }
    }

    private func count(_ verdict: Judgement.Verdict) {
        switch verdict {
        case .event: counters.events += 1
        case .repeated: counters.repeats += 1
        case .poll: counters.polls += 1
        case .refused: counters.refused += 1
        case .wrongTime: counters.wrongTime += 1
        case .ignored: counters.ignored += 1
        }
    }

    private func finish(_ answer: Answer, after delay: Duration?, _ respond: @escaping (Answer) -> Void) {
        guard let delay else { return respond(answer) }
        loop.assumeIsolated().scheduleTask(in: TimeAmount(delay)) { respond(answer) }
    }

    private func forget(_ mark: (DuplicateWindow.Mark, of: String)?) {
        if let mark { judge.forget(mark.0, of: mark.of) }
    }

    /// Hands on what is not kept, after what waits to be kept.
    private func hand(_ records: [FeedRecord]) {
        guard waiting.count < options.limits.waitingFrames else { return }
        waiting.append(Waiting(records: records, lines: [], answer: .nothing, respond: { _ in }))
        commit()
    }

    // MARK: Commits

    private enum Outcome: Sendable {
        case kept
        /// On disk, but the feed's reader is gone.
        case keptUnread(String)
        case lost(String)
    }

    private func commit() {
        guard !isCommitting, !waiting.isEmpty else { return }
        isCommitting = true
        let batch = waiting
        waiting = []
        waitingBytes = 0
        let lines = batch.flatMap(\.lines)
        let records = batch.flatMap(\.records)
        writer.runIfActive(eventLoop: loop) { [store, feed] () -> Outcome in
            do {
                if let store, !lines.isEmpty { try store.append(lines) }
            } catch {
                return .lost("\(error)")
            }
            do {
                if !records.isEmpty { try feed(records) }
                return .kept
            } catch {
                return store == nil ? .lost("\(error)") : .keptUnread("\(error)")
            }
        }.assumeIsolated().whenComplete { result in
            self.isCommitting = false
            switch result {
            case .success(.kept): self.release(batch)
            case .success(.keptUnread(let why)):
                self.say("The feed cannot be written, the store has it all: \(why)")
                self.release(batch)
            case .success(.lost(let why)): self.abandon(batch, why)
            case .failure(let error): self.abandon(batch, "\(error)")
            }
            self.commit()
            if !self.isCommitting {
                let done = self.whenIdle
                self.whenIdle = []
                for done in done { done() }
            }
        }
    }

    private func release(_ batch: [Waiting]) {
        for entry in batch { finish(entry.answer, after: entry.delay, entry.respond) }
    }

    /// Nothing of it was kept, so nothing is acknowledged; neither is what came since, which may be a repeat of it.
    private func abandon(_ batch: [Waiting], _ why: String) {
        let lost = batch + waiting
        waiting = []
        waitingBytes = 0
        counters.failed += lost.count
        say("\(lost.count) frames are not answered: \(why)")
        for entry in lost {
            forget(entry.mark)
            entry.respond(.nothing)
        }
    }
}
