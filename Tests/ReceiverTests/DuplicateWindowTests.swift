import Testing

@testable import Receiver

@Suite struct DuplicateWindowTests {
    private func mark(_ sequence: Int, _ text: String = "") throws -> DuplicateWindow.Mark {
        try #require(DuplicateWindow.Mark(sequence: sequence, data: Array(text.utf8), extended: []))
    }

    @Test func dataAndBlocksAreNotRunTogether() throws {
        let a = DuplicateWindow.Mark(sequence: 1, data: [1], extended: [[2], [3]])
        let b = DuplicateWindow.Mark(sequence: 1, data: [1, 2], extended: [[3]])
        let c = DuplicateWindow.Mark(sequence: 1, data: [1], extended: [[2, 3]])
        #expect(a != b && b != c && a != c)
    }

    @Test func oldestGoesFirst() throws {
        var window = DuplicateWindow(depth: 3)
        for sequence in 1...7 { window.insert(try mark(sequence), of: "A") }
        for sequence in 1...7 { #expect(window.contains(try mark(sequence), of: "A") == (sequence > 4)) }
        #expect(!window.contains(try mark(7), of: "B"))
    }

    @Test func insertingAgainMovesNothing() throws {
        var window = DuplicateWindow(depth: 2)
        window.insert(try mark(1), of: "A")
        window.insert(try mark(2), of: "A")
        window.insert(try mark(2), of: "A")
        #expect(window.contains(try mark(1), of: "A"))
    }

    @Test func whatWasTakenBackDoesNotTakeItsSuccessorAlong() throws {
        var window = DuplicateWindow(depth: 2)
        window.insert(try mark(1), of: "A")
        window.remove(try mark(1), of: "A")
        #expect(!window.contains(try mark(1), of: "A"))
        window.insert(try mark(1), of: "A")
        window.insert(try mark(2), of: "A")
        #expect(window.contains(try mark(1), of: "A"))
        #expect(window.contains(try mark(2), of: "A"))
    }

    @Test func hostileAccountsTakeOnlySoMuch() throws {
        var window = DuplicateWindow(depth: 2)
        window.insert(try mark(1), of: "silent")
        window.insert(try mark(1), of: "lively")
        for number in 0..<DuplicateWindow.accountLimit {
            window.insert(try mark(number % 9_999 + 1), of: "H\(number)")
            window.insert(try mark(2), of: "lively")
        }
        #expect(!window.contains(try mark(1), of: "silent"))
        #expect(window.contains(try mark(1), of: "lively"))
    }
}
