"""Moving to another centre: tried beside the old one, compared, switched, watched, and brought back."""

import json
import signal
import threading
import time

import rig
import secure
from rig import eventually, expect, limit, require

KEY = "hex:00112233445566778899AABBCCDDEEFF"


class Move:
    """A site with one receiver, "a", at `old`; a centre to move to, `new`; a panel that calls."""

    def __init__(self, case, with_new=True, key=None):
        self.case = case
        self.old = rig.Receiver(case, "old")
        self.key = case.key_file(key, "new.key") if key else None
        self.new = rig.Receiver(case, "new", key=self.key) if with_new else None
        self.to = self.new.address if self.new else f"{case.host}:{case.port()}"
        self.panel = rig.Panel(case)
        self.gateway = rig.Gateway(case, rig.path("a", self.old.address, timeout="1s", poll="2s"), self.panel.table())
        self.gateway.start()

    def ask(self, step, *arguments):
        return self.case.run([self.case.program, "receiver", step, "--socket", self.gateway.socket, *arguments])

    def do(self, step, *arguments):
        result = self.ask(step, *arguments)
        expect(f"receiver {step} ({result.stdout})", result.returncode, 0)
        return result.stdout

    def begin(self, *arguments, shadow="0s", within="10s"):
        key = ["--key", self.key] if self.key else []
        return self.do("move", "a", "--to", self.to, *key, "--shadow", shadow, "--within", within, *arguments)

    def state(self):
        """The move as JSON; {} when there is none."""
        result = self.ask("status", "--json")
        require("receiver status --json", result.returncode == 0, result.stdout)
        return json.loads(result.stdout).get("move") or {}

    def until(self, phase, within=rig.PATIENCE):
        return eventually(f"the move is {phase}", self.state, lambda m: m.get("phase") == phase, within)

    def until_over(self, within=rig.PATIENCE):
        eventually("the move is over", self.state, lambda m: not m, within)

    def call(self, *texts):
        for text in texts:
            self.panel.must(text)

    def file(self):
        return self.gateway.state / "centre-move"


def calls(receiver, prefix):
    """The panel's calls with this beginning, in the order in which the receiver has them."""
    return [text for text in receiver.texts() if text.startswith(prefix)]


def told(receiver, sia, words):
    return receiver.until(f"{sia} with {words!r}", lambda e: e["sia"] == sia and words in e["text"])


@limit(420)
def test_whole_move(case):
    """one command, a trial in which both centres get everything, the switch, going on after a restart, and keeping"""
    move = Move(case, key=KEY)
    screen = move.begin(shadow="6s")
    require("the screen fits", max(map(len, screen.splitlines())) <= 80 and len(screen.splitlines()) <= 23, screen)
    require("it says what is", "is tried at a new centre" in screen and "receiver switch" in screen, screen)
    print(screen)
    told(move.old, "YG", "is tried beside the present centre")
    told(move.old, "RX", "test beside the move of a")
    told(move.new, "RX", "test beside the move of a")
    move.call(*(f"both {n}" for n in range(5)))
    eventually("both have all", lambda: (calls(move.old, "both"), calls(move.new, "both")),
               lambda got: got == ([f"both {n}" for n in range(5)],) * 2)  # fmt: skip
    state = move.until("switched")
    numbers = {e["text"]: e["sequence"] for e in move.old.feed()}
    for event in move.new.feed():
        if event["text"] in numbers:
            expect(f"{event['text']}: its number at both", event["sequence"], numbers[event["text"]])
    told(move.new, "YG", "the trial has convinced")
    move.call("after the switch")
    move.new.until_text("after the switch")
    require("status has a line", "larmnod receiver keep or return" in move.gateway.ask("status").stdout)
    eventually("the old centre is polled", lambda: move.state()["paths"], lambda p: p[0]["state"] == "works")
    expect("who switched", state["by"], "larmnod")
    move.gateway.kill()
    move.gateway.start()
    expect("after a kill", move.state()["phase"], "switched")
    move.call("after a restart")
    move.new.until_text("after a restart")
    screen = move.do("keep")
    print(screen)
    require("it says what to change", f'address = "{move.to}"' in screen and str(move.gateway.file) in screen, screen)
    require("no key is shown", KEY[4:] not in screen + move.gateway.process.text() + move.file().read_text())
    move.gateway.stop()
    move.gateway.start()
    expect("kept over a restart", move.state()["phase"], "kept")
    move.call("kept")
    move.new.until_text("kept")
    expect("the old centre has nothing of it", [t for t in move.old.texts() if t in ("after the switch", "kept")], [])
    # The site file is brought up to date.
    move.gateway.stop()
    text = move.gateway.file.read_text().replace(
        f'address = "{move.old.address}"', f'address = "{move.to}"\nkey = "{move.key}"')
    move.gateway.file.write_text(text)
    move.gateway.start()
    expect("the move is forgotten", move.state(), {})
    require("its file is gone", not move.file().exists())
    told(move.new, "YG", "the move is done")


def test_new_centre_dead(case):
    """a new centre that nobody answers at is not switched to: held, told why; given up by hand"""
    move = Move(case, with_new=False)
    move.begin(within="5s")
    move.call("meanwhile")
    move.old.until_text("meanwhile")
    state = move.until("held")
    require("the reasons", "not acknowledged" in state["why"][0], state)
    told(move.old, "RU", "is not switched")
    screen = move.do("status")
    print(screen)
    require("the screen fits", max(map(len, screen.splitlines())) <= 80 and len(screen.splitlines()) <= 23, screen)
    expect("status needs attention", move.gateway.ask("status").returncode, 2)
    move.do("return")
    expect("given up", move.state(), {})
    told(move.old, "YG", "is given up, by")
    move.call("afterwards")
    move.old.until_text("afterwards")


def test_wrong_key(case):
    """a new centre that cannot read us: held, and no key is shown; prolonged with the right key at its end, switched"""
    move = Move(case, key=KEY)
    move.new.kill()
    wrong = case.key_file("hex:FFEEDDCCBBAA99887766554433221100", "other.key")
    move.new = rig.Receiver(case, "new", key=wrong, address=move.to)
    move.begin(within="5s")
    state = move.until("held")
    require("it has acknowledged nothing", state["compared"]["both"] + state["compared"]["onlyNew"] == 0, state)
    require("no key is shown", "001122334455" not in move.gateway.process.text() + move.do("status"))
    move.new.kill()
    move.new = rig.Receiver(case, "new", key=move.key, address=move.to)
    move.do("prolong")
    move.until("switched")
    move.call("with the right key")
    move.new.until_text("with the right key")


def test_to_tls_and_back(case):
    """a centre with TLS, by --from: the path stays ours, no step gives up its secrecy unsaid"""
    move = Move(case, with_new=False)
    files = secure.Certificates(case)
    new = rig.Receiver(case, "secure", *files.listening())
    settings = case.directory / "new.toml"
    settings.write_text(f'[receiver.a]\naddress = "{new.address}"\ncertificate = "{files["server.pem"]}"\n')
    result = move.ask("move", "a", "--from", settings)
    require("a certificate without TLS", result.returncode == 1 and "is for transport" in result.stdout, result.stdout)
    settings.write_text(settings.read_text() + 'transport = "tls"\n')
    move.do("move", "a", "--from", settings, "--shadow", "0s", "--within", "10s")
    move.until("switched")
    move.call("over TLS")
    expect("how it came", new.until_text("over TLS")["path"]["transport"], "tls")
    move.gateway.kill()
    move.gateway.start()
    expect("after a kill", move.state()["phase"], "switched")
    screen = move.do("keep")
    require("what to put into the site file", 'transport = "tls"' in screen, screen)
    # From there on to one without: the site file first, as it says.
    move.gateway.stop()
    text = move.gateway.file.read_text()
    move.gateway.file.write_text(text.replace(f'[receiver.a]\naddress = "{move.old.address}"\n', settings.read_text()))
    move.gateway.start()
    expect("the move is done", move.state(), {})
    result = move.ask("move", "a", "--to", move.old.address, "--transport", "tcp")
    require("it would be sent in clear", result.returncode == 1 and "--unencrypted" in result.stdout, result.stdout)
    result = move.ask("move", "a", "--to", move.old.address)
    require("TLS is not given up unsaid", result.returncode == 1 and "TLS needs" in result.stdout, result.stdout)
    screen = move.do("move", "a", "--to", move.old.address, "--transport", "tcp", "--unencrypted", "--shadow", "0s")
    require("it says so", "IN CLEAR" in screen, screen)
    move.until("switched")
    move.call("in clear again")
    move.old.until_text("in clear again")


def test_refused(case):
    """what cannot be, is refused in words before anything happens"""
    move = Move(case)
    for arguments, words in [
        (["nobody", "--to", move.to], "no path leads to a receiver"),
        (["a", "--to", move.old.address], "leads to"),
        (["a", "--to", "nonsense"], "expected"),
        (["a", "--to", move.to, "--key", "missing.key"], "no such key file"),
        (["a", "--to", move.to, "--shadow", "1000h"], "720h"),
        (["a", "--to", move.to, "--within", "1s"], "5s"),
        (["a", "--to", move.to, "--format", "morse"], "contact-id"),
        (["a", "--to", move.to, "--transport", "pigeon"], "udp"),
    ]:
        result = move.ask("move", *arguments)
        require(f"{arguments}: refused with {words!r}", result.returncode == 1 and words in result.stdout, result.stdout)
        expect("nothing moves", move.state(), {})
    for step in ("switch", "return", "keep", "prolong"):
        result = move.ask(step)
        require(f"{step}: nothing moves", result.returncode == 1 and "no receiver is moving" in result.stdout, result.stdout)
    settings = case.directory / "new.toml"
    settings.write_text(f'[receiver.a]\naddress = "{move.to}"\nadress = "x"\n')
    result = move.ask("move", "a", "--from", settings)
    require("the place of an error in the file", "new.toml:3:" in result.stdout and result.returncode == 1, result.stdout)
    settings.write_text(f'[receiver.a]\naddress = "{move.to}"\naccount = "00AB"\n')
    move.do("move", "a", "--from", settings, "--shadow", "1h")
    result = move.ask("move", "a", "--to", move.to)
    require("a second move", result.returncode == 1 and "moving already" in result.stdout, result.stdout)
    result = move.ask("keep")
    require("keep before the switch", result.returncode == 1 and "does not count yet" in result.stdout, result.stdout)
    expect("the account is the new one's", told(move.new, "RX", "test beside")["transmitter"], "00AB")


@limit(420)
def test_dies_after_the_switch(case):
    """a new centre that falls silent: the old one comes back by itself, nothing is lost, the order is kept"""
    move = Move(case)
    move.begin(within="5s")
    move.until("switched")
    move.call(*(f"call {n}" for n in range(3)))
    move.new.until_text("call 2")
    eventually("the old centre is polled", lambda: move.state()["paths"][0]["state"], lambda s: s == "works")
    move.new.process.popen.send_signal(signal.SIGSTOP)
    move.call(*(f"call {n}" for n in range(3, 8)))
    move.until_over()
    told(move.old, "RU", "leads to")
    move.old.until_text("call 7")
    expect("at the old centre, in order", calls(move.old, "call"), [f"call {n}" for n in range(3, 8)])
    move.new.process.popen.send_signal(signal.SIGCONT)
    move.gateway.until_delivered()
    move.call("again")
    move.old.until_text("again")
    at_new = calls(move.new, "call")
    expect("at the new centre, in order, before it died", at_new[:3], [f"call {n}" for n in range(3)])
    require("how it ended is shown", "Last:" in move.do("status"), move.do("status"))
    require("nothing is kept of it", not move.file().exists())


@limit(420)
def test_killed_in_each_phase(case):
    """kill -9 while it is tried, held, switched and kept: it goes on where it was, and every call arrives once counted"""
    move = Move(case)
    said = []

    def call(text):
        move.call(text)
        said.append(text)

    def killed(phase):
        move.gateway.kill()
        move.gateway.start()
        expect(f"after a kill while {phase}", move.state()["phase"], phase)
        call(f"killed while {phase}")

    move.begin(shadow="1h")
    call("tried")
    killed("shadow")
    told(move.old, "YG", "begins again")
    move.do("return")
    move.new.misbehave("duh")
    move.begin(within="10s")
    state = move.until("held")
    require("refused", "refused" in state["why"][0], state)
    killed("held")
    expect("its reasons are kept", move.state()["why"], state["why"])
    move.new.misbehave("none")
    move.do("switch")
    expect("switched by hand", move.state()["phase"], "switched")
    call("switched")
    killed("switched")
    move.do("keep")
    killed("kept")
    move.do("return")
    call("returned")
    move.gateway.until_delivered()
    both = set(move.old.texts()) | set(move.new.texts())
    require("every call has arrived", both >= set(said), set(said) - both)
    for text in ("killed while switched", "killed while kept"):
        require(f"{text}: at the new centre", text in move.new.texts(), move.new.texts())
    require("the last at the old one", "returned" in move.old.texts(), move.old.texts())


def test_damaged_file(case):
    """a damaged file of a move: the site file's receiver counts, told as an event; a failing one refuses the step"""
    move = Move(case)
    move.begin()
    move.until("switched")
    move.gateway.stop()
    data = bytearray(move.file().read_bytes())
    data[len(data) // 2] ^= 4
    move.file().write_bytes(data)
    move.gateway.start()
    expect("no move", move.state(), {})
    told(move.old, "RU", "is damaged")
    require("it is set aside", move.file().with_name("centre-move.damaged").exists())
    move.call("at the old one")
    move.old.until_text("at the old one")
    # Something of that name that cannot be replaced.
    move.file().mkdir()
    (move.file() / "x").touch()
    result = move.ask("move", "a", "--to", move.to)
    require("refused where it cannot be kept", result.returncode == 1 and "cannot be written" in result.stdout, result.stdout)
    expect("nothing moves", move.state(), {})
    move.gateway.stop()
    move.gateway.start()
    move.call("still")
    move.old.until_text("still")


def test_return_without_a_disk(case):
    """the old centre comes back also where that cannot be kept on disk; what was asked for holds after a restart"""
    move = Move(case)
    move.begin(within="5s")
    move.until("switched")
    eventually("the old centre is polled", lambda: move.state()["paths"][0]["state"], lambda s: s == "works")
    kept = move.file().rename(move.file().with_name("aside"))
    move.file().mkdir()  # a name that cannot be removed stands for a disk that takes nothing
    (move.file() / "x").touch()
    move.new.kill()
    move.call("left alone")
    move.old.until_text("left alone")
    move.until_over()
    (move.file() / "x").unlink()
    move.file().rmdir()
    kept.rename(move.file())
    move.gateway.kill()
    move.gateway.start()
    expect("as it was kept", move.state()["phase"], "switched")
    move.call("and again")
    move.old.until_text("and again")


@limit(420)
def test_under_load(case):
    """calls all the time while it moves, fails, comes back and moves again: none is lost, each centre has its in order"""
    move = Move(case)
    over, said, errors = threading.Event(), [], []

    def calling():
        number = 0
        while not over.is_set():
            try:
                move.panel.must(f"load {number:05}")
            except rig.Failed as failure:
                return errors.append(failure)
            said.append(f"load {number:05}")
            number += 1
            time.sleep(0.02)  # else what is less urgent than fire would wait longer than the limit, at any centre

    caller = threading.Thread(target=calling, daemon=True)
    caller.start()
    for _ in range(2):
        move.begin(within="5s")
        move.until("switched")
        eventually("the old centre is polled", lambda: move.state()["paths"][0]["state"], lambda s: s == "works")
        move.new.misbehave("silent")
        move.until_over()
        move.new.misbehave("none")
    move.begin(shadow="3s")
    move.until("switched")
    move.gateway.kill()
    move.gateway.start()
    move.do("keep")
    time.sleep(1)
    over.set()
    caller.join(200)
    require("the panel was answered all the time", not errors, errors)
    move.gateway.until_delivered()
    for centre in (move.old, move.new):
        texts = calls(centre, "load")
        require(f"{centre.name}: in order", texts == sorted(texts), [t for t, u in zip(texts, sorted(texts)) if t != u])
    missing = set(said) - set(move.old.texts()) - set(move.new.texts())
    require("every call has arrived", not missing, missing)
    print(f"{len(said)} calls: {len(calls(move.old, 'load'))} at the old centre, {len(calls(move.new, 'load'))} at the new")


def test_others_untouched(case):
    """a second centre is no part of the move: it takes over when the moved one fails, before and after the switch"""
    old, new, second = (rig.Receiver(case, name) for name in ("old", "new", "second"))
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", old.address, timeout="1s", attempts=1), rig.path("b", second.address, timeout="1s"),
        panel.table()).start()  # fmt: skip
    ask = [case.program, "receiver"]
    case.run([*ask, "move", "--socket", gateway.socket, "a", "--to", new.address, "--shadow", "0s", "--within", "1h"])
    panel.must("first")
    old.until_text("first") if "first" in old.texts() else new.until("anything", lambda e: True)
    eventually("switched", lambda: case.run([*ask, "status", "--socket", gateway.socket]).stdout,
               lambda text: "has switched" in text)  # fmt: skip
    panel.must("to the new one")
    new.until_text("to the new one")
    new.kill()
    panel.must("to the second")
    second.until_text("to the second")
    time.sleep(1)
    require("nothing of it at the old one", not {"to the new one", "to the second"} & set(old.texts()), old.texts())
