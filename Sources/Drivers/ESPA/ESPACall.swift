/// What a call said, decoded.
struct ESPACall: Sendable, Hashable {
    var header: ESPABlock.Header
    /// Whom the panel calls: a pager or a group. Empty where the block does not say.
    var address: String
    /// Without blanks around it; the panel's own layout within.
    var text: String
    /// nil: the record is missing, which means the panel's default.
    var priority: Int?
    var beep: Int?
    var callType: Int?

    init(_ block: ESPABlock, _ charset: PanelCharset) {
        header = block.header
        address = block.data(.address).first.map { charset.text($0) } ?? ""
        text = charset.text(Array(block.data(.text).joined(separator: [0x20])))
        priority = block.value(.priority)
        beep = block.value(.beep)
        callType = block.value(.callType)
    }

    /// Call type 1: the call is withdrawn, or what it said has ended (section 4.3). A maker's own "11" counts as a call: an
    /// alarm too many rather than one too few.
    var isReset: Bool { callType == 1 }

    /// For the log, and for the operator where the panel sent no text.
    var summary: String {
        let values = [("priority", priority), ("beep", beep), ("type", callType)].compactMap { name, value in
            value.map { "\(name) \($0)" }
        }
        let details = values.isEmpty ? "" : " (\(values.joined(separator: ", ")))"
        return "Call to \(address.isEmpty ? "nobody" : address)\(details)"
    }
}

/// One point's conditions. All that are given must hold; the first point of the file that fits takes the call.
struct ESPARule: Sendable, Hashable {
    var point: String
    /// Called addresses; one that ends in `*` stands for all that begin so. Empty: any.
    var addresses: [String] = []
    var priority: Int?
    var beep: Int?
    var callType: Int?
    /// nil: any call (headers 1, 4 and 5).
    var header: ESPABlock.Header?
    /// Any of these stands in the text; folded. Empty: any text.
    var contains: [String] = []
    /// A regular expression that is found in the text.
    var pattern: String?

    var takesEverything: Bool { self == ESPARule(point: point) }

    /// Reads a point's table.
    init(_ settings: Settings) {
        point = settings.name
        if settings.has("address") {
            addresses = settings.strings("address")
            if addresses.isEmpty || addresses.contains(where: { !(1...16).contains($0.count) }) {
                settings.refuse("address", "expected called addresses of 1 to 16 characters, as \"999\" or \"84*\"")
            }
        }
        if settings.has("priority") { priority = settings.integer("priority", in: 0...9) }
        if settings.has("beep") { beep = settings.integer("beep", in: 0...99) }
        if settings.has("call-type") { callType = settings.integer("call-type", in: 0...9) }
        if settings.has("header") { header = ESPABlock.Header(rawValue: settings.integer("header", in: 1...5)) }
        if settings.has("text-contains") {
            let words = settings.strings("text-contains")
            contains = words.map(folded)
            if contains.isEmpty || contains.contains("") {
                settings.refuse("text-contains", "expected words that the text contains, found an empty one")
            }
        }
        pattern = settings.optionalString("text-pattern", expected: "a regular expression in quotes")
        if let pattern, let why = ESPAMatcher.fault(in: pattern) {
            settings.refuse("text-pattern", "\"\(pattern)\" is not a regular expression: \(why)")
        }
    }

    init(point: String) { self.point = point }
}

/// Finds the point that takes a call. Expressions are compiled for each call: compiled ones belong to one thread, and calls
/// are few.
struct ESPAMatcher: Sendable {
    private let rules: [ESPARule]

    init(_ rules: [ESPARule]) { self.rules = rules }

    /// The first rule's point that fits, or nil.
    func point(for call: ESPACall) -> String? {
        let words = oneSpaced(call.text)
        let folded = words.lowercased()
        return rules.first { rule in
            guard rule.header.map({ $0 == call.header }) ?? call.header.isCall,
                rule.addresses.isEmpty || rule.addresses.contains(where: { Self.fits($0, call.address) }),
                rule.priority == nil || rule.priority == call.priority.map(ESPABlock.mainDigit),
                rule.beep == nil || rule.beep == call.beep,
                rule.callType == nil || rule.callType == call.callType,
                rule.contains.isEmpty || rule.contains.contains(where: { folded.contains($0) })
            else { return false }
            guard let pattern = rule.pattern else { return true }
            // An expression that fails does not take the call: a later point, or "unclassified", does.
            guard let expression = try? Self.compile(pattern) else { return false }
            return (try? expression.firstMatch(in: words)) != nil
        }?.point
    }

    /// Why a text is no regular expression, or nil.
    static func fault(in pattern: String) -> String? {
        do {
            _ = try compile(pattern).firstMatch(in: "")
            return nil
        } catch {
            return "\(error)"
        }
    }

    private static func compile(_ pattern: String) throws -> Regex<AnyRegexOutput> {
        try Regex(pattern).ignoresCase()
    }

    private static func fits(_ wanted: String, _ address: String) -> Bool {
        wanted.hasSuffix("*") ? address.hasPrefix(wanted.dropLast()) : address == wanted
    }
}

/// Panels fill their display's cells with blanks; nobody wants to count them in a rule.
private func oneSpaced(_ text: String) -> String {
    text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
}

private func folded(_ text: String) -> String { oneSpaced(text).lowercased() }
