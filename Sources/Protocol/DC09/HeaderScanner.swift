/// Reads a header from left to right. Notes the first fault and reads on, so that a refusal can be addressed to who
/// sent it (DC-09 reference 13: DUH if sequence, line and account can be read, otherwise silence).
struct HeaderScanner {
    private var rest: ArraySlice<UInt8>

    init(_ content: ArraySlice<UInt8>) { rest = content }

    /// The word in quotation marks, star and all.
    mutating func token() -> (word: ArraySlice<UInt8>, fault: FrameError.Reason?) {
        guard rest.first == UInt8(ascii: "\""), let end = rest.dropFirst().firstIndex(of: UInt8(ascii: "\"")) else {
            return ([], .token)
        }
        let word = rest[(rest.startIndex + 1)..<end]
        rest = rest[(end + 1)...]
        let isWord = (1...16).contains(word.count) && word.allSatisfy { (0x21..<0x7F).contains($0) }
        return isWord ? (word, nil) : ([], .token)
    }

    /// The header, and what follows its opening bracket.
    ///
    /// Replies are read with forgiveness: one receiver writes `None` for a missing R, and NAK comes with `A0` for the
    /// account and in any order, because nobody looks at its address (DC-09 reference 11.3 and 12).
    mutating func header(
        isReply: Bool, isNAK: Bool, tokenFault: FrameError.Reason?
    ) throws(FrameError) -> (Header, body: ArraySlice<UInt8>) {
        guard let bracket = rest.firstIndex(of: UInt8(ascii: "[")) else { throw noData(tokenFault) }
        let address = rest[..<bracket]
        let body = rest[(bracket + 1)...]
        let (header, fault) = read(address, isReply: isReply)
        if isNAK, tokenFault == nil { return (header, body) }
        if let fault = tokenFault ?? fault { throw error(fault, header) }
        return (header, body)
    }

    private func noData(_ tokenFault: FrameError.Reason?) -> FrameError {
        error(tokenFault ?? .noData, read(rest, isReply: false).header)
    }

    /// Without an account no answer can be addressed.
    private func error(_ reason: FrameError.Reason, _ header: Header) -> FrameError {
        FrameError(reason, header: header.account.isEmpty ? nil : header)
    }

    /// What could be read, with an empty account where there is none, and the first fault.
    private func read(_ address: ArraySlice<UInt8>, isReply: Bool) -> (header: Header, fault: FrameError.Reason?) {
        var rest = address
        var fault: FrameError.Reason?
        func note(_ reason: FrameError.Reason) { fault = fault ?? reason }

        let number = rest.prefix { $0.isDecimalDigit }
        rest = rest[number.endIndex...]
        var sequence = 0
        if number.count == 4 {
            sequence = number.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        } else {
            note(.sequence)
        }

        var receiver: String?
        if isReply, rest.starts(with: "None".utf8) {
            rest = rest.dropFirst(4)
            receiver = Self.none
        } else if rest.first == UInt8(ascii: "R") {
            let digits = rest.dropFirst().prefix { $0.isAlphanumeric && $0 != UInt8(ascii: "L") }
            rest = rest[digits.endIndex...]
            if !digits.isHexadecimal(1...6) { note(.receiver) }
            receiver = Self.echo(digits)
        } else if let next = rest.first, next != UInt8(ascii: "L"), next != UInt8(ascii: "#") {
            note(.sequence)
            rest = rest.drop { $0 != UInt8(ascii: "L") && $0 != UInt8(ascii: "#") }
        }

        var line = "0"
        if rest.first == UInt8(ascii: "L") {
            let digits = rest.dropFirst().prefix { $0.isAlphanumeric }
            rest = rest[digits.endIndex...]
            if digits.isHexadecimal(1...6) { line = digits.ascii } else { note(.line) }
        } else {
            note(.line)
        }

        let account = rest.first == UInt8(ascii: "#") ? Self.echo(rest.dropFirst()) ?? "" : ""
        if !account.isHexadecimal(3...16) { note(.account) }
        return (Header(sequence: sequence, receiver: receiver, line: line, account: account), fault)
    }

    /// What a receiver that does not know about missing receiver numbers writes for one.
    static let none = "None"

    /// Letters and digits that may be said again in an answer, where they are not too many.
    private static func echo(_ bytes: ArraySlice<UInt8>) -> String? {
        (1...32).contains(bytes.count) && bytes.allSatisfy(\.isAlphanumeric) ? bytes.ascii : nil
    }
}
