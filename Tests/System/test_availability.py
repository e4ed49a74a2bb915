"""Supervision classes, and how available the paths were by month: measured, kept, exported."""

import json
import time

import rig
from rig import eventually, expect, require


def two_paths(case, supervision):
    first, second = rig.Receiver(case, "first"), rig.Receiver(case, "second")
    gateway = rig.Gateway(
        case, rig.path("a", first.address, interface="lo"), rig.path("b", second.address, interface="lo"),
        supervision=supervision)  # fmt: skip
    return first, second, gateway


def test_class_is_shown(case):
    """check and status show the class, and say that its numbers are unconfirmed and nothing is certified"""
    _, _, gateway = two_paths(case, "DP4")
    gateway.start()
    words = "supervision DP4: numbers unconfirmed; measured against, not certified"
    checked = case.run([case.program, "check", gateway.file]).stdout
    require("check says so", words in checked and "fault reported within 90s" in checked, checked)
    require("check remarks on the one interface", "EN 50136-1 table 1" in checked, checked)
    screen = gateway.ask("status").stdout
    require("status says so", words in screen, screen)
    require("in lines of 80 columns", all(len(line) <= 80 for line in screen.splitlines()), screen)
    expect("status --json", gateway.status()["supervision"]["name"], "DP4")
    bad = case.directory / "bad.toml"
    bad.write_text(gateway.file.read_text().replace('receiver = "a"', 'receiver = "a"\npoll = "5min"'))
    refused = case.run([case.program, "check", bad])
    expect("a poll that cannot keep it", refused.returncode, 1)
    require("with the sum", "within 90s" in refused.stdout and "poll may be 62s at most" in refused.stdout, refused.stdout)


def test_cut_is_reported_and_counted(case):
    """a path that is cut is told over the other within its time, listed among the faults, and counted by month"""
    first, second, gateway = two_paths(case, '{ primary = "10s", alternate = "10s" }')
    text = gateway.file.read_text().replace('"{', "{").replace('}"', "}").replace('\\"', '"')
    gateway.file.write_text(text)
    gateway.start()
    for path in "ab":
        eventually(f"path {path} works", lambda path=path: gateway.path_state(path), lambda s: s == "works")
    cut = time.monotonic()
    first.kill()
    second.until("the fault", lambda e: e["sia"] == "YS")
    print(f"reported {time.monotonic() - cut:.1f} s after the cut, the receiver's start and its own time not taken away")
    eventually("path a is down", lambda: gateway.path_state("a"), lambda s: s == "down")
    first.start()
    # Its end goes over the path that has just come back, for that is the first.
    first.until("its end", lambda e: e["sia"] == "YK" and "path a" in e["text"])
    gateway.until_delivered()
    faults = gateway.events("--faults")
    require("it is listed", [e["sia"] for e in faults if e["point"] == "path.a"][-2:] == ["YS", "YK"], faults)
    require("and nothing else", all(e["point"].startswith("path.") for e in faults), faults)

    def month(lines, path):
        return next(line for line in lines if line["path"] == path)

    told = gateway.answer("availability")
    expect("the rows", [line["path"] for line in told], ["(whole)", "a", "b"])
    expect("faults of a", month(told, "a")["faults"], 1)
    require("a was down, and not all the time", 0 < month(told, "a")["availability"] < 100, told)
    expect("the whole", month(told, "(whole)")["availability"], 100)
    expect("b", month(told, "b")["down"], 0)
    csv = gateway.ask("availability", "--csv").stdout.splitlines()
    expect("headings", csv[0], "month,path,availability_percent,works_s,down_s,not_watched_s,faults,longest_fault_s")
    require("the whole in CSV", csv[1].startswith(f"{told[0]['month']},(whole),100,"), csv)
    expect("a month of long ago", gateway.answer("availability", "--month", "2001-02"), [])
    require("status shows it", f"availability {told[0]['month']}" in gateway.ask("status", "--all").stdout)
    expect("a month that is none", gateway.ask("availability", "--month", "2026-13").returncode != 0, True)

    gateway.stop()
    stored = gateway.ask("availability", "--json", "--state", gateway.state)
    expect("exit status where nobody runs", stored.returncode, 0)
    lines = [json.loads(line) for line in stored.stdout.splitlines() if line.startswith("{")]
    require("the store has it", month(lines, "a")["down"] >= month(told, "a")["down"] - 1, stored.stdout)
    nowhere = gateway.ask("availability", "--state", case.directory / "nowhere")
    expect("where there is no store", nowhere.returncode, 1)
    gateway.start()
    gateway.kill()
    gateway.start()
    after = gateway.answer("availability")
    require("a crash and a restart keep it", month(after, "a")["down"] >= month(told, "a")["down"] - 1, after)
