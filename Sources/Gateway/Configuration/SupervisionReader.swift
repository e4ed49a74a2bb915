import Drivers

/// Reads `site.supervision` and sets from it how each path is watched. What a path says for itself goes before, and is
/// refused where the reporting time cannot be kept with it.
struct SupervisionReader {
    let head: Settings
    /// What stands under `supervision`, to tell a class from own numbers.
    let node: SettingNode?
    private(set) var notices: [Problem] = []

    init(head: Settings, node: SettingNode?) {
        self.head = head
        self.node = node
    }

    private static let key = "supervision"
    private static let form = """
        a class in quotes, as "DP4" (SP1 to SP6, DP1 to DP4), or own numbers: \
        { primary = "90s", alternate = "5h", alternate-alone = "90s" }
        """
    /// The reporting times that may be asked for. Below it no time is left for a second try.
    private static let times = Duration.seconds(10)...Duration.seconds(32 * 86_400)

    /// - Parameter tables: `[path]`, as it was read.
    mutating func apply(to paths: inout [PathSettings], _ tables: Settings?) -> Supervision? {
        guard head.has(Self.key), let supervision = read() else { return nil }
        let count = tables?.keys.count ?? 0
        guard count >= 2 || !supervision.isForSeveralPaths else {
            let what = supervision.name ?? "alternate"
            head.refuse(
                Self.key,
                "\(what) is for two paths or more, and there \(count == 1 ? "is 1" : "is none"): add a [path.NAME] over "
                    + "another interface to another receiver, or choose one of SP1 to SP6")
            return nil
        }
        if supervision.isForSeveralPaths { noteShared(paths, supervision) }
        watch(&paths, tables, supervision)
        return supervision
    }

    private func read() -> Supervision? {
        let found = head.problems.all.count
        let supervision: Supervision
        switch node?.value {
        case .string?: supervision = head.choice(Self.key, of: Supervision.classes)
        case .table?:
            guard let own = head.table(Self.key) else { return nil }
            let primary = own.duration("primary", in: Self.times)
            supervision = Supervision(
                primary: primary,
                alternate: own.has("alternate") ? own.duration("alternate", in: Self.times) : nil,
                alternateAlone: own.has("alternate-alone") ? own.duration("alternate-alone", in: Self.times) : nil)
            if let alone = supervision.alternateAlone, alone > supervision.alternate ?? primary {
                own.refuse(
                    "alternate-alone",
                    "expected no more than alternate, \((supervision.alternate ?? primary).described), for it is asked "
                        + "when the primary path is down; found \(alone.described)")
            }
        default:
            head.refuse(Self.key, "expected \(Self.form), found \(node?.value.described ?? "nothing")")
            return nil
        }
        return head.problems.all.count == found ? supervision : nil
    }

    /// EN 50136-1:2012 table 1 wants two interfaces and two receivers for the classes of two paths.
    private mutating func noteShared(_ paths: [PathSettings], _ supervision: Supervision) {
        func note(_ what: String) {
            notices.append(
                Problem(
                    head.place(of: Self.key),
                    "site.supervision: \(what); EN 50136-1 table 1 wants two interfaces and two receivers for two paths"
                ))
        }
        let unbound = paths.filter { $0.interface == nil }.map(\.name)
        if !unbound.isEmpty {
            note("no interface is set for path \(listed(unbound)), so all paths may leave by one")
        } else if Set(paths.compactMap(\.interface)).count < 2 {
            note("all paths leave by one interface")
        }
        if Set(paths.map(\.receiver)).count < 2 || Set(paths.map(\.host)).count < 2 {
            note("all paths lead to one receiver")
        }
    }

    private func watch(_ paths: inout [PathSettings], _ tables: Settings?, _ supervision: Supervision) {
        let others = supervision.alternate ?? supervision.primary
        let alone = supervision.alternateAlone ?? (supervision.alternate == nil ? nil : supervision.primary)
        // The time limits first: each path's fault is told over the others.
        for index in paths.indices where !(tables?.table(paths[index].name)?.has("timeout") ?? false) {
            let time = index == 0 ? supervision.primary : min(others, alone ?? others)
            paths[index].timeout = .milliseconds(PathWatch.timeout(within: time.milliseconds))
        }
        let limits = paths.map(\.timeout.milliseconds)
        for index in paths.indices {
            guard let table = tables?.table(paths[index].name) else { continue }
            // Values that were refused already would make nonsense of the sum.
            guard !head.problems.all.contains(where: { $0.message.hasPrefix(table.path + ".") }) else { continue }
            let telling = PathWatch.telling(over: limits.indices.filter { $0 != index }.map { limits[$0] })
            let time = index == 0 ? supervision.primary : others
            paths[index].reportWithin = time
            let path = paths[index]
            var watch = PathWatch(
                poll: path.poll.milliseconds, timeout: limits[index], attempts: path.attempts, telling: telling)
            guard let poll = set(&watch, table, within: time, "") else { continue }
            paths[index].poll = .milliseconds(poll)
            guard index > 0, let alone else { continue }
            guard let quick = watch.suitablePoll(within: alone.milliseconds) else {
                refuse(watch, table, within: alone, " while the primary is down")
                continue
            }
            if quick < poll { paths[index].pollAlone = .milliseconds(quick) }
        }
    }

    /// - Returns: the poll, which the reporting time is kept with; nil where it is refused.
    private func set(_ watch: inout PathWatch, _ table: Settings, within time: Duration, _ when: String) -> Int64? {
        if table.has("poll") {
            if watch.worst <= time.milliseconds { return watch.poll }
        } else if let poll = watch.suitablePoll(within: time.milliseconds) {
            watch.poll = poll
            return poll
        }
        refuse(watch, table, within: time, when)
        return nil
    }

    private func refuse(_ watch: PathWatch, _ table: Settings, within time: Duration, _ when: String) {
        var watch = watch
        let key = ["poll", "timeout", "attempts"].first { table.has($0) } ?? "poll"
        let longest = watch.longestPoll(within: time.milliseconds)
        if longest == nil || !table.has("poll") { watch.poll = PathWatch.shortestPoll }
        let advice =
            longest.map { "poll may be \(Duration.milliseconds($0).described) at most" }
            ?? "shorten this path's timeout or attempts, or the others' timeout"
        table.refuse(
            key,
            "a fault must be reported within \(time.described)\(when) (site.supervision), but \(watch.words): \(advice)"
        )
    }
}

extension Site {
    /// How each path is watched, for a person who checks the configuration; empty without `supervision`.
    public var supervisionWords: [String] {
        guard let supervision else { return [] }
        return ["supervision \(supervision.title): \(supervision.remark)"]
            + paths.enumerated().map { index, path in
                let others = paths.enumerated().filter { $0.offset != index }.map(\.element.timeout.milliseconds)
                let watch = PathWatch(
                    poll: path.poll.milliseconds, timeout: path.timeout.milliseconds, attempts: path.attempts,
                    telling: PathWatch.telling(over: others))
                let alone = path.pollAlone.map { ", every \($0.described) while \(paths[0].name) is down" } ?? ""
                let worst = Duration.milliseconds(watch.worst).described
                return
                    "  path \(path.name): fault reported within \(path.reportWithin?.described ?? "?"), at the latest "
                    + "after \(worst): link test every \(path.poll.described)\(alone), \(path.attempts) attempts of "
                    + path.timeout.described
            }
    }
}
