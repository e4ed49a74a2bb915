import ArgumentParser
import Drivers
import Gateway

@main
struct Larmnod: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "larmnod",
        abstract:
            "An alarm transmitter: hears a site's devices, keeps every event on disk, reports to the alarm centre.",
        version: Version.current,
        subcommands: [
            Run.self, Check.self, Status.self, Events.self, Availability.self, Bus.self, Learn.self, Test.self,
            TestMode.self, Discard.self, ReceiverCommand.self, Receive.self, Monitor.self, Record.self,
            ReplayRecording.self,
            Simulate.self, BoardCommand.self,
        ])
}

/// Every kind of device there is. A new driver is one line here.
let drivers: [any Driver.Type] =
    [GPIODriver.self, IIODriver.self, RevPiDriver.self, ModbusDriver.self] + panelDrivers

struct SiteFile: ParsableArguments {
    @Option(name: [.customLong("config"), .customShort("c")], help: "The site's configuration.")
    var file = "/etc/larmnod/site.toml"

    /// The checked site; prints everything that is wrong and exits with 1 where it is not right.
    func read() throws -> Site {
        switch SiteReader.read(file: file, drivers: drivers) {
        case .success(let site): return site
        case .failure(let error):
            printError("\(error)")
            throw ExitCode(1)
        }
    }
}

struct Daemon: ParsableArguments {
    @Option(name: .customLong("socket"), help: "The running larmnod's control socket.")
    var socket = "/run/larmnod/control"

    @Flag(help: "Print JSON, one object a line, instead of words.")
    var json = false

    /// Asks the running daemon; a refusal is printed and ends the command with 1.
    func ask(_ request: ControlRequest, _ use: (ControlConnection) throws -> Void) throws {
        do {
            let connection = try ControlConnection(socket)
            try connection.send(request)
            try use(connection)
        } catch let refusal as ControlRefusal {
            printError("larmnod: \(refusal.description.printable)")
            throw ExitCode(1)
        }
    }
}
