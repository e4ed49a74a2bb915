import AlarmProtocol

/// A configured point of a panel that speaks codes of the trade: which of them it takes, to call them something else.
///
/// Nothing need be configured for such a panel; each zone is a point by itself. A point is for what the panel cannot say
/// ("zone 5 is the sprinkler"): its `codes` and their restores, of its zones and accounts, become its kind.
struct CodedPoint: Sendable, Hashable {
    var point: String
    /// "BA" or "130".
    var codes: [String]
    /// Empty: any.
    var zones: [ClosedRange<Int>] = []
    var accounts: [String] = []

    init(_ settings: Settings) {
        point = settings.name
        codes = settings.strings("codes").map { $0.uppercased() }
        for code in codes where Vocabulary.codes(sia: code) == nil && Vocabulary.codes(contactID: code, .event) == nil {
            settings.refuse("codes", "expected SIA codes as \"BA\" or Contact ID events as \"130\", found \"\(code)\"")
        }
        if settings.has("zones") { zones = Self.zones(settings, upTo: 9999) }
        if settings.has("accounts") { accounts = settings.strings("accounts").map { $0.uppercased() } }
    }

    /// `zones = ["5", "10-20"]`
    static func zones(_ settings: Settings, _ key: String = "zones", upTo last: Int) -> [ClosedRange<Int>] {
        settings.strings(key).compactMap { text in
            let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            if let first = ends.first ?? nil, let end = ends.last ?? nil, ends.count <= 2, first <= end,
                (0...last).contains(first), (0...last).contains(end)
            {
                return first...end
            }
            settings.refuse(key, "expected zones as \"5\" or \"10-20\", found \"\(text)\"")
            return nil
        }
    }

    /// The first that takes it, or nil.
    static func point(for said: Said, among points: [CodedPoint]) -> String? {
        points.first { $0.takes(said) }?.point
    }

    private func takes(_ said: Said) -> Bool {
        guard zones.isEmpty || zones.contains(where: { $0.contains(said.zone) }),
            accounts.isEmpty || said.account.map(accounts.contains) ?? false
        else { return false }
        switch said.code {
        case .kind(let kind): return codes.contains(kind.sia) || codes.contains(kind.contactID)
        case .contactID(let digits, _): return codes.contains(digits)
        case .sia(let letters):
            return codes.contains(letters) || codes.contains { Vocabulary.sia($0)?.restores.contains(letters) ?? false }
        }
    }
}
