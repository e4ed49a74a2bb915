import ArgumentParser
import Dispatch
import Glibc
import Receiver

/// `larmnod receive`: the centre's end, for tests, demonstrations and acceptance on site.
struct Receive: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Receive alarms as an alarm centre does, and print them.",
        usage: "larmnod receive [--listen <address:port>] [<options>]",
        discussion: """
            Listens for SIA DC-09 over TCP and UDP, acknowledges what it can keep, and prints every event once, a JSON \
            object a line, on standard output. What people read goes to standard error. docs/feed.md tells every field.

            With --store the events are on disk before they are acknowledged, and a repeat is known after a restart. \
            Without it they are acknowledged once they are printed.

            With --tls-certificate and --tls-key every connection speaks TLS 1.2 or later, and there is no UDP; with \
            --tls-client-authority a transmitter must show a certificate which that authority has issued.

            MISBEHAVING, to try a transmitter: --misbehave, or a line on standard input while it runs, as \
            "misbehave nak" or "misbehave none". Words:

              drop              the frame is lost on its way: not stored, not answered
              close             the same, and the connection is closed
              nak, duh          refused: not stored
              silent            stored, but the answer is lost
              delay:SECONDS     stored, answered late
              garbage:BYTES     stored, answered with random bytes
              slow:BYTES_PER_SECOND  stored, answered slowly
              wrong-sequence    stored, acknowledged under the next number
              none              behave

            Add :every=K for every Kth frame, and @N, @N-M or @N- for some frames only, counted from when it is \
            switched on, link tests included: "delay:2:every=3@10-40".
            """)

    @Option(
        help: ArgumentHelp(
            "Address and port, TCP and UDP alike; an IPv6 address in brackets.", valueName: "address:port"))
    var listen = "127.0.0.1:7700"

    @Option(
        help: ArgumentHelp(
            "An account that is heard, and the file with its key (one line, hex:… or text:…, mode 0600) if it must "
                + "encrypt. May be repeated, also with another key of the same account (at most four), as while keys "
                + "are changed. None, and no list: any account, in plain.", valueName: "account[=keyfile]")
    )
    var account: [String] = []

    @Option(
        help: ArgumentHelp(
            "A list of accounts: ACCOUNT or ACCOUNT KEYFILE a line, # begins a comment; a line for each key.",
            valueName: "file"))
    var accounts: String?

    @Option(help: "What becomes of an account that is not listed: refuse (DUH), or accept in plain.")
    var unknown = Accounts.Unknown.refuse

    @Option(help: ArgumentHelp("Keep events in this file, on disk before they are acknowledged.", valueName: "file"))
    var store: String?

    @Option(help: ArgumentHelp("The certificate to show over TLS, in PEM form.", valueName: "file"))
    var tlsCertificate: String?

    @Option(help: ArgumentHelp("The key of that certificate, in PEM form, mode 0600.", valueName: "file"))
    var tlsKey: String?

    @Option(help: ArgumentHelp("Who must have issued a transmitter's certificate, in PEM form.", valueName: "file"))
    var tlsClientAuthority: String?

    @Flag(help: "Print link tests as well.")
    var polls = false

    @Option(help: ArgumentHelp("Answer badly on purpose; see above.", valueName: "words"))
    var misbehave: String?

    @Option(help: ArgumentHelp("Open TCP connections; beyond it the one silent longest is closed.", valueName: "count"))
    var connections = ReceiverOptions.Limits().connections

    @Option(help: ArgumentHelp("Seconds without a frame before a connection is closed.", valueName: "seconds"))
    var idle = Int(ReceiverOptions.Limits().idleTime.components.seconds)

    func run() async throws {
        // A reader of ours that goes away is told by write(), and so is a file that may grow no more; a terminal that is
        // not ours to read, by read().
        signal(SIGPIPE, SIG_IGN)
        signal(SIGTTIN, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
        let stopping = AsyncStream.makeStream(of: Void.self)
        let signals = [SIGINT, SIGTERM].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number)
            source.setEventHandler { stopping.continuation.yield() }
            source.resume()
            return source
        }
        defer { for source in signals { source.cancel() } }

        let options = try options()
        let service = try await ReceiverService.start(
            options, feed: { try FeedRecord.write($0, to: STDOUT_FILENO) }, log: Self.say)
        if let opening = service.opening, let store { Self.say(opening.words(of: store)) }
        let host = options.host.contains(":") ? "[\(options.host)]" : options.host
        Self.say("Listening on \(host):\(service.port), \(options.tls == nil ? "TCP and UDP" : "TLS").")
        if let misbehaviour = options.misbehaviour { Self.say("Misbehaving: \(misbehaviour).") }
        Self.obeyStandardInput(service)

        for await _ in stopping.stream { break }
        let counters = try await service.counters()
        try await service.stop()
        Self.say(counters.words)
    }

    func validate() throws {
        guard (1...100_000).contains(connections) else { throw ValidationError("--connections: expected 1 to 100000.") }
        guard (1...86_400).contains(idle) else { throw ValidationError("--idle: expected 1 to 86400 seconds.") }
        _ = try Self.endpoint(listen)
        guard (tlsCertificate == nil) == (tlsKey == nil), tlsCertificate != nil || tlsClientAuthority == nil else {
            throw ValidationError("--tls-certificate and --tls-key go together, and --tls-client-authority with them.")
        }
        if let misbehave {
            do { _ = try Misbehaviour.parse(misbehave) } catch { throw ValidationError("\(error)") }
        }
    }

    private func options() throws -> ReceiverOptions {
        var entries = try account.map { try Accounts.Entry(argument: $0) }
        if let accounts { entries += try Accounts.read(list: accounts) }
        var options = ReceiverOptions(accounts: try Accounts(entries, unknown: unknown))
        (options.host, options.port) = try Self.endpoint(listen)
        if let tlsCertificate, let tlsKey {
            options.tls = try ListeningCertificate(
                certificate: tlsCertificate, key: tlsKey, clientAuthority: tlsClientAuthority)
        }
        options.store = store
        options.showsPolls = polls
        options.misbehaviour = try misbehave.flatMap { try Misbehaviour.parse($0) }
        options.limits.connections = connections
        options.limits.idleTime = .seconds(idle)
        return options
    }

    /// "127.0.0.1:7700", "[::1]:7700"
    private static func endpoint(_ text: String) throws -> (host: String, port: Int) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            throw ValidationError("--listen \(text): expected ADDRESS:PORT, as 127.0.0.1:7700 or [::1]:7700.")
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            throw ValidationError("--listen \(text): an IPv6 address goes in brackets, as [::1]:7700.")
        }
        guard !host.isEmpty else {
            throw ValidationError("--listen \(text): the address is missing; 0.0.0.0 means every IPv4 address.")
        }
        return (String(host), Int(port))
    }

    /// Obeys lines on standard input until it ends. Reading blocks, so it has a thread of its own.
    private static func obeyStandardInput(_ service: ReceiverService) {
        DispatchQueue(label: "standard input").async {
            while let line = readLine() {
                let words = line.split(whereSeparator: \.isWhitespace)
                guard !words.isEmpty else { continue }
                guard words.count == 2, words[0] == "misbehave" else {
                    say("\"\(line)\" is no command here. Expected misbehave and then \(Misbehaviour.grammar).")
                    continue
                }
                let misbehaviour: Misbehaviour?
                do {
                    misbehaviour = try Misbehaviour.parse(words[1])
                } catch {
                    say("\(error)")
                    continue
                }
                service.misbehave(misbehaviour)
                say(misbehaviour.map { "Misbehaving: \($0)." } ?? "Behaving.")
            }
        }
    }

    @Sendable private static func say(_ words: String) {
        let line = Array("larmnod receive: \(words)\n".utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}

extension Accounts.Unknown: ExpressibleByArgument {}

extension Store.Opening {
    fileprivate func words(of store: String) -> String {
        var words = "\(store) has \(messages) messages."
        if cut > 0 { words += " An unfinished end of \(cut) bytes was cut off; it had not been acknowledged." }
        if unreadable > 0 { words += " \(unreadable) lines are not feed lines, and were left alone." }
        return words
    }
}

extension Counters {
    fileprivate var words: String {
        "Stopped after \(frames) frames: \(events) events, \(repeats) repeats, \(polls) link tests, \(refused) answered DUH, "
            + "\(wrongTime) answered NAK, \(ignored) not answered, \(failed) not kept, \(misbehaved) answered badly on purpose."
    }
}
