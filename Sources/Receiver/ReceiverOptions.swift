/// How a receiver is to work. The defaults suit a desk, a test bench or a small centre.
public struct ReceiverOptions: Sendable {
    /// Where to listen: TCP and UDP on the same port, or with `tls` only TCP. Port 0 lets the system choose one.
    public var host = "127.0.0.1"
    public var port = 7700
    /// Every connection speaks TLS; then nothing comes in clear, and there is no UDP.
    public var tls: ListeningCertificate?
    public var accounts: Accounts
    /// The store's path; nil keeps nothing, and a frame is acknowledged once the feed's reader has it.
    public var store: String?
    /// Link tests in the feed (never in the store).
    public var showsPolls = false
    public var misbehaviour: Misbehaviour?
    /// Messages remembered for each account, to know a repeat: 1 to 9,999.
    public var repeatDepth = DuplicateWindow.defaultDepth
    public var limits = Limits()

    public init(accounts: Accounts) { self.accounts = accounts }

    /// What is bounded, and where.
    public struct Limits: Sendable, Hashable {
        /// Open TCP connections; beyond it, the one that was silent longest is closed.
        public var connections = 1_000
        /// From a frame's first byte to its last (DC-09 reference 13.1: 10–30 s).
        public var frameTime = Duration.seconds(20)
        /// Between two frames on a connection. A transmitter that keeps its connection polls more often, and one that
        /// does not simply connects again.
        public var idleTime = Duration.seconds(600)
        /// Frames, and bytes of feed lines, that wait for the disk or the feed's reader. Beyond it a frame is not
        /// answered, and its transmitter sends it again.
        public var waitingFrames = 10_000
        public var waitingBytes = 16 * 1_024 * 1_024

        public init() {}
    }
}
