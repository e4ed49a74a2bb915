#!/usr/bin/env python3
"""Makes what fuzzing begins with: fuzz-seeds.py ROOT FOLDER.

FOLDER/TARGET gets seeds: recorded frames, whole, and what stands inside them. Tests/Fuzz/Sources/FuzzPanels/Examples.swift
gets every device of the drivers' example.toml, so that a panel is fuzzed with settings that make sense.
"""

import json
import pathlib
import re
import sys
import textwrap
import tomllib

root, folder = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
# The fuzzer's second byte says with which settings: more than any driver has ways to be set.
SETTINGS = 12


def write(target, name, seed):
    if seed:
        place = folder / target
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(seed[:4000])


def dc09():
    for vector in json.loads((root / "Tests/ProtocolTests/Vectors/dc09-vectors.json").read_text())["vectors"]:
        frame = bytes.fromhex(vector.get("raw_hex", ""))
        write("FuzzDC09", f'{vector["id"]}-frame', frame)
        write("FuzzDC09", f'{vector["id"]}-content', frame[9:-1])
        write("FuzzDC09", f'{vector["id"]}-data', vector["decoded"].get("data", "").encode("latin-1"))
        write("FuzzDC09", f'{vector["id"]}-plain', vector["decoded"].get("plaintext_latin1", "").encode("latin-1"))


def frames(value):
    """Every "hex" in a file of vectors."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "hex" and isinstance(part, str):
                yield bytes.fromhex(part)
            else:
                yield from frames(part)
    elif isinstance(value, list):
        for part in value:
            yield from frames(part)


def happens(frame):
    """As the fuzzer reads it: bytes that come, up to 128 behind their number."""
    chunks = [frame[start : start + 128] for start in range(0, len(frame), 128)]
    return b"".join(bytes([len(chunk) - 1]) + chunk for chunk in chunks)


def panel_drivers():
    """The names of the serial panels' drivers, in the order in which the fuzzer has them."""
    names = []
    for file in (root / "Sources/Drivers").glob("*/*.swift"):
        if re.search(r"struct \w+: PanelDriver\b", text := file.read_text()):
            names += re.findall(r'static let name = "(.*)"', text)
    return sorted(names)


def panels():
    tests = root / "Tests/DriverTests"
    sequences = {}
    for file in sorted((tests / "Vectors").glob("*.json")):
        for number, frame in enumerate(frames(json.loads(file.read_text()))):
            sequences[f"{file.stem}-{number}"] = [frame]
    for file in sorted((tests / "Recordings").glob("*.txt")):
        lines = file.read_text().splitlines()
        sequences[file.stem] = [bytes.fromhex(line[1:]) for line in lines if line.startswith("<")]
        write("FuzzText", f"{file.stem}-recording", file.read_bytes())
    drivers = panel_drivers()
    for name, sequence in sequences.items():
        own = [index for index, driver in enumerate(drivers) if name.startswith(driver)]
        if not own:
            sys.exit(f"fuzz-seeds: {name} begins with no driver's name, which are {', '.join(drivers)}")
        # A select before an ESPA block, else it is overheard.
        before = happens(b"\x31\x05\x32\x05") if name.startswith("espa") else b""
        body = before + b"".join(happens(frame) + b"\x82" for frame in sequence)
        # The bytes, the bytes while nothing can be stored, and again after a crash.
        for setting in range(SETTINGS):
            write("FuzzPanels", f"{name}-{setting}", bytes([own[-1], setting]) + body + b"\x86" + body + b"\x86\x87" + body)
        for frame in sequence[:4]:
            write("FuzzText", name, frame)
            write("FuzzText", f"{name}-inner", frame[1:-1])
            write("FuzzText", f"{name}-body", frame[1:-2])


def texts():
    """What technicians write: scripts, patterns, site and board files."""
    commands = (root / "docs/commands.md").read_text()
    for number, block in enumerate(re.findall(r"(?:^    .*\n)+", commands, re.M)):
        write("FuzzText", f"script-{number}", textwrap.dedent(block).encode())
    for file in [*(root / "Sources/Drivers").glob("*/*.toml"), *(root / "board-configs").rglob("*.toml")]:
        write("FuzzBoard", f"{file.parent.name}-{file.stem}", file.read_bytes())
        for number, pattern in enumerate(re.findall(r"pattern *= *['\"](.*)['\"]", file.read_text())):
            write("FuzzText", f"{file.parent.name}-pattern-{number}", f"{pattern}\nBRAND Sekt 3 Adr 12".encode())


def literal(value):
    if isinstance(value, bool):
        kind = f".boolean({str(value).lower()})"
    elif isinstance(value, int):
        kind = f".integer({value})"
    elif isinstance(value, float):
        kind = f".number({value})"
    elif isinstance(value, list):
        kind = f".array([{', '.join(literal(part) for part in value)}])"
    elif isinstance(value, dict):
        kind = f".table([{entries(value)}])"
    else:
        kind = f".string({json.dumps(str(value), ensure_ascii=False)})" if isinstance(value, str) else '.other("a date")'
        kind = kind.replace("\\/", "/")
        kind = swift(kind)
    return f"node({kind})"


def swift(text):
    """JSON's escapes of control characters as Swift writes them."""
    return re.sub(r"\\u([0-9a-f]{4})", r"\\u{\1}", text)


def entries(table):
    return ", ".join(
        f".init(key: {swift(json.dumps(key, ensure_ascii=False))}, node: {literal(value)})" for key, value in table.items()
    )


def examples():
    lines = []
    for file in sorted((root / "Sources/Drivers").glob("*/example*.toml")):
        for driver, devices in tomllib.loads(file.read_text()).get("device", {}).items():
            for table in devices.values():
                lines.append(f'    ("{driver}", .table([{entries(table)}])),')
    source = "\n".join(
        ["// swift-format-ignore-file", "// Generated by scripts/fuzz-seeds.py from the drivers' examples.", "import Drivers", ""]
        + ["let examples: [(driver: String, table: SettingNode.Value)] = ["]
        + lines
        + ["]", ""]
    )
    place = root / "Tests/Fuzz/Sources/FuzzPanels/Examples.swift"
    if not place.exists() or place.read_text() != source:
        place.write_text(source)


dc09()
panels()
texts()
examples()
