import Glibc
import NIOSSL

/// The name that a receiver's certificate must have: that of a host, or an address in digits.
enum ServerName: Sendable, Hashable, CustomStringConvertible {
    case host(String)
    /// Four bytes, or sixteen.
    case address([UInt8])

    init(_ text: String) {
        // An IPv6 address may name its interface, which no certificate does.
        let digits = text.prefix { $0 != "%" }
        var bytes = [UInt8](repeating: 0, count: 16)
        if inet_pton(AF_INET, String(digits), &bytes) == 1 {
            self = .address(Array(bytes.prefix(4)))
        } else if inet_pton(AF_INET6, String(digits), &bytes) == 1 {
            self = .address(bytes)
        } else {
            self = .host(text.hasSuffix(".") ? String(text.dropLast()) : text)
        }
    }

    /// What may be asked for in the handshake: a host's name, never an address (RFC 6066 section 3).
    var asked: String? { if case .host(let name) = self { name } else { nil } }

    /// One of the certificate's alternative names is this one (RFC 9525). Its common name does not count, and an
    /// address never stands for a host that was named: else whoever answers under an address of his own, with a
    /// certificate for it, could pass for the receiver.
    func isNamed(in certificate: NIOSSLCertificate) -> Bool {
        certificate._subjectAlternativeNames().contains { name in
            switch (self, name.nameType) {
            case (.host(let host), .dnsName): Self.matches(host, String(decoding: name.contents, as: UTF8.self))
            case (.address(let bytes), .ipAddress): Array(name.contents) == bytes
            default: false
            }
        }
    }

    /// `*` stands for the whole first label and for nothing else; at least two labels follow it.
    static func matches(_ host: String, _ pattern: String) -> Bool {
        let wanted = labels(host)
        let given = labels(pattern)
        guard wanted.count == given.count, !wanted.contains(""), !given.contains("") else { return false }
        guard given[0] == "*" else { return wanted == given }
        return given.count >= 3 && wanted.dropFirst() == given.dropFirst()
    }

    private static func labels(_ name: String) -> [String] {
        name.lowercased().split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    }

    /// The names that a certificate has, for people: a few of them, and no character that could steer a terminal.
    static func words(for certificate: NIOSSLCertificate) -> String {
        let names = certificate._subjectAlternativeNames().prefix(20).compactMap { name -> String? in
            switch name.nameType {
            case .dnsName: String(decoding: name.contents.prefix(64), as: UTF8.self).printable
            case .ipAddress: ServerName.address(Array(name.contents.prefix(16))).description
            default: nil
            }
        }
        guard let first = names.first else { return "no name (no subject alternative name)" }
        return names.count == 1 ? first : "\(first) and \(names.count - 1) more"
    }

    var description: String {
        switch self {
        case .host(let name): return name
        case .address(let bytes):
            var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
            guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
                return "an address"
            }
            return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }
}
