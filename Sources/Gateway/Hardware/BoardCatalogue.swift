import Drivers

/// The board files that there are, and how each fits a computer.
public struct BoardCatalogue: Sendable {
    /// One terminal of a board file.
    public struct Terminal: Sendable, Hashable, Encodable {
        public var name: String
        /// The kind of device that it belongs to: "gpio".
        public var device: String
        /// Where it is: "pinctrl-bcm2711 GPIO17".
        public var place: String
    }

    /// A board file.
    public struct File: Sendable, Encodable {
        /// What `board` in a site file says.
        public var id: String
        public var path: String
        public var name: String
        public var knownAs: [String]
        /// On what it was tried, in the file's own words.
        public var tried: String?
        /// In the order of their names, numbers by their value.
        public var terminals: [Terminal]
        fileprivate var lines: [String: (chip: String?, line: Settings.NameOrNumber)] = [:]

        private enum CodingKeys: CodingKey { case id, path, name, knownAs, tried, terminals }
    }

    /// How a board file fits a computer.
    public struct Fit: Sendable, Hashable, Encodable {
        public var board: String
        public var name: String
        /// The computer calls itself by a name of the file's.
        public var isNamed: Bool
        /// How many of its terminals are lines of this computer, of how many.
        public var found: Int
        public var terminals: Int
        /// Why each of the others is not, by the terminal's name.
        public var missing: [String: String]
        /// Terminals whose line somebody holds, and who.
        public var held: [String: String]

        public var isWhole: Bool { found == terminals }
    }

    public var files: [File] = []
    /// What is wrong with files that could not be used, in words.
    public var problems: [String] = []

    /// Where board files are looked for, when nothing else is said.
    public static let directories = [Board.directory, "/etc/larmnod/boards", "board-configs"]

    private static let most = 256

    /// Reads every board file in these directories. Of two with the same name the first counts, as for a site file.
    public init(directories: [String]) {
        for directory in directories {
            for entry in Hardware.entries(of: directory, most: Self.most) where entry.hasSuffix(".toml") {
                let id = String(entry.dropLast(5))
                guard !files.contains(where: { $0.id == id }) else { continue }
                let path = "\(directory)/\(entry)"
                switch Board.read(file: path) {
                case .success(let board): files.append(File(id, path, board))
                case .failure(let error): problems.append("\(error)")
                }
            }
        }
        files.sort { $0.id < $1.id }
    }

    /// The files that may be this computer's, the best first: those that it is known by, then those for a process image where
    /// there is one, then those whose every GPIO terminal it has.
    public func fits(_ hardware: Hardware) -> [Fit] {
        files.compactMap { file -> (rank: Int, fit: Fit)? in
            let named = hardware.names.firstIndex { file.knownAs.contains($0) }
            let fit = file.fit(to: hardware, isNamed: named != nil)
            if let named { return (named, fit) }
            // A Revolution Pi is a Raspberry Pi's processor on another carrier: its lines alone would tell it wrong.
            if hardware.hasProcessImage, file.terminals.contains(where: { $0.device == "revpi" }) {
                return (.max - 1, fit)
            }
            return fit.terminals > 0 && fit.isWhole ? (.max, fit) : nil
        }.sorted {
            ($0.rank, -$0.fit.found, $0.fit.board) < ($1.rank, -$1.fit.found, $1.fit.board)
        }.map(\.fit)
    }
}

extension BoardCatalogue.File {
    fileprivate init(_ id: String, _ path: String, _ board: Board) {
        self.init(id: id, path: path, name: board.name, knownAs: board.knownAs, tried: board.tried, terminals: [])
        for (name, terminal) in board.terminals {
            let words = terminal.settings.map { setting in
                switch setting.node.value {
                case .string(let text): setting.key == "line" || setting.key == "chip" ? text : "\(setting.key) \(text)"
                case .integer(let number): "\(setting.key) \(number)"
                default: setting.key
                }
            }
            terminals.append(.init(name: name, device: terminal.device, place: words.joined(separator: " ")))
            if terminal.device == "gpio", let line = Self.line(of: terminal) { lines[name] = line }
        }
        terminals.sort { Self.order($0.name) < Self.order($1.name) }
    }

    /// The line that a terminal of a `gpio` device is.
    private static func line(of terminal: Board.Terminal) -> (chip: String?, line: Settings.NameOrNumber)? {
        var chip: String?
        var line: Settings.NameOrNumber?
        for setting in terminal.settings {
            switch (setting.key, setting.node.value) {
            case ("chip", .string(let text)): chip = text
            case ("line", .string(let text)): line = .name(text)
            case ("line", .integer(let number)): line = .number(Int(clamping: number))
            default: break
            }
        }
        return line.map { (chip, $0) }
    }

    /// "PIN7" before "PIN11": digits count as a number.
    private static func order(_ name: String) -> String {
        var order = ""
        var digits = ""
        func padded() -> String {
            digits.isEmpty ? "" : String(repeating: "0", count: max(0, 6 - digits.count)) + digits
        }
        for character in name {
            if character.isNumber {
                digits.append(character)
            } else {
                order += padded() + String(character)
                digits = ""
            }
        }
        return order + padded()
    }

    fileprivate func fit(to hardware: Hardware, isNamed: Bool) -> BoardCatalogue.Fit {
        var fit = BoardCatalogue.Fit(
            board: id, name: name, isNamed: isNamed, found: 0, terminals: lines.count, missing: [:], held: [:])
        for (name, place) in lines {
            do throws(DeviceError) {
                let line = try hardware.chips.line(place.line, chip: place.chip)
                fit.found += 1
                if let holder = line.holder { fit.held[name] = holder.isEmpty ? "the kernel" : holder }
            } catch {
                fit.missing[name] = error.description
            }
        }
        return fit
    }
}
