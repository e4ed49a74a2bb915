/// What SIA DC-03 and DC-05 payloads have in common: an account in front, and bars.
struct PayloadScanner {
    let data: [UInt8]
    /// The account that the data name: whose event it is, where the header only says whose transmitter. Nil where they
    /// name none.
    let account: String?
    /// What follows the account's bar.
    let content: ArraySlice<UInt8>

    /// `#4711|…`, and the forms that are met in the field: `4711|…`, `|…` and no account at all (DC-09 reference 7.1).
    init(_ data: [UInt8]) throws(FrameError) {
        self.data = data
        let bar = data.firstIndex(of: UInt8(ascii: "|"))
        let first = data[..<(bar ?? data.endIndex)]
        let rest = bar.map { data[($0 + 1)...] }
        if first.first == UInt8(ascii: "#") {
            guard first.dropFirst().isHexadecimal(3...16) else {
                throw Self.fault("an account of 3 to 16 hexadecimal digits", at: 1)
            }
            guard let rest else { throw Self.fault("a bar and an event after the account", at: data.count) }
            (account, content) = (first.dropFirst().ascii, rest)
        } else if let rest, first.isEmpty {
            (account, content) = (nil, rest)
        } else if let rest, first.isHexadecimal(3...16) {
            (account, content) = (first.ascii, rest)
        } else if first.isHexadecimal(3...16) {
            throw Self.fault("a bar and an event after the account", at: data.count)
        } else {
            (account, content) = (nil, data[...])
        }
        if content.isEmpty { throw Self.fault("an event", at: data.count) }
    }

    static func fault(_ expected: String, at offset: Int) -> FrameError {
        FrameError(.payload(expected: expected, offset: offset))
    }
}
