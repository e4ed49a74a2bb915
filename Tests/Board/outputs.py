"""Outputs on real lines: what their level is, as the kernel's simulated chip tells it."""

import time

from rig import CLOSED, DOOR, OPEN, Failure

FAULT, FOLLOWS = 9, 10  # terminals


def expect_pulses(rig, wanted, when, seconds=60):
    """The transmission-fault line changes within some two seconds, or stands still for so long."""
    end = time.monotonic() + seconds
    while True:
        levels = rig.levels(FAULT)
        if (len(set(levels)) > 1) == wanted:
            return levels
        if time.monotonic() > end:
            raise Failure(f"{when}: the line {'stands still' if wanted else 'still pulses'}: {levels}")


def expect_level(rig, terminal, wanted, when, seconds=30):
    end = time.monotonic() + seconds
    while (levels := rig.levels(terminal))[-1:] != wanted:
        if time.monotonic() > end:
            raise Failure(f"{when}: the line is {levels}, expected {wanted}")


def output_follows_point(rig):
    """An output that shows a point follows it."""
    expect_level(rig, FOLLOWS, "0", "the door is at rest")
    before = len(rig.zone(DOOR))
    rig.pull((DOOR, CLOSED))
    expect_level(rig, FOLLOWS, "1", "the door is in alarm")
    rig.pull((DOOR, OPEN))
    expect_level(rig, FOLLOWS, "0", "the door is at rest again")
    rig.centre.wait(lambda feed: len(rig.zone(DOOR)) == before + 2, 30)


def output_drops_with_the_paths(rig):
    """The transmission-fault line pulses while the path works, and stands off while it is down."""
    expect_pulses(rig, True, "the centre answers")
    rig.centre.stop()
    levels = expect_pulses(rig, False, "the centre is away", 90)
    if levels[-1] != "0":
        raise Failure(f"the line stands on: {levels}")
    rig.centre.start()
    expect_pulses(rig, True, "the centre is back", 90)


def output_dies_with_the_program(rig):
    """A program that hangs, or is killed: nothing pulses, and the line is free for the next one."""
    rig.board.run('kill -STOP "$program"')
    expect_pulses(rig, False, "the program hangs", 0)
    rig.board.run('kill -CONT "$program"')
    expect_pulses(rig, True, "it goes on")
    rig.board.run('kill -KILL "$program"; wait "$program"; true')
    levels = expect_pulses(rig, False, "the program is dead", 0)
    print(f"     after kill -9 the kernel leaves the line at {levels[-1]}")
    rig.start()
    expect_pulses(rig, True, "it is started again", 90)


CASES = [output_follows_point, output_drops_with_the_paths, output_dies_with_the_program]
