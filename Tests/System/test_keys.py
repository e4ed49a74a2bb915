"""Keys that are changed, keys from systemd, and replies that somebody forged (promise 8, docs/security.md)."""

import os
import time

import rig
import wire
from rig import each, eventually, expect, limit, require

NEW, OLD = "hex:00112233445566778899AABBCCDDEEFF", "hex:FFEEDDCCBBAA99887766554433221100"


def figures(gateway):
    return gateway.status()["paths"][0]


def ignored(gateway, kind):
    return (figures(gateway)["ignored"] or {}).get(kind, 0)


@each("site-first", "centre-first")
def test_rollover(case, order):
    """keys are changed at one end and then at the other: every event arrives once, in order, and the box tells which"""
    new, old = case.key_file(NEW, "new.key"), case.key_file(OLD, "old.key")
    both = ["--account", f"4711={old}", "--account", f"4711={new}"]
    if order == "site-first":
        centre = rig.Receiver(case, key=old)
    else:
        centre = rig.Receiver(case, "centre", *both)
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, timeout="1s", poll="1s", attempts=20, key=new, old_key=old),
        panel.table()).start()  # fmt: skip
    count = 0

    def call():
        nonlocal count
        count += 1
        panel.must(f"call {count:02}")
        gateway.until_delivered()

    for _ in range(3):
        call()
    expect("the key in use", figures(gateway)["keyInUse"], "old" if order == "site-first" else "new")
    if order == "site-first":
        centre.until("the trouble", lambda e: "takes the old key only" in (e["text"] or ""))
        require("status wants a look", "with the old key" in gateway.ask("status", "--all").stdout)
    # A restart in the middle tells nothing twice.
    gateway.stop()
    gateway.start()
    call()
    centre.kill()
    centre.options = ["--account", f"4711={new}"]
    centre.start()
    for _ in range(3):
        call()
    eventually("the new key is in use", lambda: figures(gateway)["keyInUse"], lambda key: key == "new")
    gateway.until_delivered()
    texts = [text for text in centre.texts() if text and text.startswith("call")]
    expect("what came, in order", texts, [f"call {n + 1:02}" for n in range(count)])
    told = [e["text"] for e in gateway.events()[::1] if e["point"] == "path.a.key"]
    expect("what is told of the keys", len(told), 2 if order == "site-first" else 0)
    log = gateway.process.text() + centre.process.text() + gateway.ask("status", "--json").stdout
    for key in (NEW, OLD):
        require("no key is shown", key[4:] not in log)


def test_trial_in_vain(case):
    """the centre never changes: the new key is tried by link test, which neither fails the path nor delays a fire"""
    new, old = case.key_file(NEW, "new.key"), case.key_file(OLD, "old.key")
    centre = rig.Receiver(case, key=old)
    middle = wire.Middle(case, centre.address)
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", middle.address, timeout="20s", poll="1s", attempts=1, key=old), panel.table())
    gateway.start()
    gateway.until_delivered()
    gateway.stop()
    # Now with a new key, and the old one known to be in use as after a restart: a trial is a link test at the start.
    site = gateway.file.read_text()
    gateway.file.write_text(site.replace(f'key = "{old}"', f'key = "{new}"\nold-key = "{old}"'))
    gateway.start()
    eventually("the path works", lambda: gateway.path_state("a"), lambda state: state == "works", 120)
    eventually("the old key is told", lambda: [e for e in gateway.events() if e["point"] == "path.a.key"])
    gateway.until_delivered()
    gateway.stop()
    seen = len(middle.frames)
    gateway.start()
    eventually("a link test goes out", lambda: len(middle.frames) > seen)
    panel.must("fire")
    centre.until_text("fire")
    gateway.until_delivered()
    eventually("the path works", lambda: gateway.path_state("a"), lambda state: state == "works")
    expect("the key in use", figures(gateway)["keyInUse"], "old")
    after = [e for e in gateway.events() if e["point"] == "path.a"]
    require("the trial is not told as a fault", len(after) <= 2, after)


@each("plain-ack", "other-sequence", "other-account", "replay", "dressed-replay")
@limit(300)
def test_forged(case, mode):
    """replies that are forged or recorded acknowledge nothing, are counted by kind, told once, and the second path delivers"""
    key = case.key_file(NEW)
    first, second = rig.Receiver(case, "first", key=key), rig.Receiver(case, "second", key=key)
    middle = Forger(case, first.address)
    panel = rig.Panel(case)
    settings = {"timeout": "1s", "attempts": 2, "poll": "1s", "key": key}
    gateway = rig.Gateway(
        case, rig.path("a", middle.address, **settings), rig.path("b", second.address, **settings),
        panel.table()).start()  # fmt: skip
    panel.must("before")
    eventually("the first path works", lambda: gateway.path_state("a"), lambda state: state == "works")
    gateway.until_delivered()
    eventually("replies were recorded", lambda: len(middle.acknowledgements) > 2)
    time.sleep(2)  # so that what was recorded is of another second
    kind = {"plain-ack": "plainToEncrypted", "other-sequence": "otherSequence", "other-account": "otherAccount"}
    kind = kind.get(mode, "replayed")
    middle.mode = mode
    for number in range(3):
        panel.must(f"meanwhile {number}")
        second.until_text(f"meanwhile {number}")
    eventually(f"{kind} is counted", lambda: ignored(gateway, kind), lambda count: count > 0)
    second.until("the event", lambda e: "strange replies" in (e["text"] or ""))
    row = next(line for line in gateway.ask("status", "--all").stdout.splitlines() if "path a" in line)
    require("a person sees that the path is not well", not row.startswith("ok"), row)
    eventually("the path is down", lambda: gateway.path_state("a"), lambda state: state == "down")
    gateway.until_delivered()
    middle.mode = "pass"
    eventually("the first path works again", lambda: gateway.path_state("a"), lambda state: state == "works")
    panel.must("after")
    eventually("it is delivered", lambda: first.texts() + second.texts(), lambda texts: "after" in texts)
    told = [e for e in gateway.events() if e["point"] == "path.a.replies"]
    expect("it was told once", len(told), 1)
    acknowledged = [e for e in gateway.events() if e["state"] == "acknowledged" and (e["text"] or "").startswith("mean")]
    come = first.texts() + second.texts()
    for event in acknowledged:
        require("what counts as acknowledged is at a centre", event["text"] in come, event)


class Forger(wire.Middle):
    """Passes on and records acknowledgements; then lets nothing through and answers with forged or recorded ones."""

    @property
    def acknowledgements(self):
        return [frame for frame in self.said if b'"*ACK"' in frame]

    def misbehave(self, client, request):
        number = int(wire.HEADER.search(request)[3])
        if self.mode == "other-account":
            header = wire.HEADER.search(request)[4].decode().replace("#4711", "#4712")
            client.sendall(wire.frame(f'"ACK"{number:04}{header}[]'))
        elif self.mode == "replay":
            for reply in self.acknowledgements[:3]:
                client.sendall(reply)
        elif self.mode == "dressed-replay":
            # The number stands in clear: put another on it.
            body = self.acknowledgements[-1][9:-1].decode("latin-1")
            client.sendall(wire.frame(f'"*ACK"{number:04}{body[10:]}'))
        else:
            return super().misbehave(client, request)
        return True


@each("given", "missing", "no-directory")
def test_credentials(case, state):
    """a key from systemd's credentials directory works; without it the words say what to do and show nothing"""
    directory = case.directory / "credentials"
    directory.mkdir()
    if state == "given":
        (directory / "centre-a").write_text(NEW + "\n")
        (directory / "centre-a").chmod(0o440)
    environment = {} if state == "no-directory" else {"CREDENTIALS_DIRECTORY": str(directory)}
    centre = rig.Receiver(case, key=case.key_file(NEW))
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, key="credential:centre-a"), panel.table(), environment=environment)
    if state == "given":
        gateway.start()
        panel.must("with a credential")
        centre.until_text("with a credential")
        return
    checked = case.run([case.program, "check", gateway.file], env={**os.environ, **environment})
    expect("check's exit status", checked.returncode, 1)
    wanted = "there is no such credential" if state == "missing" else "$CREDENTIALS_DIRECTORY is not set"
    require("what to do", wanted in checked.stdout and "LoadCredential=" in checked.stdout, checked.stdout)


PORTALS = {
    "redirect": "HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n",
    "page": "<html><body>Log in</body></html>",
    "login-service": "SSH-2.0-OpenSSH_9.2\r\n",
    "tls-alert": "\x15\x03\x03\x00\x02\x02\x46",
    "megabyte": "HTTP/1.1 200 OK\r\n\r\n" + "x\n" * 500_000,
}


@each(*PORTALS)
def test_answers_something_else(case, what):
    """a captive portal, a proxy or another service in the receiver's place: said at once, in words, and no attack"""
    centre = rig.Receiver(case)
    portal = Portal(case, PORTALS[what].encode("latin-1"))
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", portal.address, timeout="60s", attempts=2), rig.path("b", centre.address),
        panel.table()).start()  # fmt: skip
    panel.must("through the other")
    centre.until_text("through the other")
    # With sixty seconds of patience, two failures within this time were not waited for.
    told = centre.until("the path's trouble", lambda e: e["sia"] == "YS" and "path a:" in (e["text"] or ""), within=60)
    require("in words", "answers, but not in DC-09" in told["text"], told["text"])
    expect("strange replies counted", figures(gateway)["ignored"] or {}, {})
    require("how it begins is shown", 'It begins "' in figures(gateway)["why"], figures(gateway)["why"])


class Portal(wire.Middle):
    """Answers every frame with the same bytes."""

    def __init__(self, case, content):
        self.content = content
        super().__init__(case, "127.0.0.1:1", mode="portal")

    def misbehave(self, client, request):
        client.sendall(self.content)
        return True
