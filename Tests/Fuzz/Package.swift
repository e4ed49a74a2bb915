// swift-tools-version: 6.2
import PackageDescription

// A package of its own, because libFuzzer brings its own `main` and wants every module instrumented. The sources are
// the real ones, by links. Built and run by scripts/fuzz.sh.
let package = Package(
    name: "fuzz",
    dependencies: [.package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2")],
    targets: [
        .target(
            name: "AlarmProtocol",
            dependencies: [.product(name: "CryptoExtras", package: "swift-crypto")],
            path: "Sources/AlarmProtocol"),
        .systemLibrary(name: "CGPIO", path: "Sources/Drivers/GPIO/CGPIO"),
        .systemLibrary(name: "CModbus", path: "Sources/Drivers/Modbus/CModbus"),
        .systemLibrary(name: "CSerialPort", path: "Sources/Drivers/SerialPort/CSerialPort"),
        .target(
            name: "Drivers", dependencies: ["AlarmProtocol", "CGPIO", "CModbus", "CSerialPort"],
            path: "Sources/Drivers",
            exclude: ["GPIO/CGPIO", "Modbus/CModbus", "SerialPort/CSerialPort"],
            swiftSettings: [.unsafeFlags(["-enable-testing"])]),
        fuzzer("FuzzDC09", of: "AlarmProtocol", .product(name: "CryptoExtras", package: "swift-crypto")),
        fuzzer("FuzzPanels", of: "AlarmProtocol", "Drivers"),
        fuzzer("FuzzText", of: "AlarmProtocol", "Drivers"),
        .target(name: "CTOML", path: "Sources/CTOML"),
        fuzzer("FuzzBoard", of: "Drivers", "CTOML"),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)

func fuzzer(_ name: String, of modules: Target.Dependency...) -> Target {
    .executableTarget(
        name: name, dependencies: modules, path: "Sources/\(name)",
        swiftSettings: [.unsafeFlags(["-parse-as-library"])])
}
