import Testing

@testable import AlarmProtocol

@Suite struct VocabularyCodeTests {
    private static let sia = Vocabulary.all.filter { $0.scheme == .sia }
    private static let contactID = Vocabulary.all.filter { $0.scheme == .contactID }

    @Test func everyRowIsInTheTableWithItsColumns() throws {
        var seen = 0
        for row in try Tables.rows(of: "event-codes.csv") {
            let code: Code
            let name = try #require(row["code"])
            switch row["scheme"] {
            case "SIA": code = try #require(Vocabulary.sia(name), "SIA \(name)")
            case "CID": code = try #require(Vocabulary.contactID(name), "Contact ID \(name)")
            default: continue
            }
            seen += 1
            #expect(code.code == name)
            #expect(code.meaning == row["meaning"])
            #expect(code.category == row["category"])
            #expect(code.kind == row["kind"])
            #expect(code.address == row["address_is"])
            #expect(code.cancel ?? "" == row["cancel"])
            #expect(code.status == row["status"])
            let pairs = row["restore_or_pair"] ?? ""
            if code.scheme == .sia {
                #expect(code.restores.joined(separator: ";") == pairs)
                #expect(code.restoreMeaning == nil)
            } else {
                let sent = !pairs.isEmpty && !pairs.hasSuffix("usually not sent")
                #expect(code.restores == (sent ? [name] : []))
                #expect(code.restoreMeaning.map { "3\(name): \($0)" } == (sent ? pairs : nil))
            }
        }
        #expect(seen == 665)
        #expect(Vocabulary.all.count == seen)
    }

    @Test func counterpartsAreThoseOfTheTables() throws {
        let nearest = try Tables.rows(of: "nearest-codes.csv")
        for row in try Tables.rows(of: "event-codes.csv") {
            guard let scheme = row["scheme"], let name = row["code"], ["SIA", "CID"].contains(scheme) else { continue }
            let chosen = nearest.first { $0["scheme"] == scheme && $0["code"] == name }
            let new = try #require(chosen?["new"] ?? row["cross_new"])
            if scheme == "SIA" {
                let code = try #require(Vocabulary.sia(name))
                #expect("\(code.counterpart.qualifier.rawValue)\(code.counterpart.code)" == new, "\(name)")
                #expect(code.restoreCounterpart == nil)
                #expect(code.counterpartIsNearest == (chosen != nil))
            } else {
                let code = try #require(Vocabulary.contactID(name))
                let restore = try #require(chosen?["restore"] ?? row["cross_restore"])
                #expect(code.counterpart.code == new, "\(name)")
                #expect(code.restoreCounterpart?.code == restore, "\(name)")
                #expect(code.counterpartIsNearest == (chosen != nil))
            }
        }
    }

    @Test func everyCodeHasACounterpartInTheTable() {
        for code in Self.sia {
            #expect(Vocabulary.contactID(code.counterpart.code) != nil, "\(code.code)")
        }
        for code in Self.contactID {
            #expect(Vocabulary.sia(code.counterpart.code) != nil, "\(code.code)")
            #expect(code.restoreCounterpart.flatMap { Vocabulary.sia($0.code) } != nil, "\(code.code)")
        }
    }

    @Test func restoresAreCodesOfTheTable() {
        for code in Self.sia {
            for pair in code.restores { #expect(Vocabulary.sia(pair) != nil, "\(code.code) is paired with \(pair)") }
        }
    }

    /// What began must not be told as ended, nor the other way round.
    @Test func whatBeganStaysBegun() {
        let begins: Set = ["alarm", "trouble", "bypass", "supervisory", "tamper", "open", "exception", "cancel"]
        let ends: Set = ["restore", "unbypass", "close"]
        for code in Self.sia {
            if begins.contains(code.kind) { #expect(code.counterpart.qualifier == .event, "\(code.code)") }
            // Forced arming has a Contact ID event of its own, which is not an opening when it is new.
            if ends.contains(code.kind), code.code != "CF" {
                #expect(code.counterpart.qualifier == .restore, "\(code.code)")
            }
        }
        for code in Self.contactID where code.kind == "alarm" {
            let new = Vocabulary.sia(code.counterpart.code)?.kind ?? ""
            #expect(begins.contains(new), "1\(code.code) becomes \(code.counterpart.code)")
            let restore = code.restoreCounterpart.flatMap { Vocabulary.sia($0.code)?.kind }
            #expect(restore == "restore", "3\(code.code)")
        }
    }

    /// Even where the tables have the same code for both, a restore does not come out as an alarm.
    @Test func whatEndedIsNotToldAsBegun() throws {
        for code in Self.contactID {
            let ended = try #require(Vocabulary.codes(contactID: code.code, .restore))
            #expect(ended.urgency == .status)
            #expect(Vocabulary.sia(ended.sia)?.urgency == .status, "3\(code.code) becomes \(ended.sia)")
        }
    }

    /// SIA tells more than Contact ID, which has one restore where SIA has three. Elsewhere nothing is lost on the way
    /// there and back; these are all the codes that come back as another.
    @Test func thereAndBackAgain() throws {
        let differ = [
            "BJ": "UJ", "BR": "BH", "BT": "UT", "FR": "FH", "GR": "GH", "HR": "HH", "KR": "KH", "MR": "MH",
            "OC": "BC", "PR": "PH", "QR": "QH", "SR": "SH", "UR": "UH", "WR": "WH", "ZR": "ZH",
        ]
        for code in Self.sia where !code.counterpartIsNearest {
            let there = code.counterpart
            let back = try #require(Vocabulary.codes(contactID: there.code, there.qualifier))
            #expect(back.sia == differ[code.code] ?? code.code, "\(code.code)")
        }
    }

    @Test func noAlarmBecomesLess() throws {
        // Untold, a heat code is a fire until something says it is only warm.
        for code in Self.sia where code.urgency <= .intrusion && code.code != "KA" {
            let other = try #require(Vocabulary.contactID(code.counterpart.code))
            #expect(other.urgency <= code.urgency, "\(code.code) becomes less as \(other.code)")
        }
    }

    @Test(arguments: [
        ("FA", "110", Qualifier.event, Urgency.fire), ("FM", "110", .event, .fire), ("SA", "113", .event, .fire),
        ("KA", "158", .event, .fire), ("PA", "120", .event, .danger), ("GA", "151", .event, .danger),
        ("MA", "100", .event, .danger), ("BA", "130", .event, .intrusion), ("TA", "137", .event, .intrusion),
        ("WA", "154", .event, .technical), ("AT", "301", .event, .trouble), ("BB", "573", .event, .trouble),
        ("CI", "454", .event, .trouble), ("BR", "130", .restore, .status), ("OP", "401", .event, .status),
        ("CL", "401", .restore, .status), ("RP", "602", .event, .status),
        // Of no table: the family's alarm, and the code as it came.
        ("HV", "122", .event, .danger), ("FQ", "373", .restore, .status), ("FO", "110", .event, .fire),
        ("QQ", "101", .event, .danger), ("XB", "140", .event, .intrusion),
    ])
    func sia(code: String, contactID: String, qualifier: Qualifier, urgency: Urgency) throws {
        let codes = try #require(Vocabulary.codes(sia: code))
        #expect(codes == (code, contactID, qualifier, urgency))
    }

    @Test(arguments: [
        ("110", Qualifier.event, "FA", Urgency.fire), ("110", .restore, "FH", .status), ("110", .status, "FA", .status),
        ("114", .event, "KA", .fire), ("129", .event, "HA", .danger), ("162", .event, "GA", .danger),
        ("144", .event, "TA", .intrusion), ("383", .event, "TA", .intrusion), ("150", .event, "UA", .technical),
        ("206", .event, "SS", .trouble), ("571", .event, "FB", .trouble), ("401", .event, "OP", .status),
        ("454", .restore, "UR", .status), ("473", .restore, "BU", .status), ("414", .restore, "YR", .status),
        ("401", .restore, "CL", .status), ("602", .event, "RP", .status), ("750", .event, "UA", .technical),
        // Of no table: the plain event of the group, and the code as it came.
        ("119", .event, "FA", .fire), ("119", .restore, "FH", .status), ("127", .event, "PA", .danger),
        ("199", .event, "UA", .technical), ("2FF", .event, "FS", .trouble), ("39B", .event, "YX", .trouble),
        ("499", .event, "YY", .status), ("599", .event, "UB", .trouble), ("666", .event, "YY", .status),
        ("0B0", .event, "UA", .technical),
    ])
    func contactID(event: String, qualifier: Qualifier, sia: String, urgency: Urgency) throws {
        let codes = try #require(Vocabulary.codes(contactID: event, qualifier))
        #expect(codes == (sia, event, qualifier, urgency))
    }

    @Test(arguments: [
        "", "B", "BAA", "ba", "B1", "BÅ", "\u{212A}A", "B\0", " BA", "🔥🔥", "BA|", "BA|Intrusion zone in alarm",
    ])
    func noSIACode(text: String) {
        #expect(Vocabulary.codes(sia: text) == nil)
        #expect(Vocabulary.sia(text) == nil)
    }

    @Test(arguments: ["", "13", "1130", "1A0", "13b", "1 0", "-10", "１３０", "130\0", "130|"])
    func noContactIDEvent(text: String) {
        #expect(Vocabulary.codes(contactID: text, .event) == nil)
        #expect(Vocabulary.contactID(text) == nil)
    }

    /// Whatever a panel makes up is passed on in both schemes.
    @Test func everyWellFormedCodeCanBeSaid() {
        let letters = (UInt8(ascii: "A")...UInt8(ascii: "Z")).map { String(UnicodeScalar($0)) }
        for first in letters {
            for second in letters { #expect(Vocabulary.codes(sia: first + second)?.sia == first + second) }
        }
        let digits = "0123456789BCDEF".map(String.init)
        for event in digits.flatMap({ a in digits.flatMap { b in digits.map { a + b + $0 } } }) {
            for qualifier in Qualifier.allCases {
                let codes = Vocabulary.codes(contactID: event, qualifier)
                #expect(codes.map { $0.contactID == event && Vocabulary.sia($0.sia) != nil } == true, "\(event)")
            }
        }
    }
}
