/// The data of a SIA-DCS message, `#4711|Nri1/BA5|AFront door`: SIA DC-03 as DC-09 carries it (DC-09 reference 7.2).
public struct SIAPayload: Sendable, Hashable {
    /// One event with all that was said of it.
    public struct Event: Sendable, Hashable {
        /// Two capital letters: "BA".
        public var code: String
        /// What the code is about: zone, user, area …, as it was written; empty for none. DC-03 means hexadecimal
        /// digits, most panels write decimal ones.
        public var address: String
        /// The text in carets after the address.
        public var text: String
        /// A measured value with its unit, after a star: "21.5CE".
        public var value: String
        /// What holds for this event, by the modifier's two small letters: "ri" the area, "id" the user, "ti" and "da"
        /// the panel's own time, "pi" the peripheral.
        public var modifiers: [String: String]
        /// "N": it is new. "O": it is old, kept and told later.
        public var isOld: Bool

        /// The area (`ri`), empty for none.
        public var area: String { modifiers["ri"] ?? "" }
        /// The user (`id`), empty for none.
        public var user: String { modifiers["id"] ?? "" }
    }

    /// One part between bars: a letter that says what it is, and what it says.
    public struct Block: Sendable, Hashable {
        public var function: UInt8
        public var content: [UInt8]
    }

    /// The account in the data, or nil where they name none.
    public var account: String?
    /// Every block but the account's, in order.
    public var blocks: [Block]
    /// The events of all N, O and E blocks, in order.
    public var events: [Event]

    /// The texts of the A blocks, together.
    public var text: String {
        blocks.filter { $0.function == UInt8(ascii: "A") }.map { CharacterSet.decode($0.content) }
            .joined(separator: " ")
    }

    /// The function codes of DC-03: new, old, environmental, text, program, control, configuration, passcode, origin,
    /// extended, listen-in, voice, video, account; and the digits.
    private static let functions = Set("NOEAPC@?&XLVvI#0123456789".utf8)

    /// Reads the data of a SIA-DCS message. Unknown event codes are read like known ones; a malformed block is an error,
    /// because nothing but this grammar tells garbled data from an alarm.
    public static func parse(_ data: [UInt8]) throws(FrameError) -> SIAPayload {
        let scanner = try PayloadScanner(data)
        var payload = SIAPayload(account: scanner.account, blocks: [], events: [])
        for part in scanner.content.split(separator: UInt8(ascii: "|"), omittingEmptySubsequences: false) {
            guard let function = part.first, functions.contains(function) else {
                // A bar at the very end says nothing.
                if part.isEmpty, part.endIndex == data.endIndex, !payload.blocks.isEmpty { break }
                throw PayloadScanner.fault("a block's function letter", at: part.startIndex)
            }
            payload.blocks.append(Block(function: function, content: Array(part.dropFirst())))
            var packets = SIAPackets(part.dropFirst(), isOld: function == UInt8(ascii: "O"))
            switch function {
            case UInt8(ascii: "N"), UInt8(ascii: "O"): payload.events += try packets.events()
            // Measurements often come in packets too; where they do not, the block is still there to be read.
            case UInt8(ascii: "E"): payload.events += (try? packets.events()) ?? []
            default: break
            }
        }
        return payload
    }
}

/// The packets of one N or O block: modifiers and events, separated by slashes or not at all.
private struct SIAPackets {
    private var rest: ArraySlice<UInt8>
    private let isOld: Bool

    init(_ content: ArraySlice<UInt8>, isOld: Bool) {
        rest = content
        self.isOld = isOld
    }

    /// A modifier holds for the events after it. Some panels write it behind: what no event follows holds for the last
    /// one, where that has none of the kind.
    mutating func events() throws(FrameError) -> [SIAPayload.Event] {
        var events: [SIAPayload.Event] = []
        var modifiers: [String: String] = [:]
        var fresh: [String: String] = [:]
        let start = rest.startIndex
        while !rest.isEmpty {
            let name = rest.prefix(2)
            guard name.count == 2, name.allSatisfy(\.isUpperCase) || name.allSatisfy(\.isLowerCase) else {
                throw PayloadScanner.fault("two capital letters of an event or two small ones", at: rest.startIndex)
            }
            rest = rest.dropFirst(2)
            let isEvent = name.allSatisfy(\.isUpperCase)
            let address = isEvent ? eventAddress() : modifierAddress()
            let value = try value()
            let text = try text()
            if isEvent {
                events.append(
                    .init(
                        code: name.ascii, address: address, text: text, value: value, modifiers: modifiers,
                        isOld: isOld))
                fresh = [:]
            } else {
                modifiers[name.ascii] = address
                fresh[name.ascii] = address
            }
            if rest.first == UInt8(ascii: "/") {
                rest = rest.dropFirst()
                if rest.isEmpty { break }
            }
        }
        guard !events.isEmpty else { throw PayloadScanner.fault("an event's two capital letters", at: start) }
        events[events.count - 1].modifiers.merge(fresh) { own, _ in own }
        return events
    }

    /// Hexadecimal digits, which most panels use as decimal ones, and the dashes and colons that DC-03 allows.
    private mutating func eventAddress() -> String {
        take(while: Self.isAddress)
    }

    private static func isAddress(_ byte: UInt8) -> Bool {
        byte.isDecimalDigit || (0x41...0x46).contains(byte) || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ":")
    }

    /// Up to where an event's two capital letters begin: `ri1BA5` is area 1 and an event, not area 1BA5.
    private mutating func modifierAddress() -> String {
        var end = rest.startIndex
        while end < rest.endIndex {
            let byte = rest[end]
            let isCode = byte.isUpperCase && end + 1 < rest.endIndex && rest[end + 1].isUpperCase
            guard !isCode, Self.isAddress(byte) || byte == UInt8(ascii: ".") else { break }
            end += 1
        }
        defer { rest = rest[end...] }
        return rest[..<end].ascii
    }

    /// `*21.5CE`: a number and a unit of two characters.
    private mutating func value() throws(FrameError) -> String {
        guard rest.first == UInt8(ascii: "*") else { return "" }
        let star = rest.startIndex
        rest = rest.dropFirst()
        let number = take {
            $0.isDecimalDigit || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+")
        }
        let unit = rest.prefix(2)
        guard !number.isEmpty, unit.count == 2, unit.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: "/") }) else {
            throw PayloadScanner.fault("a number and a unit of two characters after the star", at: star + 1)
        }
        rest = rest.dropFirst(2)
        return number + CharacterSet.decode(unit)
    }

    /// `^Front door^`
    private mutating func text() throws(FrameError) -> String {
        guard rest.first == UInt8(ascii: "^") else { return "" }
        guard let end = rest.dropFirst().firstIndex(of: UInt8(ascii: "^")) else {
            throw PayloadScanner.fault("a closing caret after the text", at: rest.endIndex)
        }
        defer { rest = rest[(end + 1)...] }
        return CharacterSet.decode(rest[(rest.startIndex + 1)..<end])
    }

    private mutating func take(while accept: (UInt8) -> Bool) -> String {
        let taken = rest.prefix(while: accept)
        rest = rest[taken.endIndex...]
        return taken.ascii
    }
}
