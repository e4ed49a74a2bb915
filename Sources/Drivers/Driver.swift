import AlarmProtocol

/// One kind of device: GPIO lines, a Modbus bus, an ESPA panel. One folder each; docs/drivers.md tells how to write one.
///
/// `run` is straight-line blocking code on a thread of its own: no threads, no sleeping but `Host.wait`, no globals,
/// every C call bounded to one second. It throws when the device is lost; the host raises the device's trouble, waits
/// with back-off and runs it again.
public protocol Driver: Sendable {
    /// The driver's table in the configuration: "gpio" is `[device.gpio.NAME]`.
    static var name: String { get }

    /// Reads and checks the driver's own table. Touches no hardware. What is wrong in the table is told to `settings`
    /// (which lets every error be reported at once); throw only what cannot be told so.
    init(_ settings: Settings) throws

    /// Opens the device, reports the present state of every point, then every change, and keeps every output as the host
    /// asks for it, until told to stop; closes.
    /// Throws `DeviceError` when the device is lost.
    func run(_ host: any Host) throws

    /// What is right in the table but ought to be known before the site is left: `check` says it.
    var notices: [String] { get }
}

extension Driver {
    public var notices: [String] { [] }
}

/// A device that is lost or cannot be opened. The message names the thing, the place and what to do.
public struct DeviceError: Error, Sendable, Equatable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
}

/// What a device said of one point, before anyone has judged what it means.
public struct Signal: Sendable, Hashable {
    public enum Reading: Sendable, Hashable {
        /// A lasting state: the point is in alarm, or at rest. Reported after opening and at every change; the host
        /// compares it with the last known state, so reporting the same state again does no harm.
        case active(Bool)
        /// Something said once: a call on a pager line. There is no restore.
        case call
        /// The end of something that was said by `.call` (ESPA call type 1, a restore line of a printer).
        case cleared
        /// This point, or this part of the device, cannot be read; why, in words.
        case fault(String)
        /// It can be read (again). Without an earlier fault it means nothing.
        case healthy
    }

    /// The point's name in the device's table, an output's (of which only `.fault` and `.healthy` are said), or the name
    /// of a part of the device ("unit-3"). A name that is not configured is told to the centre as what `said` says, else as an
    /// unclassified event with its text: never dropped.
    public var point: String
    public var reading: Reading
    /// What the device said in so many words; empty for contacts, where the configured text is used.
    public var text: String
    /// When it happened, where the driver knows better than "now".
    public var occurred: Moment?
    /// What the panel said in codes of the trade, where it speaks any: makes an event of a point that is not configured.
    public var said: Said?
    /// The state may have changed at any time while the device could not be heard, though its line stayed open.
    public var isUnwatched = false

    public init(
        point: String, _ reading: Reading, text: String = "", occurred: Moment? = nil, said: Said? = nil
    ) {
        self.point = point
        self.reading = reading
        self.text = text
        self.occurred = occurred
        self.said = said
    }
}

extension Signal {
    /// In one line, as recordings and the monitor write it: "zone-5 call [FA zone 5 of 1234] Brand i kök".
    public var summary: String {
        let code = said.map { " [\($0.summary)]" } ?? ""
        let words = text.isEmpty ? "" : " \(text)"
        return switch reading {
        case .active(let active): "\(point) active \(active)\(code)\(words)"
        case .call: "\(point) call\(code)\(words)"
        case .cleared: "\(point) cleared\(code)\(words)"
        case .fault(let why): "\(point) fault \(why)"
        case .healthy: "\(point) healthy"
        }
    }
}
