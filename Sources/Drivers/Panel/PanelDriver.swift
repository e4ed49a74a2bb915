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
    /// The protocol anew, as after opening the line.
    func link() -> Link
}

extension PanelDriver {
    /// Opens the line and does what the protocol says until told to stop.
    public func run(_ host: any Host) throws {
        let port = try SerialPort(serial)
        var session = PanelSession(link(), host, LineSupervision(serial, lacks: Self.lifeSign, silence, host.now))
        try session.run(port)
    }

    /// `silence = "120s"`; "0s" is never.
    static func silence(_ settings: Settings, default fallback: Duration) -> Duration? {
        let silence = settings.duration("silence", in: .zero ... .seconds(24 * 3600), default: fallback)
        return silence == .zero ? nil : silence
    }
}

/// Every kind of serial panel.
public let panelDrivers: [any PanelDriver.Type] = [
    ReceiverLineDriver.self,
    PrinterDriver.self, DSCDriver.self, ParadoxDriver.self,
]
