import AlarmProtocol
import CLinux
import Dispatch
import Logging
import Synchronization

/// The thread that makes the box's own troubles into events, writes the outbox's marks, and feeds the watchdog as long as
/// everybody makes progress.
final class Housekeeping: Sendable {
    private let intake: Intake
    private let account: String
    private let devices: [DeviceHost]
    private let uplinkSign: LifeSign
    private let manager: ServiceManager
    private let stopping: Interrupt
    /// Who else has something to tell the centre, asked once a second; it hears whether somebody hangs.
    private let watch: @Sendable (_ now: Moment, _ someoneHangs: Bool) -> [BoxTrouble]
    private let bell = DispatchSemaphore(value: 0)
    private let troubles = Mutex<[BoxTrouble]>([])
    private let logger = Logger(label: "housekeeping")

    /// A thread that has not shown itself for so long hangs: systemd starts us anew.
    static let longestSilence: Int64 = 30_000
    /// A clock that is still not set after so long is a trouble; before, the network may just be coming up.
    static let clockPatience: Int64 = 300_000
    /// Troubles that wait to be stored while the disk is full. More are dropped: by then the disk is the trouble.
    private static let troubleLimit = 1000

    init(
        intake: Intake, account: String, devices: [DeviceHost], uplinkSign: LifeSign, manager: ServiceManager,
        stopping: Interrupt, watch: @escaping @Sendable (Moment, Bool) -> [BoxTrouble] = { _, _ in [] }
    ) {
        self.intake = intake
        self.watch = watch
        self.account = account
        self.devices = devices
        self.uplinkSign = uplinkSign
        self.manager = manager
        self.stopping = stopping
    }

    /// Hands over a trouble; never blocks.
    func report(_ trouble: BoxTrouble) {
        troubles.withLock { if $0.count < Self.troubleLimit { $0.append(trouble) } }
        bell.signal()
    }

    /// What one round leaves to the next.
    struct Rounds {
        fileprivate var hung: String?
        fileprivate var hadBacklog = false
        fileprivate var knownAt: Int64
        /// What devices had kept that are not configured any more.
        fileprivate var left: [String: [UInt8]]
    }

    func live() {
        var rounds = begin()
        while !stopping.isSet {
            round(&rounds)
            _ = bell.wait(timeout: .now() + .seconds(1))
        }
    }

    func begin() -> Rounds {
        // Troubles that stood when the daemon was cut off, and have ended meanwhile.
        let summary = intake.outbox.summary()
        if summary.trouble == nil {
            report(.outbox(.canWriteAgain), quietly: true)
            report(.outbox(.canReadAgain), quietly: true)
        }
        if !summary.isFilling { report(.outbox(.drained), quietly: true) }
        let names = Set(devices.map(\.device.name))
        return Rounds(
            knownAt: intake.clock().uptime,
            left: intake.outbox.allKept().filter { !names.contains($0.key) && $0.value.starts(with: DeviceHost.untold) }
        )
    }

    /// About once a second, and when something was reported.
    func round(_ rounds: inout Rounds) {
        let now = intake.clock()
        if now.clock == .known { rounds.knownAt = now.uptime }
        if now.uptime - rounds.knownAt > Self.clockPatience || now.clock == .known {
            report(.clock(isKnown: now.clock == .known), quietly: true)
        }
        for trouble in watch(now, rounds.hung != nil) { report(trouble, quietly: true) }
        tellLeft(&rounds.left)
        settle()
        intake.outbox.keepHouse()
        for notice in intake.outbox.takeNotices() { report(.outbox(notice), quietly: true) }
        settle()
        giveMemoryBack(&rounds.hadBacklog)
        let hangs = whoHangs(intake.clock())
        if let hangs, rounds.hung == nil { logger.error("\(hangs) makes no progress: the watchdog is not fed") }
        rounds.hung = hangs
        if hangs == nil { manager.tell("WATCHDOG=1") }
    }

    /// After a backlog the allocator keeps what it had needed for it; the board has better use for that.
    private func giveMemoryBack(_ hadBacklog: inout Bool) {
        let waiting = intake.outbox.waitingCount
        if waiting > 500 { hadBacklog = true }
        guard hadBacklog, waiting < 50 else { return }
        hadBacklog = false
        malloc_trim(0)
    }

    /// A panel was told "received" for it, and its driver, which could read it, is gone: told as it is.
    private func tellLeft(_ left: inout [String: [UInt8]]) {
        for (device, bytes) in left {
            let words = String(
                decoding: bytes.dropFirst().map { (0x20..<0x7F).contains($0) ? $0 : 0x20 }, as: UTF8.self)
            let codes = Kinds.unclassified.saying(began: true)
            let event = Event(
                account: account, point: device + ".unclassified", sia: codes.sia, contactID: codes.contactID,
                qualifier: codes.qualifier, urgency: codes.urgency,
                text: "\(device), not configured any more, had said: \(words)".limited, occurred: intake.clock())
            guard (try? intake.take(keeping: Kept(device: device, bytes: [])) { _ in [NewEvent(event)] }) != nil else {
                continue
            }
            left[device] = nil
        }
    }

    private func report(_ trouble: BoxTrouble, quietly: Bool) { troubles.withLock { $0.append(trouble) } }

    /// Stores what was handed over; what cannot be stored waits for the next round.
    private func settle() {
        let waiting = troubles.withLock { list in
            defer { list = [] }
            return list
        }
        for (index, trouble) in waiting.enumerated() {
            do {
                _ = try intake.take { known in
                    trouble.event(account: account, now: intake.clock(), known: known).map { [$0] } ?? []
                }
            } catch {
                troubles.withLock { $0.insert(contentsOf: waiting[index...].prefix(Self.troubleLimit), at: 0) }
                return
            }
        }
    }

    private func whoHangs(_ now: Moment) -> String? {
        if let device = devices.first(where: { $0.silence(at: now) > Self.longestSilence }) {
            return device.device.name
        }
        return uplinkSign.silence(at: now) > Self.longestSilence ? "the uplink" : nil
    }
}

/// When somebody last showed that he lives, in milliseconds of uptime.
final class LifeSign: Sendable {
    private let last: Atomic<Int64>
    init(_ now: Moment) { last = Atomic(now.uptime) }
    func show(_ now: Moment) { last.store(now.uptime, ordering: .relaxed) }
    func silence(at now: Moment) -> Int64 { now.uptime - last.load(ordering: .relaxed) }
}
