/// One configured output: a relay, a lamp, a module's coil.
public struct Output: Sendable, Hashable {
    public enum Showing: Sendable, Hashable {
        /// Fail-safe: on while alarms can be delivered, off when they cannot or nobody knows.
        case transmissionFault
        /// On while any trouble of the box stands.
        case trouble
        /// On when a receiver has acknowledged the point's present alarm, off when the point is at rest again.
        case received(String)
        /// On during test mode.
        case testMode
        /// On while the point is active.
        case point(String)
    }

    /// "gpio.cabinet.fault-relay"
    public var name: String
    public var shows: Showing

    /// As the configuration says it.
    public var describedShowing: String {
        switch shows {
        case .transmissionFault: "transmission-fault"
        case .trouble: "trouble"
        case .received(let point): "received \(point)"
        case .testMode: "test-mode"
        case .point(let point): "point \(point)"
        }
    }
}

/// All that outputs are judged by. Pure.
struct SiteCondition: Sendable {
    /// Whether each path works; nil as long as it has neither been answered on nor been told down.
    var pathsWork: [Bool?] = []
    /// Neither the disk nor the room among the waiting takes an event any more.
    var storeTakesNothing = false
    /// An event that had to be acknowledged by now is not.
    var isOverdue = false
    /// A thread that alarms depend on has not shown itself for too long.
    var isHanging = false
    var isTesting = false
    /// Any other trouble stands: a device, a point, a path, the clock, the queue, an event that every receiver refuses.
    var hasTrouble = false
    /// The points that are active, and those whose present alarm a receiver has acknowledged, by full name.
    var activePoints: Set<String> = []
    var receivedPoints: Set<String> = []

    /// Alarms can be delivered, as far as anybody here knows. Not before a path has worked: what is not known to work is
    /// not said to.
    var canDeliver: Bool {
        pathsWork.contains(true) && !storeTakesNothing && !isOverdue && !isHanging
    }

    func isOn(_ showing: Output.Showing) -> Bool {
        switch showing {
        case .transmissionFault: canDeliver
        case .trouble:
            hasTrouble || isTesting || isOverdue || isHanging || storeTakesNothing || pathsWork.contains(false)
        case .received(let point): receivedPoints.contains(point)
        case .testMode: isTesting
        case .point(let point): activePoints.contains(point)
        }
    }
}

/// Which of the states that the store remembers are troubles: of a path, a device, a part of one, a point, the box itself.
/// What is left in the store of points and paths that are no longer configured is none.
struct TroubleNames: Sendable {
    private let points: Set<String>
    private let devices: [String]
    private let paths: Set<String>

    init(_ site: Site) {
        points = Set(site.points.map(\.name))
        devices = site.devices.map(\.name)
        paths = Set(site.paths.map { "path.\($0.name)" })
    }

    func isTrouble(_ name: String) -> Bool {
        if points.contains(name) { return false }
        if name.hasPrefix("larmnod.") || paths.contains(name) { return true }
        guard let dot = name.lastIndex(of: ".") else { return false }
        if points.contains(String(name[..<dot])) { return true }
        return name.hasSuffix(".fault") && devices.contains { name.hasPrefix($0 + ".") }
    }
}
