// What passes on a bus, in words for whoever watches.
//
// libmodbus does not hand out the frames: their bytes are made again from what was asked and what came, as unit, function
// and data (Modbus Application Protocol V1.1b3, 6), without the checksum of RTU or the header of TCP.

extension ModbusLink {
    /// As `read`, shown to whoever watches.
    func read(_ block: ReadBlock, showing host: any Host) throws -> ModbusReply {
        guard host.isWatched else { return try read(block) }
        host.trace(Passage(.sent, block.request, "unit \(block.unit): read \(block.described)"))
        let began = ContinuousClock.now
        let reply = try read(block)
        host.trace(block.passage(of: reply, after: began.duration(to: .now)))
        return reply
    }

    /// As `write`, shown to whoever watches.
    func write(_ block: WriteBlock, _ bits: [Bool], showing host: any Host) throws -> ModbusReply {
        guard host.isWatched else { return try write(block, bits) }
        let place = "\(block.readBlock.described): \(bits.map { $0 ? "1" : "0" }.joined())"
        let request = block.request(bits)
        host.trace(Passage(.sent, request, "unit \(block.unit): write \(place)"))
        let began = ContinuousClock.now
        let reply = try write(block, bits)
        let took = began.duration(to: .now)
        switch reply {
        case .values:
            // The unit says the beginning of the request again; of function 22, all of it.
            let echo = Array(request.prefix(block.place == .coil ? 6 : 8))
            host.trace(Passage(.received, echo, "unit \(block.unit): written, \(took.milliseconds) ms"))
        case .exception(let code):
            let refusal = [request[0], request[1] | 0x80, UInt8(truncatingIfNeeded: code)]
            host.trace(
                Passage(
                    .received, refusal,
                    "unit \(block.unit) refuses to write: exception \(code), \(took.milliseconds) ms"))
        case .silence, .garbled: host.trace(block.readBlock.passage(of: reply, after: took))
        }
        return reply
    }
}

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

    private var function: UInt8 {
        switch table {
        case .coil: 1
        case .discreteInput: 2
        case .holdingRegister: 3
        case .inputRegister: 4
        }
    }

    var request: [UInt8] { [low(unit), function] + bytes(start) + bytes(count) }

    func passage(of reply: ModbusReply, after time: Duration) -> Passage {
        let unit = "unit \(self.unit)"
        let took = "\(time.milliseconds) ms"
        switch reply {
        case .values(let values):
            let data = table.isBits ? packed(values) : values.flatMap { bytes(Int($0)) }
            let words =
                table.isBits
                ? values.map { $0 == 0 ? "0" : "1" }.joined() : values.map(String.init).joined(separator: " ")
            return Passage(
                .received, [low(self.unit), function, low(data.count)] + data, "\(unit) \(described): \(words), \(took)"
            )
        case .exception(let code):
            return Passage(
                .received, [low(self.unit), function | 0x80, low(code)],
                "\(unit) refuses \(described): exception \(code), \(took)")
        case .silence: return Passage(.received, [], "\(unit): no reply within \(took)")
        case .garbled(let what): return Passage(.received, [], "\(unit): no reply to what was asked: \(what), \(took)")
        }
    }

    /// Eight to a byte, the first in its lowest bit.
    private func packed(_ bits: [UInt16]) -> [UInt8] {
        stride(from: 0, to: bits.count, by: 8).map { first in
            bits[first..<min(first + 8, bits.count)].enumerated().reduce(0) { byte, bit in
                bit.element == 0 ? byte : byte | 1 << UInt8(bit.offset)
            }
        }
    }
}

extension WriteBlock {
    fileprivate func request(_ bits: [Bool]) -> [UInt8] {
        switch place {
        case .coil where bits.count == 1: [low(unit), 5] + bytes(start) + [bits[0] ? 0xFF : 0, 0]
        case .coil:
            [low(unit), 15] + bytes(start) + bytes(bits.count) + [low((bits.count + 7) / 8)]
                + stride(from: 0, to: bits.count, by: 8).map { first in
                    bits[first..<min(first + 8, bits.count)].enumerated().reduce(UInt8(0)) { byte, bit in
                        bit.element ? byte | 1 << UInt8(bit.offset) : byte
                    }
                }
        case .bit(let bit):
            [low(unit), 22] + bytes(start) + bytes(~(1 << bit)) + bytes(bits.first ?? false ? 1 << bit : 0)
        }
    }
}

private func low(_ number: Int) -> UInt8 { UInt8(truncatingIfNeeded: number) }

/// High byte first.
private func bytes(_ number: Int) -> [UInt8] { [low(number >> 8), low(number)] }
