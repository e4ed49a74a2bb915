/// Satel INTEGRA over an INT-RS module that stands in function 1: the panel's monitoring events, asked for and confirmed.
public struct SatelMonitoringDriver: PanelDriver {
    public typealias Link = SatelMonitoringLink
    public typealias Played = PlayedSatelMonitoring

    public static let name = "satel-monitoring"
    public static let panel = "Satel INTEGRA, INT-RS function 1"
    public static let lifeSign = "no answer to our questions"

    public let serial: SerialSettings
    public let silence: Duration?
    /// Events have the accounts that the panel reports; else all have the device's own.
    let keepsAccounts: Bool
    let points: [SatelEventPoint]

    public init(_ settings: Settings) throws {
        serial = SerialSettings(satel: settings, defaultLine: PlayedSatelMonitoring.line)
        silence = Self.silence(settings, default: .seconds(10))
        keepsAccounts = settings.choice("accounts", of: [("reported", true), ("own", false)], default: true)
        points = settings.points.map { SatelEventPoint($0) }
    }

    public func link() -> SatelMonitoringLink { SatelMonitoringLink(keepsAccounts: keepsAccounts, points: points) }
}

/// A configured point of function 1: what it takes of the Contact ID events (`codes`), or of the two-digit ones of the 4/2
/// format (`event-code`, `restore-code`), whose meanings are the installer's own.
struct SatelEventPoint: Sendable, Hashable {
    var coded: CodedPoint?
    var point: String
    /// Two hexadecimal digits each.
    var begins: [String] = []
    var ends: [String] = []
    /// Empty: any.
    var accounts: [String] = []

    init(_ settings: Settings) {
        point = settings.name
        let isFourTwo = settings.has("event-code")
        guard isFourTwo || settings.has("restore-code") else {
            coded = CodedPoint(settings)
            return
        }
        begins = Self.codes(settings, "event-code")
        ends = Self.codes(settings, "restore-code")
        if settings.has("accounts") { accounts = settings.strings("accounts").map { $0.uppercased() } }
    }

    private static func codes(_ settings: Settings, _ key: String) -> [String] {
        let codes = settings.strings(key, default: []).map { $0.uppercased() }
        for code in codes where !SatelMonitoringReport.isHexadecimal(code, count: 2) {
            settings.refuse(key, "expected a 4/2 event of two hexadecimal digits, as \"31\", found \"\(code)\"")
        }
        return codes
    }

    /// Whether it takes a 4/2 event as its beginning (true) or end (false); nil: not at all.
    func takes(fourTwo code: String, of account: String) -> Bool? {
        guard accounts.isEmpty || accounts.contains(account) else { return nil }
        return begins.contains(code) ? true : ends.contains(code) ? false : nil
    }
}

extension SerialSettings {
    /// A line to an INT-RS. The module watches our DTR (its trouble "no external device") and holds its own up while it is
    /// connected with the panel: ours falls when we end, its own is watched.
    init(satel settings: Settings, defaultLine: SerialLine) {
        self.init(settings, defaultLine: defaultLine)
        hangsUp = true
        dsr = .onceUp
        guard settings.has("dsr") else { return }
        dsr = settings.boolean("dsr", default: true) ? .required : nil
    }
}
