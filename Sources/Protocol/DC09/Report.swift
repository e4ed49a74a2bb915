/// One event as a centre wants it: out of either format, in the same words.
public struct Report: Sendable, Hashable {
    /// Whose event: the account in the data, or the header's where the data name none. Upper case.
    public var account: String
    /// The kind of frame it came in.
    public var token: Token
    /// The SIA code or the three Contact ID digits, as sent, known or not; empty where only a text was sent, or where
    /// the payload is of a kind that is not read here.
    public var code: String
    /// Only Contact ID says it apart from the code.
    public var qualifier: Qualifier?
    /// Area or partition, as written; empty for none.
    public var partition: String
    /// Zone, user, or what else the code's address is, as written; empty for none.
    public var address: String
    /// What was said for the operator.
    public var text: String
    /// When it happened, where an H block says so.
    public var occurred: Timestamp?

    /// The events of a message: one for each in a SIA-DCS message, one for ADM-CID, one with the data as its text for
    /// the other payloads and for texts without an event. None for a link test.
    /// - Throws: `FrameError` for data that are not in the format's grammar, for an unknown token, and for a reply, which
    ///   nobody sends to a receiver.
    public static func reports(of message: Message) throws(FrameError) -> [Report] {
        do throws(FrameError) {
            switch message.token {
            case .siaDCS: return sia(try SIAPayload.parse(message.data), message)
            case .admCID: return [contactID(try ContactIDPayload.parse(message.data), message)]
            case let token where token.isPayload:
                return [blank(message, account: nil, text: CharacterSet.decode(message.data))]
            case let token where token.isLinkTest: return []
            case .ack, .nak, .duh: throw FrameError(.misdirected, header: message.header)
            default: throw FrameError(.token, header: message.header)
            }
        } catch {
            throw FrameError(error.reason, header: message.header)
        }
    }

    private static func sia(_ payload: SIAPayload, _ message: Message) -> [Report] {
        let common = blank(message, account: payload.account, text: payload.text)
        if payload.events.isEmpty {
            let data = blank(message, account: payload.account, text: CharacterSet.decode(message.data))
            return [payload.text.isEmpty ? data : common]
        }
        return payload.events.map { event in
            var report = common
            report.code = event.code
            report.partition = event.area
            report.address = event.address.isEmpty ? event.user : event.address
            report.text = [event.text, common.text].filter { !$0.isEmpty }.joined(separator: " ")
            return report
        }
    }

    private static func contactID(_ payload: ContactIDPayload, _ message: Message) -> Report {
        var report = blank(message, account: payload.account, text: "")
        report.code = payload.event
        report.qualifier = payload.qualifier
        report.partition = payload.partition == "00" ? "" : payload.partition
        report.address = payload.zoneOrUser == "000" ? "" : payload.zoneOrUser
        return report
    }

    /// What the message says apart from its event.
    private static func blank(_ message: Message, account: String?, text: String) -> Report {
        let blocks = message.extended.filter { $0.kind == .text }.map(\.text)
        let time = message.extended.first { $0.kind == .timeOfOccurrence }
        return Report(
            account: (account ?? message.header.account).uppercased(), token: message.token, code: "", qualifier: nil,
            partition: "", address: "", text: ([text] + blocks).filter { !$0.isEmpty }.joined(separator: " "),
            occurred: time.flatMap { Timestamp($0.value) })
    }
}
