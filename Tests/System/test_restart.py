"""A restart is not an alarm (promise 9), and nothing is lost by stopping."""

import rig
from rig import expect, table

CONTACTS = [("at-rest", 1, 0), ("active", 2, 1), ("goes-off", 3, 1), ("goes-on", 4, 0)]


def test_unchanged_contacts_are_silent(case):
    """contacts as they were give no alarm after a restart; changed ones are told with an honest note"""
    board = rig.Board(case, "chip gpiochip0 pinctrl-test 8", *(f"set gpiochip0 {n} {v}" for _, n, v in CONTACTS))
    centre = rig.Receiver(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address), table("device.gpio.box", chip="pinctrl-test"),
        *(table(f"device.gpio.box.point.{name}", line=line, contact="normally-open", kind="burglary", zone=line)
          for name, line, _ in CONTACTS),
        environment=board.environment).start()  # fmt: skip

    def told(after=0):
        return sorted((e["zone"], e["sia"], e["text"]) for e in centre.feed()[after:] if e["sia"] in ("BA", "BR"))

    rig.eventually("the active contacts are told", lambda: told(), lambda t: len(t) == 2)
    expect("events at the first start", told(), [(2, "BA", None), (3, "BA", None)])
    for end in (gateway.stop, gateway.kill):
        before = len(centre.feed())
        gateway.until_delivered()
        end()
        gateway.start()
        centre.until("the start", lambda e: e["sia"] in ("RR", "YW"), after=before)
        rig.eventually("the board is read", lambda: gateway.device("gpio.box")["state"], lambda s: s == "answers")
        board.level(7, "1")  # nothing watches it: only time passes
        gateway.until_delivered()
        expect(f"alarms after a restart by {end.__name__}", told(before), [])
    before = len(centre.feed())
    gateway.stop()
    board.do("set gpiochip0 3 0", "set gpiochip0 4 1")
    gateway.start()
    rig.eventually("what changed is told", lambda: told(before), lambda t: len(t) >= 2)
    # The first change of a point that was never active is plain news; the other has a history.
    expect("changes while stopped", [t[:2] for t in told(before)], [(3, "BR"), (4, "BA")])
    expect("the note", told(before)[0][2], "(changed while not watched)")


def test_stopped_process_catches_up(case):
    """a process that was frozen (SIGSTOP) goes on where it was: what happened meanwhile is told"""
    import signal

    board = rig.Board(case)
    centre = rig.Receiver(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address), table("device.gpio.box", chip="pinctrl-test"),
        table("device.gpio.box.point.door", line=5, contact="normally-open", kind="burglary", zone=5),
        environment=board.environment).start()  # fmt: skip
    rig.eventually("the board is read", lambda: gateway.device("gpio.box")["state"], lambda s: s == "answers")
    gateway.process.popen.send_signal(signal.SIGSTOP)
    board.level(5, "1")
    gateway.process.popen.send_signal(signal.SIGCONT)
    centre.until("the door", lambda e: e["sia"] == "BA" and e["zone"] == 5)
    expect("the point", gateway.point_state("gpio.box.door"), "active")
