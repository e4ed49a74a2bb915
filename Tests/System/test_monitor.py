"""See it speak: a line watched, recorded and replayed, and a panel that is played, by the program's own commands."""

import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import termios
import time

import rig
from rig import eventually, expect, require, table

SCRIPT = "fire 12 Brand i kök\nafter 200ms burglary 3 area 2\nrestore 12\nwait\n"


def site(case, script=SCRIPT):
    """A transmitter with an alarm receiver's line, and what plays the receiver: started by the returned function."""
    port = case.path("radio-line")
    file = case.directory / "script"
    file.write_text(script, encoding="utf-8")

    def play(*options):
        process = case.start("played", [
            case.program, "simulate", "receiver-line", "--pty", "--link", port, "--script", file, "--stay", *options])
        eventually("the played panel has a line", lambda: pathlib.Path(port).exists())
        return process

    centre = rig.Receiver(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address),
        table("device.receiver-line.radio", port=port, format="sur-gard", silence="0s"))  # fmt: skip
    return centre, gateway, play


def interrupted(process):
    process.popen.send_signal(signal.SIGINT)
    return process.popen.wait(30)


def test_played_panel_reaches_the_centre(case):
    """a played panel's events reach the centre; monitor shows both directions, what was reported and the event"""
    centre, gateway, play = site(case, "after 2s " + SCRIPT)
    played = play()
    gateway.start()
    command = [case.program, "monitor", "--socket", gateway.socket]
    words = case.start("words", [*command, "radio"])
    lines = case.start("lines", [*command, "receiver-line.radio", "--json", "--all"])
    centre.until("the fire", lambda e: e["sia"] == "FA" and e["zone"] == 12)
    centre.until("the break-in", lambda e: e["sia"] == "BA" and e["zone"] == 3)
    centre.until("the end of the fire", lambda e: e["contactId"] == "110" and e["qualifier"] == "restore")
    eventually("all is taken", played.text, lambda text: text.count("TAKEN: ") == 3)

    def seen():
        return [json.loads(line) for line in lines.text().splitlines()]

    whats = ["watching", "received", "sent", "signal", "event"]
    eventually("monitor --json has all of it", seen, lambda found: set(whats) <= {line["what"] for line in found})
    eventually("the end is seen", seen, lambda found: any("restore" in line.get("text", "") for line in found))
    fire = next(line for line in seen() if line["what"] == "event" and "FA/110" in line["text"])
    expect("the event's number", fire["event"], next(e["event"] for e in gateway.events() if e["sia"] == "FA"))
    order = [line["what"] for line in seen() if line["what"] in ("received", "signal", "sent")]
    index = next(i for i, line in enumerate(seen()) if "zone 12" in line.get("text", "") and line["what"] == "signal")
    require("reported before it is answered", "sent" in [line["what"] for line in seen()[index:]], order)
    screen = words.text()
    require("bytes beside their meaning", re.search(r"< 35 30 31 31 20 31 38 31 +1110 zone 12 of 1234", screen), screen)
    require("answers too", re.search(r"> 06 +accepted", screen), screen)
    require("at most 80 columns", max(map(len, screen.splitlines())) <= 80, screen)
    for process in (words, lines):
        expect("exit status after Ctrl-C", interrupted(process), 0)


def test_recorded_is_replayed(case):
    """record, and replay: no difference; a changed recording is found out; nothing is overwritten"""
    centre, gateway, play = site(case, "after 3s " + SCRIPT)
    play()
    gateway.start()
    file = case.directory / "from-the-field.txt"
    record = [case.program, "record", "receiver-line.radio", file, "--config", gateway.file, "--socket", gateway.socket]
    recording = case.start("record", [*record, "--make", "Sur-Gard", "--provenance", "played"])
    centre.until("the end of the fire", lambda e: e["contactId"] == "110" and e["qualifier"] == "restore")
    eventually("it is recorded", file.read_text, lambda text: "3110 zone 12" in text)
    recording.popen.send_signal(signal.SIGINT)
    expect(f"exit status of record ({recording.text()})", recording.popen.wait(30), 0)
    text = file.read_text()
    require("it is not called a capture of a panel", "over a pseudo-terminal: played" in text, text)
    for line in ("# driver: receiver-line", "# make: Sur-Gard", "# firmware: unknown", "# line: 9600 8N1"):
        require(f"the head says {line}", line in text.splitlines(), text)
    require("no key or account of the site", "4711" not in text, text)

    result = case.run([case.program, "replay", file])
    expect(f"exit status of replay ({result.stdout})", result.returncode, 0)
    require("it shows the events", "event: fire FA/110" in result.stdout, result.stdout)
    other = case.directory / "other.txt"
    other.write_text(text.replace("1130 zone 3 ", "1130 zone 4 "))
    result = case.run([case.program, "replay", other])
    expect("exit status where it differs", result.returncode, 1)
    require("it says where", re.search(r"line \d+: reported 1234-zone-3 .* recorded is 1234-zone-3 .*zone 4",
                                       " ".join(result.stdout.split())), result.stdout)  # fmt: skip
    result = case.run(record, stdin=open(os.devnull))
    expect("exit status where the file is there", result.returncode, 1)
    require("it is left as it is", file.read_text() == text and "there already" in result.stdout, result.stdout)


# What each panel can be made to say, and settings that a recording must carry.
USUAL = ["fire 12 Brand i kök", "after 1s burglary 3 area 1", "after 3s restore 12"]
KINDS = {
    "espa": ({}, ["fire 12 Brand i kök", "after 1s trouble Batteri"]),
    "galaxy": ({"login": "543216"}, USUAL),
    "id3000": ({}, ["restore 3", "after 1s power-up"]),
    "receiver-line": ({"format": "sur-gard"}, USUAL),
    "satel-monitoring": ({}, USUAL),
    "satel-integra": ({}, USUAL),
    "printer": ({}, ["fire 12 Brand i kök", "after 1s fire-trouble 3", "restore 12"]),
    "it-100": ({}, USUAL),
    "prt3": ({"zones": 5}, USUAL),
}


@rig.each(*KINDS)
@rig.waits
def test_each_kind_recorded(case, kind):
    """a session recorded beside a running transmitter replays without a touch, whatever had passed before"""
    settings, script = KINDS[kind]
    port, file = case.path("line"), case.directory / f"{kind}-field.txt"
    played = case.start("played", [case.program, "simulate", kind, "--pty", "--link", port], stdin=subprocess.PIPE)
    eventually("the played panel has a line", lambda: pathlib.Path(port).exists())
    device = table(f"device.{kind}.panel", port=port, **settings)
    gateway = rig.Gateway(case, rig.path("a", f"{case.host}:9"), device).start()

    def happen(*lines):
        played.popen.stdin.write("".join(f"{line}\n" for line in lines).encode())
        played.popen.stdin.flush()
        eventually(f"{lines} is played", played.text, lambda text: text.count(" TAKEN: ") >= taken[0] + len(lines))
        taken[0] += len(lines)

    taken = [0]
    happen("fire-bypass 3" if kind == "id3000" else "fire 4")  # it is in the middle of things
    recording = case.start("record", [
        case.program, "record", "panel", file, "--config", gateway.file, "--socket", gateway.socket,
        "--provenance", "played"])  # fmt: skip
    eventually("it records", recording.text, lambda text: "Recording" in text)
    if "opened anew" in recording.text():
        eventually("the first question is recorded", file.read_text, lambda text: "\n> " in text)
    happen(*script)
    time.sleep(2)  # and is reported, stored and answered
    expect(f"exit status of record ({recording.text()})", interrupted(recording), 0)
    for secret in ("543216", "35 34 33 32 31 36"):
        require("no code in the recording", secret not in file.read_text(), file.read_text())
    result = case.run([case.program, "replay", file])
    expect(f"exit status of replay ({result.stdout})", result.returncode, 0)
    gateway.stop()


def test_played_onto_a_port(case):
    """a recording is played onto a port, as the panel would: the transmitter answers as recorded, and the centre hears"""
    centre, gateway, _ = site(case)
    ends = [case.path("radio-line"), case.path("theirs")]
    case.start("socat", ["socat", *(f"pty,raw,echo=0,link={end}" for end in ends)])
    eventually("socat makes the line", lambda: all(os.path.exists(end) for end in ends))
    gateway.start()
    file = rig.ROOT / "Tests" / "DriverTests" / "Recordings" / "receiver-line-sur-gard-contact-id.txt"
    time.sleep(1)  # the line is opened, and what had come before it was is dropped
    result = case.run([case.program, "replay", file, "--port", ends[1], "--speed-up", "5"])
    expect(f"exit status ({result.stdout})", result.returncode, 0)
    centre.until("its alarm", lambda e: e["contactId"] == "130" and e["account"] == "1234")


def test_nobody_there(case):
    """without a daemon, monitor says so and what to do; alone it only listens, and says so loudly"""
    centre, gateway, play = site(case, "fire 12\n")
    result = case.run([case.program, "monitor", "radio", "--socket", gateway.socket])
    expect("exit status", result.returncode, 1)
    require("what to do", "no larmnod runs" in result.stdout and "--alone" in result.stdout, result.stdout)
    played = play()
    alone = case.start("alone", [case.program, "monitor", "radio", "--alone", "--all", "--config", gateway.file])
    # A panel that gets no answer says it again after 4 s; after three times it waits for 30 s, and this is over by then.
    eventually("it hears the panel", alone.text, lambda text: "link test" in text)
    require("it says what it does not", "NOTHING IS STORED" in alone.text(), alone.text())
    require("nothing is taken", "TAKEN" not in played.text(), played.text())
    require("nothing was sent", re.search(r"\d > ", alone.text()) is None, alone.text())
    expect("exit status after Ctrl-C", interrupted(alone), 0)
    gateway.start()
    result = case.run([case.program, "monitor", "radio", "--alone", "--config", gateway.file])
    require("refused where the daemon runs", result.returncode == 1 and "leave --alone out" in result.stdout, result.stdout)
    centre.until("what waited at the panel", lambda e: e["sia"] == "FA")


def test_alone_contacts(case):
    """alone, contacts and a Modbus bus are read and shown; outputs are not switched off"""
    board = rig.Board(case, "chip gpiochip0 pinctrl-test 8")
    port = case.port()
    units = rig.ModbusUnits(case, "--tcp", str(port), "--host", case.host, "--unit", "1")
    bus, other = ({"address": f"{case.host}:{number}", "interval": "100ms"} for number in (port, port + 1))
    read = {"unit": 1, "table": "discrete-input", "kind": "burglary"}
    gateway = rig.Gateway(
        case, rig.path("a", f"{case.host}:9"),
        table("device.gpio.box", chip="pinctrl-test"),
        table("device.gpio.box.point.door", line=3, contact="normally-open", kind="burglary"),
        table("device.modbus.bus", **bus), table("device.modbus.bus.point.gate", register=0, **read),
        table("device.modbus.lamps", **other), table("device.modbus.lamps.point.x", register=3, **read),
        table("device.modbus.lamps.output.lamp", unit=1, register=6, shows="test-mode"),
        environment=board.environment)  # fmt: skip
    result = case.run([case.program, "check", gateway.file])
    expect(f"exit status of check ({result.stdout})", result.returncode, 0)
    command = [case.program, "monitor", "--alone", "--config", gateway.file]
    for device, change, expected in (
        ("gpio.box", lambda: board.level(3, "10"), r"door (closes|opens)"),
        ("modbus.bus", lambda: units.do("set 1 discrete-input 0 1"), r"gate active true"),
    ):
        alone = case.start(device, [*command, device], board.environment)
        eventually(f"{device} is read", alone.text, lambda text: re.search(r"\d [<=] ", text))
        change()
        eventually(f"its change is seen: {expected}", alone.text, lambda text: re.search(expected, text))
        expect("exit status after Ctrl-C", interrupted(alone), 0)
    result = case.run([*command, "lamps"])
    require("outputs are refused", result.returncode == 1 and "has outputs" in result.stdout, result.stdout)


def test_slow_watcher(case):
    """a watcher that reads nothing holds up no driver, and no event"""
    centre, gateway, play = site(case, "".join(f"burglary {n}\n" for n in range(1, 301)) + "wait\n")
    played = play()
    gateway.start()
    watchers = []
    for _ in range(6):
        watcher = socket.socket(socket.AF_UNIX)
        watcher.connect(gateway.socket)
        watcher.sendall(b'{"command":"watch"}\n')
        watchers.append(watcher)
        time.sleep(0.3)  # in this order
    watchers[5].settimeout(20)
    require("one too many is told so", b"5 others are watching" in watchers[5].recv(4096))
    gateway.status()  # others may still ask
    eventually("all is taken", played.text, lambda text: text.count("TAKEN: ") == 300)
    gateway.until_delivered()
    expect("all arrived", len([e for e in centre.feed() if e["sia"] == "BA"]), 300)
    watchers[0].settimeout(20)
    text = b""
    while b'"missed"' not in text:
        text += watchers[0].recv(65536)
    gateway.stop()


def test_slow_terminal(case):
    """a slow terminal is shown whole stretches, is told how much was left out, then what is new; letters are its own"""
    centre, gateway, play = site(case, "after 2s " + "".join(f"burglary {n}\n" for n in range(1, 301)) + "wait\n")
    played = play()
    gateway.start()
    terminal, theirs = pty.openpty()
    settings = termios.tcgetattr(theirs)
    settings[4] = settings[5] = termios.B4800
    termios.tcsetattr(theirs, termios.TCSANOW, settings)
    monitor = case.start(
        "monitor", [case.program, "monitor", "radio", "--socket", gateway.socket], {"LC_ALL": "sv_SE.ISO-8859-1"},
        output=theirs)  # fmt: skip
    eventually("all is taken", played.text, lambda text: text.count("TAKEN: ") == 300)
    seen = bytearray()

    def text():
        while select.select([terminal], [], [], 0)[0]:
            seen.extend(os.read(terminal, 4096))
        return seen.decode("latin-1")

    # 436 bytes in a second, and what waits is a screen and a half: it is shown when the flood is over.
    eventually("what was left out is told", text, lambda text: " were not shown" in text)
    rows = text().splitlines()
    require("at most 80 columns", max(map(len, rows)) <= 80, "\n".join(rows))
    require("not everything is shown", len(rows) < 200, len(rows))
    expect("exit status after Ctrl-C", interrupted(monitor), 0)
    os.close(theirs)
    os.close(terminal)
    gateway.stop()
    gateway.file.write_text(gateway.file.read_text().replace('"Provplatsen"', '"Provplatsen ö"'))
    gateway.start()
    utf8, latin1 = "ö".encode(), "ö".encode("latin-1")
    for locale, letter in (("sv_SE.ISO-8859-1", latin1), ("C", b"o"), ("C.UTF-8", utf8), ("", utf8)):
        shown = subprocess.run(
            [case.program, "status", "--socket", gateway.socket], env={**os.environ, "LC_ALL": locale, "LANG": ""},
            stdout=subprocess.PIPE).stdout  # fmt: skip
        require(f"letters in the locale {locale!r}", shown.startswith(b"Provplatsen " + letter + b" "), repr(shown[:60]))
