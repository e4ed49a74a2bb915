/// Registers of one table of one unit that are read in one go.
struct ReadBlock: Sendable, Hashable {
    struct Member: Sendable, Hashable {
        /// The point's index among the device's points.
        var point: Int
        var register: Int
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
        count = (members.last?.register ?? 0) - start + 1
    }

    /// The block in two, each reading about as many addresses; nil when there is only one address.
    var halves: (ReadBlock, ReadBlock)? {
        guard count > 1 else { return nil }
        let middle = start + count / 2
        let low = members.filter { $0.register < middle }
        let high = members.filter { $0.register >= middle }
        return (ReadBlock(unit: unit, table: table, members: low), ReadBlock(unit: unit, table: table, members: high))
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

    /// The blocks, by unit, table and address. Only neighbours are read together: an address that nobody named may not
    /// exist, or may be cleared by being read.
    static func blocks(_ points: [ModbusPoint], limits: Limits) -> [ReadBlock] {
        let order = points.indices.sorted { a, b in
            let a = points[a]
            let b = points[b]
            return (a.unit, a.table, a.register) < (b.unit, b.table, b.register)
        }
        var groups: [[Int]] = []
        for index in order {
            if let first = groups.last?.first, let last = groups.last?.last,
                points[first].unit == points[index].unit, points[first].table == points[index].table,
                points[index].register - points[last].register <= 1,
                points[index].register - points[first].register
                    < (points[index].table.isBits ? limits.bits : limits.registers)
            {
                groups[groups.count - 1].append(index)
            } else {
                groups.append([index])
            }
        }
        return groups.map { group in
            ReadBlock(
                unit: points[group[0]].unit, table: points[group[0]].table,
                members: group.map { ReadBlock.Member(point: $0, register: points[$0].register) })
        }
    }
}
