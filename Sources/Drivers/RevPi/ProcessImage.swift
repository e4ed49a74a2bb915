import Glibc

/// A Revolution Pi's process image: the bytes in which its base module keeps what the modules beside it read. One value
/// lives within one `run`; a test has one of its own.
protocol ProcessImage: AnyObject {
    /// Where a variable of the modules' configuration is; nil: there is none of that name.
    func find(_ name: String) throws(DeviceError) -> ProcessVariable?
    /// The modules that the configuration has.
    func modules() throws(DeviceError) -> [ProcessModule]
    /// These bytes, as they are now.
    func bytes(_ range: Range<Int>) throws(DeviceError) -> [UInt8]
}

struct ProcessVariable: Sendable, Hashable {
    /// The byte in the image.
    var address: Int
    /// 0 is the lowest.
    var bit: Int
    /// In bits: 1, 8, 16 or 32.
    var length: Int
}

struct ProcessModule: Sendable, Hashable {
    /// Its number in the configuration: 32 is the first one on the right.
    var address: Int
    /// It is there and answers.
    var isActive: Bool
    /// The bytes that it reads.
    var inputs: Range<Int>
}

/// The kernel's piControl driver. Requests and structures are those of piControl.h (RevolutionPi/piControl), which are
/// laid out by the C rules for 32 and 64 bits alike; they are given as bytes here, so that no header is needed to build.
final class PiControl: ProcessImage {
    static let size = 4096
    private static let findVariable: UInt = 0x4B11  // KB_FIND_VARIABLE, _IO('K', 17)
    private static let listModules: UInt = 0x4B0D  // KB_GET_DEVICE_INFO_LIST, _IO('K', 13)
    /// SPIVariable: a name of 32 bytes, its closing zero counted; address at 32, bit at 34, length at 36.
    static let variableSize = 38
    static let nameSize = 32
    /// SDeviceInfo: the address at 0, length and offset of the inputs at 20 and 28, "active" at 39.
    static let moduleSize = 72
    /// The driver fills in at most 64; there is room for more, should that ever grow.
    private static let mostModules = 256

    private let path: String
    private let descriptor: Int32

    init(_ path: String) throws(DeviceError) {
        self.path = path
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            let why = errorText(errno)
            throw DeviceError(
                "the process image \(path) cannot be opened: \(why); check that the kernel's piControl driver is loaded "
                    + "and that the daemon's user may read it (ls -l \(path))")
        }
    }

    deinit { close(descriptor) }

    func find(_ name: String) throws(DeviceError) -> ProcessVariable? {
        guard name.utf8.count < Self.nameSize else { return nil }
        var request = Array(name.utf8) + [UInt8](repeating: 0, count: Self.variableSize - name.utf8.count)
        guard request.withUnsafeMutableBytes({ ioctl(descriptor, Self.findVariable, $0.baseAddress!) }) >= 0 else {
            if errno == ENOENT { return nil }
            throw DeviceError("the process image \(path) does not look up variables: \(errorText(errno))")
        }
        let variable = ProcessVariable(found: request)
        guard variable.address < Self.size else { return nil }
        return variable
    }

    func modules() throws(DeviceError) -> [ProcessModule] {
        var list = [UInt8](repeating: 0, count: Self.mostModules * Self.moduleSize)
        let count = list.withUnsafeMutableBytes { ioctl(descriptor, Self.listModules, $0.baseAddress!) }
        guard count >= 0 else {
            throw DeviceError("the process image \(path) does not list its modules: \(errorText(errno))")
        }
        return (0..<min(Int(count), Self.mostModules)).map { index in
            ProcessModule(listed: Array(list[index * Self.moduleSize..<(index + 1) * Self.moduleSize]))
        }
    }

    func bytes(_ range: Range<Int>) throws(DeviceError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: range.count)
        let count = bytes.withUnsafeMutableBytes {
            pread(descriptor, $0.baseAddress, $0.count, off_t(range.lowerBound))
        }
        guard count == range.count else {
            let why = count < 0 ? errorText(errno) : "it ended after \(range.lowerBound + max(0, count)) bytes"
            throw DeviceError("the process image \(path) cannot be read: \(why)")
        }
        return bytes
    }
}

extension ProcessVariable {
    /// What KB_FIND_VARIABLE has filled in. The processor's own byte order: all that run piControl are little-endian. A bit of
    /// a word's upper byte is one of the byte behind.
    init(found bytes: [UInt8]) {
        let bit = Int(bytes[34])
        self.init(
            address: (Int(bytes[32]) | Int(bytes[33]) << 8) + bit / 8, bit: bit % 8,
            length: Int(bytes[36]) | Int(bytes[37]) << 8)
    }
}

extension ProcessModule {
    /// One SDeviceInfo.
    init(listed bytes: [UInt8]) {
        let length = Int(bytes[20]) | Int(bytes[21]) << 8
        let offset = Int(bytes[28]) | Int(bytes[29]) << 8
        self.init(address: Int(bytes[0]), isActive: bytes[39] != 0, inputs: offset..<offset + length)
    }
}
