/// The frames that a receiver answers with. Sequence, R, L and # are said as they came, byte for byte (DC-09 reference 6
/// and 11).
public enum Reply {
    /// ACK: received without errors. Send it only when what was received is stored.
    public static func acknowledge(_ header: Header) -> [UInt8] { frame("ACK", header) }

    /// ACK to an encrypted message: encrypted with the same key, with the receiver's time.
    /// - Parameter pad: see `Message.frame`.
    public static func acknowledge(
        _ header: Header, key: Key, time: Timestamp, pad: (Int) -> [UInt8] = Message.randomPad
    ) throws(FrameError) -> [UInt8] {
        try Message(token: .ack, header: header, timestamp: time).frame(key: key, pad: pad)
    }

    /// DUH: received in good order, cannot be processed. Always in clear: with a wrong key nobody could read it.
    public static func refuse(_ header: Header) -> [UInt8] { frame("DUH", header) }

    /// NAK: the message's time is not acceptable, here is mine. Always in clear and always with sequence 0; `A0` instead
    /// of an account is what most receivers send.
    public static func correctTime(_ time: Timestamp) -> [UInt8] {
        Envelope.frame(around: Array("\"NAK\"0000R0L0A0[]_".utf8) + time.bytes)
    }

    private static func frame(_ token: String, _ header: Header) -> [UInt8] {
        var content = Array("\"\(token)\"".utf8)
        header.append(to: &content)
        content.append(UInt8(ascii: "]"))
        return Envelope.frame(around: content)
    }
}

/// Whether a message's time is one that the receiver may accept (DC-09 reference 9): an encrypted message at most 20
/// seconds ahead of the receiver's clock and at most 40 behind. Without a time it fails.
public enum TimeWindow {
    public static let ahead: Int64 = 20_000
    public static let behind: Int64 = 40_000

    /// - Parameter now: the receiver's clock, milliseconds since 1970 UTC.
    public static func accepts(_ timestamp: Timestamp?, now: Int64) -> Bool {
        guard let timestamp else { return false }
        // Whole seconds, as the message has them.
        let distance = timestamp.utc - Timestamp(utc: now).utc
        return (-behind...ahead).contains(distance)
    }
}
