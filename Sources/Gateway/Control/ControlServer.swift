import AlarmProtocol
import FoundationEssentials
import Glibc
import Logging
import NIOCore
import Synchronization

/// Answers the commands on a Unix socket, on threads of its own: a slow terminal or a long listing never touches the
/// uplink. Root, the daemon's own user and the members of the operators' group may ask; nobody else.
final class ControlServer: Sendable {
    let site: Site
    let intake: Intake
    let devices: [DeviceHost]
    let uplink: NIOLoopBound<Uplinks>
    let loop: any EventLoop
    let stopping: Interrupt
    let clock: @Sendable () -> Moment
    let started: Moment
    /// Nil in tests of the server alone.
    let own: OwnDoings?
    private let descriptor: Int32
    private let clients = Atomic<Int>(0)
    private let watchers = Atomic<Int>(0)
    private let logger = Logger(label: "control")

    /// Askers at once. One more is told to come back.
    private static let clientLimit = 8
    /// Of them, those that stay until they go away: forgotten ones must not keep anybody from asking how the site is.
    private static let watcherLimit = 5

    /// - Throws: `ControlRefusal` when the socket cannot be made.
    init(
        site: Site, intake: Intake, devices: [DeviceHost], uplink: NIOLoopBound<Uplinks>, loop: any EventLoop,
        stopping: Interrupt, clock: @escaping @Sendable () -> Moment, own: OwnDoings? = nil
    ) throws {
        self.own = own
        self.site = site
        self.intake = intake
        self.devices = devices
        self.uplink = uplink
        self.loop = loop
        self.stopping = stopping
        self.clock = clock
        started = clock()
        let path = site.controlSocket
        guard path.utf8.count < 108 else {
            throw ControlRefusal("control socket \(path): the name is longer than 107 bytes; set site.socket shorter")
        }
        try Self.removeSocket(path)
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        let directory = path.split(separator: "/").dropLast().joined(separator: "/")
        mkdir("/" + directory, 0o755)
        var address = unixAddress(path)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, listen(descriptor, 8) == 0 else {
            let words = systemWords()
            close(descriptor)
            throw ControlRefusal(
                "control socket \(path): \(words). Give its directory to the user that runs larmnod, or set site.socket."
            )
        }
        chmod(path, site.operators == nil ? 0o600 : 0o660)
        if let group = site.operators {
            guard let number = Self.number(ofGroup: group) else {
                close(descriptor)
                unlink(path)
                throw ControlRefusal("site.operators: there is no group \"\(group)\" on this machine (getent group)")
            }
            if chown(path, uid_t.max, number) != 0 {
                logger.warning("control socket: cannot be given to group \(group): \(systemWords())")
            }
        }
    }

    /// The outbox's lock says that we are the only one: a socket that is there is a dead process's. Anything else is
    /// somebody's, and stays.
    private static func removeSocket(_ path: String) throws(ControlRefusal) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw ControlRefusal("control socket \(path): there is something else of that name; set site.socket")
        }
        unlink(path)
    }

    func live() {
        while !stopping.isSet {
            var polled = [descriptor, stopping.descriptor].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
            guard poll(&polled, 2, -1) > 0, polled[0].revents != 0, !stopping.isSet else { continue }
            let client = accept(descriptor, nil, nil)
            guard client >= 0 else {
                // Out of descriptors, most likely: the asker waits in the queue until there are some.
                var stop = pollfd(fd: stopping.descriptor, events: Int16(POLLIN), revents: 0)
                poll(&stop, 1, 200)
                continue
            }
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            serve(client)
        }
        close(descriptor)
        unlink(site.controlSocket)
    }

    private func serve(_ descriptor: Int32) {
        let client = ControlClient(descriptor)
        guard clients.add(1, ordering: .relaxed).newValue <= Self.clientLimit else {
            clients.subtract(1, ordering: .relaxed)
            client.send(ControlRefusal("\(Self.clientLimit) others are asking already: try again in a moment"))
            return
        }
        do {
            try WorkerThread("control client") { [self] in
                defer { clients.subtract(1, ordering: .relaxed) }
                answer(client)
            }.detach()
        } catch { clients.subtract(1, ordering: .relaxed) }
    }

    private func answer(_ client: ControlClient) {
        do {
            let person = try permitted(client)
            guard let line = client.readLine() else { return }
            guard let request = try? JSONDecoder().decode(ControlRequest.self, from: Data(line)) else {
                throw ControlRefusal("that is no request: expected one JSON object with \"command\"")
            }
            switch request.command {
            case .status: client.send(try status())
            case .events where request.follow ?? false: try stay { events(request, client) }
            case .events: events(request, client)
            case .testPoint: client.send(try testPoint(request.name ?? "", person))
            case .testPath: client.send(try testPath(request.name ?? "", person))
            case .availability: try availability(request, client)
            case .bus: try bus(request, client)
            case .discard: client.send(try discard(request, person))
            case .testMode: client.send(try testMode(request, person))
            case .receiver: client.send(try centre(request, person))
            case .watch: try stay { try watch(request, client) }
            case .learn: try stay { try learn(request, client) }
            }
        } catch let refusal as ControlRefusal { client.send(refusal) } catch {
            client.send(ControlRefusal("\(error)"))
        }
    }

    /// Answers somebody who stays: a watcher of lines or events.
    func stay(_ answer: () throws -> Void) throws {
        defer { watchers.subtract(1, ordering: .relaxed) }
        guard watchers.add(1, ordering: .relaxed).newValue <= Self.watcherLimit else {
            throw ControlRefusal(
                "\(Self.watcherLimit) others are watching or following events already: end one of them")
        }
        try answer()
    }

    /// The system's user database answers from one buffer for the whole process.
    private static let userDatabase = Mutex(())

    private static func number(ofGroup name: String) -> gid_t? {
        userDatabase.withLock { _ in getgrnam(name)?.pointee.gr_gid }
    }

    /// A user's name and groups; nil for one whom the system does not know.
    private static func look(up user: uid_t) -> (name: String, groups: [gid_t])? {
        userDatabase.withLock { _ in
            guard let entry = getpwuid(user) else { return nil }
            var count: Int32 = 256
            var groups = [gid_t](repeating: 0, count: Int(count))
            let isComplete = getgrouplist(entry.pointee.pw_name, entry.pointee.pw_gid, &groups, &count) > 0
            return (
                String(cString: entry.pointee.pw_name), isComplete ? Array(groups.prefix(Int(max(0, count)))) : []
            )
        }
    }

    /// Who asks, by name. - Throws: `ControlRefusal` for somebody who may not.
    private func permitted(_ client: ControlClient) throws(ControlRefusal) -> String {
        guard let user = client.user else { throw ControlRefusal("the operating system does not say who you are") }
        let entry = Self.look(up: user)
        let name = entry?.name ?? "user \(user)"
        if user == 0 || user == getuid() { return name }
        if let group = site.operators, let wanted = Self.number(ofGroup: group),
            entry?.groups.contains(wanted) ?? false
        {
            return name
        }
        logger.warning("\(name) asked and may not")
        let hint = site.operators.map { "Members of the group \($0) may: ask your administrator." }
        throw ControlRefusal(
            "\(name) may not ask this larmnod. \(hint ?? "Only root may: use sudo, or set site.operators to a group.")")
    }
}

/// One asker's connection. Bounded: a line of at most 4 KiB in within two seconds, and two seconds for each write.
final class ControlClient: Sendable {
    private let descriptor: Int32

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        let size = socklen_t(MemoryLayout<timeval>.size)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    }

    deinit { close(descriptor) }

    /// Who is at the other end, as the kernel knows it.
    var user: uid_t? {
        // SO_PEERCRED gives process, user and group: three 32-bit numbers.
        var credentials: (pid_t, uid_t, gid_t) = (0, 0, 0)
        var size = socklen_t(MemoryLayout.size(ofValue: credentials))
        return getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 ? credentials.1 : nil
    }

    func readLine() -> [UInt8]? {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        let deadline = ContinuousClock.now + .seconds(2)
        while line.count < 4096, ContinuousClock.now < deadline, recv(descriptor, &byte, 1, 0) == 1 {
            if byte == UInt8(ascii: "\n") { return line }
            line.append(byte)
        }
        return nil
    }

    /// Waits a little. - Returns: false when the asker has gone away meanwhile.
    func isThere(after milliseconds: Int32) -> Bool {
        var polled = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&polled, 1, milliseconds) <= 0
    }

    /// Keeps what the kernel holds for a slow reader small, in bytes: what it cannot take is then lost here, and counted.
    func limitBuffer(to bytes: Int32) {
        var bytes = bytes
        setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &bytes, socklen_t(MemoryLayout<Int32>.size))
    }

    /// Sends as much as the reader takes at once, and keeps the rest in `bytes`; waits a little where it takes nothing.
    /// - Returns: false when the asker is gone.
    func push(_ bytes: inout [UInt8], within milliseconds: Int32) -> Bool {
        // Whatever it says now, a closing included, is its farewell.
        var polled = pollfd(fd: descriptor, events: Int16(bytes.isEmpty ? POLLIN : POLLIN | POLLOUT), revents: 0)
        guard poll(&polled, 1, milliseconds) > 0 else { return true }
        guard polled.revents & Int16(POLLIN | POLLHUP | POLLERR) == 0 else { return false }
        let count = bytes.withUnsafeBytes {
            Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
        }
        if count > 0 { bytes.removeFirst(count) }
        return count > 0 || errno == EAGAIN || errno == EINTR
    }

    /// An answer as it is sent: a line of JSON.
    static func line(of answer: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let bytes = try? Array(encoder.encode(answer)) else { return [] }
        return bytes + [UInt8(ascii: "\n")]
    }

    /// - Returns: false when the asker is gone.
    @discardableResult
    func send(_ answer: some Encodable) -> Bool {
        let bytes = Self.line(of: answer)
        guard !bytes.isEmpty else { return false }
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { return false }
            sent += count
        }
        return true
    }
}
