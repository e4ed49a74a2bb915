/// A frame's meaning: token, address, data, blocks, time, all in clear.
public struct Message: Sendable, Hashable {
    public var token: Token
    public var header: Header
    /// What stands in the first brackets: `#4711|Nri1/BA5`. Empty for link tests and replies.
    public var data: [UInt8]
    /// In the order of the frame. Empty blocks are left out.
    public var extended: [ExtendedBlock]
    /// When it was sent. Nil where the frame has none, or one that is no time: DC-09 wants it in encrypted messages, so
    /// a receiver answers NAK to an encrypted one without.
    public var timestamp: Timestamp?
    public var wasEncrypted: Bool

    public init(
        token: Token, header: Header, data: [UInt8] = [], extended: [ExtendedBlock] = [], timestamp: Timestamp? = nil,
        wasEncrypted: Bool = false
    ) {
        self.token = token
        self.header = header
        self.data = data
        self.extended = extended
        self.timestamp = timestamp
        self.wasEncrypted = wasEncrypted
    }
}

// MARK: Reading

extension Message {
    /// Reads `data][block][block]_time`, after a pad where it was encrypted.
    init(content: [UInt8], of envelope: Envelope) throws(FrameError) {
        let header = envelope.header
        let wasEncrypted = envelope.isEncrypted
        /// With another key there is no closing bracket, or a strange end. Nobody is told which.
        func fault(_ reason: FrameError.Reason) -> FrameError {
            let isNonsense = wasEncrypted && !Self.endsWithTime(content)
            return FrameError(isNonsense ? .undecipherable : reason, header: header)
        }

        guard let close = content.firstIndex(of: UInt8(ascii: "]")) else {
            throw FrameError(wasEncrypted ? .undecipherable : .noClosingBracket, header: header)
        }
        var data = content[..<close]
        if wasEncrypted {
            // The data have bars of their own: only the first one ends the pad. Without one there are no data.
            data = data.firstIndex(of: UInt8(ascii: "|")).map { data[($0 + 1)...] } ?? []
        }
        if data.contains(UInt8(ascii: "[")) { throw fault(.bracketInside) }

        var rest = content[(close + 1)...]
        var extended: [ExtendedBlock] = []
        while rest.first == UInt8(ascii: "[") {
            guard let end = rest.firstIndex(of: UInt8(ascii: "]")) else { throw fault(.noClosingBracket) }
            let block = rest[(rest.startIndex + 1)..<end]
            if block.contains(UInt8(ascii: "[")) { throw fault(.bracketInside) }
            if let kind = block.first {
                extended.append(ExtendedBlock(.init(rawValue: kind), Array(block.dropFirst())))
            }
            rest = rest[(end + 1)...]
        }

        var timestamp: Timestamp?
        if !rest.isEmpty {
            let time = rest.dropFirst().prefix(Timestamp.length)
            guard rest.first == UInt8(ascii: "_"), Timestamp.hasShape(time) else { throw fault(.trailingBytes) }
            // A plain message of a clock that was never set is still an alarm: no time is no reason to refuse it.
            timestamp = Timestamp(time)
            // Some peers put the padding of another scheme behind the time of an encrypted message.
            if !wasEncrypted, time.endIndex != rest.endIndex { throw fault(.trailingBytes) }
        }
        self.init(
            token: envelope.token, header: header, data: Array(data), extended: extended, timestamp: timestamp,
            wasEncrypted: wasEncrypted)
    }

    /// Plaintext that ends with a time was decrypted with the right key.
    private static func endsWithTime(_ content: [UInt8]) -> Bool {
        let tail = content.suffix(Timestamp.length + 1)
        return tail.first == UInt8(ascii: "_") && Timestamp.hasShape(tail.dropFirst())
    }
}

// MARK: Writing

extension Message {
    /// The frame, byte for byte as it goes out, encrypted where there is a key. Strict: what DC-09 does not allow is not
    /// sent.
    /// - Parameters:
    ///   - key: nil to send in clear. An encrypted message must have a time.
    ///   - pad: makes so many letters and digits, different every time; 16–31 are asked for, which every edition and
    ///     every known peer accepts.
    /// - Throws: `FrameError` with `.unsendable` or `.tooLong`.
    public func frame(
        key: Key? = nil, pad: (Int) -> [UInt8] = Message.randomPad
    ) throws(FrameError) -> [UInt8] {
        try checkSendable(encrypted: key != nil)
        var body: [UInt8] = []
        body.reserveCapacity(64 + data.count + extended.reduce(0) { $0 + $1.value.count + 3 })
        body.append(UInt8(ascii: "\""))
        if key != nil { body.append(UInt8(ascii: "*")) }
        body.append(contentsOf: token.rawValue.utf8)
        body.append(UInt8(ascii: "\""))
        header.append(to: &body)
        if let key {
            let padded = try padded(content, pad)
            guard let cipher = Cipher.encrypt(padded, with: key) else { throw unsendable("encryption failed") }
            body.reserveCapacity(body.count + 2 * cipher.count)
            for byte in cipher { body.appendHex(byte) }
        } else {
            body.append(contentsOf: content)
        }
        guard body.count <= Envelope.largestFrame - Envelope.framing else { throw FrameError(.tooLong, header: header) }
        return Envelope.frame(around: body)
    }

    /// `data][block]_time`
    private var content: [UInt8] {
        var content = data
        content.append(UInt8(ascii: "]"))
        for block in extended {
            content.append(UInt8(ascii: "["))
            content.append(block.kind.rawValue)
            content.append(contentsOf: block.value)
            content.append(UInt8(ascii: "]"))
        }
        if let timestamp {
            content.append(UInt8(ascii: "_"))
            content.append(contentsOf: timestamp.bytes)
        }
        return content
    }

    /// The pad goes first, and a bar ends it where data follow, so that all is whole blocks.
    private func padded(_ content: [UInt8], _ pad: (Int) -> [UInt8]) throws(FrameError) -> [UInt8] {
        let bar: [UInt8] = data.isEmpty ? [] : [UInt8(ascii: "|")]
        let over = (content.count + bar.count) % Cipher.block
        let count = Cipher.block + (Cipher.block - over) % Cipher.block
        let padding = pad(count)
        guard padding.count == count, padding.allSatisfy(\.isAlphanumeric) else {
            throw unsendable("the pad: expected \(count) letters and digits")
        }
        return padding + bar + content
    }

    private func checkSendable(encrypted: Bool) throws(FrameError) {
        if let fault = header.fault { throw unsendable(fault) }
        guard token.isKnown else { throw unsendable("the token \(token): DC-09 does not list it") }
        if encrypted, timestamp == nil { throw unsendable("an encrypted message without a time") }
        guard data.allSatisfy(\.isSendable) else {
            throw unsendable("the data: a bracket, line break or other control character in them")
        }
        for block in extended {
            guard block.kind.rawValue.isAlphanumeric, block.value.allSatisfy(\.isSendable) else {
                throw unsendable("the block \(block.kind): a bracket, line break or other control character in it")
            }
        }
    }

    private func unsendable(_ why: String) -> FrameError { FrameError(.unsendable(why), header: header) }

    /// Random letters and digits: the alphabet that no receiver misreads.
    public static func randomPad(_ count: Int) -> [UInt8] {
        (0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count)] }
    }
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
}

extension UInt8 {
    /// May stand inside brackets.
    fileprivate var isSendable: Bool {
        self >= 0x20 && self != 0x7F && self != UInt8(ascii: "[") && self != UInt8(ascii: "]")
    }
}
