"""The control socket: who may ask, what may be asked, and how much."""

import contextlib
import json
import os
import shutil
import socket
import time

import rig
from rig import eventually, expect, require, table

NOBODY = ["--reuid", "65534", "--regid", "65534", "--clear-groups"]


def site(case, *tables, **settings):
    centre, panel = rig.Receiver(case), rig.Panel(case)
    return centre, panel, rig.Gateway(case, rig.path("a", centre.address), panel.table(), *tables, **settings)


def connect(gateway):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(30)
    client.connect(gateway.socket)
    return client


def test_second_process(case):
    """a second larmnod on the same state is refused, and told who holds it; the first goes on"""
    centre, panel, gateway = site(case)
    gateway.start()
    second = case.run([case.program, "run", "--config", gateway.file])
    expect("the second's exit status", second.returncode, 1)
    require("it names the holder", str(gateway.process.pid) in second.stdout and "in use" in second.stdout, second.stdout)
    panel.must("still here")
    centre.until_text("still here")
    expect("status's exit status", gateway.ask("status").returncode, 0)


def test_other_user(case):
    """another user is refused: by the socket's mode, and by name where the mode would let him"""
    if os.geteuid() != 0:
        raise rig.Failed("only root can take another user's place: run this test as root")
    _, _, gateway = site(case)
    gateway.start()
    for path in (case.directory, case.directory.parent):
        path.chmod(0o755)
    program = case.path("larmnod-for-all")
    shutil.copy(case.program, program)

    def asked():
        return case.run(["setpriv", *NOBODY, program, "status", "--socket", gateway.socket])

    expect("the socket's mode", oct(os.stat(gateway.socket).st_mode & 0o777), "0o600")
    result = asked()
    require("refused by the mode", result.returncode not in (0, 2) and "sudo" in result.stdout, result.stdout)
    os.chmod(gateway.socket, 0o666)
    result = asked()
    require("refused by name", result.returncode not in (0, 2) and "nobody may not ask" in result.stdout, result.stdout)
    require("the refusal is in the log", "nobody" in gateway.process.text(), gateway.process.text())
    require("nothing of the site is told", "Provplatsen" not in result.stdout, result.stdout)


REQUESTS = [
    b"\n", b"{}\n", b"[]\n", b"null\n", b"status\n", b'{"command":"reboot"}\n', b'{"command":7}\n', b"\xff\xfe\x00\n",
    b"\x00" * 5000 + b"\n", b"{" * 4000 + b"\n", b"[" * 4000 + b"\n", b"A" * 1_000_000 + b"\n", b'{"command":"status"',
    b'{"command":"events","limit":-5}\n', b'{"command":"events","limit":9223372036854775807}\n',
    b'{"command":"events","limit":1e999}\n', b'{"command":"events","limit":"many"}\n', b'{"command":"discard"}\n',
    b'{"command":"discard","event":-1,"why":"x"}\n', b'{"command":"discard","event":9223372036854775807,"why":"x"}\n',
    b'{"command":"discard","event":1,"why":""}\n', b'{"command":"testPoint","name":""}\n', b'{"command":"testPoint"}\n',
    b'{"command":"receiver","step":"keep"}\n', b'{"command":"receiver","step":"leave"}\n',
    b'{"command":"receiver","step":"move"}\n', b'{"command":"receiver","step":"move","name":"a","settings":"[[["}\n',
    b'{"command":"receiver","step":"prolong","shadow":-9223372036854775808}\n',
    b'{"command":"testPath","name":"\\u0000"}\n', b'{"command":"testPath","name":"' + b"x" * 3000 + b'"}\n',
]  # fmt: skip


def test_bad_requests(case):
    """nonsense on the control socket is refused in words, and harms nothing"""
    centre, panel, gateway = site(case)
    gateway.start()
    memory = gateway.process.memory()
    requests = REQUESTS + [case.random.randbytes(case.random.randrange(1, 6000)) for _ in range(100)]
    for request in requests:
        with connect(gateway) as client:
            with contextlib.suppress(OSError):  # it may hang up before it has read all
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while data := client.recv(65536):
                    answer += data
            for line in filter(None, answer.split(b"\n")):
                require(f"the answer to {request[:60]} is JSON", json.loads(line), line)
    panel.must("unharmed")
    centre.until_text("unharmed")
    require("memory stays", gateway.process.memory() - memory < 16 << 20, gateway.process.memory() - memory)


def test_flood(case):
    """hundreds of silent connections: alarms go on, and a person is answered as soon as they let go"""
    centre, panel, gateway = site(case)
    gateway.start()
    memory = gateway.process.memory()
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            with contextlib.suppress(OSError):
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.settimeout(0.2)
                client.connect(gateway.socket)
        panel.must("in the flood")
        centre.until_text("in the flood")
        eventually("status is answered in the flood", lambda: gateway.ask("status").returncode, lambda code: code in (0, 2))
    require("memory stays", gateway.process.memory() - memory < 32 << 20, gateway.process.memory() - memory)
    open_files = len(os.listdir(f"/proc/{gateway.process.pid}/fd"))
    eventually("the connections are let go", lambda: len(os.listdir(f"/proc/{gateway.process.pid}/fd")), lambda n: n < 60)
    print(f"{open_files} open files at most")


def test_slow_reader(case):
    """a listing that nobody reads holds up nothing: neither alarms, nor other askers, nor the end"""
    centre, panel, gateway = site(case)
    gateway.start()
    for number in range(150):
        panel.must(f"a rather long text, so that the listing does not fit a socket's buffer {number:04} " + "x" * 40)
    readers = [connect(gateway) for _ in range(7)]
    for reader in readers:
        reader.sendall(b'{"command":"events","limit":10000,"follow":true}\n')
    panel.must("meanwhile")
    centre.until_text("meanwhile")
    expect("status", gateway.ask("status").returncode, 0)
    gateway.stop()
    for reader in readers:
        reader.close()


def test_screen_and_json(case):
    """status fits 24 lines of 80 columns with the worst first, whatever is wrong; --json and --all have everything"""
    names = [f"a-point-with-a-rather-long-name-{n:02}" for n in range(40)]
    points = "".join(
        table(f"device.gpio.box.point.{name}", line=n, contact="normally-closed", kind="burglary", zone=n,
              text="Åtkomst till källarförrådet i norra flygeln, plan 2") for n, name in enumerate(names))  # fmt: skip
    board = rig.Board(case, "chip gpiochip0 pinctrl-test 64")
    dead = rig.path("mobile", f"{case.host}:{case.port()}", timeout="1s", attempts=1)
    centre, panel, gateway = site(
        case, dead, table("device.gpio.box", chip="pinctrl-test"), points,
        table("device.espa.not-there", port="/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"),
        table("device.espa.not-there.point.x", kind="fire"), environment=board.environment)  # fmt: skip
    gateway.start()
    eventually("all points are active", lambda: [p["state"] for p in gateway.status()["points"]].count("active"),
               lambda n: n == len(names))  # fmt: skip
    eventually("the dead path is down", lambda: gateway.path_state("mobile"), lambda s: s == "down")
    eventually("the dead device is lost", lambda: gateway.device("espa.not-there")["state"], lambda s: s == "lost")
    result = gateway.ask("status")
    lines = result.stdout.splitlines()
    expect("exit status when something is wrong", result.returncode, 2)
    require("at most 24 lines", len(lines) <= 24, result.stdout)
    require("at most 80 columns", max(map(len, lines)) <= 80, max(lines, key=len))
    words = [line.split()[0] for line in lines[3:] if line and not line.startswith("…")]
    require("the worst first", words == sorted(words, key=["FAULT", "ACTIVE", "CHECK", "WAITS", "ok"].index), words)
    require("the device's fault is on the screen", any("espa.not-there" in line for line in lines), result.stdout)
    everything = gateway.ask("status", "--all").stdout
    require("--all has every point", all(name in everything for name in names), everything)
    expect("points in --json", [p["name"] for p in gateway.status()["points"] if "gpio" in p["name"]],
           [f"gpio.box.{n}" for n in names])  # fmt: skip
    require("events --json", {e["point"] for e in gateway.events()} >= {f"gpio.box.{n}" for n in names})


def test_tests(case):
    """larmnod test: over each path, for a point, to nobody; each says what happened, and never arrives late"""
    centre, panel, gateway = site(case, rig.path("dead", f"{case.host}:{case.port()}", timeout="1s", attempts=1))
    gateway.start()
    result = gateway.ask("test", "--path", "a")
    expect(f"exit status ({result.stdout})", result.returncode, 0)
    centre.until("the path's test", lambda e: e["sia"] == "RX" and "test of path a" in e["text"])
    result = gateway.ask("test", "espa.panel.call")
    expect(f"exit status ({result.stdout})", result.returncode, 0)
    centre.until("the point's test", lambda e: e["sia"] == "RX" and "espa.panel.call" in e["text"])
    result = gateway.ask("test", "--path", "dead")
    expect(f"exit status of a test of a dead path ({result.stdout})", result.returncode, 1)
    expect("what waits after it", gateway.status()["waiting"], 0)
    for words in (["test", "--path", "nowhere"], ["test", "espa.panel.nothing"]):
        result = gateway.ask(*words)
        require("an unknown name is refused with what there is", result.returncode and "are:" in result.stdout, result.stdout)
    time.sleep(1)
    expect("tests that arrived", len([e for e in centre.feed() if e["sia"] == "RX"]), 2)
