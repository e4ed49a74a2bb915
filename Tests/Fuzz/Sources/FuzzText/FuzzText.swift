import AlarmProtocol

@testable import Drivers

/// What libFuzzer calls: the input as each text that a panel, a receiver or a technician may write, and as what is
/// measured. A trap, a failed check
/// or a run of more than a few seconds is a finding.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    let latin = String(String.UnicodeScalarView(input.map { UnicodeScalar($0) }))
    for text in [latin, String(decoding: input, as: UTF8.self)] {
        codes(text)
        configured(text)
        written(text)
    }
    measured(input)
    blocks(input)
    echo(input)
    supervision(input)
    modbus(input)
    return 0
}

/// As a frame on a Modbus bus, behind any request: it is the reply, in full, or it is not.
private func modbus(_ input: [UInt8]) {
    guard input.count > 6 else { return }
    for kind in [ModbusFrame.Kind.serial, .network(transaction: UInt16(input[0]) << 8 | UInt16(input[1]))] {
        let frame = ModbusFrame(kind: kind, request: Array(input.prefix(6)))
        for reply in [Array(input.dropFirst(6)), input + ModbusFrame.checksum(input)] {
            guard case .values(let values) = frame.reply(in: reply) else { continue }
            precondition(values.isEmpty || values.count == Int(input[4]) << 8 | Int(input[5]))
        }
    }
}

private func codes(_ text: String) {
    for account in [nil, "1234"] {
        guard let block = SIABlock(text, account: account) else { continue }
        block.events.forEach(check)
        precondition(!block.events.isEmpty && block.events.count <= text.utf8.count)
        precondition(block.text.utf8.count <= text.utf8.count, "more was read than was written")
    }
    for format in ReceiverFormat.allCases {
        guard case .events(let events, let words) = ReceiverReport(text, format) else { continue }
        events.forEach(check)
        precondition(!events.isEmpty && words.utf8.count <= text.utf8.count)
    }
    let parts = text.split(separator: " ", maxSplits: 3).map(String.init)
    let number = Int(parts.last ?? "") ?? -1
    for code in [Said.Code.sia(parts.first ?? ""), .contactID(parts.first ?? "", .restore)] {
        check(Said(code, account: parts.dropFirst().first, partition: number, zone: number))
    }
}

/// What is said can be told of: with numbers that an event holds.
private func check(_ said: Said) {
    precondition((0...9999).contains(said.zone) && said.partition.map((0...99).contains) ?? true)
    precondition(said.account.map { (3...16).contains($0.utf8.count) } ?? true)
    precondition(!said.pointName.isEmpty)
    _ = (said.summary, said.codes(began: true), said.isEnd, said.isKnown)
    _ = CodedPoint.point(for: said, among: points)
}

private let points = [["5", "10-20"], ["0-9999"]].map { zones in
    let entries = [("codes", ["BA", "130"]), ("zones", zones)].map { key, texts in
        SettingNode.Entry(key: key, node: node(.array(texts.map { node(.string($0)) })))
    }
    return CodedPoint(Settings(node(.table(entries)), path: "device.x.y.point.a", problems: Problems()))
}

/// As a value in a configuration: refused in words, or taken.
private func configured(_ text: String) {
    let table = node(
        .table(
            ["codes", "zones", "accounts", "port", "line", "rs-485", "delay-after-send", "handshake"].map {
                SettingNode.Entry(key: $0, node: node(.string(text)))
            }))
    let settings = Settings(table, path: "device.x.y.point.a", problems: Problems())
    _ = CodedPoint(settings)
    _ = SerialSettings(settings, defaultLine: line)
    precondition(settings.problems.all.allSatisfy { !$0.description.isEmpty })
    if let read = SerialLine(text) { precondition(SerialLine(read.description) == read) }
    _ = Duration(described: text)
}

private func blocks(_ input: [UInt8]) {
    guard let block = try? ESPABlock(input) else { return }
    for charset in PanelCharset.allCases {
        let call = ESPACall(block, charset)
        precondition(call.text.unicodeScalars.count <= input.count && !call.summary.isEmpty)
        precondition(!call.text.unicodeScalars.contains { $0.value < 0x20 }, "a control character is shown")
    }
}

/// On a line without an echo nothing is lost; on one with an echo, only that.
private func echo(_ input: [UInt8]) {
    var filter = EchoFilter(line)
    var heard: [UInt8] = []
    for (index, byte) in input.enumerated() { heard += filter.others(in: [byte], at: Int64(index)) }
    precondition(heard == input, "nothing was sent, and something was left out")
    var now: Int64 = 0
    for chunk in stride(from: 0, to: input.count, by: 7).map({ Array(input[$0..<min($0 + 7, input.count)]) }) {
        now += 1000
        let wasCertain = filter.isCertain
        filter.sent(chunk, at: now)
        let others = filter.others(in: chunk + [0x55], at: now + 1)
        precondition(others == (wasCertain ? [0x55] : chunk + [0x55]), "an echo was taken wrong")
    }
}

private func supervision(_ input: [UInt8]) {
    var supervision = LineSupervision(
        SerialSettings(path: "/dev/null", line: line), lacks: "nothing", .seconds(10),
        Moment(utc: 0, uptime: 0, clock: .known))
    var now: Int64 = 0
    for byte in input {
        now += Int64(byte) * 100
        switch byte & 7 {
        case 0: supervision.valid(at: now)
        case 1: supervision.strange(Int(byte), at: now)
        case 2: supervision.held(byte & 8 == 0, at: now)
        case 3: supervision.notUnderstood("x")
        case 4: supervision.understood()
        default: supervision.received([byte])
        }
        supervision.check(at: now, errors: LineErrors(framing: Int(byte & 1), parity: Int(byte & 2)))
        if let next = supervision.nextCheck, byte & 7 != 2 {
            supervision.held(false, at: now)
            supervision.check(at: max(now, next))
            precondition(supervision.nextCheck.map { $0 > next || $0 > now } ?? true, "the line's next look is past")
        }
        if case .fault(let words) = supervision.condition { precondition(!words.isEmpty && words.utf8.count < 1000) }
    }
}

func node(_ value: SettingNode.Value) -> SettingNode {
    SettingNode(value, at: Place(file: "fuzz.toml", line: 1, column: 1))
}

private let line = SerialLine(speed: 9600, dataBits: 8, parity: .none, stopBits: 1)
