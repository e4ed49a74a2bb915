import AlarmProtocol
import Foundation
import Testing

@testable import Receiver

@Suite struct StoreTests {
    private let scratch: Scratch
    init() throws { scratch = try Scratch() }

    private func lines(_ sequence: Int, data: String = "#1234|Nri1/BA5") throws -> [UInt8] {
        var judge = try Judge()
        let frame = try frame(.siaDCS, sequence, data: data)
        let judgement = judge.judge(frame, at: noon)
        return FeedRecord.records(of: judgement, frame: frame, received: noon, path: .test)
            .reduce(into: []) { $1.write(to: &$0) }
    }

    private func open(_ name: String = "feed") throws -> (store: Store, messages: [StoredMessage]) {
        var messages: [StoredMessage] = []
        let store = try Store(path: scratch.file(name)) { messages.append($0) }
        return (store, messages)
    }

    private func put(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(filePath: scratch.file("feed"))) }

    @Test func readsBackWhatWasAppended() throws {
        do {
            let (store, messages) = try open()
            #expect(messages.isEmpty && store.opening == Store.Opening())
            try store.append(try lines(1) + lines(2))
            try store.append(try lines(3))
        }
        let (store, messages) = try open()
        #expect(messages.map(\.sequence) == [1, 2, 3])
        #expect(
            messages.first
                == StoredMessage(
                    transmitter: "1234", sequence: 1, data: Array("#1234|Nri1/BA5".utf8), extended: []))
        #expect(store.opening == Store.Opening(messages: 3, cut: 0, unreadable: 0))
    }

    @Test func cutsAnUnfinishedLine() throws {
        let whole = try lines(1)
        let torn = try lines(2)
        for length in [1, 20, torn.count - 1] {
            try put(whole + torn[..<length])
            do {
                let (store, messages) = try open()
                #expect(messages.map(\.sequence) == [1])
                #expect(store.opening.cut == length)
                #expect(try scratch.read("feed") == whole)
                try store.append(torn)
            }
            #expect(try open().messages.map(\.sequence) == [1, 2])
        }
    }

    @Test func cutsAMessageThatMissesSomeOfItsLines() throws {
        let whole = try lines(1)
        let three = try lines(2, data: "#1234|Nri1/BA5/BA6/BA7")
        #expect(three.filter { $0 == 0x0A }.count == 3)
        let second = try #require(three.firstIndex(of: 0x0A)) + 1
        try put(whole + three[..<second] + Array("{\"ver".utf8))
        do {
            let (store, messages) = try open()
            #expect(messages.map(\.sequence) == [1])
            #expect(store.opening.cut == second + 5)
            #expect(try scratch.read("feed") == whole)
        }
        try put(whole + three)
        #expect(try open().messages.map(\.sequence) == [1, 2])
    }

    @Test func leavesLinesAloneThatAreNotFeedLines() throws {
        let bytes = try lines(1) + Array("not a line of ours\n{}\n".utf8) + [0, 0, 0x0A] + lines(2)
        try put(bytes)
        let (store, messages) = try open()
        #expect(messages.map(\.sequence) == [1, 2])
        #expect(store.opening == Store.Opening(messages: 2, cut: 0, unreadable: 3))
        #expect(try scratch.read("feed") == bytes)
    }

    @Test func aLineWithoutEndTakesNoMemory() throws {
        try put(try lines(1) + [UInt8](repeating: 0x41, count: 3_000_000) + [0x0A] + lines(2))
        let (store, messages) = try open()
        #expect(messages.map(\.sequence) == [1, 2])
        #expect(store.opening.unreadable == 1)
    }

    @Test func isForOneProcessAtATime() throws {
        let (store, _) = try open()
        let error = #expect(throws: StoreError.self) { try self.open() }
        #expect(error?.description.contains("in use") == true)
        withExtendedLifetime(store) {}
    }

    @Test func refusesWhatIsNoFile() throws {
        for path in ["/dev/null", scratch.path, scratch.file("nowhere/feed")] {
            let error = #expect(throws: StoreError.self) { _ = try Store(path: path) { _ in } }
            #expect(error?.description.contains(path) == true)
        }
    }
}

@Suite struct AccountsTests {
    private let scratch: Scratch
    init() throws { scratch = try Scratch() }

    @Test func readsAList() throws {
        _ = try scratch.write("a.key", "hex:0123456789ABCDEF0123456789ABCDEF\n")
        _ = try scratch.write("b.key", "text:0123456789ABCDEF01234567")
        let list = try scratch.write("accounts", "# who\n\n4711 a.key\r\n  00ab   b.key  \n12345\n")
        let entries = try Accounts.read(list: list)
        #expect(entries.map(\.account) == ["4711", "00AB", "12345"])
        #expect(entries.map { $0.key.map { "\($0)" } } == ["AES-128 key", "AES-192 key", nil])
        let accounts = try Accounts(entries)
        #expect(accounts.standing(of: "00ab") == .encrypted([try Key(text: "0123456789ABCDEF01234567")]))
        #expect(accounts.standing(of: "12345") == .plain)
        #expect(accounts.standing(of: "0AB") == .unknown(refused: true))
        #expect(try Accounts().standing(of: "ABC") == .plain)
    }

    @Test(arguments: [
        ("hex:0123", "digits"), ("0123456789ABCDEF", "hex: or text:"), ("", "one line"), ("hex:\ntext:", "one line"),
        ("base64:AAAA", "hex: or text:"), ("text:short", "characters"),
    ])
    func refusesWhatIsNoKey(_ content: String, _ expected: String) throws {
        let path = try scratch.write("key", content)
        let error = #expect(throws: AccountError.self) { try Accounts.Entry(argument: "4711=\(path)") }
        #expect(error?.description.contains(expected) == true)
        #expect(error?.description.contains(path) == true)
        #expect(
            content.isEmpty || error?.description.contains(content.split(separator: ":").last ?? "") != true
                || content.hasPrefix("hex:\n"))
    }

    @Test func refusesAKeyThatOthersMayRead() throws {
        let path = try scratch.write("key", "text:0123456789ABCDEF", mode: 0o644)
        let error = #expect(throws: AccountError.self) { try Accounts.Entry(argument: "4711=\(path)") }
        #expect(error?.description.contains("chmod 600") == true)
    }

    @Test func aKeyInThePlaceOfAFileIsNotShown() throws {
        let error = #expect(throws: AccountError.self) { try Accounts.Entry(argument: "4711=0123456789ABCDEF") }
        #expect(error?.description.contains("0123456789ABCDEF") == false)
        #expect(error?.description.contains("no such key file") == true)
    }

    @Test(arguments: ["", "12", "12345678901234567", "12G4", "47 11", "#4711"])
    func refusesWhatIsNoAccount(_ account: String) {
        let error = #expect(throws: AccountError.self) { try Accounts.Entry(account: account) }
        #expect(error?.description.contains("3 to 16 hexadecimal digits") == true)
    }

    @Test func aListSaysWhereItIsWrong() throws {
        let list = try scratch.write("accounts", "4711\nxyz\n")
        let error = #expect(throws: AccountError.self) { try Accounts.read(list: list) }
        #expect(error?.description.hasPrefix("\(list):2:") == true)
        let empty = try scratch.write("empty", "# nobody\n")
        #expect(throws: AccountError.self) { try Accounts.read(list: empty) }
    }

    @Test func anAccountIsListedOnceOrWithEachOfItsKeys() throws {
        let keys = try (0..<5).map { try Key(text: "a key of 16 let\($0)") }
        let entries = try keys.map { try Accounts.Entry(account: "00AB", key: $0) }
        #expect(try Accounts(Array(entries.prefix(4))).standing(of: "00ab") == .encrypted(Array(keys.prefix(4))))
        #expect(throws: AccountError.self) { try Accounts(entries) }
        #expect(throws: AccountError.self) { try Accounts([entries[0], entries[0]]) }
        #expect(throws: AccountError.self) { try Accounts([entries[0], .init(account: "00ab")]) }
        #expect(throws: AccountError.self) { try Accounts([.init(account: "00ab"), entries[0]]) }
        #expect(throws: AccountError.self) { try Accounts([.init(account: "00ab"), .init(account: "00AB")]) }
    }
}
