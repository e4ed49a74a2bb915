"""What the box must do as a service: our unit under a real systemd, confined as it will be on site.

Its board has the same lines and the same line to the panel as in cases.py, but forgets everything when switched off.
"""

import time

from rig import AWAY, CLOSED, DOOR, HELD, OPEN, WINDOW, Failure

WATCHDOG = 10


def started(rig):
    """The unit's start ends when the program says that it is ready; within its confinement it reaches its devices."""
    rig.install(f"{WATCHDOG}s")
    rig.board.run("systemctl start larmnod", seconds=120)
    shown = rig.board.run("systemctl show larmnod -p Type,User,ActiveState,NRestarts,StatusText").splitlines()
    for wanted in ("Type=notify", "User=larmnod", "ActiveState=active", "NRestarts=0"):
        if wanted not in shown:
            raise Failure(f"expected {wanted} of the unit, it says {shown}")
    rig.expect(HELD, "BA", seconds=60)
    if not rig.panel.call("Fire Alarm SERVICE"):
        raise Failure("a call over the serial port is not taken")
    rig.expect_text("Fire Alarm SERVICE")


def unprivileged(rig):
    """The process has neither root's identity nor any capability, and its files are its own."""
    status = rig.board.run("cat /proc/$(systemctl show larmnod -p MainPID --value)/status")
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    if "0" in fields["Uid"].split():
        raise Failure(f"it runs as root: Uid {fields['Uid']}")
    if int(fields["CapEff"], 16) or int(fields["CapPrm"], 16) or int(fields["CapBnd"], 16):
        raise Failure(f"it has capabilities: effective {fields['CapEff']}, bounding {fields['CapBnd']}")
    if fields["NoNewPrivs"].strip() != "1" or fields["Seccomp"].strip() != "2":
        raise Failure("it may gain privileges or is not confined to its system calls")
    if (mode := rig.board.run("stat -c '%a %U' /var/lib/larmnod").strip()) != "700 larmnod":
        raise Failure(f"/var/lib/larmnod is '{mode}', expected '700 larmnod'")


def hanging(rig):
    """A program that hangs is killed by the watchdog and started again; what changed meanwhile is told, once."""
    rig.board.run("systemctl kill -s STOP larmnod")
    rig.pull((DOOR, CLOSED))
    wait_for_restart(rig, 1, WATCHDOG + 60)
    rig.expect(DOOR, "BA", seconds=60)
    rig.expect(HELD, "BA", seconds=0)


def killed(rig):
    """kill -9: started again, without an alarm for what had not changed."""
    rig.board.run("systemctl kill -s KILL larmnod")
    wait_for_restart(rig, 2, 60)
    rig.pull((WINDOW, OPEN))
    rig.expect(WINDOW, "BA", seconds=60)
    rig.expect(DOOR, "BA", seconds=0)
    rig.expect(HELD, "BA", seconds=0)


def device_replaced(rig):
    """A chip that comes back is a new device node: udev and the device rules let the service in again."""
    rig.chip(False)
    time.sleep(3)
    rig.lines[AWAY] = CLOSED
    rig.chip(True)
    rig.expect(AWAY, "BA", seconds=60)


def stopped(rig):
    """It ends when asked to, well."""
    rig.board.run("systemctl stop larmnod", seconds=60)
    shown = rig.board.run("systemctl show larmnod -p Result,ActiveState,ExecMainStatus").splitlines()
    for wanted in ("Result=success", "ActiveState=inactive", "ExecMainStatus=0"):
        if wanted not in shown:
            raise Failure(f"expected {wanted} of the unit, it says {shown}")


def wait_for_restart(rig, number, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        shown = rig.board.run("systemctl show larmnod -p NRestarts,ActiveState").splitlines()
        if f"NRestarts={number}" in shown and "ActiveState=active" in shown:
            return
        time.sleep(0.5)
    raise Failure(f"systemd has not started it again within {seconds} s: {shown}")


CASES = [started, unprivileged, hanging, killed, device_replaced, stopped]
