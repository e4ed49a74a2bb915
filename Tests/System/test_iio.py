"""Supervised loops on analogue inputs, by a directory that looks as the kernel's /sys/bus/iio/devices does."""

import shutil

import rig
from rig import eventually, expect, require, table


class Converter:
    """A converter of 12 bits; channel 7 measures the reference."""

    def __init__(self, case):
        self.directory = case.directory / "iio"
        self.put()

    def put(self, number=0, **counts):
        self.device = self.directory / f"iio:device{number}"
        self.device.mkdir(parents=True)
        (self.device / "name").write_text("mcp3208\n")
        self.set(7, 4000)
        for channel in range(2):
            self.set(channel, counts.get(f"c{channel}", 2000))

    def set(self, channel, count):
        file = self.device / f"in_voltage{channel}_raw"
        with open(file, "r+" if file.exists() else "w") as raw:
            raw.write(f"{count}\n".ljust(16, "\n"))

    def remove(self):
        shutil.rmtree(self.device)


def site(case, converter, centre):
    loops = "".join(
        table(f"device.iio.box.point.{name}", channel=channel, kind=kind, zone=channel + 1, text=name.title())
        + table(f"device.iio.box.point.{name}.end-of-line", pull_up="1k", normal="1k", alarm="2k")
        for channel, (name, kind) in enumerate((("door", "burglary"), ("loop", "fire"))))  # fmt: skip
    device = table("device.iio.box", device="mcp3208", reference=7, directory=converter.directory)
    return rig.Gateway(case, rig.path("a", centre.address), device, loops)


def codes(centre, zone):
    return [e["sia"] for e in centre.feed() if e["zone"] == zone and e["sia"] in ("BA", "BR", "TA", "TR", "FA", "FR", "FT", "FJ")]


def test_states(case):
    """alarm, cut and short of a supervised loop are told as what they are, for a door and for a fire loop"""
    converter, centre = Converter(case), rig.Receiver(case)
    gateway = site(case, converter, centre).start()
    eventually("the loops are read", lambda: gateway.device("iio.box")["state"], lambda s: s == "answers")
    for channel, alarm, restore, cut, mended in ((0, "BA", "BR", "TA", "TR"), (1, "FA", "FR", "FT", "FJ")):
        for count, code in ((2667, alarm), (2000, restore), (4000, cut), (2000, mended), (0, cut), (2000, mended)):
            before = len(centre.feed())
            converter.set(channel, count)
            centre.until(f"{code} at {count}", lambda e: e["sia"] == code and e["zone"] == channel + 1, after=before)
        gateway.until_delivered()
        expect("all of the loop", codes(centre, channel + 1), [alarm, restore, cut, mended, cut, mended])
    texts = [e["text"] or "" for e in centre.feed() if e["sia"] == "TA"]
    require("the cut says so", "open" in texts[0] and "Door" in texts[0], texts)
    require("the short says so", "short" in texts[1], texts)


def test_restart_and_removal(case):
    """a loop that is cut while larmnod is restarted stays told once; what changes while nobody watches is told, with a note"""
    converter, centre = Converter(case), rig.Receiver(case)
    gateway = site(case, converter, centre).start()
    eventually("the loops are read", lambda: gateway.device("iio.box")["state"], lambda s: s == "answers")
    converter.set(0, 4000)
    centre.until("the cut", lambda e: e["sia"] == "TA")
    gateway.until_delivered()
    gateway.stop()
    converter.set(1, 2667)
    gateway.start()
    change = centre.until("the fire", lambda e: e["sia"] == "FA" and e["zone"] == 2)
    require("a fire at the first reading is told", change["zone"] == 2)
    before = len(centre.feed())
    converter.remove()
    centre.until("the trouble", lambda e: e["sia"] == "ET" and "iio.box" in e["text"], after=before)
    converter.put(number=4, c0=4000, c1=2000)
    centre.until("its end", lambda e: e["sia"] == "ER" and "iio.box" in e["text"], after=before)
    change = centre.until("the restore", lambda e: e["sia"] == "FR", after=before)
    require("it says that nobody watched", "changed while not watched" in (change["text"] or ""), change["text"])
    gateway.until_delivered()
    expect("all of the door", codes(centre, 1), ["TA"])
    expect("all of the loop", codes(centre, 2), ["FA", "FR"])
