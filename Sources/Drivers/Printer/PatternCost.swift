/// What a regular expression may cost, told from its form.
///
/// Swift's expressions try every way to fit. A part that repeats without limit has as many ends as the line has characters,
/// unless what must follow it cannot be in it ("\d+ " ends where the blank is). Each further part that could share its
/// characters with one before it multiplies the ways by the line's length.
struct PatternCost {
    /// Beside the place where the fit begins: so many such parts.
    static let most = 2

    /// Names of groups, in order.
    private(set) var names: [String] = []
    /// A repeated group itself repeats or chooses: the ways grow with every character.
    private(set) var nests = false
    /// Parts that share characters with one before, and one more where the fit may begin anywhere.
    private(set) var shared = 0

    /// One character, so often. The number 0x80 stands for all beyond ASCII.
    fileprivate struct Part {
        var characters: Set<UInt8>
        var least = 1
        var most: Int? = 1
        /// Nothing of the line, but it may fail: an anchor.
        var isAnchor = false

        var repeats: Bool { most.map { $0 - least > 16 } ?? true }
    }

    private static let all = Set(UInt8(0)...0x80)
    private static let blanks: Set<UInt8> = [0x09, 0x0A, 0x0C, 0x0D, 0x20]
    private let text: [Character]
    private var at = 0

    init(_ source: String) {
        text = Array(source)
        var parts: [Part] = []
        // What is no expression at all is refused by the compiler; here it only has to end.
        while at < text.count {
            parts += alternatives().parts
            at += 1
        }
        count(parts, isAnchored: source.hasPrefix("^") && !source.contains("|"))
    }

    private mutating func count(_ parts: [Part], isAnchored: Bool) {
        var open: [Set<UInt8>] = []
        // What comes last and cannot fail is tried once.
        var untried = 0
        shared = isAnchored ? 0 : 1
        for part in parts {
            if part.isAnchor || part.least > 0 {
                shared += untried
                untried = 0
            }
            if !part.isAnchor, part.least > 0 { open.removeAll { $0.isDisjoint(with: part.characters) } }
            // A printed line is searched with single blanks.
            guard part.repeats, !part.characters.isSubset(of: Self.blanks) else { continue }
            if open.contains(where: { !$0.isDisjoint(with: part.characters) }) { untried += 1 }
            open.append(part.characters)
        }
    }

    // MARK: Reading

    /// Up to the end or the bracket that closes it.
    private mutating func alternatives() -> (parts: [Part], chooses: Bool) {
        var parts: [Part] = []
        var chooses = false
        while at < text.count, text[at] != ")" {
            if text[at] == "|" {
                chooses = true
                at += 1
                continue
            }
            parts += item()
        }
        return (chooses ? parts.map(\.optional) : parts, chooses)
    }

    private mutating func item() -> [Part] {
        let character = text[at]
        at += 1
        switch character {
        case "(": return group()
        case "[": return [quantified(Part(characters: characterClass()))]
        case ".": return [quantified(Part(characters: Self.all))]
        case "^", "$": return [Part(characters: [], least: 0, most: 0, isAnchor: true)]
        case "\\": return escape().map { [quantified($0)] } ?? [Part(characters: [], least: 0, most: 0, isAnchor: true)]
        default: return [quantified(Part(characters: Self.both(character)))]
        }
    }

    private mutating func group() -> [Part] {
        var isLook = false
        if at < text.count, text[at] == "?" {
            at += 1
            if at < text.count, text[at] == "P" { at += 1 }
            if at + 1 < text.count, text[at] == "<", text[at + 1] != "=", text[at + 1] != "!" {
                let end = text[at...].firstIndex(of: ">") ?? text.count - 1
                names.append(String(text[(at + 1)..<max(at + 1, end)]))
                at = end + 1
            } else {
                isLook = at < text.count && "=!<".contains(text[at])
                while at < text.count, !":=!>)".contains(text[at]) { at += 1 }
                if at < text.count, text[at] != ")" { at += 1 }
            }
        }
        let (parts, chooses) = alternatives()
        at += 1
        let times = quantifier()
        guard let times else { return isLook ? parts.map(\.optional) : parts }
        let isMany = times.most.map { $0 > 1 } ?? true
        guard isMany else { return times.least == 0 || isLook ? parts.map(\.optional) : parts }
        if chooses || parts.contains(where: { $0.most != $0.least }) { nests = true }
        // Again and again the same: any of its characters.
        let least = parts.contains { $0.least > 0 } ? times.least : 0
        return [
            Part(
                characters: parts.reduce(into: []) { $0.formUnion($1.characters) }, least: least,
                most: times.most.map { $0 * max(1, parts.count) })
        ]
    }

    private mutating func quantified(_ part: Part) -> Part {
        guard let times = quantifier() else { return part }
        return Part(characters: part.characters, least: times.least, most: times.most)
    }

    private mutating func quantifier() -> (least: Int, most: Int?)? {
        guard at < text.count else { return nil }
        let times: (Int, Int?)
        switch text[at] {
        case "*": times = (0, nil)
        case "+": times = (1, nil)
        case "?": times = (0, 1)
        case "{":
            guard let end = text[at...].firstIndex(of: "}") else { return nil }
            let ends = String(text[(at + 1)..<end]).split(separator: ",", omittingEmptySubsequences: false)
            let first = ends.first.map { $0.isEmpty ? 0 : Int($0) } ?? nil
            guard let first, (1...2).contains(ends.count) else { return nil }
            let last = ends.count == 1 ? first : ends[1].isEmpty ? nil : Int(ends[1])
            guard ends.count == 1 || ends[1].isEmpty || last != nil else { return nil }
            times = (min(first, 100_000), last.map { min($0, 100_000) })
            at = end
        default: return nil
        }
        at += 1
        // How greedily.
        if at < text.count, text[at] == "?" || text[at] == "+" { at += 1 }
        return times
    }

    /// Nil: nothing of the line.
    private mutating func escape() -> Part? {
        guard at < text.count else { return nil }
        let letter = text[at]
        at += 1
        if "bBAzZGyYK".contains(letter) { return nil }
        if let characters = Self.escaped(letter) { return Part(characters: characters) }
        if "pPNxukg".contains(letter), at < text.count, text[at] == "{" || text[at] == "<" {
            at = (text[at...].firstIndex { $0 == "}" || $0 == ">" } ?? text.count - 1) + 1
        }
        // A property, a number, a reference: it may be anything, and of any length.
        if letter.isLetter || letter.isNumber { return Part(characters: Self.all, least: 0) }
        return Part(characters: Self.both(letter))
    }

    private static func escaped(_ letter: Character) -> Set<UInt8>? {
        let digits = Set(UInt8(ascii: "0")...UInt8(ascii: "9"))
        let words = digits.union("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_".utf8).union([0x80])
        switch letter {
        case "d": return digits
        case "w": return words
        case "s": return blanks
        case "D": return all.subtracting(digits)
        case "W": return all.subtracting(words).union([0x80])
        case "S": return all.subtracting(blanks)
        case "t": return [0x09]
        case "n", "r", "f": return [0x0A, 0x0C, 0x0D]
        default: return nil
        }
    }

    private mutating func characterClass() -> Set<UInt8> {
        var characters: Set<UInt8> = []
        var isNegated = false
        var isFirst = true
        var before: UInt8?
        if at < text.count, text[at] == "^" {
            isNegated = true
            at += 1
        }
        while at < text.count, text[at] != "]" || isFirst {
            isFirst = false
            let character = text[at]
            at += 1
            if character == "[" || character == "&" || character == "~" {
                // Classes of classes: anything.
                var depth = character == "[" ? 2 : 1
                while at < text.count, depth > 0 {
                    if text[at] == "[" { depth += 1 } else if text[at] == "]" { depth -= 1 }
                    at += text[at] == "\\" ? 2 : 1
                }
                return Self.all
            }
            if character == "-", let first = before, at < text.count, text[at] != "]", text[at] != "\\",
                let last = text[at].asciiValue, first <= last
            {
                for byte in first...last { characters.formUnion(Self.both(Character(UnicodeScalar(byte)))) }
                at += 1
                before = nil
            } else if character == "\\", at < text.count {
                let letter = text[at]
                at += 1
                let isOdd = Self.escaped(letter) == nil && (letter.isLetter || letter.isNumber)
                characters.formUnion(isOdd ? Self.all : Self.escaped(letter) ?? Self.both(letter))
                before = nil
            } else {
                characters.formUnion(Self.both(character))
                before = character.asciiValue
            }
        }
        at += 1
        return isNegated ? Self.all.subtracting(characters).union([0x80]) : characters
    }

    /// A letter in both cases.
    private static func both(_ character: Character) -> Set<UInt8> {
        guard let byte = character.asciiValue else { return [0x80] }
        return character.isLetter ? [byte & 0xDF, byte | 0x20] : [byte]
    }
}

extension PatternCost.Part {
    fileprivate var optional: Self {
        var part = self
        part.least = 0
        return part
    }
}
