import AlarmProtocol
import Drivers

/// What `learn` answers, line by line: first how the loop is described now, then its readings as they come.
public struct LearnLine: Codable, Sendable {
    /// In the first line only: the device and the loop, and how long test mode lasts, in seconds.
    public var device: String?
    public var facts: LoopFacts?
    public var testModeLeft: Int64?
    /// Milliseconds of a clock that never steps.
    public var at: Int64
    /// A reading, and what it is taken for now.
    public var count: Double?
    public var state: String?
    /// Why there has been none for a second.
    public var trouble: String?
}

extension ControlServer {
    /// How often the asker hears something, in milliseconds, where there is no reading.
    private static let quietTime: Int64 = 1000

    /// Tells each reading of one supervised loop, until the asker goes away or test mode ends: who brings a loop into alarm
    /// to measure it must not call the fire brigade.
    func learn(_ request: ControlRequest, _ client: ControlClient) throws {
        let (host, facts) = try supervisedLoop(request)
        let first = try testModeLeft()
        let watcher = Watcher(.readings(of: facts.point))
        client.limitBuffer(to: 4096)
        var outgoing = ControlClient.line(
            of: LearnLine(device: host.device.name, facts: facts, testModeLeft: first, at: clock().uptime))
        host.watch.add(watcher)
        defer { host.watch.remove(watcher) }
        var heard = clock().uptime
        while !stopping.isSet {
            _ = try testModeLeft()
            guard client.push(&outgoing, within: 50) else { return }
            guard outgoing.isEmpty else { continue }
            for sight in watcher.take().sights {
                guard case .measured(let reading) = sight.what else { continue }
                heard = sight.at.uptime
                outgoing += ControlClient.line(
                    of: LearnLine(at: sight.at.uptime, count: reading.count, state: reading.state))
            }
            let now = clock().uptime
            if now - heard >= Self.quietTime {
                heard = now
                outgoing += ControlClient.line(
                    of: LearnLine(at: now, trouble: host.trouble ?? "the loop cannot be read"))
            }
        }
    }

    private func testModeLeft() throws(ControlRefusal) -> Int64 {
        if let own, let left = TestModeState(own.testMode.running, at: clock()).left { return left }
        throw ControlRefusal(
            "test mode is not on, and each state that is shown to a loop is an alarm for the centre. First tell the centre: "
                + "larmnod test-mode on --for 1h --why \"learning loops\"")
    }

    private func supervisedLoop(_ request: ControlRequest) throws(ControlRefusal) -> (DeviceHost, LoopFacts) {
        let all = devices.compactMap { host in (host.device.driver as? any LoopDriver).map { (host, $0.loopFacts) } }
        let wanted = request.name ?? ""
        let found = all.filter { $0.0.device.name == wanted || $0.0.device.name.hasSuffix(".\(wanted)") }
        let known = all.filter { !$0.1.isEmpty }.map { host, facts in
            "\(host.device.name): \(facts.map(\.point).joined(separator: ", "))"
        }.joined(separator: "; ")
        let hint = known.isEmpty ? "this site has no supervised loop (end-of-line)" : "the loops are: \(known)"
        guard found.count == 1, let (host, loops) = found.first else {
            throw ControlRefusal(
                "\(found.isEmpty ? "there is no device \"\(wanted)\" that measures loops" : "\(found.count) devices are named \"\(wanted)\"")"
                    + "; \(hint)")
        }
        let point = request.point ?? ""
        guard let facts = loops.first(where: { $0.point == point || "\(host.device.name).\($0.point)" == point }) else {
            throw ControlRefusal("\(host.device.name) has no supervised loop \"\(point)\"; \(hint)")
        }
        return (host, facts)
    }
}
