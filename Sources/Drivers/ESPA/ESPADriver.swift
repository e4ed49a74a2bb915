/// A panel that calls pagers over ESPA 4.4.4: we are the paging system, and every call becomes a signal.
///
/// ESPA 4.4.4: "Proposal for serial data interface for paging equipment", November 1984. Sections are named where a
/// rule comes from it.
public struct ESPADriver: PanelDriver {
    public typealias Link = ESPAPager
    public typealias Played = PlayedControlStation

    public static let name = "espa"
    public static let panel = "Fire panels, nurse call and others that call pagers over ESPA 4.4.4"
    public static let lifeSign = "no poll or call"
    /// An EOT stands alone, after a call and before a poll.
    public static let ignored: Set<UInt8> = [ESPACharacter.eot]

    public let serial: SerialSettings
    /// Characters 0–9 that we answer to.
    let addresses: [UInt8]
    let controlStation: UInt8
    let lenient: Bool
    /// nil: off.
    public let silence: Duration?
    public let replyDelay: Duration
    let charset: PanelCharset
    let rules: [ESPARule]

    /// Names that signals have besides the points'.
    enum Part {
        static let line = "line"
        static let transmitter = "transmitter"
        static let unclassified = "unclassified"
    }

    public init(_ settings: Settings) throws {
        serial = SerialSettings(settings, defaultLine: .espaDefault)
        addresses = Self.stations(settings, "addresses", settings.strings("addresses", default: ["2"]))
        let control = settings.string("control-station", default: "1", expected: "the panel's own address, 0 to 9")
        controlStation = Self.stations(settings, "control-station", [control]).first ?? 0x31
        if addresses.contains(controlStation) {
            settings.refuse("addresses", "\"\(control)\" is the control station's own address; ours is usually \"2\"")
        }
        lenient = settings.choice("select", of: [("strict", false), ("lenient", true)], default: false)
        silence = Self.silence(settings, default: .seconds(120))
        replyDelay = settings.duration("reply-delay", in: .zero ... .milliseconds(500), default: .zero)
        charset = settings.choice("charset", of: PanelCharset.names, default: .latin1)
        rules = Self.rules(settings)
    }

    public func link() -> ESPAPager {
        ESPAPager(
            ESPALink(addresses: addresses, controlStation: controlStation, lenient: lenient), charset,
            ESPAMatcher(rules))
    }

    private static func stations(_ settings: Settings, _ key: String, _ texts: [String]) -> [UInt8] {
        let stations = texts.compactMap { text in
            text.utf8.count == 1 ? text.utf8.first.flatMap { (0x30...0x39).contains($0) ? $0 : nil } : nil
        }
        if stations.count != texts.count || stations.isEmpty || Set(stations).count != stations.count {
            settings.refuse(
                key, "expected station addresses, each one digit in quotes and once, as \"2\" (section 3.1)")
        }
        return stations
    }

    private static func rules(_ settings: Settings) -> [ESPARule] {
        var rules: [ESPARule] = []
        for table in settings.points {
            let rule = ESPARule(table)
            if [Part.line, Part.transmitter].contains(rule.point) {
                settings.problems.add(
                    table.place, "\(table.path): the driver itself uses the name \"\(rule.point)\": choose another")
            }
            if let first = rules.first(where: \.takesEverything) {
                settings.problems.add(
                    table.place,
                    "\(table.path): no call can reach it: \"\(first.point)\", earlier in the file, has no condition and "
                        + "takes every call; move \"\(first.point)\" to the end")
            }
            rules.append(rule)
        }
        return rules
    }
}

extension SerialLine {
    /// What most converters and gateways use; the specification's own is "9600 7E2" at most (section 2.2).
    static let espaDefault = SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1)
}
