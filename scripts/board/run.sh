#!/bin/bash
# Tries the real executable on the virtual board: builds the board's kernel if it is not there, then runs
# Tests/Board/test_board.py with what follows.
#
#     scripts/board/run.sh [./PROGRAM] [--also ./PROGRAM] [--cuts N] [--seed N] [--keep] [CASE …]
#
# The program is .build/release/larmnod unless the first word is a path (has a slash in it).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
program=$root/.build/release/larmnod
if [[ ${1:-} == */* ]]; then
    program=$1
    shift
fi
[[ -x $program ]] || { echo "board: no executable at $program: build it first (swift build -c release)" >&2; exit 2; }
kernel=$("$here/build-kernel.sh")
exec python3 "$root/Tests/Board/test_board.py" --kernel "$kernel" --program "$program" "$@"
