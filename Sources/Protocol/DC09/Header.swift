/// Who is speaking and of what, in clear in every frame. The texts are kept as they stand on the wire, because a reply
/// echoes them byte for byte and leading zeros count (DC-09 reference 5 and 6).
public struct Header: Sendable, Hashable {
    /// 0–9999. Events have 1–9999; link tests and NAK have 0.
    public var sequence: Int
    /// The virtual receiver: 1–6 hexadecimal digits, without the R. Nil where the frame has none.
    public var receiver: String?
    /// The account's prefix, or receiver line: 1–6 hexadecimal digits, without the L. "0" where it is not used.
    public var line: String
    /// The transmitter's account: 3–16 hexadecimal digits, without the #.
    public var account: String

    public init(sequence: Int, receiver: String? = nil, line: String = "0", account: String) {
        self.sequence = sequence
        self.receiver = receiver
        self.line = line
        self.account = account
    }
}

extension Header {
    /// What of this header DC-09 does not allow in a frame that we make, in words; nil when all is well.
    var fault: String? {
        if !(0...9999).contains(sequence) { return "the sequence number \(sequence): expected 0 to 9999" }
        if let receiver, !receiver.isHexadecimal(1...6) {
            return "the receiver number R\(receiver): expected 1 to 6 hexadecimal digits"
        }
        if !line.isHexadecimal(1...6) { return "the line L\(line): expected 1 to 6 hexadecimal digits" }
        if !account.isHexadecimal(3...16) { return "the account #\(account): expected 3 to 16 hexadecimal digits" }
        return nil
    }

    /// Appends `0042R1L0#4711[`, whatever the texts are.
    func append(to body: inout [UInt8]) {
        body.appendDecimal(sequence, digits: 4)
        if let receiver {
            body.append(UInt8(ascii: "R"))
            body.append(contentsOf: receiver.utf8)
        }
        body.append(UInt8(ascii: "L"))
        body.append(contentsOf: line.utf8)
        body.append(UInt8(ascii: "#"))
        body.append(contentsOf: account.utf8)
        body.append(UInt8(ascii: "["))
    }
}
