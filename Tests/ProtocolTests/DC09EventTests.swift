import Testing

@testable import AlarmProtocol

@Suite struct DC09EventTests {
    private let event = Event(
        account: "4711", point: "gpio.cabinet.front-door", partition: 1, zone: 5, sia: "BA", contactID: "130",
        urgency: .intrusion, text: "Huvudentré [norr]",
        occurred: Moment(utc: 1_795_435_200_500, uptime: 1, clock: .known))

    @Test func isToldInSIA() throws {
        let message = try event.message(as: .siaDCS, sequence: 42, receiver: "1", line: "2")
        #expect(message.data.latin1 == "#4711|Nri1/BA5|AHuvudentr\u{E9} (norr)")
        #expect(message.header == Header(sequence: 42, receiver: "1", line: "2", account: "4711"))
        #expect(message.token == .siaDCS)
        #expect(message.extended == [])
        #expect(message.timestamp == nil)
    }

    @Test func isToldInContactID() throws {
        let message = try event.message(
            as: .contactID, sequence: 1, account: "A001", characterSet: .ascii, extended: [.text, .timeOfOccurrence],
            sendingTime: Timestamp(utc: 0))
        #expect(message.data.ascii == "#4711|1130 01 005")
        #expect(message.header.account == "A001")
        #expect(message.extended.map(\.description) == ["[H12:00:00,11-23-2026]", "[IHuvudentre (norr)]"])
        #expect(message.timestamp?.utc == 0)
    }

    @Test func theTextIsSaidOnce() throws {
        let message = try event.message(as: .siaDCS, sequence: 1, characterSet: .utf8, extended: [.text])
        #expect(message.data.ascii == "#4711|Nri1/BA5")
        #expect(message.extended == [ExtendedBlock(.text, Array("Huvudentré (norr)".utf8))])
    }

    @Test func whatIsNotThereIsNotSaid() throws {
        var event = event
        event.text = ""
        event.zone = 0
        event.partition = 0
        event.occurred.clock = .unknown
        let allowed: Set<ExtendedBlock.Kind> = [.text, .timeOfOccurrence]
        let sia = try event.message(as: .siaDCS, sequence: 1, extended: allowed)
        #expect(sia.data.ascii == "#4711|NBA")
        #expect(sia.extended == [])
        #expect(try event.message(as: .contactID, sequence: 1).data.ascii == "#4711|1130 00 000")
        event.qualifier = .restore
        #expect(try event.message(as: .contactID, sequence: 1).data.ascii == "#4711|3130 00 000")
        event.qualifier = .status
        #expect(try event.message(as: .contactID, sequence: 1).data.ascii == "#4711|6130 00 000")
    }

    /// A receiver knows a repeat by sequence, data and blocks: only the sending time may differ.
    @Test func isToldTheSameWayAgain() throws {
        let allowed: Set<ExtendedBlock.Kind> = [.text, .timeOfOccurrence]
        var first = try event.message(
            as: .siaDCS, sequence: 1, extended: allowed, sendingTime: Timestamp(utc: event.occurred.utc))
        let again = try event.message(
            as: .siaDCS, sequence: 1, extended: allowed, sendingTime: Timestamp(utc: event.occurred.utc + 60_000))
        first.timestamp = again.timestamp
        #expect(first == again)
    }

    @Test func theLongestFitsWhereReceiversReadThousandBytes() throws {
        var event = event
        event.account = "FEDCBA9876543210"
        event.text = String(repeating: "€", count: 5000)
        event.partition = 99
        event.zone = 9999
        for set in CharacterSet.allCases {
            for extended: Set<ExtendedBlock.Kind> in [[], [.text, .timeOfOccurrence]] {
                let message = try event.message(
                    as: .siaDCS, sequence: 9999, receiver: "FFFFFF", line: "FFFFFF", characterSet: set,
                    extended: extended, sendingTime: Timestamp(utc: 0))
                #expect(try message.frame(key: Key(text: "0123456789ABCDEF")).count < 1000)
            }
        }
    }

    @Test func whatCannotBeSaidIsRefused() {
        func refusal(_ change: (inout Event) -> Void, _ format: PayloadFormat = .siaDCS) -> String {
            var event = event
            change(&event)
            do throws(FrameError) {
                _ = try event.message(as: format, sequence: 1)
                return ""
            } catch {
                return error.description
            }
        }
        #expect(refusal { _ in } == "")
        #expect(refusal { $0.zone = 10_000 }.contains("zone 10000"))
        #expect(refusal({ $0.zone = -1 }, .contactID).contains("zone -1"))
        #expect(refusal { $0.partition = 100 }.contains("partition 100"))
        #expect(refusal { $0.sia = "B" }.contains("SIA code \"B\""))
        #expect(refusal { $0.sia = "ba" }.contains("SIA code \"ba\""))
        #expect(refusal({ $0.contactID = "13" }, .contactID).contains("Contact ID event \"13\""))
        #expect(refusal { $0.account = "47|1" }.contains("account"))
        #expect(refusal { $0.account = "" }.contains("account"))
    }

    @Test("A zone that Contact ID has no room for is said in the text, and not as another zone")
    func zoneBeyondContactID() throws {
        var event = event
        event.zone = 1011
        let sia = try event.message(as: .siaDCS, sequence: 7, extended: [.text])
        #expect(String(decoding: sia.data, as: UTF8.self).contains("BA1011"))
        let contactID = try event.message(as: .contactID, sequence: 7, characterSet: .utf8, extended: [.text])
        #expect(String(decoding: contactID.data, as: UTF8.self).hasSuffix(" 000"))
        #expect(contactID.extended == [ExtendedBlock(.text, Array("1011 Huvudentr\u{E9} (norr)".utf8))])
    }

    @Test func comesOutAsAReportOfTheSame() throws {
        for (format, code) in [(PayloadFormat.siaDCS, "BA"), (.contactID, "130")] {
            let message = try event.message(as: format, sequence: 7, extended: [.text, .timeOfOccurrence])
            let reports = try Report.reports(of: Envelope.parse(message.frame()).opened(with: nil))
            let report = try #require(reports.first)
            #expect(reports.count == 1)
            #expect(report.account == "4711")
            #expect(report.code == code)
            #expect(Int(report.partition) == 1)
            #expect(Int(report.address) == 5)
            #expect(report.text == "Huvudentré (norr)")
            #expect(report.occurred?.utc == 1_795_435_200_000)
        }
    }
}
