/// The frames of Modbus: a request as it is sent, and whether what came is the reply to it. Pure.
///
/// Sources: Modbus Application Protocol V1.1b3, 6 and 7; MODBUS over Serial Line V1.02, 2.5.1; MODBUS Messaging on TCP/IP
/// V1.0b, 3.1.3.
struct ModbusFrame: Sendable, Hashable {
    enum Kind: Sendable, Hashable {
        /// The checksum is behind it.
        case serial
        /// Before it, the number that the reply must have as well.
        case network(transaction: UInt16)
    }

    var kind: Kind
    /// Unit, function and data.
    var request: [UInt8]

    /// As it is sent.
    var bytes: [UInt8] {
        switch kind {
        case .serial: request + Self.checksum(request)
        case .network(let transaction):
            [UInt8(transaction >> 8), UInt8(transaction & 255), 0, 0, 0, UInt8(truncatingIfNeeded: request.count)]
                + request
        }
    }

    /// What a frame that came says: the reply, an exception, or why it is not the reply to this.
    func reply(in frame: [UInt8]) -> ModbusReply {
        let body: ArraySlice<UInt8>
        switch kind {
        case .serial:
            guard frame.count >= 4, Self.checksum(frame.dropLast(2)) == frame.suffix(2) else {
                return .garbled("a wrong checksum")
            }
            body = frame.dropLast(2)
        case .network(let transaction):
            guard frame.count >= 9 else { return .garbled("a frame of \(frame.count) bytes") }
            guard UInt16(frame[0]) << 8 | UInt16(frame[1]) == transaction, frame[2] == 0, frame[3] == 0 else {
                return .garbled("the reply to another request")
            }
            body = frame.dropFirst(6)
        }
        return judge(Array(body))
    }

    private func judge(_ body: [UInt8]) -> ModbusReply {
        guard request.count >= 6, body.count >= 3 else { return .garbled("a frame of \(body.count) bytes") }
        guard body[0] == request[0] else { return .garbled("unit \(body[0]) answers in its place") }
        let function = request[1]
        if body[1] == function | 0x80 {
            guard body.count == 3, body[2] != 0 else { return .garbled("an exception without a code") }
            return .exception(Int(body[2]))
        }
        guard body[1] == function else { return .garbled("it answers function \(body[1]), and \(function) was asked") }
        let count = Int(request[4]) << 8 | Int(request[5])
        switch function {
        case 1, 2:
            guard let data = data(of: body, (count + 7) / 8) else { return .garbled(Self.otherLength) }
            return .values((0..<count).map { UInt16(data[$0 / 8] >> UInt8($0 % 8) & 1) })
        case 3, 4:
            guard let data = data(of: body, count * 2) else { return .garbled(Self.otherLength) }
            return .values((0..<count).map { UInt16(data[$0 * 2]) << 8 | UInt16(data[$0 * 2 + 1]) })
        default:
            // A write is confirmed by its beginning; of functions 5 and 22 that is all of it.
            let echo = request.prefix(function == 22 ? 8 : 6)
            return body.elementsEqual(echo) ? .values([]) : .garbled("it confirms another write")
        }
    }

    private static let otherLength = "a reply of another length"

    private func data(of body: [UInt8], _ count: Int) -> [UInt8]? {
        Int(body[2]) == count && body.count == 3 + count ? Array(body.dropFirst(3)) : nil
    }

    /// How long the frame on a serial line is that begins so, its checksum included.
    static func length(of frame: [UInt8]) -> Int {
        guard frame.count >= 3 else { return frame.count }
        let length =
            switch frame[1] {
            case 1...4: 3 + Int(frame[2])
            case 5, 6, 15, 16: 6
            case 22: 8
            default: 3
            }
        return min(length + 2, frame.count)
    }

    /// CRC-16, its low byte first (Serial Line V1.02, 6.2.2).
    static func checksum(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var sum: UInt16 = 0xFFFF
        for byte in bytes {
            sum ^= UInt16(byte)
            for _ in 0..<8 { sum = sum & 1 == 1 ? sum >> 1 ^ 0xA001 : sum >> 1 }
        }
        return [UInt8(sum & 255), UInt8(sum >> 8)]
    }
}

extension ReadBlock {
    /// Unit, function and data.
    var request: [UInt8] { [low(unit), UInt8(table.function)] + bytes(start) + bytes(count) }
}

extension ModbusTable {
    fileprivate var function: Int {
        switch self {
        case .coil: 1
        case .discreteInput: 2
        case .holdingRegister: 3
        case .inputRegister: 4
        }
    }
}

extension WriteBlock {
    /// Unit, function and data, to set these bits, in the block's order.
    func request(_ bits: [Bool]) -> [UInt8] {
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
