import Testing

@testable import AlarmProtocol

@Suite struct DC09StreamTests {
    /// What a decoder makes of chunks, in order.
    private func results(of chunks: [[UInt8]]) -> [Result<[UInt8], FrameError>] {
        var decoder = StreamDecoder()
        var results: [Result<[UInt8], FrameError>] = []
        for chunk in chunks {
            decoder.append(chunk)
            while let result = decoder.next() { results.append(result) }
        }
        return results
    }

    @Test(arguments: Vector.all) func splitAtEveryByteIsTheSame(_ vector: Vector) {
        let bytes = vector.bytes
        #expect(results(of: bytes.map { [$0] }) == results(of: [bytes]))
    }

    @Test(arguments: UInt64(1)...50) func joinedAndSplitAnywhereIsTheSame(_ seed: UInt64) {
        var random = Seeded(seed)
        let vectors = Vector.all.filter { $0.rawHex != nil }.shuffled(using: &random)
        let bytes = vectors.flatMap(\.bytes)
        var chunks: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = Int.random(in: 1...300, using: &random)
            chunks.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        #expect(results(of: chunks) == results(of: [bytes]))
    }

    @Test func everyWholeFrameOfALongStreamComesOut() throws {
        let whole = Vector.all.filter { $0.bytes.first == 0x0A && $0.bytes.last == 0x0D && $0.bytes.count <= 4105 }
        #expect(whole.count > 120)
        let results = results(of: [whole.flatMap(\.bytes)])
        #expect(try results.map { try $0.get() } == whole.map(\.bytes))
    }

    @Test func aFrameWithoutAnEndDoesNotTakeTheNextWithIt() {
        let good = Vector["P001"].bytes
        let cut = Array(good.dropLast(5))
        #expect(results(of: [cut + good]) == [.failure(FrameError(.noEnd)), .success(good)])
    }

    @Test func lineEndsAndNothingsBetweenFramesAreDropped() {
        let good = Vector["P001"].bytes
        #expect(
            results(of: [good + [0x0A] + good + [0, 0, 0x0A, 0] + good]) == [
                .success(good), .success(good), .success(good),
            ])
    }

    @Test func aFrameCanBeAsLongAsALengthCanSayAndNoLonger() {
        let longest = Vector["N039"].bytes
        #expect(longest.count == Envelope.largestFrame)
        #expect(results(of: longest.map { [$0] }) == [.success(longest)])
        var longer = longest
        longer.insert(0x78, at: 100)
        #expect(
            results(of: [longer, Vector["P001"].bytes]) == [
                .failure(FrameError(.tooLong)), .success(Vector["P001"].bytes),
            ])
    }

    /// A peer that never ends its frame costs one frame's memory, and is heard of once for each line feed.
    @Test func anEndlessFrameIsBounded() {
        var decoder = StreamDecoder()
        var failures = 0
        let junk = [UInt8](repeating: 0x41, count: 1000)
        decoder.append([0x0A])
        for _ in 0..<1000 {
            decoder.append(junk)
            while let result = decoder.next() {
                #expect(result == .failure(FrameError(.tooLong)))
                failures += 1
            }
        }
        #expect(failures == 1)
        #expect(!decoder.isInFrame)
        #expect(decoder.dropped == 1_000_001)
    }

    @Test func aBegunFrameCanBeForgotten() {
        var decoder = StreamDecoder()
        let good = Vector["P001"].bytes
        decoder.append(good.dropLast(1))
        #expect(decoder.next() == nil)
        #expect(decoder.isInFrame)
        decoder.reset()
        #expect(!decoder.isInFrame)
        #expect(decoder.dropped == good.count - 1)
        decoder.append(good)
        #expect(decoder.next() == .success(good))
    }

    @Test func aDatagramIsOneFrame() {
        let good = Vector["P001"].bytes
        #expect(StreamDecoder.frame(inDatagram: good + good) == .success(good))
        #expect(StreamDecoder.frame(inDatagram: []) == .failure(FrameError(.noStart)))
        #expect(StreamDecoder.frame(inDatagram: good.dropLast()) == .failure(FrameError(.noEnd)))
        #expect(StreamDecoder.frame(inDatagram: good.dropFirst()) == .failure(FrameError(.noStart)))
    }
}
