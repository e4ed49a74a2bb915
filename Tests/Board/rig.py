"""A site on the virtual board: its configuration, and the questions that cases ask of it."""

import os
import random
import subprocess

import espa
import galaxy
import modbus_unit
import receiver_line
from board import HOST, USB_PORT, Board, BoardError
from centre import Centre
from disk import Disk

# A contact between the line and a pulled-up supply: closed is high.
CLOSED, OPEN = "up", "down"
DEVICE, PATH = "gpio.cabinet", "path net"
RADIO, BUS, USB = "receiver-line.radio", "modbus.cellar", "receiver-line.usb"
CONVERTER, SPARE_CHIP = "iio.loops", "gpio.spare"
# Zones of what comes over the UARTs.
FIRE, MODULE, RADIO_ZONE, GALAXY_ZONE, USB_ZONE = 11, 12, 13, 14, 15
# Of the simulated converter, and of the chip that there may be two of.
LOOP_ALARM, LOOP_REST, SPARE_ZONE = 16, 17, 18
DOOR, WINDOW, HELD, FLOOD, BOUNCE, AWAY, QUEUED, STEADY = range(1, 9)
AT_START = {DOOR: OPEN, WINDOW: CLOSED, HELD: CLOSED, FLOOD: OPEN, BOUNCE: OPEN, AWAY: OPEN, QUEUED: OPEN, STEADY: OPEN}
CONTACT = {WINDOW: 'contact = "normally-closed"', BOUNCE: 'contact = "normally-open"\ndebounce = "400ms"'}
SITE = """
[site]
name = "Virtual board"
account = "4711"
clock = "trusted"
{places}

[receiver.centre]
address = "{host}:{port}"

[path.net]
receiver = "centre"
interface = "eth0"
poll = "5s"
timeout = "3s"

[device.gpio.cabinet]
chip = "cabinet"

{points}
[device.gpio.relays]
chip = "cabinet"

[device.gpio.relays.output.relay]
line = "TERMINAL-9"
shows = "transmission-fault"
drive = "pulse"

[device.gpio.relays.output.door]
line = "TERMINAL-10"
shows = "point"
point = "gpio.cabinet.terminal-1"

[device.espa.panel]
port = "/dev/ttyS1"
line = "9600 8N1"

[device.espa.panel.point.fire]
text-contains = ["Fire"]
kind = "fire"
zone = 11

[device.receiver-line.radio]
port = "/run/uart/10"
line = "19200 8N1"
handshake = "rts-cts"
format = "sur-gard"
accounts = "own"
silence = "0s"

[device.receiver-line.usb]
port = "{usb}"
line = "9600 8N1"
format = "sur-gard"
accounts = "own"
silence = "0s"

[device.modbus.cellar]
port = "/run/uart/11"
line = "38400 8E1"

[device.modbus.cellar.point.module]
unit = 3
table = "discrete-input"
register = 5
contact = "normally-open"
kind = "technical"
zone = 12

# The kernel's own converter: 73 and an offset of 7 on channel 0, and 33 between channels 1 and 2.
[device.iio.loops]
device = "loops"

[device.iio.loops.point.rest]
channel = 0
end-of-line = {{ pull-up = "1k", normal = "1k", alarm = "2k", full-scale = 160 }}
kind = "burglary"
zone = 17

[device.iio.loops.point.alarm]
channel = "voltage1-voltage2"
end-of-line = {{ pull-up = "1k", normal = "2k", alarm = 493, full-scale = 100 }}
kind = "burglary"
zone = 16

# No chip is named: whichever has the line.
[device.gpio.spare.point.spare]
line = "SPARE-1"
contact = "normally-open"
kind = "burglary"
zone = 18
{galaxy}
"""
# Where the program has no driver for it yet, that card's UART stands unused.
GALAXY = """
[device.galaxy.panel]
port = "/run/uart/12"
line = "9600 8N1"
"""
POINT = """[device.gpio.cabinet.point.terminal-{n}]
line = "TERMINAL-{n}"
{contact}
kind = "burglary"
zone = {n}
text = "Terminal {n}"

"""


class Failure(Exception):
    """The box did not do what it must."""


class Rig:
    """Board, centre and program. With `systemd` the program is a service; otherwise the board has a disk that outlives
    it, and the program's state is there. `libraries` is a directory that the program takes shared libraries from."""

    def __init__(self, kernel, program, directory, seed, systemd=False, libraries=""):
        self._kernel, self._program, self._directory, self._systemd = kernel, program, directory, systemd
        self.libraries = libraries
        self.program, self.boards = program, os.path.join(os.path.dirname(__file__), "../../board-configs")
        self.chance = random.Random(seed)
        self.cuts = 0
        # The Swift tests' executable, and shared libraries that it needs.
        self.tests = self.test_libraries = ""
        self.centre = Centre(program, directory, libraries)
        self.disk = None if systemd else Disk(directory)
        self.board = self.panel = None
        self.lines = dict(AT_START)
        points = [POINT.format(n=n, contact=CONTACT.get(n, 'contact = "normally-open"')) for n in AT_START]
        self.has_galaxy = self._knows(GALAXY)
        places = "" if systemd else 'state = "/run/state"\nsocket = "/run/larmnod.socket"'
        self._site = os.path.join(directory, "site.toml")
        with open(self._site, "w") as file:
            galaxy_panel = GALAXY if self.has_galaxy else ""
            file.write(
                SITE.format(
                    places=places, host=HOST, port=self.centre.port, points="".join(points), galaxy=galaxy_panel,
                    usb=USB_PORT,
                )
            )

    def power_on(self):
        """Lines stand as they stood, as contacts do. Without systemd the program starts with the board."""
        self.board = Board(self._kernel, self._directory, self.disk, self._systemd)
        self.panel = espa.Panel(self.board.uart)
        self.radio = receiver_line.Receiver(self.board.cards["10"])
        self.module = modbus_unit.Unit(self.board.cards["11"])
        self.galaxy = galaxy.Panel(self.board.cards["12"])
        self.pull(*self.lines.items())
        if not self._systemd:
            self.start()

    def _knows(self, table):
        """Whether the program has a driver for this table's kind of device."""
        part = os.path.join(self._directory, "part.toml")
        with open(part, "w") as file:
            file.write(table)
        command = ["env", f"LD_LIBRARY_PATH={self.libraries}", self._program, "check", part]
        errors = subprocess.run(command, capture_output=True, text=True).stderr
        return "no such kind of device" not in errors

    def start(self):
        self.board.run(f"start '{self._program}' '{self._site}' '{self.libraries}'")

    def install(self, watchdog):
        self.board.run(f"install_service '{self._program}' '{self._site}' {watchdog}", seconds=120)

    def power_cut(self):
        self.board.cut()
        self.board = None
        self.disk.power_cut(self.chance)

    def pull(self, *changes):
        self.lines.update(changes)
        self.board.run("pull " + " ".join(f"{terminal} {level}" for terminal, level in changes))

    def chip(self, inserted):
        """Pulls the chip out, or plugs it in again, with its contacts as they are."""
        levels = " ".join(f"{terminal} {level}" for terminal, level in self.lines.items())
        self.board.run(f"chip in && pull {levels}" if inserted else "chip out")

    def port(self, slot):
        """The device of the UART on this card, now: "/dev/ttyS4"."""
        return self.board.run(f"readlink /run/uart/{slot}").strip()

    def counters(self, slot):
        """What the kernel has counted on this card's UART, and the lines that are raised."""
        number = self.port(slot).removeprefix("/dev/ttyS")
        return self.board.run(f"grep '^{number}:' /proc/tty/driver/serial").strip()

    def levels(self, terminal):
        """An output's level over some two seconds, as "0010…"."""
        return self.board.run(f"levels {terminal}").strip()

    def zone(self, number):
        """What the centre has heard of a zone: "BA", "BR", …"""
        return said(self.centre.feed, number)

    def zones(self):
        return {number: self.zone(number) for number in AT_START}

    def expect(self, number, *codes, seconds=30):
        """The zone's whole story is to be these codes, now or within the time."""
        wanted = list(codes)
        self.centre.wait(lambda feed: said(feed, number) == wanted, seconds)
        if self.zone(number) != wanted:
            raise Failure(f"zone {number}: expected {wanted}, the centre heard {self.zone(number)}")

    def expect_text(self, text, seconds=30):
        """One event of the feed, and only one, contains the text."""
        self.centre.wait(lambda feed: count(feed, text), seconds)
        if (heard := count(self.centre.feed, text)) != 1:
            raise Failure(f"expected one event with '{text}', the centre heard {heard}")

    def expect_trouble(self, of, qualifier, since, seconds=60):
        """A trouble of the box's own, whose text names `of`, began ("event") or ended ("restore") after the first
        `since` events of the feed."""

        def about(feed):
            return [event for event in feed[since:] if of in (event.get("text") or "")]

        self.centre.wait(lambda feed: any(e.get("qualifier") == qualifier for e in about(feed)), seconds)
        heard = about(self.centre.feed)
        if not any(event.get("qualifier") == qualifier for event in heard):
            raise Failure(f"no {qualifier} of {of}; the centre heard of it {heard}")

    def log(self):
        """The end of the program's log, for a person to read."""
        if not self.board:
            return "(the board is off)"
        try:
            end = "journalctl -u larmnod -o cat -n 25 --no-pager" if self._systemd else "tail -n 25 /run/larmnod.log"
            return self.board.run(end, check=False)
        except (BoardError, OSError) as error:
            return str(error)

    def close(self):
        if self.board:
            self.board.cut()
        self.centre.stop()
        if self.disk:
            self.disk.close()


def said(feed, zone):
    return [event.get("sia") for event in feed if event.get("zone") == zone]


def count(feed, text):
    return sum(text in (event.get("text") or "") for event in feed)
