import AlarmProtocol

/// A driver for a panel, receiver or transmitter on a serial line: what its protocol makes of the bytes is its `Link`;
/// the rest is the same for all of them.
public protocol PanelDriver: Driver {
    associatedtype Link: PanelLink
    /// The panel's own part, played: for rehearsals and tests.
    associatedtype Played: PlayedPanel

    /// The make or family, as people say it: "Honeywell Galaxy".
    static var panel: String { get }
    /// What its silence lacks, in the words of a fault: "no poll or call".
    static var lifeSign: String { get }

    var serial: SerialSettings { get }
    /// So long without a right frame is a fault of the line; nil: the panel talks only when something happens.
    var silence: Duration? { get }
    /// Bytes that stand alone and say nothing of the line.
    static var ignored: Set<UInt8> { get }
    /// How long to wait before whatever we send, for converters that turn round slowly.
    var replyDelay: Duration { get }
    /// The protocol anew, as after opening the line.
    func link() -> Link
}

extension PanelDriver {
    public static var ignored: Set<UInt8> { [] }
    public var replyDelay: Duration { .zero }

    /// Opens the line and does what the protocol says until told to stop.
    public func run(_ host: any Host) throws {
        do { try converse(host) } catch {
            tellKept(host)
            throw error
        }
    }

    private func converse(_ host: any Host) throws {
        let port = try SerialPort(serial)
        let supervision = LineSupervision(
            serial, lacks: Self.lifeSign, silence, host.now, ignoring: Self.ignored)
        let echo = serial.rs485.map { _ in EchoFilter(serial.line) }
        var session = PanelSession(
            link(), host, supervision, replyDelay: replyDelay, echo: echo, holdsOff: serial.xonXoff)
        try session.run(port)
    }

    /// It asks the panel when the line is opened: what passes later means nothing without those answers.
    public var asksAtOpening: Bool {
        var link = link()
        return link.opened(at: 0).contains { if case .send = $0 { true } else { false } }
    }

    /// What the panel was told "received" for goes to the centre without the line, which may never come back.
    private func tellKept(_ host: any Host) {
        let kept = host.kept
        guard !kept.isEmpty else { return }
        var link = link()
        for case .report(let signals, _, _, _) in link.resume(kept, at: host.now.uptime) {
            guard host.deliver(signals, keeping: [], driving: { nil }) else { return }
        }
    }

    /// `silence = "120s"`; "0s" is never.
    static func silence(_ settings: Settings, default fallback: Duration) -> Duration? {
        let silence = settings.duration("silence", in: .zero ... .seconds(7 * 24 * 3600), default: fallback)
        return silence == .zero ? nil : silence
    }
}

/// Every kind of serial panel.
public let panelDrivers: [any PanelDriver.Type] = [
    ESPADriver.self,
    GalaxyDriver.self,
    ID3000Driver.self,
    ReceiverLineDriver.self,
    SatelMonitoringDriver.self,
    SatelIntegraDriver.self,
    PrinterDriver.self, DSCDriver.self, ParadoxDriver.self,
]
