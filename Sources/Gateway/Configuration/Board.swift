import Drivers

/// A board file: what is printed on the box, and where a driver finds it.
///
///     [board]
///     name     = "Raspberry Pi 4 Model B"
///     known-as = ["raspberrypi,4-model-b"]
///     tried    = "not on the board"
///
///     [terminal]
///     PIN11 = { device = "gpio", chip = "pinctrl-bcm2711", line = "GPIO17" }
///
/// A point that says `terminal = "PIN11"` gets the terminal's other settings as if they had been written in the point.
struct Board {
    struct Terminal {
        /// The kind of device that it belongs to: "gpio".
        var device: String
        var settings: [SettingNode.Entry]
    }

    var name: String
    /// How such a computer calls itself: "compatible" in its device tree, or its product's name in DMI.
    var knownAs: [String] = []
    /// On what the file was tried, in words.
    var tried: String?
    var terminals: [String: Terminal]

    private static let mostTerminals = 1000

    /// Where boards lie when they do not lie beside the site file.
    static let directory = "/usr/share/larmnod/boards"

    /// Finds and reads the board that `[site] board` names. Nil, with the reason in `problems`, where that fails.
    static func named(_ name: String, site: String, at place: Place, problems: Problems) -> Board? {
        guard isName(name) else {
            problems.add(place, "site.board: expected a board's name, \(nameForm), found \"\(name)\"")
            return nil
        }
        let candidates =
            ["boards/\(name).toml", "\(name).toml"].map { TextFile.path($0, beside: site) }
            + ["\(directory)/\(name).toml"]
        for candidate in candidates {
            switch TextFile.read(candidate, limit: TOML.mostBytes) {
            case .success(let bytes):
                return TOML.tree(of: bytes, file: candidate, problems: problems).map { read($0, problems: problems) }
            case .failure(let failure) where !failure.isMissing:
                problems.add(place, "site.board: the board file \(candidate) \(failure.reason)")
                return nil
            case .failure: continue
            }
        }
        problems.add(
            place,
            "site.board: no board file for \"\(name)\"; looked for \(candidates.joined(separator: ", ")); "
                + "copy the board's file there, or correct the name")
        return nil
    }

    /// Checks one board file by itself.
    static func read(file: String) -> Result<Board, ConfigurationError> {
        let problems = Problems()
        var board: Board?
        switch TextFile.read(file, limit: TOML.mostBytes) {
        case .success(let bytes):
            board = TOML.tree(of: bytes, file: file, problems: problems).map { read($0, problems: problems) }
        case .failure(let failure):
            problems.add(Place(file: file, line: 1, column: 1), "the file \(failure.reason)")
        }
        guard let board, problems.all.isEmpty else { return .failure(ConfigurationError(problems)) }
        return .success(board)
    }

    static func read(_ document: SettingNode, problems: Problems) -> Board {
        let file = Settings(document, path: "", problems: problems)
        let head = file.requiredTable("board", of: document)
        var board = Board(name: head.string("name", expected: "the board's name in quotes", limit: 64), terminals: [:])
        board.knownAs = head.strings("known-as", default: [])
        board.tried = head.optionalString("tried", expected: "in quotes, on what the file was tried")
        for (name, terminal) in file.named("terminal", most: mostTerminals) {
            let device = terminal.string("device", expected: "the kind of device it belongs to, as \"gpio\"")
            var settings: [SettingNode.Entry] = []
            if case .table(let entries)? = document["terminal"]?[name]?.value {
                settings = entries.filter { terminal.has($0.key) && $0.key != "device" }
            }
            if settings.isEmpty {
                problems.add(terminal.place, "\(terminal.path): expected where it is, such as chip and line")
            }
            board.terminals[name] = Terminal(device: device, settings: settings)
        }
        file.refuseUnread()
        return board
    }
}

/// Puts terminals in the place of their names, before any driver sees the points.
struct TerminalResolver {
    let board: Board?
    /// The site names a board. Where it could not be read, that has been told, and its terminals are not blamed.
    let boardIsNamed: Bool
    let problems: Problems

    /// The points whose terminal could not be found: what the driver then misses there is not the technician's error.
    private(set) var unresolved: [Place: String] = [:]
    /// The settings of each terminal in use, and the point that uses it: two points never share one.
    private var used: [(settings: Set<String>, point: String)] = []

    init(board: Board?, boardIsNamed: Bool, problems: Problems) {
        self.board = board
        self.boardIsNamed = boardIsNamed
        self.problems = problems
    }

    /// The document with each `[device.KIND.NAME.point.POINT]` and `[device.KIND.NAME.output.OUTPUT]` completed.
    mutating func resolve(_ document: SettingNode) -> SettingNode {
        document.mapped("device") { kinds in
            kinds.mappedEach { kind, devices in
                devices.mappedEach { device, table in
                    ["point", "output"].reduce(table) { table, what in
                        table.mapped(what) { points in
                            points.mappedEach { point, settings in
                                let path = "device.\(kind).\(device).\(what).\(point)"
                                return namesItsTerminals(table, of: settings)
                                    ? settings : complete(settings, kind: kind, point: path)
                            }
                        }
                    }
                }
            }
        }
    }

    /// A point that says its unit, where the device or that unit has a profile, means a terminal of the profile and not of
    /// the board.
    private func namesItsTerminals(_ device: SettingNode, of point: SettingNode) -> Bool {
        guard case .integer(let unit)? = point["unit"]?.value else { return false }
        return device["profile"] != nil || device["unit"]?["\(unit)"]?["profile"] != nil
    }

    private mutating func complete(_ point: SettingNode, kind: String, point path: String) -> SettingNode {
        guard case .table(var entries) = point.value,
            let terminal = entries.first(where: { $0.key == "terminal" })?.node
        else { return point }
        func refuse(_ message: String) -> SettingNode {
            problems.add(terminal.place, "\(path).terminal: \(message)")
            unresolved[point.place] = path
            return point
        }
        guard case .string(let name) = terminal.value else {
            return refuse("expected a terminal's name in quotes, found \(terminal.value.described)")
        }
        guard let board else {
            unresolved[point.place] = path
            return boardIsNamed
                ? point : refuse("the site names no board: write board = \"…\" in [site], or say where the point is")
        }
        guard let found = board.terminals[name] else {
            let known = board.terminals.filter { $0.value.device == kind }.map(\.key).sorted()
            let hint = nearest(to: name, among: known)
            return refuse(
                "the board \"\(board.name)\" has no terminal \"\(name)\"\(hint.isEmpty ? "; it has \(listed(known))" : hint)"
            )
        }
        guard found.device == kind else {
            return refuse("\"\(name)\" is a terminal for device.\(found.device), not for device.\(kind)")
        }
        for setting in found.settings where entries.contains(where: { $0.key == setting.key }) {
            return refuse("it already says \(setting.key): write the terminal or \(setting.key), not both")
        }
        let identity = Set(found.settings.map { "\($0.key)=\($0.node.value.described)" })
        if let other = used.first(where: { $0.settings == identity }) {
            return refuse("\"\(name)\" is already used by \(other.point): one terminal, one point")
        }
        used.append((identity, path))
        entries += found.settings
        return SettingNode(.table(entries), at: point.place)
    }
}
