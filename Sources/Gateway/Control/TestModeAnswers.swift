import AlarmProtocol
import Drivers

/// What the box shows and does of its own accord, for the commands that ask about it.
struct OwnDoings: Sendable {
    let outputs: Outputs
    let testMode: TestMode

    init(_ outputs: Outputs, _ testMode: TestMode) {
        self.outputs = outputs
        self.testMode = testMode
    }
}

/// Whether test mode is on, and whose it is.
public struct TestModeState: Codable, Sendable {
    public var on: Bool
    public var by: String?
    public var why: String?
    /// Seconds until it ends by itself.
    public var left: Int64?

    init(_ running: TestMode.Running?, at now: Moment) {
        on = running != nil
        by = running?.person
        why = running?.why
        left = running.map { max(0, ($0.until - now.uptime + 999) / 1000) }
    }
}

extension SiteStatus {
    public struct Output: Codable, Sendable {
        public var name: String
        /// "transmission-fault", "trouble", "received POINT", "test-mode" or "point POINT".
        public var shows: String
        public var on: Bool
        /// It cannot be driven.
        public var fault: Bool
    }
}

extension ControlServer {
    /// The status, with what the box shows and does of its own accord.
    func withOwnDoings(_ status: SiteStatus) -> SiteStatus {
        guard let own else { return status }
        var status = status
        status.outputs = site.outputs.map { output in
            SiteStatus.Output(
                name: output.name, shows: output.describedShowing, on: own.outputs.isOn(output),
                fault: intake.state(of: output.name + ".fault") ?? false)
        }
        status.overdue = own.outputs.overduePoints
        status.testMode = own.testMode.running.map { TestModeState($0, at: clock()) }
        return status
    }

    func testMode(_ request: ControlRequest, _ person: String) throws -> TestModeState {
        guard let own else { throw ControlRefusal("test mode is not to be had here") }
        switch request.name {
        case "on":
            let seconds = Int64(request.limit ?? 0)
            let limit = TestMode.longest.milliseconds / 1000
            guard (1...limit).contains(seconds) else {
                throw ControlRefusal("test mode lasts from 1s to \(TestMode.longest.described), as --for 30m")
            }
            let running = try own.testMode.begin(by: person, for: .seconds(seconds), why: request.why ?? "")
            return TestModeState(running, at: clock())
        case "off":
            try own.testMode.end(by: person)
            return TestModeState(nil, at: clock())
        case nil, "status": return TestModeState(own.testMode.running, at: clock())
        default: throw ControlRefusal("test mode is \"on\", \"off\" or \"status\"")
        }
    }
}
