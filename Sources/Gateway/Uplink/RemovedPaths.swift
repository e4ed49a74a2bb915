import AlarmProtocol

/// Troubles of paths that the configuration has no more. Nobody would ever see them end: they are told as ended at the
/// start, so that the centre does not wait for a path that is gone.
enum RemovedPaths {
    /// - Parameters:
    ///   - states: the last stored state of every point.
    ///   - paths: the names of the paths that there are.
    static func endings(
        of states: [String: Bool], paths: Set<String>, account: String, now: Moment
    ) -> [BoxTrouble] {
        states.filter(\.value).keys.sorted().compactMap { point in
            guard let (path, kind) = trouble(point), !paths.contains(path) else { return nil }
            let codes = kind.saying(began: false)
            return .made(
                NewEvent(
                    Event(
                        account: account, point: point, sia: codes.sia, contactID: codes.contactID,
                        qualifier: codes.qualifier, urgency: codes.urgency,
                        text: "path \(path) is not configured any more", occurred: now),
                    active: false))
        }
    }

    /// Of which path, and what: `path.NAME`, `path.NAME.certificate`, `larmnod.clock.NAME`. A path's name has no dots.
    private static func trouble(_ point: String) -> (path: String, kind: EventKind)? {
        let parts = point.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        switch parts.first {
        case "larmnod" where parts.count == 3 && parts[1] == "clock": return (parts[2], Kinds.clockUnknown)
        case "path" where parts.count == 2: return (parts[1], Kinds.pathDown)
        case "path" where parts.count > 2:
            switch point {
            case BoxTrouble.keyPoint(parts[1]): return (parts[1], Kinds.oldKeyInUse)
            case BoxTrouble.repliesPoint(parts[1]): return (parts[1], Kinds.strangeReplies)
            default: return (parts[1], Kinds.certificateExpiring)
            }
        default: return nil
        }
    }
}
