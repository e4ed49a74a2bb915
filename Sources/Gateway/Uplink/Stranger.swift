/// Recognises, by how it begins, what answers in a receiver's place: the page of a captive portal, a proxy, another
/// service. What is recognised is certain, so nobody waits for more; and it is a mistake, not an attack.
struct Stranger: Sendable {
    /// As many bytes are looked at, and as many shown.
    static let looked = 64
    static let shownBytes = 40

    private var beginning: [UInt8] = []
    private var isDecided = false

    /// Takes what a connection brings. - Returns: what it is, in words, once that is certain.
    mutating func look(_ bytes: some Sequence<UInt8>) -> String? {
        guard !isDecided else { return nil }
        beginning += bytes.prefix(Self.looked - beginning.count)
        let start = beginning.drop { $0 == 0x20 || (0x09...0x0D).contains($0) }
        for (sign, guess) in Self.known {
            guard start.count < sign.count else {
                guard start.map(Self.lowered).starts(with: sign) else { continue }
                isDecided = true
                return "answers, but not in DC-09: \(guess) It begins \"\(Self.shown(start))\""
            }
        }
        isDecided = start.count >= Self.longest || beginning.count >= Self.looked
        return nil
    }

    /// The beginning of something unknown, for people: at most one line, nothing that steers a terminal.
    static func shown(_ bytes: some Sequence<UInt8>) -> String {
        var shown = ""
        for byte in bytes.prefix(Self.shownBytes) {
            if byte == 0x0A || byte == 0x0D { if shown.isEmpty { continue } else { break } }
            if (0x20..<0x7F).contains(byte), byte != UInt8(ascii: "\\"), byte != UInt8(ascii: "\"") {
                shown.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16)
                shown += "\\x" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return shown
    }

    private static let portal = "a captive portal or a proxy in between?"
    private static let known: [(sign: [UInt8], guess: String)] = [
        ("http/", portal), ("<!doctype", portal), ("<html", portal), ("<?xml", portal), ("icy ", portal),
        ("ssh-", "a login service: is the port right?"), ("rfb ", "a remote screen: is the port right?"),
        ("220 ", "a mail or file server: is the port right?"), ("220-", "a mail or file server: is the port right?"),
        ("* ok", "a mail server: is the port right?"), ("+ok", "a mail server: is the port right?"),
        ("rtsp/", "a camera: is the port right?"),
        ("\u{15}\u{3}", "it speaks TLS: is transport = \"tls\" meant?"),
        ("\u{16}\u{3}", "it speaks TLS: is transport = \"tls\" meant?"),
    ].map { (Array($0.0.utf8), $0.1) }
    private static let longest = known.map(\.sign.count).max() ?? 0

    private static func lowered(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}
