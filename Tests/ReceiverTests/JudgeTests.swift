import AlarmProtocol
import Testing

@testable import Receiver

@Suite struct JudgeTests {
    private let key: Key
    init() throws { key = try Key(text: "0123456789ABCDEF") }

    // MARK: Accounts and keys

    @Test func unknownAccountIsRefusedByDefault() throws {
        var judge = try Judge([.init(account: "4711")])
        let judgement = judge.judge(try frame(), at: noon)
        #expect(judgement.verdict == .refused)
        #expect(token(of: judgement.reply) == "DUH")
        #expect(judgement.reason?.contains("1234") == true)
    }

    @Test func unknownAccountCanBeAccepted() throws {
        var judge = try Judge([.init(account: "4711")], unknown: .accept)
        let judgement = judge.judge(try frame(), at: noon)
        #expect(judgement.verdict == .event)
        #expect(!judgement.isAccountKnown)
        #expect(judge.judge(try frame(account: "4711"), at: noon).isAccountKnown)
    }

    @Test func accountsAreComparedAsTextInEitherCase() throws {
        var judge = try Judge([.init(account: "00ab")])
        #expect(judge.judge(try frame(account: "00AB"), at: noon).verdict == .event)
        #expect(judge.judge(try frame(account: "00ab", data: "#00ab|NBA2"), at: noon).verdict == .event)
        #expect(judge.judge(try frame(account: "0AB"), at: noon).verdict == .refused)
    }

    @Test(arguments: [Token.siaDCS, .admCID, .null]) func plainFrameOfAnEncryptedAccountIsRefused(_ kind: Token) throws
    {
        var judge = try Judge([.init(account: "1234", key: key)])
        let data = kind == .null ? "" : kind == .siaDCS ? "#1234|NBA5" : "#1234|1130 01 005"
        let judgement = judge.judge(try frame(kind, data: data), at: noon)
        #expect(judgement.verdict == .refused)
        #expect(token(of: judgement.reply) == "DUH")
    }

    @Test func encryptedFrameOfAPlainAccountIsRefused() throws {
        var judge = try Judge([.init(account: "1234")])
        #expect(token(of: judge.judge(try frame(at: noon, key: key), at: noon).reply) == "DUH")
    }

    @Test func anotherKeyIsMetWithSilence() throws {
        var judge = try Judge([.init(account: "1234", key: key)])
        let other = try Key(text: "FEDCBA9876543210")
        // Some keys happen to leave a bracket in the nonsense: no try may be answered or taken.
        for sequence in 1...500 {
            let judgement = judge.judge(try frame(.siaDCS, sequence, at: noon, key: other), at: noon)
            #expect(judgement.verdict != .event)
            #expect(judgement.reports.isEmpty)
        }
    }

    // MARK: What is not taken

    @Test func everyKeyOfAnAccountOpensItsMessagesAndSealsTheirAnswers() throws {
        let keys = try ["the newer key 16", "the older key 16"].map { try Key(text: $0) }
        var judge = try Judge(try keys.map { try Accounts.Entry(account: "1234", key: $0) })
        for sequence in 1...400 {
            let key = keys[sequence % 2]
            let judgement = judge.judge(try frame(.siaDCS, sequence, at: noon, key: key), at: noon)
            #expect(judgement.verdict == .event)
            let reply = try Envelope.parse(try #require(judgement.reply))
            #expect(try reply.opened(with: key).timestamp == Timestamp(utc: noon))
        }
        let third = judge.judge(try frame(.siaDCS, 401, at: noon, key: Key(text: "one nobody has!!")), at: noon)
        #expect(third.verdict != .event && third.verdict != .repeated)
        // A repeat under the other key is the same message.
        #expect(judge.judge(try frame(.siaDCS, 400, at: noon, key: keys[1]), at: noon).verdict == .repeated)
    }

    @Test func keyBlockIsRefusedAndNeverRepeated() throws {
        var judge = try Judge()
        let block = ExtendedBlock(.key, Array("ABCDABCDABCDABCDABCDABCDABCDABCD".utf8))
        let judgement = judge.judge(try frame(extended: [block]), at: noon)
        #expect(judgement.verdict == .refused)
        #expect(token(of: judgement.reply) == "DUH")
        let reply = String(decoding: try #require(judgement.reply), as: UTF8.self)
        #expect(!reply.contains("ABCD"))
        #expect(judgement.reason?.contains("ABCD") == false)
    }

    @Test func responseTokenIsRefused() throws {
        var judge = try Judge()
        #expect(token(of: judge.judge(try frame(.rsp, data: ""), at: noon).reply) == "DUH")
    }

    @Test(arguments: [Token.ack, .nak, .duh]) func anAnswerIsNotAnswered(_ token: Token) throws {
        var judge = try Judge()
        let judgement = judge.judge(try frame(token, data: ""), at: noon)
        #expect(judgement.verdict == .ignored)
        #expect(judgement.reply == nil)
    }

    @Test func nonsenseIsMetWithSilence() throws {
        var judge = try Judge()
        var random = SystemRandomNumberGenerator()
        for length in 0..<400 {
            let noise = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(judge.judge(noise, at: noon).reply == nil)
            #expect(judge.judge([0x0A] + noise + [0x0D], at: noon).reply == nil)
        }
    }

    @Test func payloadThatIsCarriedButNotReadIsTaken() throws {
        var judge = try Judge()
        let judgement = judge.judge(try frame(Token(rawValue: "SCN-S8"), data: "#1234|1234567"), at: noon)
        #expect(judgement.verdict == .event)
        #expect(FeedRecord.records(of: judgement, frame: [], received: noon, path: .test).count == 1)
    }

    // MARK: Time

    @Test(arguments: [
        (-41_000, false), (-40_000, true), (0, true), (20_000, true), (21_000, false), (86_400_000, false),
    ])
    func encryptedTimeMustBeNear(_ offset: Int64, _ isNear: Bool) throws {
        var judge = try Judge([.init(account: "1234", key: key)])
        // Our clock has fractions of a second, the message's has none.
        let judgement = judge.judge(try frame(at: noon + offset, key: key), at: noon + 900)
        #expect(judgement.verdict == (isNear ? .event : .wrongTime))
        #expect(token(of: judgement.reply) == (isNear ? "*ACK" : "NAK"))
        if !isNear {
            #expect(try Envelope.parse(try #require(judgement.reply)).opened(with: nil).timestamp?.utc == noon)
        }
    }

    @Test func plainTimeIsNotJudged() throws {
        var judge = try Judge()
        #expect(judge.judge(try frame(at: noon - 86_400_000), at: noon).verdict == .event)
    }

    @Test func whatWasRefusedForItsTimeIsNewWhenItComesAgain() throws {
        var judge = try Judge([.init(account: "1234", key: key)])
        #expect(judge.judge(try frame(at: noon - 60_000, key: key), at: noon).verdict == .wrongTime)
        #expect(judge.judge(try frame(at: noon, key: key), at: noon).verdict == .event)
    }

    // MARK: Repeats

    @Test func repeatIsKnownWhateverItsTimeAndCipher() throws {
        var judge = try Judge([.init(account: "1234", key: key)])
        #expect(judge.judge(try frame(at: noon, key: key), at: noon).verdict == .event)
        let again = judge.judge(try frame(at: noon + 30_000, key: key), at: noon + 30_000)
        #expect(again.verdict == .repeated)
        #expect(token(of: again.reply) == "*ACK")
        #expect(again.reports.isEmpty)
    }

    @Test func otherContentUnderTheSameNumberIsNew() throws {
        var judge = try Judge()
        #expect(judge.judge(try frame(), at: noon).verdict == .event)
        #expect(judge.judge(try frame(data: "#1234|Nri1/BR5"), at: noon).verdict == .event)
        let block = ExtendedBlock(.timeOfOccurrence, Timestamp(utc: noon).bytes)
        #expect(judge.judge(try frame(extended: [block]), at: noon).verdict == .event)
        #expect(judge.judge(try frame(.siaDCS, 2), at: noon).verdict == .event)
        #expect(judge.judge(try frame(account: "4321"), at: noon).verdict == .event)
        #expect(judge.judge(try frame(), at: noon).verdict == .repeated)
    }

    @Test func equalContentIsNewWhenTheNumbersHaveComeRound() throws {
        var judge = try Judge()
        for sequence in 1...9_999 { #expect(judge.judge(try frame(.siaDCS, sequence), at: noon).verdict == .event) }
        for sequence in 1...20 { #expect(judge.judge(try frame(.siaDCS, sequence), at: noon).verdict == .event) }
        #expect(judge.judge(try frame(.siaDCS, 9_999), at: noon).verdict == .repeated)
    }

    @Test func repeatIsKnownAfterManyOtherMessages() throws {
        var judge = try Judge()
        for sequence in 1...4_000 { _ = judge.judge(try frame(.siaDCS, sequence), at: noon) }
        #expect(judge.judge(try frame(.siaDCS, 1), at: noon).verdict == .repeated)
        _ = judge.judge(try frame(.siaDCS, 4_001), at: noon)
        #expect(judge.judge(try frame(.siaDCS, 2), at: noon).verdict == .repeated)
        #expect(judge.judge(try frame(.siaDCS, 1), at: noon).verdict == .event)
    }

    @Test func numberZeroIsNeverARepeat() throws {
        var judge = try Judge()
        #expect(judge.judge(try frame(.siaDCS, 0), at: noon).verdict == .event)
        #expect(judge.judge(try frame(.siaDCS, 0), at: noon).verdict == .event)
    }

    @Test func whatCouldNotBeStoredIsNewWhenItComesAgain() throws {
        var judge = try Judge()
        let first = judge.judge(try frame(), at: noon)
        let mark = try #require(first.mark)
        judge.forget(mark.0, of: mark.of)
        #expect(judge.judge(try frame(), at: noon).verdict == .event)
    }
}
