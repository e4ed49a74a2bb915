extension UInt8 {
    var isDecimalDigit: Bool { self &- UInt8(ascii: "0") < 10 }
    var isUpperCase: Bool { self &- UInt8(ascii: "A") < 26 }
    var isLowerCase: Bool { self &- UInt8(ascii: "a") < 26 }
    var isAlphanumeric: Bool { isDecimalDigit || isUpperCase || isLowerCase }

    /// The value of a hexadecimal digit in either case, else nil.
    var hexValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        default: nil
        }
    }
}

extension Sequence<UInt8> {
    /// As many hexadecimal digits as asked for, and nothing else.
    func isHexadecimal(_ count: ClosedRange<Int>) -> Bool {
        var found = 0
        for byte in self {
            guard byte.hexValue != nil else { return false }
            found += 1
        }
        return count.contains(found)
    }
}

extension String {
    func isHexadecimal(_ count: ClosedRange<Int>) -> Bool { utf8.isHexadecimal(count) }
}

extension Collection<UInt8> {
    /// The number that a few hexadecimal digits (at most 7) write; nil when one of them is none.
    var hexNumber: Int? {
        var number = 0
        for byte in prefix(8) {
            guard let digit = byte.hexValue else { return nil }
            number = number << 4 | Int(digit)
        }
        return isEmpty || count > 7 ? nil : number
    }

    /// The bytes that pairs of hexadecimal digits write; nil when a digit is none or one is left over.
    var hexBytes: [UInt8]? {
        guard count % 2 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count / 2)
        var index = startIndex
        while index != endIndex {
            let next = self.index(after: index)
            guard let high = self[index].hexValue, let low = self[next].hexValue else { return nil }
            bytes.append(high << 4 | low)
            index = self.index(after: next)
        }
        return bytes
    }

    /// As text that is known to be ASCII; any other byte becomes a replacement character.
    var ascii: String { String(decoding: self, as: UTF8.self) }
}

private let hexDigits = Array("0123456789ABCDEF".utf8)

extension [UInt8] {
    /// Upper case: every peer reads it, and some read nothing else.
    mutating func appendHex(_ byte: UInt8) {
        append(hexDigits[Int(byte >> 4)])
        append(hexDigits[Int(byte & 15)])
    }

    /// The last `digits` decimal digits of a number that is not negative.
    mutating func appendDecimal(_ number: Int, digits: Int) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            append(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }
}
