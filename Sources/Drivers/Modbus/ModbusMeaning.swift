// What passes on a bus, in words for whoever watches.

extension ReadBlock {
    /// "inputs 0-7", "register 100".
    var described: String {
        let word =
            switch table {
            case .coil: "coil"
            case .discreteInput: "input"
            case .holdingRegister: "holding register"
            case .inputRegister: "input register"
            }
        return count > 1 ? "\(word)s \(start)-\(start + count - 1)" : "\(word) \(start)"
    }

    /// What was asked, and what became of it.
    var asked: String { "unit \(unit): read \(described)" }

    func meaning(of reply: ModbusReply, after time: Duration) -> String {
        let unit = "unit \(self.unit)"
        let took = "\(time.milliseconds) ms"
        switch reply {
        case .values(let values):
            let words =
                table.isBits
                ? values.map { $0 == 0 ? "0" : "1" }.joined() : values.map(String.init).joined(separator: " ")
            return "\(unit) \(described): \(words), \(took)"
        case .exception(let code): return "\(unit) refuses \(described): exception \(code), \(took)"
        case .silence: return "\(unit): no reply within \(took)"
        case .cut: return "\(unit): only part of a reply within \(took)"
        case .garbled(let what): return "\(unit): no reply to what was asked: \(what), \(took)"
        }
    }
}

extension WriteBlock {
    func asked(_ bits: [Bool]) -> String {
        "unit \(unit): write \(readBlock.described): \(bits.map { $0 ? "1" : "0" }.joined())"
    }

    func meaning(of reply: ModbusReply, after time: Duration) -> String {
        switch reply {
        case .values: "unit \(unit): written, \(time.milliseconds) ms"
        case .exception(let code): "unit \(unit) refuses to write: exception \(code), \(time.milliseconds) ms"
        case .silence, .cut, .garbled: readBlock.meaning(of: reply, after: time)
        }
    }
}
