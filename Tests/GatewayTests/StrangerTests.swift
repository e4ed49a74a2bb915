import Testing

@testable import Gateway

@Suite("Who answers in a receiver's place")
struct StrangerTests {
    @Test(
        "Known at once, in words for a technician, however the reads are cut",
        arguments: [
            ("HTTP/1.1 302 Found\r\nLocation: http://login\r\n\r\n", "captive portal", "HTTP/1.1 302 Found"),
            ("\r\n<!DOCTYPE html><html>", "captive portal", "<!DOCTYPE html><html>"),
            ("<HTML>", "captive portal", "<HTML>"),
            ("SSH-2.0-OpenSSH_9.2\r\n", "login service", "SSH-2.0-OpenSSH_9.2"),
            ("220 mail ESMTP\r\n", "mail", "220 mail ESMTP"),
            ("\u{15}\u{3}\u{3}\u{0}\u{2}\u{2}F", "TLS", "\\x15\\x03\\x03\\x00\\x02\\x02F"),
        ])
    func known(content: String, guess: String, shown: String) {
        var whole = Stranger()
        let words = whole.look(content.utf8)
        #expect(words?.contains(guess) == true)
        #expect(words?.hasPrefix("answers, but not in DC-09: ") == true)
        #expect(words?.hasSuffix("It begins \"\(shown)\"") == true)
        var cut = Stranger()
        let found = content.utf8.compactMap { cut.look([$0]) }
        #expect(found.count == 1)
    }

    @Test(
        "A frame, noise and half a sign are not taken for anything",
        arguments: ["\n0123001F\"ACK\"", "HTT", "xHTTP/", ""])
    func unknown(content: String) {
        var stranger = Stranger()
        #expect(stranger.look(content.utf8) == nil)
        var late = Stranger()
        #expect(late.look("\n12340010\"ACK\"0001L0#4711[]\r".utf8) == nil)
        #expect(late.look("HTTP/1.1 302".utf8) == nil)
    }

    @Test("What is shown is bounded, on one line, and steers no terminal")
    func shown() {
        #expect(Stranger.shown(Array("a\u{1B}[2J\"\\\nsecond".utf8)) == "a\\x1b[2J\\x22\\x5c")
        #expect(Stranger.shown([UInt8](repeating: 65, count: 1_000_000)).count == Stranger.shownBytes)
        #expect(Stranger.shown([0xC3, 0xA5, 0xFF]) == "\\xc3\\xa5\\xff")
    }
}
