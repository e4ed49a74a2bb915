import AlarmProtocol
import Glibc

/// What the outbox does where its file fails it: a store in memory while the disk takes nothing, a new file for a damaged
/// one.
extension Outbox {
    /// How long an event that lies only in memory waits for a receiver's ACK before it is given back.
    private static let memoryPatience = Duration.seconds(5)

    func awaitReceiver(_ ids: [Int64], _ why: OutboxError) throws(OutboxError) {
        guard waitForReceiver(ids, atMost: Self.memoryPatience) != .acknowledged else { return }
        queue.withLock { queue in
            for id in ids {
                queue.waiting.remove(id)
                // Given back, refused or not: nobody need discard it.
                queue.parked.remove(id)
            }
        }
        throw OutboxError(
            kind: why.kind,
            description: "\(why.description); and no receiver acknowledged it within \(Self.memoryPatience.described)")
    }

    /// The disk refuses: from now on a store in memory takes the events. - Returns: false where there is none.
    func goIntoMemory(_ writer: inout Writer, _ why: OutboxError) -> Bool {
        guard let emergencyFile else { return false }
        Salvage.remove(emergencyFile)
        let next = writer.store.nextID + Int64.random(in: Salvage.leap)
        guard let store = try? Store(file: emergencyFile, boot: boot, firstID: next, isVolatile: true) else {
            return false
        }
        // A reader may still have the file of the last time.
        reader.withLock { $0.emergency = nil }
        store.adoptStates(of: writer.store)
        writer.volatileFrom = next
        writer.triedDisk = clock().uptime
        writer.trouble = why
        writer.store = store
        queue.withLock { queue in
            queue.trouble = why.description
            queue.notices.append(.cannotWrite(why.description))
        }
        return true
    }

    /// Tries the disk again, now and then. What lies in memory has been acknowledged or given back, so nothing moves.
    func returnToDisk(_ writer: inout Writer) {
        guard let from = writer.volatileFrom, clock().uptime - writer.triedDisk >= 5000 else { return }
        writer.triedDisk = clock().uptime
        let now = clock().utc
        guard directory.isWritable, let opened = try? Salvage.open(directory, boot: boot, now: now) else { return }
        let store = opened.store
        let marks = pendingMarks(.max, whose: { $0 < from })
        // A row that is written and synced is the proof that the disk takes events again.
        let forgotten = queue.withLock(\.forgotten)
        let kept = forgotten.map { Kept(device: $0, bytes: []) }
        guard (try? store.commit([], marks: marks, keeping: kept, now: now)) != nil, (try? store.prove(now)) != nil
        else { return }
        // What was told from memory is in no row: without these a cut would take back its states and its numbers.
        let oldest = queue.withLock { $0.waiting.oldest }
        let unread = opened.waiting.map(\.id).min()
        guard (try? store.goOn(after: writer.store, oldestWaiting: [oldest, unread].compactMap { $0 }.min())) != nil
        else { return }
        queue.withLock { queue in
            // Where the file could not be read at the start, this is when its events are met.
            let ended = Set(queue.marks.map(\.id))
            for entry in opened.waiting where !queue.waiting.contains(entry.id) && !ended.contains(entry.id) {
                queue.waiting.add(entry.id, point: entry.point, urgency: entry.urgency)
            }
            queue.parked.formUnion((try? store.parked()) ?? [])
            queue.forgotten.subtract(forgotten)
            queue.kept.merge(store.kept()) { ours, _ in ours }
            if let notice = opened.notice { queue.notices.append(notice) }
            queue.notices.append(.canWriteAgain)
            queue.trouble = nil
        }
        forgetMarks(marks.count, whose: { $0 < from })
        reader.withLock { $0.disk = nil }
        writer.store = store
        writer.keepsEpoch = false
        writer.volatileFrom = nil
        writer.trouble = nil
        writer.rows = nil
        writer.trimCursor = 0
        directory.takeLock()
    }

    /// The file turned out to be damaged while in use.
    func replaceDamaged(_ writer: inout Writer) throws(DatabaseError) {
        let lastID = writer.store.nextID - 1
        // Closed before its files are moved: a connection that closes later would tidy up the new file's log.
        writer.store.database.close()
        writer.rows = nil
        writer.trimCursor = 0
        // Whatever the reader opens until this is done is the old file.
        defer { reader.withLock { $0.disk = nil } }
        do {
            let opened = try Salvage.setAsideAndKeep(directory, boot: boot, now: clock().utc, lastKnownID: lastID)
            writer.store = opened.store
            writer.keepsEpoch = false
            let notes = queue.withLock(\.kept).map { Kept(device: $0, bytes: $1) }
            if !notes.isEmpty { _ = try? writer.store.commit([], marks: [], keeping: notes, now: 0) }
            var kept = Set(opened.waiting.map(\.id))
            let waiting = queue.withLock { Set($0.waiting.all) }
            for (id, new) in writer.newest where waiting.contains(id) && !kept.contains(id) {
                if (try? writer.store.store(new, under: id, at: clock().utc)) != nil { kept.insert(id) }
            }
            queue.withLock { queue in
                // What waits and is neither in the new file nor in memory cannot be sent any more.
                let gone = queue.waiting.all.filter { !kept.contains($0) }
                for id in gone { queue.waiting.remove(id) }
                if case .damaged(let kept, let lost, let file)? = opened.notice {
                    queue.notices.append(.damaged(kept: kept, lost: max(lost, gone.count), file: file))
                }
            }
        } catch let error as DatabaseError {
            throw error
        } catch {
            throw DatabaseError(code: 0, description: "\(error)")
        }
    }
}
