import NIOCore
import NIOSSL

/// How a receiver shows itself over TLS, and whose transmitters it hears.
public struct ListeningCertificate: Sendable {
    let context: NIOSSLContext

    /// Files in PEM form.
    /// - Parameters:
    ///   - certificate: the receiver's own, and after it those that vouch for it.
    ///   - key: belongs to it; nobody but its owner may read the file.
    ///   - clientAuthority: who must have issued a transmitter's certificate; nil: none is asked for.
    public init(certificate: String, key: String, clientAuthority: String? = nil) throws(AccountError) {
        let chain = try Self.certificates(certificate)
        let secret = Array(try SmallFile.read(key, what: "key file", limit: 16 * 1_024, secret: true).utf8)
        guard !secret.isEmpty,
            // An empty passphrase, so that the library never asks for one.
            let key = try? NIOSSLPrivateKey(bytes: secret, format: .pem, passphraseCallback: { $0([UInt8]()) })
        else { throw AccountError("key file \(key): expected a key in PEM form, without a passphrase.") }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.trustRoots = .certificates([])
        configuration.shutdownTimeout = .seconds(1)
        if let clientAuthority {
            configuration.trustRoots = .certificates(try Self.certificates(clientAuthority))
            configuration.certificateVerification = .noHostnameVerification
            configuration.sendCANameList = true
        }
        do { context = try NIOSSLContext(configuration: configuration) } catch {
            throw AccountError("\(certificate): cannot be used for TLS. Does the key belong to it?")
        }
    }

    private static func certificates(_ path: String) throws(AccountError) -> [NIOSSLCertificate] {
        let bytes = Array(try SmallFile.read(path, what: "certificate", limit: 64 * 1_024).utf8)
        guard !bytes.isEmpty, let certificates = try? NIOSSLCertificate.fromPEMBytes(bytes), !certificates.isEmpty
        else { throw AccountError("certificate \(path): expected certificates in PEM form.") }
        return certificates
    }
}
