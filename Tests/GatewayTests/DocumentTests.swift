import Foundation
import Testing

/// What the documents point at is there: links, the tests that are named as proof, the example that is quoted.
struct DocumentTests {
    /// A document's name from the checkout's root, and its text.
    struct Document: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var text: String

        /// The folder that its links are seen from.
        var folder: URL { repository.appendingPathComponent(testDescription).deletingLastPathComponent() }

        /// The lines that are prose: no code blocks, fenced or indented.
        var prose: [String] {
            var isCode = false
            return text.components(separatedBy: "\n").filter { line in
                if line.hasPrefix("```") { isCode.toggle() }
                return !isCode && !line.hasPrefix("    ") && !line.hasPrefix("```")
            }
        }

        /// What a link may aim at: every heading's words, as they are made into an anchor.
        var anchors: Set<String> {
            Set(
                prose.filter { $0.hasPrefix("#") }.map { heading in
                    let words = heading.drop { $0 == "#" }.trimmingCharacters(in: .whitespaces).lowercased()
                    return String(
                        words.compactMap {
                            $0 == " " ? "-" : $0.isLetter || $0.isNumber || "-_".contains($0) ? $0 : nil
                        })
                })
        }

        /// Table rows, and list items with the lines that go on with them.
        var items: [String] {
            var items: [String] = []
            for line in prose {
                if line.hasPrefix("  "), !items.isEmpty {
                    items[items.count - 1] += " " + line.trimmingCharacters(in: .whitespaces)
                } else {
                    items.append(line)
                }
            }
            return items.filter { $0.hasPrefix("- ") || $0.hasPrefix("|") }
        }
    }

    static let documents: [Document] = {
        let options: FileManager.DirectoryEnumerationOptions = [.skipsHiddenFiles, .skipsPackageDescendants]
        let files = FileManager.default.enumerator(at: repository, includingPropertiesForKeys: nil, options: options)
        var found: [Document] = []
        for case let file as URL in files ?? FileManager.DirectoryEnumerator() where file.pathExtension == "md" {
            guard let text = try? String(contentsOf: file, encoding: .utf8) else { continue }
            let name = file.path.replacingOccurrences(of: repository.path + "/", with: "")
            found.append(Document(testDescription: name, text: text))
        }
        return found.sorted { $0.testDescription < $1.testDescription }
    }()

    @Test("The documents are found")
    func found() {
        let names = Self.documents.map(\.testDescription)
        for name in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs/promises.md", "docs/drivers.md"] {
            #expect(names.contains(name))
        }
        #expect(names.filter { $0.hasPrefix("docs/decisions/") }.count >= 10)
    }

    @Test("Every link within the project leads somewhere", arguments: documents)
    func links(document: Document) throws {
        for line in document.prose {
            for match in line.replacing(/`[^`]*`/, with: "").matches(of: /\]\(([^)\s]+)\)/) {
                let target = String(match.1)
                guard !target.contains("://") else { continue }
                let parts = target.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(
                    String.init)
                let file = parts[0].isEmpty ? nil : document.folder.appendingPathComponent(parts[0])
                if let file {
                    #expect(FileManager.default.fileExists(atPath: file.path), "\(document.testDescription): \(target)")
                }
                guard parts.count == 2 else { continue }
                let text = try file.map { try String(contentsOf: $0, encoding: .utf8) } ?? document.text
                #expect(
                    Document(testDescription: "", text: text).anchors.contains(parts[1]),
                    "\(document.testDescription): there is no heading for \(target)")
            }
        }
    }

    /// In an item or a row, what follows a link to a file of tests up to the next link are names in that file: a Swift
    /// test's title or a planted bug's name in quotes, a function in backticks.
    private func claims(in document: Document) -> [(file: URL, title: String?, function: String?)] {
        var claims: [(file: URL, title: String?, function: String?)] = []
        for item in document.items {
            let links = item.matches(of: /\]\(([^)\s]+)\)/)
            for (index, link) in links.enumerated()
            where [".swift", ".py", ".toml"].contains(where: { link.1.hasSuffix($0) }) {
                let end = index + 1 < links.count ? links[index + 1].range.lowerBound : item.endIndex
                var names = item[link.range.upperBound..<end]
                // The words of the next link are its own.
                if index + 1 < links.count, let bracket = names.lastIndex(of: "[") { names = names[..<bracket] }
                let file = document.folder.appendingPathComponent(String(link.1))
                for name in names.matches(of: /"([^"]+)"|`([^`]+)`/) {
                    claims.append((file, name.1.map(String.init), name.2.map(String.init)))
                }
            }
        }
        return claims
    }

    @Test("Every test that is named as proof exists", arguments: ["docs/promises.md", "ARCHITECTURE.md"])
    func proofs(name: String) throws {
        let document = try #require(Self.documents.first { $0.testDescription == name })
        let claims = claims(in: document)
        #expect(claims.count >= 15)
        for claim in claims {
            let text = try String(contentsOf: claim.file, encoding: .utf8)
            let file = claim.file.lastPathComponent
            if let title = claim.title { #expect(text.contains("\"\(title)\""), "\(file) has no test \"\(title)\"") }
            if let function = claim.function {
                let isThere = text.contains("func \(function)(") || text.contains("def \(function)(")
                #expect(isThere, "\(file) has no test \(function)")
            }
        }
    }

    @Test("Every promise names tests that try to break it")
    func promises() throws {
        let document = try #require(Self.documents.first { $0.testDescription == "docs/promises.md" })
        let chapters = document.text.components(separatedBy: "\n## ").dropFirst().filter { $0.first?.isNumber == true }
        #expect(chapters.count == 11)
        for chapter in chapters {
            let part = Document(testDescription: "docs/promises.md", text: chapter)
            #expect(!claims(in: part).isEmpty, "\(chapter.prefix(40))")
        }
    }

    @Test("The driver in docs/drivers.md is the one that is compiled and tested")
    func example() throws {
        let file = repository.appendingPathComponent("Tests/DriverTests/ExampleDriver.swift")
        let code = try String(contentsOf: file, encoding: .utf8)
        let document = try #require(Self.documents.first { $0.testDescription == "docs/drivers.md" })
        #expect(document.text.contains("```swift\n\(code)```\n"))
    }
}
