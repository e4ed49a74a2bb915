import AlarmProtocol
import Testing

@testable import Receiver

@Suite(.serialized, .timeLimit(.minutes(2))) struct ServiceTests {
    @Test(arguments: [false, true]) func takesAndAcknowledges(_ udp: Bool) async throws {
        try await Centre.with { centre in
            let wire = try Wire(port: centre.port, udp: udp)
            #expect(token(of: try wire.exchange(try poll())) == "ACK")
            #expect(token(of: try wire.exchange(try frame())) == "ACK")
            #expect(token(of: try wire.exchange(try frame(.admCID, 2, data: "#1234|1110 01 015"))) == "ACK")
            #expect(centre.feed.map(\.sia) == ["BA", "FA"])
            #expect(centre.feed.map(\.path.transport) == Array(repeating: udp ? .udp : .tcp, count: 2))
            #expect(centre.feed.first?.path.remote.hasPrefix("127.0.0.1:") == true)
            let counters = try await centre.service.counters()
            #expect(counters.frames == 3 && counters.events == 2 && counters.polls == 1)
        }
    }

    @Test(arguments: ["0123456789ABCDEF", "0123456789ABCDEF01234567", "0123456789ABCDEF0123456789ABCDEF"])
    func encrypted(_ text: String) async throws {
        let key = try Key(text: text)
        try await Centre.with([.init(account: "1234", key: key)]) { centre in
            let wire = try Wire(port: centre.port)
            let reply = try #require(try wire.exchange(try frame(at: ReceiverService.wallClock(), key: key)))
            #expect(try Envelope.parse(reply).opened(with: key).token == .ack)
            #expect(token(of: reply) == "*ACK")
            #expect(
                token(of: try wire.exchange(try frame(at: ReceiverService.wallClock() - 120_000, key: key))) == "NAK")
            #expect(token(of: try wire.exchange(try frame())) == "DUH")
            #expect(centre.feed.count == 1)
        }
    }

    @Test func framesMayBeSplitAndJoined() async throws {
        try await Centre.with { centre in
            let wire = try Wire(port: centre.port)
            for byte in try frame() { try wire.send([byte]) }
            #expect(token(of: wire.receive()) == "ACK")
            var joined: [UInt8] = []
            for sequence in 2...101 { joined += try frame(.siaDCS, sequence) }
            try wire.send(joined)
            for sequence in 2...101 {
                let reply = try Envelope.parse(try #require(wire.receive()))
                #expect(reply.header.sequence == sequence)
            }
            #expect(centre.feed.map(\.message.header.sequence) == Array(1...101))
        }
    }

    @Test func answersComeInTheOrderOfTheFrames() async throws {
        try await Centre.with { centre in
            let wire = try Wire(port: centre.port)
            centre.openGate(false)
            try wire.send(try frame() + poll(7))
            #expect(wire.receiveSome(within: 200) == nil)
            centre.openGate(true)
            #expect(try Envelope.parse(try #require(wire.receive())).header.sequence == 1)
            #expect(try Envelope.parse(try #require(wire.receive())).header.sequence == 7)
        }
    }

    @Test func aSlowCommitHoldsUpNobodyElsesLinkTest() async throws {
        try await Centre.with { centre in
            let (slow, other) = (try Wire(port: centre.port), try Wire(port: centre.port))
            centre.openGate(false)
            try slow.send(try frame())
            #expect(slow.receiveSome(within: 100) == nil)
            #expect(token(of: try other.exchange(try poll(), within: 1_000)) == "ACK")
            centre.openGate(true)
            #expect(token(of: slow.receive()) == "ACK")
        }
    }

    @Test func whatArrivesDuringACommitSharesTheNext() async throws {
        let scratch = try Scratch()
        try await Centre.with(store: scratch.file("feed")) { centre in
            centre.openGate(false)
            let wires = try (0..<30).map { _ in try Wire(port: centre.port) }
            for (number, wire) in wires.enumerated() { try wire.send(try frame(.siaDCS, number + 1)) }
            while try await centre.service.counters().frames < 30 { try await Task.sleep(for: .milliseconds(5)) }
            centre.openGate(true)
            for wire in wires { #expect(token(of: wire.receive()) == "ACK") }
            #expect(centre.feed.count == 30)
            #expect(centre.commits == 2)
        }
    }

    @Test func aRepeatIsAcknowledgedButHandedOnOnce() async throws {
        try await Centre.with { centre in
            let (first, second) = (try Wire(port: centre.port), try Wire(port: centre.port, udp: true))
            #expect(token(of: try first.exchange(try frame())) == "ACK")
            #expect(token(of: try second.exchange(try frame(at: ReceiverService.wallClock()))) == "ACK")
            #expect(centre.feed.count == 1)
            #expect(try await centre.service.counters().repeats == 1)
        }
    }

    @Test func aRepeatWaitsForTheFirstToBeKept() async throws {
        try await Centre.with { centre in
            let (first, second) = (try Wire(port: centre.port), try Wire(port: centre.port))
            centre.openGate(false)
            try first.send(try frame())
            #expect(first.receiveSome(within: 100) == nil)
            #expect(try second.exchange(try frame(), within: 200) == nil)
            // The first cannot be kept after all: neither is acknowledged, and the next try is new.
            centre.breakFeed(true)
            centre.openGate(true)
            #expect(second.receiveSome(within: 200) == nil)
            #expect(first.receiveSome(within: 1) == nil)
            centre.breakFeed(false)
            #expect(token(of: try second.exchange(try frame())) == "ACK")
            #expect(centre.feed.count == 1)
            #expect(try await centre.service.counters().failed == 2)
            #expect(centre.words.contains { $0.contains("not answered") })
        }
    }

    @Test func aBrokenReaderStopsNothingThatIsStored() async throws {
        let scratch = try Scratch()
        try await Centre.with(store: scratch.file("feed")) { centre in
            centre.breakFeed(true)
            let wire = try Wire(port: centre.port)
            #expect(token(of: try wire.exchange(try frame())) == "ACK")
            #expect(try scratch.read("feed").filter { $0 == 0x0A }.count == 1)
        }
    }

    @Test func aRepeatIsKnownAfterARestart() async throws {
        let scratch = try Scratch()
        let key = try Key(text: "0123456789ABCDEF")
        let entry = try Accounts.Entry(account: "1234", key: key)
        let block = ExtendedBlock(.text, [0xE5, 0xFF, 0x22, 0x5C, 0x80])
        try await Centre.with([entry], store: scratch.file("feed")) { centre in
            let wire = try Wire(port: centre.port)
            let sent = try frame(extended: [block], at: ReceiverService.wallClock(), key: key)
            #expect(token(of: try wire.exchange(sent)) == "*ACK")
        }
        try await Centre.with([entry], store: scratch.file("feed")) { centre in
            #expect(centre.service.opening?.messages == 1)
            let wire = try Wire(port: centre.port)
            let sent = try frame(extended: [block], at: ReceiverService.wallClock(), key: key)
            #expect(token(of: try wire.exchange(sent)) == "*ACK")
            #expect(centre.feed.isEmpty)
            let other = try frame(.siaDCS, 2, extended: [block], at: ReceiverService.wallClock(), key: key)
            #expect(token(of: try wire.exchange(other)) == "*ACK")
            #expect(centre.feed.count == 1)
        }
        #expect(try scratch.read("feed").filter { $0 == 0x0A }.count == 2)
    }

    @Test func linkTestsAreInTheFeedOnlyWhenAsked() async throws {
        let scratch = try Scratch()
        try await Centre.with(store: scratch.file("feed"), showsPolls: true) { centre in
            let wire = try Wire(port: centre.port)
            #expect(token(of: try wire.exchange(try poll())) == "ACK")
            #expect(token(of: try wire.exchange(try frame())) == "ACK")
            #expect(centre.feed.map(\.kind) == [.poll, .event])
            #expect(try scratch.read("feed").filter { $0 == 0x0A }.count == 1)
        }
    }

    // MARK: Hostile and broken peers

    @Test func noiseIsNotAnsweredAndTheNextFrameIs() async throws {
        try await Centre.with { centre in
            let wire = try Wire(port: centre.port)
            try wire.send([0x0A] + [UInt8](repeating: 0x41, count: 200_000))
            try wire.send((0..<50_000).map { _ in UInt8.random(in: 0...255) })
            #expect(token(of: try wire.exchange([0x0D] + frame())) == "ACK")
            #expect(centre.feed.count == 1)
        }
    }

    @Test func aPeerThatStopsSendingIsStillAnswered() async throws {
        try await Centre.with { centre in
            let wire = try Wire(port: centre.port)
            try wire.send(try frame())
            wire.finishSending()
            #expect(token(of: wire.receive()) == "ACK")
            #expect(wire.receiveSome() == [])
        }
    }

    @Test func aPeerThatNeverListensHoldsUpNobody() async throws {
        try await Centre.with { centre in
            let deaf = try Wire(port: centre.port, receiveBuffer: 4_096)
            var flood: [UInt8] = []
            for _ in 0..<2_000 { flood += try poll(9_999) }
            // Sooner or later nothing more is taken from it.
            let taken = deaf.sendUntilStuck(flood, limit: 100_000_000)
            #expect(taken < 100_000_000)
            let wire = try Wire(port: centre.port)
            #expect(token(of: try wire.exchange(try frame(), within: 2_000)) == "ACK")
        }
    }

    @Test func theConnectionSilentLongestGivesWay() async throws {
        var limits = ReceiverOptions.Limits()
        limits.connections = 3
        try await Centre.with(limits: limits) { centre in
            let wires = try (0..<3).map { _ in try Wire(port: centre.port) }
            for wire in wires.reversed() { #expect(token(of: try wire.exchange(try poll())) == "ACK") }
            let fourth = try Wire(port: centre.port)
            #expect(token(of: try fourth.exchange(try poll())) == "ACK")
            #expect(wires[2].receiveSome() == [])
            #expect(token(of: try wires[0].exchange(try poll())) == "ACK")
            #expect(token(of: try wires[1].exchange(try poll())) == "ACK")
            #expect(try await centre.service.counters().closed == 1)
        }
    }

    @Test func silentAndStuckConnectionsAreClosed() async throws {
        var limits = ReceiverOptions.Limits()
        (limits.idleTime, limits.frameTime) = (.milliseconds(600), .milliseconds(200))
        try await Centre.with(limits: limits) { centre in
            let (silent, stuck) = (try Wire(port: centre.port), try Wire(port: centre.port))
            try stuck.send(Array("\n0380".utf8))
            let clock = ContinuousClock()
            let start = clock.now
            #expect(stuck.receiveSome(within: 3_000) == [])
            #expect(clock.now - start < .milliseconds(600))
            #expect(silent.receiveSome(within: 3_000) == [])
            #expect(clock.now - start >= .milliseconds(600))
        }
    }

    @Test func tooMuchWaitingIsNotAnswered() async throws {
        var limits = ReceiverOptions.Limits()
        limits.waitingFrames = 2
        try await Centre.with(limits: limits) { centre in
            centre.openGate(false)
            let wires = try (0..<4).map { _ in try Wire(port: centre.port) }
            for (number, wire) in wires.enumerated() {
                try wire.send(try frame(.siaDCS, number + 1))
                while try await centre.service.counters().frames < number + 1 {
                    try await Task.sleep(for: .milliseconds(2))
                }
            }
            centre.openGate(true)
            for wire in wires[..<3] { #expect(token(of: wire.receive()) == "ACK") }
            #expect(wires[3].receiveSome(within: 200) == nil)
            // It was forgotten, so its repeat is new.
            #expect(token(of: try wires[3].exchange(try frame(.siaDCS, 4))) == "ACK")
            #expect(centre.feed.count == 4)
        }
    }

    @Test func aPortInUseIsNamed() async throws {
        try await Centre.with { centre in
            let error = await #expect(throws: ListenError.self) {
                _ = try await Centre.start(port: centre.port)
            }
            #expect(error?.description.contains("port \(centre.port)") == true)
            #expect(error?.description.contains("in use") == true)
        }
    }

    @Test func aStoreInUseIsRefused() async throws {
        let scratch = try Scratch()
        try await Centre.with(store: scratch.file("feed")) { _ in
            let error = await #expect(throws: StoreError.self) {
                _ = try await Centre.start(store: scratch.file("feed"))
            }
            #expect(error?.description.contains("another receiver") == true)
        }
    }
}

@Suite(.serialized, .timeLimit(.minutes(2))) struct MisbehavingServiceTests {
    @Test(arguments: [("nak", "NAK"), ("duh", "DUH")]) func refusesAndKeepsNothing(_ words: String, _ answer: String)
        async throws
    {
        try await Centre.with { centre in
            try centre.misbehave("\(words)@2-3")
            let wire = try Wire(port: centre.port)
            #expect(token(of: try wire.exchange(try frame(.siaDCS, 1))) == "ACK")
            #expect(token(of: try wire.exchange(try frame(.siaDCS, 2))) == answer)
            #expect(token(of: try wire.exchange(try frame(.siaDCS, 3))) == answer)
            #expect(token(of: try wire.exchange(try frame(.siaDCS, 4))) == "ACK")
            #expect(centre.feed.map(\.message.header.sequence) == [1, 4])
        }
    }

    @Test(arguments: [("drop", 0), ("silent", 1)]) func saysNothing(_ words: String, _ kept: Int) async throws {
        try await Centre.with { centre in
            try centre.misbehave(words)
            let wire = try Wire(port: centre.port)
            #expect(try wire.exchange(try frame(), within: 200) == nil)
            #expect(centre.feed.count == kept)
            centre.service.misbehave(nil)
            #expect(token(of: try wire.exchange(try frame())) == "ACK")
            #expect(centre.feed.count == 1)
        }
    }

    @Test func closes() async throws {
        try await Centre.with { centre in
            try centre.misbehave("close@1")
            let wire = try Wire(port: centre.port)
            try wire.send(try frame())
            #expect(wire.receiveSome() == [])
            #expect(token(of: try Wire(port: centre.port).exchange(try frame())) == "ACK")
            #expect(centre.feed.count == 1)
        }
    }

    @Test(arguments: [false, true]) func answersLate(_ udp: Bool) async throws {
        try await Centre.with { centre in
            try centre.misbehave("delay:0.3@1")
            let wire = try Wire(port: centre.port, udp: udp)
            let start = ContinuousClock.now
            #expect(token(of: try wire.exchange(try frame())) == "ACK")
            #expect(ContinuousClock.now - start >= .milliseconds(300))
            #expect(token(of: try wire.exchange(try frame(.siaDCS, 2))) == "ACK")
        }
    }

    @Test(arguments: [false, true]) func answersSlowly(_ udp: Bool) async throws {
        try await Centre.with { centre in
            try centre.misbehave("slow:100@1")
            let wire = try Wire(port: centre.port, udp: udp)
            let start = ContinuousClock.now
            let reply = try #require(try wire.exchange(try frame()))
            #expect(token(of: reply) == "ACK")
            #expect(ContinuousClock.now - start >= .milliseconds(reply.count * 10 - 60))
            #expect(token(of: try wire.exchange(try frame(.siaDCS, 2))) == "ACK")
        }
    }

    @Test func answersGarbage() async throws {
        try await Centre.with { centre in
            try centre.misbehave("garbage:300@1")
            let wire = try Wire(port: centre.port)
            try wire.send(try frame())
            var garbage: [UInt8] = []
            while garbage.count < 300, let more = wire.receiveSome(), !more.isEmpty { garbage += more }
            #expect(garbage.count == 300)
            #expect(centre.feed.count == 1)
        }
    }

    @Test func answersUnderTheWrongNumber() async throws {
        let key = try Key(text: "0123456789ABCDEF")
        try await Centre.with([.init(account: "1234", key: key), .init(account: "9999")]) { centre in
            try centre.misbehave("wrong-sequence")
            let wire = try Wire(port: centre.port)
            let plain = try Envelope.parse(try #require(try wire.exchange(try frame(.siaDCS, 9_999, account: "9999"))))
            #expect(plain.token == .ack && plain.header.sequence == 1)
            let sent = try frame(.siaDCS, 41, at: ReceiverService.wallClock(), key: key)
            let secret = try Envelope.parse(try #require(try wire.exchange(sent)))
            #expect(secret.isEncrypted && secret.header.sequence == 42)
            #expect(try secret.opened(with: key).token == .ack)
            #expect(centre.feed.count == 2)
        }
    }

    @Test func everyThird() async throws {
        try await Centre.with(misbehaving: "duh:every=3") { centre in
            let wire = try Wire(port: centre.port)
            var answers: [String?] = []
            for sequence in 1...6 { answers.append(token(of: try wire.exchange(try frame(.siaDCS, sequence)))) }
            #expect(answers == ["ACK", "ACK", "DUH", "ACK", "ACK", "DUH"])
            #expect(try await centre.service.counters().misbehaved == 2)
        }
    }
}
