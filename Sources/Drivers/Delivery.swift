extension Host {
    /// Reports, and tries again each second for as long as nothing can be stored: for drivers that poll or watch, whose
    /// device need not be told that the reading was received. Meanwhile the device is not read, so nothing piles up.
    /// - Returns: false when the driver is to stop.
    func deliver(_ signals: [Signal]) -> Bool {
        guard !signals.isEmpty else { return true }
        while true {
            do {
                try report(signals)
                return true
            } catch {
                log(.error, "\(signals.count) readings could not be stored and will be tried again in 1 s: \(error)")
                if wait(until: .now + .seconds(1)) == .stop { return false }
            }
        }
    }
}
