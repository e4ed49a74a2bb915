// swift-tools-version: 6.2
import PackageDescription

// A package of its own, because libFuzzer brings its own `main` and wants every module instrumented. The sources are
// the real ones, by a link. Built and run by scripts/fuzz.sh.
let package = Package(
    name: "fuzz",
    dependencies: [.package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2")],
    targets: [
        .target(
            name: "AlarmProtocol",
            dependencies: [.product(name: "CryptoExtras", package: "swift-crypto")],
            path: "Sources/AlarmProtocol"),
        .executableTarget(
            name: "FuzzDC09",
            dependencies: ["AlarmProtocol", .product(name: "CryptoExtras", package: "swift-crypto")],
            swiftSettings: [.unsafeFlags(["-parse-as-library"])]),
    ],
    swiftLanguageModes: [.v6]
)
