import AlarmProtocol
import Foundation
import Synchronization
import Testing

@testable import Gateway

@Suite("The outbox under many threads, while the disk comes and goes (promises 1, 2, 3)")
struct OutboxStressTests {
    let scratch = Scratch()
    let clock = TestClock()

    private struct Seen {
        /// What `append` said is taken, by point, in its order.
        var taken: [String: [String]] = [:]
        /// What arrived at the receiver for the first time, by point.
        var arrived: [String: [String]] = [:]
        var known: Set<Int64> = []
    }

    @Test("What was taken arrives, in the order of its point, whatever the disk does meanwhile", arguments: [1, 2, 3])
    func comesAndGoes(seed: UInt64) throws {
        let clock = clock
        let outbox = try Outbox(directory: scratch.path + "/state", emergency: scratch.path, clock: { clock.now })
        let seen = Locked(Seen())
        let isOver = Locked(false)
        let threads = try [
            WorkerThread("receiver") {
                var dice = Seeded(seed)
                while !isOver.value.withLock({ $0 }) {
                    guard let next = outbox.take(for: "a", over: "x") else {
                        usleep(200)
                        continue
                    }
                    // As the uplink does: what cannot be read now is tried later; now and then a frame is lost.
                    guard let stored = try? outbox.read(next.id), Int.random(in: 0..<10, using: &dice) > 0 else {
                        outbox.release(next.id)
                        continue
                    }
                    seen.value.withLock { seen in
                        if seen.known.insert(next.id).inserted {
                            seen.arrived[stored.event.point, default: []].append(stored.event.text)
                        }
                    }
                    // The ACK is lost, too.
                    if Int.random(in: 0..<10, using: &dice) == 0 {
                        outbox.release(next.id)
                    } else {
                        outbox.acknowledge(next.id, sent: 1, path: "x", tries: 1)
                    }
                }
            },
            WorkerThread("house") {
                while !isOver.value.withLock({ $0 }) {
                    clock.advance(2500)
                    outbox.keepHouse()
                    usleep(2000)
                }
            },
            WorkerThread("disk") {
                var dice = Seeded(seed &+ 100)
                while !isOver.value.withLock({ $0 }) {
                    usleep(UInt32.random(in: 5000...30_000, using: &dice))
                    try? Database(outbox.directory.file).execute(
                        "CREATE TRIGGER broken BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'failing'); END")
                    usleep(UInt32.random(in: 5000...30_000, using: &dice))
                    try? Database(outbox.directory.file).execute("DROP TRIGGER IF EXISTS broken")
                }
            },
        ]
        let devices = try (0..<4).map { device in
            try WorkerThread("device \(device)") {
                for number in 0..<300 {
                    let point = "p\(device)"
                    let text = "\(number)"
                    // As a driver does: what was not stored is reported again.
                    while true {
                        do {
                            try outbox.append([NewEvent(sample(point, .technical, text: text), active: number % 2 == 0)]
                            )
                            seen.value.withLock { $0.taken[point, default: []].append(text) }
                            break
                        } catch { usleep(1000) }
                    }
                }
            }
        }
        for device in devices { device.join() }
        for _ in 0..<2000 where outbox.waitingCount > 0 { usleep(10_000) }
        isOver.value.withLock { $0 = true }
        for thread in threads { thread.join() }
        #expect(outbox.waitingCount == 0)
        #expect(outbox.takeNotices().contains(.canWriteAgain))
        let result = seen.value.withLock { $0 }
        #expect(result.taken.count == 4)
        for (point, texts) in result.taken {
            // An event given back and reported again may arrive twice, under two numbers; never later than the next.
            var first: [String] = []
            for text in result.arrived[point] ?? [] where first.last != text { first.append(text) }
            #expect(first == texts, "seed \(seed), \(point)")
        }
        #expect(outbox.lastStates() == ["p0": false, "p1": false, "p2": false, "p3": false])
    }
}
