import CModbus
import Glibc

/// Where the bus is found, and how long it may take.
struct BusSettings: Sendable, Hashable {
    enum Transport: Sendable, Hashable {
        case serial(SerialSettings)
        /// A numeric address.
        case network(address: String, port: Int)
    }

    var transport: Transport
    /// From a request to the end of its reply.
    var timeout: Duration
    /// Silence before each request.
    var gap: Duration
    /// The configuration says the timeout; else a profile may know a better one.
    var timeoutIsSaid = false

    var isSerial: Bool { if case .serial = transport { true } else { false } }

    /// The bus as messages name it.
    var described: String {
        switch transport {
        case .serial(let serial): serial.path
        case .network(let address, let port): address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
        }
    }
}

extension SerialLine {
    /// How long one character takes on the line.
    var characterTime: Duration {
        .seconds(1) * (1 + dataBits + (parity == .none ? 0 : 1) + stopBits) / speed
    }

    /// The silence that ends an RTU frame: 3.5 characters, but 1.75 ms above 19200 bit/s (MODBUS over Serial Line V1.02,
    /// 2.5.1.1).
    var frameSilence: Duration { speed > 19_200 ? .microseconds(1750) : characterTime * 7 / 2 }
}

/// What a request brought.
enum ModbusReply: Sendable, Hashable {
    /// Registers, or bits as 0 and 1.
    case values([UInt16])
    /// The unit refuses, with the code of Modbus Application Protocol V1.1b3, 7.
    case exception(Int)
    case silence
    /// Something came that is no reply to the request: noise, or a late reply to an earlier one.
    case garbled(String)
}

/// A bus, open: one libmodbus context, on one thread. It reads anything, and writes nothing but blocks of outputs.
///
/// libmodbus repairs nothing by itself (ERROR_RECOVERY_NONE): its repairs sleep, ask again inside the call and, with a
/// port unplugged, spin for ever (libmodbus #217). Every call ends within the timeout.
final class ModbusLink {
    private let settings: BusSettings
    private let context: OpaquePointer
    /// On a serial bus the port is ours: locked, checked and closed by us; libmodbus only reads and writes it.
    private let port: SerialPort?

    init(_ settings: BusSettings) throws {
        self.settings = settings
        let context: OpaquePointer?
        switch settings.transport {
        case .serial(let serial):
            let port = try SerialPort(serial)
            context = serial.path.withCString {
                modbus_new_rtu($0, Int32(serial.line.speed), serial.line.parityCode, 8, Int32(serial.line.stopBits))
            }
            if let context { modbus_set_socket(context, port.descriptor) }
            self.port = consume port
        case .network(let address, let port):
            self.port = nil
            context =
                address.contains(":") ? modbus_new_tcp_pi(address, "\(port)") : modbus_new_tcp(address, Int32(port))
        }
        guard let context else {
            throw DeviceError("cannot open Modbus at \(settings.described): \(errorText(errno)); check the settings")
        }
        self.context = context
        try connect()
    }

    deinit {
        // libmodbus's own close would put back serial settings that it never saved: the port closes itself.
        if port == nil { modbus_close(context) }
        modbus_free(context)
    }

    private func connect() throws {
        let time = settings.timeout.components
        let microseconds = UInt32(time.attoseconds / 1_000_000_000_000)
        // With no limit between bytes, the first limit holds for the whole reply.
        guard modbus_set_error_recovery(context, MODBUS_ERROR_RECOVERY_NONE) == 0,
            modbus_set_response_timeout(context, UInt32(time.seconds), microseconds) == 0,
            modbus_set_byte_timeout(context, 0, 0) == 0
        else { throw DeviceError("cannot set up Modbus at \(settings.described): \(errorText(errno))") }
        // libmodbus waits with select(2), which writes outside its set for higher descriptors.
        guard lowestFreeDescriptor() < Int32(FD_SETSIZE), modbus_get_socket(context) < Int32(FD_SETSIZE) else {
            throw DeviceError("cannot open Modbus at \(settings.described): more than \(FD_SETSIZE) files are open")
        }
        guard settings.isSerial || modbus_connect(context) == 0 else {
            // libmodbus tells a connection that is not answered by ETIMEDOUT or EINPROGRESS.
            let why = errno == EINPROGRESS ? errorText(ETIMEDOUT) : errorText(errno)
            throw DeviceError("cannot connect to \(settings.described): \(why); check address, cable and supply")
        }
        modbus_flush(context)
    }

    /// How long the next requests may take, from their beginning to the end of their replies; at most a second.
    func allow(_ time: Duration) {
        let time = min(max(time, .milliseconds(1)), .seconds(1)).components
        modbus_set_response_timeout(context, UInt32(time.seconds), UInt32(time.attoseconds / 1_000_000_000_000))
    }

    /// Bytes have come that nobody has asked for: the reply to an earlier request, late.
    var hasStrayBytes: Bool {
        var waiting: CInt = 0
        return ioctl(modbus_get_socket(context), UInt(FIONREAD), &waiting) == 0 && waiting > 0
    }

    /// Asks a unit for a block and waits for the reply, at most as long as is allowed.
    /// - Throws: `DeviceError` when the port or the connection is lost.
    func read(_ block: ReadBlock) throws -> ModbusReply {
        let count = Int32(block.count)
        let start = Int32(block.start)
        guard modbus_set_slave(context, Int32(block.unit)) == 0 else { throw lost(errno) }
        // Always of full length, whatever is asked for: a unit that answers with more must not reach beyond the end.
        var registers = [UInt16](repeating: 0, count: Int(MODBUS_MAX_READ_REGISTERS) + 3)
        var bits = [UInt8](repeating: 0, count: Int(MODBUS_MAX_READ_BITS) + 48)
        errno = 0
        let got =
            switch block.table {
            case .coil: modbus_read_bits(context, start, count, &bits)
            case .discreteInput: modbus_read_input_bits(context, start, count, &bits)
            case .holdingRegister: modbus_read_registers(context, start, count, &registers)
            case .inputRegister: modbus_read_input_registers(context, start, count, &registers)
            }
        let error = errno
        if got == count {
            return .values(
                block.table.isBits ? bits.prefix(block.count).map(UInt16.init) : Array(registers.prefix(block.count)))
        }
        guard got < 0 else { return .garbled("a reply of \(got) values instead of \(count)") }
        return try reply(for: error)
    }

    /// Has a unit set a block of outputs to these bits, in the block's order, and waits for its confirmation, at most as
    /// long as is allowed. The values of the reply are the bits.
    /// - Throws: `DeviceError` when the port or the connection is lost.
    func write(_ block: WriteBlock, _ bits: [Bool]) throws -> ModbusReply {
        guard modbus_set_slave(context, Int32(block.unit)) == 0 else { throw lost(errno) }
        let start = Int32(block.start)
        errno = 0
        let got: Int32
        switch block.place {
        case .coil where bits.count == 1: got = modbus_write_bit(context, start, bits[0] ? 1 : 0)
        case .coil: got = modbus_write_bits(context, start, Int32(bits.count), bits.map { $0 ? 1 : 0 })
        case .bit(let bit):
            let mask = UInt16(1) << UInt16(bit)
            got = modbus_mask_write_register(context, start, ~mask, bits.first ?? false ? mask : 0)
        }
        let error = errno
        return got >= 0 ? .values(bits.map { $0 ? 1 : 0 }) : try reply(for: error)
    }

    /// Throws away what has been received.
    func flush() { modbus_flush(context) }

    private func reply(for error: Int32) throws -> ModbusReply {
        switch error {
        case ETIMEDOUT, EAGAIN, EINTR: return .silence
        case MODBUS_ENOBASE + 1...MODBUS_ENOBASE + 11: return .exception(Int(error - MODBUS_ENOBASE))
        // Its own errors, from 12 up; 0 is an exception without a code.
        case MODBUS_ENOBASE...:
            return .garbled(modbus_strerror(error).map { String(cString: $0) } ?? "a bad frame")
        default: throw lost(error)
        }
    }

    private func lost(_ error: Int32) -> DeviceError {
        DeviceError("Modbus at \(settings.described) is lost: \(errorText(error)); check cable and supply")
    }

    private func lowestFreeDescriptor() -> Int32 {
        let probe = open("/dev/null", O_RDONLY | O_CLOEXEC)
        if probe >= 0 { close(probe) }
        return probe >= 0 ? probe : .max
    }
}

extension SerialLine {
    fileprivate var parityCode: CChar { CChar(parity.rawValue.asciiValue ?? 78) }
}
