import Foundation
import Testing

@testable import Drivers

/// The independent Modbus device of Tests/Peers/modbus_server.py, which `make test` finds a Python with pymodbus for.
final class ModbusPeer {
    private let process = Process()
    private let commands = Pipe()
    private let answers = Pipe()
    private var unread = Data()

    init(_ arguments: String...) throws {
        let peers = try #require(
            ProcessInfo.processInfo.environment["LARMNOD_PEERS"],
            "these tests need LARMNOD_PEERS: a virtual environment with pymodbus[serial]==3.16.1")
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("Peers/modbus_server.py")
        process.executableURL = URL(fileURLWithPath: "\(peers)/bin/python")
        process.arguments = [script.path] + arguments
        process.standardInput = commands
        process.standardOutput = answers
        try process.run()
        try #require(try line() == "ready", "the Modbus peer did not start")
    }

    deinit { kill() }

    @discardableResult func say(_ command: String) throws -> String {
        try commands.fileHandleForWriting.write(contentsOf: Data((command + "\n").utf8))
        let answer = try line()
        try #require(answer.hasPrefix("ok"), "\(command): \(answer)")
        return String(answer.dropFirst(3))
    }

    /// The device is cut off: nothing more comes from it, and its connections are reset.
    func kill() { end(process) }

    private func line() throws -> String {
        while true {
            if let end = unread.firstIndex(of: 10) {
                let line = String(decoding: unread[..<end], as: UTF8.self)
                unread = Data(unread[(end + 1)...])
                return line
            }
            let more = answers.fileHandleForReading.availableData
            try #require(!more.isEmpty, "the Modbus peer ended")
            unread.append(more)
        }
    }
}

/// Two pseudo-terminals joined as by a null modem (socat).
final class NullModem {
    let ours: String
    let theirs: String
    private let process = Process()

    init() throws {
        let stem = "\(NSTemporaryDirectory())/larmnod-\(UUID().uuidString)"
        (ours, theirs) = (stem + "-a", stem + "-b")
        process.executableURL = URL(fileURLWithPath: "/usr/bin/socat")
        process.arguments = ["pty,raw,echo=0,link=\(ours)", "pty,raw,echo=0,link=\(theirs)"]
        try process.run()
        let deadline = ContinuousClock.now + .seconds(5)
        while !FileManager.default.fileExists(atPath: theirs) || !FileManager.default.fileExists(atPath: ours) {
            try #require(ContinuousClock.now < deadline, "socat made no pseudo-terminals")
            usleep(10_000)
        }
    }

    deinit { unplug() }

    func unplug() {
        end(process)
        unlink(ours)
        unlink(theirs)
    }
}

/// Not by SIGTERM: started on a thread of the concurrency pool, a process inherits it blocked.
private func end(_ process: Process) {
    guard process.isRunning else { return }
    kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
}

/// A port of this machine that nobody listens on.
func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port: UInt16? = withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
        } ? UInt16(bigEndian: pointer.pointee.sin_port) : nil
    }
    return Int(try #require(port))
}
