import Drivers
import Foundation

@testable import Gateway

/// A directory of its own for each test that writes files; gone when the test is.
final class Folder {
    let path: String

    init() throws {
        // The real path: a key file's objection names it.
        let root = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path
        path = "\(root)/larmnod-configuration-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func write(_ name: String, _ content: some Sequence<UInt8>, mode: Int = 0o600) throws -> String {
        let file = "\(path)/\(name)"
        let folder = (file as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(content).write(to: URL(fileURLWithPath: file))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: file)
        return file
    }

    @discardableResult
    func write(_ name: String, _ content: String, mode: Int = 0o600) throws -> String {
        try write(name, content.utf8, mode: mode)
    }

    /// All that is wrong with a site, as it is printed, without this folder's name.
    func refusal(of file: String, drivers: [any Driver.Type] = plainDrivers) -> String {
        switch SiteReader.read(file: file, drivers: drivers) {
        case .success: "accepted\n"
        case .failure(let error): error.description.replacingOccurrences(of: path + "/", with: "") + "\n"
        }
    }
}

/// The checkout, from where this file lies.
let repository: URL = {
    var folder = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
    while folder.path != "/",
        !FileManager.default.fileExists(atPath: folder.appendingPathComponent("Package.swift").path)
    {
        folder.deleteLastPathComponent()
    }
    return folder
}()
