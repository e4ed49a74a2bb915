"""What a system test has at hand: a directory, addresses, processes, devices, receivers. Everything ends with the test.

A test is a function `test_NAME(case)` in a module test_*.py; its docstring says what it shows. It fails by `Failed`.
Nothing here measures speed: what must happen is waited for with a long deadline, because the machine may be busy.
"""

import calendar
import datetime
import json
import os
import pathlib
import queue
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "Tests" / "Peers"
PATIENCE = 90  # seconds for what ought to happen at once


class Failed(Exception):
    """What was expected, and what came."""


def each(*values):
    """Makes one test of each value; the test takes it as its second argument."""
    return lambda test: setattr(test, "values", values) or test


def limit(seconds):
    """The longest that a test may take, instead of four minutes."""
    return lambda test: setattr(test, "limit", seconds) or test


def waits(test):
    """Marks a test that takes long and works little: it runs beside the others, and more of its kind at once."""
    test.waits = True
    return test


def peer_python(name):
    """The Python that has one of the independent peers installed (scripts/setup.sh)."""
    path = ROOT / ".build-peers" / name / "bin" / "python"
    if not path.exists():
        raise Failed(f"{path} is missing: run scripts/setup.sh test")
    return str(path)


def expect(what, actual, expected):
    if actual != expected:
        raise Failed(f"{what}:\n  expected {shown(expected)}\n  came     {shown(actual)}")


def require(what, condition, seen=""):
    if not condition:
        raise Failed(f"{what}\n  came {shown(seen)}")


def shown(value):
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) < 2000 else f"{text[:1000]} … {text[-1000:]}"


def eventually(what, look, until=bool, within=PATIENCE):
    """Looks until what it sees is right, and returns that."""
    end, seen = time.monotonic() + within, None
    while True:
        seen = look()
        if until(seen):
            return seen
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {within} s\n  last seen: {shown(seen)}")
        time.sleep(0.1)


def seconds(text):
    """Since 1970 UTC, of a time in a feed: ISO 8601."""
    then = datetime.datetime.fromisoformat(text.removesuffix("Z"))
    return calendar.timegm(then.timetuple()) + then.microsecond / 1e6


class Case:
    """One test's world. `close` ends all that it started."""

    def __init__(self, program, directory, seed, is_long=False):
        self.program, self.directory, self.is_long = program, pathlib.Path(directory), is_long
        self.random, self.seed = random.Random(seed), seed
        # A loopback address of its own: no port of this test is another's.
        self.host = f"127.{64 + (os.getpid() >> 16 & 63)}.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
        self.endings, self.logs = [], []

    def close(self):
        for end in reversed(self.endings):
            end()

    def path(self, name):
        return str(self.directory / name)

    def port(self):
        with socket.socket() as probe:
            probe.bind((self.host, 0))
            return probe.getsockname()[1]

    def start(self, name, arguments, environment=None, **options):
        return Process(self, name, arguments, environment, **options)

    def run(self, arguments, within=PATIENCE, **options):
        """Runs to its end; both outputs together as text."""
        try:
            return subprocess.run(
                arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                timeout=within, **options,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{' '.join(map(str, arguments))}: no end within {within} s\n  {shown(late.output)}") from late

    def key_file(self, text, name="key"):
        path = self.directory / name
        path.write_text(text + "\n")
        path.chmod(0o600)
        return str(path)

    def tails(self, lines=12):
        """The ends of all logs, for a failure's report."""
        for path in self.logs:
            try:
                tail = pathlib.Path(path).read_text(errors="replace").splitlines()[-lines:]
            except OSError:
                continue
            if tail:
                yield f"--- {os.path.basename(path)} (its end)"
                yield from (line[:250] for line in tail)


class Process:
    """A process whose output goes to a log in the test's directory."""

    def __init__(self, case, name, arguments, environment=None, stdin=None, output=None):
        self.name, self.log = name, case.path(f"{name}.log")
        if self.log not in case.logs:
            case.logs.append(self.log)
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                [str(a) for a in arguments], stdin=stdin or subprocess.DEVNULL, stdout=output or log, stderr=log,
                env={**os.environ, **(environment or {})}, cwd=case.directory,
            )  # fmt: skip
        case.endings.append(self.kill)

    @property
    def pid(self):
        return self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def text(self):
        return pathlib.Path(self.log).read_text(errors="replace")

    def kill(self):
        if self.is_running():
            self.popen.kill()
        self.popen.wait()

    def stop(self, within=30):
        """SIGTERM; the exit status."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(within)
        except subprocess.TimeoutExpired as late:
            raise Failed(f"{self.name} does not stop within {within} s of SIGTERM") from late

    def memory(self):
        """Bytes that cannot be given back (RssAnon)."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024


class Dialogue:
    """A helper program that answers each line with a line."""

    def __init__(self, case, name, arguments, ready="ready"):
        self.process = Process(case, name, arguments, stdin=subprocess.PIPE)
        self.name, self.answers = name, queue.Queue()
        threading.Thread(target=self.follow, daemon=True).start()
        self.answer(ready)

    def follow(self):
        with open(self.process.log, errors="replace") as log:
            line = ""
            while True:
                line += log.readline()
                if line.endswith("\n"):
                    self.answers.put(line.strip())
                    line = ""
                else:
                    time.sleep(0.005)

    def answer(self, beginning, within=PATIENCE):
        try:
            line = self.answers.get(timeout=within)
        except queue.Empty as late:
            raise Failed(f"{self.name} does not answer within {within} s") from late
        require(f"{self.name}: expected a line beginning with {beginning!r}", line.startswith(beginning), line)
        return line

    def tell(self, line):
        self.process.popen.stdin.write(f"{line}\n".encode())
        self.process.popen.stdin.flush()


class Panel(Dialogue):
    """A fire panel on a pseudo-terminal: the independent ESPA control station of Tests/Peers."""

    def __init__(self, case, name="panel", *options):
        self.port = case.path(name)
        super().__init__(
            case, f"espa-{name}", [sys.executable, "-u", PEERS / "espa_panel.py", "--link", self.port, *options])

    def call(self, text, address="999"):
        """How the call ended: ("ACK", 1): the answer, and how often the block was sent."""
        self.tell(json.dumps({"address": address, "text": text}))
        words = self.answer("call ", within=200).split()
        return words[2], int(words[3].removeprefix("tries=")) if len(words) > 3 else 0

    def must(self, text):
        expect(f'the panel calls "{text}"', self.call(text)[0], "ACK")

    def table(self, name="panel", kind="fire", zone=11, **settings):
        return (
            table(f"device.espa.{name}", port=self.port, **settings)
            + table(f"device.espa.{name}.point.call", kind=kind, zone=zone)
        )  # fmt: skip


class ModbusUnits(Dialogue):
    """Units of a Modbus bus, by pymodbus."""

    def __init__(self, case, *options):
        super().__init__(case, "modbus", [peer_python("main"), "-u", PEERS / "modbus_server.py", "--stay", *options])

    def do(self, command):
        """Returns what comes after "ok"."""
        self.tell(command)
        return self.answer("ok")[2:].strip()


class Board:
    """GPIO lines: a stand-in for the library, driven by a file (Tests/Standins/libgpiod)."""

    def __init__(self, case, *lines):
        self.directory = case.directory / "board-lines"
        self.directory.mkdir()
        library = case.directory.parent / "standin"
        self.environment = {"LD_LIBRARY_PATH": str(library), "LARMNOD_FAKE_GPIO": str(self.directory)}
        self.do(*lines or ["chip gpiochip0 pinctrl-test 32"])

    def do(self, *lines):
        with open(self.directory / "board", "a") as board:
            board.write("".join(f"{line}\n" for line in lines))

    def level(self, line, levels, chip="gpiochip0"):
        self.do(f"set {chip} {line} {levels}")

    def driven(self, line, chip="gpiochip0"):
        """What the voltage of an output's line has been, in order: "0", "1", and "-" when it was let go."""
        told = self.directory / "driven"
        lines = told.read_text().split("\n") if told.exists() else []
        return "".join(text[-1] for text in lines if text.startswith(f"{chip} {line} "))


def stand_in(case, name):
    """Builds Tests/Standins/NAME/NAME.c, to be loaded before the C library; returns the file for LD_PRELOAD."""
    library = case.directory / f"{name}.so"
    result = case.run([
        "cc", "-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-o", library,
        ROOT / "Tests" / "Standins" / name / f"{name}.c", "-ldl"])  # fmt: skip
    expect(f"cc {name}.c ({result.stdout})", result.returncode, 0)
    return str(library)


def table(name, /, **settings):
    """A table of the site file. Underlines in names become hyphens."""

    def written(value):
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, (list, tuple)):
            return f"[{', '.join(map(written, value))}]"
        return str(value) if isinstance(value, int) else json.dumps(str(value), ensure_ascii=False)

    rows = "".join(f"{key.replace('_', '-')} = {written(value)}\n" for key, value in settings.items())
    return f"[{name}]\n{rows}\n"


def path(name, address, /, receiver=None, **settings):
    """A path to a receiver of its own, or to one that another path has named."""
    own = "" if receiver else table(f"receiver.{name}", address=address)
    return own + table(f"path.{name}", receiver=receiver or name, **({"address": address} if receiver else {}), **settings)


class Gateway:
    """The program under test, `larmnod run`. May be started again after its end: the state stays."""

    def __init__(self, case, *tables, environment=None, state=None, program=None, account="4711", **site):
        self.case, self.environment, self.program = case, environment or {}, program or [case.program]
        self.socket, self.state = case.path("control"), pathlib.Path(state or case.path("state"))
        self.file = case.directory / "site.toml"
        settings = {"name": "Provplatsen", "account": account, "clock": "trusted", **site}
        self.file.write_text(
            table("site", **settings, state=self.state, socket=self.socket) + "".join(tables), encoding="utf-8")
        self.process = None

    def launch(self):
        """Starts, without waiting until it works."""
        self.process = self.case.start("gateway", [*self.program, "run", "--config", self.file], self.environment)
        return self

    def start(self):
        self.launch()
        eventually("larmnod run answers on its control socket", self.answers_or_died)
        return self

    def answers_or_died(self):
        require("larmnod run ended at once", self.process.is_running(), self.process.text()[-3000:])
        return self.ask("status", "--json").returncode in (0, 2)

    def kill(self):
        self.process.kill()

    def stop(self):
        expect("exit status after SIGTERM", self.process.stop(), 0)

    def ask(self, command, *arguments):
        return self.case.run([self.case.program, command, "--socket", self.socket, *arguments])

    def answer(self, command, *arguments):
        """The answer as JSON objects, one a line."""
        result = self.ask(command, "--json", *arguments)
        try:
            return [json.loads(line) for line in result.stdout.splitlines()]
        except ValueError as error:
            raise Failed(f"larmnod {command} --json: {error}\n  came {shown(result.stdout)}") from error

    def status(self):
        answers = self.answer("status")
        require("status --json gives one object", len(answers) == 1, answers)
        return answers[0]

    def path_state(self, name):
        return next(p["state"] for p in self.status()["paths"] if p["name"] == name)

    def point_state(self, name):
        return next(p["state"] for p in self.status()["points"] if p["name"] == name)

    def device(self, name):
        return next(d for d in self.status()["devices"] if d["name"] == name)

    def events(self, *arguments):
        return self.answer("events", "--limit", "10000", *arguments)

    def until_delivered(self, within=PATIENCE):
        eventually("nothing waits any more", lambda: self.status()["waiting"], lambda n: n == 0, within)


class Receiver:
    """`larmnod receive`: the alarm centre's end. May be started again: its store stays."""

    def __init__(self, case, name="centre", *options, key=None, account="4711", address=None, program=None):
        self.case, self.name, self.program = case, name, program or [case.program]
        self.address = address or f"{case.host}:{case.port()}"
        self.file = case.directory / f"{name}.feed"
        self.options = [*(["--account", f"{account}={key}"] if key else []), *options]
        self.start()

    def start(self):
        before = self.process.text().count("Listening") if hasattr(self, "process") else 0
        self.process = self.case.start(
            self.name, [*self.program, "receive", "--listen", self.address, "--store", self.file, *self.options],
            stdin=subprocess.PIPE, output=subprocess.DEVNULL)  # fmt: skip
        eventually(f"{self.name} listens", lambda: self.process.text().count("Listening") > before)

    def misbehave(self, words):
        self.process.popen.stdin.write(f"misbehave {words}\n".encode())
        self.process.popen.stdin.flush()

    def kill(self):
        self.process.kill()

    def feed(self):
        """All events that it keeps, in order."""
        if not self.file.exists():
            return []
        lines = self.file.read_bytes().split(b"\n")[:-1]  # what follows the last line feed is not whole yet
        return [event for event in map(json.loads, lines) if event["type"] == "event"]

    def texts(self):
        return [event["text"] for event in self.feed()]

    def until(self, what, matches, within=PATIENCE, after=0):
        """Waits for an event, among those after the first `after`, and returns it."""
        found = eventually(
            f"{self.name} gets {what}", lambda: self.feed()[after:], lambda feed: any(map(matches, feed)), within)
        return next(filter(matches, found))

    def until_text(self, text, within=PATIENCE):
        return self.until(f'"{text}"', lambda event: event["text"] == text, within)


def as_root():
    """What to put before a command that needs root."""
    return [] if os.geteuid() == 0 else ["sudo", "-n"]
