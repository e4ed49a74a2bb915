/// A time as DC-09 writes it: UTC, whole seconds, `HH:MM:SS,MM-DD-YYYY` (DC-09 reference 9). Years 1 to 9999.
public struct Timestamp: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Milliseconds since 1970-01-01 00:00 UTC, a multiple of 1000.
    public let utc: Int64

    /// From milliseconds since 1970-01-01 00:00 UTC: cut to the second, and held within the years 1 to 9999.
    public init(utc milliseconds: Int64) {
        let held = min(max(milliseconds, Self.first), Self.last)
        utc = held - (held % 1000 + 1000) % 1000
    }

    /// Exactly 19 characters, and a day that exists: no 29 February in 2026, no second 60. Else nil.
    public init?(_ text: some Sequence<UInt8>) {
        let bytes = Array(text)
        guard Self.hasShape(bytes[...]) else { return nil }
        func number(_ range: Range<Int>) -> Int64 {
            bytes[range].reduce(0) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
        }
        let (hour, minute, second) = (number(0..<2), number(3..<5), number(6..<8))
        let (month, day, year) = (number(9..<11), number(12..<14), number(15..<19))
        guard hour < 24, minute < 60, second < 60, (1...12).contains(month), year >= 1,
            (1...Self.days(inMonth: month, of: year)).contains(day)
        else { return nil }
        let days = Self.daysSince1970(year: year, month: month, day: day)
        utc = (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000
    }

    public init?(_ text: String) { self.init(text.utf8) }

    /// `HH:MM:SS,MM-DD-YYYY`
    public var text: String { String(decoding: bytes, as: UTF8.self) }
    public var description: String { text }

    /// The 19 bytes of `text`.
    public var bytes: [UInt8] {
        let seconds = Int(utc / 1000)
        let ofDay = (seconds % 86400 + 86400) % 86400
        let (year, month, day) = Self.date(daysSince1970: (seconds - ofDay) / 86400)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.length)
        bytes.appendDecimal(ofDay / 3600, digits: 2)
        bytes.append(UInt8(ascii: ":"))
        bytes.appendDecimal(ofDay / 60 % 60, digits: 2)
        bytes.append(UInt8(ascii: ":"))
        bytes.appendDecimal(ofDay % 60, digits: 2)
        bytes.append(UInt8(ascii: ","))
        bytes.appendDecimal(month, digits: 2)
        bytes.append(UInt8(ascii: "-"))
        bytes.appendDecimal(day, digits: 2)
        bytes.append(UInt8(ascii: "-"))
        bytes.appendDecimal(year, digits: 4)
        return bytes
    }

    public static func < (a: Timestamp, b: Timestamp) -> Bool { a.utc < b.utc }

    static let length = 19
    private static let pattern = Array("00:00:00,00-00-0000".utf8)
    private static let first = daysSince1970(year: 1, month: 1, day: 1) * 86_400_000
    private static let last = daysSince1970(year: 10_000, month: 1, day: 1) * 86_400_000 - 1000

    /// Digits where digits belong and separators where separators belong, whether or not there is such a time.
    static func hasShape(_ bytes: ArraySlice<UInt8>) -> Bool {
        bytes.count == length
            && zip(bytes, pattern).allSatisfy { byte, model in
                model == UInt8(ascii: "0") ? byte.isDecimalDigit : byte == model
            }
    }

    private static func isLeap(_ year: Int64) -> Bool { year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) }

    private static func days(inMonth month: Int64, of year: Int64) -> Int64 {
        switch month {
        case 2: isLeap(year) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Gregorian, counted in years that begin in March, so that the leap day is a year's last.
    private static func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
        let year = month > 2 ? year : year - 1
        let monthFromMarch = (month + 9) % 12
        let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
        return year * 365 + year / 4 - year / 100 + year / 400 + dayOfYear - 719_468
    }

    /// The inverse; for days from year 1 on.
    private static func date(daysSince1970 days: Int) -> (year: Int, month: Int, day: Int) {
        let days = days + 719_468  // since 0000-03-01
        let (era, dayOfEra) = days.quotientAndRemainder(dividingBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, day)
    }
}
