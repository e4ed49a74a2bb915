import Glibc
import Synchronization

/// At most 100 lines in ten seconds; how many were left out is said when the next ten begin.
final class LogRate: Sendable {
    private struct Window {
        var began: Int = 0
        var lines = 0
        var leftOut = 0
    }

    private let window = Mutex(Window())
    private static let limit = 100
    private static let length = 10

    func admits() -> Bool {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let now = time.tv_sec
        let (admitted, leftOut) = window.withLock { window -> (Bool, Int) in
            var told = 0
            if now - window.began >= Self.length {
                told = window.leftOut
                window = Window(began: now)
            }
            window.lines += 1
            if window.lines > Self.limit { window.leftOut += 1 }
            return (window.lines <= Self.limit, told)
        }
        if leftOut > 0 { printError("log: \(leftOut) lines left out (more than \(Self.limit) in \(Self.length) s)") }
        return admitted
    }
}
