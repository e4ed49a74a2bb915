import AlarmProtocol
import Drivers

/// Reads a site file, with its board and its keys, and checks it whole: either everything is right and there is a
/// `Site`, or every problem is told at once and nothing takes effect. docs/configuration.md is the reference.
public enum SiteReader {
    /// - Parameters:
    ///   - file: the site file. The board file and the key files are looked for beside it.
    ///   - drivers: the kinds of device that there are.
    ///   - now: where given, milliseconds since 1970-01-01 00:00 UTC by which certificates are judged: an expired one is
    ///     then an error. The daemon gives none: that one path will fail is no reason to send nothing over the others.
    /// - Returns: the site; or all that is wrong, by file, line and column. A key is never shown.
    public static func read(file: String, drivers: [any Driver.Type], at now: Int64? = nil) -> Result<
        Site, ConfigurationError
    > {
        let problems = Problems()
        var site: Site?
        var unresolved: [Place: String] = [:]
        switch TextFile.read(file, limit: TOML.mostBytes) {
        case .success(let bytes):
            site = TOML.tree(of: bytes, file: file, problems: problems).flatMap {
                read(
                    withoutKeys($0), file: file, drivers: drivers, at: now, problems: problems, unresolved: &unresolved)
            }
        case .failure(let failure):
            problems.add(Place(file: file, line: 1, column: 1), "the site file \(failure.reason)")
        }
        guard let site, problems.all.isEmpty else {
            return .failure(ConfigurationError(problems, nothingMissingIn: unresolved))
        }
        return .success(site)
    }

    private static func read(
        _ document: SettingNode, file: String, drivers: [any Driver.Type], at now: Int64?, problems: Problems,
        unresolved: inout [Place: String]
    ) -> Site? {
        var resolver = terminals(of: document, file: file, problems: problems)
        let document = resolver.resolve(document)
        unresolved = resolver.unresolved
        let root = Settings(document, path: "", problems: problems)
        let head = root.requiredTable("site", of: document)
        let account = requiredAccount(head)

        var site = Site(
            name: head.string("name", expected: "the site's name in quotes", limit: 64),
            account: account,
            clockIsTrusted: head.choice("clock", of: [("network", false), ("trusted", true)], default: false),
            stateDirectory: head.absolutePath("state", default: "/var/lib/larmnod", limit: 1024),
            // As long as the kernel takes a socket's path, less its closing zero (unix(7)).
            controlSocket: head.absolutePath("socket", default: "/run/larmnod/control", limit: 107),
            operators: head.systemName("operators", expected: "a group's name, as \"alarm\"", limit: 32),
            limits: root.table("limits").map(limits) ?? Limits(),
            paths: [],
            devices: [])
        site.file = file
        _ = head.has("board")

        let clock = SystemClock(isTrusted: site.clockIsTrusted)
        var paths = PathReader(
            siteFile: file, siteAccount: account,
            certificates: CertificateReader(siteFile: file, now: now, clock: { clock.now() }), problems: problems)
        site.paths = paths.read(root, of: document)
        var devices = DeviceReader(drivers: drivers, siteAccount: account, problems: problems)
        site.devices = devices.read(root, of: document)
        var supervision = SupervisionReader(head: head, node: document["site"]?["supervision"])
        site.supervision = supervision.apply(to: &site.paths, root.table("path"))
        site.notices = paths.notices + supervision.notices + devices.notices
        root.refuseUnread()
        return site
    }

    private static func requiredAccount(_ head: Settings) -> String {
        if let account = head.account() { return account }
        if !head.has("account") {
            head.problems.add(head.place, "\(head.path): account is missing, expected \(Settings.accountForm)")
        }
        return ""
    }

    private static func limits(_ table: Settings) -> Limits {
        var limits = Limits()
        limits.waitingEvents = table.integer("waiting-events", in: 100...1_000_000, default: limits.waitingEvents)
        limits.logEvents = table.integer("log-events", in: 0...10_000_000, default: limits.logEvents)
        limits.storeBytes =
            table.integer("store-megabytes", in: 16...65_536, default: limits.storeBytes / 1_048_576) * 1_048_576
        return limits
    }

    private static func terminals(of document: SettingNode, file: String, problems: Problems) -> TerminalResolver {
        var board: Board?
        let named = document["site"]?["board"]
        if let named {
            if case .string(let name) = named.value {
                board = Board.named(name, site: file, at: named.place, problems: problems)
            } else {
                problems.add(
                    named.place, "site.board: expected a board's name in quotes, found \(named.value.described)")
            }
        }
        return TerminalResolver(board: board, boardIsNamed: named != nil, problems: problems)
    }

    /// A key that somebody wrote without quotes, as a number, must not turn up in "expected a text, found …".
    static func withoutKeys(_ document: SettingNode) -> SettingNode {
        func hide(_ tables: SettingNode) -> SettingNode {
            tables.mappedEach { _, table in
                ["key", "old-key"].reduce(table) { table, key in
                    table.mapped(key) { node in
                        if case .string = node.value { return node }
                        return SettingNode(.other("something else, which is not shown"), at: node.place)
                    }
                }
            }
        }
        return document.mapped("receiver", hide).mapped("path", hide)
    }
}
