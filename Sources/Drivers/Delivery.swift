extension Host {
    /// Reports, and tries again each second for as long as nothing can be stored: for drivers that poll or watch, whose
    /// device need not be told that the reading was received. Meanwhile the device is not read, so nothing piles up.
    /// - Parameters:
    ///   - outputs: drives the device's outputs as the host asks for them, and gives when to do so again. They do
    ///   not stand still because nothing can be stored: just then one of them has something to show.
    ///   - bytes: kept in the same commit in place of what was; nil: that stays.
    /// - Returns: false when the driver is to stop.
    func deliver(
        _ signals: [Signal], keeping bytes: [UInt8]? = nil, driving outputs: () throws -> ContinuousClock.Instant?
    ) rethrows -> Bool {
        guard !signals.isEmpty || bytes != nil else { return true }
        while true {
            do {
                if let bytes { try report(signals, keeping: bytes) } else { try report(signals) }
                return true
            } catch {
                log(.error, "\(signals.count) readings could not be stored and will be tried again in 1 s: \(error)")
            }
            let again = ContinuousClock.now + .seconds(1)
            repeat {
                let next = try outputs() ?? again
                if wait(until: min(next, again)) == .stop { return false }
            } while .now < again
        }
    }

    /// As above, for a device without outputs.
    func deliver(_ signals: [Signal]) -> Bool { deliver(signals, driving: { nil }) }
}
