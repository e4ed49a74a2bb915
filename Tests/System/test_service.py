"""What systemd sees: ready, alive, and an end in good time."""

import os
import signal
import socket
import time

import rig
import wire
from rig import each, eventually, expect, require

STOPPING = 5  # seconds that it promises to need, on a machine that is not busy
BUSY = 4  # how much longer a busy machine may make it


class Manager:
    """systemd's end of NOTIFY_SOCKET."""

    def __init__(self, case, abstract=False):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"larmnod-{os.getpid()}" if abstract else case.path("notify")
        self.socket.bind(f"\0{name}" if abstract else name)
        self.environment = {"NOTIFY_SOCKET": f"@{name}" if abstract else name, "WATCHDOG_USEC": "60000000"}
        self.heard = []
        case.endings.append(self.socket.close)

    def words(self):
        while True:
            try:
                self.heard += self.socket.recv(4096, socket.MSG_DONTWAIT).decode().splitlines()
            except BlockingIOError:
                return self.heard


@each("path", "abstract")
def test_notifies(case, name):
    """READY=1 once it works, WATCHDOG=1 while it lives, STOPPING=1 at the end; silent while it is frozen"""
    manager = Manager(case, abstract=name == "abstract")
    centre, panel = rig.Receiver(case), rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address), panel.table(), environment=manager.environment).start()
    eventually("READY=1", manager.words, lambda words: "READY=1" in words)
    eventually("WATCHDOG=1, more than once", manager.words, lambda words: words.count("WATCHDOG=1") > 2)
    require("ready before alive, once", manager.words().count("READY=1") == 1, manager.words())
    gateway.process.popen.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    count = len(manager.words())
    time.sleep(3)
    expect("words while frozen", manager.words()[count:], [])
    gateway.process.popen.send_signal(signal.SIGCONT)
    eventually("WATCHDOG=1 again", manager.words, lambda words: "WATCHDOG=1" in words[count:])
    gateway.stop()
    require("STOPPING=1", "STOPPING=1" in manager.words(), manager.words())


@each("idle", "calling", "mute-receiver", "dead-devices", "wait-for-receiver")
def test_ends(case, doing):
    """SIGTERM ends it cleanly and soon, whatever it is doing; nothing that was acknowledged is lost"""
    centre, panel = rig.Receiver(case), rig.Panel(case)
    middle = wire.Middle(case, centre.address, mode="mute" if "receiver" in doing else "pass")
    more = {"wait_for_receiver": "60s"} if doing == "wait-for-receiver" else {}
    tables = [panel.table(**more)]
    if doing == "dead-devices":
        for number in range(8):
            tables += [
                rig.table(f"device.modbus.bus{number}", address=f"{case.host}:{case.port()}", timeout="1s"),
                rig.table(f"device.modbus.bus{number}.point.x", unit=1, table="coil", register=0, kind="burglary")]
    gateway = rig.Gateway(case, rig.path("a", middle.address, timeout="30s"), *tables).start()
    called = []
    if doing == "calling":
        for number in range(20):
            called.append(f"call {number}")
            panel.must(called[-1])
    elif doing == "mute-receiver":
        called.append("unanswered")
        panel.must("unanswered")
    elif doing == "wait-for-receiver":
        panel.tell('call 999 "waits for the receiver"')
        eventually("the call is on disk", lambda: "waits for the receiver" in [e["text"] for e in gateway.events()])
        called.append("waits for the receiver")
    time.sleep(1)
    began = time.monotonic()
    expect("exit status", gateway.process.stop(STOPPING * BUSY), 0)
    took = time.monotonic() - began
    require("the socket is gone", not os.path.exists(gateway.socket))
    middle.mode = "pass"
    gateway.start()
    gateway.until_delivered()
    expect("calls that did not come", [text for text in called if text not in centre.texts()], [])
    expect("restarts told as cut off", [e["text"] for e in centre.feed() if e["sia"] == "YW"], [])
    print(f"ended after {took:.1f} s")


def test_no_network_listener(case):
    """it listens on no network address (promise 8)"""
    centre, panel = rig.Receiver(case), rig.Panel(case)
    gateway = rig.Gateway(case, rig.path("a", centre.address), panel.table()).start()
    panel.must("a call")
    centre.until_text("a call")
    listening = case.run(["ss", "-Hltunp"]).stdout
    own = [line for line in listening.splitlines() if f"pid={gateway.process.pid}," in line]
    expect("listening sockets", own, [])


def test_key_is_never_shown(case):
    """no log, listing, status or error shows a key (promise 8)"""
    secret = "00112233445566778899AABBCCDDEEFF"
    centre, panel = rig.Receiver(case, key=case.key_file(f"hex:{secret}")), rig.Panel(case)
    gateway = rig.Gateway(case, rig.path("a", centre.address, key=case.key_file(f"hex:{secret}")), panel.table()).start()
    panel.must("a call")
    centre.until_text("a call")
    told = [gateway.ask(*words).stdout for words in (
        ["status", "--json"], ["status", "--all"], ["events", "--json"], ["test", "--path", "a"])]  # fmt: skip
    gateway.stop()
    bad = case.key_file(f"hex:{secret}0")
    site = gateway.file.read_text().replace(case.path("key"), bad)
    gateway.file.write_text(site)
    for words in (["check", gateway.file], ["check", "--json", gateway.file], ["run", "--config", gateway.file]):
        result = case.run([case.program, *words])
        require(f"{words[0]} refuses it", result.returncode != 0, result.stdout)
        told.append(result.stdout)
    told.append(gateway.process.text())
    told.append(centre.file.read_text())
    told += [f.read_bytes().decode("latin-1") for f in gateway.state.iterdir() if f.is_file()]
    for text in told:
        require("a key is shown", secret[:12].lower() not in text.lower(), text)
