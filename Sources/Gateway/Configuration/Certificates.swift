import AlarmProtocol
import Drivers
import NIOSSL

/// What the tables of a receiver and a path say of the way a frame is carried: plain, or by TLS and with whose trust.
/// A path has what its receiver has, and may have any of it in another way.
struct SecurityAgreement {
    /// A setting and the table that it stands in, for an error that points there. The value is empty where it was
    /// refused already.
    struct Said {
        var key: String
        var value: String
        var table: Settings
    }

    private(set) var transport: PathSettings.Transport?
    /// The table that says the transport.
    private(set) var transportTable: Settings?
    /// `certificate` or `authority`.
    private(set) var trust: Said?
    private(set) var serverName: Said?
    private(set) var clientCertificate: Said?
    private(set) var clientKey: Said?

    mutating func read(_ table: Settings) {
        if table.has("transport") {
            transport = table.choice("transport", of: [("tcp", .tcp), ("tls", .tls), ("udp", .udp)])
            transportTable = table
        }
        let pinned = Self.fileName("certificate", "the file with the receiver's certificate", table)
        let authority = Self.fileName("authority", "the file with the authority's certificate", table)
        if pinned != nil, let authority {
            table.refuse(
                authority.key,
                "expected either certificate or authority, found both: with certificate the receiver's own is expected "
                    + "and nothing else counts")
        }
        trust = pinned ?? authority ?? trust
        let own = Self.fileName("client-certificate", "the file with our certificate", table)
        clientCertificate = own ?? clientCertificate
        clientKey = Self.fileName("client-key", "the file with the key of client-certificate", table) ?? clientKey
        if let name = table.optionalString("server-name", expected: Self.nameForm), !name.isEmpty {
            if Address("\(name.contains(":") ? "[\(name)]" : name):1") == nil {
                table.refuse(
                    "server-name",
                    "expected \(Self.nameForm), found \(SettingNode.Value.string(name).described)")
            }
            serverName = Said(key: "server-name", value: name, table: table)
        }
    }

    private static let nameForm = "the name in the receiver's certificate, as \"larm.example.se\""

    private static func fileName(_ key: String, _ what: String, _ table: Settings) -> Said? {
        guard table.has(key) else { return nil }
        let found = table.problems.all.count
        let name = table.string(key, expected: "\(what), in quotes", limit: 4096)
        let refused = Said(key: key, value: "", table: table)
        guard table.problems.all.count == found else { return refused }
        // The content of such a file may be a key: it is not shown.
        guard name.utf8.count <= 1024, !name.utf8.contains(where: { $0 < 0x20 }), !name.contains("-----") else {
            table.refuse(
                key, "expected the name of a file, seen from the site file; what is in it is never written here")
            return refused
        }
        return Said(key: key, value: name, table: table)
    }

    /// All that makes sense for TLS only.
    fileprivate var said: [Said] {
        [trust, serverName, clientCertificate, clientKey].compactMap { $0 }.filter { !$0.value.isEmpty }
    }
}

/// Reads certificates and keys of TLS, and sees that they are what they are said to be and belong together.
struct CertificateReader {
    let siteFile: String
    /// By when certificates are judged; nil: they are not.
    let now: Int64?
    /// What connections will judge the receiver's certificate by.
    let clock: @Sendable () -> Moment
    private(set) var notices: [Problem] = []

    /// A chain for each of a few centres takes a fraction of it.
    static let mostBytes = 64 * 1024
    static let mostCertificates = 32

    init(siteFile: String, now: Int64?, clock: @escaping @Sendable () -> Moment) {
        self.siteFile = siteFile
        self.now = now
        self.clock = clock
    }

    /// What a path needs for TLS; nil where it has none, or where something is wrong with it, which is then noted.
    mutating func transport(_ agreed: SecurityAgreement, for path: Settings, host: String?) -> SecureTransport? {
        guard agreed.transport == .tls else {
            refuseWithoutTLS(agreed, for: path)
            return nil
        }
        guard let trust = agreed.trust else {
            (agreed.transportTable ?? path).refuse(
                "transport",
                "TLS needs either certificate = \"…\", the receiver's own, or authority = \"…\", who issues it: the "
                    + "system's list of authorities is never used")
            return nil
        }
        let trusted = certificates(trust)
        let own = ownCertificate(agreed)
        guard let trusted, let own, let host, !host.isEmpty else { return nil }
        judge(trusted.ours, of: trust, anyWillDo: true)
        if let said = agreed.clientCertificate { judge(own.chain.ours, of: said, anyWillDo: false) }
        let name = ServerName(agreed.serverName?.value ?? host)
        let isPinned = trust.key == "certificate"
        do {
            return try SecureTransport(
                trust: isPinned ? .pinned(trusted.ours) : .authority(trusted.ours, file: trust.value, name),
                authorities: isPinned ? [] : trusted.theirs, name: name, own: own.chain.theirs, key: own.key,
                clock: clock)
        } catch {
            guard let said = agreed.clientKey else {
                trust.table.refuse(trust.key, "the file \(trust.value) cannot be used for TLS: \(error)")
                return nil
            }
            said.table.refuse(
                said.key,
                "the key does not belong to the first certificate in client-certificate, or is of a kind that TLS does "
                    + "not take: expected RSA, or ECDSA with P-256, P-384 or P-521")
            return nil
        }
    }

    /// A setting of TLS where there is none is a mistake, unless a path goes another way than its receiver's.
    private func refuseWithoutTLS(_ agreed: SecurityAgreement, for path: Settings) {
        for said in agreed.said where said.table === path || agreed.transportTable !== path {
            said.table.refuse(said.key, "is for transport = \"tls\", which is not set")
        }
    }

    /// The certificates of one file, as the library takes them and as we judge them.
    private struct Chain {
        var theirs: [NIOSSLCertificate] = []
        var ours: [Certificate] = []
    }

    private func certificates(_ said: SecurityAgreement.Said) -> Chain? {
        guard !said.value.isEmpty else { return nil }
        let file = TextFile.path(said.value, beside: siteFile)
        let bytes: [UInt8]
        switch TextFile.read(file, limit: Self.mostBytes) {
        case .success(let content): bytes = content
        case .failure(let failure):
            said.table.refuse(said.key, "the file \(file) \(failure.reason)")
            return nil
        }
        var chain = Chain()
        let read = bytes.isEmpty ? [] : (try? NIOSSLCertificate.fromPEMBytes(bytes)) ?? []
        for certificate in read.prefix(Self.mostCertificates + 1) where !chain.theirs.contains(certificate) {
            guard let ours = Certificate(certificate) else { return refuseAsNoCertificate(said, file) }
            chain.theirs.append(certificate)
            chain.ours.append(ours)
        }
        guard !chain.ours.isEmpty else { return refuseAsNoCertificate(said, file) }
        guard read.count <= Self.mostCertificates else {
            said.table.refuse(
                said.key, "the file \(file) has more than \(Self.mostCertificates) certificates: only the needed ones")
            return nil
        }
        return chain
    }

    private func refuseAsNoCertificate(_ said: SecurityAgreement.Said, _ file: String) -> Chain? {
        said.table.refuse(
            said.key,
            "the file \(file) does not hold certificates in PEM form, or not only whole ones: expected "
                + "-----BEGIN CERTIFICATE----- and its end")
        return nil
    }

    /// - Returns: our chain and its key, both empty where there are none; nil where something is wrong.
    private func ownCertificate(_ agreed: SecurityAgreement) -> (chain: Chain, key: NIOSSLPrivateKey?)? {
        switch (agreed.clientCertificate, agreed.clientKey) {
        case (nil, nil): return (Chain(), nil)
        case (let certificate?, nil):
            certificate.table.refuse(
                certificate.key, "client-key is missing, expected the name of the file with the key of this certificate"
            )
            return nil
        case (nil, let key?):
            key.table.refuse(
                key.key, "client-certificate is missing, expected the name of the file with its certificate")
            return nil
        case (let certificate?, let key?):
            let chain = certificates(certificate)
            let secret = privateKey(key)
            guard let chain, let secret else { return nil }
            return (chain, secret)
        }
    }

    private func privateKey(_ said: SecurityAgreement.Said) -> NIOSSLPrivateKey? {
        guard !said.value.isEmpty else { return nil }
        switch KeyFile.privateKey(said.value, beside: siteFile) {
        case .success(let key): return key
        case .failure(let failure):
            said.table.refuse(said.key, failure.reason)
            return nil
        }
    }

    /// - Parameter anyWillDo: one that is valid is enough, as with the old and the new of a renewal.
    private mutating func judge(_ certificates: [Certificate], of said: SecurityAgreement.Said, anyWillDo: Bool) {
        guard let now else { return }
        let clock = "this machine's clock says \(Certificate.day(now))"
        let setting = "\(said.table.path).\(said.key)"
        let isAnyValid = certificates.contains { [.good, .expiring].contains($0.age(at: now)) }
        for certificate in certificates {
            let which = certificates.count > 1 ? "the certificate \(certificate.shortFingerprint)" : "the certificate"
            let found: String
            switch certificate.age(at: now) {
            case .good: continue
            case .expiring:
                found = "expires on \(certificate.lastDay): renew it"
                notices.append(
                    Problem(said.table.place(of: said.key), "\(setting): \(which) in \(said.value) \(found)"))
                continue
            case .expired: found = "expired on \(certificate.lastDay)"
            case .notYet: found = "is valid from \(certificate.firstDay)"
            }
            if anyWillDo && isAnyValid {
                notices.append(
                    Problem(said.table.place(of: said.key), "\(setting): \(which) in \(said.value) \(found)"))
            } else {
                said.table.refuse(
                    said.key, "\(which) in \(said.value) \(found), and \(clock): expected one that is valid")
            }
        }
    }
}

extension KeyFile {
    private static let mostPrivateBytes = 16 * 1024

    /// The key of a certificate, in PEM form. The same owner and mode are asked for as of any key file.
    /// - Parameter name: as `SecretFile` takes it.
    static func privateKey(_ name: String, beside siteFile: String) -> Result<NIOSSLPrivateKey, TextFile.Failure> {
        SecretFile.named(name, beside: siteFile).flatMap { file in
            file.read("key file", limit: mostPrivateBytes).flatMap { bytes in
                func refused(_ why: String) -> Result<NIOSSLPrivateKey, TextFile.Failure> {
                    .failure(TextFile.Failure(reason: "\(file.words("key file")) \(why)"))
                }
                guard !String(decoding: bytes, as: UTF8.self).contains("ENCRYPTED") else {
                    return refused(
                        "is locked with a passphrase, and nobody is there to type it: expected the key unlocked, as "
                            + "openssl pkey writes it")
                }
                // An empty passphrase, so that the library never asks for one.
                guard !bytes.isEmpty,
                    let key = try? NIOSSLPrivateKey(bytes: bytes, format: .pem, passphraseCallback: { $0([UInt8]()) })
                else {
                    return refused(
                        "does not hold a key in PEM form: expected -----BEGIN PRIVATE KEY----- and its end")
                }
                return .success(key)
            }
        }
    }
}
