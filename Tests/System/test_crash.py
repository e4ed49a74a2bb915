"""kill -9 at random moments under load: what a panel heard ACK for is at the centre (promises 1, 2 and 3)."""

import collections
import threading
import time

import rig
import wire
from rig import eventually, expect, limit, require, table

PANELS = 3
KILLS = 25
NUMBERS = 9999  # sequence numbers before they begin again


class Caller(threading.Thread):
    """A panel that calls numbered texts, each until it has heard ACK."""

    def __init__(self, case, index, over):
        super().__init__(daemon=True)
        self.panel = rig.Panel(case, f"p{index}", "--poll", "0", "--timeout", "0.5", "--answer", "3")
        self.index, self.over, self.acknowledged, self.error = index, over, [], None
        self.blocks = collections.Counter()  # how often the panel sent the block with this text
        self.start()

    def run(self):
        number = 0
        try:
            while not self.over.is_set():
                text = f"Fire Alarm {self.index}-{number:06}"
                outcome, tries = self.panel.call(text)
                self.blocks[text] += tries
                if outcome == "ACK":
                    self.acknowledged.append(text)
                    number += 1
                time.sleep(0.02)
        except rig.Failed as failure:
            self.error = failure


class Switch(threading.Thread):
    """An input that changes all the time; remembers where it was left."""

    def __init__(self, over, interval, move):
        super().__init__(daemon=True)
        self.over, self.interval, self.move, self.level = over, interval, move, 0
        self.start()

    def run(self):
        while not self.over.wait(self.interval):
            self.level ^= 1
            self.move(self.level)


@limit(420)
def test_kills(case):
    """kill -9 at random moments: every call that heard ACK is in the feed, in order, repeated only as itself"""
    kills = KILLS * 8 if case.is_long else KILLS
    over = threading.Event()
    board = rig.Board(case)
    units = rig.ModbusUnits(case, "--tcp", str(port := case.port()), "--host", case.host)
    centre = rig.Receiver(case)
    centre.misbehave("silent:every=23")
    middle = wire.Middle(case, centre.address)
    callers = [Caller(case, index, over) for index in range(PANELS)]
    switches = [
        Switch(over, 0.4, lambda level: board.level(5, str(level))),
        Switch(over, 0.9, lambda level: units.do(f"set 1 discrete-input 0 {level}")),
    ]
    gateway = rig.Gateway(
        case, rig.path("a", middle.address, timeout="1s", attempts=5),
        *(caller.panel.table(f"p{caller.index}", zone=caller.index + 1) for caller in callers),
        table("device.gpio.box", chip="pinctrl-test"),
        table("device.gpio.box.point.in", line=5, contact="normally-open", kind="burglary", zone=50),
        table("device.modbus.bus", address=f"{case.host}:{port}", interval="100ms"),
        table("device.modbus.bus.point.in", unit=1, table="discrete-input", register=0, kind="burglary", zone=51),
        environment=board.environment)  # fmt: skip

    for _ in range(kills):
        gateway.launch()
        # Some die while they start, most under load.
        time.sleep(case.random.choice([case.random.uniform(0, 0.2), case.random.uniform(0.2, 3)]))
        require("it ran until it was killed", gateway.process.is_running(), gateway.process.text()[-3000:])
        gateway.kill()
    over.set()
    gateway.start()
    for thread in callers + switches:
        thread.join(250)
    for caller in callers:
        if caller.error:
            raise caller.error
    centre.misbehave("none")
    for name, level, point in zip(("GPIO", "Modbus"), (s.level for s in switches), ("gpio.box.in", "modbus.bus.in")):
        wanted = ("active",) if level else ("at rest", "never active")
        eventually(f"the {name} input is as it was left", lambda: gateway.point_state(point), lambda s: s in wanted)
    gateway.until_delivered(200)

    feed = centre.feed()
    for caller in callers:
        check_calls(caller, [e["text"] for e in feed if e["zone"] == caller.index + 1 and e["sia"] == "FA"])
    for zone in (50, 51):
        codes = [e["sia"] for e in feed if e["zone"] == zone and e["sia"] in ("BA", "BR")]
        require(f"zone {zone} has events", len(codes) > kills / 5, codes)
        expect(f"zone {zone} goes on and off by turns", codes, [("BA", "BR")[n % 2] for n in range(len(codes))])
    repeats = check_numbers(middle.frames)
    print(f"{kills} kills, {sum(len(c.acknowledged) for c in callers)} calls acknowledged, {len(feed)} events, "
          f"{repeats} repeats, seed {case.seed}")  # fmt: skip


def check_calls(caller, texts):
    require(f"panel {caller.index} was heard", len(caller.acknowledged) > 20, caller.acknowledged)
    lost = sorted(set(caller.acknowledged) - set(texts))
    expect(f"calls of panel {caller.index} that heard ACK and are not in the feed", lost, [])
    expect(f"order of panel {caller.index}'s calls", texts, sorted(texts))
    often = {t: n for t, n in collections.Counter(texts).items() if n > caller.blocks[t]}
    expect(f"panel {caller.index}'s calls handed on oftener than called", often, {})


def check_numbers(frames):
    """A number is used again only for the same content, or after all others. Returns how many repeats there were.

    Numbers are given in the order of storing, and what is urgent overtakes what waits: an event of low urgency may be sent
    long after it was stored, and its number come again soon after that. So what counts is how many events there have been.
    """
    seen, events, repeats = {}, 0, 0
    for frame in frames:
        _, token, number, _ = wire.HEADER.search(frame).groups()
        if token == b"NULL":
            continue
        content = frame[frame.index(b"["):frame.rindex(b"_")]
        contents = seen.setdefault(number, set())
        if content in contents:
            repeats += 1
            continue
        # Each round of the numbers gives a number to one event.
        if len(contents) > events // (NUMBERS * 9 // 10):
            raise rig.Failed(f"number {number.decode()} is used for another content:\n  {contents}\n  {content}")
        events += 1
        contents.add(content)
    require("some frames were repeated", repeats > 0, f"{len(frames)} frames")
    return repeats
