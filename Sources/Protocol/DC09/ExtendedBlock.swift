/// One block of extended data, `[Mvalue]`: a letter that says what it is, and a value (DC-09 reference 8).
public struct ExtendedBlock: Sendable, Hashable, CustomStringConvertible, CustomReflectable {
    /// What the value is. Letters that are not named here are vendors' own.
    public struct Kind: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }

        public static let authentication = Kind(rawValue: UInt8(ascii: "A"))
        public static let supervisionCategory = Kind(rawValue: UInt8(ascii: "C"))
        public static let networkPath = Kind(rawValue: UInt8(ascii: "G"))
        /// When it happened, `HH:MM:SS,MM-DD-YYYY` in UTC.
        public static let timeOfOccurrence = Kind(rawValue: UInt8(ascii: "H"))
        /// What happened, for the operator.
        public static let text = Kind(rawValue: UInt8(ascii: "I"))
        public static let json = Kind(rawValue: UInt8(ascii: "J"))
        /// An encryption key. Never printed, never obeyed.
        public static let key = Kind(rawValue: UInt8(ascii: "K"))
        public static let location = Kind(rawValue: UInt8(ascii: "L"))
        /// The transmitter's hardware address, 12 hexadecimal digits.
        public static let mac = Kind(rawValue: UInt8(ascii: "M"))
        public static let networkAddress = Kind(rawValue: UInt8(ascii: "N"))
        public static let building = Kind(rawValue: UInt8(ascii: "O"))
        public static let programming = Kind(rawValue: UInt8(ascii: "P"))
        public static let room = Kind(rawValue: UInt8(ascii: "R"))
        public static let site = Kind(rawValue: UInt8(ascii: "S"))
        public static let trigger = Kind(rawValue: UInt8(ascii: "T"))
        public static let verification = Kind(rawValue: UInt8(ascii: "V"))
        public static let longitude = Kind(rawValue: UInt8(ascii: "X"))
        public static let latitude = Kind(rawValue: UInt8(ascii: "Y"))
        public static let altitude = Kind(rawValue: UInt8(ascii: "Z"))

        /// The letter.
        public var description: String { String(Unicode.Scalar(rawValue)) }
    }

    public var kind: Kind
    public var value: [UInt8]

    public init(_ kind: Kind, _ value: [UInt8]) {
        self.kind = kind
        self.value = value
    }

    /// The value as text, whichever character set it came in.
    public var text: String { CharacterSet.decode(value) }

    /// As on the wire, except that a key is not shown.
    public var description: String { kind == .key ? "[K, not shown]" : "[\(kind)\(text)]" }
    public var customMirror: Mirror { Mirror(self, children: ["block": description]) }
}
