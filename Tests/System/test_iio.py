"""Supervised loops on analogue inputs, by a directory that looks as the kernel's /sys/bus/iio/devices does."""

import shutil

import rig
from learning import Technician, begin_test_mode, refused_without_test_mode, relearn, set_test_mode
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


def test_learn(case):
    """a loop's values are learned in test mode, state by state, by a script; what lies too near is refused; they hold after"""
    converter, centre = Converter(case), rig.Receiver(case)
    gateway = site(case, converter, centre).start()
    eventually("the loops are read", lambda: gateway.device("iio.box")["state"], lambda s: s == "answers")
    refused_without_test_mode(case, gateway, "box", "door")
    begin_test_mode(gateway, centre)
    technician = Technician(case, gateway, "box", "door")
    technician.show("open", lambda: converter.set(0, 3900), "open reads 9750, within .*taken")
    technician.show("short", lambda: converter.set(0, 20), "short reads 50, within .*taken")
    technician.show("normal", lambda: converter.set(0, 2100), "normal reads 5250, within .*taken")
    technician.show("alarm", lambda: converter.set(0, 2140), "NOT TAKEN: alarm reads 5350 and normal 5250.*1 % apart, and 8 %")
    technician.type("nonsense")
    technician.until("neither Enter, skip, quit nor a state")
    technician.show("alarm", lambda: converter.set(0, 2500), "alarm reads 6250, within .*taken")
    setting = technician.setting()
    expect("the setting", setting, "end-of-line = { normal = 5250, alarm = 6250, short = 50, open = 9750 }")
    told = codes(centre, 1)
    require("each state was told all the while", {"TA", "TR", "BA"} <= set(told), told)
    feed = [e["sia"] for e in centre.feed()]
    require("after the centre heard of the test", feed.index("TS") < feed.index("TA"), feed)

    converter.set(0, 2100)
    eventually("at rest", lambda: gateway.point_state("iio.box.door"), lambda s: s == "at rest")
    gateway.until_delivered()
    relearn(gateway, "device.iio.box.point.door", setting)
    before = len(centre.feed())
    converter.set(0, 3300)  # an alarm by the drawing's values, a cut by the learned ones
    centre.until("the cut", lambda e: e["sia"] == "TA" and e["zone"] == 1, after=before)
    gateway.until_delivered()
    require("and no alarm", "BA" not in [e["sia"] for e in centre.feed()[before:]], centre.feed()[before:])


def test_learn_given_up(case):
    """no reading, an end of the input, an end of test mode, and a person who gives up: nothing is learned, and it is said why"""
    converter, centre = Converter(case), rig.Receiver(case)
    gateway = site(case, converter, centre).start()
    eventually("the loops are read", lambda: gateway.device("iio.box")["state"], lambda s: s == "answers")
    begin_test_mode(gateway, centre)
    command = [case.program, "learn", "box", "door", "--socket", gateway.socket]
    for given, words in (
        ("", "the input ended"), ("quit\n", "given up"), ("\n\n\nquit\n", "is this the loop's channel"), ("skip\n" * 3, "the input ended"),
    ):  # fmt: skip
        result = case.run(command, input=given)
        expect(f"learn with {given!r} ({result.stdout})", result.returncode, 1)
        require("why is said", words in result.stdout and "end-of-line =" not in result.stdout, result.stdout)
    steps = case.run([*command, "--json"], input="skip\n" * 4)
    expect("all states left as they are", steps.returncode, 0)
    require("as JSON", '"toml":["end-of-line = { normal = 5000, alarm = 6667 }"' in steps.stdout, steps.stdout)
    for name, point, words in (("box", "gate", "no supervised loop"), ("boxes", "door", "no device")):
        result = case.run([case.program, "learn", name, point, "--socket", gateway.socket])
        require("what there is is said", result.returncode == 1 and words in result.stdout, result.stdout)

    technician = Technician(case, gateway, "box", "door")
    technician.until("OPEN: ")
    converter.remove()
    eventually("the converter is lost", lambda: gateway.device("iio.box")["state"], lambda s: s == "lost")
    technician.type()
    technician.until("no reading: the analogue converter|no reading: this board has no")
    converter.put()
    technician.until("open reads 5000")
    technician.until("SHORT: ")
    set_test_mode(gateway, "off")
    technician.until("test mode is not on")
    expect("the exit status", technician.process.popen.wait(30), 1)
