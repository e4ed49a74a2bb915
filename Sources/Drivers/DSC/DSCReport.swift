import AlarmProtocol

/// What one message of an IT-100 means.
///
/// Sources: DSC IT-100 developer's guide, and TL-100 for the same commands.
enum DSCReport: Sendable, Hashable {
    /// A lasting state, told at both ends: its name, what it is, whether it begins, in words.
    case state(String, Said, Bool, String)
    /// The alarm of a zone: whether of fire or not, the module does not say.
    case zoneAlarm(zone: Int, area: Int?, Bool)
    /// A zone's fault.
    case zoneFault(zone: Int, area: Int?, Bool)
    /// Something said once.
    case once(Said, String)
    /// A zone's contact: no alarm.
    case contact(zone: Int, open: Bool)
    /// A partition is armed, or no longer; `kind` tells whether as a whole.
    case armed(Int, Bool, kind: String)
    /// The same, with its user; 0: nobody's code.
    case armedBy(Int, user: Int, Bool, kind: String)
    /// A partition is neither armed nor in alarm. Whether it can be armed: what is not ready is told while armed as well.
    case disarmed(Int, isReady: Bool)
    case alarm(Int)
    /// The module sees its panel, or does not.
    case keybus(Bool)
    /// The answer to a command, which one.
    case answer(String)
    /// The module could not read what we sent, or do it.
    case error(String)
    /// Nothing for the centre.
    case quiet(String)
    case unknown

    init(_ frame: DSCFrame) { self = Self.read(frame) ?? .unknown }

    /// It is known, and of the panel.
    var isSaid: Bool {
        switch self {
        case .answer, .error, .quiet, .unknown: false
        default: true
        }
    }

    /// Nil: the command is not known, or its data are not as they should be.
    private static func read(_ frame: DSCFrame) -> DSCReport? {
        if let words = quiet[frame.command] { return .quiet(words) }
        switch frame.command {
        case "500": return .answer(String(decoding: frame.data.prefix(3), as: UTF8.self))
        case "501": return .error("501: it could not read what we sent: wrong checksum")
        case "502":
            return .error("502: system error \(String(decoding: frame.data.prefix(3), as: UTF8.self))")
        case "609", "610": return frame.number(0..<3).map { .contact(zone: $0, open: frame.command == "609") }
        case "896", "897": return .keybus(frame.command == "897")
        case "620": return .once(Said(kind: "duress"), "Duress code used")
        case "650", "651", "653":
            return frame.number(0..<1).map { .disarmed($0, isReady: frame.command != "651") }
        case "654": return frame.number(0..<1).map { .alarm($0) }
        case "658": return area(frame, "wrong-code", "Keypad locked: too many wrong codes")
        case "672": return area(frame, "arming-failed", "Could not be armed")
        case "814": return .once(Said(kind: "communication-failure"), "The panel could not reach its alarm centre")
        case "816": return .once(Said(.sia("JL")), "The panel's event memory is nearly full")
        case "652", "655", "700", "701", "702", "750", "751": return arming(frame)
        default: return zoneState(frame) ?? systemState(frame)
        }
    }

    private static func area(_ frame: DSCFrame, _ kind: String, _ words: String) -> DSCReport? {
        frame.number(0..<1).map { .once(Said(kind: kind, partition: $0), words) }
    }

    private static func arming(_ frame: DSCFrame) -> DSCReport? {
        guard let area = frame.number(0..<1) else { return nil }
        switch frame.command {
        // 0 away, 1 stay, 2 away without entry delay, 3 stay without.
        case "652":
            let mode = frame.number(1..<2) ?? 0
            return .armed(area, true, kind: mode == 1 || mode == 3 ? "partial-arming" : "arming")
        case "655": return .armed(area, false, kind: "arming")
        case "701", "751": return .armedBy(area, user: 0, frame.command == "701", kind: "arming")
        default:
            // A partial closing may come without its user.
            let digits = frame.data.count - 1
            guard digits <= 4, let user = digits == 0 ? 0 : frame.number(1..<1 + digits) else { return nil }
            return .armedBy(
                area, user: user, frame.command != "750", kind: frame.command == "702" ? "partial-arming" : "arming")
        }
    }

    /// Commands about a zone: its three digits, behind one of the partition where there are four.
    private static func zoneState(_ frame: DSCFrame) -> DSCReport? {
        let at = frame.data.count >= 4 ? 1 : 0
        guard ["601", "602", "603", "604", "605", "606", "821", "822"].contains(frame.command),
            let zone = frame.number(at..<at + 3)
        else { return nil }
        let area = at == 1 ? frame.number(0..<1) : nil
        func state(_ kind: String, _ suffix: String, _ began: Bool) -> DSCReport {
            .state("zone-\(zone)\(suffix)", Said(kind: kind, partition: area, zone: zone), began, "")
        }
        return switch frame.command {
        case "601", "602": .zoneAlarm(zone: zone, area: area, frame.command == "601")
        case "605", "606": .zoneFault(zone: zone, area: area, frame.command == "605")
        case "603", "604": state("tamper", "-tamper", frame.command == "603")
        default: state("detector-battery", "-battery", frame.command == "821")
        }
    }

    private static func systemState(_ frame: DSCFrame) -> DSCReport? {
        guard let number = Int(frame.command) else { return nil }
        if number == 840 || number == 841 {
            return frame.number(0..<1).map {
                .state(
                    "area-\($0)-trouble", Said(kind: "trouble", partition: $0), number == 840, "Trouble at the keypad")
            }
        }
        for form in alarms + troubles where number == form.begins || number == form.ends {
            // Wireless keys and keypads have a number.
            let key = (825...828).contains(number) ? frame.number(0..<3).map { "-\($0)" } : nil
            let words = form.words + (key.map { " \($0.dropFirst())" } ?? "")
            return .state(form.name + (key ?? ""), Said(kind: form.kind), number == form.begins, words)
        }
        return nil
    }

    struct SystemState {
        var begins: Int
        var ends: Int
        var name: String
        var kind: String
        var words: String
    }

    /// Alarms that are no zone's. Two-wire smoke detectors are wired to the auxiliary input.
    static let alarms = [
        SystemState(begins: 621, ends: 622, name: "fire-key", kind: "fire", words: "Fire key on a keypad"),
        SystemState(begins: 623, ends: 624, name: "auxiliary-key", kind: "medical", words: "Auxiliary key on a keypad"),
        SystemState(begins: 625, ends: 626, name: "panic-key", kind: "panic", words: "Panic key on a keypad"),
        SystemState(
            begins: 631, ends: 632, name: "auxiliary-input", kind: "fire-smoke",
            words: "Auxiliary input or two-wire smoke detector"),
    ]

    private static let troubles = [
        SystemState(begins: 800, ends: 801, name: "battery", kind: "battery", words: "The panel's battery"),
        SystemState(begins: 802, ends: 803, name: "mains", kind: "mains-failure", words: "The panel's mains"),
        SystemState(begins: 806, ends: 807, name: "bell", kind: "siren-fault", words: "Bell circuit"),
        SystemState(begins: 810, ends: 811, name: "telephone-line-1", kind: "line-trouble", words: "Telephone line 1"),
        SystemState(begins: 812, ends: 813, name: "telephone-line-2", kind: "line-trouble", words: "Telephone line 2"),
        SystemState(begins: 825, ends: 826, name: "key-battery", kind: "battery", words: "Battery of a wireless key"),
        SystemState(begins: 827, ends: 828, name: "keypad-battery", kind: "battery", words: "Battery of a keypad"),
        SystemState(begins: 829, ends: 830, name: "system-tamper", kind: "tamper", words: "General system tamper"),
        SystemState(begins: 831, ends: 832, name: "module", kind: "trouble", words: "Home automation module"),
        SystemState(begins: 842, ends: 843, name: "fire-trouble", kind: "fire-trouble", words: "Fire trouble"),
    ]

    private static let quiet = [
        "550": "time and date", "560": "telephone rings", "561": "temperature", "562": "temperature",
        "563": "thermostat", "570": "label", "580": "speed set", "656": "exit delay", "657": "entry delay",
        "659": "keypad blanked", "660": "output in progress",
        "663": "chime on", "664": "chime off", "670": "wrong code", "671": "function not available",
        "673": "partition busy", "680": "installer's programming", "900": "code wanted", "901": "keypad text",
        "902": "keypad cursor", "903": "keypad lamps", "904": "keypad beep", "905": "keypad tone",
        "906": "keypad buzzer", "907": "door chime", "908": "version", "921": "master code wanted",
        "922": "installer's code wanted",
    ]
}
