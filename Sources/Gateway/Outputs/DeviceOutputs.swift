import CLinux
import Glibc
import Synchronization

/// One device's outputs, as its host sees them.
struct DeviceOutputs: Sendable {
    private let lines: Lines
    private let outputs: Outputs

    /// How often what depends on time is judged again, and so the longest that an output is late for it.
    static let longestWait = Duration.seconds(1)

    init(_ lines: Lines, of outputs: Outputs) {
        self.lines = lines
        self.outputs = outputs
    }

    /// Readable when something may have changed.
    var descriptor: Int32 { lines.descriptor }

    /// Whether the output of this name, as the device's table has it, is to be on.
    func isOn(_ name: String) -> Bool { lines.outputs[name].map(outputs.isOn) ?? false }

    /// Whether any of them is to be otherwise than when this was last asked.
    func haveChanged() -> Bool {
        lines.stopRinging()
        let condition = outputs.condition()
        return lines.note(lines.outputs.mapValues { condition.isOn($0.shows) })
    }

    /// What is there as long as the daemon runs: the bell that wakes the device's thread.
    final class Lines: Sendable {
        let descriptor: Int32
        /// By their own name.
        let outputs: [String: Output]
        private let told: Mutex<[String: Bool]>

        init(_ device: Device) {
            descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
            outputs = Dictionary(
                device.outputs.map { (String($0.name.dropFirst(device.name.count + 1)), $0) },
                uniquingKeysWith: { first, _ in first })
            told = Mutex(outputs.mapValues { _ in false })
        }

        deinit { close(descriptor) }

        func ring() { eventfd_write(descriptor, 1) }

        func stopRinging() {
            var count: eventfd_t = 0
            eventfd_read(descriptor, &count)
        }

        /// - Returns: whether that is otherwise than the last time.
        func note(_ wanted: [String: Bool]) -> Bool {
            told.withLock { told in
                defer { told = wanted }
                return told != wanted
            }
        }
    }
}
