"""Clocks that are wrong (promise 11)."""

import shutil
import time

import rig
from rig import each, eventually, expect, require

KEY = "hex:00112233445566778899AABBCCDDEEFF"


def faked(case, shift):
    """The program under a clock that the file `shift` moves.

    The command faketime, not its library alone: that changes the environment while it loads, and Swift's runtime then
    does not find the program's arguments.
    """
    if not shutil.which("faketime"):
        raise rig.Failed("faketime is missing: run scripts/setup.sh test")
    file = case.directory / "shift"
    file.write_text(f"{shift}\n")
    return file, [
        "faketime", "-f", "+0", "env", "-u", "FAKETIME", f"FAKETIME_TIMESTAMP_FILE={file}", "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1", case.program]  # fmt: skip


@each("+1h", "-400d", "+90s")
def test_wrong(case, shift):
    """the host's clock is wrong: a NAK corrects this path's offset, events arrive, the host's clock is left alone"""
    centre = rig.Receiver(case, key=case.key_file(KEY))
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, key=case.key_file(KEY), poll="2s"), panel.table(),
        program=faked(case, shift)[1]).start()  # fmt: skip
    difference = time.time() - time.monotonic()
    panel.must("with a wrong clock")
    centre.until_text("with a wrong clock")
    gateway.until_delivered()
    wanted = {"+1h": -3600, "-400d": 400 * 86400, "+90s": -90}[shift]
    offset = gateway.status()["paths"][0]["clockOffset"]
    require(f"the path's offset is about {wanted} s", abs(offset - wanted) < 30, offset)
    require("the host's clock is as it was", abs(time.time() - time.monotonic() - difference) < 5)
    expect("clock faults", [e["text"] for e in centre.feed() if "rejects our time" in (e["text"] or "")], [])
    panel.must("and again")
    centre.until_text("and again")


def test_clock_set_while_running(case):
    """the host's clock is set by an hour while it runs: encrypted events go on, nothing waits or comes twice"""
    shift, program = faked(case, "+0")
    centre = rig.Receiver(case, key=case.key_file(KEY))
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, key=case.key_file(KEY), poll="2s"), panel.table(),
        program=program).start()  # fmt: skip
    panel.must("before")
    centre.until_text("before")
    for number, words in enumerate(("+3600", "-3600", "+0")):
        shift.write_text(f"{words}\n")
        panel.must(f"set {number}")
        centre.until_text(f"set {number}")
        gateway.until_delivered()
        offset = gateway.status()["paths"][0]["clockOffset"]
        require(f"the path's offset takes {words} back", abs(offset + int(words)) < 45, offset)
    wanted = ["before", "set 0", "set 1", "set 2"]
    expect("what came", [t for t in centre.texts() if t in wanted], wanted)
    eventually("the path works", lambda: gateway.path_state("a"), lambda s: s == "works")
