import Drivers
import Glibc

// The settings of a site that are not a driver's: names, accounts, addresses, files.

let nameForm = "1 to 40 letters a–z, digits, - and _"

/// Names become parts of a point's full name, of file names and of log lines.
func isName(_ text: String) -> Bool {
    (1...40).contains(text.utf8.count)
        && text.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"): true
            default: false
            }
        }
}

/// A few of many names.
func listed(_ names: [String]) -> String {
    guard !names.isEmpty else { return "none" }
    return names.prefix(8).joined(separator: ", ") + (names.count > 8 ? " and \(names.count - 8) more" : "")
}

extension Settings {
    /// The table `[key]`, which every such file has; an empty one where it is missing, so that reading goes on.
    func requiredTable(_ key: String, of document: SettingNode) -> Settings {
        let known = has(key)
        if let table = table(key) { return table }
        if !known { problems.add(place, "[\(key)] is missing") }
        return Settings(SettingNode(.table([]), at: document.place), path: key, problems: Problems())
    }

    /// The tables `[PATH.key.NAME]` with their names, in the order of the file. A name that is none is refused, and its
    /// table read all the same, for what else may be wrong there.
    func named(_ key: String, most: Int = .max) -> [(name: String, table: Settings)] {
        guard let tables = table(key) else { return [] }
        guard tables.keys.count <= most else {
            for name in tables.keys { _ = tables.has(name) }
            tables.problems.add(tables.place, "\(tables.path): expected at most \(most), found \(tables.keys.count)")
            return []
        }
        return tables.keys.compactMap { name in
            if !isName(name) {
                let found = SettingNode.Value.string(name).described
                tables.problems.add(
                    tables.place(of: name), "\(tables.path): expected a name of \(nameForm), found \(found)")
            }
            return tables.table(name).map { (name, $0) }
        }
    }

    /// Hexadecimal digits in quotes, upper case; nil where the key is missing.
    private func hexadecimal(_ key: String, expected: String, count: ClosedRange<Int>) -> String? {
        guard has(key) else { return nil }
        let found = problems.all.count
        let text = string(key, expected: expected)
        guard problems.all.count == found else { return nil }
        guard count.contains(text.utf8.count), text.utf8.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }) else {
            refuse(key, "expected \(expected), found \"\(text)\"")
            return nil
        }
        return text.uppercased()
    }

    static let accountForm = "3 to 16 digits 0–9 and A–F in quotes, as \"0471\", since leading zeros count"

    /// An account number, upper case; nil where the key is missing.
    func account(_ key: String = "account") -> String? {
        hexadecimal(key, expected: Self.accountForm, count: 3...16)
    }

    /// A receiver or line number of DC-09's header, without its letter; nil where the key is missing.
    func headerNumber(_ key: String) -> String? {
        hexadecimal(key, expected: "1 to 6 digits 0–9 and A–F in quotes", count: 1...6)
    }

    /// The path of a file or directory, from the root: the daemon has no directory of its own to start from.
    func absolutePath(_ key: String, default fallback: String, limit: Int) -> String {
        let expected = "a path from the root, at most \(limit) bytes, as \"\(fallback)\""
        let path = string(key, default: fallback, expected: expected)
        if !path.isEmpty, !path.hasPrefix("/") || path.utf8.count > limit {
            refuse(key, "expected \(expected), found \(SettingNode.Value.string(path).described)")
        }
        return path
    }

    /// A word without blanks or slashes, as the system names its interfaces and groups; nil where the key is missing.
    func systemName(_ key: String, expected: String, limit: Int) -> String? {
        guard let name = optionalString(key, expected: expected), !name.isEmpty else { return nil }
        let isPlain = name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }
        if !isPlain || name.utf8.count > limit || name == "." || name == ".." {
            refuse(
                key,
                "expected \(expected), at most \(limit) characters, found \(SettingNode.Value.string(name).described)")
        }
        return name
    }
}

/// A host and its port as they are written: "larm.example.se:7700", "192.0.2.7:7700", "[2001:db8::7]:7700".
struct Address: Equatable {
    static let form = "\"host:port\" as \"larm.example.se:7700\", \"192.0.2.7:7700\" or \"[2001:db8::7]:7700\""

    var host: String
    /// 1 to 65535.
    var port: Int

    init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (1...65535).contains(port),
            text[text.index(after: colon)...].utf8.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        var host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed { host = host.dropFirst().dropLast() }
        let valid = host.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."): true
            case UInt8(ascii: ":"), UInt8(ascii: "%"): isBracketed
            default: byte == UInt8(ascii: "_")
            }
        }
        guard valid, (1...253).contains(host.utf8.count), isBracketed == host.contains(":") else { return nil }
        guard !host.hasPrefix("-"), !host.hasPrefix("."), !host.contains("..") else { return nil }
        self.host = String(host)
        self.port = port
        guard !isBracketed || Self.isNumeric(self.host, AF_INET6) else { return nil }
        let isNumber = self.host.utf8.allSatisfy { $0 == UInt8(ascii: ".") || (0x30...0x39).contains($0) }
        guard !isNumber || Self.isNumeric(self.host, AF_INET) else { return nil }
    }

    /// An address in digits, as the system reads them; an IPv6 address may name its interface: "fe80::1%eth0".
    private static func isNumeric(_ host: String, _ family: Int32) -> Bool {
        let parts = host.split(separator: "%", maxSplits: 1, omittingEmptySubsequences: false)
        var address = in6_addr()
        return parts.allSatisfy { !$0.isEmpty } && inet_pton(family, String(parts[0]), &address) == 1
    }
}

extension SettingNode {
    /// What stands under a key of this table.
    subscript(key: String) -> SettingNode? {
        guard case .table(let entries) = value else { return nil }
        return entries.first { $0.key == key }?.node
    }

    /// This table with one entry changed, where it has it.
    func mapped(_ key: String, _ change: (SettingNode) -> SettingNode) -> SettingNode {
        mappedEach { $0 == key ? change($1) : $1 }
    }

    /// This table with every entry changed; anything but a table stays as it is.
    func mappedEach(_ change: (String, SettingNode) -> SettingNode) -> SettingNode {
        guard case .table(let entries) = value else { return self }
        return SettingNode(.table(entries.map { Entry(key: $0.key, node: change($0.key, $0.node)) }), at: place)
    }
}
