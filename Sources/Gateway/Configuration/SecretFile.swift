import Glibc

/// A file that holds a secret: a key of DC-09, a private key for TLS. Named in the site file either as a file, seen from
/// there, or as `credential:NAME`: what systemd gives the service as that (LoadCredential=, LoadCredentialEncrypted=),
/// so that the secret lies encrypted, bound to the board's TPM, or in memory only.
struct SecretFile: Sendable {
    static let credentialPrefix = "credential:"
    /// systemd.exec(5), LoadCredential=: a file's name, at most 255 characters; these are all that anybody uses.
    static let credentialForm = "credential: and 1 to 255 letters, digits, - _ and ., the first no dot"

    let path: String
    /// Empty for a plain file.
    private let credential: String

    /// Where the secret of this name is to be found. Reads nothing.
    /// - Parameter environment: looks up an environment variable.
    static func named(
        _ name: String, beside siteFile: String,
        environment: (String) -> String? = { getenv($0).map { String(cString: $0) } }
    ) -> Result<SecretFile, TextFile.Failure> {
        guard name.hasPrefix(credentialPrefix) else {
            return .success(SecretFile(path: TextFile.path(name, beside: siteFile), credential: ""))
        }
        let credential = String(name.dropFirst(credentialPrefix.count))
        // What is no name may be the secret itself, and is not shown.
        guard isCredential(credential) else {
            return .failure(TextFile.Failure(reason: "expected a credential's name as \(credentialForm)"))
        }
        let directory = environment("CREDENTIALS_DIRECTORY") ?? ""
        guard directory.hasPrefix("/") else {
            return .failure(
                TextFile.Failure(
                    reason: "no credentials were given ($CREDENTIALS_DIRECTORY is not set): expected to be run by "
                        + "systemd, with LoadCredential=NAME:FILE in the unit. By hand, as root, while the service runs: "
                        + "CREDENTIALS_DIRECTORY=/run/credentials/larmnod.service larmnod check"))
        }
        return .success(SecretFile(path: "\(directory)/\(credential)", credential: credential))
    }

    /// - Parameter what: "key file".
    /// - Returns: the content, or what is wrong, in words that show neither the secret nor the file's name where no such
    ///   file exists: the name may then be a secret written in the wrong place.
    func read(_ what: String, limit: Int) -> Result<[UInt8], TextFile.Failure> {
        switch TextFile.read(path, limit: limit, mode: objection) {
        case .success(let content): return .success(content)
        case .failure(let failure): return .failure(TextFile.Failure(reason: words(what, failure)))
        }
    }

    /// How messages call it.
    func words(_ what: String) -> String { credential.isEmpty ? "the \(what) \(path)" : "the credential \(credential)" }

    private func words(_ what: String, _ failure: TextFile.Failure) -> String {
        if access(path, F_OK) == 0 || !failure.isMissing { return "\(words(what)) \(failure.reason)" }
        guard credential.isEmpty else {
            return "there is no such credential: expected LoadCredential=NAME:FILE, or LoadCredentialEncrypted=, with "
                + "this name in the unit; the key itself is never written here"
        }
        return "there is no such \(what): expected its name, seen from the site file; the key itself is never written "
            + "here"
    }

    /// Whoever can read the key can forge alarms and their absence; whoever can write it can silence the site.
    private func objection(to status: stat) -> String? {
        let mode = status.st_mode & 0o777
        let user = geteuid()
        // systemd lets the service's user read its credentials by an access list, whose mask shows as the group's bit.
        if mode & (credential.isEmpty ? 0o077 : 0o037) != 0 {
            let shown = String(mode, radix: 8)
            return credential.isEmpty
                ? "is open to other users (mode 0\(shown)), expected 0600: chmod 600 \(path)"
                : "is open to other users (mode 0\(shown)), expected 0400 or 0440, as systemd makes it"
        }
        if status.st_uid != 0 && status.st_uid != user {
            return "belongs to user \(status.st_uid), expected root or the user that reads it (\(user)): chown it"
        }
        return nil
    }

    private static func isCredential(_ name: String) -> Bool {
        (1...255).contains(name.utf8.count) && !name.hasPrefix(".")
            && name.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }
}
