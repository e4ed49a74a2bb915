"""Contacts that change more often than anybody can act on: told as chatter, counted, and their last state arrives."""

import time

import rig
from rig import eventually, expect, limit, require, table


def site(case, board, centre, *points, **settings):
    return rig.Gateway(
        case, rig.path("a", centre.address), table("device.gpio.box", chip="pinctrl-test", **settings), *points,
        environment=board.environment)  # fmt: skip


def point(name, line, kind="burglary", changes=6, within="8s", **settings):
    return table(
        f"device.gpio.box.point.{name}", line=line, contact="normally-open", kind=kind, zone=line, debounce="5ms", **settings
    ) + table(f"device.gpio.box.point.{name}.chatter", changes=changes, within=within)


def codes(centre, zone):
    return [e["sia"] for e in centre.feed() if e["zone"] == zone]


def chatter(board, line, changes, first=1):
    """Slow enough for each change to be one, and told."""
    for number in range(changes):
        board.level(line, str((number + first) % 2))
        time.sleep(0.1)


def ready(gateway):
    eventually("the board is read", lambda: gateway.device("gpio.box")["state"], lambda s: s == "answers")


def test_contact(case):
    """told as chatter once; counted; the last state arrives, and the end with the count; then all is as before"""
    board, centre = rig.Board(case), rig.Receiver(case)
    gateway = site(case, board, centre, point("door", 5), point("other", 6)).start()
    ready(gateway)
    chatter(board, 5, 40)
    begun = centre.until("the chatter", lambda e: e["sia"] == "UT" and e["zone"] == 5)
    require("says so", "changes over 6 times in 8s" in begun["text"], begun["text"])
    before = len(centre.feed())
    board.level(6, "1")
    centre.until("another contact's alarm meanwhile", lambda e: e["sia"] == "BA" and e["zone"] == 6, after=before)
    end = centre.until("the end", lambda e: e["sia"] == "UJ" and e["zone"] == 5)
    require("with its state", "no change for 8s, at rest" in end["text"], end["text"])
    gateway.until_delivered()
    told = codes(centre, 5)
    alarms = [code for code in told if code in ("BA", "BR")]
    require("alarm and restore by turns, the last a restore", alarms == ["BA", "BR"] * (len(alarms) // 2), told)
    require("few, however many there were", len(alarms) <= 8, told)
    expect("chatter, once", [code for code in told if code in ("UT", "UJ")], ["UT", "UJ"])
    expect("its state", gateway.point_state("gpio.box.door"), "at rest")
    before = len(centre.feed())
    chatter(board, 5, 2)
    centre.until("an alarm as ever", lambda e: e["sia"] == "BA" and e["zone"] == 5, after=before)
    centre.until("its restore", lambda e: e["sia"] == "BR" and e["zone"] == 5, after=before)


def test_fire_that_stands(case):
    """a fire contact chatters, and then stays active: told long before its chatter has ended"""
    board, centre = rig.Board(case), rig.Receiver(case)
    gateway = site(case, board, centre, point("smoke", 7, kind="fire", within="1h", text="Rök")).start()
    ready(gateway)
    chatter(board, 7, 21)
    centre.until("the chatter", lambda e: e["sia"] == "UT" and e["zone"] == 7)
    told = eventually("it stands", lambda: codes(centre, 7), lambda t: t[-2:] == ["FR", "FA"] and "UT" in t)
    require("within its chatter", "UJ" not in told, told)
    # At rest for some seconds, and a fire again: at once, though it still counts as chattering.
    before = len(centre.feed())
    board.level(7, "0")
    time.sleep(7)
    board.level(7, "1")
    centre.until("the new alarm", lambda e: e["sia"] == "FA" and e["zone"] == 7, after=before)
    expect("with the rest before it", [e["sia"] for e in centre.feed()[before:] if e["zone"] == 7], ["FR", "FA"])
    status = gateway.status()
    states = [(p["state"], p.get("chatters")) for p in status["points"] if p["name"] == "gpio.box.smoke"]
    expect("in the status", states, [("active", True)])


@limit(400)
def test_restart(case):
    """killed while a contact chatters, and it changes meanwhile: compared with what was told, and the end is told"""
    board, centre = rig.Board(case), rig.Receiver(case)
    gateway = site(case, board, centre, point("door", 5)).start()
    ready(gateway)
    chatter(board, 5, 11)
    centre.until("the chatter", lambda e: e["sia"] == "UT" and e["zone"] == 5)
    gateway.until_delivered()
    gateway.process.kill()
    expect("it is told active", [c for c in codes(centre, 5) if c in ("BA", "BR")][-1], "BA")
    board.level(5, "0")
    gateway.start()
    restore = centre.until("what changed meanwhile", lambda e: e["sia"] == "BR" and "not watched" in (e["text"] or ""))
    expect("of the door", restore["zone"], 5)
    end = centre.until("the end of the chatter", lambda e: e["sia"] == "UJ" and e["zone"] == 5)
    require("counted anew", "since larmnod started" in end["text"], end["text"])
    gateway.until_delivered()
    expect("chatter, once", [c for c in codes(centre, 5) if c in ("UT", "UJ")], ["UT", "UJ"])


@limit(400)
def test_modbus(case):
    """an input on a bus: the same, by the device's own setting"""
    port = case.port()
    units = rig.ModbusUnits(case, "--tcp", str(port), "--host", case.host, "--unit", "1")
    centre = rig.Receiver(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address),
        table("device.modbus.bus", address=f"{case.host}:{port}", interval="20ms"),
        table("device.modbus.bus.chatter", changes=6, within="8s"),
        table("device.modbus.bus.point.pump", unit=1, table="discrete-input", register=0, kind="burglary", zone=9),
    ).start()  # fmt: skip
    eventually("the bus answers", lambda: gateway.device("modbus.bus")["state"], lambda s: s == "answers")
    for number in range(31):
        units.do(f"set 1 discrete-input 0 {(number + 1) % 2}")
        time.sleep(0.15)
    centre.until("the chatter", lambda e: e["sia"] == "UT" and e["zone"] == 9)
    end = centre.until("the end", lambda e: e["sia"] == "UJ" and e["zone"] == 9)
    require("with its state", "no change for 8s, active" in end["text"], end["text"])
    gateway.until_delivered()
    alarms = [code for code in codes(centre, 9) if code in ("BA", "BR")]
    expect("alarm and restore by turns, the last an alarm", alarms, ["BA", "BR"] * (len(alarms) // 2) + ["BA"])
    require("few", len(alarms) <= 7, alarms)


def test_calls(case):
    """a panel that says the same again and again, and something else among it: nothing new is held back"""
    centre, panel = rig.Receiver(case), rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address), panel.table(kind="technical"),
        table("device.espa.panel.chatter", changes=5, within="10s")).start()  # fmt: skip
    for _ in range(12):
        panel.must("Pump 1")
    panel.must("Pump 2")
    centre.until_text("Pump 2")
    centre.until("the end", lambda e: e["sia"] == "UJ")
    gateway.until_delivered()
    texts = [e["text"] for e in centre.feed() if e["sia"] in ("UA", "UT", "UJ")]
    expect("the calls", [t for t in texts if t.startswith("Pump")], ["Pump 1"] * 5 + ["Pump 2"])
    require("it says so", any("says the same over 5 times in 10s" in t for t in texts), texts)
    require("and how often", any("7 changes counted" in t for t in texts), texts)
