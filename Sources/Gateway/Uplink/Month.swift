/// A calendar month in UTC.
public struct Month: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// Months since January 1970.
    let number: Int

    /// December 9999.
    static let last = Month(number: 8030 * 12 - 1)

    init(number: Int) { self.number = min(max(0, number), 8030 * 12 - 1) }

    /// The month of a time; a time before 1970 or after 9999 counts to the first or the last.
    public init(utc: Int64) {
        let utc = min(max(0, utc), 253_402_300_799_999)
        // By the mean length of a month, then the one beside it where that misses.
        var number = Int(utc / 2_629_746_000)
        while Self.start(number) > utc { number -= 1 }
        while Self.start(number + 1) <= utc { number += 1 }
        self.number = number
    }

    /// "2026-11".
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 4, parts[1].utf8.count == 2,
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let year = Int(parts[0]), let month = Int(parts[1]), year >= 1970, (1...12).contains(month)
        else { return nil }
        number = (year - 1970) * 12 + month - 1
    }

    /// Its first millisecond, and the first of the next month.
    var start: Int64 { Self.start(number) }
    var end: Int64 { Self.start(number + 1) }
    var next: Month { Month(number: number + 1) }

    public var description: String {
        let month = number % 12 + 1
        return "\(1970 + number / 12)-\(month < 10 ? "0" : "")\(month)"
    }

    public static func < (a: Month, b: Month) -> Bool { a.number < b.number }

    private static let daysBefore: [Int64] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334]

    private static func start(_ number: Int) -> Int64 {
        let year = Int64(1970 + number / 12)
        let month = number % 12
        let past = year - 1
        var days = 365 * (year - 1970) + past / 4 - past / 100 + past / 400 - 477 + daysBefore[month]
        if month > 1, year % 4 == 0, year % 100 != 0 || year % 400 == 0 { days += 1 }
        return days * 86_400_000
    }
}
