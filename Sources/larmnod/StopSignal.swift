import Dispatch
import Drivers
import Glibc

/// Ctrl-C, SIGTERM and, where so asked, the end of a time, as a descriptor that becomes readable, so that a command can end what it has begun.
final class StopSignal {
    let descriptor: Int32
    private let bell: Int32
    private let sources: [any DispatchSourceProtocol]

    init(after time: Duration? = nil) {
        var ends: [Int32] = [-1, -1]
        // Without one, Ctrl-C ends nothing here: then rather as the system has it.
        guard pipe(&ends) == 0 else {
            descriptor = -1
            bell = -1
            sources = []
            return
        }
        let bell = ends[1]
        (descriptor, self.bell) = (ends[0], bell)
        let ring: @Sendable () -> Void = { _ = write(bell, "x", 1) }
        var sources: [any DispatchSourceProtocol] = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler(handler: ring)
            return source
        }
        if let time {
            let timer = DispatchSource.makeTimerSource(queue: .global())
            timer.schedule(deadline: .now() + .milliseconds(Int(min(time.milliseconds, 1 << 40))))
            timer.setEventHandler(handler: ring)
            sources.append(timer)
        }
        for source in sources { source.resume() }
        self.sources = sources
    }

    /// It has come.
    var isGiven: Bool {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&polled, 1, 0) > 0
    }

    deinit {
        for source in sources { source.cancel() }
        if descriptor >= 0 { for end in [descriptor, bell] { close(end) } }
    }
}
