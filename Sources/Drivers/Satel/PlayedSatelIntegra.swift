import AlarmProtocol

/// An INTEGRA 128 with an INT-RS module in function 2, played: keeps its states, its memories and its event log, says by 7F
/// what has changed, and answers each question at once. What it does not know, or cannot read, it does not answer.
public struct PlayedSatelIntegra: PlayedPanel {
    public static let line = SerialLine(speed: 19_200, dataBits: 8, parity: .none, stopBits: 1)
    /// Of the log, in events.
    private static let longestLog = 1000

    private var data: [UInt8: [UInt8]] = [:]
    private var news: Set<UInt8> = []
    /// From index 1 on.
    private var log: [[UInt8]] = []
    private var firstIndex = 1
    /// What happened and has not been read: the command that tells it, and in words.
    private var untold: [(command: UInt8, words: String)] = []
    private var reader = SatelFrameReader()
    private var minute = 0

    public init() {
        for command in SatelCommand.fast + SatelCommand.slow + [SatelCommand.armedShown] {
            guard let length = SatelCommand.lengths(command).first, command < 0x2C else { continue }
            data[command] = [UInt8](repeating: 0, count: length)
        }
        data[SatelCommand.status] = [0x20, 0x26, 0x11, 0x23, 0x12, 0x00, 0x00, 0x01, 0x03]
        news = Set(data.keys)
    }

    public var deadline: Int64? { nil }
    public var waiting: Int { untold.count }
    public mutating func opened(at now: Int64) -> [PlayedStep] { [] }
    public mutating func tick(at now: Int64) -> [PlayedStep] { [] }

    public mutating func happen(_ event: PlayedEvent, at now: Int64) throws(CannotPlay) {
        let words = "\(event.kind.name)\(event.began ? "" : " ended")"
        let partition = event.partition == 0 ? 1 : event.partition
        guard (1...32).contains(partition), (0...128).contains(event.zone) else {
            throw CannotPlay("an INTEGRA 128 has partitions 1 to 32 and zones 1 to 128")
        }
        minute = Int(now / 60_000 % 1440)
        switch event.kind.name {
        case "mains-failure": set(0x1B, bit: 40 * 8 + 7, event.began, words)
        case "battery": set(0x1B, bit: 40 * 8 + 6, event.began, words)
        case "arming", "disarming":
            let isArmed = (event.kind.name == "arming") == event.began
            set(SatelCommand.armed, bit: partition - 1, isArmed, words)
            set(SatelCommand.armedShown, bit: partition - 1, isArmed, nil)
            record(401, isRestore: isArmed, partition, source: max(1, event.zone))
        default: try alarm(event, partition, words)
        }
    }

    private mutating func alarm(_ event: PlayedEvent, _ partition: Int, _ words: String) throws(CannotPlay) {
        guard event.zone > 0, let codes = event.kind.codes(began: event.began), let number = Int(codes.contactID) else {
            throw CannotPlay(
                "an INTEGRA says alarms, tampers and bypasses of a zone, arming, mains-failure and battery, "
                    + "not \(event.kind.name)\(event.zone > 0 ? "" : " without a zone")")
        }
        let bit = event.zone - 1
        switch number {
        case 100...136, 150...155, 157...163, 200...206:
            set(SatelCommand.zonesAlarm, bit: bit, event.began, words)
            if event.began { set(SatelCommand.zonesAlarmMemory, bit: bit, true, nil) }
            let isFire = (110...117).contains(number)
            set(
                isFire ? SatelCommand.partitionsFire : SatelCommand.partitionsAlarm, bit: partition - 1, event.began,
                nil)
            let memory = isFire ? SatelCommand.partitionsFireMemory : SatelCommand.partitionsAlarmMemory
            if event.began { set(memory, bit: partition - 1, true, nil) }
            record(number, isRestore: !event.began, partition, source: event.zone)
        case 137, 144, 383:
            set(SatelCommand.zonesTamperAlarm, bit: bit, event.began, words)
            record(144, isRestore: !event.began, partition, source: event.zone)
        case 570...575:
            set(SatelCommand.zonesBypassed, bit: bit, event.began, words)
            record(570, isRestore: !event.began, partition, source: event.zone)
        default: throw CannotPlay("an INTEGRA does not say \(event.kind.name) of a zone")
        }
    }

    private mutating func set(_ command: UInt8, bit: Int, _ on: Bool, _ words: String?) {
        guard var bytes = data[command], bit / 8 < bytes.count else { return }
        let mask = UInt8(1) << (bit % 8)
        bytes[bit / 8] = on ? bytes[bit / 8] | mask : bytes[bit / 8] & ~mask
        if let words { untold.append((command, words)) }
        guard bytes != data[command] else { return }
        data[command] = bytes
        news.insert(command)
    }

    private mutating func record(_ code: Int, isRestore: Bool, _ partition: Int, source: Int) {
        log.append([
            0xB5, 0x17, 0xB0 | UInt8(minute >> 8 & 0x0F), UInt8(minute & 0xFF),
            UInt8((partition - 1) << 3 | (isRestore ? 4 : 0) | code >> 8 & 3), UInt8(code & 0xFF), UInt8(source & 0xFF),
            0,
        ])
        if log.count > Self.longestLog {
            log.removeFirst()
            firstIndex += 1
        }
    }

    public mutating func receive(_ byte: UInt8, at now: Int64) -> [PlayedStep] {
        reader.receive(byte).flatMap { found -> [PlayedStep] in
            switch found {
            case .strange(let bytes, let why): [.heard(bytes, says: "no frame: \(why)")]
            case .frame(let body): answer(body)
            }
        }
    }

    private mutating func answer(_ body: [UInt8]) -> [PlayedStep] {
        let command = body[0]
        let heard = PlayedStep.heard(SatelFrame.framed(body), says: "\(SatelCommand.words(command))?")
        switch (command, body.count) {
        case (SatelCommand.panelType, 1): return [heard, say([command, 3] + Array("11220131108".utf8) + [1, 0xFF])]
        case (SatelCommand.moduleVersion, 1): return [heard, say([command] + Array("11220131108".utf8) + [0])]
        case (SatelCommand.news, 1):
            var bits = [UInt8](repeating: 0, count: 5)
            for news in news where news < 40 { bits[Int(news) / 8] |= 1 << (news % 8) }
            return [heard, say([command] + bits)]
        case (SatelCommand.event, 4): return [heard, say(event(Array(body[1...])))]
        default:
            guard body.count == 1, let bytes = data[command] else { return [heard] }
            news.remove(command)
            let read = untold.filter { $0.command == command }.map { PlayedStep.taken($0.words) }
            untold.removeAll { $0.command == command }
            return [heard, say([command] + bytes)] + read
        }
    }

    /// The newest event for FF FF FF, else the one before; an empty record where there is none.
    private func event(_ index: [UInt8]) -> [UInt8] {
        let asked = index.reduce(0) { $0 << 8 | Int($1) }
        let wanted = asked == 0xFFFFFF ? firstIndex + log.count - 1 : asked - 1
        let place = wanted - firstIndex
        guard log.indices.contains(place) else {
            return [SatelCommand.event] + [UInt8](repeating: 0, count: 11) + index
        }
        let own = [UInt8(wanted >> 16 & 0xFF), UInt8(wanted >> 8 & 0xFF), UInt8(wanted & 0xFF)]
        return [SatelCommand.event] + log[place] + own + index
    }

    private func say(_ body: [UInt8]) -> PlayedStep {
        .send(SatelFrame.framed(body), says: SatelAnswer.words(body[0], Array(body.dropFirst())))
    }
}
