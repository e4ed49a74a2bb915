"""Outputs, time limits and test mode: what the box shows on site, judged at the lines and coils themselves."""

import json
import os
import signal
import time

import rig
from rig import eventually, expect, limit, require, table
from test_disk import acknowledged_texts, fill, mounted

FAULT, TROUBLE, RECEIVED, TESTING, FOLLOWS, PULSE = 10, 11, 12, 13, 14, 15
SMOKE, DOOR = 1, 2


def point(name, line, kind, **settings):
    return table(
        f"device.gpio.inputs.point.{name}", line=line, contact="normally-open", kind=kind, zone=line, text=name, **settings)


def output(name, line, shows, **settings):
    return table(f"device.gpio.relays.output.{name}", line=line, shows=shows, **settings)


def site(case, board, *paths, within=None, **settings):
    """Inputs and outputs, each on a device of their own."""
    limits = {"received_within": within} if within else {}
    return rig.Gateway(
        case, *paths, table("device.gpio.inputs", chip="pinctrl-test"), point("smoke", SMOKE, "fire", **limits),
        point("door", DOOR, "burglary"), table("device.gpio.relays", chip="pinctrl-test"),
        output("fault-relay", FAULT, "transmission-fault"), output("lamp", TROUBLE, "trouble"),
        output("received", RECEIVED, "received", point="gpio.inputs.smoke"),
        output("test", TESTING, "test-mode"), output("follows", FOLLOWS, "point", point="gpio.inputs.door"),
        output("pulse", PULSE, "transmission-fault", drive="pulse", period="200ms"), environment=board.environment,
        **settings)  # fmt: skip


def now_at(board, line):
    return board.driven(line)[-1:]


def until_level(board, line, level, what):
    eventually(what, lambda: now_at(board, line), lambda seen: seen == level)


def until_pulsing(board, pulsing=True):
    """It pulses: three more changes are seen; or not: none in five periods."""
    if pulsing:
        before = len(board.driven(PULSE))
        eventually("the line pulses", lambda: len(board.driven(PULSE)), lambda count: count >= before + 3)
    else:
        eventually("the line stands still", lambda: stands_still(board), bool)


def stands_still(board):
    before = board.driven(PULSE)
    time.sleep(1)
    return board.driven(PULSE) == before


def test_all_paths_cut(case):
    """the transmission-fault relay is held while a path works, drops when the last is down, and is held again"""
    board = rig.Board(case)
    first, second = rig.Receiver(case, "first"), rig.Receiver(case, "second")
    quick = {"poll": "1s", "timeout": "500ms", "attempts": 2}
    gateway = site(case, board, rig.path("a", first.address, **quick), rig.path("b", second.address, **quick)).start()
    expect("before a path has worked it is dropped", board.driven(FAULT)[:1], "0")
    until_level(board, FAULT, "1", "the relay is held")
    until_pulsing(board)
    until_level(board, TROUBLE, "0", "no trouble is shown")
    first.kill()
    until_level(board, TROUBLE, "1", "one path down is a trouble")
    expect("and not yet a transmission fault", board.driven(FAULT), "01")
    second.kill()
    until_level(board, FAULT, "0", "the relay drops out")
    until_pulsing(board, False)
    first.start()
    until_level(board, FAULT, "1", "the relay is held again")
    until_pulsing(board)
    second.start()
    until_level(board, TROUBLE, "0", "the trouble's end is shown")
    expect("all of the relay", board.driven(FAULT), "0101")
    status = gateway.status()
    shown = {row["name"]: row["on"] for row in status["outputs"]}
    expect("as status says it", shown["gpio.relays.fault-relay"], True)
    expect("it stops well", gateway.process.stop(), 0)
    expect("stopped: off, then let go", board.driven(FAULT), "01010-")


@limit(400)
def test_death_and_hanging(case):
    """kill -9, and a program that hangs: nothing pulses any more; after a start all is as before"""
    board, centre = rig.Board(case), rig.Receiver(case)
    gateway = site(case, board, rig.path("a", centre.address)).start()
    until_pulsing(board)
    os.kill(gateway.process.pid, signal.SIGSTOP)
    until_pulsing(board, False)
    expect("a steady output stands as it stood", now_at(board, FAULT), "1")
    os.kill(gateway.process.pid, signal.SIGCONT)
    until_pulsing(board)
    gateway.process.kill()
    until_pulsing(board, False)
    gateway.start()
    until_pulsing(board)
    until_level(board, FAULT, "1", "the relay is held again")


@limit(400)
def test_fire_not_acknowledged(case):
    """a fire that is not acknowledged in time: the relay drops, it is told as overdue, over a restart too; then received"""
    board = rig.Board(case)
    centre = rig.Receiver(case)
    # Many attempts, so that the path is not down meanwhile: it is the acknowledgement of the fire that is missing.
    gateway = site(case, board, rig.path("a", centre.address, timeout="2s", attempts=20), within="6s").start()
    until_level(board, FAULT, "1", "the relay is held")
    board.level(SMOKE, "1")
    until_level(board, RECEIVED, "1", "the first fire is shown as received")
    board.level(SMOKE, "0")
    until_level(board, RECEIVED, "0", "at rest it is not shown")
    gateway.until_delivered()
    expect("in time, so nothing else was told", [e["sia"] for e in centre.feed() if e["zone"] == SMOKE], ["FA", "FR"])
    before = len(centre.feed())
    centre.misbehave("drop")
    board.level(SMOKE, "1")
    until_level(board, FAULT, "0", "the relay drops when the time is over")
    expect("not shown as received", now_at(board, RECEIVED), "0")
    expect("status names it", eventually("overdue", lambda: gateway.status()["overdue"]), ["gpio.inputs.smoke"])
    gateway.process.kill()
    gateway.start()
    time.sleep(3)
    require("still dropped after a restart", "1" not in board.driven(FAULT)[-2:], board.driven(FAULT))
    expect("still overdue", gateway.status()["overdue"], ["gpio.inputs.smoke"])
    centre.misbehave("none")
    until_level(board, FAULT, "1", "acknowledged: the relay is held again")
    until_level(board, RECEIVED, "1", "and the fire is shown as received")
    overdue = centre.until("it is told", lambda e: "not acknowledged within 6s" in (e["text"] or ""), after=before)
    expect("by the trade's code and the point's zone", (overdue["sia"], overdue["zone"]), ("YC", SMOKE))
    centre.until("its end is told", lambda e: e["sia"] == "YK" and "acknowledged after all" in e["text"], after=before)
    gateway.until_delivered()
    codes = [e["sia"] for e in centre.feed()[before:] if e["sia"] in ("FA", "YC", "YK") and e["zone"] == SMOKE]
    expect("the fire first, and each once", codes, ["FA", "YC", "YK"])
    # Over a restart the lamp knows that it was received.
    gateway.process.kill()
    gateway.start()
    until_level(board, RECEIVED, "1", "still received after a restart")


@limit(400)
def test_store_takes_nothing(case):
    """the disk takes nothing: the relay drops, though the receiver answers; with room again it is held"""
    board, centre, panel = rig.Board(case), rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0", "--answer", "20")
    directory = mounted(case, "tmpfs")
    gateway = site(case, board, rig.path("a", centre.address), panel.table(), state=directory / "state").start()
    until_level(board, FAULT, "1", "the relay is held")
    for rounds in range(300):
        fill(directory)
        acknowledged_texts(panel, f"full {rounds}", 40)
        if gateway.status().get("storeTrouble"):
            break
    until_level(board, FAULT, "0", "the relay drops")
    (directory / "filler").unlink()
    until_level(board, FAULT, "1", "the relay is held again")


def mode(gateway, *words):
    return gateway.case.run([gateway.case.program, "test-mode", *words, "--socket", gateway.socket])


def test_mode(case):
    """test mode: told at its begin and end, shown, ended by itself and by a restart; events go as always"""
    board, centre = rig.Board(case), rig.Receiver(case)
    gateway = site(case, board, rig.path("a", centre.address)).start()
    expect("off at first", json.loads(mode(gateway, "status", "--json").stdout), {"on": False})
    require("how long is asked for", mode(gateway, "on").returncode != 0)
    refused = mode(gateway, "on", "--for", "9h")
    require("at most 8 hours", refused.returncode == 1 and "8h" in refused.stdout, refused.stdout)
    began = mode(gateway, "on", "--for", "30m", "--why", "revision of the panel")
    require("begun", began.returncode == 0 and "Test mode is on" in began.stdout, began.stdout)
    told = centre.until("its beginning", lambda e: e["sia"] == "TS")
    require("who, how long and why", "for 30min: revision of the panel" in told["text"], told["text"])
    until_level(board, TESTING, "1", "it is shown")
    until_level(board, TROUBLE, "1", "and is a trouble as long as it lasts")
    expect("it is no transmission fault", now_at(board, FAULT), "1")
    require("status says so", "test mode" in gateway.ask("status").stdout)
    board.level(SMOKE, "1")
    centre.until("a fire meanwhile", lambda e: e["sia"] == "FA")
    again = mode(gateway, "on", "--for", "5m")
    require("not twice", again.returncode == 1 and "on already" in again.stdout, again.stdout)
    expect("ended", mode(gateway, "off").stdout, "Test mode is off.\n")
    centre.until("its end", lambda e: e["sia"] == "TE" and "ended by" in e["text"])
    until_level(board, TESTING, "0", "it is shown no more")
    require("not on", mode(gateway, "off").returncode == 1)
    require("a short one", mode(gateway, "on", "--for", "2s").returncode == 0)
    centre.until("its end by itself", lambda e: e["sia"] == "TE" and "its time is over" in e["text"])
    until_level(board, TESTING, "0", "it is over")
    require("a third", mode(gateway, "on", "--for", "1h").returncode == 0)
    gateway.until_delivered()
    gateway.process.kill()
    gateway.start()
    centre.until("ended by the restart", lambda e: e["sia"] == "TE" and "restart" in e["text"])
    expect("off after a restart", json.loads(mode(gateway, "--json").stdout)["on"], False)
    gateway.until_delivered()
    expect("all of it", [e["sia"] for e in centre.feed() if e["sia"] in ("TS", "TE")], ["TS", "TE"] * 3)


def test_modbus_coils(case):
    """coils follow points and the uplink, come back after the module lost them, and a dead unit is told"""
    port = case.port()
    units = rig.ModbusUnits(case, "--tcp", str(port), "--host", case.host, "--unit", "1", "--unit", "2")
    centre = rig.Receiver(case)
    bus = table("device.modbus.bus", address=f"{case.host}:{port}", interval="100ms")
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, poll="1s", timeout="500ms", attempts=2), bus,
        table("device.modbus.bus.point.gate", unit=1, table="discrete-input", register=0, kind="burglary", zone=5),
        table("device.modbus.bus.output.relay", unit=1, register=0, shows="transmission-fault"),
        table("device.modbus.bus.output.gate-lamp", unit=1, register=1, shows="point", point="modbus.bus.gate"),
        table("device.modbus.bus.output.far", unit=2, register=0, shows="transmission-fault")).start()  # fmt: skip

    def coil(unit, number, level, what):
        eventually(what, lambda: units.do(f"get {unit} coil {number}"), lambda seen: seen == level)

    coil(1, 0, "1", "the fault coil is held")
    coil(2, 0, "1", "on the other unit too")
    units.do("set 1 discrete-input 0 1")
    coil(1, 1, "1", "the lamp follows the gate")
    units.do("set 1 coil 0 0")
    coil(1, 0, "1", "what the module lost it gets back")
    units.do("silent 2")
    centre.until("the dead unit is told", lambda e: "unit-2" in (e["text"] or ""))
    centre.kill()
    coil(1, 0, "0", "all paths down: the living unit's coil drops")
    centre.start()
    coil(1, 0, "1", "held again")
    units.do("normal 2")
    centre.until("it answers again", lambda e: e["sia"] == "ER" and "unit-2" in e["text"])
    units.do("protect 1 4")
    centre.until("a coil that cannot be set is told", lambda e: e["sia"] == "YA" and "output" in e["text"])
    units.do("normal 1")
    centre.until("and its end", lambda e: e["sia"] == "YH")
    gateway.process.stop()
    coil(1, 0, "0", "off when it is stopped")
    expect("nothing else was ever written", {w.split(":")[0] for w in units.do("written 1").split()}, {"15"})
