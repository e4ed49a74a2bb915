"""Programs written by others understand what we send, and we what they send."""

import json
import os

import rig
import wire
from rig import each, expect, limit, require, table

HERE = os.path.dirname(os.path.abspath(__file__))
CONTACT = table("device.gpio.box", chip="pinctrl-test") + table(
    "device.gpio.box.point.door", line=5, contact="normally-open", kind="burglary", zone=5, text="Front door")


def happen(panel, board, gateway):
    """A call, an alarm and its restore."""
    rig.eventually("the board is read", lambda: gateway.device("gpio.box")["state"], lambda s: s == "answers")
    panel.must("Fire Alarm zone 7")
    for level in "10":
        before = len(gateway.events())
        board.level(5, level)
        rig.eventually("the door is stored", lambda: len(gateway.events()), lambda n: n > before)
    gateway.until_delivered()


@each("threaded-tcp", "threaded-udp", "asyncio-tcp", "asyncio-udp")
@limit(400)
def test_pysiaalarm(case, way):
    """pysiaalarm decodes account, code, zone and text: plain, AES-128, AES-256; SIA-DCS and ADM-CID"""
    style, transport = way.split("-")
    board, panel = rig.Board(case), rig.Panel(case)
    for key in (None, "0123456789abcdef", "0123456789abcdef0123456789ABCDEF"):
        for form in ("sia-dcs", "contact-id"):
            name, port = f"{len(key or '') * 8}-{form}", case.port()
            peer = rig.Dialogue(
                case, f"pysiaalarm-{name}",
                # -O: without it an assertion of its asyncio UDP server fails under Python before 3.12.
                [rig.peer_python("pysiaalarm"), "-O", "-u", f"{HERE}/peers/pysiaalarm_receiver.py", style, transport, case.host,
                 port, "AB12", *([key] if key else [])])  # fmt: skip
            secret = {"key": case.key_file(f"text:{key}", f"key-{name}")} if key else {}
            gateway = rig.Gateway(
                # It needs R in the header, and takes one block with Contact ID.
                case, rig.path("a", f"{case.host}:{port}", transport=transport, format=form, receiver_number="1",
                               timeout="10s", **secret), panel.table(), CONTACT,
                environment=board.environment, state=case.path(f"state-{name}"), account="AB12").start()  # fmt: skip
            happen(panel, board, gateway)
            # Its pad is constant, cut to what is needed: one second's replies are alike, and no replays.
            expect(f"{name}: replies taken for strange", gateway.status()["paths"][0]["ignored"] or {}, {})
            gateway.stop()
            peer.process.kill()
            told = [json.loads(line) for line in peer.process.text().splitlines() if line.startswith("{")]
            told = [event for event in told if event["message_type"] != "NULL"]
            for event in told:
                expect(f"{name}: account", event["account"], "AB12")
                expect(f"{name}: answer", event["response"], "ResponseType.ACK")
            if form == "sia-dcs":
                # Its message is all that follows the code: the zone, and the text after its bar and A.
                found = {(e["code"], e["message"]) for e in told}
                wanted = {("FA", "11|AFire Alarm zone 7"), ("BA", "5|AFront door"), ("BR", "5|AFront door")}
            else:
                found = {(e["event_qualifier"], e["event_type"], e["partition"], e["ri"]) for e in told}
                wanted = {("1", "110", "00", "011"), ("1", "130", "00", "005"), ("3", "130", "00", "005")}
            require(f"{name}: it understood {wanted}", wanted <= found, told)


@each("plain", "128", "192", "256")
def test_siadc09(case, kind):
    """siadc09 decodes our raw frames: SIA-DCS and ADM-CID, plain and with every key size"""
    key = None if kind == "plain" else case.random.randbytes(int(kind) // 8).hex()
    secret = {"key": case.key_file(f"hex:{key}")} if key else {}
    board, panel = rig.Board(case), rig.Panel(case)
    for form in ("sia-dcs", "contact-id"):
        centre = rig.Receiver(case, f"centre-{form}", key=secret.get("key"), account="AB12")
        middle = wire.Middle(case, centre.address)
        gateway = rig.Gateway(
            case, rig.path("a", middle.address, format=form, extended_data=["H", "I"], **secret), panel.table(), CONTACT,
            environment=board.environment, state=case.path(f"state-{form}"), account="AB12").start()  # fmt: skip
        happen(panel, board, gateway)
        gateway.stop()
        work = json.dumps({"key": key, "frames": [frame.decode("latin-1") for frame in middle.frames]})
        result = case.run([rig.peer_python("siadc09"), f"{HERE}/peers/siadc09_decode.py"], input=work)
        expect(f"siadc09's exit status ({result.stdout[-1500:]})", result.returncode, 0)
        told = [json.loads(line) for line in result.stdout.splitlines()]
        expect("accounts", {t["account"] for t in told}, {"AB12"})
        expect("encrypted", {t["encrypted"] for t in told}, {key is not None})
        numbers = [t["sequence"] for t in told if t["token"] != "NULL"]
        expect("numbers", numbers, list(range(1, len(numbers) + 1)))
        found = {tuple(event) for t in told for event in t["events"]}
        wanted = {("FA", 0x11), ("BA", 5), ("BR", 5)} if form == "sia-dcs" else {("1110", 0x11), ("1130", 5), ("3130", 5)}
        require(f"it understood {wanted}", wanted <= found, told)
        require("it read the text", "Fire Alarm zone 7" in str(told), told)
        require("it read the time of occurrence", any(t.startswith("H20") for x in told for t in x["extended"]), told)


@limit(600)
def test_my_dc09_spt(case):
    """my-dc09-spt, a transmitter written by others, is heard by our receiver (Tests/Peers/transmitter_peers.py)"""
    python = rig.peer_python("my-dc09-spt")
    environment = {**os.environ, "LARMNOD_PEERS": str(rig.ROOT / ".build-peers" / "my-dc09-spt")}
    result = case.run([python, rig.PEERS / "transmitter_peers.py", case.program], within=580, env=environment)
    if result.returncode != 0:
        raise rig.Failed(result.stdout)
    require("it tried something", result.stdout.count("ok ") >= 6, result.stdout)
