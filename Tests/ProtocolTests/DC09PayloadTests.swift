import Testing

@testable import AlarmProtocol

@Suite struct DC09PayloadTests {
    private func events(_ data: String) throws -> [String] {
        try SIAPayload.parse(Array(data.utf8)).events.map { event in
            let modifiers = event.modifiers.sorted { $0.key < $1.key }.map { $0.key + $0.value }.joined(separator: ",")
            return [event.code, event.address, modifiers, event.text, event.value].joined(separator: ";")
        }
    }

    @Test(arguments: [
        ("#1234|Nri1/BA5", ["BA;5;ri1;;"]), ("#1234|Nri1BA5", ["BA;5;ri1;;"]), ("#1234|Nri12OP14", ["OP;14;ri12;;"]),
        ("#1234|NBA1F", ["BA;1F;;;"]), ("|NBA", ["BA;;;;"]), ("NBA7", ["BA;7;;;"]), ("1234|NBA7", ["BA;7;;;"]),
        ("#1234|Nri2^Hall^ti12:34:56BA3^Entree^|AInbraak", ["BA;3;ri2,ti12:34:56;Entree;"]),
        ("#1234|Nri1/BA1/BA2/ri2/FA3", ["BA;1;ri1;;", "BA;2;ri1;;", "FA;3;ri2;;"]),
        ("#1234|NBA4/BA5/ri3", ["BA;4;;;", "BA;5;ri3;;"]), ("#1234|Nri1/BA5/id7", ["BA;5;id7,ri1;;"]),
        ("#1234|Oda11-22-26/ti23:59:58/ri1/AT", ["AT;;da11-22-26,ri1,ti23:59:58;;"]),
        ("#1234|NBA1|NBA2", ["BA;1;;;", "BA;2;;;"]), ("#1234|Nri1/KS4*21.5CE^Frys^", ["KS;4;ri1;Frys;21.5CE"]),
        ("#1234|Eri1/KA4*-3CE", ["KA;4;ri1;;-3CE"]), ("#1234|Ewhatever", []), ("#1234|NBA5|", ["BA;5;;;"]),
        ("#1234|AStart of dialler", []), ("#1234|NZX1", ["ZX;1;;;"]),
    ]) func readsTheFormsOfTheField(_ data: String, _ expected: [String]) throws {
        #expect(try events(data) == expected)
    }

    @Test(arguments: [
        "", "#", "#1234", "#1234|", "|", "#12G4|NBA", "#12|NBA", "1234", "#1234|N", "#1234|Nri1", "#1234|NB",
        "#1234|Nba5",
        "#1234|NBa5", "#1234|N/BA", "#1234|NBA5//BA6", "#1234|NBA^x", "#1234|NBA 5", "#1234|NBA5x", "#1234|NBA5*",
        "#1234|NBA5*x",
        "#1234|NBA5*2/", "#1234|ZBA5", "#1234||NBA5", "#1234|NBA5||", "#1234|bBA", "#1234|NÅÄ1",
    ]) func refusesWhatIsNotSIA(_ data: String) {
        let error = #expect(throws: FrameError.self) { try SIAPayload.parse(Array(data.utf8)) }
        #expect(error?.description.contains("expected") == true)
    }

    @Test(arguments: [
        "", "#1234", "#1234|", "#1234|113001015", "#1234|1130 01 0015", "#1234|1130 01 01", "#1234|2130 01 015",
        "#1234|0130 01 015", "#1234|G130 01 015", "#1234|1x30 01 015", "#1234|1130 0x 015", "#1234|1130 01 0 5",
        "#1234|1130-01-015",
        "#1234|1130 01 015|", " 1130 01 015", "#1234|1130 01 015\n",
    ]) func refusesWhatIsNotContactID(_ data: String) {
        #expect(throws: FrameError.self) { try ContactIDPayload.parse(Array(data.utf8)) }
    }

    @Test(arguments: ["#1234|6F0B 0C 00D", "1234|6F0B 0C 00D"]) func readsContactID(_ data: String) throws {
        let payload = try ContactIDPayload.parse(Array(data.utf8))
        #expect(
            payload
                == ContactIDPayload(
                    account: "1234", qualifier: .status, event: "F0B", partition: "0C", zoneOrUser: "00D"))
        #expect(try ContactIDPayload.parse(Array("|1130 01 015".utf8)).account == nil)
        #expect(try ContactIDPayload.parse(Array("1130 01 015".utf8)).account == nil)
    }

    private func reports(_ token: Token, _ data: String, _ blocks: [ExtendedBlock] = []) throws -> [Report] {
        let header = Header(sequence: 1, account: "abcd")
        return try Report.reports(of: Message(token: token, header: header, data: Array(data.utf8), extended: blocks))
    }

    @Test func aReportSaysWhoseEventItIs() throws {
        #expect(try reports(.siaDCS, "#12ef|NBA1").map(\.account) == ["12EF"])
        #expect(try reports(.siaDCS, "|NBA1").map(\.account) == ["ABCD"])
        #expect(try reports(.admCID, "#0012|3401 01 007").map(\.account) == ["0012"])
    }

    @Test func aReportGathersTexts() throws {
        let block = ExtendedBlock(.text, Array("Plan 2".utf8))
        let reports = try reports(.siaDCS, "#1234|Nri1/BA1^Norr^/OPid7|AHall|ATambur", [block])
        #expect(reports.map(\.text) == ["Norr Hall Tambur Plan 2", "Hall Tambur Plan 2"])
        #expect(reports.map(\.address) == ["1", "7"])
        #expect(try self.reports(.siaDCS, "#1234|AHej").map { [$0.code, $0.text] } == [["", "Hej"]])
        #expect(try self.reports(.siaDCS, "#1234|Cxyz").map(\.text) == ["#1234|Cxyz"])
    }

    @Test func otherPayloadsArePassedOnAsTheyAre() throws {
        for token in Token.otherPayloads {
            let report = try #require(reports(token, "anything").first)
            #expect(report.token == token && report.code == "" && report.text == "anything")
        }
        #expect(try reports(.null, "").isEmpty)
        #expect(try reports(.extendedNull, "x").isEmpty)
    }

    @Test func aReplyIsNotAnsweredAndAnUnknownTokenIsRefused() {
        func answer(_ token: Token) -> FrameError.Answer? {
            #expect(throws: FrameError.self) { try reports(token, "") }?.answer
        }
        let refused = FrameError.Answer.refuse(Header(sequence: 1, account: "abcd"))
        for token in [Token.ack, .nak, .duh] { #expect(answer(token) == .silence) }
        for token in [Token.rsp, Token(rawValue: "FOO-BAR"), Token(rawValue: "null")] {
            #expect(answer(token) == refused)
        }
    }
}
