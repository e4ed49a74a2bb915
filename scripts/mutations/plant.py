#!/usr/bin/env python3
"""Plants the bugs of bugs.toml: writes a copy of the daemon's sources in which each is asleep until its number is called,
and a copy of the simulation that runs it, below .build-mutants. Package.swift has their targets where
LARMNOD_SIMULATION=mutants.

Fails where a bug's original is not found exactly once: the code has moved on, and the bug must follow it.
"""

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / ".build-mutants"


def bugs() -> list[dict]:
    with open(ROOT / "scripts/mutations/bugs.toml", "rb") as file:
        return tomllib.load(file)["bug"]


def write(path: Path, text: str) -> None:
    """Leaves a file alone that says so already, so that nothing is built for nothing."""
    if path.exists() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def plant() -> dict[str, str]:
    """The daemon's sources, by their path, with every bug in them."""
    sources = {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "Sources/Gateway").rglob("*.swift")}
    faults = []
    for number, bug in enumerate(bugs(), 1):
        for change in bug["change"]:
            file, original = change["file"], change["original"]
            count = (ROOT / file).read_text().count(original) if file in sources else 0
            if count != 1 or sources[file].count(original) != 1:
                why = f"stands {count} times in it, expected once" if count != 1 else "is touched by a bug before it"
                faults.append(f'bugs.toml: bug {number}, "{bug["name"]}": its original in {file} {why}:\n{original}')
                continue
            planted = change["planted"].replace("AWAKE", f"(Mutants.awake == {number})")
            sources[file] = sources[file].replace(original, planted)
    if faults:
        sys.exit("\n".join(faults) + "\nThe code has changed: write the bug anew, so that it is planted in what is there now.")
    return sources


def main() -> None:
    wanted = set()

    def put(path: Path, text: str) -> None:
        write(path, text)
        wanted.add(path)

    for file, text in plant().items():
        put(TARGET / Path(file).relative_to("Sources"), text)
    put(
        TARGET / "Gateway/Mutants.swift",
        "/// Which planted bug is awake; 0: none. One thread sets it, before anything else runs.\n"
        "enum Mutants {\n    nonisolated(unsafe) static var awake = 0\n}\n",
    )
    for path in (ROOT / "Tests/Simulation").glob("*.swift"):
        if path.name != "Mutants.swift":
            text = re.sub(r"^@testable import Gateway$", "@testable import MutatedGateway", path.read_text(), flags=re.M)
            put(TARGET / "Simulation" / path.name, text)
    # The worker calls a bug by its number.
    worker = TARGET / "Simulation/Runner.swift"
    put(worker, "@testable import MutatedGateway\n" + worker.read_text().replace("@testable import MutatedGateway\n", ""))
    for path in [*TARGET.glob("Gateway/**/*.swift"), *TARGET.glob("Simulation/*.swift")]:
        if path not in wanted:
            path.unlink()


if __name__ == "__main__":
    main()
