import Foundation
import Testing

@testable import Drivers

/// Every frame and session of the vectors, however the bytes arrive.
@Suite struct ESPAVectorTests {
    struct Vectors: Decodable {
        var vectors: [Vector]
        var sessions: [Session]
    }

    struct Vector: Decodable, Sendable, CustomTestStringConvertible {
        var id: String
        var hex: String
        var decode: Decoded
        var expect: String
        var testDescription: String { id }
    }

    struct Decoded: Decodable, Sendable {
        var header, callAddress, text, beep, callType, transmissions, priority, textIso646Se, replyHex: String?
        var textContains: [String]?
    }

    struct Session: Decodable, Sendable, CustomTestStringConvertible {
        struct Step: Decodable, Sendable {
            var from: String
            var hex: String?
            var ref: String?
        }
        var id: String
        var steps: [Step]
        var testDescription: String { id }
    }

    enum Arrival: CaseIterable, Sendable { case whole, byByte, inChunks, afterNoise, twice }

    static let all: Vectors = {
        do {
            let decoder = JSONDecoder()
            decoder.keyDecodingStrategy = .convertFromSnakeCase
            let file = SerialSupport.folder.appending(path: "Vectors/espa-vectors.json")
            return try decoder.decode(Vectors.self, from: Data(contentsOf: file))
        } catch {
            Issue.record("the vectors cannot be read: \(error)")
            return Vectors(vectors: [], sessions: [])
        }
    }()

    @Test func theVectorsAreThere() {
        #expect(Self.all.vectors.count == 15)
        #expect(Self.all.sessions.count == 5)
    }

    @Test(arguments: all.vectors, Arrival.allCases)
    func isAnsweredAndReported(_ vector: Vector, _ arrival: Arrival) throws {
        let frame = try SerialSupport.bytes(vector.hex)
        let answer = try SerialSupport.bytes(vector.decode.replyHex ?? "06")
        let seeds: ClosedRange<UInt64> = arrival == .inChunks || arrival == .afterNoise ? 1...12 : 1...1
        for seed in seeds {
            var random = SeededNumbers(seed)
            var steps: [ScriptHost.Step] = []
            if arrival == .afterNoise {
                let noise = (0..<1024).map { _ in UInt8.random(in: 0...255, using: &random) }
                steps += [.send(noise), .ignoreAnswers]
            }
            steps += Self.pieces([0x31, 0x05, 0x32, 0x05], arrival, &random) + [.expect([0x06])]
            for _ in 0..<(arrival == .twice ? 2 : 1) {
                steps += Self.pieces(frame, arrival, &random) + [.expect(answer)]
            }
            steps += [.send([0x04]), .expectNothing]

            let line = try PseudoTerminal()
            let isSwedish = vector.decode.textIso646Se != nil
            let driver = try SerialSupport.driver(
                port: line.path, [("charset", .string(isSwedish ? "iso646-se" : "latin-1"))])
            let host = ScriptHost(line, steps)
            try driver.run(host)

            let calls = host.signals.filter { $0.point == "unclassified" }
            let isCall = vector.expect == "accept" && vector.decode.header != "2"
            #expect(calls.count == (isCall ? 1 : 0), "seed \(seed)")
            #expect(calls.allSatisfy { $0.reading == .call })
            if let text = vector.decode.textIso646Se ?? vector.decode.text, isCall {
                #expect(calls.first?.text == text.trimmingCharacters(in: .whitespaces))
            }
        }
    }

    @Test(arguments: all.vectors.filter { $0.expect == "accept" })
    func isDecoded(_ vector: Vector) throws {
        let frame = try SerialSupport.bytes(vector.hex)
        let block = try ESPABlock(Array(frame.dropFirst().dropLast(2)))
        let call = ESPACall(block, vector.decode.textIso646Se == nil ? .latin1 : .iso646se)
        let decode = vector.decode
        if let header = decode.header { #expect(String(block.header.rawValue) == header) }
        if let address = decode.callAddress { #expect(call.address == address) }
        if let beep = decode.beep { #expect(call.beep == Int(beep)) }
        if let callType = decode.callType { #expect(call.callType == Int(callType)) }
        if let priority = decode.priority { #expect(call.priority == Int(priority)) }
        if let transmissions = decode.transmissions {
            #expect(block.records.first { $0.identifier == 5 }?.data == Array(transmissions.utf8))
        }
        for part in decode.textContains ?? [] { #expect(call.text.contains(part)) }
    }

    @Test(arguments: all.sessions, [Arrival.whole, .byByte, .inChunks])
    func sessionRuns(_ session: Session, _ arrival: Arrival) throws {
        var random = SeededNumbers(7)
        var steps: [ScriptHost.Step] = []
        var blocks = 0
        for step in session.steps {
            let referred = Self.all.vectors.first { $0.id == step.ref }
            let bytes = try SerialSupport.bytes(step.hex ?? #require(referred).hex)
            if referred?.expect == "accept" { blocks += 1 }
            steps += step.from == "panel" ? Self.pieces(bytes, arrival, &random) : [.expect(bytes)]
        }
        let line = try PseudoTerminal()
        let select = session.id == "espa-session-direct-select" ? "lenient" : "strict"
        let host = ScriptHost(line, steps + [.expectNothing])
        try SerialSupport.driver(port: line.path, [("select", .string(select))]).run(host)
        #expect(host.signals.filter { $0.reading == .call }.count == blocks)
    }

    private static func pieces(
        _ bytes: [UInt8], _ arrival: Arrival, _ random: inout SeededNumbers
    ) -> [ScriptHost.Step] {
        var pieces: [ScriptHost.Step] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let count =
                switch arrival {
                case .whole, .afterNoise, .twice: rest.count
                case .byByte: 1
                case .inChunks: Int.random(in: 1...9, using: &random)
                }
            pieces.append(.send(Array(rest.prefix(count))))
            rest = rest.dropFirst(count)
        }
        return pieces
    }
}
