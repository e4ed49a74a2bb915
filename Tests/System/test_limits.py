"""What happens at the limits that the configuration names (promise 6), and that paths are independent (promise 10)."""

import rig
import wire
from rig import eventually, expect, limit, require, table


def test_waiting_events(case):
    """the queue's limit: the last tenth is kept for fire, beyond it panels hear busy; told; all of it is delivered"""
    centre = rig.Receiver(case)
    fire, door = rig.Panel(case, "fire", "--poll", "0"), rig.Panel(case, "door", "--poll", "0")
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, timeout="1s", attempts=2), table("limits", waiting_events=100),
        fire.table("fire"), door.table("door", kind="burglary", zone=12)).start()  # fmt: skip
    gateway.until_delivered()
    centre.kill()
    doors = [(f"door {n:03}", door.call(f"door {n:03}")[0]) for n in range(100)]
    expect("outcomes for the burglary panel", {outcome for _, outcome in doors}, {"ACK", "NAK2"})
    # One more where the trouble of the filling queue is among them.
    require("the last tenth is kept", 60 < gateway.status()["waiting"] <= 91, gateway.status()["waiting"])
    fires = [(f"fire {n:03}", fire.call(f"fire {n:03}")[0]) for n in range(30)]
    require("fires go on beyond that", fires[0][1] == "ACK" and fires[4][1] == "ACK", fires)
    expect("outcome for the fire panel at last", fires[-1][1], "NAK2")
    expect("what waits", gateway.status()["waiting"], 100)
    gateway.kill()
    gateway.start()
    expect("what waits after a restart", gateway.status()["waiting"] >= 100, True)
    centre.start()
    gateway.until_delivered()
    acknowledged = [text for text, outcome in fires + doors if outcome == "ACK"]
    came = [text for text in centre.texts() if text and text[:4] in ("fire", "door")]
    expect("what came, in order", came, acknowledged)
    centre.until("the filling queue's trouble", lambda e: "% of the limit" in (e["text"] or ""))
    centre.until("its end", lambda e: "below 25 %" in (e["text"] or ""))
    door.must("the next")
    centre.until_text("the next")


@limit(400)
def test_numbers_come_round(case):
    """more events than there are numbers: 9999 is followed by 1, 0 is never used, nothing is taken for a repeat"""
    centre = rig.Receiver(case)
    middle = wire.Middle(case, centre.address)
    panel = rig.Panel(case, "panel", "--poll", "0")
    gateway = rig.Gateway(case, rig.path("a", middle.address), panel.table()).start()
    panel.must("first")
    gateway.stop()
    # As after two years of events: the next is 9990.
    case.run(["sqlite3", gateway.state / "outbox.db", "UPDATE event SET id = 9989 WHERE id = (SELECT max(id) FROM event);"])
    gateway.start()
    for number in range(30):
        panel.must(f"call {number:02}")
    gateway.until_delivered()
    numbers = [e["sequence"] for e in centre.feed() if (e["text"] or "").startswith("call")]
    expect("how many came", len(numbers), 30)
    first = numbers[0]
    expect("their numbers", numbers, [(first - 1 + n) % 9999 + 1 for n in range(30)])
    require("the numbers came round", 1 in numbers and 9999 in numbers, numbers)


def test_path_that_cannot_work(case):
    """an interface that is not there, a name that nobody knows, a closed port: told in words, and the last path delivers"""
    centre, panel = rig.Receiver(case), rig.Panel(case)
    gateway = rig.Gateway(
        case,
        rig.path("no-interface", centre.address, interface="eth77", timeout="2s", attempts=1),
        rig.path("no-name", "nobody.invalid:7700", timeout="2s", attempts=1),
        rig.path("no-port", f"{case.host}:{case.port()}", timeout="2s", attempts=1),
        rig.path("good", centre.address, interface="lo"), panel.table()).start()  # fmt: skip
    panel.must("over the last path")
    centre.until_text("over the last path")
    for name, words in (("no-interface", "eth77"), ("no-name", "nobody.invalid"), ("no-port", "refused")):
        eventually(f"{name} is down", lambda: gateway.path_state(name), lambda state: state == "down")
        why = next(p["why"] for p in gateway.status()["paths"] if p["name"] == name)
        require(f"{name}: the reason says {words}", words in why, why)
        centre.until(f"{name}'s trouble", lambda e: e["sia"] == "YS" and f"path {name}:" in (e["text"] or ""))
    expect("state of the good one", gateway.path_state("good"), "works")


def test_receiver_killed_under_load(case):
    """kill -9 of the receiver at random moments: each event that it kept is handed on once, in order, and none is lost"""
    centre, panel = rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0")
    gateway = rig.Gateway(case, rig.path("a", centre.address, timeout="1s", attempts=3), panel.table()).start()
    number = 0
    for _ in range(80 if case.is_long else 10):
        for _ in range(case.random.randrange(5, 40)):
            panel.must(f"call {number:05}")
            number += 1
        centre.kill()
        for _ in range(case.random.randrange(0, 5)):
            panel.must(f"call {number:05}")
            number += 1
        centre.start()
    gateway.until_delivered()
    came = [text for text in centre.texts() if text and text.startswith("call")]
    expect("what the centre has", came, [f"call {n:05}" for n in range(number)])


def test_wait_for_receiver(case):
    """wait-for-receiver: the panel hears ACK only when the centre has acknowledged, or when the time has passed"""
    centre, panel = rig.Receiver(case), rig.Panel(case, "panel", "--poll", "0", "--answer", "60")
    middle = wire.Middle(case, centre.address)
    gateway = rig.Gateway(
        case, rig.path("a", middle.address, timeout="2s"), panel.table(wait_for_receiver="100s")).start()
    panel.must("at once")
    centre.until_text("at once")
    middle.mode = "mute"
    panel.tell('{"address": "999", "text": "held"}')
    eventually("it is on disk", lambda: "held" in [e["text"] for e in gateway.events()])
    rig.time.sleep(4)
    require("no answer yet", panel.answers.empty())
    middle.mode = "pass"
    require("ACK once the centre has it", "ACK tries=1" in panel.answer("call 2"))
    centre.until_text("held")
