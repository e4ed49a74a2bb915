"""What the box must do with contacts, a serial line and power that goes, judged by the centre's feed.

Cases run in the order of CASES, on one board, and each owns its terminals and zones.
"""

import time

import espa
import lines
import outputs
import unplugged
from rig import (
    AWAY, BOUNCE, CLOSED, DEVICE, DOOR, FLOOD, HELD, OPEN, PATH, QUEUED, SPARE_CHIP, SPARE_ZONE, STEADY, WINDOW,
    Failure, count,
)  # fmt: skip


def state_after_start(rig):
    """What is active when the box starts is told; what is at rest is not."""
    rig.expect(HELD, "BA")
    time.sleep(2)
    for zone in (DOOR, WINDOW, FLOOD, BOUNCE, AWAY, QUEUED, STEADY):
        rig.expect(zone, seconds=0)


def normally_open(rig):
    """Closing is the alarm, opening the restore."""
    rig.pull((DOOR, CLOSED))
    rig.expect(DOOR, "BA")
    rig.pull((DOOR, OPEN))
    rig.expect(DOOR, "BA", "BR")


def normally_closed(rig):
    """Opening, or a cut cable, is the alarm."""
    rig.pull((WINDOW, OPEN))
    rig.expect(WINDOW, "BA")
    rig.pull((WINDOW, CLOSED))
    rig.expect(WINDOW, "BA", "BR")


def overflow(rig):
    """25 edges while nobody reads: the kernel keeps 16 of a line, the last state is right all the same."""

    def alarms():
        # That edges were lost may be told too, as a trouble of the same zone.
        return [code for code in rig.zone(FLOOD) if code in ("BA", "BR")]

    rig.board.run('kill -STOP "$program"')
    rig.pull(*([(FLOOD, CLOSED), (FLOOD, OPEN)] * 12), (FLOOD, CLOSED))
    rig.board.run('kill -CONT "$program"')
    time.sleep(6)
    rig.centre.wait(lambda feed: alarms()[-1:] == ["BA"], 30)
    before = alarms()
    if before != ["BA", "BR"] * (len(before) // 2) + ["BA"]:
        raise Failure(f"the line ended active after alternating, the centre heard {before}")
    rig.pull((FLOOD, OPEN))
    rig.centre.wait(lambda feed: alarms() == before + ["BR"], 30)
    if alarms() != before + ["BR"]:
        raise Failure(f"the contact was released once, the centre heard {alarms()[len(before) :]}")


def debounce(rig):
    """Nine edges within the debounce time are one; two that stand are two."""
    rig.pull(*([(BOUNCE, CLOSED), (BOUNCE, OPEN)] * 4), (BOUNCE, CLOSED))
    rig.expect(BOUNCE, "BA")
    time.sleep(2)
    rig.expect(BOUNCE, "BA", seconds=0)
    rig.pull(*([(BOUNCE, OPEN), (BOUNCE, CLOSED)] * 4), (BOUNCE, OPEN))
    rig.expect(BOUNCE, "BA", "BR")


def restless(rig):
    """A contact that goes on changing and never stands still is a fault; still again, it is a restore, and at rest."""
    since = len(rig.centre.feed)
    # As fast as the board can: whatever else a loop did could take it longer than the contact must stand still.
    rig.board.run(f"end=$((SECONDS + 6)); while ((SECONDS < end)); do pull {BOUNCE} up {BOUNCE} down; done")
    rig.expect_trouble("has not stood still for 400 ms", "event", since)
    rig.expect_trouble(f"Terminal {BOUNCE}: answers again", "restore", since)
    if [code for code in rig.zone(BOUNCE) if code in ("BA", "BR")][-1:] == ["BA"]:
        raise Failure(f"the contact is at rest, the centre heard {rig.zone(BOUNCE)}")


def ambiguous_names(rig):
    """Of two lines with the name that is asked for none is taken, and the refusal names both; one alone is taken."""
    rig.expect(SPARE_ZONE)
    since = len(rig.centre.feed)
    rig.board.run('kill -STOP "$program"')
    rig.board.run("spare a out; spare b in; spare a in; pull_spare b up")
    rig.board.run('kill -CONT "$program"')
    rig.expect_trouble(SPARE_CHIP, "event", since)
    end = time.monotonic() + 30
    while not (said := rig.board.run("grep -a '2 lines have the name' /run/larmnod.log | tail -n 1", check=False)):
        if time.monotonic() > end:
            raise Failure(f"it is not refused: {rig.log()}")
        time.sleep(0.5)
    if '"spare-a" line 0' not in said or '"spare-b" line 0' not in said:
        raise Failure(f"the refusal does not name both: {said}")
    rig.expect(SPARE_ZONE, seconds=0)
    rig.board.run("spare a out")
    rig.expect_trouble(SPARE_CHIP, "restore", since)
    rig.expect(SPARE_ZONE, "BA")


def removed_and_replaced(rig):
    """A chip pulled out while in use is a trouble; put back, a restore, and what changed meanwhile is told."""
    since = len(rig.centre.feed)
    rig.chip(False)
    rig.expect_trouble(DEVICE, "event", since)
    rig.lines[AWAY] = CLOSED
    rig.chip(True)
    rig.expect_trouble(DEVICE, "restore", since)
    rig.expect(AWAY, "BA")
    rig.pull((AWAY, OPEN))
    rig.expect(AWAY, "BA", "BR")


def serial_call(rig):
    """A fire panel polls, calls, and is answered; a damaged block is refused with its reason, then taken."""
    if (said := rig.panel.poll()) != espa.EOT:
        raise Failure(f"a poll is answered {said!r}, expected EOT")
    block = espa.block("Fire Alarm ZONE 1")
    if not rig.panel.select():
        raise Failure("the gateway does not take a call")
    damaged = block[:-2] + bytes([block[-2], block[-1] ^ 0x01])
    if (said := rig.panel.offer(damaged)) != b"1" + espa.NAK:
        raise Failure(f"a block with a wrong check byte is answered {said!r}, expected 1 NAK")
    if (said := rig.panel.offer(block)) != espa.ACK:
        raise Failure(f"a good block is answered {said!r}, expected ACK")
    rig.expect_text("Fire Alarm ZONE 1")
    rig.expect(11, "FA")


def acknowledged_when_written(rig):
    """While the disk takes no writes, no panel is told "received"; when it does again, the call gets through."""
    if not rig.panel.select():
        raise Failure("the gateway does not take a call")
    rig.board.run("fsfreeze -f /run/state")
    try:
        early = rig.panel.offer(espa.block("Fire Alarm ZONE 2"), seconds=4)
    finally:
        rig.board.run("fsfreeze -u /run/state")
    if espa.ACK in early:
        raise Failure("the panel was told ACK before the event was on disk")
    time.sleep(2)  # The answer that was too late for the panel.
    if not any(rig.panel.call("Fire Alarm ZONE 2") for _ in range(3)):
        raise Failure("the call is not taken after the disk came back")
    if not rig.centre.wait(lambda feed: count(feed, "Fire Alarm ZONE 2"), 30):
        raise Failure("the call did not arrive")


def orderly_stop(rig):
    """SIGTERM ends the program well, and a restart is not an alarm."""
    time.sleep(3)
    before = rig.zones()
    rig.board.run("stop")
    rig.start()
    time.sleep(8)
    for zone, codes in before.items():
        rig.expect(zone, *codes, seconds=0)


def power_cut_while_waiting(rig):
    """The centre is away, events wait, the power goes with the panel's ACK: all arrives, once, nothing is made up."""
    before = rig.zones()
    rig.centre.stop()
    rig.pull((QUEUED, CLOSED))
    time.sleep(1)
    rig.pull((QUEUED, OPEN))
    time.sleep(1)
    if not rig.panel.select() or rig.panel.offer(espa.block("Fire Alarm ZONE 3")) != espa.ACK:
        raise Failure("the call is not taken while the centre is away")
    rig.power_cut()
    rig.centre.start()
    rig.power_on()
    rig.expect_text("Fire Alarm ZONE 3", seconds=60)
    rig.expect(QUEUED, *before[QUEUED], "BA", "BR", seconds=60)
    for zone in set(before) - {QUEUED}:
        rig.expect(zone, *before[zone], seconds=0)


def troubles_end_over_a_restart(rig):
    """What was broken when the power went, and is whole when it comes back, is told as ended: a trouble that is never
    ended would also hide the next one."""
    since = len(rig.centre.feed)
    rig.centre.stop()
    rig.chip(False)
    time.sleep(20)  # Several polls, so that the path counts as down.
    rig.power_cut()
    rig.centre.start()
    rig.power_on()
    for of in (DEVICE, PATH):
        rig.expect_trouble(of, "event", since)
        rig.expect_trouble(of, "restore", since)


def power_cuts(rig):
    """At any moment, again and again: every acknowledged call arrives; a moved contact is told in its order."""
    calls = 0
    for _ in range(rig.cuts):
        heard = rig.zone(STEADY)
        acknowledged = []
        if rig.chance.random() < 0.5:
            rig.centre.stop()
        for _ in range(rig.chance.randrange(1, 4)):
            calls += 1
            if rig.panel.call(f"Fire Alarm CUT {calls:03}"):
                acknowledged.append(f"Fire Alarm CUT {calls:03}")
        # Not acknowledged by anybody, so it may be lost as an edge; the state it leaves may not.
        rig.pull((STEADY, CLOSED if rig.lines[STEADY] == OPEN else OPEN))
        time.sleep(rig.chance.random() * 0.3)
        rig.power_cut()
        rig.centre.stop()
        rig.centre.start()
        rig.power_on()
        if not acknowledged:
            raise Failure("no call was taken between two power cuts")
        for text in acknowledged:
            rig.expect_text(text, seconds=60)
        rig.expect(STEADY, *heard, "BA" if rig.lines[STEADY] == CLOSED else "BR", seconds=60)
    print(f"     {calls} calls, {rig.disk.flushes} flushes, {rig.disk.lost} unflushed blocks lost")


# What a program does over libgpiod.
CONTACTS = [
    state_after_start,
    normally_open,
    normally_closed,
    overflow,
    debounce,
    restless,
    removed_and_replaced,
    ambiguous_names,
    outputs.output_follows_point,
]

CASES = [
    *CONTACTS,
    *(case for case in outputs.CASES if case not in CONTACTS),
    serial_call,
    *lines.CASES,
    *unplugged.CASES,
    acknowledged_when_written,
    orderly_stop,
    power_cut_while_waiting,
    troubles_end_over_a_restart,
    power_cuts,
]
