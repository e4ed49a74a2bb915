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
    /// Its beginning came, and no more within the time.
    case cut
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
    /// The last request's number, over a network.
    private var transaction: UInt16 = 0

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
        try flush()
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
    /// - Parameter host: shown what passes, where somebody watches.
    /// - Throws: `DeviceError` when the port or the connection is lost.
    func read(_ block: ReadBlock, showing host: any Host) throws -> ModbusReply {
        try exchange(block.request, showing: host, asked: block.asked, meaning: block.meaning)
    }

    /// Has a unit set a block of outputs to these bits, in the block's order, and waits for its confirmation, at most as
    /// long as is allowed.
    /// - Throws: `DeviceError` when the port or the connection is lost.
    func write(_ block: WriteBlock, _ bits: [Bool], showing host: any Host) throws -> ModbusReply {
        try exchange(block.request(bits), showing: host, asked: block.asked(bits), meaning: block.meaning)
    }

    private func exchange(
        _ request: [UInt8], showing host: any Host, asked: @autoclosure () -> String,
        meaning: (ModbusReply, Duration) -> String
    ) throws -> ModbusReply {
        transaction &+= 1
        let frame = ModbusFrame(
            kind: settings.isSerial ? .serial : .network(transaction: transaction), request: request)
        let isWatched = host.isWatched
        if isWatched { host.trace(Passage(.sent, frame.bytes, asked())) }
        let began = ContinuousClock.now
        let (received, reply) = try exchange(frame)
        if isWatched { host.trace(Passage(.received, received, meaning(reply, began.duration(to: .now)))) }
        return reply
    }

    /// libmodbus sends and receives whole frames; what they say is judged here, the unit of a reply over a network
    /// included, which it takes on trust.
    private func exchange(_ frame: ModbusFrame) throws -> (received: [UInt8], ModbusReply) {
        guard modbus_set_slave(context, Int32(frame.request.first ?? 0)) == 0 else { throw lost(errno) }
        errno = 0
        let sent: Int
        switch frame.kind {
        case .serial:
            sent = Int(modbus_send_raw_request(context, frame.request, Int32(frame.request.count)))
        case .network:
            // Its own sending of such frames has no transaction number.
            let bytes = frame.bytes
            sent = send(modbus_get_socket(context), bytes, bytes.count, Int32(MSG_NOSIGNAL))
        }
        guard sent == frame.bytes.count else { return ([], try failure(sent < 0 ? errno : EIO)) }
        // The longest frame that there is, and room.
        var buffer = [UInt8](repeating: 0, count: Int(MODBUS_MAX_ADU_LENGTH) + 4)
        errno = 0
        let count = modbus_receive_confirmation(context, &buffer)
        guard count >= 0 else {
            let error = errno
            // It has received a whole frame, and does not say how long.
            let isFrame = error == MODBUS_ENOBASE + Self.wrongChecksum
            let bytes = isFrame ? Array(buffer.prefix(ModbusFrame.length(of: buffer))) : []
            let reply = try failure(error)
            // Every frame begins with something: the unit, or over a network a number that is not 0 for long.
            if reply == .silence, buffer.contains(where: { $0 != 0 }) { return ([], .cut) }
            return (bytes, reply)
        }
        // It leaves out what another unit has sent, and keeps only the frame's first byte: the unit.
        if count == 0 { return ([], .garbled("unit \(buffer[0]) answers in its place")) }
        let received = Array(buffer.prefix(Int(count)))
        return (received, frame.reply(in: received))
    }

    /// What a unit may send unasked between two requests. More is no late reply: somebody sends without end.
    private static let mostStrayBytes = 65_536

    /// Throws away what has been received.
    /// - Throws: `DeviceError` when it does not end: libmodbus's own way would go on for ever.
    func flush() throws {
        guard !settings.isSerial else {
            modbus_flush(context)
            return
        }
        var waste = [UInt8](repeating: 0, count: 4096)
        var total = 0
        while total < Self.mostStrayBytes {
            let count = recv(modbus_get_socket(context), &waste, waste.count, Int32(MSG_DONTWAIT))
            // Nothing is left, or the connection is lost, which the next request will tell.
            guard count > 0 else { return }
            total += count
        }
        throw DeviceError(
            "Modbus at \(settings.described): it sends without end what nobody has asked for; is this a Modbus device?")
    }

    /// EMBBADCRC, which Swift does not see.
    private static let wrongChecksum: Int32 = 12

    private func failure(_ error: Int32) throws -> ModbusReply {
        switch error {
        case ETIMEDOUT, EAGAIN, EINTR: return .silence
        // Its own errors: a wrong checksum, a frame longer than any.
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
