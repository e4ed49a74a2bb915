/// In which of the two languages that receivers understand an event is told.
public enum PayloadFormat: Sendable, Hashable, CaseIterable {
    /// SIA DC-03 in a SIA-DCS frame: two-letter codes, area, zone, text.
    case siaDCS
    /// Contact ID, SIA DC-05, in an ADM-CID frame: three-digit codes, partition, zone. Text only in an extended block.
    case contactID
}

extension Event {
    /// The message that tells this event to a receiver. The same event makes the same message every time but for the
    /// sending time, so that a receiver knows a repeat by its sequence number, data and blocks.
    ///
    /// The text is said once: in an I block where the receiver takes one, else in an A block of SIA-DCS, else not at
    /// all. No text stands in carets, because a receiver is known to refuse those (DC-09 reference 12). The time of
    /// occurrence goes in an H block where the receiver takes one and the clock was known.
    /// - Parameters:
    ///   - account: the transmitter's account for the header; nil for the event's own. The data have the event's own.
    ///   - allowed: which extended blocks the receiver takes. Only H and I are ever sent.
    ///   - sendingTime: now, by the receiver's clock. Needed where the frame will be encrypted.
    /// - Throws: `FrameError` with `.unsendable` where a code, account, zone or partition cannot be said in this format.
    public func message(
        as format: PayloadFormat, sequence: Int, receiver: String? = nil, line: String = "0", account: String? = nil,
        characterSet: CharacterSet = .windows1252, extended allowed: Set<ExtendedBlock.Kind> = [],
        sendingTime: Timestamp? = nil
    ) throws(FrameError) -> Message {
        let header = Header(sequence: sequence, receiver: receiver, line: line, account: account ?? self.account)
        if let fault = header.fault { throw FrameError(.unsendable(fault), header: header) }
        // Contact ID has three digits for it: a zone beyond them is said in words, and not as another zone.
        let isBeyond = format == .contactID && zone > 999
        let text = characterSet.encode(isBeyond ? "\(zone) \(text)" : text, limit: 256)
        let hasTextBlock = allowed.contains(.text)
        var data = Array("#\(self.account)|".utf8)
        switch format {
        case .siaDCS: data += try siaBlock(header, text: hasTextBlock ? [] : text)
        case .contactID: data += try contactIDBlock(header)
        }
        var blocks: [ExtendedBlock] = []
        if allowed.contains(.timeOfOccurrence), occurred.clock != .unknown {
            blocks.append(ExtendedBlock(.timeOfOccurrence, Timestamp(utc: occurred.utc).bytes))
        }
        if hasTextBlock, !text.isEmpty { blocks.append(ExtendedBlock(.text, text)) }
        return Message(
            token: format == .siaDCS ? .siaDCS : .admCID, header: header, data: data, extended: blocks,
            timestamp: sendingTime)
    }

    /// `Nri1/BA5|AFront door`
    private func siaBlock(_ header: Header, text: [UInt8]) throws(FrameError) -> [UInt8] {
        try checkAddress(header)
        guard sia.utf8.count == 2, sia.utf8.allSatisfy(\.isUpperCase) else {
            throw FrameError(.unsendable("the SIA code \"\(sia)\": expected two capital letters"), header: header)
        }
        var block: [UInt8] = [UInt8(ascii: "N")]
        if partition > 0 { block += "ri\(partition)/".utf8 }
        block += sia.utf8
        if zone > 0 { block += "\(zone)".utf8 }
        if !text.isEmpty {
            block += "|A".utf8
            block += text
        }
        return block
    }

    /// `1130 01 005`
    private func contactIDBlock(_ header: Header) throws(FrameError) -> [UInt8] {
        try checkAddress(header)
        guard contactID.isHexadecimal(3...3) else {
            throw FrameError(
                .unsendable("the Contact ID event \"\(contactID)\": expected three digits"), header: header)
        }
        var block: [UInt8] = []
        block.appendDecimal(Int(qualifier.rawValue), digits: 1)
        block += contactID.utf8
        block.append(UInt8(ascii: " "))
        block.appendDecimal(partition, digits: 2)
        block.append(UInt8(ascii: " "))
        block.appendDecimal(zone > 999 ? 0 : zone, digits: 3)
        return block
    }

    private func checkAddress(_ header: Header) throws(FrameError) {
        guard account.isHexadecimal(3...16) else {
            throw FrameError(
                .unsendable("the account \"\(account)\": expected 3 to 16 hexadecimal digits"), header: header)
        }
        guard (0...99).contains(partition), (0...9999).contains(zone) else {
            throw FrameError(
                .unsendable("partition \(partition), zone \(zone): expected 0 to 99 and 0 to 9999"), header: header)
        }
    }
}
