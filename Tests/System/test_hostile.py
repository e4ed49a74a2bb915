"""Receivers that lie, hang, shout or refuse: the second path delivers, the first is used again when it behaves."""

import time

import rig
import wire
from rig import each, eventually, expect, limit, require, waits

KEY = "hex:00112233445566778899AABBCCDDEEFF"
ENCRYPTED = ("plain-ack", "key-block", "nak-storm")
GROWTH = 32 << 20  # bytes that the gateway may grow by while it is shouted at


@each("mute", "polls-only", "drip", "other-sequence", "garbage", "endless", "close", "nak-storm", "duh", "plain-ack", "key-block")
@limit(300)
def test_first_path(case, mode):
    """the second path delivers meanwhile, memory stays bounded, the first path carries again once it behaves"""
    key = case.key_file(KEY) if mode in ENCRYPTED else None
    first, second = rig.Receiver(case, "first", key=key), rig.Receiver(case, "second", key=key)
    middle = wire.Middle(case, first.address)
    panel = rig.Panel(case)
    settings = {"timeout": "1s", "attempts": 2, "poll": "1s", **({"key": key} if key else {})}
    gateway = rig.Gateway(
        case, rig.path("a", middle.address, **settings), rig.path("b", second.address, **settings), panel.table()).start()

    panel.must("before")
    # Over the first path, unless the machine is so busy that it was slow.
    eventually("the first event is delivered", lambda: first.texts() + second.texts(), lambda texts: "before" in texts)
    eventually("the first path works", lambda: gateway.path_state("a"), lambda state: state == "works")
    gateway.until_delivered()
    memory = gateway.process.memory()

    middle.mode, seen = mode, len(middle.frames)
    for number in range(5):
        panel.must(f"meanwhile {number}")
        second.until_text(f"meanwhile {number}")
        time.sleep(1)  # so that the mode has time to do harm between events
    require(
        f"{mode}: memory grows by at most {GROWTH} bytes", gateway.process.memory() - memory < GROWTH,
        f"{memory} before, {gateway.process.memory()} now")
    gateway.until_delivered()
    require("the hostile receiver was tried", len(middle.frames) > seen, middle.frames)
    if mode == "nak-storm":
        second.until("the clock's trouble", lambda e: "rejects our time" in (e["text"] or ""))
    elif mode != "duh":  # that one is alive, and its refusals are told one by one
        second.until("the path's trouble", lambda e: e["sia"] == "YS" and "path a:" in (e["text"] or ""))

    middle.mode = "pass"
    count = 0

    def again():
        nonlocal count
        count += 1
        panel.must(f"after {count}")
        gateway.until_delivered()
        return first.texts()

    eventually("the first path carries events again", again, lambda texts: any("after" in (t or "") for t in texts))
    texts = [t for t in first.texts() + second.texts() if t and t.startswith(("before", "meanwhile"))]
    require("each event came at least once", len(set(texts)) == 6, texts)
    eventually("the path is well again", lambda: gateway.path_state("a"), lambda state: state == "works")


@each("plain", "encrypted")
@limit(400)
@waits
def test_lies(case, kind):
    """every answer that is not the receiver's ACK: the second path delivers, nothing counts as delivered, the first recovers"""
    key = case.key_file(KEY) if kind == "encrypted" else None
    first, second = rig.Receiver(case, "first", key=key), rig.Receiver(case, "second", key=key)
    middle = wire.Middle(case, first.address)
    panel = rig.Panel(case, "panel", "--poll", "0")
    settings = {"timeout": "1s", "attempts": 1, "poll": "1s", **({"key": key} if key else {})}
    gateway = rig.Gateway(
        case, rig.path("a", middle.address, **settings), rig.path("b", second.address, **settings), panel.table()).start()
    lies = [*(f"lie {name}" for name in (wire.ENCRYPTED_LIES if key else wire.LIES)), "reset"]
    case.random.shuffle(lies)
    for lie in lies:
        count = 0

        def honest():
            nonlocal count
            count += 1
            panel.must(f"honest {lie} {count}")
            gateway.until_delivered()
            return f"honest {lie} {count}" in first.texts()

        middle.mode = "pass"
        eventually(f"the first path carries before: {lie}", honest)
        middle.mode, seen = lie, len(middle.frames)
        panel.must(f"during {lie}")
        second.until_text(f"during {lie}")
        gateway.until_delivered()
        require(f"the first receiver was asked: {lie}", len(middle.frames) > seen)
    listed = [(e["text"], e["path"]) for e in gateway.events() if e["text"].startswith("during")]
    expect("what delivered", sorted(listed), sorted((f"during {lie}", "b") for lie in lies))


def test_refused_by_all(case):
    """DUH from every receiver: the event is parked and told, blocks nobody, and is listed until a person discards it"""
    first, second = rig.Receiver(case, "first"), rig.Receiver(case, "second")
    middles = [wire.Middle(case, r.address, refuses=b"Nonsense") for r in (first, second)]
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, *(rig.path(name, m.address, timeout="2s") for name, m in zip("ab", middles)), panel.table()).start()
    panel.must("Nonsense")
    trouble = first.until("the parked event's trouble", lambda e: e["sia"] == "YC")
    require("the trouble names the point", "espa.panel.call" in trouble["text"], trouble["text"])
    panel.must("Sense")
    first.until_text("Sense")
    expect("refused events", gateway.status()["parked"], 1)
    unsent = gateway.events("--unsent")
    expect("what is listed", [(e["text"], e["state"]) for e in unsent], [("Nonsense", "parked")])
    gateway.stop()
    gateway.start()
    expect("refused events after a restart", gateway.status()["parked"], 1)
    result = gateway.ask("discard", str(unsent[0]["event"]), "--why", "told by telephone")
    expect("discard's exit status", result.returncode, 0)
    expect("refused events after the discard", gateway.status()["parked"], 0)
    listed = [e for e in gateway.events() if e["text"] == "Nonsense"]
    expect("its state", listed[0]["state"], "discarded")
    require("the reason and the person are kept", "told by telephone" in listed[0]["reason"], listed[0])


def test_refused_everything(case):
    """DUH to everything, link tests too: nothing goes round for ever, and the next event flows once a receiver behaves"""
    first, second = rig.Receiver(case, "first"), rig.Receiver(case, "second")
    middles = [wire.Middle(case, r.address) for r in (first, second)]
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, *(rig.path(name, m.address, timeout="2s", poll="1s") for name, m in zip("ab", middles)),
        panel.table()).start()  # fmt: skip
    gateway.until_delivered()
    for middle in middles:
        middle.mode = "duh"
    for number in range(3):
        panel.must(f"Refused {number}")
    eventually("all of it is parked", lambda: gateway.status(), lambda s: s["waiting"] == 0 and s["parked"] >= 3)
    stored = len(gateway.events())
    time.sleep(3)
    expect("events made by refusals alone", len(gateway.events()) - stored, 0)
    reports = [e for e in gateway.events() if e["point"] == "larmnod.parked"]
    require("the refusals were told", len(reports) >= 1, gateway.events())
    middles[1].mode = "pass"
    panel.must("Now")
    second.until_text("Now")


def test_both_paths_mute_then_one(case):
    """no receiver answers: nothing is lost or reordered, and the most urgent goes first when one does"""
    first = rig.Receiver(case, "first")
    middle = wire.Middle(case, first.address, mode="mute")
    fire, door = rig.Panel(case, "fire"), rig.Panel(case, "door")
    gateway = rig.Gateway(
        case, rig.path("a", middle.address, timeout="1s", attempts=2),
        rig.path("b", f"{case.host}:{case.port()}", timeout="1s", attempts=2),  # nobody listens there
        fire.table("fire"), door.table("door", kind="door-held", zone=12)).start()  # fmt: skip
    for number in range(40):
        door.must(f"door {number:03}")
    for number in range(3):
        fire.must(f"fire {number:03}")
    eventually("both paths are known to be down", lambda: [p["state"] for p in gateway.status()["paths"]],
               lambda states: states == ["down", "down"])  # fmt: skip
    gateway.kill()
    middle.mode = "pass"
    gateway.start()
    gateway.until_delivered()
    texts = [t for t in first.texts() if t and t[:4] in ("fire", "door")]
    expect("the order", texts, [f"fire {n:03}" for n in range(3)] + [f"door {n:03}" for n in range(40)])


def test_polls_only(case):
    """the only receiver answers link tests and no events: its path is called down, and carries again when it behaves"""
    centre = rig.Receiver(case)
    middle = wire.Middle(case, centre.address)
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", middle.address, timeout="1s", attempts=2, poll="1s"), panel.table()).start()
    gateway.until_delivered()
    middle.mode = "polls-only"
    panel.must("unanswered")
    eventually("the path is down", lambda: gateway.path_state("a"), lambda state: state == "down")
    middle.mode = "pass"
    centre.until_text("unanswered")
    gateway.until_delivered()
    eventually("the path works", lambda: gateway.path_state("a"), lambda state: state == "works")
    centre.until("the path's trouble", lambda e: e["sia"] == "YS")


def test_loses_and_delays(case):
    """a receiver that drops, answers late, says NAK or closes for every few frames: each event once, in order"""
    centre = rig.Receiver(case)
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, timeout="1s", attempts=20), panel.table()).start()
    number = 0
    for words in ("silent:every=3", "drop:every=3", "delay:3:every=4", "close:every=2", "garbage:5000:every=3",
                  "wrong-sequence:every=3", "none"):  # fmt: skip
        centre.misbehave(words)
        for _ in range(6):
            panel.must(f"call {number:03}")
            number += 1
        gateway.until_delivered()
    expect("what the centre has", [t for t in centre.texts() if t and t.startswith("call")],
           [f"call {n:03}" for n in range(number)])  # fmt: skip


def test_udp(case):
    """UDP: a datagram or its answer lost, and nobody there at all, then a receiver"""
    centre = rig.Receiver(case)
    panel = rig.Panel(case)
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, transport="udp", timeout="3s", attempts=3), panel.table()).start()
    for number, words in enumerate(("none", "drop:every=2", "silent:every=2")):
        centre.misbehave(words)
        for part in range(3):
            panel.must(f"call {number} {part}")
        gateway.until_delivered()
    centre.kill()
    panel.must("nobody there")
    eventually("the path is down", lambda: gateway.path_state("a"), lambda s: s == "down")
    centre.start()
    gateway.until_delivered()
    wanted = [f"call {n} {p}" for n in range(3) for p in range(3)] + ["nobody there"]
    expect("what the centre has", [t for t in centre.texts() if t in wanted], wanted)
