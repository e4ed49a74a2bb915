import Drivers

/// One device's table of a site file, as it stands there: for a recording's head. Nothing else of the file is read: no
/// keys, no paths.
public enum DeviceTable {
    /// - Parameter device: its full name, "espa.fire-panel".
    /// - Returns: the table; or why it cannot be had, in words for a person.
    public static func read(_ device: String, of file: String) -> Result<SettingNode, ConfigurationError> {
        let problems = Problems()
        let begin = Place(file: file, line: 1, column: 1)
        switch TextFile.read(file, limit: TOML.mostBytes) {
        case .success(let bytes):
            let parts = device.split(separator: ".", maxSplits: 1).map(String.init)
            guard let tree = TOML.tree(of: bytes, file: file, problems: problems) else { break }
            if parts.count == 2, let table = tree["device"]?[parts[0]]?[parts[1]] { return .success(table) }
            problems.add(begin, "there is no [device.\(device)]: name it as larmnod status does, or say --config")
        case .failure(let failure): problems.add(begin, "the site file \(failure.reason)")
        }
        return .failure(ConfigurationError(problems, nothingMissingIn: [:]))
    }
}
