import CSimulatedDisk
import Glibc
import Logging

/// `simulate [SEEDS] [--hours N] [--day N] [--trace] [--twice] [--until-found]`: runs worlds, and says which promises
/// were broken, when, and how to see it again. Exits with 1 when any was. `simulate --cut`: see `CutLine`.
@main
struct Simulate {
    static func main() {
        // Sets and dictionaries in the same order every time; must be set before the program begins.
        if getenv("SWIFT_DETERMINISTIC_HASHING") == nil {
            setenv("SWIFT_DETERMINISTIC_HASHING", "1", 1)
            execv("/proc/self/exe", CommandLine.unsafeArgv)
            fail("cannot start itself again: \(String(cString: strerror(errno)))")
        }
        LoggingSystem.bootstrap { TraceLog(label: $0) }
        if CommandLine.arguments.dropFirst() == ["--cut"] {
            do { try CutLine.run() } catch { fail("\(error)") }
            exit(0)
        }
        let options: Options
        do { options = try Options(Array(CommandLine.arguments.dropFirst())) } catch { fail("\(error)") }
        guard reachesEverything() else {
            fail("linked without --wrap or the static standard library: build it with make simulate")
        }
        guard let worker = options.worker else { exit(Runner(options).run() ? 0 : 1) }
        Worker(options, number: worker).run()
    }

    /// The daemon's own calls must not reach the machine's disk.
    private static func reachesEverything() -> Bool {
        disk_begin(0)
        close(open("/simulated/state/probe", O_RDONLY))
        return disk_reaches_everything()
    }

    static func fail(_ words: String) -> Never {
        say("simulate: \(words)", to: 2)
        exit(2)
    }
}

/// What is asked for.
struct Options {
    var seeds: ClosedRange<UInt64> = 1...1000
    /// A world's length.
    var hours: Int64 = 24
    var printsTrace = false
    /// Each world twice: the two traces must be the same.
    var twice = false
    /// One broken promise is enough.
    var untilFound = false
    var workers = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    var worker: Int?
    /// Which planted bug is awake: only in the program that has them.
    var mutant = 0

    struct Wrong: Error, CustomStringConvertible {
        var description: String
    }

    init(_ arguments: [String]) throws(Wrong) {
        var rest = arguments[...]
        func number(_ name: String) throws(Wrong) -> UInt64 {
            guard let text = rest.popFirst(), let number = UInt64(text) else {
                throw Wrong(description: "\(name): expected a whole number")
            }
            return number
        }
        while let argument = rest.popFirst() {
            switch argument {
            case "--hours":
                // So many hours in all, in days.
                let hours = try number(argument)
                seeds = seeds.lowerBound...seeds.lowerBound + max(1, hours / 24) - 1
            case "--day": self.hours = Int64(clamping: min(try number(argument), 10_000))
            case "--trace": printsTrace = true
            case "--twice": twice = true
            case "--until-found": untilFound = true
            case "--workers": workers = max(1, Int(try number(argument)))
            case "--worker": worker = Int(try number(argument))
            case "--mutant": mutant = Int(try number(argument))
            default: seeds = try Self.seeds(argument)
            }
        }
    }

    private static func seeds(_ text: String) throws(Wrong) -> ClosedRange<UInt64> {
        let ends = text.split(separator: ".", omittingEmptySubsequences: true).map { UInt64($0) }
        if ends.count == 1, let only = ends[0] { return only...only }
        if ends.count == 2, let first = ends[0], let last = ends[1], first <= last { return first...last }
        throw Wrong(description: "SEEDS is \"\(text)\", expected a seed as 4711, or seeds as 1..1000")
    }

    /// For a worker: the same, but for the seeds that others run.
    var arguments: [String] {
        var list = ["\(seeds.lowerBound)..\(seeds.upperBound)", "--day", "\(hours)", "--workers", "\(workers)"]
        if twice { list.append("--twice") }
        if untilFound { list.append("--until-found") }
        return list + ["--mutant", "\(mutant)"]
    }
}

/// A line, written at once: who reads it may be another process.
func say(_ line: String, to descriptor: Int32 = 1) {
    var text = line + "\n"
    text.withUTF8 { bytes in
        var done = 0
        while done < bytes.count {
            let count = write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
            if count <= 0 { return }
            done += count
        }
    }
}
