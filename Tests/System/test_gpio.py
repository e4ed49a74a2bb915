"""Contacts on GPIO lines, by the stand-in for libgpiod (Tests/Standins/libgpiod)."""

import time

import rig
from rig import eventually, expect, require, table


def site(case, board, centre, *points, **device):
    return rig.Gateway(
        case, rig.path("a", centre.address), table("device.gpio.box", **device), *points, environment=board.environment)


def point(name, line, contact="normally-open", **settings):
    zone = settings.pop("zone", line if isinstance(line, int) else 1)
    return table(f"device.gpio.box.point.{name}", line=line, contact=contact, kind="burglary", zone=zone, **settings)


def codes(centre, zone):
    return [e["sia"] for e in centre.feed() if e["zone"] == zone and e["sia"] in ("BA", "BR")]


def test_state_and_edges(case):
    """what is active at the start is told, then every change: normally open, normally closed, active low"""
    board = rig.Board(case, "chip gpiochip0 pinctrl-test 16", "name gpiochip0 4 DOOR", "set gpiochip0 2 1", "set gpiochip0 3 1")
    centre = rig.Receiver(case)
    gateway = site(
        case, board, centre, point("open-idle", 1), point("open-active", 2), point("closed-idle", 3, "normally-closed"),
        point("closed-active", "DOOR", "normally-closed", zone=4), point("low-active", 5, active_low=True),
        chip="pinctrl-test").start()  # fmt: skip
    told = eventually("the active ones are told", lambda: {n: codes(centre, n) for n in range(1, 6)},
                      lambda t: sum(map(len, t.values())) >= 3)  # fmt: skip
    expect("events at the start", told, {1: [], 2: ["BA"], 3: [], 4: ["BA"], 5: ["BA"]})
    for line, level, code in ((1, 1, "BA"), (2, 0, "BR"), (3, 0, "BA"), (4, 1, "BR"), (5, 1, "BR"), (1, 0, "BR")):
        before = len(centre.feed())
        board.level(line, str(level))
        centre.until(f"{code} of line {line}", lambda e: e["sia"] == code and e["zone"] == line, after=before)
    before = len(centre.feed())
    board.level(1, "1")
    time.sleep(0.3)
    board.level(1, "0")
    centre.until("a pulse's end", lambda e: e["sia"] == "BR" and e["zone"] == 1, after=before)
    gateway.until_delivered()
    expect("all of line 1", codes(centre, 1), ["BA", "BR", "BA", "BR"])


def test_more_edges_than_are_kept(case):
    """a contact that chatters beyond what the kernel keeps: its last state is told, alarms and restores by turns"""
    board, centre = rig.Board(case), rig.Receiver(case)
    gateway = site(case, board, centre, point("door", 5), chip="pinctrl-test").start()
    eventually("the board is read", lambda: gateway.device("gpio.box")["state"], lambda s: s == "answers")
    for levels, state in (("10" * 50 + "1", "active"), ("01" * 50 + "0", "at rest")):
        board.level(5, levels)
        eventually(f"the door is {state}", lambda: gateway.point_state("gpio.box.door"), lambda s: s == state)
    gateway.until_delivered()
    told = codes(centre, 5)
    require("alarm and restore by turns, the last a restore", told == ["BA", "BR"] * (len(told) // 2) and told, told)


def test_removal_and_return(case):
    """a chip that is unplugged is the device's trouble; back again, what changed meanwhile is told, with a note"""
    board, centre = rig.Board(case), rig.Receiver(case)
    gateway = site(case, board, centre, point("stays", 5), point("changes", 6), chip="pinctrl-test").start()
    board.do("set gpiochip0 5 1", "set gpiochip0 6 1")
    for zone in (5, 6):
        centre.until("the alarm", lambda e: e["sia"] == "BA" and e["zone"] == zone)
    board.do("remove gpiochip0")
    centre.until("the trouble", lambda e: e["sia"] == "ET" and "gpio.box" in e["text"])
    board.do("set gpiochip0 6 0")
    time.sleep(3)
    board.do("insert gpiochip0")
    centre.until("the restore of the trouble", lambda e: e["sia"] == "ER" and "gpio.box" in e["text"])
    change = centre.until("the change", lambda e: e["sia"] == "BR" and e["zone"] == 6)
    require("it says that nobody watched", "changed while not watched" in (change["text"] or ""), change["text"])
    gateway.until_delivered()
    expect("the one that stayed", codes(centre, 5), ["BA"])


def test_refused_names(case):
    """a line's name that two chips have, one that none has, and a line that another program holds: told, then mended"""
    board = rig.Board(
        case, "chip gpiochip0 pinctrl-test 8", "chip gpiochip1 expander 8", "name gpiochip0 3 DOOR", "name gpiochip1 4 DOOR",
        "name gpiochip0 5 HELD", "take gpiochip0 5 heating")  # fmt: skip
    centre = rig.Receiver(case)
    devices = "".join(
        table(f"device.gpio.{name}") + table(
            f"device.gpio.{name}.point.in", line=line, contact="normally-open", kind="burglary", zone=zone)
        for zone, (name, line) in enumerate((("two", "DOOR"), ("none", "WINDOW"), ("held", "HELD")), 1))  # fmt: skip
    gateway = rig.Gateway(case, rig.path("a", centre.address), devices, environment=board.environment).start()
    for name, words in (("two", ["DOOR", "gpiochip0", "gpiochip1"]), ("none", ["WINDOW", "DOOR"]), ("held", ["heating"])):
        device = eventually(f"{name} is lost", lambda: gateway.device(f"gpio.{name}"), lambda d: d["state"] == "lost")
        for word in words:
            require(f"the reason names {word}", word in device["why"], device["why"])
        centre.until(f"{name}'s trouble", lambda e: e["sia"] == "ET" and f"gpio.{name} " in e["text"])
    board.do("free gpiochip0 5", "set gpiochip0 5 1")
    centre.until("the held line's alarm, once it is free", lambda e: e["sia"] == "BA" and e["zone"] == 3)
    require("it still runs", gateway.process.is_running())


def test_lost_supply_and_hold(case):
    """contacts that open together are told each, and their common cause beside them; what does not last is not told"""
    board, centre = rig.Board(case, "chip gpiochip0 pinctrl-test 16", "set gpiochip0 1 1", "set gpiochip0 2 1"), rig.Receiver(case)
    gateway = site(
        case, board, centre, point("alarm", 1, "normally-closed", supply="24v"),
        point("trouble", 2, "fail-safe", supply="24v"), point("door", 3, hold="400ms"), chip="pinctrl-test").start()  # fmt: skip
    eventually("the board is read", lambda: gateway.device("gpio.box")["state"], lambda s: s == "answers")
    board.do("set gpiochip0 3 1", "wait 100", "set gpiochip0 3 0", "wait 500", "set gpiochip0 1 0", "set gpiochip0 2 0")
    for zone in (1, 2):
        centre.until("each contact", lambda e: e["sia"] == "BA" and e["zone"] == zone)
    cause = centre.until("the common cause", lambda e: e["sia"] == "YP")
    require("it names the supply", "24v" in cause["text"], cause["text"])
    board.do("set gpiochip0 1 1")
    centre.until("its end", lambda e: e["sia"] == "YQ")
    gateway.until_delivered()
    expect("the short pulse", codes(centre, 3), [])
