import AlarmProtocol
import Drivers
import Logging
import NIOCore

/// Who is sent to: the uplink to the receivers that count, and, while a receiver moves, one beside it to the centre that does
/// not. Makes each step of a move: keeps it on disk first, on a thread of its own, then changes over. Everything here runs
/// on the uplink's loop.
final class Uplinks {
    private let outbox: Outbox
    let site: Site
    private let file: MoveFile
    private let loop: any EventLoop
    let clock: @Sendable () -> Moment
    /// Makes the uplink to what counts.
    private let makeMain: ([PathSettings]) -> Uplink
    private let report: (BoxTrouble) -> Void
    private let logger = Logger(label: "move")

    private let book: AddressBook
    var main: Uplink
    private var mainIsMoved: Bool
    /// The new centre while it is tried, or the old one while the new is watched.
    var beside: Beside?
    var move: CentreMove?
    /// The moved receiver's paths as the move has them.
    var new: [PathSettings] = []
    /// A move that is kept on disk and could not go on, since its settings cannot be used at the moment: its receiver.
    var unusable: String?
    /// How the last move ended, for whoever asks.
    var lastEnd: String?
    /// What has come since a trial began, as long as what waited before is not read: it goes first. Nil afterwards.
    private var early: [Outbox.Arrival]?
    /// By point, the last event that the trial's centre is not sent although it waits: nothing later of that point is
    /// either, so that an older one never follows it after the switch.
    private var withheld: [String: Int64] = [:]
    /// What waited when the trial began, beyond what is compared. While any of it waits, the trial's centre gets nothing
    /// new: it might be of the same point.
    private var unread: ArraySlice<Int64> = []
    private var trial = 0
    private var isChanging = false
    private var isStopped = false
    private var timer: RepeatedTask?

    struct Beside {
        var isNew: Bool
        var uplink: Uplink
        var queue: ShadowQueue
    }

    /// How often a move is looked at.
    private static let interval = TimeAmount.milliseconds(500)

    /// - Parameter pathsCount: told which paths count, whenever they are others.
    init(
        outbox: Outbox, site: Site, start: MoveStart = MoveStart(), on loop: any EventLoop,
        clock: @escaping @Sendable () -> Moment, lifeSign: LifeSign, report: @escaping (BoxTrouble) -> Void,
        pathsChanged: @escaping ([PathState]) -> Void = { _ in },
        pathsCount: @escaping ([PathSettings]) -> Void = { _ in }
    ) {
        self.outbox = outbox
        self.site = site
        file = MoveFile(directory: site.stateDirectory)
        self.loop = loop
        self.clock = clock
        self.report = report
        let book = AddressBook(directory: outbox.directory.path)
        self.book = book
        makeMain = { paths in
            pathsCount(paths)
            return Uplink(
                outbox: outbox, paths: paths, on: loop, clock: clock, lifeSign: lifeSign, report: report,
                pathsChanged: pathsChanged, known: outbox.lastStates(), book: book)
        }
        unusable = start.unusable
        move = start.move.map { CentreMove($0, now: clock().uptime) }
        new = start.new
        mainIsMoved = start.move?.phase.newCounts ?? false
        main = makeMain(Self.paths(site, start.move, start.new))
    }

    /// Begins. From now on the outbox wakes it.
    func start() {
        begin()
        main.start()
        arrange()
    }

    func stop() {
        isStopped = true
        timer?.cancel()
        outbox.follow(nil)
        beside?.uplink.stop()
        main.stop()
    }

    /// To the receivers that count.
    var dispatcher: Dispatcher { main.dispatcher }

    func describePaths() -> [SiteStatus.Path] { main.describePaths() }

    private static func paths(_ site: Site, _ move: CentreMove.Record?, _ new: [PathSettings]) -> [PathSettings] {
        guard let move, move.phase.newCounts else { return site.paths }
        return site.paths(moving: move.receiver, to: new)
    }

    // MARK: Who is sent to

    /// Brings the uplinks to what the move says.
    private func arrange() {
        // What was refused is asked of them anew: they are others, or nobody is left to go back to.
        outbox.forgetRefusals()
        let moved = move?.record.phase.newCounts ?? false
        if moved != mainIsMoved {
            mainIsMoved = moved
            let before = main
            before.stop()
            main = makeMain(Self.paths(site, move?.record, new))
            main.goOn(from: before)
            if moved, let beside, beside.isNew { main.goOn(from: beside.uplink) }
            begin()
            main.start()
        }
        let wanted: Bool? =
            switch move?.record.phase {
            case .shadow, .held: true
            case .switched: false
            case .kept, nil: nil
            }
        if beside?.isNew != wanted {
            beside?.uplink.stop()
            beside = wanted.map { makeBeside(isNew: $0) }
            beside?.uplink.start()
            follow(wanted != nil)
            switch wanted {
            case true?: beginTrial()
            case false?: move?.watch.stored(outbox.allWaiting, at: clock().uptime)
            case nil: break
            }
        }
    }

    /// The trial's centre gets what waits already, before anything that comes: of each point in order.
    private func beginTrial() {
        trial += 1
        early = []
        withheld = [:]
        let all = outbox.allWaiting
        let ids = all.prefix(Comparison.limit)
        unread = all.dropFirst(Comparison.limit)
        let bound = NIOLoopBound(self, eventLoop: loop)
        let (outbox, loop, trial) = (outbox, loop, trial)
        let read: @Sendable () -> Void = {
            let waiting = ids.compactMap { id in outbox.event(id).map { Outbox.Arrival(id: id, event: $0.event) } }
            loop.execute { bound.value.hasRead(waiting, trial) }
        }
        do { try WorkerThread("trial", read).detach() } catch {
            logger.error("\(error)")
            loop.execute { bound.value.hasRead([], trial) }
        }
    }

    private func hasRead(_ waiting: [Outbox.Arrival], _ trial: Int) {
        guard trial == self.trial, let came = early else { return }
        early = nil
        let now = clock().uptime
        let known = Set(came.map(\.id))
        for arrival in waiting where !known.contains(arrival.id) && outbox.isWaiting(arrival.id) {
            send(arrival, isBacklog: true, at: now)
        }
        if !unread.isEmpty { move?.comparison.drop(unread.count) }
        for arrival in came { send(arrival, isBacklog: false, at: now) }
    }

    private func send(_ arrival: Outbox.Arrival, isBacklog: Bool, at now: Int64) {
        guard let beside, beside.isNew else { return }
        let point = arrival.event.point
        unread = unread.drop { !outbox.isWaiting($0) }
        let isHeldBack = withheld[point].map { outbox.isWaiting($0) } ?? false
        guard isBacklog || unread.isEmpty, !isHeldBack else {
            withheld[point] = arrival.id
            move?.comparison.drop(1)
            return
        }
        withheld[point] = nil
        let isTaken =
            move?.comparison.stored(
                arrival.id, at: now, isTest: point == BoxTrouble.moveTestPoint, isBacklog: isBacklog) ?? false
        if isTaken { beside.queue.add([arrival]) } else { withheld[point] = arrival.id }
    }

    private func begin() {
        main.onAcknowledged = { [weak self] id, receiver in self?.acknowledged(id, by: receiver) }
        main.mayPark = { [weak self] _ in
            guard let self, self.move?.record.phase == .switched else { return true }
            self.move?.watch.refused()
            return false
        }
    }

    private func makeBeside(isNew: Bool) -> Beside {
        let queue = ShadowQueue(clock: clock) { [weak self] in self?.heard($0) }
        let paths = isNew ? new.map { $0.beside("new") } : oldPaths()
        // Its troubles are no events: nothing that counts is late because of them. They are compared, and shown.
        let uplink = Uplink(
            outbox: queue, paths: paths, on: loop, clock: clock, lifeSign: LifeSign(clock()), report: { _ in },
            book: book)
        return Beside(isNew: isNew, uplink: uplink, queue: queue)
    }

    /// The old centre's paths, asked at least twice in the time limit.
    private func oldPaths() -> [PathSettings] {
        guard let record = move?.record else { return [] }
        return site.paths.filter { $0.receiver == record.receiver }.map { path in
            var path = path.beside("old")
            path.poll = min(path.poll, .milliseconds(record.within / 2))
            return path
        }
    }

    private func follow(_ isWanted: Bool) {
        guard isWanted else {
            outbox.follow(nil)
            timer?.cancel()
            timer = nil
            return
        }
        guard timer == nil else { return }
        let bound = NIOLoopBound(self, eventLoop: loop)
        let (loop, clock) = (loop, clock)
        outbox.follow { arrivals in
            let now = clock().uptime
            loop.execute { bound.value.stored(arrivals, at: now) }
        }
        timer = loop.scheduleRepeatedTask(initialDelay: Self.interval, delay: Self.interval) { _ in
            bound.value.look()
        }
    }

    // MARK: What happens

    private func stored(_ arrivals: [Outbox.Arrival], at now: Int64) {
        if move?.record.phase == .switched {
            for arrival in arrivals { move?.watch.stored(arrival.id, at: now) }
            return
        }
        if early != nil { early? += arrivals } else { for one in arrivals { send(one, isBacklog: false, at: now) } }
    }

    private func acknowledged(_ id: Int64, by receiver: String) {
        let now = clock().uptime
        move?.comparison.presentAcknowledged(id, at: now)
        if move?.record.receiver == receiver { move?.watch.acknowledged(at: now) }
    }

    private func heard(_ outcome: ShadowQueue.Outcome) {
        switch outcome {
        case .acknowledged(let id, let now): move?.comparison.newAcknowledged(id, at: now)
        case .refused(let id): move?.comparison.newRefused(id, why: "DUH, or it cannot be said in its format")
        case .lost(let id): move?.comparison.lost(id)
        }
    }

    private func look() {
        guard !isStopped, let record = move?.record else { return }
        let now = clock().uptime
        if record.phase == .switched, let beside, !beside.isNew {
            let answers = beside.uplink.dispatcher.paths.contains {
                $0.health == .working && now - ($0.lastGood ?? 0) < record.within
            }
            let works = main.dispatcher.paths.contains {
                $0.rules.receiver == record.receiver && $0.health == .working
            }
            move?.watch.look(oldAnswers: answers, newAnswers: works, now) { outbox.isWaiting($0) }
        }
        if let beside, beside.isNew {
            move?.note(newWorks: beside.uplink.dispatcher.paths.contains { $0.health == .working }, now)
        }
        if let step = move?.step(now) { take(step, record) }
    }

    private func take(_ step: CentreMove.Step, _ record: CentreMove.Record) {
        let name = record.receiver
        switch step {
        case .switchOver:
            let told = "\(name) now leads to \(record.to.joined(separator: ", ")): the trial has convinced"
            change(to: record.entering(.switched, by: "larmnod", clock().utc), telling: told)
        case .hold(let reasons): hold(record, reasons)
        case .comeBack(let why):
            end(record, telling: "\(name) leads to \(record.from.joined(separator: ", ")) again: \(why)", failed: true)
        case .giveUp:
            end(
                record, telling: "the trial of \(name)'s new centre is given up: nobody has decided for a week",
                failed: true)
        }
    }

    private func hold(_ record: CentreMove.Record, _ reasons: [String]) {
        var held = record.entering(.held, by: "larmnod", clock().utc)
        held.reasons = reasons
        let told = "\(record.receiver) is not switched to the new centre: \(reasons.joined(separator: "; "))"
        // Held in memory also where the disk does not take it: nothing is switched by that.
        change(to: held, telling: told, failed: true, anyway: true)
    }

    /// Back to the site file's receiver, also where the disk does not take it: then it is tried again after a restart.
    func end(
        _ record: CentreMove.Record, telling text: String, failed: Bool, answer: Answer? = nil
    ) { change(to: nil, telling: text, failed: failed, anyway: true, answer: answer) }

    // MARK: Steps

    /// Given once, on the loop.
    typealias Answer = @Sendable (Result<CentreStatus, ControlRefusal>) -> Void

    /// Keeps what is to be, then makes it so.
    /// - Parameter anyway: also where it cannot be kept.
    func change(
        to next: CentreMove.Record?, with paths: [PathSettings]? = nil, telling text: String, failed: Bool = false,
        anyway: Bool = false, test: Bool = false, answer: Answer? = nil
    ) {
        guard !isChanging else {
            answer?(.failure(ControlRefusal("the move is just taking a step: try again in a moment")))
            return
        }
        isChanging = true
        let bound = NIOLoopBound(self, eventLoop: loop)
        let (file, loop, outbox) = (file, loop, outbox)
        let changesOver = (next?.phase.newCounts ?? false) != mainIsMoved
        let keep: @Sendable () -> Void = {
            var refusal: ControlRefusal?
            // A mark that a crash loses costs a repeat, which the same centre knows by its number; another would not.
            if changesOver { outbox.writeMarks() }
            do throws(ControlRefusal) {
                if let next { try file.write(next) } else { try file.remove() }
            } catch { refusal = error }
            loop.execute { [refusal] in
                let uplinks = bound.value
                uplinks.isChanging = false
                uplinks.kept(
                    next, paths, refusal, text: text, failed: failed, anyway: anyway, test: test, answer: answer)
            }
        }
        do { try WorkerThread("centre move", keep).detach() } catch {
            isChanging = false
            answer?(.failure(ControlRefusal("\(error)")))
        }
    }

    private func kept(
        _ next: CentreMove.Record?, _ paths: [PathSettings]?, _ refusal: ControlRefusal?, text: String, failed: Bool,
        anyway: Bool, test: Bool, answer: Answer?
    ) {
        if let refusal {
            logger.error("\(refusal)")
            guard anyway else {
                if let answer { return answer(.failure(refusal)) }
                // A step of its own: a person has to look.
                if let record = move?.record { hold(record, ["it cannot be kept: \(refusal)"]) }
                return
            }
        }
        guard !isStopped else { return }
        let now = clock().uptime
        if let paths { new = paths }
        unusable = nil
        if let next {
            if move == nil { move = CentreMove(next, now: now) } else { move?.enter(next, now: now) }
        } else {
            lastEnd = "\(StatusScreen.utc(clock().utc)): \(text)"
            move = nil
        }
        if next?.phase == .shadow {
            // A trial begins with nothing left over of the one before.
            beside?.uplink.stop()
            beside = nil
        }
        let wasMoved = mainIsMoved
        arrange()
        if mainIsMoved != wasMoved {
            // Those of the last moment, likewise; where no thread is to be had they go with the next event.
            try? WorkerThread("marks") { [outbox] in outbox.writeMarks() }.detach()
        }
        logger.notice("\(text)")
        report(.centreMove(failed: failed, text: text))
        if test, let next { report(.centreMoveTest(text: "test beside the move of \(next.receiver)")) }
        answer?(.success(status()))
    }
}
