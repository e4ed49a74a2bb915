import Drivers

extension Device {
    /// How its bus does; nil for what is no Modbus bus.
    /// - Parameter measured: the driver runs in this process.
    public func busReport(measured: Bool) -> BusReport? {
        (driver as? ModbusDriver)?.busReport(of: name, measured: measured)
    }
}

extension ControlServer {
    /// One line for each Modbus bus, or for the one that is named.
    func bus(_ request: ControlRequest, _ client: ControlClient) throws(ControlRefusal) {
        for report in try BusReports.of(devices.map(\.device), named: request.name, measured: true) {
            guard client.send(report) else { return }
        }
    }
}

public enum BusReports {
    /// - Parameter name: "modbus.cellar", or "cellar"; nil: all.
    public static func of(
        _ devices: [Device], named name: String?, measured: Bool
    ) throws(ControlRefusal) -> [BusReport] {
        let all = devices.compactMap { $0.busReport(measured: measured) }
        guard let name else { return all }
        let found = all.filter { $0.device == name || $0.device == "modbus.\(name)" }
        guard found.isEmpty else { return found }
        let names = all.map(\.device).joined(separator: ", ")
        throw ControlRefusal(
            "there is no Modbus bus \"\(name)\"; \(all.isEmpty ? "this site has none" : "there is \(names)")")
    }
}
