import Glibc

/// Runs the worlds of some seeds, in as many processes as there are processors: everything in one is on one thread. What
/// they print is gathered here; one that dies is a broken promise of its seed's.
final class Runner {
    private let options: Options
    private var running: [pid_t: (output: Int32, rest: String, seed: UInt64?)] = [:]
    private var done = 0
    private var failures: [UInt64] = []
    private var totals: [Int] = [0, 0, 0, 0]

    init(_ options: Options) { self.options = options }

    /// - Returns: whether all promises were kept.
    func run() -> Bool {
        if options.seeds.count == 1 || options.printsTrace {
            let worker = Worker(options, number: nil)
            worker.run()
            return worker.failures == 0
        }
        for number in 0..<min(options.workers, options.seeds.count) { start(number) }
        while !running.isEmpty { listen() }
        let words = "\(done) worlds of \(options.hours) hours: \(totals[0]) events, \(totals[1]) frames, "
        say(words + "\(totals[2]) kills, \(totals[3]) power cuts; \(failures.count) with a broken promise")
        if !failures.isEmpty {
            say("again: make simulate SEEDS=\(failures.min() ?? 0) TRACE=1")
        }
        return failures.isEmpty
    }

    private func start(_ number: Int) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { Simulate.fail("no pipe: \(String(cString: strerror(errno)))") }
        _ = fcntl(ends[0], F_SETFD, FD_CLOEXEC)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addclose(&actions, ends[1])
        let words = [CommandLine.arguments[0]] + options.arguments + ["--worker", "\(number)"]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var child: pid_t = 0
        guard posix_spawn(&child, "/proc/self/exe", &actions, nil, &arguments, environ) == 0 else {
            Simulate.fail("no process: \(String(cString: strerror(errno)))")
        }
        close(ends[1])
        running[child] = (ends[0], "", nil)
    }

    private func listen() {
        let children = running.keys.sorted()
        var polled = children.map { pollfd(fd: running[$0]?.output ?? -1, events: Int16(POLLIN), revents: 0) }
        guard poll(&polled, nfds_t(polled.count), -1) > 0 else { return }
        for (child, state) in zip(children, polled) where state.revents != 0 { read(from: child) }
    }

    private func read(from child: pid_t) {
        guard var state = running[child] else { return }
        var bytes = [UInt8](repeating: 0, count: 65_536)
        let count = Glibc.read(state.output, &bytes, bytes.count)
        guard count > 0 else { return ended(child, state.seed) }
        state.rest += String(decoding: bytes[..<count], as: UTF8.self)
        var lines = state.rest.split(separator: "\n", omittingEmptySubsequences: false)
        state.rest = String(lines.removeLast())
        for line in lines {
            let words = line.split(separator: " ")
            switch words.first {
            case "begins": state.seed = words.dropFirst().first.flatMap { UInt64($0) }
            case "ends":
                state.seed = nil
                done += 1
                for (index, word) in words.dropFirst(2).prefix(4).enumerated() { totals[index] += Int(word) ?? 0 }
            case "failed": failures += words.dropFirst().first.flatMap { UInt64($0) }.map { [$0] } ?? []
            default: say(String(line))
            }
        }
        running[child] = state
    }

    private func ended(_ child: pid_t, _ seed: UInt64?) {
        var status: Int32 = 0
        waitpid(child, &status, 0)
        if let output = running.removeValue(forKey: child)?.output { close(output) }
        guard status != 0 else {
            if options.untilFound, !failures.isEmpty { for other in running.keys { kill(other, SIGTERM) } }
            return
        }
        if options.untilFound, !failures.isEmpty { return }
        failures.append(seed ?? 0)
        say("seed \(seed ?? 0): the daemon's code ended the process (status \(status))")
    }
}

/// Runs worlds one after the other.
final class Worker {
    private let options: Options
    private let number: Int?
    private(set) var failures = 0

    init(_ options: Options, number: Int?) {
        self.options = options
        self.number = number
    }

    func run() {
        Mutants.awake = options.mutant
        for seed in options.seeds where number.map({ seed % UInt64(options.workers) == UInt64($0) }) ?? true {
            if number != nil { say("begins \(seed)") }
            let world = World(seed: seed, printsTrace: options.printsTrace)
            world.live(hours: options.hours)
            if options.twice { compare(world) }
            if !world.violations.isEmpty { tell(world) }
            let figures = world.figures
            if number != nil {
                say("ends \(seed) \(figures.events) \(figures.frames) \(figures.kills) \(figures.powerCuts)")
            } else {
                say("seed \(seed): \(world.violations.isEmpty ? "every promise kept" : "broken promises"), \(figures)")
            }
            if !world.violations.isEmpty, options.untilFound { exit(0) }
        }
    }

    private func compare(_ first: World) {
        let again = World(seed: first.seed, printsTrace: false)
        again.live(hours: options.hours)
        guard again.trace.sum != first.trace.sum || again.trace.count != first.trace.count else { return }
        first.violate(.bounded, "the same seed made another world: \(first.trace.count) lines and \(again.trace.count)")
    }

    private func tell(_ world: World) {
        failures += 1
        if number != nil { say("failed \(world.seed)") }
        say("seed \(world.seed) broke \(world.violations.count == 1 ? "a promise" : "promises"):")
        for violation in world.violations { say("  \(violation)") }
        guard !options.printsTrace, !options.untilFound else { return }
        say("  what went before the first of them:")
        for line in world.linesBefore { say("    \(line)") }
        say("  again: make simulate SEEDS=\(world.seed); all of it: make simulate SEEDS=\(world.seed) TRACE=1")
    }
}
