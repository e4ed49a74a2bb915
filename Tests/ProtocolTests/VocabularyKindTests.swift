import Testing

@testable import AlarmProtocol

@Suite struct VocabularyKindTests {
    @Test func everyRowIsInTheTableWithItsColumns() throws {
        let rows = try Tables.rows(of: "kinds.csv")
        #expect(rows.count == EventKind.all.count)
        for row in rows {
            let name = try #require(row["name"])
            let kind = try #require(EventKind.named(name), "\(name)")
            #expect(kind.swedish == row["swedish"])
            #expect(kind.english == row["english"])
            #expect(kind.address.rawValue == row["address"])
            #expect(kind.urgency == row["urgency"].flatMap(Urgency.init(name:)), "\(name)")

            let contactID = try #require(row["contact_id"])
            let began = try #require(kind.codes(began: true))
            #expect(began.sia == row["sia"])
            #expect(began.contactID == contactID.dropFirst())
            #expect(began.qualifier == Qualifier(of: contactID))
            #expect(began.urgency == kind.urgency)

            let restore = try #require(row["contact_id_restore"])
            let ended = kind.codes(began: false)
            #expect((ended?.sia ?? "") == row["sia_restore"], "\(name)")
            #expect((ended?.contactID ?? "") == restore.dropFirst(), "\(name)")
            #expect(ended?.qualifier == Qualifier(of: restore), "\(name)")
            #expect(ended.map(\.urgency) == (restore.isEmpty ? nil : .status), "\(name)")
        }
    }

    @Test func namesAreUniqueWordsJoinedByDashes() throws {
        let names = EventKind.all.map(\.name)
        #expect(Set(names).count == names.count)
        #expect(names == names.sorted())
        let word = try Regex("[a-z]+(-[a-z]+)*")
        for name in names { #expect(name.wholeMatch(of: word) != nil, "\(name)") }
    }

    @Test(arguments: ["", "Fire", "fire ", "fire-", "fir", "zzz", "aaa", "brandlarm"])
    func unknownNames(name: String) {
        #expect(EventKind.named(name) == nil)
    }

    @Test func codesAreInTheTables() {
        for kind in EventKind.all {
            for codes in [kind.codes(began: true), kind.codes(began: false)].compactMap({ $0 }) {
                #expect(Vocabulary.sia(codes.sia) != nil, "\(kind.name)")
                #expect(Vocabulary.contactID(codes.contactID) != nil, "\(kind.name)")
                #expect(codes.qualifier != .status, "\(kind.name)")
            }
        }
    }

    /// The restore is one that the trade's table pairs with the code.
    @Test func restoresAreThoseOfTheTrade() throws {
        for kind in EventKind.all {
            let sia = try #require(Vocabulary.sia(kind.sia))
            if let restore = kind.siaRestore {
                #expect(sia.restores.contains(restore), "\(kind.name)")
            }
        }
    }

    /// Contact ID has no customary restore for these, and SIA has; it is sent, so that what began is seen to end.
    @Test func contactIDRestores() throws {
        let unusual: Set = [
            "clock-unknown", "door-forced", "door-held", "local-programming", "remote-programming", "test-mode",
        ]
        for kind in EventKind.all where kind.siaRestore != nil {
            let event = try #require(Vocabulary.contactID(kind.contactID))
            #expect(event.restores.isEmpty == unusual.contains(kind.name), "\(kind.name)")
        }
    }

    /// A kind knows more of its meaning than a code does; these are all the kinds whose urgency therefore differs.
    @Test func urgencyIsThatOfTheCodesUnlessListed() throws {
        let known: Set = [
            "fire-unclassified", "fire-warning", "heat", "queue-filling", "refrigeration", "restart", "technical",
        ]
        for kind in EventKind.all {
            let sia = try #require(Vocabulary.codes(sia: kind.sia))
            let contactID = try #require(Vocabulary.codes(contactID: kind.contactID, kind.eventQualifier))
            let agrees = sia.urgency == kind.urgency && contactID.urgency == kind.urgency
            #expect(agrees != known.contains(kind.name), "\(kind.name)")
        }
    }

    /// SIA's code for arming stands for a Contact ID restore, and the other way round.
    @Test func armingIsAClosing() throws {
        let arming = try #require(EventKind.named("arming"))
        #expect(arming.codes(began: true).map { $0 == ("CL", "401", .restore, .status) } == true)
        #expect(arming.codes(began: false).map { $0 == ("OP", "401", .event, .status) } == true)
        let disarming = try #require(EventKind.named("disarming"))
        #expect(disarming.codes(began: true).map { $0 == ("OP", "401", .event, .status) } == true)
    }

    @Test(arguments: [
        ("burglary", Urgency.intrusion), ("fire-call-point", .fire), ("lift", .danger), ("technical", .technical),
        ("device-lost", .trouble), ("test", .status), ("queue-full", .trouble), ("event-parked", .trouble),
    ])
    func urgency(name: String, urgency: Urgency) throws {
        #expect(try #require(EventKind.named(name)).urgency == urgency)
    }

    @Test func onceOnlyKindsHaveNoEnd() throws {
        for name in ["test", "manual-test", "power-up", "time-changed", "burglary-cancel"] {
            #expect(try #require(EventKind.named(name)).codes(began: false) == nil, "\(name)")
        }
    }
}
