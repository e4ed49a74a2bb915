import AlarmProtocol
import Drivers

/// The settings of a new centre, read by the same readers and rules as a site file's: `[receiver.NAME]`, and `[path.NAME]`
/// for what one of its paths has in another way. What a path is on our side (interface, transport, link tests, time
/// limits) stays as it is, where the new settings do not say otherwise.
enum CentreSettings {
    /// - Parameters:
    ///   - text: TOML.
    ///   - source: what errors call it: a file's name.
    ///   - now: where given, milliseconds since 1970 UTC by which certificates are judged: an expired one is then an error.
    /// - Returns: the paths to the receiver as they will be, in the site's order and under their names there.
    /// - Throws: `ControlRefusal` with all that is wrong, or how it does not fit the site. A key is never shown.
    static func read(
        _ text: String, from source: String, receiver: String, site: Site, at now: Int64? = nil
    ) throws(ControlRefusal) -> [PathSettings] {
        let present = site.paths.filter { $0.receiver == receiver }
        guard !present.isEmpty else {
            let names = Set(site.paths.map(\.receiver)).sorted()
            throw ControlRefusal(
                "no path leads to a receiver \"\(receiver)\"; there is: \(names.joined(separator: ", "))")
        }
        let problems = Problems()
        guard let document = TOML.tree(of: Array(text.utf8), file: source, problems: problems) else {
            throw refusal(problems)
        }
        for name in tables(document["receiver"]) where name != receiver {
            problems.add(document.place, "[receiver.\(name)]: expected [receiver.\(receiver)] and no other")
        }
        for name in tables(document["path"]) where !present.contains(where: { $0.name == name }) {
            let names = present.map(\.name).joined(separator: ", ")
            problems.add(document.place, "[path.\(name)]: expected one of the paths to \(receiver): \(names)")
        }
        guard problems.all.isEmpty else { throw refusal(problems) }
        let whole = complete(SiteReader.withoutKeys(document), with: present, receiver)
        let root = Settings(whole, path: "", problems: problems)
        let clock = SystemClock(isTrusted: site.clockIsTrusted)
        var reader = PathReader(
            siteFile: site.file, siteAccount: site.account,
            certificates: CertificateReader(siteFile: site.file, now: now, clock: { clock.now() }), problems: problems)
        let read = reader.read(root, of: whole)
        root.refuseUnread()
        guard problems.all.isEmpty else { throw refusal(problems) }
        return zip(read, present).map { path, present in
            path.keeping(present, butFor: tables(document["path"]?[path.name]))
        }
    }

    /// The keys of a table; none of anything else.
    private static func tables(_ node: SettingNode?) -> [String] {
        guard case .table(let entries)? = node?.value else { return [] }
        return entries.map(\.key)
    }

    /// With a table for each path, as a site file has, and with the present transport where none is given.
    private static func complete(
        _ document: SettingNode, with present: [PathSettings], _ receiver: String
    ) -> SettingNode {
        guard case .table(let entries) = document.value else { return document }
        let place = document.place
        func adding(_ key: String, _ text: String, to table: SettingNode) -> SettingNode {
            guard case .table(let own) = table.value, table[key] == nil else { return table }
            return SettingNode(
                .table(own + [.init(key: key, node: SettingNode(.string(text), at: place))]), at: table.place)
        }
        let usual = present[0].transport.rawValue
        let isGiven = document["receiver"]?[receiver]?["transport"] != nil
        let paths = present.map { path in
            var table = document["path"]?[path.name] ?? SettingNode(.table([]), at: place)
            table = adding("receiver", receiver, to: table)
            if !isGiven, path.transport != present[0].transport {
                table = adding("transport", path.transport.rawValue, to: table)
            }
            return SettingNode.Entry(key: path.name, node: table)
        }
        let others = entries.filter { $0.key != "path" }.map { entry in
            guard entry.key == "receiver" else { return entry }
            return .init(key: "receiver", node: entry.node.mapped(receiver) { adding("transport", usual, to: $0) })
        }
        return SettingNode(
            .table(others + [.init(key: "path", node: SettingNode(.table(paths), at: place))]), at: place)
    }

    private static func refusal(_ problems: Problems) -> ControlRefusal {
        let all = ConfigurationError(problems).problems
        let some = all.prefix(4).map(\.description).joined(separator: "; ")
        return ControlRefusal(some + (all.count > 4 ? "; and \(all.count - 4) more" : "") + ". Nothing was changed.")
    }
}

extension PathSettings {
    /// With what a path is on our side as it is at present, but for the keys that the new settings give.
    fileprivate func keeping(_ present: PathSettings, butFor given: [String]) -> PathSettings {
        var path = self
        func keep<Value>(_ key: String, _ value: WritableKeyPath<PathSettings, Value>) {
            if !given.contains(key) { path[keyPath: value] = present[keyPath: value] }
        }
        keep("interface", \.interface)
        keep("poll", \.poll)
        keep("timeout", \.timeout)
        keep("attempts", \.attempts)
        path.pollAlone = present.pollAlone
        path.reportWithin = present.reportWithin
        return path
    }

    /// The same path beside the one that counts: it shares neither its name nor its receiver's.
    func beside(_ word: String) -> PathSettings {
        var path = self
        path.name += "." + word
        path.receiver += "." + word
        return path
    }

    /// Nobody on the way can read what is sent, as far as we can tell.
    var isSealed: Bool { key != nil || transport == .tls }

    /// "host:port", an IPv6 address in brackets.
    var address: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension Site {
    /// The paths when a receiver has moved: those to it replaced, all others and the order as they are.
    func paths(moving receiver: String, to new: [PathSettings]) -> [PathSettings] {
        paths.map { path in new.first { $0.name == path.name && path.receiver == receiver } ?? path }
    }

    /// Where a receiver's paths lead to by the site file.
    func addresses(of receiver: String) -> [String] {
        Set(paths.filter { $0.receiver == receiver }.map(\.address)).sorted()
    }
}
