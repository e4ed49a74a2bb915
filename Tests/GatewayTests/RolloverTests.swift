import AlarmProtocol
import Receiver
import Testing

@testable import Gateway

@Suite("Going over to a new key, with a real receiver")
struct RolloverTests {
    let scratch = Scratch()
    static let new = "00112233445566778899AABBCCDDEEFF", old = "FFEEDDCCBBAA99887766554433221100"

    private func path(_ port: Int, _ transport: PathSettings.Transport) throws -> PathSettings {
        var path = testPath("fibre", to: "a", port: port, transport, key: try Key(hex: Self.new), attempts: 5)
        path.oldKey = try Key(hex: Self.old)
        path.poll = .milliseconds(300)
        return path
    }

    private func centre(_ keys: [String], port: Int = 0) async throws -> TestCentre {
        try await TestCentre(
            try keys.map { try Accounts.Entry(account: "4711", key: try Key(hex: $0)) }, port: port)
    }

    private func oldKeyReports(_ box: Box) -> [Bool] {
        box.troubles.value.withLock {
            $0.compactMap { if case .oldKey("fibre", let inUse) = $0 { inUse } else { nil } }
        }
    }

    @Test(
        "The site first, then the centre: nothing is lost or said twice, and both changes are told",
        arguments: [PathSettings.Transport.tcp, .udp])
    func siteFirst(transport: PathSettings.Transport) async throws {
        let before = try await centre([Self.old])
        let box = try Box(scratch.path, [try path(before.service.port, transport)])
        for number in 0..<5 { try box.outbox.append([NewEvent(sample("p", text: "before \(number)"))]) }
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        #expect(before.texts == (0..<5).map { "before \($0)" })
        #expect(oldKeyReports(box) == [true])
        #expect(try await box.paths().first?.keyInUse == "old")
        let port = before.service.port
        try await before.service.stop()

        let after = try await centre([Self.new], port: port)
        for number in 0..<5 { try box.outbox.append([NewEvent(sample("p", text: "after \(number)"))]) }
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        #expect(after.texts == (0..<5).map { "after \($0)" })
        #expect(oldKeyReports(box) == [true, false])
        #expect(try await box.paths().first?.keyInUse == "new")
        try await box.stop()
        try await after.service.stop()
    }

    @Test("The centre first, with both keys: the new one is used from the start")
    func centreFirst() async throws {
        let centre = try await centre([Self.old, Self.new])
        let box = try Box(scratch.path, [try path(centre.service.port, .tcp)])
        try box.outbox.append([NewEvent(sample("p", text: "once"))])
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        #expect(centre.texts == ["once"])
        #expect(oldKeyReports(box).isEmpty)
        #expect(try await box.paths().first?.keyInUse == "new")
        try await box.stop()
        try await centre.service.stop()
    }

    @Test("A restart with the old key in use tries the new one with a link test, and goes over when it is taken")
    func restart() async throws {
        let before = try await centre([Self.old])
        let port = before.service.port
        var box = try Box(scratch.path, [try path(port, .tcp)])
        try box.outbox.append([
            NewEvent(
                BoxTrouble.oldKey(path: "fibre", inUse: true).event(
                    account: "4711", now: TestClock().now, known: { _ in nil })?.event ?? sample(), active: true)
        ])
        #expect(await comesTrue { box.outbox.waitingCount == 0 })
        try await box.stop()
        box.outbox.keepHouse(closing: true)
        box.outbox.directory.unlock()
        try await before.service.stop()

        let both = try await centre([Self.old, Self.new], port: port)
        box = try Box(scratch.path, [try path(port, .tcp)])
        #expect(await comesTrue { oldKeyReports(box) == [false] })
        #expect(try await box.paths().first?.keyInUse == "new")
        try await box.stop()
        try await both.service.stop()
    }
}
