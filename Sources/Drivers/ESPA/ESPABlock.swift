/// The control characters of ESPA 4.4.4 (section 2.3; IA5).
enum ESPACharacter {
    static let soh: UInt8 = 0x01
    static let stx: UInt8 = 0x02
    static let etx: UInt8 = 0x03
    static let eot: UInt8 = 0x04
    static let enq: UInt8 = 0x05
    static let ack: UInt8 = 0x06
    static let nak: UInt8 = 0x15
    static let rs: UInt8 = 0x1E
    static let us: UInt8 = 0x1F
}

/// One data block: a header and its records (ESPA 4.4.4, section 4).
struct ESPABlock: Sendable, Hashable {
    enum Header: Int, Sendable {
        case call = 1
        case statusInformation = 2
        case statusRequest = 3
        case subscriberCall = 4
        case manufacturer = 5

        /// It asks for somebody's attention. What a maker adds of his own is taken for a call too, so as to lose none.
        var isCall: Bool { self == .call || self == .subscriberCall || self == .manufacturer }
    }

    /// The records that this driver looks at.
    enum Identifier: Int, Sendable {
        case address = 1
        case text = 2
        case beep = 3
        case callType = 4
        case priority = 6
        case systemStatus = 8
    }

    struct Record: Sendable, Hashable {
        var identifier: Int
        var data: [UInt8]
    }

    /// Why a block with a right checksum could not be read.
    struct NotUnderstood: Error, Equatable { var why: String }

    var header: Header
    /// In the order sent: the specification leaves it open.
    var records: [Record]

    /// Reads what stood between SOH and ETX. As forgiving as panels need: a final RS, blanks around a header or an
    /// identifier, unknown identifiers, texts beyond 128 characters.
    init(_ body: [UInt8]) throws(NotUnderstood) {
        guard let start = body.firstIndex(of: ESPACharacter.stx) else { throw NotUnderstood(why: "no STX") }
        guard let number = Self.number(body[..<start]), let header = Header(rawValue: number) else {
            throw NotUnderstood(why: "no header from 1 to 5")
        }
        self.header = header
        records = []
        for part in body[(start + 1)...].split(separator: ESPACharacter.rs) where part.contains(where: { $0 != 0x20 }) {
            guard let split = part.firstIndex(of: ESPACharacter.us), let identifier = Self.number(part[..<split]) else {
                throw NotUnderstood(why: "a record without a number and US")
            }
            records.append(Record(identifier: identifier, data: Array(part[(split + 1)...])))
        }
        if records.isEmpty { throw NotUnderstood(why: "no record") }
    }

    /// The data of all records of one kind. A text may be spread over several.
    func data(_ identifier: Identifier) -> [[UInt8]] {
        records.filter { $0.identifier == identifier.rawValue }.map(\.data)
    }

    /// A record's value as a number; nil where it is missing or is none, which means "default" (section 4.3).
    func value(_ identifier: Identifier) -> Int? { data(identifier).first.flatMap { Self.number($0[...]) } }

    /// A value's first digit has the specification's meaning; a maker may add others behind it (section 4.3: "71").
    static func mainDigit(_ value: Int) -> Int { value < 10 ? value : mainDigit(value / 10) }

    /// Up to four digits, with blanks around them.
    private static func number(_ bytes: ArraySlice<UInt8>) -> Int? {
        let digits = bytes.filter { $0 != 0x20 }
        guard (1...4).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return digits.reduce(0) { $0 * 10 + Int($1 - 0x30) }
    }
}
