import AlarmProtocol

/// One lasting state of the panel.
struct SatelCondition: Sendable, Hashable {
    enum What: String, Sendable, Hashable, CaseIterable {
        case zoneAlarm = "alarm"
        case zoneTamper = "tamper"
        case zoneBypass = "bypass"
        case zoneViolated = "violated"
        case partitionFire = "fire"
        case partitionAlarm = "partition-alarm"
        case armed

        var isOfZone: Bool { [.zoneAlarm, .zoneTamper, .zoneBypass, .zoneViolated].contains(self) }

        /// The readings that tell it: it is active where one of them says so, and at rest where all of them do.
        var commands: [UInt8] {
            switch self {
            case .zoneAlarm: [SatelCommand.zonesAlarm]
            case .zoneTamper: [SatelCommand.zonesTamper, SatelCommand.zonesTamperAlarm]
            case .zoneBypass: [SatelCommand.zonesBypassed, SatelCommand.zonesIsolated]
            case .zoneViolated: [SatelCommand.zonesViolated]
            case .partitionFire: [SatelCommand.partitionsFire]
            case .partitionAlarm: [SatelCommand.partitionsAlarm]
            case .armed: [SatelCommand.armed]
            }
        }

        /// The memory that keeps it when it has passed between two readings.
        init?(memory command: UInt8) {
            switch command {
            case SatelCommand.zonesAlarmMemory: self = .zoneAlarm
            case SatelCommand.zonesTamperMemory: self = .zoneTamper
            case SatelCommand.partitionsAlarmMemory: self = .partitionAlarm
            case SatelCommand.partitionsFireMemory: self = .partitionFire
            default: return nil
            }
        }
    }

    var what: What
    /// Zone or partition, from 1.
    var number: Int

    /// The name of its point where none is configured.
    var pointName: String {
        switch what {
        case .zoneAlarm: "zone-\(number)"
        case .zoneTamper, .zoneBypass, .zoneViolated: "zone-\(number)-\(what.rawValue)"
        case .partitionFire: "area-\(number)-fire"
        case .partitionAlarm: "area-\(number)-alarm"
        case .armed: "area-\(number)"
        }
    }
}

/// What the panel's states were and are, and what of it is news. Pure: readings in, signals out.
struct SatelStates: Sendable {
    /// Milliseconds. As long as an exit time may last, the log's word on arming stands against the state.
    static let exitTime: Int64 = 300_000

    var model = SatelModel.unknown
    /// The last reading of each command.
    private var data: [UInt8: [UInt8]] = [:]
    private var told: [SatelCondition: Bool] = [:]
    private var saidOf: [SatelCondition: Said] = [:]
    /// What the log or a memory says has been; it may have passed again.
    private var evidence: Set<SatelCondition> = []
    /// What was told of the states alone: the log's word of it will be no news.
    private var awaitedInLog: [SatelCondition: Int] = [:]
    private var inLog: Set<SatelCondition> = []
    /// Told since its memory was read: the memory's word of it will be no news.
    private var toldSinceMemory: Set<SatelCondition> = []
    /// Of which kind a zone's alarm was, by the log.
    private var kinds: [Int: (event: String, partition: Int)] = [:]
    private var freshKinds: Set<Int> = []
    /// The log says armed or disarmed, the state not yet.
    private var logged: [Int: (armed: Bool, until: Int64)] = [:]
    private var fromLog: [Signal] = []
    /// To be read again before it is judged whether what the evidence says has passed.
    private(set) var toRead: Set<UInt8> = []
    /// A trouble stands that no reading names.
    private var isUnnamed: Bool?
    /// Something was read since it was last judged.
    private var isUnjudged = false
    private var isSlowUnjudged = false
    private let points: [SatelCondition: [String]]

    init(points: [SatelPoint]) {
        self.points = Dictionary(grouping: points, by: \.condition).mapValues { $0.map(\.point) }
    }

    var watchesViolations: Bool { points.keys.contains { $0.what == .zoneViolated } }
    /// A module without 32-byte answers tells no more of a larger panel: beyond it there is only the log.
    private var zonesRead: Int { min(model.zones, (data[SatelCommand.zonesAlarm]?.count ?? 16) * 8) }

    /// A reading. Fire and troubles are news at once, the rest when `judge` has seen what belongs to it.
    mutating func take(_ command: UInt8, _ bytes: [UInt8]) -> [Signal] {
        let before = data[command]
        data[command] = bytes
        toRead.remove(command)
        (isUnjudged, isSlowUnjudged) = (true, true)
        if let what = SatelCondition.What(memory: command) {
            if let before { remember(what, satelNumbers(bytes), before: Set(satelNumbers(before))) }
            return []
        }
        if command == SatelCommand.partitionsFire { return changes(of: .partitionFire) }
        if command == SatelCommand.status { return serviceMode(bytes[7] & 0x80 != 0, before.map { $0[7] & 0x80 != 0 }) }
        return SatelTrouble.all.filter { $0.command == command }.flatMap { troubles($0, bytes, before) }
    }

    private mutating func remember(_ what: SatelCondition.What, _ now: [Int], before: Set<Int>) {
        for number in now where !before.contains(number) {
            let condition = SatelCondition(what: what, number: number)
            if !toldSinceMemory.contains(condition) { suspect(condition) }
        }
        toldSinceMemory = toldSinceMemory.filter { $0.what != what }
    }

    private mutating func suspectByLog(_ condition: SatelCondition) {
        if wasAwaited(condition) { return }
        inLog.insert(condition)
        suspect(condition)
    }

    private mutating func wasAwaited(_ condition: SatelCondition) -> Bool {
        guard let count = awaitedInLog[condition] else { return false }
        awaitedInLog[condition] = count > 1 ? count - 1 : nil
        return true
    }

    private mutating func suspect(_ condition: SatelCondition) {
        evidence.insert(condition)
        if isActive(condition) != true { toRead.formUnion(condition.what.commands) }
    }

    private func troubles(_ trouble: SatelTrouble, _ bytes: [UInt8], _ before: [UInt8]?) -> [Signal] {
        let was = before.map { trouble.states($0) }
        return trouble.states(bytes).enumerated().compactMap { index, active in
            guard was?[index] != active else { return nil }
            return Signal(
                point: trouble.point(index), .active(active), text: trouble.text(index),
                said: trouble.said(index, active: active))
        }
    }

    private func serviceMode(_ active: Bool, _ before: Bool?) -> [Signal] {
        guard active != before, let kind = EventKind.named("local-programming") else { return [] }
        return [Signal(point: "service-mode", .active(active), text: "service mode", said: Said(.kind(kind)))]
    }

    // MARK: The log

    /// An event that is new. What no state tells is news at `judge`.
    mutating func take(_ event: SatelEvent, at now: Int64) {
        isUnjudged = true
        let time = "(\(event.time) by the panel's clock)"
        switch event.meaning {
        case .zoneAlarm(let zone, let contactID) where zone > zonesRead:
            let qualifier = event.isRestore ? Qualifier.restore : .event
            let said = Said(.contactID(contactID, qualifier), partition: event.partition, zone: zone)
            fromLog.append(Signal(saying: said, text: time))
        case .zoneAlarm(let zone, _):
            learn(event)
            guard !event.isRestore else { return }
            suspectByLog(SatelCondition(what: .zoneAlarm, number: zone))
        case .zoneTamper(let zone):
            if !event.isRestore { suspectByLog(SatelCondition(what: .zoneTamper, number: zone)) }
        case .arming(let armed, let contactID):
            let said = Said(
                .contactID(contactID, armed ? .restore : .event), partition: event.partition, zone: event.source)
            let condition = SatelCondition(what: .armed, number: event.partition)
            if wasAwaited(condition) { return }
            logged[event.partition] = (armed, now + Self.exitTime)
            fromLog += signals(condition, armed, said, time)
            told[condition] = armed
            toRead.insert(SatelCommand.armed)
        case .told(let said):
            fromLog.append(Signal(saying: said, text: said.isKnown ? time : "\(event.summary) \(time)"))
        case .passedOver: break
        case .unknown: fromLog.append(Signal(point: "unclassified", .call, text: "\(event.summary)"))
        }
    }

    /// The log has been read to its newest event: what it has not said of the states by now it does not say later.
    mutating func logIsRead() { awaitedInLog = [:] }

    /// Only of which kind the zone's alarm is, of entries that are read backwards: the latest of a zone is the one that
    /// stands.
    mutating func learn(earlier event: SatelEvent) {
        guard case .zoneAlarm(let zone, _) = event.meaning, kinds[zone] == nil else { return }
        learn(event)
    }

    private mutating func learn(_ event: SatelEvent) {
        guard case .zoneAlarm(let zone, let contactID) = event.meaning, !event.isRestore || kinds[zone] == nil else {
            return
        }
        kinds[zone] = (contactID, event.partition)
        freshKinds.insert(zone)
    }

    // MARK: Judging

    /// All that is news now that the readings of one round are there.
    mutating func judge(at now: Int64) -> [Signal] {
        guard isUnjudged || !logged.isEmpty else { return [] }
        isUnjudged = false
        var news = fromLog
        fromLog = []
        news += changes(of: .partitionFire)
        news += changes(of: .zoneAlarm) + changes(of: .zoneTamper) + changes(of: .partitionAlarm)
        if watchesViolations { news += changes(of: .zoneViolated) }
        settleLogged(at: now)
        news += changes(of: .armed)
        evidence = []
        freshKinds = []
        inLog = []
        return news
    }

    /// What may wait: bypasses, and a trouble that no other names.
    mutating func judgeSlow() -> [Signal] {
        guard isSlowUnjudged else { return [] }
        isSlowUnjudged = false
        var news = changes(of: .zoneBypass)
        guard let status = data[SatelCommand.status], let kind = EventKind.named("trouble") else { return news }
        let parts = SatelTrouble.all.map(\.command)
        guard Set(parts).subtracting([0x2C, 0x2D]).allSatisfy({ data[$0] != nil }) else { return news }
        let isNamed = SatelTrouble.all.contains { $0.states(data[$0.command] ?? []).contains(true) }
        let active = status[7] & 0x40 != 0 && !isNamed
        if active != isUnnamed {
            isUnnamed = active
            news.append(
                Signal(
                    point: "panel-trouble", .active(active), text: "trouble: see the panel's keypad",
                    said: Said(.kind(kind))))
        }
        return news
    }

    /// The state may take as long as an exit time to follow the log.
    private mutating func settleLogged(at now: Int64) {
        for (partition, word) in logged {
            let active = isActive(SatelCondition(what: .armed, number: partition))
            if active == word.armed || now >= word.until { logged[partition] = nil }
        }
    }

    private mutating func changes(of what: SatelCondition.What) -> [Signal] {
        var news: [Signal] = []
        for number in 1...(what.isOfZone ? model.zones : model.partitions) {
            let condition = SatelCondition(what: what, number: number)
            guard what != .armed || logged[number] == nil else { continue }
            let hasBeen = evidence.remove(condition) != nil
            if hasBeen, told[condition] != true, !toRead.isDisjoint(with: what.commands) {
                // It was, and whether it still is cannot be read now: it is, until it can.
                news += tell(condition, true)
                continue
            }
            guard let active = isActive(condition) else { continue }
            // A reading from before what the log says proves no end.
            guard active || toRead.isDisjoint(with: what.commands) else { continue }
            if told[condition] != active, told[condition] != nil || !hasBeen || active {
                news += tell(condition, active)
            } else if hasBeen, !active {
                news += tell(condition, true) + tell(condition, false)
            }
        }
        return news
    }

    private mutating func tell(_ condition: SatelCondition, _ active: Bool) -> [Signal] {
        guard condition.what != .zoneViolated || points[condition] != nil else { return [] }
        told[condition] = active
        if active { toldSinceMemory.insert(condition) }
        if active || condition.what == .armed, inLog.remove(condition) == nil {
            awaitedInLog[condition] = min(100, (awaitedInLog[condition] ?? 0) + 1)
        }
        if active || saidOf[condition] == nil { saidOf[condition] = said(condition) }
        let said = saidOf[condition] ?? self.said(condition)
        return signals(condition, active, said.turned(began: active), "")
    }

    private func signals(_ condition: SatelCondition, _ active: Bool, _ said: Said, _ text: String) -> [Signal] {
        guard let names = points[condition] else {
            return [Signal(point: condition.pointName, .active(active), text: text, said: said)]
        }
        return names.map { Signal(point: $0, .active(active), text: text, said: said) }
    }

    /// As it begins.
    private func said(_ condition: SatelCondition) -> Said {
        let number = condition.number
        switch condition.what {
        case .zoneAlarm:
            if let kind = kinds[number], freshKinds.contains(number) || !isFire {
                return Said(.contactID(kind.event, .event), partition: kind.partition, zone: number)
            }
            return Said(.named(isFire ? "fire" : "burglary"), zone: number)
        case .zoneTamper: return Said(.named("detector-tamper"), zone: number)
        case .zoneBypass: return Said(.contactID("570", .event), zone: number)
        case .zoneViolated: return Said(.named("unclassified"), zone: number)
        case .partitionFire: return Said(.named("fire"), partition: number)
        case .partitionAlarm:
            // Whether a fire sets it as well is not documented: beside one it is an alarm of no stated kind.
            let hasFire = isActive(SatelCondition(what: .partitionFire, number: number)) == true
            return Said(.named(hasFire && isActive(condition) == true ? "unclassified" : "burglary"), partition: number)
        case .armed: return Said(.contactID("400", .restore), partition: number)
        }
    }

    private var isFire: Bool { data[SatelCommand.partitionsFire]?.contains { $0 != 0 } ?? false }

    /// Nil: not all of it has been read.
    private func isActive(_ condition: SatelCondition) -> Bool? {
        let readings = condition.what.commands.map { command -> Bool? in
            let place = condition.number - 1
            guard let bytes = data[command], place / 8 < bytes.count else { return nil }
            return bytes[place / 8] >> (place % 8) & 1 == 1
        }
        if readings.contains(true) { return true }
        return readings.contains(nil) ? nil : false
    }
}

extension Said {
    /// The same with the qualifier of its beginning or its end. For arming, Contact ID's are the other way round.
    fileprivate func turned(began: Bool) -> Said {
        guard case .contactID(let event, _) = code else { return self }
        var turned = self
        let isArming = Vocabulary.contactID(event)?.category.hasPrefix("open") ?? false
        turned.code = .contactID(event, began != isArming ? .event : .restore)
        return turned
    }
}

extension Said.Code {
    /// The kinds that are named here stand in the table; a test reads them all.
    fileprivate static func named(_ name: String) -> Said.Code {
        EventKind.named(name).map { .kind($0) } ?? .contactID("140", .event)
    }
}
