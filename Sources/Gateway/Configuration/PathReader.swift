import AlarmProtocol
import Drivers

/// Reads `[receiver.NAME]` and `[path.NAME]`: where the events go, and what is agreed with whom.
struct PathReader {
    let siteFile: String
    let siteAccount: String
    let problems: Problems
    private var certificates: CertificateReader
    private(set) var notices: [Problem] = []

    init(siteFile: String, siteAccount: String, certificates: CertificateReader, problems: Problems) {
        self.siteFile = siteFile
        self.siteAccount = siteAccount
        self.certificates = certificates
        self.problems = problems
    }

    /// What is agreed with a receiver. A path may have any of it in another way, as centres give out one line or one
    /// key for each path.
    private struct Agreement {
        var address: Address?
        var account: String?
        var receiverNumber: String?
        var line = "0"
        var key: Key?
        var oldKey: Key?
        var format = PayloadFormat.siaDCS
        var characterSet = CharacterSet.windows1252
        var extendedBlocks: Set<ExtendedBlock.Kind> = [.timeOfOccurrence]
        var connections = 1
        var catchUpRate: Int?
        var security = SecurityAgreement()
    }

    /// Each path polls, and each is a line in every report: more is a mistake.
    static let most = 16

    mutating func read(_ root: Settings, of document: SettingNode) -> [PathSettings] {
        var receivers: [String: Agreement] = [:]
        let tables = root.named("receiver", most: Self.most)
        for (name, table) in tables {
            if !table.has("address") {
                problems.add(table.place, "\(table.path): address is missing, expected \(Address.form)")
            }
            receivers[name] = agreement(table, else: Agreement())
        }

        var paths: [PathSettings] = []
        for (name, table) in root.named("path", most: Self.most) {
            if let path = path(name, table, receivers) { paths.append(path) }
        }
        if !root.has("path") || (document["path"]?.isEmptyTable ?? false) {
            problems.add(
                document.place,
                "no path: expected at least one table [path.NAME] with receiver = \"…\", for without it no alarm is heard"
            )
        }
        for (name, table) in tables where !paths.contains(where: { $0.receiver == name }) && problems.all.isEmpty {
            notices.append(Problem(table.place, "\(table.path): no path leads to this receiver"))
        }
        notices += certificates.notices
        return paths
    }

    private mutating func path(_ name: String, _ table: Settings, _ receivers: [String: Agreement]) -> PathSettings? {
        let receiver = table.string("receiver", expected: "a receiver's name in quotes")
        if !receiver.isEmpty, receivers[receiver] == nil {
            let hint = nearest(to: receiver, among: receivers.keys.sorted())
            let shownName = SettingNode.Value.string(receiver).described
            table.refuse(
                "receiver",
                "there is no [receiver] of the name \(shownName)"
                    + (hint.isEmpty ? "; there is: \(listed(receivers.keys.sorted()))" : hint))
        }
        let agreed = agreement(table, else: receivers[receiver] ?? Agreement())
        let path = PathSettings(
            name: name,
            receiver: receiver,
            host: agreed.address?.host ?? "",
            port: agreed.address?.port ?? 0,
            interface: table.systemName(
                "interface", expected: "a network interface's name, as \"eth0\"", limit: 15),
            transport: agreed.security.transport ?? .tcp,
            account: agreed.account,
            siteAccount: siteAccount,
            receiverNumber: agreed.receiverNumber,
            line: agreed.line,
            key: agreed.key,
            format: agreed.format,
            characterSet: agreed.characterSet,
            extendedBlocks: agreed.extendedBlocks,
            poll: table.duration("poll", in: .seconds(1)...(.seconds(25 * 3600)), default: .seconds(60)),
            timeout: table.duration("timeout", in: .milliseconds(200)...(.seconds(60)), default: .seconds(5)),
            attempts: table.integer("attempts", in: 1...20, default: 3),
            connections: agreed.connections,
            catchUpRate: agreed.catchUpRate,
            oldKey: agreed.oldKey,
            tls: certificates.transport(agreed.security, for: table, host: agreed.address?.host))
        if path.key == nil, path.transport != .tls {
            notices.append(
                Problem(table.place, "\(table.path): no key, so anybody on the way can read and forge what is sent"))
        }
        return path
    }

    private func agreement(_ table: Settings, else base: Agreement) -> Agreement {
        var agreed = base
        if table.has("address") {
            let found = problems.all.count
            let text = table.string("address", expected: Address.form)
            agreed.address = Address(text)
            if agreed.address == nil, problems.all.count == found {
                table.refuse("address", "expected \(Address.form), found \(SettingNode.Value.string(text).described)")
            }
        }
        agreed.account = table.account() ?? base.account
        agreed.receiverNumber = table.headerNumber("receiver-number") ?? base.receiverNumber
        agreed.line = table.headerNumber("line") ?? base.line
        agreed.key = key(table, "key") ?? base.key
        // A key of its own has its own past.
        agreed.oldKey = key(table, "old-key") ?? (table.has("key") ? nil : base.oldKey)
        if table.has("old-key"), agreed.key == nil, problems.all.isEmpty {
            table.refuse("old-key", "expected a key beside it: old-key is the one that key takes the place of")
        } else if table.has("old-key"), agreed.oldKey != nil, agreed.oldKey == agreed.key {
            table.refuse("old-key", "is the same key as key: expected the one that key takes the place of")
        }
        agreed.security.read(table)
        agreed.format = table.choice(
            "format", of: [("sia-dcs", .siaDCS), ("contact-id", .contactID)], default: base.format)
        agreed.characterSet = table.choice(
            "character-set", of: [("windows-1252", .windows1252), ("utf-8", .utf8), ("ascii", .ascii)],
            default: base.characterSet)
        agreed.connections = table.integer("connections", in: 1...16, default: base.connections)
        if table.has("catch-up-rate") { agreed.catchUpRate = table.integer("catch-up-rate", in: 1...1000) }
        if table.has("extended-data") {
            agreed.extendedBlocks = []
            for letter in table.strings("extended-data") {
                switch letter {
                case "H": agreed.extendedBlocks.insert(.timeOfOccurrence)
                case "I": agreed.extendedBlocks.insert(.text)
                default:
                    table.refuse(
                        "extended-data",
                        "expected \"H\" (time of occurrence) or \"I\" (text), found "
                            + SettingNode.Value.string(letter).described)
                }
            }
        }
        return agreed
    }

    private func key(_ table: Settings, _ setting: String) -> Key? {
        guard table.has(setting) else { return nil }
        let found = problems.all.count
        let name = table.string(setting, expected: "the name of a key file in quotes", limit: 1024)
        guard problems.all.count == found else { return nil }
        switch KeyFile.read(name, beside: siteFile) {
        case .success(let key): return key
        case .failure(let failure):
            table.refuse(setting, failure.reason)
            return nil
        }
    }
}

extension SettingNode {
    fileprivate var isEmptyTable: Bool { value == .table([]) }
}
