/// The profiles. One fact a line, addresses as on the wire (the manual's number without its first digit, less one), the
/// publication below each. profiles.md shows them as a table, and a test holds the two together.
extension ModbusProfile {
    // MARK: Modules for contacts

    static let modules: [ModbusProfile] =
        [
            ModbusProfile(
                name: "waveshare-modbus-rtu-io-8ch", title: "Waveshare Modbus RTU IO 8CH", role: .module,
                inputs: [inputs(["DI%", "IN%"], 1...8, .discreteInput, 0)],
                outputs: [coils(["DO%"], 1...8, 0)], line: "9600 8N1",
                source: "waveshare.com/wiki/Modbus_RTU_IO_8CH"),
            ModbusProfile(
                name: "waveshare-modbus-rtu-relay-d", title: "Waveshare Modbus RTU Relay (D)", role: .module,
                inputs: [inputs(["IN%", "DI%"], 1...8, .discreteInput, 0)],
                outputs: [coils(["CH%", "DO%"], 1...8, 0)], line: "9600 8N1",
                source: "waveshare.com/wiki/Modbus_RTU_IO_8CH, the same map"),
            ModbusProfile(
                name: "adam-4051", title: "Advantech ADAM-4051", role: .module,
                inputs: [inputs(["DI%"], 0...15, .coil, 0)], line: "9600 8N1",
                remark: "Set to Modbus by its utility.",
                source: "Advantech ADAM-4000 Series User's Manual, appendix G: 00001 to 00016"),
            ModbusProfile(
                name: "adam-4055", title: "Advantech ADAM-4055", role: .module,
                inputs: [inputs(["DI%"], 0...7, .coil, 0)], outputs: [coils(["DO%"], 0...7, 16)], line: "9600 8N1",
                remark:
                    "Set to Modbus by its utility. Set its communication safety (40215, 40216), so that outputs fall.",
                source: "Advantech ADAM-4000 Series User's Manual, appendix G: 00001 and 00017"),
            adam4100("adam-4150", "Advantech ADAM-4150"),
            adam4100("adam-4100", "Advantech ADAM-4100 series (7 inputs)"),
            ModbusProfile(
                name: "adam-6050", title: "Advantech ADAM-6050", role: .module,
                inputs: [
                    TerminalRow(
                        names: ["DI%"], numbers: 0...11, table: .coil, first: 0,
                        latch: .init(high: 35, low: 35, step: 4, clear: 35, clearStep: 4, clearValue: false),
                        counter: .init(table: .holdingRegister, first: 0, words: 2, lowFirst: true))
                ],
                outputs: [coils(["DO%"], 0...5, 16)],
                remark:
                    "A channel latches or counts only when it is set to that mode: then say pulses on the point. The latch is "
                    + "cleared by writing 0 to it, which the manual does not say in so many words: try it.",
                source: "Advantech ADAM-6050W manual, p. 31: 00033+4n start, 00036+4n latch; 40002 x 65536 + 40001"),
            moxa("moxa-iologik-e1210", "Moxa ioLogik E1210", inputs: 16),
            ModbusProfile(
                name: "moxa-iologik-e1211", title: "Moxa ioLogik E1211", role: .module,
                outputs: [coils(["DO%"], 0...15, 0)],
                remark:
                    "Outputs only. Set its watchdog (coil 4144). Its uptime, input-register 5020, serves as heartbeat.",
                source: "Moxa ioLogik E1200 Series User's Manual, appendix A: coils 00001 to 00016"),
            moxa("moxa-iologik-e1212", "Moxa ioLogik E1212", inputs: 8),
            moxa("moxa-iologik-e1214", "Moxa ioLogik E1214", inputs: 6, outputs: coils(["R%", "DO%"], 0...5, 0)),
            ModbusProfile(
                name: "seneca-z-d-in", title: "Seneca Z-D-IN", role: .module,
                inputs: [
                    TerminalRow(names: ["IN%"], numbers: 1...5, table: .holdingRegister, first: 1, step: 0)
                ],
                remark: "Bits 8 to 12 say that a counter has run over; its counters are not named here.",
                source: "Seneca Z-D-IN User Manual, 5.2: 40002, bits 0 to 4"),
            ModbusProfile(
                name: "wago-750", title: "WAGO 750 fieldbus coupler (Modbus TCP)", role: .module,
                inputs: [inputs(["DI%"], 1...256, .discreteInput, 0)], outputs: [coils(["DO%"], 1...256, 512)],
                remark:
                    "DI1 is the first digital input from the coupler, over all terminals. Outputs are written and read "
                    + "back from 512 on. Set its watchdog (0x1100 to 0x1104).",
                source: "WAGO 750 Modbus manual: process image, function 2 from address 0"),
            ModbusProfile(
                name: "hardwario-gauger", title: "Hardwario Gauger", role: .module,
                inputs: [
                    TerminalRow(
                        names: ["IN%"], numbers: 1...4, table: .holdingRegister, first: 5308, meaning: .bit(0),
                        counter: .init(table: .holdingRegister, first: 5300), catchesAlways: true)
                ],
                source: "docs.hardwario.com/gauger, Modbus Registers: 45301 activations, 45309 state"),
            ModbusProfile(
                name: "icp-das-m-7017", title: "ICP DAS M-7017 (8 analogue inputs)", role: .module,
                inputs: [number(["AI%"], 0...7, .inputRegister, 0)], line: "9600 8N1",
                remark: "For supervised loops: see end-of-line.",
                source: "ICP DAS I-7017/M-7017 User's Manual, address mapping: 30001 to 30008"),
            ModbusProfile(
                name: "adam-4117", title: "Advantech ADAM-4117 (8 analogue inputs)", role: .module,
                inputs: [number(["AI%"], 0...7, .holdingRegister, 0)], line: "9600 8N1",
                remark: "For supervised loops: see end-of-line.",
                source: "Advantech ADAM-4100 Series User's Manual, appendix B: 40001 to 40008"),
        ] + icpDAS

    /// ICP DAS M-7000: one map, and only the numbers of inputs and outputs differ. Manuals: M-7065 User's Manual, p. 94
    /// (00001, 00033/10001, 00065, 00097, 00264) and p. 106 (counters from 0x0000); tM-series quick starts agree on the
    /// coils.
    private static let icpDAS: [ModbusProfile] = [
        (name: "m-7041", inputs: 14, outputs: 0), ("m-7044", 4, 8), ("m-7050", 7, 8), ("m-7051", 16, 0),
        ("m-7052", 8, 0), ("m-7053", 16, 0), ("m-7055", 8, 8), ("m-7060", 4, 4), ("m-7063", 8, 3), ("m-7065", 4, 5),
    ].map { model in
        ModbusProfile(
            name: "icp-das-\(model.name)", title: "ICP DAS \(model.name.uppercased())", role: .module,
            inputs: [
                TerminalRow(
                    names: ["DI%", "IN%"], numbers: 0...model.inputs - 1, table: .discreteInput, first: 0,
                    latch: .init(high: 64, low: 96, clear: 263), counter: .init(table: .inputRegister, first: 0),
                    catchesAlways: true)
            ],
            outputs: model.outputs > 0 ? [coils(["DO%"], 0...model.outputs - 1, 0)] : [], line: "9600 8N1",
            remark: "Set to Modbus RTU. Set its host watchdog (00261, 40489) where outputs are used.",
            source: "ICP DAS M-7065 User's Manual, p. 94 and 106")
    }

    private static func adam4100(_ name: String, _ title: String) -> ModbusProfile {
        ModbusProfile(
            name: name, title: title, role: .module,
            inputs: [
                TerminalRow(
                    names: ["DI%"], numbers: 0...6, table: .holdingRegister, first: 300, step: 0,
                    counter: .init(table: .holdingRegister, first: 0, words: 2, lowFirst: true))
            ],
            line: "9600 8N1",
            remark:
                "A channel counts only when it is set to counter mode: then say pulses = \"counter\". The order of the "
                + "counter's words is taken from the ADAM-6000.",
            source: "Advantech ADAM-4100 Series User's Manual, p. 123: 40301, 40001")
    }

    private static func moxa(
        _ name: String, _ title: String, inputs count: Int, outputs: TerminalRow? = nil
    ) -> ModbusProfile {
        ModbusProfile(
            name: name, title: title, role: .module,
            inputs: [
                TerminalRow(
                    names: ["DI%"], numbers: 0...count - 1, table: .discreteInput, first: 0,
                    counter: .init(table: .inputRegister, first: 16, words: 2))
            ],
            outputs: outputs.map { [$0] } ?? [],
            remark:
                "A channel counts only in counter mode, started: then say pulses = \"counter\". Its uptime, input-register "
                + "5020, serves as heartbeat; that all models have it there is not verified.",
            source: "Moxa ioLogik E1200 Series User's Manual, appendix A: 10001, 30017 (high word first)")
    }

    // MARK: Fire panels. Nothing is ever written to them.

    static let panels: [ModbusProfile] = [
        ModbusProfile(
            name: "notifier-modbus-gw", title: "Notifier MODBUS-GW", role: .panel,
            inputs: notifier(points: 159, perLoop: 400, modules: 200)
                + notifierWord(["bell %", "B%"], 1...90, first: 9409, isBell: true) + [silenced(9499)],
            timeout: .seconds(1),
            remark:
                "One unit number for each panel (node). Bells from 49410 on; how many there are is the panel's, and that "
                + "their word is that of a detector is not verified.",
            source: "Honeywell LS10015-000NF-E, 5.1 and tables 5.2, 5.14, C.1"),
        ModbusProfile(
            name: "notifier-cgw-mb", title: "Notifier CLSS gateway CGW-MB", role: .panel,
            inputs: notifier(points: 300, perLoop: 600, modules: 300) + [
                silenced(20_000),
                TerminalRow(
                    names: ["system trouble"], numbers: 0...0, table: .holdingRegister, first: 59_999, meaning: .any),
                TerminalRow(
                    names: ["system trouble word %"], numbers: 1...100, table: .holdingRegister, first: 60_000,
                    meaning: .any),
            ],
            timeout: .seconds(1),
            remark:
                "One unit number for each panel (node). System trouble (460000) and its words (460001 to 460100): any bit "
                + "counts; not verified. Analogue values (310001 on) are input registers from 10000, by table and register. "
                + "Node commands (20001 on) are never written.",
            source: "Honeywell LS10248-000HW-E, tables 7.9, 7.15, 7.29"),
        ModbusProfile(
            name: "siemens-fc20", title: "Siemens FC20 on DMS8000 (NK8237)", role: .panel,
            inputs: [
                inputs(["area %"], 1...999, .discreteInput, 17_000),
                inputs(["control %"], 1...999, .discreteInput, 18_000),
                inputs(["hardware % alarm"], 1...999, .discreteInput, 19_000),
                inputs(["hardware % fault"], 1...999, .discreteInput, 20_000),
                inputs(["power supply % fault"], 1...99, .discreteInput, 32_000),
                inputs(["power supply % emergency power"], 1...99, .discreteInput, 33_000),
            ],
            timeout: .seconds(1),
            remark:
                "Bases 25000, 30000 and 31000 (acknowledge, reset, day and night) are never written. The base addresses are the defaults; the order is that of the map which the panel's Composer shows: "
                + "compare. That the bit tables are discrete inputs is not verified.",
            source: "Siemens A6V10316242, 2.2.2"),
        ModbusProfile(
            name: "rtk-smartalarm", title: "RTK (Eaton) SmartAlarm annunciator", role: .panel,
            inputs: [
                inputs(["contact %"], 1...8, .coil, 0), inputs(["alarm %"], 1...8, .coil, 10),
                inputs(["disabled %"], 1...8, .coil, 20),
            ],
            source: "RTK SmartAlarm Modbus manual: coils 1, 11 and 21"),
        ownMap(
            "notifier-sib600", "Notifier SIB600, iBox", "RTU, unit 1 to 32.",
            source: "wiki.hsyco.com, Notifier; the map is the vendor's"),
        ownMap(
            "carrier-zp2", "Carrier (UTC) ZP2", twoX, source: "Carrier ZP2 Modbus manual, as far as it is published"),
        ownMap("aritech-2x", "Aritech 2X", twoX, source: "Carrier ZP2 Modbus manual, as far as it is published"),
        ownMap(
            "polon-alfa-3000", "Polon-Alfa 3000 with MK-30", "RTU or Modbus TCP.",
            source: "Trikdis FireCom manual: that it speaks Modbus; the map is not published"),
        ownMap(
            "fire-panel", "Any other fire panel or gateway", "",
            source: "none: the map is made when the panel is programmed"),
    ]

    private static let twoX =
        "Modbus TCP. Points or zones, by the gateway's mode. Its list says how often and how many registers may be asked "
        + "for: set interval to that."

    /// A panel whose map is its own: it names no terminals, and nothing is ever written to it.
    private static func ownMap(_ name: String, _ title: String, _ remark: String, source: String) -> ModbusProfile {
        ModbusProfile(
            name: name, title: title, role: .panel, timeout: .seconds(1),
            remark: (remark.isEmpty ? "" : remark + " ")
                + "Names no terminals: give table and register from the panel's own list, and its heartbeat register, where "
                + "it has one.",
            source: source)
    }

    /// The status word of Notifier gateways: bit 14 prealarm, 13 trouble, 11 active, 9 disabled; the low byte is the kind of
    /// event while bit 11 is 1 (10 hex: fire alarm), and all ones where nothing is programmed.
    private static func notifier(points: Int, perLoop: Int, modules: Int) -> [TerminalRow] {
        (1...10).flatMap { loop in
            [("detector", "D", 0), ("module", "M", modules)].flatMap { word, letter, offset in
                notifierWord(
                    ["loop \(loop) \(word) %", "L\(loop)\(letter)%"], 1...points,
                    first: (loop - 1) * perLoop + offset)
            }
        }
    }

    /// The meanings of one run of status words; a bell has no alarm of its own.
    private static func notifierWord(
        _ names: [String], _ numbers: ClosedRange<Int>, first: Int, isBell: Bool = false
    ) -> [TerminalRow] {
        let common: [(String, TerminalRow.Meaning)] = [("", .bit(11)), (" trouble", .bit(13)), (" disabled", .bit(9))]
        let alarms: [(String, TerminalRow.Meaning)] = [
            (" fire", .equals(0x0810, mask: 0x08FF)), (" prealarm", .bit(14)),
        ]
        return (common + (isBell ? [] : alarms)).map { suffix, meaning in
            TerminalRow(
                names: names.map { $0 + suffix }, numbers: numbers,
                table: .holdingRegister, first: first, meaning: meaning, absentMask: 0x00FF)
        }
    }

    private static func silenced(_ register: Int) -> TerminalRow {
        TerminalRow(
            names: ["panel silenced"], numbers: 0...0, table: .holdingRegister, first: register, meaning: .bit(1))
    }

    private static func inputs(
        _ names: [String], _ numbers: ClosedRange<Int>, _ table: ModbusTable, _ first: Int
    ) -> TerminalRow {
        TerminalRow(names: names, numbers: numbers, table: table, first: first)
    }

    private static func coils(_ names: [String], _ numbers: ClosedRange<Int>, _ first: Int) -> TerminalRow {
        inputs(names, numbers, .coil, first)
    }

    private static func number(
        _ names: [String], _ numbers: ClosedRange<Int>, _ table: ModbusTable, _ first: Int
    ) -> TerminalRow {
        TerminalRow(names: names, numbers: numbers, table: table, first: first, meaning: .number)
    }
}
