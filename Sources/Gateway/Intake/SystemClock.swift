import AlarmProtocol
import CLinux
import Glibc
import Synchronization

/// The board's clocks, and whether the wall clock can be believed.
public final class SystemClock: Sendable {
    private let isTrusted: Bool
    /// The kernel's word is asked for once a second.
    private let askedAt = Atomic<Int64>(-10_000)
    private let isSynchronised = Atomic<Bool>(false)

    /// - Parameter isTrusted: the board keeps time by itself (a battery), as the configuration says.
    public init(isTrusted: Bool) { self.isTrusted = isTrusted }

    public func now() -> Moment {
        let uptime = Self.milliseconds(CLOCK_BOOTTIME)
        let utc = Self.milliseconds(CLOCK_REALTIME)
        return Moment(
            utc: utc, uptime: uptime, clock: Self.isPossible(utc) && isKnown(uptime) ? .known : .unknown)
    }

    /// A clock that says a year before this program, or one that no frame can say, is not set: a board with a battery
    /// that is empty starts at 1970 or 2000.
    static func isPossible(_ utc: Int64) -> Bool { (1_704_067_200_000..<253_402_300_800_000).contains(utc) }

    private func isKnown(_ uptime: Int64) -> Bool {
        if isTrusted { return true }
        if uptime - askedAt.load(ordering: .relaxed) >= 1000 {
            askedAt.store(uptime, ordering: .relaxed)
            var status = timex()
            // TIME_ERROR: nobody steers the clock. systemd-timesyncd also leaves a file once it has set it.
            let steered = adjtimex(&status) != TIME_ERROR && status.status & STA_UNSYNC == 0
            isSynchronised.store(
                steered || access("/run/systemd/timesync/synchronized", F_OK) == 0, ordering: .relaxed)
        }
        return isSynchronised.load(ordering: .relaxed)
    }

    private static func milliseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
