import Testing

@testable import Drivers

@Suite struct ESPABlockTests {
    private static func block(_ body: String) throws -> ESPABlock { try ESPABlock(Array(body.utf8)) }

    @Test func panelsMayDeviate() throws {
        let plain = try Self.block("1\u{02}1\u{1F}999\u{1E}2\u{1F}Brand")
        #expect(try Self.block("1\u{02}1\u{1F}999\u{1E}2\u{1F}Brand\u{1E}") == plain, "a final RS")
        #expect(try Self.block("1\u{02} 1\u{1F}999\u{1E} 2\u{1F}Brand") == plain, "blanks before identifiers")
        #expect(try Self.block(" 1 \u{02}\u{1E}1\u{1F}999\u{1E} \u{1E}2\u{1F}Brand") == plain, "empty records")
        let long = String(repeating: "å", count: 300)
        let call = ESPACall(try Self.block("1\u{02}2\u{1F}\(long)\u{1E}9\u{1F}what\u{1E}1\u{1F}7"), .utf8)
        #expect(call.text == long && call.address == "7")
        #expect(ESPACall(try Self.block("1\u{02}2\u{1F}one\u{1E}2\u{1F}two"), .latin1).text == "one two")
        #expect(ESPACall(try Self.block("1\u{02}1\u{1F}\u{1E}6\u{1F}x\u{1E}3\u{1F} 07 "), .latin1).beep == 7)
    }

    @Test(arguments: [
        "", "1", "1\u{02}", "\u{02}1\u{1F}9", "6\u{02}1\u{1F}9", "0\u{02}1\u{1F}9", "x\u{02}1\u{1F}9",
        "1\u{02}\u{1E}\u{1E}",
        "1\u{02}hello", "1\u{02}x\u{1F}9", "1\u{02}\u{1F}9", "1\u{02}12345\u{1F}9",
        "99999999999999999999\u{02}1\u{1F}9",
    ])
    func otherThingsAreNotUnderstood(_ body: String) {
        #expect(throws: ESPABlock.NotUnderstood.self) { try Self.block(body) }
    }

    @Test func noBodyCrashes() {
        var random = SeededNumbers(3)
        let letters: [UInt8] = [0x02, 0x1E, 0x1F, 0x20, 0x30, 0x31, 0x39, 0x41, 0xFF, 0x00]
        var understood = 0
        for _ in 0..<20_000 {
            let count = Int.random(in: 0...24, using: &random)
            let body = [0x31, 0x02] + (0..<count).map { _ in letters.randomElement(using: &random) ?? 0 }
            if let block = try? ESPABlock(body) {
                understood += 1
                for charset in PanelCharset.allCases { _ = ESPACall(block, charset) }
            }
        }
        #expect(understood > 100)
    }

    @Test func charactersAreReadAsThePanelWritesThem() {
        #expect(PanelCharset.iso646se.text(Array("K[LLARE \\STRA G]NG {|}^~@`".utf8)) == "KÄLLARE ÖSTRA GÅNG äöåÜüÉé")
        #expect(PanelCharset.latin1.text([0x42, 0xE4, 0x72, 0xC5]) == "BärÅ")
        #expect(PanelCharset.cp850.text([0x8E, 0x99, 0x8F, 0x84, 0x94, 0x86]) == "ÄÖÅäöå")
        #expect(PanelCharset.cp437.text([0x8E, 0x99, 0x8F, 0x84, 0x94, 0x86, 0x9B]) == "ÄÖÅäöå¢")
        #expect(PanelCharset.cp865.text([0x8E, 0x99, 0x8F, 0x84, 0x94, 0x86, 0x9B, 0x9D]) == "ÄÖÅäöåøØ")
        #expect(PanelCharset.windows1252.text([0xC4, 0xD6, 0xC5, 0xE4, 0xF6, 0xE5, 0x80, 0x96]) == "ÄÖÅäöå€–")
        #expect(PanelCharset.latin9.text([0xC4, 0xD6, 0xC5, 0xE4, 0xF6, 0xE5, 0xA4]) == "ÄÖÅäöå€")
        #expect(PanelCharset.utf8.text(Array("Gård".utf8) + [0xC3]) == "Gård\u{FFFD}")
        #expect(PanelCharset.latin1.text(Array("  a\r\nb\t ".utf8)) == "a  b")
        #expect(PanelCharset.latin1.text([0x41, 0x80]) == "A\u{FFFD}")
        #expect(PanelCharset.utf8.text(Array("a\u{202E}b\u{85}c".utf8)) == "a b c", "nothing turns the line around")
        #expect(PanelCharset.names.count == PanelCharset.allCases.count)
        for charset in PanelCharset.allCases {
            #expect(charset.text([0x20, 0x20]) == "")
            #expect(charset.text(charset.bytes("Räksmörgås på Öns Ärla Åkeri")) == "Räksmörgås på Öns Ärla Åkeri")
            for byte in UInt8.min...UInt8.max { #expect(charset.text([0x41, byte, 0x41]).count == 3) }
        }
    }
}
