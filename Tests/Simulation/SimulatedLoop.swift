import Dispatch
import NIOCore

/// The uplink's event loop, and all the time there is: milliseconds that pass when nothing is left to do in the present.
///
/// What happens is of two kinds. *Inner* happenings are those that go on beside a thread that waits (the uplink, the
/// network, the receivers); *outer* ones need the daemon's threads (devices, housekeeping) or take it down. While the
/// daemon waits for a semaphore, only inner ones happen.
///
/// `@unchecked Sendable`: everything runs on the one thread of the program; the protocol asks for the conformance.
final class SimulatedLoop: EventLoop, @unchecked Sendable {
    private(set) var time: Int64 = 0
    private var inner = Agenda()
    private var outer = Agenda()
    private var count = 0

    /// One thing to be done. A class, so that it can be taken back.
    final class Happening {
        let at: Int64
        let number: Int
        /// It belongs to the daemon and dies with it.
        let isDaemons: Bool
        fileprivate var body: (() -> Void)?

        init(at: Int64, number: Int, isDaemons: Bool, _ body: @escaping () -> Void) {
            self.at = at
            self.number = number
            self.isDaemons = isDaemons
            self.body = body
        }

        func cancel() { body = nil }
        var isPending: Bool { body != nil }
        fileprivate func comes(before other: Happening) -> Bool { (at, number) < (other.at, other.number) }
    }

    @discardableResult
    private func add(
        _ delay: Int64, isOuter: Bool, isDaemons: Bool, _ body: @escaping () -> Void
    ) -> Happening {
        count += 1
        let happening = Happening(at: time + max(0, delay), number: count, isDaemons: isDaemons, body)
        if isOuter { outer.insert(happening) } else { inner.insert(happening) }
        return happening
    }

    /// Network and receivers.
    @discardableResult
    func after(_ delay: Int64, _ body: @escaping () -> Void) -> Happening {
        add(delay, isOuter: false, isDaemons: false, body)
    }

    /// Devices, housekeeping, power, disk, clock.
    @discardableResult
    func afterOuter(_ delay: Int64, _ body: @escaping () -> Void) -> Happening {
        add(delay, isOuter: true, isDaemons: false, body)
    }

    /// The daemon has died: what it had meant to do is not done.
    func forgetDaemon() { inner.forgetDaemons() }

    /// Lets time pass.
    /// - Parameter after: called after each happening.
    func run(until limit: Int64, after: () -> Void) {
        while true {
            let isOuter = (outer.first?.comes(before: inner.first) ?? false)
            guard let next = isOuter ? outer.first : inner.first, next.at <= limit else { break }
            if isOuter { outer.removeFirst() } else { inner.removeFirst() }
            time = max(time, next.at)
            guard let body = next.body else { continue }
            next.body = nil
            body()
            after()
        }
        time = max(time, limit)
    }

    /// The next inner happening, within so many milliseconds. - Returns: how many passed; -1 when there was none.
    func pass(_ limit: Int64) -> Int64 {
        guard let next = inner.first, next.at <= time + limit else {
            time += limit
            return -1
        }
        inner.removeFirst()
        let passed = max(0, next.at - time)
        time += passed
        let body = next.body
        next.body = nil
        body?()
        return passed
    }

    // MARK: EventLoop

    var inEventLoop: Bool { true }
    var now: NIODeadline { .uptimeNanoseconds(UInt64(time) * 1_000_000) }

    func execute(_ task: @escaping @Sendable () -> Void) { add(0, isOuter: false, isDaemons: true, task) }

    func scheduleTask<T>(deadline: NIODeadline, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        scheduleTask(in: deadline - now, task)
    }

    func scheduleTask<T>(in delay: TimeAmount, _ task: @escaping @Sendable () throws -> T) -> Scheduled<T> {
        let promise = makePromise(of: T.self)
        let happening = add((delay.nanoseconds + 999_999) / 1_000_000, isOuter: false, isDaemons: true) {
            do { promise.assumeIsolatedUnsafeUnchecked().succeed(try task()) } catch { promise.fail(error) }
        }
        let cancellation = Cancellation(happening: happening)
        return Scheduled(promise: promise) { cancellation.happening.cancel() }
    }

    /// `@unchecked Sendable`: as the loop.
    private struct Cancellation: @unchecked Sendable {
        let happening: Happening
    }

    func shutdownGracefully(queue: DispatchQueue, _ callback: @escaping @Sendable ((any Error)?) -> Void) {
        callback(nil)
    }
}

/// A binary heap of happenings, the earliest first.
private struct Agenda {
    private var elements: [SimulatedLoop.Happening] = []
    var first: SimulatedLoop.Happening? { elements.first }

    mutating func insert(_ happening: SimulatedLoop.Happening) {
        elements.append(happening)
        var child = elements.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard elements[child].comes(before: elements[parent]) else { return }
            elements.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() {
        elements.swapAt(0, elements.count - 1)
        elements.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < elements.count && elements[child].comes(before: elements[least]) { least = child }
            if least == parent { return }
            elements.swapAt(least, parent)
            parent = least
        }
    }

    mutating func forgetDaemons() {
        let kept = elements.filter { !$0.isDaemons }
        elements = []
        for happening in kept { insert(happening) }
    }
}

extension SimulatedLoop.Happening {
    fileprivate func comes(before other: SimulatedLoop.Happening?) -> Bool { other.map { comes(before: $0) } ?? true }
}
