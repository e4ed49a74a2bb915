import Testing

@testable import AlarmProtocol

@Suite struct TimestampTests {
    @Test(arguments: [
        ("00:00:00,01-01-1970", 0), ("23:59:59,12-31-1969", -1), ("13:14:15,02-15-2006", 1_140_009_255),
        ("12:00:00,11-23-2026", 1_795_435_200), ("23:59:59,02-28-2024", 1_709_164_799),
        ("00:00:00,02-29-2024", 1_709_164_800),
        ("00:00:00,03-01-2024", 1_709_251_200), ("00:00:00,03-01-2023", 1_677_628_800),
        ("00:00:00,02-29-2000", 951_782_400),
        ("00:00:00,03-01-1900", -2_203_891_200), ("23:59:59,12-31-9999", 253_402_300_799),
        ("00:00:00,01-01-0001", -62_135_596_800),
    ]) func sameBothWays(_ text: String, _ seconds: Int64) {
        #expect(Timestamp(text)?.utc == seconds * 1000)
        #expect(Timestamp(utc: seconds * 1000).text == text)
        #expect(Timestamp(utc: seconds * 1000 + 999).text == text)
    }

    @Test(arguments: [
        "24:00:00,01-01-2026", "00:60:00,01-01-2026", "00:00:60,01-01-2026", "00:00:00,00-01-2026",
        "00:00:00,13-01-2026",
        "00:00:00,01-00-2026", "00:00:00,01-32-2026", "00:00:00,04-31-2026", "00:00:00,02-29-2026",
        "00:00:00,02-29-1900",
        "00:00:00,02-29-2100", "00:00:00,02-30-2024", "00:00:00,01-01-0000", "0:00:00,01-01-2026", "00:00:00,1-1-2026",
        "00:00:00,01-01-26", "00:00:00 01-01-2026", "00:00:00,01/01/2026", "00:00:00,01-01-2026 ", "",
        "００:00:00,01-01-2026",
        "+1:00:00,01-01-2026", "00:00:00,01-01--202",
    ]) func whatIsNoTimeIsRefused(_ text: String) {
        #expect(Timestamp(text) == nil)
    }

    @Test func everyDayOfFourHundredYearsFollowsTheOneBefore() {
        var (year, month, day) = (1999, 12, 31)
        var wrong: [String] = []
        for number in 0..<146_097 {
            let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
            let length = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
            day += 1
            if day > length { (day, month) = (1, month + 1) }
            if month > 12 { (month, year) = (1, year + 1) }
            let time = Timestamp(utc: (946_684_800 + Int64(number) * 86_400) * 1000)
            let digits = time.bytes.map { Int($0) - 48 }
            let isRight =
                digits[9] * 10 + digits[10] == month && digits[12] * 10 + digits[13] == day
                && digits[15...].reduce(0) { $0 * 10 + $1 } == year && Timestamp(time.bytes) == time
            if !isRight { wrong.append(time.text) }
        }
        #expect(wrong == [])
        #expect((year, month, day) == (2399, 12, 31))
    }

    @Test func anyNumberOfMillisecondsIsHeldWithinTheCalendar() {
        #expect(Timestamp(utc: .max).text == "23:59:59,12-31-9999")
        #expect(Timestamp(utc: .min).text == "00:00:00,01-01-0001")
    }

    @Test func theWindowIsTwentySecondsAheadAndFortyBehind() {
        let now: Int64 = 1_795_435_200_000
        for (seconds, accepted) in [(20, true), (21, false), (-40, true), (-41, false), (0, true)] as [(Int64, Bool)] {
            #expect(TimeWindow.accepts(Timestamp(utc: now + seconds * 1000), now: now + 999) == accepted)
        }
        #expect(!TimeWindow.accepts(nil, now: now))
    }
}

@Suite struct KeyTests {
    @Test(arguments: [(32, "AES-128 key"), (48, "AES-192 key"), (64, "AES-256 key")]) func neverShowsItself(
        _ count: Int, _ name: String
    ) throws {
        let digits = String(String(repeating: "0123456789abcdef", count: 4).prefix(count))
        let hex = try Key(hex: digits)
        let text = try Key(text: String(repeating: "s3cr", count: count / 8))
        for key in [hex, text] {
            var dumped = ""
            dump(key, to: &dumped)
            for shown in [
                key.description, "\(key)", String(reflecting: key), dumped, "\([key])", "\(Optional(key) as Any)",
            ] {
                #expect(shown.contains(name))
                #expect(!shown.contains("0123") && !shown.contains("s3cr") && !shown.contains("[48"))
            }
        }
    }

    @Test func theSameCharactersAreTwoKeys() throws {
        let characters = "0123456789ABCDEF0123456789ABCDEF"
        #expect(try Key(hex: characters) != Key(text: characters))
        #expect(try Key(hex: characters) == Key(hex: characters.lowercased()))
        #expect(try Set([Key(hex: characters), Key(hex: characters.lowercased())]).count == 1)
    }

    @Test(arguments: [
        "", "00", "0123456789ABCDEF0123456789ABCDEG", String(repeating: "A", count: 33),
        "０" + String(repeating: "0", count: 29),
    ])
    func whatIsNoKeyIsRefusedUnseen(_ text: String) {
        for attempt in [{ try Key(hex: text) }, { try Key(text: text) }] as [() throws -> Key] {
            do {
                let key = try attempt()
                #expect(text.utf8.count == 32 && key.description == "AES-256 key")
            } catch {
                #expect(text.isEmpty || text == "00" || !"\(error)".contains(text))
                #expect("\(error)".contains("found"))
            }
        }
    }

    /// A peer may send a key; it is not shown either.
    @Test func aKeyBlockIsNotShown() throws {
        let message = try Envelope.parse(Vector["R018"].bytes).opened(with: nil)
        var dumped = ""
        dump(message, to: &dumped)
        #expect(!dumped.contains("abcd") && !"\(message)".contains("abcd") && !"\(message.extended)".contains("[97"))
    }
}

@Suite struct CharacterSetTests {
    @Test(arguments: [
        ("Huvudentré", "Huvudentr\u{E9}", "Huvudentre"),
        ("Åäö ÅÄÖ", "\u{C5}\u{E4}\u{F6} \u{C5}\u{C4}\u{D6}", "Aao AAO"),
        ("A\u{30A}", "\u{C5}", "A"), ("5 € – ”x”", "5 \u{80} \u{96} \u{94}x\u{94}", "5 EUR - \"x\""),
        ("Łódź", "L\u{F3}dz", "Lodz"), ("火 fire", "? fire", "? fire"), ("[a]|b^c", "(a)/b'c", "(a)/b'c"),
        ("a\r\nb\u{0}c\u{85}d", "a b c?d", "a b c?d"), ("👩‍🚒", "?", "?"), ("Straße", "Stra\u{DF}e", "Strasse"),
    ]) func saysWhatItCan(_ text: String, _ windows: String, _ ascii: String) {
        #expect(CharacterSet.windows1252.encode(text).latin1 == windows)
        #expect(CharacterSet.ascii.encode(text).latin1 == ascii)
    }

    @Test func everyTextMayStandInAFrame() {
        var wrong: [UInt32] = []
        for scalar in (UInt32(0)...0x2FFF).compactMap({ Unicode.Scalar($0) }) {
            let isRight = CharacterSet.allCases.allSatisfy { set in
                set.encode(String(scalar)).allSatisfy { byte in
                    byte >= 0x20 && ![0x5B, 0x5D, 0x5E, 0x7C, 0x7F].contains(byte) && (set != .ascii || byte < 0x80)
                }
            }
            if !isRight { wrong.append(scalar.value) }
        }
        #expect(wrong == [])
    }

    @Test func comesBackWhateverTheSetWas() {
        let text = "Källare – larm €, »Müller« œuvre Ž"
        #expect(CharacterSet.decode(CharacterSet.utf8.encode(text)) == text)
        #expect(CharacterSet.decode(CharacterSet.windows1252.encode(text)) == text)
        #expect(CharacterSet.decode([0x81, 0x0A, 0x41]) == "\u{FFFD} A")
        #expect(CharacterSet.decode([]) == "")
    }

    @Test func isCutBetweenCharacters() {
        #expect(CharacterSet.utf8.encode("aåå", limit: 4) == Array("aå".utf8))
        #expect(CharacterSet.ascii.encode("5€", limit: 3) == Array("5".utf8))
        #expect(CharacterSet.utf8.encode("å", limit: 0) == [])
    }
}
