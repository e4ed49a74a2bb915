#!/usr/bin/env python3
"""Holds the simulation to its purpose: each planted bug (bugs.toml) must break a promise in some world, and without one
no promise may break. Usage: run.py PROGRAM. What has been proven for these sources is not proven again.
"""

import hashlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from plant import ROOT, TARGET, bugs

# Worlds of a day without a bug, and the most that a bug may need until it is found.
SOUND = 20
MOST = 400


def stamp() -> str:
    sum = hashlib.sha256()
    files = [ROOT / "Package.swift", *sorted((ROOT / "Sources").rglob("*")), *sorted((ROOT / "Tests/Simulation").rglob("*"))]
    for path in [*files, *sorted((ROOT / "scripts/mutations").glob("*"))]:
        if path.is_file() and "__pycache__" not in path.parts:
            sum.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return sum.hexdigest()


def worlds(program: str, mutant: int, seeds: str) -> tuple[bool, list[str]]:
    """Whether all promises were kept, and what was said."""
    arguments = [program, seeds, "--mutant", str(mutant)] + (["--until-found"] if mutant else [])
    run = subprocess.run(arguments, stdout=subprocess.PIPE, text=True, timeout=1800)
    return run.returncode == 0, run.stdout.splitlines()


def main() -> int:
    program = sys.argv[1]
    proven = TARGET / "proven"
    mark = stamp()
    if proven.exists() and proven.read_text() == mark and "AGAIN" not in os.environ:
        print("mutations: proven for these sources")
        return 0
    started = time.monotonic()
    sound, words = worlds(program, 0, f"1..{SOUND}")
    if not sound:
        print("\n".join(words))
        print("mutations: a promise is broken without any planted bug, see above")
        return 1
    survivors = 0
    for number, bug in enumerate(bugs(), 1):
        kept, words = worlds(program, number, f"1..{MOST}")
        found = next((line.strip() for line in words if re.match(r"\s+\d+ \d\d:", line)), "")
        seed = next((line.split()[1] for line in words if line.startswith("seed ")), "")
        if not kept and not worlds(program, 0, seed)[0]:
            survivors += 1
            print(f'{number:3} NOT SHOWN: {bug["name"]}: seed {seed} breaks a promise without it')
        elif kept:
            survivors += 1
            print(f'{number:3} SURVIVED {MOST} worlds: {bug["name"]} (promise {bug["promise"]})')
        else:
            print(f'{number:3} {bug["name"]}\n      seed {seed}: {found[:150]}')
    print(f"mutations: {len(bugs())} bugs, {survivors} survived, {time.monotonic() - started:.0f} s")
    if survivors:
        return 1
    proven.write_text(mark)
    return 0


if __name__ == "__main__":
    sys.exit(main())
