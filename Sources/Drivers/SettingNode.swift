/// Where something stands in a configuration file. Lines and columns count from 1.
public struct Place: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var file: String
    public var line: Int
    public var column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    public var description: String { "\(file):\(line):\(column)" }

    public static func < (a: Place, b: Place) -> Bool {
        (a.file, a.line, a.column) < (b.file, b.line, b.column)
    }
}

/// One thing that is wrong in a configuration: where, what, what was expected, what to do.
public struct Problem: Error, Sendable, Hashable, CustomStringConvertible {
    public var place: Place
    public var message: String

    public init(_ place: Place, _ message: String) {
        self.place = place
        self.message = message
    }

    public var description: String { "\(place): \(message)" }
}

/// A value as it stands in the file, with its place. What the TOML reader makes, and what `Settings` hands out typed.
public struct SettingNode: Sendable, Hashable {
    public enum Value: Sendable, Hashable {
        case string(String)
        case integer(Int64)
        case number(Double)
        case boolean(Bool)
        case array([SettingNode])
        /// In the order of the file.
        case table([Entry])
        /// A TOML value that no setting takes (a date, a time), by its name.
        case other(String)
    }

    public struct Entry: Sendable, Hashable {
        public var key: String
        public var node: SettingNode
        public init(key: String, node: SettingNode) {
            self.key = key
            self.node = node
        }
    }

    public var value: Value
    public var place: Place

    public init(_ value: Value, at place: Place) {
        self.value = value
        self.place = place
    }
}
