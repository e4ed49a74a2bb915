"""Receivers with names, and name servers that are slow, silent, wrong or back (promise 10). Needs root: a mount
namespace of its own gives the gateway another resolv.conf."""

import shutil
import socket
import struct
import subprocess
import threading
import time

import rig
from rig import eventually, expect, require

NAME = "larm.example"


class NameServer:
    """A name server for one name. `addresses` is what it says; None: nothing at all."""

    def __init__(self, case):
        self.addresses, self.delay, self.asked = [], 0, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self.socket.bind((case.host, 53))
        except PermissionError as why:
            raise rig.Failed(f"port 53 of {case.host}: {why}; run as root") from why
        case.endings.append(self.socket.close)
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                query, peer = self.socket.recvfrom(512)
            except OSError:
                return
            self.asked += 1
            threading.Timer(self.delay, self.answer, (query, peer)).start()

    def answer(self, query, peer):
        if self.addresses is None:
            return
        end = query.index(b"\0", 12) + 5
        question, kind = query[12:end], struct.unpack(">H", query[end - 4 : end - 2])[0]
        family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
        records = []
        for address in self.addresses if family else []:
            try:
                data = socket.inet_pton(family, address)
            except OSError:
                continue  # of the other family
            records.append(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(data)) + data)
        flags = 0x8580 if self.addresses else 0x8583  # no such name
        try:
            self.socket.sendto(
                query[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records), peer)
        except OSError:
            pass


def program(case):
    """The gateway, with the test's name server and no others."""
    if not shutil.which("unshare"):
        raise rig.Failed("unshare is missing: run scripts/setup.sh test")
    resolver, switch = case.directory / "resolv.conf", case.directory / "nsswitch.conf"
    resolver.write_text(f"nameserver {case.host}\noptions timeout:1 attempts:2\n")
    switch.write_text("hosts: files dns\n")
    mounts = f"mount --bind {resolver} /etc/resolv.conf && "
    if subprocess.run(["test", "-e", "/etc/nsswitch.conf"], check=False).returncode == 0:
        mounts += f"mount --bind {switch} /etc/nsswitch.conf && "
    return ["unshare", "-m", "--propagation", "private", "sh", "-c", f'{mounts} exec {case.program} "$@"', "larmnod"]


def world(case, **settings):
    server, panel = NameServer(case), rig.Panel(case)
    centre = rig.Receiver(case)
    port = centre.address.rsplit(":", 1)[1]
    server.addresses = [case.host]
    gateway = rig.Gateway(
        case, rig.path("a", f"{NAME}:{port}", attempts=2, poll="1s", **settings), panel.table(),
        program=program(case))  # fmt: skip
    return server, panel, centre, gateway, port


def book(gateway):
    file = gateway.state / "addresses"
    return file.read_text() if file.exists() else ""


def test_servers_down(case):
    """the name servers are silent, also over a restart: the last good address serves; a hostile file does no harm"""
    server, panel, centre, gateway, port = world(case, timeout="5s")
    gateway.start()
    panel.must("with names")
    centre.until_text("with names")
    eventually("the address is on disk", lambda: book(gateway), lambda text: case.host in text)
    expect("the file", book(gateway), f"larmnod addresses 1\n{NAME} {port} {case.host}\n")
    server.addresses = None
    gateway.kill()
    gateway.start()
    panel.must("without names")
    centre.until_text("without names")
    gateway.until_delivered()
    require("it is said in the log", "last known addresses are used" in gateway.process.text(), gateway.process.text())
    # The same with an answer that there is no such name.
    server.addresses = []
    gateway.kill()
    gateway.start()
    panel.must("no such name")
    centre.until_text("no such name")
    for content in (b"", b"\xff" * 10_000, b"larmnod addresses 1\n\x1b[2J 1 1\n" + b"x" * 100_000,
                    f"larmnod addresses 1\n{NAME} {port} evil\n".encode()):  # fmt: skip
        gateway.kill()
        (gateway.state / "addresses").write_bytes(content)
        gateway.start()
        panel.must(f"kept {len(content)}")
        eventually("the path is down", lambda: gateway.path_state("a"), lambda state: state == "down")
    server.addresses = [case.host]
    gateway.until_delivered()
    centre.until_text("kept 10000")


def test_moved(case):
    """the centre moves to another address: the fresh answer wins over the book; several addresses are tried in turn"""
    server, panel, centre, gateway, port = world(case, timeout="2s")
    gateway.start()
    panel.must("before")
    centre.until_text("before")
    gateway.until_delivered()
    centre.kill()
    other = case.host.rsplit(".", 1)[0] + (".254" if not case.host.endswith(".254") else ".253")
    server.addresses = [other]
    moved = rig.Receiver(case, "moved", address=f"{other}:{port}")
    panel.must("after")
    moved.until_text("after")
    gateway.until_delivered()
    # Two addresses, one of them dead, of both families.
    server.addresses = [case.host, other, "::1"]
    moved.kill()
    moved.start()
    panel.must("in turn")
    moved.until_text("in turn")


def test_slow_servers(case):
    """name servers that take longer than anybody waits: known addresses serve, and another path is not delayed"""
    server, panel, centre, gateway, port = world(case, timeout="5s")
    gateway.start()
    gateway.until_delivered()
    eventually("the address is on disk", lambda: book(gateway), lambda text: case.host in text)
    server.delay = 3
    centre.kill()
    panel.must("while it is slow")
    time.sleep(2)
    centre.start()
    centre.until_text("while it is slow")
    gateway.until_delivered()
