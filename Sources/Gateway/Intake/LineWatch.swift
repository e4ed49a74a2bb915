import AlarmProtocol
import Drivers
import Synchronization

/// What a device says, is told and brings, for the people who watch it (`larmnod monitor`, `record`).
///
/// While nobody watches, a driver asks one flag and goes on. While somebody does, it adds to a bounded list and goes on:
/// words, files and terminals are the watcher's own thread's.
final class LineWatch: Sendable {
    private let isAnybodyThere = Atomic(false)
    private let watchers = Mutex<[Watcher]>([])

    var isWatched: Bool { isAnybodyThere.load(ordering: .relaxed) }

    func add(_ watcher: Watcher) {
        watchers.withLock { watchers in
            watchers.append(watcher)
            isAnybodyThere.store(true, ordering: .relaxed)
        }
    }

    func remove(_ watcher: Watcher) {
        watchers.withLock { watchers in
            watchers.removeAll { $0 === watcher }
            isAnybodyThere.store(!watchers.isEmpty, ordering: .relaxed)
        }
    }

    func tell(_ sight: Sight) {
        let watchers = watchers.withLock { $0 }
        for watcher in watchers { watcher.add(sight) }
    }
}

/// One thing that was seen of a device.
struct Sight: Sendable {
    enum What: Sendable {
        case passed(Passage)
        case measured(LoopReading)
        /// Signals, and the numbers of the events that they became.
        case reported([Signal], [Int64])
        case notStored([Signal], String)
        case opening
        case lost(String)
    }

    var device: String
    var at: Moment
    var what: What

    /// What it takes in memory, about.
    fileprivate var size: Int {
        switch what {
        case .passed(let passage): 100 + passage.bytes.count + passage.meaning.utf8.count
        case .reported(let signals, _), .notStored(let signals, _):
            100 + signals.reduce(0) { $0 + 100 + $1.text.utf8.count }
        case .opening, .lost, .measured: 200
        }
    }
}

/// What one watcher has not fetched yet. The oldest is kept; what comes when it is full is lost, and counted.
final class Watcher: Sendable {
    enum Limit {
        static let sights = 500
        /// In bytes.
        static let size = 256 * 1024
    }

    enum Wish: Sendable {
        /// All that passes; of a supervised loop, whose readings come many times a second, one a second.
        case everything
        /// Every reading of one loop, and nothing else.
        case readings(of: String)
    }
    /// How often a loop's reading is shown beside everything else.
    private static let pace: Int64 = 1000

    private struct State {
        var sights: [Sight] = []
        var size = 0
        var lost = 0
        /// When a loop's reading was last taken, by device and point: as many as the site has.
        var shown: [[String]: Int64] = [:]
    }
    private let state = Mutex(State())
    private let wish: Wish

    init(_ wish: Wish = .everything) { self.wish = wish }

    private func wants(_ sight: Sight, _ state: inout State) -> Bool {
        switch (wish, sight.what) {
        case (.readings(let point), .measured(let reading)): return reading.point == point
        case (.readings, _): return false
        case (.everything, .measured(let reading)):
            let last = state.shown[[sight.device, reading.point]]
            guard last.map({ sight.at.uptime - $0 >= Self.pace }) ?? true else { return false }
            state.shown[[sight.device, reading.point]] = sight.at.uptime
            return true
        case (.everything, _): return true
        }
    }

    func add(_ sight: Sight) {
        state.withLock { state in
            guard wants(sight, &state) else { return }
            let size = sight.size
            guard state.sights.count < Limit.sights, state.size + size <= Limit.size, state.lost == 0 else {
                state.lost += 1
                return
            }
            state.sights.append(sight)
            state.size += size
        }
    }

    /// All that waits, and how many more were lost after it.
    func take() -> (sights: [Sight], lost: Int) {
        state.withLock { state in
            defer { (state.sights, state.size, state.lost) = ([], 0, 0) }
            return (state.sights, state.lost)
        }
    }
}

extension DeviceHost {
    var isWatched: Bool { watch.isWatched }

    func trace(_ passage: Passage) { tellWatchers(.passed(passage)) }

    func measured(_ reading: LoopReading) { tellWatchers(.measured(reading)) }

    func tellWatchers(_ what: @autoclosure () -> Sight.What) {
        guard watch.isWatched else { return }
        watch.tell(Sight(device: device.name, at: now, what: what()))
    }
}
