import CSerialPort
import Glibc

extension SerialPort {
    /// A port of this board, under its most lasting name.
    public struct Name: Sendable, Hashable {
        /// "/dev/serial/by-id/usb-FTDI_…-if00-port0" where there is one, else by the socket that it is plugged into
        /// ("/dev/serial/by-path/…"), else the device.
        public var path: String
        /// "/dev/ttyUSB0"
        public var device: String
        /// What the adapter says of itself; empty where it says nothing.
        public var product: String
    }

    /// The real ports, as libserialport lists them. Pseudo-terminals are not listed.
    public static func available() -> [Name] {
        var list: UnsafeMutablePointer<OpaquePointer?>?
        guard sp_list_ports(&list) == SP_OK, let list else { return [] }
        defer { sp_free_port_list(list) }
        var ports: [(device: String, product: String)] = []
        for index in 0... {
            guard let port = list[index] else { break }
            guard let text = sp_get_port_name(port) else { continue }
            let product = sp_get_port_description(port).map { String(cString: $0) } ?? ""
            ports.append((String(cString: text), product))
        }
        return named(ports, byID: links(in: "/dev/serial/by-id"), byPath: links(in: "/dev/serial/by-path"))
    }

    /// Gives ports their names.
    /// - Parameters: links by the device that each leads to.
    static func named(
        _ ports: [(device: String, product: String)], byID: [String: String], byPath: [String: String]
    ) -> [Name] {
        // Of adapters without a serial number, plugged in together, only one has the name by-id: now this, now that.
        let unnumbered = Set(ports.filter { byID[$0.device] == nil && !$0.product.isEmpty }.map(\.product))
        return ports.map { device, product in
            let id = unnumbered.contains(product) ? nil : byID[device]
            return Name(path: id ?? byPath[device] ?? device, device: device, product: product)
        }.sorted { $0.path < $1.path }
    }

    private static func links(in folder: String) -> [String: String] {
        var links: [String: String] = [:]
        for link in paths(matching: "\(folder)/*") { if let device = realPath(link) { links[device] = link } }
        return links
    }
}

/// The programs that have a device open, as "minicom (process 1234)". Without root only our own user's are seen.
/// - Parameter own: the descriptor that found the device held, and holds nothing itself.
func holders(of device: String, except own: Int32?) -> [String] {
    var seen: Set<Int32> = []
    let ours = own.map { "/proc/\(getpid())/fd/\($0)" }
    for link in paths(matching: "/proc/[0-9]*/fd/*") where link != ours && linkTarget(link) == device {
        if let number = link.split(separator: "/").dropFirst().first, let process = Int32(number) {
            seen.insert(process)
        }
    }
    return seen.sorted().map {
        $0 == getpid() ? "another device of this program" : "\(programName($0)) (process \($0))"
    }
}

/// What a link says, without looking at what it leads to (which may lie on a disk that does not answer).
private func linkTarget(_ link: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 256)
    let count = readlink(link, &buffer, buffer.count)
    guard count > 0 else { return nil }
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

private func programName(_ process: Int32) -> String {
    let descriptor = open("/proc/\(process)/comm", O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return "a program" }
    defer { close(descriptor) }
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = read(descriptor, &buffer, buffer.count)
    return String(decoding: buffer[..<max(0, count)].filter { $0 >= 0x20 }, as: UTF8.self)
}

/// The path without symbolic links, or nil (with errno) where it leads nowhere.
func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
}

private func paths(matching pattern: String) -> [String] {
    var found = glob_t()
    defer { globfree(&found) }
    guard glob(pattern, 0, nil, &found) == 0 else { return [] }
    return (0..<Int(found.gl_pathc)).compactMap { found.gl_pathv[$0].map { String(cString: $0) } }
}
