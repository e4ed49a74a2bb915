"""Modbus units by pymodbus: inputs, registers, a unit that dies; TCP, and RTU over a pair of pseudo-terminals."""

import pathlib
import time

import rig
from learning import Technician, begin_test_mode, refused_without_test_mode, relearn
from rig import each, eventually, expect, limit, require, table

# Point, its settings, and commands that make it active and idle again.
POINTS = [
    ("input", {"table": "discrete-input", "register": 3}, "discrete-input 3 1", "discrete-input 3 0"),
    ("coil", {"table": "coil", "register": 7}, "coil 7 1", "coil 7 0"),
    ("bit", {"table": "holding-register", "register": 100, "bit": 13}, "holding-register 100 0x2000",
     "holding-register 100 0x1FFF"),
    ("mask", {"table": "input-register", "register": 20, "mask": 0x0F00}, "input-register 20 0x0100",
     "input-register 20 0xF0FF"),
    ("equals", {"table": "holding-register", "register": 101, "equals": 5}, "holding-register 101 5",
     "holding-register 101 4"),
    ("level", {"table": "input-register", "register": 11, "at-least": 850, "hysteresis": 20}, "input-register 11 850",
     "input-register 11 829"),
    ("frost", {"table": "input-register", "register": 12, "at-most": -5, "signed": True}, "input-register 12 0xFFFB",
     "input-register 12 0"),
]  # fmt: skip


def bus(case, way):
    """The units 1 and 2 with what they need, and the device's table."""
    if way == "tcp":
        port = case.port()
        units = rig.ModbusUnits(case, "--tcp", str(port), "--host", case.host, "--unit", "1", "--unit", "2")
        return units, table("device.modbus.bus", address=f"{case.host}:{port}", interval="100ms")
    ends = [case.path("rtu-ours"), case.path("rtu-theirs")]
    case.start("socat", ["socat", *(f"pty,raw,echo=0,link={end}" for end in ends)])
    eventually("socat makes the line", lambda: all(pathlib.Path(end).exists() for end in ends))
    units = rig.ModbusUnits(case, "--rtu", ends[1], "--line", "19200 8N1", "--unit", "1", "--unit", "2")
    return units, table("device.modbus.bus", port=ends[0], line="19200 8N1", interval="100ms")


def point(name, zone, unit=1, **settings):
    return table(f"device.modbus.bus.point.{name}", unit=unit, kind="burglary", zone=zone, **settings)


@each("tcp", "rtu")
@limit(400)
def test_points(case, way):
    """every kind of point: alarm and restore as its input changes; a dead unit's trouble and restore, the other lives"""
    units, device = bus(case, way)
    units.do("set 1 holding-register 101 4")
    units.do("set 1 input-register 12 10")
    centre = rig.Receiver(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address), device,
        *(point(name, zone, **settings) for zone, (name, settings, _, _) in enumerate(POINTS, 1)),
        point("other", 90, unit=2, table="discrete-input", register=0)).start()  # fmt: skip
    eventually("the bus answers", lambda: gateway.device("modbus.bus")["state"], lambda s: s == "answers")

    for zone, (name, _, on, off) in enumerate(POINTS, 1):
        for command, code in ((on, "BA"), (off, "BR")):
            units.do(f"set 1 {command}")
            centre.until(f"{code} of {name}", lambda e: e["sia"] == code and e["zone"] == zone)
    units.do("set 1 input-register 11 849")  # within the hysteresis, from below: still at rest

    units.do("silent 2")
    trouble = centre.until("the dead unit's trouble", lambda e: e["sia"] in ("ET", "UT") and "unit-2" in e["text"], 150)
    before = len(centre.feed())
    units.do("set 1 discrete-input 3 1")
    centre.until("the living unit's alarm", lambda e: e["sia"] == "BA" and e["zone"] == 1, after=before)
    units.do("set 2 discrete-input 0 1")
    units.do("normal 2")
    restore = {"ET": "ER", "UT": "UJ"}[trouble["sia"]]
    centre.until("the unit's restore", lambda e: e["sia"] == restore and "unit-2" in e["text"], 150)
    centre.until("what changed meanwhile", lambda e: e["sia"] == "BA" and e["zone"] == 90, 150)
    gateway.until_delivered()
    for zone in range(2, len(POINTS) + 1):
        expect(f"all events of zone {zone}", [e["sia"] for e in centre.feed() if e["zone"] == zone], ["BA", "BR"])


def test_bus_gone(case):
    """the whole bus goes away and comes back: one trouble, one restore, and no alarm for what stayed as it was"""
    units, device = bus(case, "tcp")
    centre = rig.Receiver(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address), device, point("input", 1, table="discrete-input", register=0)).start()
    units.do("set 1 discrete-input 0 1")
    centre.until("the alarm", lambda e: e["sia"] == "BA")
    port = units.process.popen.args[units.process.popen.args.index("--tcp") + 1]
    units.process.kill()
    centre.until("the bus's trouble", lambda e: e["sia"] == "ET" and "modbus.bus" in e["text"])
    eventually("status says so", lambda: gateway.device("modbus.bus")["state"], lambda s: s == "lost")
    time.sleep(5)  # tried again some times meanwhile
    again = rig.ModbusUnits(case, "--tcp", port, "--host", case.host, "--set", "1:discrete-input:0=1")
    centre.until("the bus's restore", lambda e: e["sia"] == "ER")
    gateway.until_delivered()
    again.do("set 1 discrete-input 0 0")
    centre.until("its restore", lambda e: e["sia"] == "BR")
    codes = [e["sia"] for e in centre.feed() if e["sia"] in ("BA", "BR", "ET", "ER", "UT", "UJ")]
    require("each once", codes == ["BA", "ET", "ER", "BR"], codes)


@each("tcp", "rtu")
def test_learn(case, way):
    """a loop on a module's analogue input is learned: what an open loop counts, and each state; it holds after a restart"""
    units, device = bus(case, way)
    units.do("set 1 input-register 2 5000")
    centre = rig.Receiver(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address), device, point("gate", 5, table="input-register", register=2),
        table("device.modbus.bus.point.gate.end-of-line", full_scale=32767, pull_up="1k", normal="1k", alarm="2k"),
        point("other", 6, table="discrete-input", register=0)).start()  # fmt: skip
    eventually("the bus answers", lambda: gateway.device("modbus.bus")["state"], lambda s: s == "answers")
    refused_without_test_mode(case, gateway, "bus", "gate")
    begin_test_mode(gateway, centre)
    technician = Technician(case, gateway, "bus", "gate")
    for state, count in (("open", 10_000), ("short", 0), ("normal", 4900), ("alarm", 6700)):
        technician.show(state, lambda: units.do(f"set 1 input-register 2 {count}"), f"{state} reads {count}, within .*taken")
    setting = technician.setting()
    expect("the setting", setting, "end-of-line = { full-scale = 10000, normal = 4900, alarm = 6700 }")
    units.do("set 1 input-register 2 4900")
    gateway.until_delivered()
    relearn(gateway, "device.modbus.bus.point.gate", setting)
    before = len(centre.feed())
    units.do("set 1 input-register 2 6700")
    centre.until("the alarm", lambda e: e["sia"] == "BA" and e["zone"] == 5, after=before)
    units.do("set 1 input-register 2 9900")
    centre.until("the cut", lambda e: e["sia"] == "TA" and e["zone"] == 5, after=before)
    monitor = case.start("monitor", [case.program, "monitor", "bus", "--socket", gateway.socket])
    eventually("monitor shows what the loop counts", lambda: "gate 9900 of 10000 (99 %): open" in monitor.text())
