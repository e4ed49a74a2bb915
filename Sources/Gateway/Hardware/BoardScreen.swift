/// What `larmnod board` prints: 24 lines of 80 columns for a computer with what a site's box has; more with `all`.
public struct BoardScreen {
    private static let width = 80
    /// Lines for what there may be many of.
    private static let room = 5

    private var lines: [String] = []
    private let all: Bool

    /// The computer, the board file that fits it, and what field wiring can be brought to.
    public static func detected(_ hardware: Hardware, _ catalogue: BoardCatalogue, all: Bool = false) -> [String] {
        var screen = BoardScreen(all: all)
        screen.add(hardware.model ?? "This computer does not say what it is.")
        if !hardware.names.isEmpty { screen.add("known as: \(hardware.names.joined(separator: ", "))") }
        screen.lines.append("")
        screen.addFit(hardware, catalogue)
        screen.lines.append("")
        screen.addChips(hardware)
        screen.addPorts(hardware)
        screen.addSome(
            hardware.converters.flatMap { converter in
                let name = converter.name.isEmpty ? "" : " \"\(converter.name)\""
                return Self.wrapped("analogue \(converter.device)\(name): channels \(Self.channels(of: converter))")
            }, none: "no analogue converter (IIO)")
        if hardware.hasProcessImage { screen.add("process image /dev/piControl0: a Revolution Pi's modules") }
        for unseen in hardware.unseen { screen.add("NOT SEEN \(unseen)") }
        return screen.lines
    }

    /// The board files that there are.
    public static func list(_ catalogue: BoardCatalogue) -> [String] {
        var screen = BoardScreen(all: true)
        for file in catalogue.files {
            screen.add("\(file.id.padded(to: 24)) \(file.name), \(file.terminals.count) terminals")
            if let tried = file.tried { screen.addWrapped("    tried: \(tried)") }
        }
        for problem in catalogue.problems { screen.addWrapped("NOT USED \(problem)") }
        if catalogue.files.isEmpty {
            screen.addWrapped("no board file; looked in \(BoardCatalogue.directories.joined(separator: ", "))")
        }
        return screen.lines
    }

    /// One board file, with its terminals in columns of the page.
    public static func show(_ file: BoardCatalogue.File) -> [String] {
        var screen = BoardScreen(all: true)
        screen.add("\(file.name): board = \"\(file.id)\"")
        screen.addWrapped("file: \(file.path)")
        if !file.knownAs.isEmpty { screen.addWrapped("known as: \(file.knownAs.joined(separator: ", "))") }
        if let tried = file.tried { screen.addWrapped("tried: \(tried)") }
        screen.lines.append("")
        let cells = file.terminals.map { "\($0.name.padded(to: 8)) \($0.device) \($0.place)" }
        let widest = (cells.map(\.count).max() ?? 0) + 2
        let columns = max(1, width / widest)
        let rows = (cells.count + columns - 1) / columns
        for row in 0..<rows {
            let line = stride(from: row, to: cells.count, by: rows).map { cells[$0].padded(to: widest) }
            screen.add(line.joined())
        }
        return screen.lines
    }

    private mutating func addFit(_ hardware: Hardware, _ catalogue: BoardCatalogue) {
        let fits = catalogue.fits(hardware)
        guard let best = fits.first else {
            add("No board file fits: give points their chip and line, or write a board file")
            add("(docs/configuration.md, Boards). \"larmnod board list\" shows those there are.")
            let modules = catalogue.files.filter { $0.terminals.contains { $0.device == "modbus" } }.map(\.id)
            if hardware.chips.isEmpty, !modules.isEmpty {
                add("There is no GPIO line. Files for modules on a bus: \(listed(modules))")
            }
            return
        }
        add("board file: \(best.board) (\(best.name)), for [site] in the site file:")
        lines.append("    board = \"\(best.board)\"")
        let why = best.terminals > 0 ? "its lines are there" : "a process image is there"
        if !best.isNamed { addWrapped("It is proposed because \(why), not because this computer says so.") }
        if best.terminals > 0 {
            add(
                "\(best.found) of its \(best.terminals) GPIO terminals are lines of this computer\(best.isWhole ? "." : ":")"
            )
        }
        // Most often it is one reason for all of them.
        let missing = Dictionary(grouping: best.missing.sorted { $0.key < $1.key }, by: \.value)
            .map { (names: $0.value.map(\.key), reason: $0.key) }.sorted { $0.names[0] < $1.names[0] }
        addSome(missing.flatMap { Self.wrapped("  \(listed($0.names)): \($0.reason)") }, none: nil)
        let held = best.held.sorted { $0.key < $1.key }
        if !held.isEmpty { add("held by others: \(held.map { "\($0.key) (\($0.value))" }.joined(separator: ", "))") }
        let others = fits.dropFirst().map(\.board)
        if !others.isEmpty { add("also fitting: \(listed(others))") }
    }

    private mutating func addChips(_ hardware: Hardware) {
        addSome(
            hardware.chips.map { chip in
                let named = chip.lines.count { !$0.name.isEmpty }
                let held = chip.lines.count { $0.holder != nil }
                return "GPIO \(chip.name) \"\(chip.label)\": \(chip.lines.count) lines, \(named) named, \(held) in use"
            }, none: "no GPIO chip")
        guard all else { return }
        for chip in hardware.chips {
            for (offset, line) in chip.lines.enumerated() {
                let holder = line.holder.map { $0.isEmpty ? "in use" : "in use by \($0)" } ?? "free"
                add("  \(chip.label) \(offset) \(line.name.isEmpty ? "(no name)" : "\"\(line.name)\"") \(holder)")
            }
        }
    }

    /// A port's path is there to be copied: it is never cut.
    private mutating func addPorts(_ hardware: Hardware) {
        if hardware.ports.isEmpty { add("no serial port") }
        let shown = all ? hardware.ports.count : Self.room
        for port in hardware.ports.prefix(shown) {
            let words = [port.device, port.product].filter { !$0.isEmpty && !port.path.hasSuffix($0) }
            let line = "serial port \(port.path)".printable
            let detail = words.isEmpty ? "" : "(\(words.joined(separator: ", ")))"
            if line.count + 1 + detail.count <= Self.width {
                add("\(line) \(detail)")
            } else {
                lines.append(line)
                if !detail.isEmpty { add("    \(detail)") }
            }
        }
        if hardware.ports.count > shown { add("  and \(hardware.ports.count - shown) more: --all") }
    }

    /// As a point names them: 3 for voltage3, "voltage0-voltage1" for the difference of two.
    private static func channels(of converter: Hardware.Converter) -> String {
        let numbers = converter.channels.map { Int($0.dropFirst("voltage".count)) }
        let others = zip(converter.channels, numbers).filter { $0.1 == nil }.map { "\"\($0.0)\"" }
        return listed(numbers.compactMap { $0 }.sorted().map { "\($0)" } + others)
    }

    private mutating func addSome(_ rows: [String], none: String?) {
        if rows.isEmpty, let none { add(none) }
        let shown = all ? rows.count : Self.room
        for row in rows.prefix(shown) { add(row) }
        if rows.count > shown { add("  and \(rows.count - shown) more: --all") }
    }

    /// Adds a line, cut at the width unless all is wanted.
    private mutating func add(_ line: String) {
        var line = line.printable
        while line.last == " " { line.removeLast() }
        lines.append(all || line.count <= Self.width ? line : String(line.prefix(Self.width - 1)) + "…")
    }

    /// Adds as many lines as it takes, broken between words.
    private mutating func addWrapped(_ line: String) { for part in Self.wrapped(line.printable) { lines.append(part) } }

    /// Lines within the width, those after the first indented by four. A word that is longer than a line is not broken.
    private static func wrapped(_ line: String) -> [String] {
        var lines: [String] = []
        var current = String(line.prefix { $0 == " " })
        var isEmpty = true
        for word in line.split(separator: " ") {
            if !isEmpty, current.count + 1 + word.count > width {
                lines.append(current)
                (current, isEmpty) = ("    ", true)
            }
            current += isEmpty ? String(word) : " \(word)"
            isEmpty = false
        }
        return lines + (isEmpty ? [] : [current])
    }

    private init(all: Bool) { self.all = all }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
