"""A panel that says an event until it is confirmed, played here: crashes between the commit and the confirmation."""

import os
import select
import threading
import tty

import rig
from rig import eventually, expect, table

EVENT = b"EC=b,1,1234,1,110,01,005\r"


class Module:
    """An INT-RS in function 1, on a pseudo-terminal: answers each question, takes a confirmation only where told to."""

    def __init__(self, case):
        self.master, slave = os.openpty()
        tty.setraw(slave)
        # The slave stays open here: a larmnod that dies is no hang-up.
        self.slave, self.port = slave, os.ttyname(slave)
        self.pending, self.takes, self.confirmed = [EVENT], False, 0
        self.ends = threading.Event()
        threading.Thread(target=self.speak, daemon=True).start()
        case.endings.append(self.ends.set)

    def speak(self):
        heard = b""
        while not self.ends.is_set():
            if not select.select([self.master], [], [], 0.2)[0]:
                continue
            heard += os.read(self.master, 256)
            while b"\r" in heard:
                said, heard = heard.split(b"\r", 1)
                self.answer(said)

    def answer(self, said):
        if said == b"?":
            os.write(self.master, self.pending[0] if self.pending else b"OK\r")
        elif said == b"+b" and self.pending:
            self.confirmed += 1
            if self.takes:
                self.pending.clear()


def test_killed_before_the_confirmation_is_heard(case):
    """kill -9 when an event is stored and its panel has not heard so: said again, it is confirmed and told once"""
    module = Module(case)
    centre = rig.Receiver(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address), table("device.satel-monitoring.panel", port=module.port))
    for _ in range(3):
        before = module.confirmed
        gateway.start()
        eventually("it is confirmed", lambda: module.confirmed, lambda count: count > before)
        gateway.kill()
    module.takes = True
    gateway.start()
    eventually("the panel has nothing more to say", lambda: not module.pending)
    centre.until("the fire", lambda e: e["sia"] == "FA" and e["zone"] == 5)
    expect("events of it in the store", sum(e["zone"] == 5 for e in gateway.events()), 1)
