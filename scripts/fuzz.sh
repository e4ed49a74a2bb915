#!/bin/sh
# Fuzzes every decoder of bytes from outside: scripts/fuzz.sh [SECONDS [TARGET …]], each target for 600 s unless told.
# FuzzDC09: the DC-09 reader, decryptor and writer. FuzzPanels: every serial panel's protocol and its played panel, with
# the settings of its example. FuzzText: texts that panels, receivers and technicians write, and what is measured.
# FuzzBoard: board files. `scripts/fuzz.sh check` only looks whether the targets of panels and texts still fit the sources, with
# the modules that `swift build --build-tests` has left. Fails on a finding, which stays in .build/fuzz/findings. Needs a toolchain with libFuzzer (the one from swift.org on Linux has it).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${FUZZ_BUILD:-$root/.build/fuzz}
if [ "${1:-}" = check ]; then
    python3 "$root/scripts/fuzz-seeds.py" "$root" "$build/seeds" >/dev/null
    set -- -I "$root/.build/debug/Modules"
    for map in "$root"/Sources/Drivers/*/C*/module.modulemap; do set -- "$@" -Xcc "-fmodule-map-file=$map"; done
    for target in FuzzDC09 FuzzPanels FuzzText; do
        swiftc -typecheck -swift-version 6 -parse-as-library "$@" "$root/Tests/Fuzz/Sources/$target"/*.swift
    done
    exit 0
fi
seconds=${1:-600}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- FuzzDC09 FuzzPanels FuzzText FuzzBoard

python3 "$root/scripts/fuzz-seeds.py" "$root" "$build/seeds"
swift build --package-path "$root/Tests/Fuzz" --scratch-path "$build/build" -c release -j "$(nproc)" --sanitize=fuzzer

# libFuzzer tells where it was; Swift's own report would take longer than its limit.
export SWIFT_BACKTRACE=enable=no
failed=
for target; do
    mkdir -p "$build/corpus/$target" "$build/findings"
    "$build/build/release/$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=4400 \
        -artifact_prefix="$build/findings/$target-" -print_final_stats=1 "$build/corpus/$target" "$build/seeds/$target" ||
        failed="$failed $target"
done
[ -z "$failed" ] || { echo "fuzz: findings of$failed in $build/findings" >&2; exit 1; }
