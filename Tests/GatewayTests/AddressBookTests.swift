import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing

@testable import Gateway

@Suite("The last good addresses of a name")
struct AddressBookTests {
    let scratch = Scratch()
    private var file: String { scratch.path + "/addresses" }

    private func read() -> String { (try? String(contentsOfFile: file, encoding: .utf8)) ?? "" }

    private func address(_ text: String) throws -> SocketAddress { try SocketAddress(ipAddress: text, port: 7700) }

    @Test("They are there after a restart, of both families, in their order; other ports and names are others")
    func kept() async throws {
        let book = AddressBook(directory: scratch.path)
        book.note([try address("192.0.2.7"), try address("2001:db8::7")], for: "larm.example.se", port: 7700)
        #expect(await comesTrue { read() == "larmnod addresses 1\nlarm.example.se 7700 192.0.2.7 2001:db8::7\n" })
        let again = AddressBook(directory: scratch.path)
        #expect(
            again.addresses(of: "larm.example.se", port: 7700).map(\.description)
                == [try address("192.0.2.7").description, try address("2001:db8::7").description])
        #expect(again.addresses(of: "larm.example.se", port: 7701).isEmpty)
        #expect(again.addresses(of: "other.example.se", port: 7700).isEmpty)
    }

    @Test("Written when the addresses change, not when their order does, and not more than once in ten minutes")
    func seldom() async throws {
        let now = Locked<Int64>(0)
        let book = AddressBook(directory: scratch.path, uptime: { now.value.withLock { $0 } })
        let (a, b, c) = (try address("192.0.2.1"), try address("192.0.2.2"), try address("192.0.2.3"))
        book.note([a, b], for: "x", port: 7700)
        #expect(await comesTrue { read().contains("192.0.2.1 192.0.2.2") })
        try FileManager.default.removeItem(atPath: file)
        now.value.withLock { $0 = AddressBook.writeInterval }
        book.note([b, a], for: "x", port: 7700)
        #expect(book.addresses(of: "x", port: 7700) == [b, a])
        book.note([c], for: "x", port: 7700)
        #expect(await comesTrue { read().contains("192.0.2.3") })
        #expect(!read().contains("192.0.2.1"))
        now.value.withLock { $0 += AddressBook.writeInterval - 1 }
        book.note([a], for: "x", port: 7700)
        #expect(book.addresses(of: "x", port: 7700) == [a])
        now.value.withLock { $0 += 1 }
        #expect(read().contains("192.0.2.3"))
        // Owed since before, and done with the next look-up.
        book.note([a], for: "x", port: 7700)
        #expect(await comesTrue { read().contains("192.0.2.1") })
    }

    @Test(
        "A file that is damaged, hostile or none is left out, line by line",
        arguments: [
            ("", 0), ("larmnod addresses 2\nx 1 192.0.2.1\n", 0), ("larmnod addresses 1\n", 0),
            ("larmnod addresses 1\nx 7700 192.0.2.1\nx 0 192.0.2.1\nx 70000 192.0.2.1\nx y 192.0.2.1\n", 1),
            ("larmnod addresses 1\nx 7700 evil.example\ny 7700  192.0.2.1\n 7700 192.0.2.1\nx 7700\nz 1 ::1\n", 1),
            ("larmnod addresses 1\n\u{1B}[2J 7700 192.0.2.1\nå 7700 192.0.2.1\n\u{0} 1 ::1\n", 0),
            ("larmnod addresses 1\nx 7700" + String(repeating: " 192.0.2.1", count: 17) + "\n", 0),
            ("larmnod addresses 1\n" + String(repeating: "x 7700 192.0.2.1\n", count: 100), 32),
            (String(repeating: "\n", count: 30_000), 0), ("larmnod addresses 1\nx 9223372036854775808 ::1", 0),
        ])
    func hostile(content: String, good: Int) throws {
        #expect(AddressBook.read(Array(content.utf8)).entries.count == good)
        try Data(content.utf8).write(to: URL(fileURLWithPath: file))
        let book = AddressBook(directory: scratch.path)
        #expect(book.addresses(of: "nowhere", port: 1).isEmpty)
        var noise = Seeded(UInt64(content.utf8.count))
        for _ in 0..<200 {
            var bytes = Array(content.utf8)
            for _ in 0..<3 where !bytes.isEmpty {
                bytes[Int.random(in: bytes.indices, using: &noise)] = UInt8.random(in: 0...255, using: &noise)
            }
            #expect(AddressBook.read(bytes).entries.count <= AddressBook.mostNames)
        }
    }

    @Test("Neither a folder nor a file without end in its place does harm; nor does a directory that takes no file")
    func inItsPlace() throws {
        try FileManager.default.createDirectory(atPath: file, withIntermediateDirectories: true)
        #expect(AddressBook(directory: scratch.path).addresses(of: "x", port: 1).isEmpty)
        try FileManager.default.removeItem(atPath: file)
        try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: "/dev/zero")
        #expect(AddressBook(directory: scratch.path).addresses(of: "x", port: 1).isEmpty)
        #expect(replaceFile(scratch.path + "/nowhere/file", with: "x") != nil)
    }

    /// Name servers that answer when they are told to.
    private final class Servers: Sendable {
        let answer = Locked<(after: Int, [SocketAddress]?)>((0, nil))
        let asked = Locked(0)

        func ask(_ host: String, _ port: Int) throws -> [SocketAddress] {
            asked.value.withLock { $0 += 1 }
            let (milliseconds, found) = answer.value.withLock { $0 }
            usleep(UInt32(milliseconds) * 1000)
            guard let found else { throw LookupError(description: "the name \(host) cannot be resolved: gone") }
            return found
        }
    }

    @Test("Down or slow name servers: the last addresses serve; a fresh answer takes their place from the next time on")
    func lookUp() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let servers = Servers()
        let path = scratch.path
        let lookup = try await loop.submit {
            NIOLoopBound(
                NameLookup(
                    host: "larm.example.se", port: 7700, book: AddressBook(directory: path), on: loop,
                    ask: { try servers.ask($0, $1) }), eventLoop: loop)
        }.get()
        func found() async throws -> [String] {
            try await loop.flatSubmit { lookup.value.addresses(within: .milliseconds(400)) }.get()
                .compactMap(\.ipAddress)
        }
        await #expect(throws: LookupError.self) { try await found() }
        servers.answer.value.withLock { $0 = (0, [try? address("192.0.2.1")].compactMap { $0 }) }
        #expect(try await found() == ["192.0.2.1"])
        servers.answer.value.withLock { $0 = (0, nil) }
        #expect(try await found() == ["192.0.2.1"])
        // The name has moved, and its servers take longer than we wait: used from the next time on.
        servers.answer.value.withLock { $0 = (1500, [try? address("192.0.2.2")].compactMap { $0 }) }
        #expect(try await found() == ["192.0.2.1"])
        #expect(try await comesTrue { try await found() == ["192.0.2.2"] })
        // One look-up at a time, however often it is asked for.
        #expect(servers.asked.value.withLock { $0 } < 30)
        try await group.shutdownGracefully()
    }
}
