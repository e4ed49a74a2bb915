"""The UARTs: each with another panel at its far end, as the kernel's own serial driver has it."""

import re
import time

import espa
from board import SPARE
from rig import BUS, GALAXY_ZONE, MODULE, RADIO, RADIO_ZONE, Failure


def board_is_known(rig):
    """`larmnod board` finds the board file by its lines, and lists the UARTs."""
    said = rig.board.run(f"'{rig.program}' board --boards '{rig.boards}' --all", check=False)
    for wanted in ('board = "virtual-board"', "10 of its 10 GPIO terminals", "/dev/ttyS1", "in use by larmnod"):
        if wanted not in said:
            raise Failure(f"expected '{wanted}' in: {said}")
    ports = set(re.findall(r"serial port (/dev/ttyS\d+)", said))
    if missing := {rig.port(slot) for slot in rig.board.cards} - ports:
        raise Failure(f"not listed: {missing}, only {ports}")


def lines_are_set(rig):
    """Each UART has the speed, parity and handshake of its device, and raises RTS and DTR."""
    for slot, wanted in (("10", ("speed 19200 baud", " cs8", "-parenb", " crtscts")),
                         ("11", ("speed 38400 baud", " cs8", " parenb", "-parodd", "-crtscts"))):  # fmt: skip
        said = rig.board.run(f"stty -a -F /run/uart/{slot}").replace("\n", " ")
        for word in wanted:
            if word not in said:
                raise Failure(f"card {slot}: expected {word.strip()}: {said}")
        counters = rig.counters(slot)
        if "RTS" not in counters or "DTR" not in counters:
            raise Failure(f"card {slot}: RTS and DTR are not raised: {counters}")


def receiver_line(rig):
    """An alarm receiver's link test is answered; its transmitters' events arrive with their zone."""
    if not rig.radio.link_test():
        raise Failure("the link test is not answered")
    if not rig.radio.contact_id("1234", 130, RADIO_ZONE) or not rig.radio.contact_id("1234", 130, RADIO_ZONE, restore=True):
        raise Failure("an event is not acknowledged")
    rig.expect(RADIO_ZONE, "BA", "BH")


def modbus_module(rig):
    """An input module's contact is told; without power its unit is a trouble, and with it again a restore."""
    rig.expect(MODULE)
    rig.module.inputs = 0b100000
    rig.expect(MODULE, "UA")
    since = len(rig.centre.feed)
    rig.module.answers = False
    rig.expect_trouble(BUS, "event", since)
    rig.module.inputs = 0
    rig.module.answers = True
    rig.expect_trouble(BUS, "restore", since)
    rig.centre.wait(lambda feed: rig.zone(MODULE)[-1:] == ["UR"], 30)
    if rig.zone(MODULE)[-1:] != ["UR"]:
        raise Failure(f"the contact is at rest, the centre heard {rig.zone(MODULE)}")


def break_on_the_line(rig):
    """Breaks are counted by the kernel, and are no message; a line that says nothing else is a fault that tells of them,
    and goes on."""
    before, since = rig.zone(RADIO_ZONE), len(rig.centre.feed)
    for _ in range(30):
        rig.board.send_break("10")
        time.sleep(0.1)
    end = time.monotonic() + 10
    while "brk:" not in (counters := rig.counters("10")):
        if time.monotonic() > end:
            raise Failure(f"no break was counted: {counters}")
        time.sleep(0.2)
    rig.expect_trouble("breaks counted: the line is cut", "event", since)
    if not rig.radio.link_test() or not rig.radio.contact_id("1234", 130, RADIO_ZONE):
        raise Failure("an event is not acknowledged after a break")
    rig.expect(RADIO_ZONE, *before, "BA")
    rig.expect_trouble("line: answers again", "restore", since)


def uart_in_loop_mode(rig):
    """The Swift tests of the port itself, on a UART of its own: lines read back, RTS/CTS holding bytes, counters."""
    if not rig.tests:
        print("     (--tests names no executable: nothing to try)")
        return
    environment = f"LARMNOD_UARTS={rig.port(SPARE)} LD_LIBRARY_PATH='{rig.test_libraries}'"
    said = rig.board.run(
        f"{environment} '{rig.tests}' --testing-library swift-testing --filter SerialHardware", seconds=120, check=False
    )
    if not re.search(r"Test run with [1-9]\d* tests? .*passed", said):
        raise Failure(said[-3000:])


def galaxy_panel(rig):
    """A Galaxy panel's events arrive in their own codes."""
    if not rig.has_galaxy:
        print("     (the program has no driver for it: nothing to try)")
        return
    if not rig.galaxy.event("BA", GALAXY_ZONE) or not rig.galaxy.event("BR", GALAXY_ZONE):
        raise Failure("an event is not acknowledged")
    rig.expect(GALAXY_ZONE, "BA", "BR")


def all_at_once(rig):
    """All UARTs speak together, and one of them is pulled out: every acknowledged event of the others arrives once."""
    since = len(rig.centre.feed)
    rig.board.run("uart 10 out")
    calls = [f"Fire Alarm TOGETHER {n}" for n in range(3)]
    for n, text in enumerate(calls):
        rig.module.inputs = 0b100000 if n % 2 == 0 else 0
        if not rig.panel.call(text):
            raise Failure("a call is not taken while another line is gone")
        time.sleep(1)
    for text in calls:
        rig.expect_text(text)
    rig.expect_trouble(RADIO, "event", since)
    rig.module.inputs = 0
    rig.board.run("uart 10 in")
    rig.expect_trouble(RADIO, "restore", since)
    before = rig.zone(RADIO_ZONE)
    if not rig.radio.link_test() or not rig.radio.contact_id("1234", 130, RADIO_ZONE):
        raise Failure("an event is not acknowledged after the card is plugged in again")
    rig.expect(RADIO_ZONE, *before, "BA")
    if rig.panel.poll() != espa.EOT:
        raise Failure("the other panel's poll is not answered")


CASES = [
    board_is_known,
    lines_are_set,
    receiver_line,
    break_on_the_line,
    modbus_module,
    galaxy_panel,
    uart_in_loop_mode,
    all_at_once,
]
