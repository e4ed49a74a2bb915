import Dispatch
import Drivers
import Synchronization

/// What the daemon answers about a receiver that moves.
extension ControlServer {
    /// How long a step may take: it waits for the disk.
    private static let patience = DispatchTimeInterval.seconds(20)

    func centre(_ request: ControlRequest, _ person: String) throws(ControlRefusal) -> CentreStatus {
        let wish: Uplinks.Wish
        switch request.step {
        case nil: wish = .status
        case .move: wish = try newCentre(request)
        case .prolong: wish = .prolong(try span(request.shadow, CentreMove.shadowRange, "--shadow"))
        case .switchOver: wish = .switchOver
        case .comeBack: wish = .comeBack
        case .keep: wish = .keep
        }
        let answer = LoopAnswer<Result<CentreStatus, ControlRefusal>>()
        let uplink = uplink
        loop.execute { uplink.value.ask(wish, by: person) { answer.give($0) } }
        guard let result = answer.wait(Self.patience) else {
            throw ControlRefusal("no answer for 20 s: larmnod receiver shows whether it was done; see the log")
        }
        return try result.get()
    }

    /// Reads and checks the new centre's settings, whole, before anything happens.
    private func newCentre(_ request: ControlRequest) throws(ControlRefusal) -> Uplinks.Wish {
        guard let name = request.name, let settings = request.settings else {
            throw ControlRefusal("move needs the receiver's name and the new centre's settings")
        }
        let source = request.source ?? "the new settings"
        let present = site.paths.filter { $0.receiver == name }
        let now = clock()
        let new = try CentreSettings.read(
            settings, from: source, receiver: name, site: site, at: now.clock == .known ? now.utc : nil)
        let (from, to) = (site.addresses(of: name), Set(new.map(\.address)).sorted())
        guard from != to else {
            throw ControlRefusal("\(name) leads to \(to.joined(separator: ", ")) already. Nothing was changed.")
        }
        let opened = zip(present, new).filter { $0.0.isSealed && !$0.1.isSealed }.map(\.0.name)
        guard opened.isEmpty || request.unencrypted ?? false else {
            throw ControlRefusal(
                "what goes over \(opened.joined(separator: ", ")) is encrypted now and would be sent in clear: give the new "
                    + "centre's key (or TLS, with --from), or --unencrypted if it has agreed to none. Nothing was changed."
            )
        }
        let shadow = try span(request.shadow, CentreMove.shadowRange, "--shadow")
        let within = try span(request.within, CentreMove.withinRange, "--within")
        return .move(
            CentreMove.Record(
                receiver: name, settings: settings, from: from, to: to, by: "", since: 0,
                shadow: shadow ?? CentreMove.usualShadow.milliseconds,
                within: within ?? CentreMove.usualWithin.milliseconds),
            new)
    }

    private func span(
        _ milliseconds: Int64?, _ range: ClosedRange<Duration>, _ option: String
    ) throws(ControlRefusal) -> Int64? {
        guard let milliseconds else { return nil }
        guard (range.lowerBound.milliseconds...range.upperBound.milliseconds).contains(milliseconds) else {
            throw ControlRefusal(
                "\(option): expected \(range.lowerBound.described) to \(range.upperBound.described). Nothing was changed."
            )
        }
        return milliseconds
    }
}

/// A text as TOML writes it, in quotes.
public func tomlText(_ text: String) -> String {
    var written = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": written += "\\" + String(scalar)
        case _ where scalar.properties.generalCategory == .control:
            written += "\\u" + String(String(scalar.value + 0x10000, radix: 16, uppercase: true).suffix(4))
        default: written.unicodeScalars.append(scalar)
        }
    }
    return written + "\""
}

/// Handed from the uplink's loop to a thread that waits for it.
final class LoopAnswer<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let isGiven = DispatchSemaphore(value: 0)

    func give(_ answer: Value) {
        value.withLock { $0 = answer }
        isGiven.signal()
    }

    func wait(_ limit: DispatchTimeInterval) -> Value? {
        _ = isGiven.wait(timeout: .now() + limit)
        return value.withLock { $0 }
    }
}
