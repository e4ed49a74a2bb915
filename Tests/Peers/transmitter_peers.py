#!/usr/bin/env python3
"""Has an independent transmitter talk to the real receiver, and checks what comes out.

    transmitter_peers.py PATH/TO/larmnod

Needs a Python environment with my-dc09-spt 0.2.2 (a DC-09 transmitter written by others) and jsonschema: run it with
that environment's python, or name the environment's directory in LARMNOD_PEERS. Needs strace.
"""

import json
import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

environment = os.environ.get("LARMNOD_PEERS")
if environment and pathlib.Path(sys.prefix).resolve() != pathlib.Path(environment).resolve():
    python = pathlib.Path(environment, "bin", "python")
    if not python.exists():
        sys.exit(f"LARMNOD_PEERS is {environment}, and there is no {python}.")
    os.execv(python, [str(python), *sys.argv])
try:
    import jsonschema
    from my_dc09_spt import dc09_spt
except ImportError as error:
    sys.exit(f"{error}. Install them: python3 -m venv V; V/bin/pip install my-dc09-spt==0.2.2 jsonschema==4.26.0; "
             "then set LARMNOD_PEERS=V.")

SPT = dc09_spt.dc09_spt if hasattr(dc09_spt, "dc09_spt") else dc09_spt
SCHEMA = json.loads(pathlib.Path(__file__, "../../../docs/feed.schema.json").resolve().read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
ACCOUNT = "4711"
KEYS = {"plain": None, "AES-128": b"0123456789ABCDEF", "AES-256": b"0123456789ABCDEF0123456789ABCDEF"}


class Receiver:
    """`larmnod receive` on a port of its own; its feed is read, and every line is held against the schema."""

    def __init__(self, larmnod, *arguments, **options):
        self.process = subprocess.Popen(
            [larmnod, "receive", "--listen", "127.0.0.1:0", *arguments], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", **options)
        self.feed, self.words = [], []
        self.threads = [
            threading.Thread(target=self._read, args=(self.process.stdout, self._line), daemon=True),
            threading.Thread(target=self._read, args=(self.process.stderr, self.words.append), daemon=True)]
        for thread in self.threads:
            thread.start()
        self.port = int(self.told(r"Listening on [^ ]*:(\d+),").group(1))

    @staticmethod
    def _read(stream, take):
        for line in stream:
            take(line)

    def _line(self, text):
        line = json.loads(text)
        VALIDATOR.validate(line)
        self.feed.append(line)

    def told(self, pattern, within=10):
        """Waits for a line on standard error."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            for words in list(self.words):
                if found := re.search(pattern, words):
                    return found
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise AssertionError(f"the receiver never said {pattern!r}: {self.words}")

    def told_to(self, command):
        self.words.clear()
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        self.told("Misbehaving|Behaving")

    def handed_on(self, count, within=5):
        """Waits until the feed has so many lines, and a little longer for one too many."""
        deadline = time.monotonic() + within
        while len(self.feed) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        assert len(self.feed) == count, f"expected {count} lines, found {self.feed}"
        return self.feed

    def stop(self, with_signal=signal.SIGTERM):
        self.process.send_signal(with_signal)
        code = self.process.wait(10)
        for thread in self.threads:
            thread.join(5)
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            assert self.stop() == 0, self.words


def key_arguments(folder, key):
    if key is None:
        return ["--account", ACCOUNT]
    file = pathlib.Path(folder, "centre.key")
    file.write_text(f"text:{key.decode()}\n")
    file.chmod(0o600)
    return ["--account", f"{ACCOUNT}={file}"]


def transmitter(port, transport, key):
    spt = SPT(ACCOUNT)
    # It leaves L out where none is set, which DC-09 does not allow.
    spt.set_path("main", "primary", "127.0.0.1", port, account=ACCOUNT, key=key, line=0, type=transport)
    return spt, spt.tpaths["main"]["primary"]["path"]


def check_transmitter(larmnod, folder, transport, name):
    """A link test, a SIA and a Contact ID event: all acknowledged, both events handed on."""
    key = KEYS[name]
    with Receiver(larmnod, *key_arguments(folder, key)) as receiver:
        spt, path = transmitter(receiver.port, transport, key)
        assert spt.transfer_msg(0, "NULL", "]", path), "the link test was not acknowledged"
        spt.send_msg("SIA-DCS", {"code": "BA", "zone": 5, "area": 1})
        spt.send_msg("ADM-CID", {"code": 110, "q": 1, "zone": 15, "area": 2})
        assert spt.notSent() == 0, "an event was not acknowledged"
        sia, contact_id = receiver.handed_on(2)
        assert (sia["account"], sia["sia"], sia["zone"], sia["sequence"]) == (ACCOUNT, "BA", 5, 1), sia
        assert (contact_id["contactId"], contact_id["zone"], contact_id["partition"]) == ("110", 15, 2), contact_id
        assert (contact_id["urgency"], contact_id["qualifier"]) == ("fire", "event"), contact_id
        assert all(line["path"]["transport"] == transport for line in receiver.feed)
        assert all(line["path"]["encrypted"] == (key is not None) for line in receiver.feed)


def check_polls(larmnod, folder):
    """The transmitter's own link tests, on its own timer."""
    with Receiver(larmnod, "--polls") as receiver:
        spt, _ = transmitter(receiver.port, "tcp", None)
        spt.start_poll(1, retry_delay=0.2)
        deadline = time.monotonic() + 10
        while len(receiver.feed) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        spt.stop_poll()
        assert len(receiver.feed) >= 2 and all(line["type"] == "poll" for line in receiver.feed), receiver.feed


def frame(sequence=1, data="#4711|Nri1/BA5"):
    body = f'"SIA-DCS"{sequence:04}L0#{ACCOUNT}[{data}]'.encode()
    crc = 0
    for byte in body:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return b"\n%04X%04X%s\r" % (crc, len(body), body)


def exchange(port, sent, within=3):
    """The reply, or b"" when none comes."""
    with socket.create_connection(("127.0.0.1", port), within) as connection:
        connection.settimeout(within)
        connection.sendall(sent)
        try:
            return connection.recv(4096)
        except TimeoutError:
            return b""


def check_kill(larmnod, folder):
    """What was acknowledged is in the store after kill -9, and its repeat is known; a torn line is cut off."""
    store = pathlib.Path(folder, "killed.jsonl")
    with Receiver(larmnod, "--store", store) as receiver:
        for sequence in range(1, 21):
            assert b'"ACK"' in exchange(receiver.port, frame(sequence))
        receiver.stop(signal.SIGKILL)
    lines = [json.loads(line) for line in store.read_text().splitlines()]
    assert [line["sequence"] for line in lines] == list(range(1, 21))
    for line in lines:
        VALIDATOR.validate(line)
    with store.open("a") as file:
        file.write('{"version":1,"type":"ev')
    with Receiver(larmnod, "--store", store) as receiver:
        receiver.told("20 messages.*unfinished end of 23 bytes")
        assert b'"ACK"' in exchange(receiver.port, frame(20))
        assert b'"ACK"' in exchange(receiver.port, frame(21))
        receiver.handed_on(1)
    assert len(store.read_text().splitlines()) == 21


def check_order(larmnod, folder):
    """The event is written and synced before the ACK leaves (as strace sees it)."""
    trace, store = pathlib.Path(folder, "trace"), pathlib.Path(folder, "order.jsonl")
    if not shutil.which("strace"):
        raise AssertionError("strace is not installed, and nothing else can see the order: apt-get install strace")
    launcher = pathlib.Path(folder, "launcher")
    launcher.write_text(f"#!/bin/sh\nexec strace -D -f -s 200 -e trace=write,writev,sendto,sendmsg,fsync,fdatasync "
                        f"-o {trace} {larmnod} \"$@\"\n")
    launcher.chmod(0o700)
    with Receiver(str(launcher), "--store", store) as receiver:
        assert b'"ACK"' in exchange(receiver.port, frame(), 10)
        receiver.handed_on(1)
    deadline = time.monotonic() + 5
    while "exited with" not in (calls := trace.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    calls = calls.splitlines()
    written = next(i for i, call in enumerate(calls) if "write(" in call and "version" in call)
    descriptor = re.search(r"write\((\d+),", calls[written]).group(1)
    syncs = [i for i, call in enumerate(calls) if i > written and re.search(rf"f(data)?sync\({descriptor}\b", call)]
    assert syncs, "the event was never synced:\n" + "\n".join(calls[written:])
    synced = syncs[0]
    # Where two threads' calls overlap, the sync's end is a line of its own.
    if "unfinished" in calls[synced]:
        thread = calls[synced].split()[0]
        synced = next(i for i, call in enumerate(calls) if i > synced and call.startswith(thread) and "resumed" in call)
    answered = next(i for i, call in enumerate(calls) if 'ACK' in call)
    assert written < synced < answered, "\n".join(calls[written:answered + 1])


def check_full_disk(larmnod, folder):
    """Nothing is acknowledged that cannot be kept, no half line is left, and all goes on when there is room again."""
    store = pathlib.Path(folder, "full.jsonl")
    limit = 4096
    with Receiver(larmnod, "--store", store, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))) as receiver:
        kept = 0
        while reply := exchange(receiver.port, frame(kept + 1), 1):
            assert b'"ACK"' in reply
            kept += 1
        assert 0 < kept < 20, kept
        receiver.told("full.jsonl.*File too large")
        assert len(store.read_text().splitlines()) == kept and store.read_bytes().endswith(b"\n")
        resource.prlimit(receiver.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert b'"ACK"' in exchange(receiver.port, frame(kept + 1))
        receiver.handed_on(kept + 1)
    assert [json.loads(line)["sequence"] for line in store.read_text().splitlines()] == list(range(1, kept + 2))


def check_misbehaving(larmnod, folder):
    """A test can switch misbehaviour on and off while the receiver runs."""
    with Receiver(larmnod, "--misbehave", "duh") as receiver:
        assert b'"DUH"' in exchange(receiver.port, frame())
        receiver.told_to("misbehave nak")
        assert b'"NAK"' in exchange(receiver.port, frame())
        receiver.told_to("misbehave none")
        assert b'"ACK"' in exchange(receiver.port, frame())
        receiver.handed_on(1)
        receiver.words.clear()
        receiver.process.stdin.write("misbehave badly\n")
        receiver.process.stdin.flush()
        receiver.told('misbehave "badly".*Expected drop')
        receiver.process.stdin.close()
        assert b'"ACK"' in exchange(receiver.port, frame(2))


def check_refusals(larmnod, folder):
    """A wrong command line is told in words, with what was expected."""
    for arguments, expected in [
            (["--listen", "7700"], "ADDRESS:PORT"), (["--listen", "::1:7700"], "brackets"),
            (["--account", "12"], "3 to 16 hexadecimal"), (["--misbehave", "nap"], "wrong-sequence"),
            (["--account", "4711=0123456789ABCDEF"], "no such key file"),
            (["--store", "/nowhere/feed"], "/nowhere/feed"), (["--listen", "192.0.2.1:7700"], "Cannot listen on 192.0.2.1")]:
        done = subprocess.run([larmnod, "receive", *arguments], capture_output=True, text=True, timeout=10)
        assert done.returncode != 0, arguments
        assert expected in done.stderr, (arguments, done.stderr)
        assert "0123456789ABCDEF" not in done.stderr, done.stderr


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    larmnod = str(pathlib.Path(sys.argv[1]).resolve())
    checks = [(f"my-dc09-spt {name} over {transport}", check_transmitter, (transport, name))
              for transport in ("tcp", "udp") for name in KEYS]
    checks += [(check.__doc__.splitlines()[0], check, ()) for check in
               (check_polls, check_kill, check_order, check_full_disk, check_misbehaving, check_refusals)]
    failed = 0
    for title, check, arguments in checks:
        try:
            with tempfile.TemporaryDirectory() as folder:
                check(larmnod, folder, *arguments)
            print(f"ok    {title}", flush=True)
        except Exception as error:  # every check is tried, whatever became of the one before
            failed += 1
            print(f"FAIL  {title}: {type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
