#!/bin/sh
# Fuzzes the DC-09 reader, decryptor and writer: scripts/fuzz.sh [SECONDS], 600 unless told. Fails on a finding, which
# stays in .build/fuzz/findings. Needs a toolchain with libFuzzer (the one from swift.org on Linux has it).
set -eu
seconds=${1:-600}
root=$(cd "$(dirname "$0")/.." && pwd)
build=${FUZZ_BUILD:-$root/.build/fuzz}
mkdir -p "$build/seeds" "$build/corpus" "$build/findings"

# The seeds are the recorded frames: whole, and what stands inside them.
python3 - "$root/Tests/ProtocolTests/Vectors/dc09-vectors.json" "$build/seeds" <<'PYTHON'
import json, pathlib, sys
folder = pathlib.Path(sys.argv[2])
for vector in json.load(open(sys.argv[1]))["vectors"]:
    frame = bytes.fromhex(vector.get("raw_hex", ""))
    seeds = {"frame": frame, "content": frame[9:-1], "data": vector["decoded"].get("data", "").encode("latin-1"),
             "plain": vector["decoded"].get("plaintext_latin1", "").encode("latin-1")}
    for name, seed in seeds.items():
        if seed:
            (folder / f'{vector["id"]}-{name}').write_bytes(seed)
PYTHON

swift build --package-path "$root/Tests/Fuzz" --scratch-path "$build/build" -c release -j "$(nproc)" --sanitize=fuzzer
exec "$build/build/release/FuzzDC09" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=4400 \
    -artifact_prefix="$build/findings/" -print_final_stats=1 "$build/corpus" "$build/seeds"
