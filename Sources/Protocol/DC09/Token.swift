/// What a frame is: the word between its quotation marks, without the star that marks encryption (DC-09 reference 4).
public struct Token: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    private init(_ word: String) { rawValue = word }

    /// Link test: "I am here". Carries no event.
    public static let null = Token("NULL")
    /// Link test with extended data. Only the latest editions know it.
    public static let extendedNull = Token("XNM")
    /// The receiver has the message.
    public static let ack = Token("ACK")
    /// The receiver cannot accept the message's time; carries the receiver's own.
    public static let nak = Token("NAK")
    /// The receiver read the frame and cannot process it.
    public static let duh = Token("DUH")
    /// Message response, from a receiver.
    public static let rsp = Token("RSP")
    /// An event in SIA DC-03.
    public static let siaDCS = Token("SIA-DCS")
    /// An event in Contact ID, SIA DC-05.
    public static let admCID = Token("ADM-CID")

    /// The other payloads that DC-09 lists. They are carried and passed on; what is in them is not read here.
    public static let otherPayloads: [Token] = [
        "SIA-PUL", "ACR-SF", "ADM-41E", "ADM-42E", "ADM-HS", "DSC-43", "FBI-SF", "ITI-I", "SCN-S8", "SCN-S16",
        "SCN-S24",
        "SCT", "SES-SS", "SIA-S2K", "SK-FSK1", "SK-FSK2",
    ].map { Token($0) }

    /// A payload that is an event's, in any of the listed forms.
    public var isPayload: Bool { self == .siaDCS || self == .admCID || Self.otherPayloads.contains(self) }
    /// What a transmitter sends to show that it lives.
    public var isLinkTest: Bool { self == .null || self == .extendedNull }
    /// What only a receiver says.
    public var isReply: Bool { self == .ack || self == .nak || self == .duh || self == .rsp }
    /// Listed by DC-09. Upper case only: "sia-dcs" is unknown.
    public var isKnown: Bool { isLinkTest || isReply || isPayload }

    public var description: String { rawValue }
}
