extension PanelDriver {
    /// Listens to the line and shows what the protocol makes of it, without sending one byte: nothing is acknowledged,
    /// asked or refused. For a person who watches where no transmitter runs. `host.report` is told what would be reported.
    public func listen(_ host: any Host) throws {
        let port = try SerialPort(serial)
        var link = self.link()
        var shown = ShownBytes()
        show(link.opened(at: host.now.uptime), &shown, host)
        while true {
            let due = [shown.deadline, link.deadline].compactMap(\.self).min()
            // A protocol that waits for an answer to what was not sent must not keep us busy.
            let pause = due.map { max(20, $0 - host.now.uptime) }
            switch host.wait(for: [port.descriptor], until: pause.map { .now + .milliseconds($0) }) {
            case .stop: return
            case .deadline, .output: break
            case .ready:
                for byte in try port.read() {
                    let now = host.now.uptime
                    shown.came(byte, at: now).map(host.trace)
                    show(link.receive(byte, at: now), &shown, host)
                }
            }
            let now = host.now.uptime
            if let due = link.deadline, now >= due { show(link.tick(at: now), &shown, host) }
            shown.overdue(at: now).map(host.trace)
        }
    }

    private func show(_ steps: [PanelStep], _ shown: inout ShownBytes, _ host: any Host) {
        for step in steps {
            switch step {
            case .frame(let bytes, let says): shown.passages(of: bytes, says).forEach(host.trace)
            case .strange(let bytes, let why):
                shown.passages(of: bytes, "no frame: \(why)", isFrame: false).forEach(host.trace)
            case .report(let signals, _, _, _): if !signals.isEmpty { try? host.report(signals) }
            case .log(let level, let message): host.log(level, message)
            case .lose(let why): host.log(.warning, why)
            case .notUnderstood(let why): host.log(.warning, "a right frame was not understood: \(why)")
            case .sendSecret: shown.hidesDigits = true
            case .send, .keep: break
            }
        }
    }
}
