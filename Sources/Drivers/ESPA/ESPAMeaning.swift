/// What passes on the line, in words for whoever watches.
extension ESPALink.Outcome {
    var meaning: String {
        switch self {
        case .overheard: "poll of the panel itself, or of another station"
        case .polled: "poll"
        case .selected: "select"
        case .corrupt: "no frame: a block with a wrong checksum"
        case .block(let body, let again):
            "\(again ? "the same block again" : "block"): \(ESPACharset.latin1.text(Array(body.prefix(200))))"
        }
    }
}

extension ESPALink.Answer {
    static func meaning(_ answer: [UInt8]) -> String {
        switch answer {
        case nothingToSend: "EOT: nothing to send"
        case accepted: "ACK"
        case corrupt: "NAK: wrong checksum"
        case busy: "NAK: busy, it could not be stored"
        case notUnderstood: "NAK: not understood"
        default: "answer"
        }
    }
}
