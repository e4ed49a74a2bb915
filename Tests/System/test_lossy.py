"""Bad lines: all that was acknowledged to a panel arrives, in order, fire first, and is told once (promises 2, 3 and 4)."""

import rig
from lossy import Line
from rig import each, eventually, expect, limit, require, seconds, waits

TCP = {"reset": 0.04, "stall": 0.04, "split": 0.2, "repeat-request": 0.2, "repeat-reply": 0.2, "reorder": 0.05}
UDP = {"loss": 0.2, "repeat": 0.2}
# Each line's transport, how many calls of each of three panels (what 300 ms and a lost datagram cost bounds them), and how
# many connections each path may have.
LINES = {
    "tcp": (["tcp"], 24, 1), "lanes": (["tcp"], 36, 3), "udp": (["udp"], 12, 1), "both": (["udp", "tcp"], 24, 1)}


@each(*LINES)
@limit(600)
@waits
def test_all_arrives(case, which):
    """300 ms, 20 % loss, resets, stalls, repeats, reordering: all calls arrive once, in order, fire first"""
    transports, count, connections = LINES[which]
    centre = rig.Receiver(case)
    lines = [Line(case, centre.address, t, **(TCP if t == "tcp" else UDP)) for t in transports]
    fire, door, window = (rig.Panel(case, name, "--poll", "0") for name in ("fire", "door", "window"))
    gateway = rig.Gateway(
        case, *(rig.path(line.transport, line.address, transport=line.transport, timeout="6s", attempts=4, poll="2s",
                   **({"connections": connections} if connections > 1 else {})) for line in lines),
        fire.table("fire"), door.table("door", kind="door-held", zone=12),
        window.table("window", kind="burglary", zone=13)).start()  # fmt: skip
    gateway.until_delivered()

    # A third of it while the line is as it is, the rest while it is cut; then it is mended, and the program killed once.
    said = {"fire": [], "door": [], "window": []}

    def call(panel, name):
        text = f"{name} {len(said[name]):03}"
        panel.must(text)
        said[name].append(text)

    for number in range(count // 3):
        for panel, name in ((door, "door"), (window, "window"), (fire, "fire")):
            call(panel, name)
    eventually("some of it arrives", lambda: set(centre.texts()) & set(said["fire"]))
    for line in lines:
        line.is_cut = True
    while len(said["door"]) < count:
        call(door, "door")
        call(window, "window")
    mended = len(centre.feed())
    for _ in range(count // 3):
        call(fire, "fire")
    for line in lines:
        line.is_cut = False
    eventually("it goes on", lambda: len(centre.feed()), lambda length: length > mended + 5)
    gateway.kill()
    gateway.start()
    gateway.until_delivered(within=400)

    came = centre.texts()
    for name, texts in said.items():
        expect(f"what came from the {name} panel, in order and once", [t for t in came if t.startswith(name)], texts)
    backlog = [t for t in came[mended:] if t.split()[0] in said]
    fires = [t for t in backlog if t.startswith("fire")]
    early = [t for t in backlog[:backlog.index(fires[-1])] if not t.startswith("fire")]
    # What was on its way when the line was cut may come first. Fires of one point go one at a time: where there is a second
    # way it carries others beside them. Without fire first, nearly all others would come before the last fire.
    if connections == 1:
        most = 1 if len(lines) == 1 else (len(backlog) - len(fires)) * 3 // 4
        require("fire first", len(early) <= most, backlog)
    for line in lines:
        for what in line.rates:
            require(f"{line.transport}: the line was bad: {what}", line.done[what], line.done)


@waits
def test_connections(case):
    """a long line and four connections: several points at a time, each in its order, never more connections than agreed"""
    centre = rig.Receiver(case)
    line = Line(case, centre.address, "tcp", delay=0.4)
    panels = [rig.Panel(case, f"p{number}", "--poll", "0") for number in range(6)]
    gateway = rig.Gateway(
        case, rig.path("a", line.address, connections=4, timeout="6s"),
        *(panel.table(f"p{number}", zone=number + 1) for number, panel in enumerate(panels))).start()  # fmt: skip
    gateway.until_delivered()
    expect("connections while there is no backlog", line.most, 1)
    line.is_cut = True
    for call in range(8):
        for number, panel in enumerate(panels):
            panel.must(f"p{number} call {call}")
    line.is_cut = False
    line.most = 0
    gateway.until_delivered()
    for number in range(6):
        expect(f"what came of panel {number}", [t for t in centre.texts() if t.startswith(f"p{number}")],
               [f"p{number} call {call}" for call in range(8)])  # fmt: skip
    require("several connections, and no more than four", 1 < line.most <= 4, line.most)


@waits
def test_catch_up_rate(case):
    """after an outage late events come at the agreed rate; what happens now, and fire, go between them at once"""
    centre = rig.Receiver(case)
    door, window, fire = (rig.Panel(case, name, "--poll", "0") for name in ("door", "window", "fire"))
    gateway = rig.Gateway(
        case, rig.path("a", centre.address, catch_up_rate=4, timeout="2s"),
        door.table("door", kind="burglary", zone=1), window.table("window", kind="burglary", zone=2),
        fire.table("fire", zone=3)).start()  # fmt: skip
    gateway.until_delivered()
    centre.kill()
    for number in range(40):
        door.must(f"door {number:02}")
    gateway.kill()
    gateway.start()  # what waits over a restart is late
    centre.start()
    centre.until_text("door 00")
    window.must("window now")
    fire.must("fire now")
    gateway.until_delivered()
    came = [t for t in centre.texts() if t.split()[0] in ("door", "window", "fire")]
    doors = [f"door {number:02}" for number in range(40)]
    expect("the doors, in order", [t for t in came if t.startswith("door")], doors)
    for text in ("window now", "fire now"):
        require(f"{text!r} does not wait for the late ones", came.index(text) < came.index("door 39"), came)
    late = [seconds(e["received"]) for e in centre.feed() if e["text"] in doors]
    # A slow machine makes it longer; only a program that does not keep to the rate makes it shorter.
    require("four a second", late[-1] - late[0] > 39 / 4 * 0.9, late[-1] - late[0])
