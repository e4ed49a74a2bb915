import AlarmProtocol

/// Calendar time for the feed and for people.
enum ISO8601 {
    /// "2026-11-23T12:00:00.000Z" from milliseconds since 1970-01-01 00:00 UTC, within the years 1 to 9999.
    static func text(utc milliseconds: Int64) -> String {
        let timestamp = Timestamp(utc: milliseconds)
        let text = Array(timestamp.text.utf8)  // HH:MM:SS,MM-DD-YYYY
        let fraction = min(max(milliseconds &- timestamp.utc, 0), 999)
        let digits = String(fraction + 1_000).utf8.dropFirst()
        let date = text[15..<19] + Array("-".utf8) + text[9..<14]
        return String(decoding: date + Array("T".utf8) + text[0..<8] + Array(".".utf8) + digits, as: UTF8.self) + "Z"
    }
}
