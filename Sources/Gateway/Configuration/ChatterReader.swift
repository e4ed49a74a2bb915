import Drivers

extension Settings {
    /// `chatter = { changes = 20, within = "60s" }`, of a device for its points or of a point for itself. What it does
    /// not say is as in the default.
    func chatter(default fallback: ChatterLimit) -> ChatterLimit {
        guard let table = table("chatter") else { return fallback }
        return ChatterLimit(
            changes: table.integer("changes", in: 4...1000, default: fallback.changes),
            within: table.duration("within", in: .seconds(1) ... .seconds(3600), default: fallback.within))
    }
}
