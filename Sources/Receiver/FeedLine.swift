import AlarmProtocol
import Glibc

extension FeedRecord {
    /// Appends the record as one line of JSON.
    public func write(to output: inout [UInt8]) {
        JSON.object(members).write(to: &output)
        output.append(UInt8(ascii: "\n"))
    }

    /// Writes records as lines to a descriptor, all in one write where it takes them.
    /// - Throws: `FeedError` when its reader is gone.
    public static func write(_ records: [FeedRecord], to descriptor: Int32) throws {
        var lines: [UInt8] = []
        for record in records { record.write(to: &lines) }
        if let code = Store.write(lines, to: descriptor) { throw FeedError(code) }
    }

    private var members: [JSON.Member] {
        [
            .init("version", .integer(Self.version)),
            .init("type", .string(kind.rawValue)),
            .init("received", .string(ISO8601.text(utc: received))),
            .init("account", .string(account)),
            .init("sequence", .integer(message.header.sequence)),
            .init("sia", .text(sia)),
            .init("contactId", .text(contactID)),
            .init("meaning", .text(meaning)),
            .init("category", .text(category)),
            .init("kind", .text(codeKind)),
            .init("qualifier", .text(qualifier?.word)),
            .init("urgency", .text(urgency?.word)),
            .init("partition", .number(partition)),
            .init("zone", .number(zone)),
            .init("user", .number(user)),
            .init("address", .text(address)),
            .init("addressIs", .text(addressIs)),
            .init("text", .text(text)),
            .init("occurred", .text(occurred.map { ISO8601.text(utc: $0) })),
            .init("clock", .string(clock.rawValue)),
            .init("part", .integer(part)),
            .init("parts", .integer(parts)),
            .init(
                "path",
                .object([
                    .init("transport", .string(path.transport.rawValue)),
                    .init("remote", .string(path.remote)),
                    .init("encrypted", .boolean(message.wasEncrypted)),
                ])),
            .init("transmitter", .string(message.header.account.uppercased())),
            .init("accountKnown", .boolean(isAccountKnown)),
            .init("receiver", .text(message.header.receiver)),
            .init("line", .string(message.header.line)),
            .init("token", .string(message.token.rawValue)),
            .init("data", frame == nil ? .null : .bytes(message.data)),
            .init(
                "extended",
                frame == nil ? .null : .array(message.extended.map { .bytes([$0.kind.rawValue] + $0.value) })),
            .init("raw", frame.map(JSON.bytes) ?? .null),
        ]
    }
}

/// The feed cannot be written.
public struct FeedError: Error, Sendable, Hashable, CustomStringConvertible {
    public var description: String
    init(_ code: Int32) {
        description = "Cannot write the feed: \(String(cString: strerror(code))). Expected a reader on standard output."
    }
}

extension Qualifier {
    var word: String {
        switch self {
        case .event: "event"
        case .restore: "restore"
        case .status: "status"
        }
    }
}

extension Urgency {
    var word: String {
        switch self {
        case .fire: "fire"
        case .danger: "danger"
        case .intrusion: "intrusion"
        case .technical: "technical"
        case .trouble: "trouble"
        case .status: "status"
        }
    }
}
