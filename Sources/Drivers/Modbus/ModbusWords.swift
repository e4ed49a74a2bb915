extension ModbusReply {
    /// The unit has said something, if only that it refuses.
    var isAnswer: Bool {
        switch self {
        case .values, .exception: true
        case .silence, .cut, .garbled: false
        }
    }

    /// The exceptions of Modbus Application Protocol V1.1b3, 7.
    static func words(for code: Int) -> String {
        let words = [
            1: "it does not have this function", 2: "it does not have this address", 3: "it does not take this length",
            4: "the device has failed", 8: "its memory has failed", 10: "the gateway has no path to it",
            11: "the gateway gets no reply from it",
        ]
        return "\(words[code] ?? "an error") (exception \(code))"
    }
}

extension ModbusTable: CustomStringConvertible {
    var description: String {
        switch self {
        case .coil: "coil"
        case .discreteInput: "discrete-input"
        case .holdingRegister: "holding-register"
        case .inputRegister: "input-register"
        }
    }
}

extension ModbusTable {
    static let all: [ModbusTable] = [.coil, .discreteInput, .holdingRegister, .inputRegister]
}
