import AlarmProtocol

@testable import Drivers

/// Files that a technician writes or gets sent: refused in words, or read.
func written(_ text: String) {
    recording(text)
    script(text)
    pattern(text)
}

private func recording(_ text: String) {
    let recording: Recording
    do throws(Recording.Wrong) { recording = try Recording(text, file: "espa-fuzz.txt", port: "/dev/pts/1") } catch {
        precondition(!error.description.isEmpty)
        return
    }
    guard let kind = recording.kind(among: panelDrivers.map { $0 as any Driver.Type }) else { return }
    let settings = recording.table(of: kind.name, port: "/dev/pts/1")
    _ = try? kind.init(settings)
    settings.refuseUnread()
}

private func script(_ text: String) {
    switch PlayScript.read(text, file: "fuzz.script") {
    case .success(let lines): precondition(lines.allSatisfy { $0.number > 0 && !$0.actions.isEmpty })
    case .failure(let wrong): precondition(!wrong.description.isEmpty)
    }
}

/// A printer's rule, and behind it in a line of its own what the panel prints.
private func pattern(_ text: String) {
    let parts = text.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts[0].utf8.count <= 200, let pattern = try? PrinterPattern(String(parts[0])) else { return }
    _ = pattern.find(in: String((parts.last ?? "").prefix(PrinterLine.longest)))
}
