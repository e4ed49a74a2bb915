"""Time: steps of hours, leap years, the ends of eras, a board without a clock; and nobody sets the host's (promise 11)."""

import calendar
import datetime
import os
import re
import shutil
import time

import rig
import wire
from rig import eventually, expect, limit, require, seconds, waits

KEY = "hex:00112233445566778899AABBCCDDEEFF"
SETTERS = "clock_settime,settimeofday,adjtimex,clock_adjtime"


class Clock:
    """The wall clock of some processes, by the command faketime; `set` moves it while they run."""

    def __init__(self, case, name="clock"):
        if not shutil.which("faketime"):
            raise rig.Failed("faketime is missing: run scripts/setup.sh test")
        self.file = case.directory / name
        self.shift = 0
        self.set(0)

    def set(self, shift):
        """Seconds before (less than 0) or after the true time. At once and whole: the file is read at every look."""
        self.shift = shift
        new = self.file.with_suffix(".new")
        new.write_text(f"{shift:+.3f}\n")
        os.replace(new, self.file)

    def be(self, text):
        """Makes it this time, UTC."""
        then = datetime.datetime.fromisoformat(text)
        self.set(calendar.timegm(then.timetuple()) - time.time())

    def now(self):
        return time.time() + self.shift

    def under(self, *program):
        # The command, not its library alone: that changes the environment while it loads, and Swift's runtime then does
        # not find the program's arguments.
        return [
            "faketime", "-f", "+0", "env", "-u", "FAKETIME", f"FAKETIME_TIMESTAMP_FILE={self.file}", "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1", *program]  # fmt: skip


def silent_about_time(gateway):
    expect("what was told of clocks", [e["text"] for e in gateway.events() if "clock" in e["point"]], [])


MOMENTS = {  # each is passed while the program runs; the next is often decades away
    "a leap day comes": "2028-02-28T23:59:57",
    "a leap day goes": "2028-02-29T23:59:57",
    "2100 has no leap day": "2100-02-28T23:59:57",
    "32 bits of NTP": "2036-02-07T06:28:13",
    "31 bits of Unix": "2038-01-19T03:14:04",
    "summer time begins": "2027-03-28T00:59:57",
    "summer time ends": "2027-10-31T00:59:57",
    "back to now": None,
}


@limit(400)
@waits
def test_moments(case):
    """leap days, eras' ends, summer time, passed and stepped between: events in order, each with its true time, no trouble"""
    clock, key = Clock(case), case.key_file(KEY)
    # Both ends have the same clock: a time that only one of them misunderstood would be answered NAK.
    centre = rig.Receiver(case, key=key, program=clock.under("env", "TZ=Europe/Stockholm", case.program))
    panel = rig.Panel(case, "panel", "--poll", "0")
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, key=key, poll="1s", timeout="2s"), panel.table(),
        program=clock.under("env", "TZ=Europe/Stockholm", case.program)).start()  # fmt: skip
    gateway.until_delivered()
    wanted = []
    for name, moment in MOMENTS.items():
        clock.be(moment) if moment else clock.set(0)
        for part in ("before", "after"):
            text, began = f"{name}: {part}", clock.now()
            panel.must(text)
            wanted.append(text)
            event = centre.until_text(text)
            expect(f"{text}: the clock", event["clock"], "known")
            for field in ("occurred", "received"):
                # To the second in a frame; later by as long as the machine takes.
                require(f"{text}: {field} is true", began - 1.1 < seconds(event[field]) < clock.now() + 1.1, event)
            stored = next(e for e in gateway.events() if e["text"] == text)
            require(f"{text}: stored with its time", began - 1.1 < stored["seen"] / 1000 < clock.now() + 1.1, stored)
            if part == "before":
                time.sleep(max(0, 4 - (clock.now() - began)))  # the moment passes
    expect("what came, in order", [t for t in centre.texts() if ": " in t and t.split(": ")[0] in MOMENTS], wanted)
    gateway.until_delivered()
    expect("the path", gateway.path_state("a"), "works")
    silent_about_time(gateway)
    require("it has run for minutes, not years", gateway.status()["running"] < 3600, gateway.status()["running"])


@limit(300)
@waits
def test_steps(case):
    """steps of hours and years, back too: all intervals hold, each path keeps its own offset; the host's clock is never set"""
    clock, key = Clock(case), case.key_file(KEY)
    ahead, behind = Clock(case, "ahead"), Clock(case, "behind")
    ahead.set(7200)
    behind.set(-3 * 86400)
    first = rig.Receiver(case, "first", key=key, program=ahead.under(case.program))
    second = rig.Receiver(case, "second", key=key, program=behind.under(case.program))
    middle = wire.Middle(case, first.address)
    panel, trace = rig.Panel(case, "panel", "--poll", "0"), case.path("trace")
    gateway = rig.Gateway(
        case, rig.path("a", middle.address, key=key, poll="1s", timeout="2s", attempts=2),
        rig.path("b", second.address, key=key, poll="1s", timeout="2s", attempts=2), panel.table(),
        clock="network",  # so that the kernel is asked whether somebody steers the clock
        program=["strace", "-D", "-f", "-qq", "-e", f"trace=execve,{SETTERS}", "-o", trace, *clock.under(case.program)]
    ).start()  # fmt: skip
    host = time.time() - time.monotonic()
    began, wanted = time.monotonic(), []
    for number, shift in enumerate((0, 5 * 3600, -11 * 3600, 400 * 86400, -3 * 86400, 90, 0)):
        clock.set(shift)
        text = f"step {number}"
        panel.must(text)
        wanted.append(text)
        first.until_text(text)
        gateway.until_delivered()
        polls = len(middle.frames)
        # By a clock that had gone back they would come in hours.
        eventually("link tests go on", lambda: len(middle.frames), lambda n: n >= polls + 3)
        for path, own in (("a", 7200), ("b", -3 * 86400)):
            eventually(
                f"the offset of path {path} takes the step back", lambda: next(
                    p["clockOffset"] for p in gateway.status()["paths"] if p["name"] == path),
                lambda offset: abs(offset - (own - shift)) < 60)  # fmt: skip
    # Failures, back-off and recovery while the clock jumps about.
    middle.mode = "mute"
    panel.must("step away")
    second.until_text("step away")
    for shift in (-20 * 3600, 30 * 3600, -400 * 86400):
        clock.set(shift)
        time.sleep(0.7)
    eventually("the mute path is down", lambda: gateway.path_state("a"), lambda state: state == "down")
    middle.mode = "pass"
    eventually("it works again", lambda: gateway.path_state("a"), lambda state: state == "works")
    clock.set(0)
    gateway.until_delivered()
    came = [t for r in (first, second) for t in r.texts() if t.startswith("step")]
    expect("what came", sorted(set(came)), sorted([*wanted, "step away"]))
    running = gateway.status()["running"]
    require("it has run as long as it has", abs(running - (time.monotonic() - began)) < 120, running)
    require("the host's clock is as it was", abs(time.time() - time.monotonic() - host) < 5)
    with open(trace, encoding="utf-8") as lines:
        calls = [line for line in lines if re.search(rf"\b({SETTERS.replace(',', '|')})\(", line)]
    require("the trace shows that the kernel is asked", calls, open(trace, encoding="utf-8").read()[-1000:])
    setting = [c for c in calls if re.search(r"\b(clock_settime|settimeofday)\(", c) or not re.search(r"modes=0\b", c)]
    expect("calls that set or steer the clock", setting, [])


@limit(300)
@waits
def test_board_without_clock(case):
    """a board that starts in 1970: order kept, no time claimed; once the clock is set, times are corrected"""
    clock, key = Clock(case), case.key_file(KEY)
    clock.be("1970-01-01T00:00:20")
    steered, attempts = case.directory / "steered", case.directory / "attempts"
    centre, panel = rig.Receiver(case, key=key), rig.Panel(case, "panel", "--poll", "0")
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, key=key, poll="1s", timeout="2s", attempts=2), panel.table(),
        program=clock.under(case.program), clock="network", environment={
            "LD_PRELOAD": rig.stand_in(case, "clock"), "LARMNOD_CLOCK_STEERED": str(steered),
            "LARMNOD_CLOCK_SET": str(attempts)}).start()  # fmt: skip
    require("the clock is not known", not gateway.status()["clockIsKnown"], gateway.status())
    for number in range(3):
        panel.must(f"call {number}: unknown")
    gateway.until_delivered()
    undated = [e for e in centre.feed() if e["text"].startswith("call")]
    expect("times of occurrence that are claimed", [e["clock"] for e in undated if e["clock"] == "known"], [])

    centre.kill()
    true = {}
    for number in range(3, 6):
        began = time.time()
        panel.must(f"call {number}: waits")
        true[f"call {number}: waits"] = (began, time.time())
    steered.touch()
    clock.set(0)
    eventually("the clock is known", lambda: gateway.status()["clockIsKnown"])
    panel.must("call 6: known")
    centre.start()
    gateway.until_delivered()
    came = [e for e in centre.feed() if e["text"].startswith("call")]
    expect("the order", [e["text"][:6] for e in came], [f"call {n}" for n in range(7)])
    stored = eventually(
        "the times are worked out", lambda: [e for e in gateway.events() if e["text"] in true],
        lambda events: {e["clock"] for e in events} == {"corrected"})
    for event in stored:
        began, ended = true[event["text"]]
        require("its time is worked out", began - 2 < event["seen"] / 1000 < ended + 2, event)
    for event in came[3:]:
        if event["clock"] == "known":  # one that was tried undated is never said otherwise
            began, ended = true.get(event["text"], (time.time() - 120, time.time()))
            require("its time is true", began - 2 < seconds(event["occurred"]) < ended + 2, event)
    expect("the last one's clock", came[-1]["clock"], "known")
    expect("attempts to set the clock", attempts.exists() and attempts.read_text(), False)
