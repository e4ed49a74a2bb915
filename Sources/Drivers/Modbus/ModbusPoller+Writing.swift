import AlarmProtocol
import Glibc

/// Everything that a bus is written: what clears latches, and outputs.
extension ModbusPoller {
    // MARK: Latches

    /// Clears the latches of the unit's inputs that are at rest again, after what they said is on disk. One coil may clear
    /// all of them: where another has been set meanwhile, that is told first.
    mutating func clearLatches(of unit: Int) throws {
        let set = driver.points.indices.filter { index in
            driver.points[index].unit == unit && driver.points[index].latch != nil
                && watches[index].latchIsKnown && watches[index].lastActive == false
        }
        for clear in Set(set.compactMap { driver.points[$0].latch?.clear }).sorted(by: { $0.register < $1.register }) {
            let sharing = driver.points.indices.filter {
                driver.points[$0].unit == unit && driver.points[$0].latch?.clear == clear
            }
            guard let before = try latches(sharing, of: unit) else { return }
            if before.contains(where: { $0.value && !watches[$0.key].latchIsKnown }) {
                schedule.postpone(unit, to: .now)
                continue
            }
            let block = WriteBlock(unit: unit, place: .coil, start: clear.register, outputs: [])
            let reply = try inTurn { [host] in try $0.write(block, [clear.value], showing: host) }
            if try unitFailure(unit, reply) != nil { return }
            if case .exception(let code) = reply {
                uncleared(
                    set,
                    "unit \(unit) refuses to clear its latch by coil \(clear.register): \(ModbusReply.words(for: code))"
                )
                continue
            }
            guard let after = try latches(sharing, of: unit) else { return }
            let works = clearWorks.contains([unit, clear.register])
            if !works, after.allSatisfy({ !$0.value }) { clearWorks.insert([unit, clear.register]) }
            for (index, isSet) in after.sorted(by: { $0.key < $1.key }) {
                if !isSet {
                    isCleared(index)
                } else if set.contains(index) {
                    // It may have been set anew: that is told with the next poll, before it is cleared again. Where nobody
                    // has seen yet that this coil clears anything, once.
                    if states[index].uncleared < (works ? Self.patience - 1 : 1) { watches[index].latchIsKnown = false }
                    uncleared([index], "its latch stays set after coil \(clear.register) was written")
                }
            }
        }
        try deliver()
    }

    private mutating func isCleared(_ index: Int) {
        watches[index].latchIsKnown = false
        states[index].uncleared = 0
        heal(index, .catching)
    }

    private mutating func uncleared(_ points: [Int], _ why: String) {
        for index in points {
            states[index].uncleared = min(states[index].uncleared + 1, Self.patience)
            if states[index].uncleared == Self.patience {
                fault(index, .catching, "\(why): pulses between two readings are not seen")
            }
        }
    }

    /// Whether each of these points' latches is set; nil when the unit failed.
    private mutating func latches(_ points: [Int], of unit: Int) throws -> [Int: Bool]? {
        var found: [Int: Bool] = [:]
        for block in ReadPlan.latches(points, of: driver.points, limits: limits) {
            let reply = try request(block)
            if try unitFailure(unit, reply) != nil { return nil }
            guard case .values(let values) = reply else { return nil }
            for member in block.members { found[member.point] = values[member.register - block.start] != 0 }
        }
        return found
    }

    // MARK: Outputs

    /// Writes the unit's outputs as the host asks for them, each time anew: a module that was without power, or whose own
    /// watchdog has run out, gets them back.
    /// - Returns: why the unit failed, nil when it did not; whether it answered.
    mutating func writeOutputs(of unit: Int) throws -> (failure: String?, hasAnswered: Bool) {
        var hasAnswered = false
        for index in writing.due(unit, at: .now) {
            let block = writing.blocks[index]
            let bits = writing.bits(index, wanted: host.output)
            let reply = try inTurn { [host] in try $0.write(block, bits, showing: host) }
            if let failure = try unitFailure(unit, reply) { return (failure, hasAnswered) }
            hasAnswered = true
            host.answers()
            if case .exception(let code) = reply {
                signals += writing.refused(index, code, ModbusReply.words(for: code), at: .now)
                continue
            }
            let read = try readBack(index)
            if let failure = try unitFailure(unit, read) { return (failure, hasAnswered) }
            guard case .values(let values) = read, writing.isReadable(index) else {
                signals += writing.written(index, bits, read: nil)
                continue
            }
            signals += writing.written(index, bits, read: values)
        }
        return (nil, hasAnswered)
    }

    private mutating func readBack(_ index: Int) throws -> ModbusReply {
        guard writing.isReadable(index) else { return .values([]) }
        let block = writing.blocks[index].readBlock
        let reply = try request(block)
        if case .exception(let code) = reply, (1...3).contains(code) {
            log(.notice, block, "cannot be read back, \(ModbusReply.words(for: code)): what is written is believed")
            writing.cannotBeRead(index)
        }
        return reply
    }

    /// While a report cannot be stored, and nothing is read.
    mutating func writeAllOutputs() throws {
        for unit in writing.units.sorted() where schedule.isAlive(unit) {
            allow(unit)
            _ = try writeOutputs(of: unit)
        }
    }

    /// How long the units are told at a stop that everything is off.
    private static let farewell: Duration = .seconds(2)

    /// The driver stops: every output off, as far as that can be had in a short time.
    mutating func switchOff() {
        let deadline = ContinuousClock.now + Self.farewell
        for index in writing.blocks.indices where schedule.isAlive(writing.blocks[index].unit) && .now < deadline {
            // The host waits for nothing any more, and a frame must not run into the one before it.
            usleep(UInt32(min(silence, .milliseconds(999)).components.attoseconds / 1_000_000_000_000))
            _ = try? link.write(writing.blocks[index], writing.bits(index, wanted: host.output), showing: host)
        }
    }
}
