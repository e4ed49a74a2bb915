import AlarmProtocol

@testable import Receiver

/// Noon on the day that most frames of the vectors were written, 2026-11-23, in milliseconds.
let noon: Int64 = 1_795_435_200_000

/// A frame as a transmitter makes it.
func frame(
    _ token: Token = .siaDCS, _ sequence: Int = 1, account: String = "1234", data: String = "#1234|Nri1/BA5",
    extended: [ExtendedBlock] = [], at utc: Int64? = nil, key: Key? = nil
) throws -> [UInt8] {
    let message = Message(
        token: token, header: Header(sequence: sequence, account: account), data: Array(data.utf8), extended: extended,
        timestamp: utc.map { Timestamp(utc: $0) })
    return try message.frame(key: key)
}

func poll(_ sequence: Int = 0, account: String = "1234") throws -> [UInt8] {
    try frame(.null, sequence, account: account, data: "")
}

/// The token of a reply, with its star if it was encrypted. Nil for anything without the right length and checksum; the
/// address may be as odd as the frame's own.
func token(of reply: [UInt8]?) -> String? {
    guard let reply else { return nil }
    do {
        _ = try Envelope.parse(reply)
    } catch {
        guard [.account, .line, .receiver, .sequence].contains(error.reason) else { return nil }
    }
    return reply.split(separator: UInt8(ascii: "\""), maxSplits: 2).dropFirst().first.map {
        String(decoding: $0, as: UTF8.self)
    }
}

extension Judge {
    init(_ entries: [Accounts.Entry] = [], unknown: Accounts.Unknown = .refuse) throws {
        self.init(accounts: try Accounts(entries, unknown: unknown))
    }
}

extension FeedRecord.Path {
    static let test = FeedRecord.Path(transport: .tcp, remote: "192.0.2.1:40000")
}
