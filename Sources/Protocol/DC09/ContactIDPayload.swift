/// An ADM-CID event, `#4711|1130 01 015`: SIA DC-05 as DC-09 carries it (DC-09 reference 7.3).
public struct ContactIDPayload: Sendable, Hashable {
    /// The account in the data, or nil where they name none.
    public var account: String?
    public var qualifier: Qualifier
    /// Three digits. DC-05 has 0–9 and B–F; kept as they came.
    public var event: String
    /// Two digits; "00" means none.
    public var partition: String
    /// Three digits, a zone or a user as the event has it; "000" means none.
    public var zoneOrUser: String

    /// Reads the data of an ADM-CID message. Strict: nothing but this grammar tells garbled data from an alarm.
    public static func parse(_ data: [UInt8]) throws(FrameError) -> ContactIDPayload {
        let scanner = try PayloadScanner(data)
        let start = scanner.content.startIndex
        let text = Array(scanner.content)
        guard text.count == 11, text[4] == UInt8(ascii: " "), text[7] == UInt8(ascii: " ") else {
            throw PayloadScanner.fault("QEEE GG ZZZ", at: start)
        }
        guard let digit = text[0].hexValue, let qualifier = Qualifier(rawValue: digit) else {
            throw PayloadScanner.fault("1, 3 or 6 for new, restored or still there", at: start)
        }
        for (range, what) in [(1..<4, "three digits of event"), (5..<7, "two of partition"), (8..<11, "three of zone")]
        {
            guard text[range].isHexadecimal(0...3) else {
                throw PayloadScanner.fault(what, at: start + range.lowerBound)
            }
        }
        return ContactIDPayload(
            account: scanner.account, qualifier: qualifier, event: text[1..<4].ascii, partition: text[5..<7].ascii,
            zoneOrUser: text[8..<11].ascii)
    }
}
