/// Registers of one table of one unit that are read in one go.
struct ReadBlock: Sendable, Hashable {
    /// What is read there.
    enum Use: Sendable, Hashable {
        /// The input itself.
        case state
        case latch
        case counter
        /// Of the unit; `point` is the unit's number.
        case heartbeat

        /// Read before the inputs: what happened until now (see `PulseWatch`).
        var isBefore: Bool { self != .state }
    }

    struct Member: Sendable, Hashable {
        /// The point's index among the device's points.
        var point: Int
        var register: Int
        var use = Use.state
        /// How many registers: 2 for a count of 32 bits, which is never read in two parts.
        var words = 1

        var end: Int { register + words }
    }

    var unit: Int
    var table: ModbusTable
    /// The first address, and how many.
    var start: Int
    var count: Int
    /// By register.
    var members: [Member]

    init(unit: Int, table: ModbusTable, members: [Member]) {
        self.unit = unit
        self.table = table
        self.members = members
        start = members.first?.register ?? 0
        count = (members.map(\.end).max() ?? 1) - start
    }

    /// The block in two, each reading about as many addresses; nil when there is only one address.
    var halves: (ReadBlock, ReadBlock)? {
        let middle = start + count / 2
        let low = members.filter { $0.register < middle }
        let high = members.filter { $0.register >= middle }
        guard count > 1, !low.isEmpty, !high.isEmpty else {
            // A count at the beginning that reaches over the middle: what else begins behind it is the other part.
            let rest = members.filter { $0.register > start }
            guard !rest.isEmpty else { return nil }
            return (
                ReadBlock(unit: unit, table: table, members: members.filter { $0.register == start }),
                ReadBlock(unit: unit, table: table, members: rest)
            )
        }
        return (ReadBlock(unit: unit, table: table, members: low), ReadBlock(unit: unit, table: table, members: high))
    }

    /// A member's values in what the block read.
    func values(of member: Member, in values: [UInt16]) -> ArraySlice<UInt16> {
        values[(member.register - start)..<(member.end - start)]
    }
}

/// Which reads bring all points. Pure.
enum ReadPlan {
    /// What one read may ask for (Modbus Application Protocol V1.1b3, 6.1 to 6.4).
    struct Limits: Sendable, Hashable {
        var registers = 125
        var bits = 2000

        init() {}

        /// Less than the protocol allows where the line is so slow that a reply of full length (five bytes and the data)
        /// would take more than half of the timeout.
        init(timeout: Duration, characterTime: Duration) {
            let characters = max(0, Int(timeout / 2 / characterTime) - 5)
            registers = min(125, max(1, characters / 2))
            bits = min(2000, max(8, characters * 8))
        }
    }

    private struct Item {
        var unit: Int
        var table: ModbusTable
        var member: ReadBlock.Member

        static func < (a: Item, b: Item) -> Bool {
            (a.unit, a.member.use.isBefore ? 0 : 1, a.table.rawValue, a.member.register, a.member.point)
                < (b.unit, b.member.use.isBefore ? 0 : 1, b.table.rawValue, b.member.register, b.member.point)
        }
    }

    /// The blocks, by unit, what is read first, table and address. Only neighbours are read together: an address that
    /// nobody named may not exist, or may be cleared by being read.
    static func blocks(
        _ points: [ModbusPoint], heartbeats: [Int: ModbusPlace] = [:], limits: Limits
    ) -> [ReadBlock] {
        var items: [Item] = []
        for (index, point) in points.enumerated() {
            items.append(
                Item(unit: point.unit, table: point.table, member: .init(point: index, register: point.register)))
            if let latch = point.latch { items.append(item(latch.place, of: point, index, .latch, 1)) }
            if let counter = point.counter {
                items.append(item(counter.place, of: point, index, .counter, counter.words))
            }
        }
        for (unit, place) in heartbeats {
            items.append(
                Item(
                    unit: unit, table: place.table,
                    member: .init(point: unit, register: place.register, use: .heartbeat)))
        }
        return blocks(items, limits)
    }

    /// The blocks that read the latches of these points, of one unit.
    static func latches(_ chosen: [Int], of points: [ModbusPoint], limits: Limits) -> [ReadBlock] {
        blocks(
            chosen.compactMap { index in
                points[index].latch.map { item($0.place, of: points[index], index, .latch, 1) }
            }, limits)
    }

    private static func item(
        _ place: ModbusPlace, of point: ModbusPoint, _ index: Int, _ use: ReadBlock.Use, _ words: Int
    ) -> Item {
        Item(
            unit: point.unit, table: place.table,
            member: .init(point: index, register: place.register, use: use, words: words))
    }

    private static func blocks(_ items: [Item], _ limits: Limits) -> [ReadBlock] {
        var groups: [[Item]] = []
        var end = 0
        for item in items.sorted(by: <) {
            if let first = groups.last?.first, first.unit == item.unit, first.table == item.table,
                first.member.use.isBefore == item.member.use.isBefore, item.member.register <= end,
                item.member.end - first.member.register <= (item.table.isBits ? limits.bits : max(2, limits.registers))
            {
                groups[groups.count - 1].append(item)
                end = max(end, item.member.end)
            } else {
                groups.append([item])
                end = item.member.end
            }
        }
        return groups.map { group in
            ReadBlock(unit: group[0].unit, table: group[0].table, members: group.map(\.member))
        }
    }
}
