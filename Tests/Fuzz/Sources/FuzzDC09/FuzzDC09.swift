import AlarmProtocol
import CryptoExtras

/// What libFuzzer calls, with bytes that it has grown from the recorded frames. A trap, a failed check or a run of more
/// than a few seconds is a finding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    stream(input)
    datagram(input)
    // As what stands inside a frame, whose checksum the fuzzer could hardly guess.
    read(frame(around: input))
    decrypted(input)
    payloads(input)
    return 0
}

/// However a stream is cut, the same frames come out, and none is longer than a frame can be.
private func stream(_ input: [UInt8]) {
    var whole = StreamDecoder()
    var split = StreamDecoder()
    var frames: [Result<[UInt8], FrameError>] = []
    var pieces = frames
    whole.append(input)
    while let result = whole.next() { frames.append(result) }
    for byte in input {
        split.append(CollectionOfOne(byte))
        while let result = split.next() { pieces.append(result) }
    }
    precondition(frames == pieces, "a stream reads otherwise when it is split")
    precondition(whole.dropped == split.dropped && whole.isInFrame == split.isInFrame, "dropped bytes miscounted")
    for case .success(let frame) in frames {
        precondition(frame.count <= Envelope.largestFrame, "a frame of \(frame.count) bytes")
        read(frame)
    }
}

private func datagram(_ input: [UInt8]) {
    if case .success(let frame) = StreamDecoder.frame(inDatagram: input) { read(frame) }
}

/// A frame that can be read can be described, judged as a message and as a reply, and, where it may be sent, written
/// and read again without a change.
private func read(_ frame: [UInt8]) {
    do throws(FrameError) {
        let envelope = try Envelope.parse(frame)
        for encrypted in [false, true] {
            _ = ReplyExpectation(header: envelope.header, encrypted: encrypted).judge(frame, key: key)
        }
        let message = try envelope.opened(with: key)
        _ = message.extended.map(\.description)
        report(message)
        var again = message
        again.wasEncrypted = false
        guard let written = try? again.frame() else { return }
        let reread = try Envelope.parse(written).opened(with: nil)
        precondition(reread == again, "a message is not what was written")
    } catch {
        precondition(!error.description.isEmpty)
        if case .refuse(let header) = error.answer { _ = Reply.refuse(header) }
    }
}

private func report(_ message: Message) {
    do throws(FrameError) {
        for report in try Report.reports(of: message) {
            precondition(!report.text.unicodeScalars.contains { $0.value < 0x20 }, "a control character is shown")
        }
    } catch {
        precondition(!error.description.isEmpty)
    }
}

/// The input as data of an encrypted message, as plaintext and as ciphertext.
private func decrypted(_ input: [UInt8]) {
    let header = Header(sequence: 1, account: "4711")
    let usable = input.filter { $0 >= 0x20 && $0 != 0x7F && $0 != 0x5B && $0 != 0x5D }.prefix(1500)
    let message = Message(
        token: .siaDCS, header: header, data: Array(usable), timestamp: Timestamp(utc: 0), wasEncrypted: true)
    if let frame = try? message.frame(key: key, pad: { Array(repeating: UInt8(ascii: "p"), count: $0) }) {
        precondition((try? Envelope.parse(frame).opened(with: key)) == message, "encrypted and decrypted differ")
    }
    // The input as ciphertext decrypts to noise, so it is also encrypted first: with whatever it says for a pad.
    let blocks = input.prefix(input.count / 16 * 16)
    for body in [Array(input), Array(blocks), encrypted(blocks)] {
        let digits = body.flatMap { byte in [hex[Int(byte >> 4)], hex[Int(byte & 15)]] }
        read(frame(around: Array("\"*SIA-DCS\"0001L0#4711[".utf8) + digits))
    }
}

private func encrypted(_ blocks: ArraySlice<UInt8>) -> [UInt8] {
    let secret = SymmetricKey(data: Array("0123456789ABCDEF".utf8))
    guard let zeros = try? AES._CBC.IV(ivBytes: [UInt8](repeating: 0, count: 16)) else { return [] }
    return [UInt8]((try? AES._CBC.encrypt(blocks, using: secret, iv: zeros, noPadding: true)) ?? .init())
}

private func payloads(_ input: [UInt8]) {
    for token in [Token.siaDCS, .admCID, .null] {
        report(Message(token: token, header: Header(sequence: 1, account: "4711"), data: input))
    }
    let text = CharacterSet.decode(input)
    for set in CharacterSet.allCases {
        let limit = input.count / 2
        precondition(set.encode(text, limit: limit).count <= limit, "an encoded text is too long")
    }
    if let time = Timestamp(input) { precondition(time.bytes == input, "a time reads otherwise than it is written") }
    _ = try? Key(hex: text)
    _ = try? Key(text: text)
}

private let hex = Array("0123456789ABCDEF".utf8)
private let key: Key? = try? Key(text: "0123456789ABCDEF")

/// A right frame around any content, made here on purpose with other code than that under test.
private func frame(around content: [UInt8]) -> [UInt8] {
    let content = content.prefix(4095)
    var crc: UInt16 = 0
    for byte in content {
        crc ^= UInt16(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xA001 : crc >> 1 }
    }
    func digits(_ number: Int) -> [UInt8] { (0..<4).map { hex[number >> (12 - 4 * $0) & 15] } }
    return [0x0A] + digits(Int(crc)) + digits(content.count) + content + [0x0D]
}
