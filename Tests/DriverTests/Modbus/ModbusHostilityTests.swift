import Foundation
import Testing

@testable import Drivers

/// A TCP listener: one connection after the other, each as `talk` has it.
private final class Listener: Sendable {
    let port: Int
    private let descriptor: Int32

    init(_ talk: @escaping @Sendable (_ connection: Int32) -> Void) throws {
        port = try freePort()
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = UInt16(port).bigEndian
        let listening = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 && listen(descriptor, 8) == 0
            }
        }
        try #require(listening, "cannot listen on \(port)")
        Thread.detachNewThread { [descriptor] in
            while true {
                let connection = accept(descriptor, nil, nil)
                guard connection >= 0 else { return }
                talk(connection)
                close(connection)
            }
        }
    }

    /// Answers each request with what a function makes of it, and hangs up when that is nil.
    static func lying(_ answer: @escaping @Sendable ([UInt8]) -> [[UInt8]]?) throws -> Listener {
        try Listener { connection in
            var request = [UInt8](repeating: 0, count: 260)
            while true {
                let count = recv(connection, &request, request.count, 0)
                guard count > 0, let pieces = answer(Array(request[..<count])) else { return }
                for piece in pieces {
                    _ = send(connection, piece, piece.count, Int32(MSG_NOSIGNAL))
                    if pieces.count > 1 { usleep(20_000) }
                }
            }
        }
    }

    /// Sends zeros as fast as they are taken.
    static func flooding() throws -> Listener {
        try Listener { connection in
            let zeros = [UInt8](repeating: 0, count: 65_536)
            while send(connection, zeros, zeros.count, Int32(MSG_NOSIGNAL)) > 0 {}
        }
    }

    deinit {
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }
}

/// MBAP header and the rest of a reply to the request.
private func reply(_ request: [UInt8], _ function: UInt8, _ data: [UInt8], length: Int? = nil) -> [UInt8] {
    let length = UInt16(length ?? data.count + 2)
    return Array(request.prefix(4)) + [UInt8(length >> 8), UInt8(length & 255), request[6], function] + data
}

/// No reply here says rightly that input 0 of unit 1 is active: nothing of the kind may be believed.
@Suite struct ModbusHostilityTests {
    private static let lies: [(name: String, answer: @Sendable ([UInt8]) -> [[UInt8]]?)] = [
        ("another transaction", { [[$0[0] ^ 1] + reply($0, $0[7], [1, 1]).dropFirst()] }),
        ("another unit", { [Array(reply($0, $0[7], [1, 1]).prefix(6)) + [$0[6] ^ 1, $0[7], 1, 1]] }),
        ("another protocol", { [Array($0.prefix(2)) + [7, 7] + reply($0, $0[7], [1, 1]).dropFirst(4)] }),
        ("another function", { [reply($0, 3, [2, 0, 1])] }),
        ("more bytes than asked for", { [reply($0, $0[7], [255] + [UInt8](repeating: 255, count: 255))] }),
        ("a count beyond the end", { [reply($0, $0[7], [250, 255])] }),
        ("a count of none", { [reply($0, $0[7], [0])] }),
        ("a length beyond any frame", { [reply($0, $0[7], [250, 255], length: 0xFFFF)] }),
        ("a length of none", { [reply($0, $0[7], [0], length: 0)] }),
        ("exception 0", { [reply($0, $0[7] | 0x80, [0])] }),
        ("exception 255", { [reply($0, $0[7] | 0x80, [255])] }),
        ("an exception to another function", { [reply($0, 0x84, [2])] }),
        ("half a reply", { [Array(reply($0, $0[7], [1, 1]).prefix(8))] }),
        ("half a reply, then gone", { $0[1] & 1 == 0 ? nil : [Array(reply($0, $0[7], [1, 1]).prefix(8))] }),
        ("gone at once", { _ in nil }),
        ("zeros without end", { _ in [[UInt8](repeating: 0, count: 4000)] }),
        ("ones without end", { _ in [[UInt8](repeating: 255, count: 4000)] }),
        ("the request itself", { [$0] }),
        ("one byte at a time, for ever", { request in (0..<12).map { [request[$0 % 8]] } }),
    ]

    @Test(arguments: lies.indices) func isNotBelieved(lie: Int) async throws {
        let server = try Listener.lying(Self.lies[lie].answer)
        defer { withExtendedLifetime(server) {} }
        let (settings, problems) = table(
            "device.modbus.test",
            [
                ("address", .string("127.0.0.1:\(server.port)")), ("interval", .string("20ms")),
                ("timeout", .string("100ms")),
                points([
                    (
                        "door",
                        [("unit", .integer(1)), ("table", .string("discrete-input")), ("register", .integer(0))]
                    )
                ]),
            ])
        let driver = try ModbusDriver(settings)
        try #require(problems.all.isEmpty)
        let deadline = ContinuousClock.now + .milliseconds(800)
        var runs = 0
        while ContinuousClock.now < deadline {
            let host = FieldHost()
            host.start(driver)
            _ = await host.until(within: .milliseconds(800)) { $0.outcome != nil }
            if case .failure(let error)? = host.state.withLock({ $0.outcome }) { #expect(error is DeviceError) }
            #expect(await host.stop() != nil, "\(Self.lies[lie].name): it does not stop")
            #expect(host.readings(of: "door").allSatisfy { $0 != .active(true) && $0 != .active(false) })
            runs += 1
        }
        #expect(runs > 0)
    }

    /// A peer that never stops sending is lost, and holds up nothing: the driver still stops at once.
    @Test func aFloodEndsTheConnection() async throws {
        let flood = try Listener.flooding()
        defer { withExtendedLifetime(flood) {} }
        let (settings, problems) = table(
            "device.modbus.test",
            [
                ("address", .string("127.0.0.1:\(flood.port)")), ("interval", .string("20ms")),
                ("timeout", .string("100ms")),
                points([
                    ("door", [("unit", .integer(1)), ("table", .string("discrete-input")), ("register", .integer(0))])
                ]),
            ])
        let driver = try ModbusDriver(settings)
        try #require(problems.all.isEmpty)
        let host = FieldHost()
        host.start(driver)
        guard case .failure(let error)? = await host.outcome(within: .seconds(20)) else {
            return #expect(Bool(false), "the driver goes on with it")
        }
        #expect("\(error)".contains("sends without end"), "\(error)")
        #expect(host.readings(of: "door").isEmpty)
    }
}
