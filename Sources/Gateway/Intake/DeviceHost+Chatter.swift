import AlarmProtocol

/// Chatter, where a device's thread stores events and where it waits.
extension DeviceHost {
    /// The device's trouble, as a point.
    var troublePoint: String { device.name + ".fault" }

    /// As `Intake.take`; what chatters is counted instead of told. What could not be stored is as if it had not been
    /// said: the next reading tries again.
    func take(
        keeping kept: Kept? = nil, _ make: (_ known: (String) -> Bool?) -> [NewEvent]
    ) throws(OutboxError) -> [Int64] {
        let before = state.withLock { $0.chatter }
        var chatter = before
        let moment = now
        // The device's own points: no other thread changes them meanwhile.
        let states = intake.lastStates()
        // A change is one from what was seen last, told or not.
        let events = make { before.seen($0) ?? states[$0] }
        let outcomes = chatter.judge(events, now: moment.uptime) { states[$0] }
        let ids = try intake.take(keeping: kept) { _ in outcomes.map { normaliser.event(of: $0, now: moment) } }
        state.withLock { $0.chatter = chatter }
        return ids
    }

    /// How long a `wait` may take before something is due of a point that chatters; nil where nothing is. Tells what is
    /// due.
    func settleChatter() -> Duration? {
        let moment = now
        let (before, notBefore, answers) = state.withLock {
            ($0.chatter, $0.chatterNotBefore, $0.answersSince != nil && !$0.isLost)
        }
        guard let due = before.nextDue.map({ max($0, notBefore) }) else { return nil }
        guard due <= moment.uptime else { return .milliseconds(due - moment.uptime) }
        var chatter = before
        do throws(OutboxError) {
            _ = try intake.take { known in
                chatter.settle(
                    now: moment.uptime,
                    isWatched: { point in
                        if point == troublePoint { return true }
                        let fault = point + ".fault"
                        return answers && !(before.seen(fault) ?? known(fault) ?? false)
                    }, known: known
                ).map { normaliser.event(of: $0, now: moment) }
            }
            state.withLock { $0.chatter = chatter }
            return .zero
        } catch {
            state.withLock { $0.chatterNotBefore = moment.uptime + Self.chatterRetry }
            return .milliseconds(Self.chatterRetry)
        }
    }

    /// Before what could not be stored is tried again, in milliseconds.
    private static let chatterRetry: Int64 = 1000

    /// The points of a device that chattered when the daemon ended: their ends are still to be told.
    static func chattering(_ device: Device, _ intake: Intake) -> [String] {
        intake.lastStates().compactMap { name, active in
            guard active, name.hasPrefix(device.name + "."), name.hasSuffix(Chatter.suffix) else { return nil }
            let point = name.dropLast(Chatter.suffix.count)
            // A point may itself be called "chatter".
            return point.count > device.name.count ? String(point) : nil
        }
    }
}
