import AlarmProtocol
import Synchronization

/// Tells 30 days ahead that a certificate of a path expires, and again when it has: our own, the receiver's, and the
/// authority's. Judged when the clock first is known, then once a day, and when a receiver shows another certificate.
final class CertificateWatch: Sendable {
    /// Which certificate: the setting that it stands for, which is also the end of its point's name.
    enum Part: String, Sendable, CaseIterable {
        case receiver = "certificate"
        case own = "client-certificate"
        case authority

        var words: String {
            switch self {
            case .receiver: "the receiver's certificate"
            case .own: "our client certificate"
            case .authority: "the authority's certificate"
            }
        }
    }

    /// What is known of one.
    enum Holding: Sendable, Hashable {
        case none
        /// The receiver has not shown it yet.
        case unseen
        case certificate(Certificate)
    }

    private struct State {
        var paths: [(name: String, transport: SecureTransport?)]
        /// Milliseconds of uptime.
        var judged: Int64?
        /// By how much the wall clock was ahead of the uptime then.
        var offset: Int64 = 0
        var presented: [Certificate?] = []
    }

    private let state: Mutex<State>

    /// Milliseconds.
    private static let day: Int64 = 86_400_000
    /// A wall clock that was set by more than this is a reason to judge again.
    private static let step: Int64 = 3_600_000

    init(_ paths: [PathSettings]) { state = Mutex(State(paths: paths.map { ($0.name, $0.tls) })) }

    /// Other paths count from now on: a receiver has moved.
    func watch(_ paths: [PathSettings]) { state.withLock { $0 = State(paths: paths.map { ($0.name, $0.tls) }) } }

    /// What there is to tell, which is nothing most of the time. What has been told is not new to the outbox, which
    /// keeps the state of every point.
    func troubles(at now: Moment) -> [BoxTrouble] {
        guard now.clock == .known else { return [] }
        let paths = state.withLock { $0.paths }
        let presented = paths.map { $0.transport?.presented }
        let isDue = state.withLock { state in
            let offset = now.utc - now.uptime
            if let judged = state.judged, now.uptime - judged < Self.day, abs(offset - state.offset) < Self.step,
                state.presented == presented
            {
                return false
            }
            state.judged = now.uptime
            state.offset = offset
            state.presented = presented
            return true
        }
        guard isDue else { return [] }
        return paths.flatMap { path in
            Part.allCases.flatMap {
                Self.judge($0, of: path.name, path.transport?.holding($0) ?? .none, at: now.utc)
            }
        }
    }

    /// Two lasting troubles of each certificate: that it expires soon, and that it has expired.
    static func judge(_ part: Part, of path: String, _ holding: Holding, at utc: Int64) -> [BoxTrouble] {
        func trouble(_ isExpired: Bool, _ isActive: Bool, _ words: String) -> BoxTrouble {
            .certificate(
                point: "path.\(path).\(part.rawValue)\(isExpired ? ".expired" : "")", isActive: isActive,
                text: "path \(path): \(part.words) \(words)")
        }
        switch holding {
        case .unseen: return []
        case .none: return [false, true].map { trouble($0, false, "is not used any more") }
        case .certificate(let certificate):
            switch certificate.age(at: utc) {
            case .notYet: return []
            case .good: return [false, true].map { trouble($0, false, "is valid until \(certificate.lastDay)") }
            case .expiring:
                let days = (certificate.validUntil - utc) / day
                let when = days == 0 ? "within a day" : "in \(days) day\(days == 1 ? "" : "s")"
                return [
                    trouble(false, true, "expires on \(certificate.lastDay), \(when): renew it"),
                    trouble(true, false, "is valid until \(certificate.lastDay)"),
                ]
            case .expired:
                return [trouble(true, true, "expired on \(certificate.lastDay): the path fails until it is renewed")]
            }
        }
    }
}

extension SecureTransport {
    /// The certificate that decides how long the path works.
    func holding(_ part: CertificateWatch.Part) -> CertificateWatch.Holding {
        func first(_ certificates: [Certificate]) -> Certificate? {
            certificates.min { $0.validUntil < $1.validUntil }
        }
        func last(_ certificates: [Certificate]) -> Certificate? {
            certificates.max { $0.validUntil < $1.validUntil }
        }
        switch (part, trust) {
        case (.own, _): return first(own).map { .certificate($0) } ?? .none
        case (.receiver, .pinned(let pins)):
            if let presented { return .certificate(presented) }
            // Of several pinned ones any may be in use, until the receiver has shown which.
            return pins.count == 1 ? .certificate(pins[0]) : .unseen
        case (.receiver, .authority): return presented.map { .certificate($0) } ?? .unseen
        case (.authority, .authority(let authorities, _, _)): return last(authorities).map { .certificate($0) } ?? .none
        case (.authority, .pinned): return .none
        }
    }
}
