// swift-tools-version: 6.2
import PackageDescription

// Every target of ours: Swift 6 language mode (the tools version's default, with complete concurrency checking), and no
// warning is let through.
let strict: [SwiftSetting] = [.swiftLanguageMode(.v6), .treatAllWarnings(as: .error)]

// The simulation (docs/simulation.md) reaches into the daemon, as the unit tests do, and needs an optimised build to be
// quick. Its targets are there, and the daemon can be reached into, only when it is asked for: the program would be
// 0.7 % larger.
let simulates = Context.environment["LARMNOD_SIMULATION"] != nil
let testable: [SwiftSetting] =
    strict + (simulates ? [.unsafeFlags(["-enable-testing"], .when(configuration: .release))] : [])

// The operating system's calls by which the daemon reaches its disk, and what else must not be real in a simulation:
// each goes to __wrap_NAME (Tests/Simulation/Disk/calls.c).
let simulated = [
    "open", "close", "read", "write", "pwrite", "fsync", "fdatasync", "ftruncate", "posix_fallocate", "fstat", "stat",
    "fstatvfs", "access", "unlink", "rename", "mkdir", "flock", "usleep", "swift_stdlib_random",
    "dispatch_semaphore_wait",
]
let wraps = simulated.flatMap { ["-Xlinker", "--wrap=\($0)"] }

let package = Package(
    name: "larmnod",
    products: [.executable(name: "larmnod", targets: ["larmnod"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", exact: "2.37.6"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", exact: "2.13.0"),
    ],
    targets: [
        // Events and how they are said. Pure: no input or output, no clock.
        .target(
            name: "AlarmProtocol",
            dependencies: [.product(name: "CryptoExtras", package: "swift-crypto")],
            path: "Sources/Protocol",
            swiftSettings: strict),

        // Devices to signals. Each C library has one thin shim, in the folder of the driver that uses it.
        .systemLibrary(name: "CGPIO", path: "Sources/Drivers/GPIO/CGPIO", providers: [.apt(["libgpiod-dev"])]),
        .systemLibrary(name: "CModbus", path: "Sources/Drivers/Modbus/CModbus", providers: [.apt(["libmodbus-dev"])]),
        .systemLibrary(
            name: "CSerialPort", path: "Sources/Drivers/SerialPort/CSerialPort",
            providers: [.apt(["libserialport-dev"])]),
        .target(
            name: "Drivers",
            dependencies: ["AlarmProtocol", "CGPIO", "CModbus", "CSerialPort"],
            path: "Sources/Drivers",
            exclude: [
                "GPIO/CGPIO", "Modbus/CModbus", "SerialPort/CSerialPort",
                "GPIO/README.md", "GPIO/example.toml", "Modbus/README.md", "Modbus/example.toml", "Modbus/profiles.md",
                "RevPi/README.md", "RevPi/example.toml",
                "SerialPort/README.md", "ESPA/README.md", "ESPA/example.toml", "ReceiverLine/README.md",
                "ReceiverLine/example.toml", "EndOfLine/README.md", "IIO/README.md", "IIO/example.toml",
                "Galaxy/README.md", "Galaxy/example.toml",
                "NotifierID3000/README.md", "NotifierID3000/example.toml",
                "Satel/README.md", "Satel/example.toml",
                "Printer/README.md", "Printer/example.toml", "DSC/README.md", "DSC/example.toml",
                "Paradox/README.md", "Paradox/example.toml",
            ],
            swiftSettings: strict),

        // The daemon as a library.
        .systemLibrary(name: "CSQLite", path: "Sources/Gateway/Outbox/CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CLinux", path: "Sources/Gateway/Intake/CLinux"),
        .target(name: "CTOML", path: "Sources/Gateway/Configuration/CTOML"),
        .target(
            name: "Gateway",
            dependencies: [
                "AlarmProtocol", "Drivers", "CLinux", "CSQLite", "CTOML",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            path: "Sources/Gateway",
            exclude: ["Intake/CLinux", "Outbox/CSQLite", "Configuration/CTOML"],
            swiftSettings: testable),

        // The centre's end, small.
        .target(
            name: "Receiver",
            dependencies: [
                "AlarmProtocol",
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "NIOTLS", package: "swift-nio"),
            ],
            path: "Sources/Receiver",
            swiftSettings: strict),

        .executableTarget(
            name: "larmnod",
            dependencies: [
                "Gateway", "Receiver",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Sources/larmnod",
            swiftSettings: strict),

        .testTarget(
            name: "ProtocolTests", dependencies: ["AlarmProtocol"], exclude: ["Vectors"], swiftSettings: strict),
        .testTarget(
            name: "DriverTests", dependencies: ["Drivers"], exclude: ["Recordings", "Vectors"],
            swiftSettings: strict),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "Gateway", "Receiver", .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ],
            exclude: ["Refusals"], swiftSettings: strict),
        .testTarget(name: "ReceiverTests", dependencies: ["Receiver"], swiftSettings: strict),
    ],
    cxxLanguageStandard: .cxx17
)

// The drivers and their tests alone: scripts/libgpiod2.sh builds them a second time, against libgpiod 2.x.
if Context.environment["LARMNOD_DRIVERS_ONLY"] != nil {
    let kept: Set = ["AlarmProtocol", "CGPIO", "CModbus", "CSerialPort", "Drivers", "DriverTests"]
    package.targets.removeAll { !kept.contains($0.name) }
    package.products = []
    // They speak to no receiver, so there is no DC-09 in it, nor the cryptography, which takes longest to build.
    for target in package.targets where target.name == "AlarmProtocol" {
        target.dependencies = []
        target.exclude = ["DC09"]
    }
}

if simulates {
    package.products.append(.executable(name: "simulate", targets: ["simulate"]))
    package.targets += [
        .target(name: "CSimulatedDisk", dependencies: ["CSQLite"], path: "Tests/Simulation/Disk"),
        simulation("simulate", of: "Gateway", path: "Tests/Simulation", exclude: ["Disk"]),
    ]
}

// The same with planted bugs, from the copies that scripts/mutations/plant.py makes.
if simulates, Context.environment["LARMNOD_SIMULATION"] == "mutants" {
    package.products.append(.executable(name: "mutants", targets: ["mutants"]))
    package.targets += [
        .target(
            name: "MutatedGateway",
            dependencies: package.targets.first { $0.name == "Gateway" }?.dependencies ?? [],
            path: ".build-mutants/Gateway", swiftSettings: testable),
        simulation("mutants", of: "MutatedGateway", path: ".build-mutants/Simulation", exclude: []),
    ]
}

func simulation(_ name: String, of gateway: Target.Dependency, path: String, exclude: [String]) -> Target {
    .executableTarget(
        name: name,
        dependencies: [
            gateway, "CSimulatedDisk",
            .product(name: "NIOCore", package: "swift-nio"),
            .product(name: "Logging", package: "swift-log"),
        ],
        path: path, exclude: exclude, swiftSettings: strict, linkerSettings: [.unsafeFlags(wraps)])
}
